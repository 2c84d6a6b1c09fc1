//! The one way to log: to the `log` crate, to defmt, to both or to nothing, as the features say.
//!
//! defmt is a sink on bare metal only, where a firmware brings its transport; elsewhere the feature
//! adds `Format` alone. Arguments must have both `Debug` and `Format`, and are shown with `{:?}`:
//! machine identifiers redact themselves in both.

/// What a person who looks for a fault wants to see: one line for each frame at most.
macro_rules! debug {
    ($text:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(feature = "log")]
        ::log::debug!($text $(, $argument)*);
        #[cfg(all(feature = "defmt", target_os = "none"))]
        ::defmt::debug!($text $(, $argument)*);
        #[cfg(not(any(feature = "log", all(feature = "defmt", target_os = "none"))))]
        { $( let _ = &$argument; )* }
    }};
}

pub(crate) use debug;
