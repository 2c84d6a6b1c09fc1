//! Finding hosts by DNS (PROTOCOL 12), without sockets, clock or randomness of its own.
//!
//! What this layer promises:
//!
//! - Any bytes may come from a resolver: the answer is one to the question that was asked, or an
//!   error that says what is wrong with it. The work is bounded for the longest message there is.
//! - Nothing found here is *trusted*. Whoever controls the network controls DNS: a host is believed
//!   for its signature alone, and a wrong name costs no more than a failed exchange.
//! - Nothing is allocated, and nothing panics.

pub mod message;
mod name;

pub use name::{DomainName, InvalidDomainName, Proto};
