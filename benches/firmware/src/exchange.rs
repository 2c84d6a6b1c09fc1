//! The frames of an exchange and its renewal, made by the build script.

include!(concat!(env!("OUT_DIR"), "/exchange.rs"));
