//! Real network stacks on a wire in memory, in virtual time: what the tests of headcount's transport
//! stand on.
//!
//! A [`Wire`](wire::Wire) carries Ethernet frames between network cards, and loses, delays, repeats
//! and reorders them by a seed. A card is a device of smoltcp 0.14, for the appliance's own adapter,
//! and of smoltcp 0.12, for `smoltcp-nal`, so both can talk to each other. [`run`](node::run) jumps
//! from one event to the next; nothing here sleeps.

pub mod forge;
#[path = "../../../examples/appliance/src/nal/mod.rs"]
pub mod nal;
pub mod node;
pub mod stack;
pub mod wire;
