//! What a vendor has the authority do: one set of commands, for the folder where no service runs
//! and for the running service.
//!
//! - [`Command`] and [`Reply`] are what is asked and told, [`Failure`] why it is not done.
//! - [`Office`] does it, in the vendor's folder.
//! - [`Access`] is how a program gets it done: in the folder itself, or by the service that has
//!   it, over the socket on which that listens ([`ControlSocket`]).

mod access;
mod answering;
mod command;
mod office;
#[cfg(unix)]
mod socket;

pub use access::Access;
pub use command::{
    Answered, Command, Confirmed, Failure, FailureKind, KeyDetails, ProductDetails, Reply,
    ServiceStatus,
};
pub use office::Office;
#[cfg(unix)]
pub use socket::ControlSocket;

/// The name of the service's socket in a vendor's folder.
pub const CONTROL_SOCKET: &str = "authority.sock";
