//! Frames to values and back: no state, no clock, no crypto.
mod id;
pub use id::{ActivationId, ApplicationId, Cmid, CountedId, InvalidId, KeyId, Nonce, PublicKey};
