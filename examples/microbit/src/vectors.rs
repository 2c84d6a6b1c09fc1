//! The library's test vectors, made by an independent implementation, as the build script found
//! them in tests/vectors.

use headcount::fingerprint::COMPONENTS;
use headcount::wire::Frame;

include!(concat!(env!("OUT_DIR"), "/vectors.rs"));

/// A request, an answer to it, and what a client without history makes of that.
pub struct Exchange {
    pub request: Frame,
    pub response: &'static [u8],
    pub expect: &'static str,
}

/// Requests that a table sees one after the other.
pub struct Trace {
    pub weights: [u8; COMPONENTS],
    pub tolerance: u16,
    pub steps: &'static [Step],
}

/// One of them, and the answer that it gets.
pub struct Step {
    pub at: u32,
    pub cmid: [u8; 16],
    pub required: u32,
    pub fingerprint: [u8; 16],
    pub previous: [u8; 16],
    pub count: u32,
    pub limit: u32,
    pub duplicate: bool,
}
