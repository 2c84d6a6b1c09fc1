#![no_std]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
#![doc = include_str!("../README.md")]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod authority;
pub mod client;
mod cursor;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod discovery;
pub mod fingerprint;
pub mod host;
mod keyed_hash;
mod log;
#[cfg(feature = "std")]
pub mod os;
pub mod phone;
pub mod policy;
pub mod storage;
pub mod table;
pub mod time;
#[cfg(any(feature = "nal", feature = "nal-async"))]
pub mod transport;
pub mod trust;
pub mod wire;
