//! Finding hosts by DNS (PROTOCOL 12), without sockets, clock or randomness of its own.
//!
//! What this layer promises:
//!
//! - Any bytes may come from a resolver: the answer is one to the question that was asked, or an
//!   error that says what is wrong with it. The work is bounded for the longest message there is.
//! - Nothing found here is *trusted*. Whoever controls the network controls DNS: a host is believed
//!   for its signature alone, and a wrong name costs no more than a failed exchange.
//! - Nothing is allocated, and nothing panics.
//!
//! A [`Client`](crate::client::Client) takes its hosts from something that is [`Hosts`]: from the
//! driver's list, [`Numbered`], or from a [`Finder`], which does what PROTOCOL 12 says. Either may be
//! [`Keyed`]: then the authority is asked in their place once a key is installed.

mod choice;
mod dns_hosts;
mod finder;
mod host;
mod hosts;
mod keyed;
mod list;
pub mod message;
mod name;
mod settings;

pub use choice::{Rank, choose};
pub use dns_hosts::DnsHosts;
pub use finder::{Find, Finder};
pub use host::{Host, HostName, InvalidHost};
pub use hosts::{Hosts, Next, Numbered};
pub use keyed::{InstalledKey, Keyed};
pub use list::{ADDRESSES, RECORDS};
pub use name::{DomainName, InvalidDomainName, Proto};
pub use settings::{
    Barred, LONGEST_CHAIN, Redirect, RedirectError, SERVICE, Settings, Trusted, redirected,
};
