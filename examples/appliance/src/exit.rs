//! How a run ends, for the tests: the numbers are those of the `headcount` program.

/// The exit status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
#[repr(u8)]
pub enum Exit {
    /// Client: activated at the end. Host: served as much or as long as it was told to.
    Done = 0,
    /// A panic, a fault, or a device that is broken.
    Failed = 1,
    /// An argument is wrong.
    Usage = 2,
    /// Client: not activated, the host counts too few machines.
    BelowThreshold = 3,
    /// Client: not activated, the host refused.
    Refused = 4,
    /// Client: not activated, no host was found or none answered.
    NobodyAnswered = 5,
    /// Client: not activated, the answer cannot be believed.
    NotTrusted = 6,
    /// The stored state or the factory data cannot be used.
    Damaged = 7,
}
