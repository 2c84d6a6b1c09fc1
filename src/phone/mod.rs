//! Activation by phone (PROTOCOL 14): what a machine or a host without any network asks, and what
//! the vendor answers, as groups of decimal digits that people read to each other.
//!
//! | number | groups | read by | made with |
//! | --- | --- | --- | --- |
//! | [`InstallationId`] | 13 | the owner of a machine | a MAK |
//! | [`Confirmation`] | 26 | the vendor | a root key |
//! | [`HostInstallationId`] | 17 | the operator of a host | a host key |
//! | [`HostConfirmation`] | 32 | the vendor | a root key |
//!
//! What this layer promises:
//!
//! - A group that was not typed as it was read out is found at once and named ([`check_group`]).
//! - A confirmation activates one machine, with one product and one key, and nothing else; that of
//!   a host is an ordinary certificate. Both are signatures: who has all secrets of a customer
//!   cannot make one.
//! - Any text may be read; the answer is a number or an error that says which group is wrong.
//!
//! The authority's side is [`Authority`](crate::authority::Authority).

mod bits;
mod groups;
mod host;
mod machine;
mod number;
mod record;

pub use groups::{GROUP_DIGITS, Group, GroupFault, InvalidGroup, check_group};
pub use host::{HostConfirmation, HostInstallationId, whole_days};
pub use machine::{Confirmation, InstallationId, Machine, Unconfirmed};
pub use number::{InvalidNumber, NumberKind};
pub use record::{UntrustedRecord, is_record, verify_record};
