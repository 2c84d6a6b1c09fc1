//! Activation by key for machines that cannot reach the authority: a proxy collects their requests in
//! a [`Store`], asks on their behalf, and hands each its answer (PROTOCOL 3, 5 and 9, method 1).
//!
//! What a machine gets is a [`Pair`], its request and the answer to it. A pair activates the same
//! machine again after its disk was written anew, so the authority is not asked for a machine that has
//! one, and the key is not used up ([`Plan`]).
//!
//! Nothing here is trusted: an answer activates a machine only because the machine itself verifies it.
//! The proxy checks what it can, so that a wrong answer is found where somebody can do something about
//! it ([`Judge`]).

mod asking;
mod collect;
mod failure;
mod identity;
mod judge;
mod pair;
mod plan;
mod store;
mod transfer;

pub use asking::{Asking, Ended};
pub use collect::{Collected, Collection, files_in, read_list};
pub use failure::{Failure, FailureKind};
pub use judge::{Judge, Verdict};
pub use pair::{Grant, PAIR_LEN, Pair, Unfit};
pub use plan::{Earlier, Plan};
pub use store::{Contents, Damage, Entry, Store};
pub use transfer::{Delivered, Exported, Imported, Unused, deliver, export, import};
