#![no_std]
#![doc = include_str!("../README.md")]

pub mod arguments;
#[cfg(target_os = "none")]
pub mod board;
pub mod exit;
pub mod flash_store;
pub mod host_memory;
pub mod nal;
pub mod network;
#[cfg(target_os = "none")]
pub mod platform;
pub mod product;
#[cfg(target_os = "none")]
pub mod trouble;
