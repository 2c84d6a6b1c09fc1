//! Firmware images that exist to be measured on a Cortex-M4 in QEMU, and what they share.
//!
//! Each does its whole job on real frames and exits with the verdict, so none measures code that the
//! optimiser has thrown away:
//!
//! | image | what is in it |
//! | --- | --- |
//! | `runtime` | start and exit |
//! | `client` | the life of a product: start, activation, renewal, rearm, state in two slots |
//! | `client_crypto` | what that takes from the crypto crates, called directly |
//! | `host` | a host with one pool of 50: requests, counters, state in two slots |
//! | `host_crypto` | what that takes from the crypto crates, called directly |
//! | `accept` | how many instructions and how much stack the acceptance of a response takes |
//!
//! The difference between the second and the third, and between the fourth and the fifth, is this
//! library's own code. Every panic is an error at link time in the images that say so.
#![no_std]

pub mod board;
pub mod ed25519;
pub mod exchange;
pub mod vendor;
