//! What a client wants done, what it reports, and how exchanges end.

use core::convert::Infallible;
use core::fmt;
use core::time::Duration;

use crate::phone::UntrustedRecord;
use crate::policy::Skew;
use crate::time::Instant;
use crate::trust::Untrusted;
use crate::wire::{LicenceStatus, Refusal};

/// What the driver is to do next, one thing at a time.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step<F = Infallible> {
    /// Store [`Client::image`](super::Client::image), before anything else: a client whose CMID is
    /// lost is counted twice. It is said once: when storing fails, try again before the next
    /// `poll`, which goes on as if it were stored.
    Save,
    /// Tell people; nothing else follows from it.
    Report(Event),
    /// Send [`Client::pending_frame`](super::Client::pending_frame) to this host, then call
    /// [`Client::handle_response`](super::Client::handle_response) with what comes, or
    /// [`Client::give_up`](super::Client::give_up).
    Send {
        /// Index of the host in the driver's list, below the number of hosts. A client that finds its
        /// hosts by itself has no list and knows the address:
        /// [`Client::address`](super::Client::address). While
        /// [a key](crate::discovery::Hosts::key) is installed it is the authority, whose address the
        /// driver knows, and the number is 0.
        host: u8,
    },
    /// Find this out: there is no host to ask before. Never said to a client whose hosts are
    /// [numbered](crate::discovery::Numbered), and a `match` need not name it then; see
    /// [`discovery::Find`](crate::discovery::Find) for what it may be.
    Find(F),
    /// Nothing to do before this time. Calling earlier or later is harmless.
    Wait {
        /// When to call again.
        until: Instant,
    },
}

/// Something people want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// The licence status changed, be it by an answer or by time.
    StatusChanged {
        /// Before.
        from: LicenceStatus,
        /// Now.
        to: LicenceStatus,
    },
    /// The activation ends soon and could not be renewed. Repeated once a day.
    ExpiresSoon {
        /// Time left, in whole seconds, at most 30 days.
        left: Duration,
    },
    /// The stored activation is not believed: it was edited, or made for another product, machine
    /// or root key. The client is not activated by it.
    StoredActivationRejected(Rejection),
    /// Another machine uses this machine's CMID: an image was cloned without resetting it. The
    /// client has taken a new one and asks again.
    Rearmed,
}

/// Why a stored activation is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rejection {
    /// Request or response do not verify.
    Untrusted(Untrusted),
    /// The host that granted it is none of the trusted ones.
    HostNotTrusted,
    /// The request is of another product.
    OtherProduct,
    /// The request carries another machine's CMID.
    OtherMachine,
    /// The request carries the fingerprint of another machine.
    OtherHardware,
    /// It is one by phone, and the vendor has not confirmed it, or not for this.
    Unconfirmed(UntrustedRecord),
    /// The request is one by count: no answer to such a one can be carried to a machine.
    ByCount,
    /// The response does not activate: a refusal, or a count below the threshold.
    NotActivating,
}

/// What an accepted answer led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// Activated, or the activation renewed.
    Activated {
        /// The count that met the threshold; with method 1, activations left on the key.
        count: u32,
    },
    /// The count is below the threshold.
    BelowThreshold {
        /// Machines that the host counts.
        count: u32,
        /// Machines that the product needs.
        required: u32,
    },
    /// The host refused.
    Refused(Refusal),
}

/// Why an answer was discarded. The request stays pending: on UDP a better answer may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Discard {
    /// No request is pending.
    NotAsked,
    /// It cannot be believed.
    Untrusted(Untrusted),
    /// It is genuine, but the client's clock is more than 240 minutes from the host's.
    ClockSkew(Skew),
    /// It is genuine, but more than 240 minutes older than an answer accepted before.
    BelowFloor {
        /// How many seconds older.
        behind: u64,
    },
    /// It is genuine, but its host is none of the trusted ones.
    HostNotTrusted,
}

/// Why an exchange with one host failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Failure {
    /// There was no host to ask: none was found, or none that may be asked.
    NoHost,
    /// No answer came.
    NoAnswer,
    /// An answer came and was discarded.
    Discarded(Discard),
}

const HOST_NOT_TRUSTED: &str = "its host is none of the trusted ones";

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(untrusted) => untrusted.fmt(f),
            Self::Unconfirmed(untrusted) => untrusted.fmt(f),
            Self::HostNotTrusted => f.write_str(HOST_NOT_TRUSTED),
            Self::OtherProduct => f.write_str("it is of another product"),
            Self::OtherMachine => f.write_str("it is of another machine"),
            Self::OtherHardware => f.write_str("it is of a machine with other hardware"),
            Self::ByCount => f.write_str("it is a host's, of an activation by count"),
            Self::NotActivating => f.write_str("it does not activate"),
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNotTrusted => f.write_str(HOST_NOT_TRUSTED),
            Self::NotAsked => f.write_str("an answer came that nobody asked for"),
            Self::Untrusted(untrusted) => untrusted.fmt(f),
            Self::ClockSkew(skew) => {
                let (seconds, way) = match skew {
                    Skew::Behind(seconds) => (*seconds, "behind"),
                    Skew::Ahead(seconds) => (*seconds, "ahead of"),
                };
                write!(f, "your clock is {} {way} the host's", Coarse(seconds))
            }
            Self::BelowFloor { behind } => write!(
                f,
                "the host's clock is {} behind what a host has said before",
                Coarse(*behind)
            ),
        }
    }
}

impl core::error::Error for Discard {}

/// A span in its largest whole unit, for people.
struct Coarse(u64);

impl fmt::Display for Coarse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ 0..60 => write!(f, "{seconds} s"),
            seconds @ 60..3_600 => write!(f, "{} min", seconds / 60),
            seconds @ 3_600..172_800 => write!(f, "{} h", seconds / 3_600),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}
