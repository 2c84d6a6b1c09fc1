//! Why a publication failed: the cause, and what to do.

use core::fmt;
use core::net::SocketAddr;
use std::string::String;

use crate::daemon::files::FileError;

/// Why nothing was published or withdrawn, or could not be looked at. Displays as the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicationError {
    /// The name server's name has no address.
    UnknownServer {
        /// Its name, with the port.
        server: String,
        /// The reason.
        reason: String,
    },
    /// No name server is configured, and none was found.
    NoServer {
        /// The domain.
        domain: String,
        /// The reason.
        reason: String,
    },
    /// A socket failed, for instance because nothing listens at the server's port.
    Socket {
        /// The name server.
        server: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// Nothing came from the server in time.
    Silent {
        /// The name server.
        server: SocketAddr,
    },
    /// What came is no answer, or not to what was asked.
    Garbage {
        /// The name server.
        server: SocketAddr,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server answered with an error.
    Refused {
        /// The name server.
        server: SocketAddr,
        /// What it was asked for.
        request: String,
        /// Name of its response code, such as `REFUSED`, `NOTAUTH` or `NOTZONE`.
        code: String,
        /// The key that the request was signed with.
        key: Option<String>,
    },
    /// The server does not know the key (TSIG error BADKEY).
    BadKey {
        /// The name server.
        server: SocketAddr,
        /// The key's name.
        key: String,
    },
    /// The server has another secret under the key's name (TSIG error BADSIG).
    BadSignature {
        /// The name server.
        server: SocketAddr,
        /// The key's name.
        key: String,
    },
    /// The clocks are too far apart (TSIG error BADTIME).
    BadTime {
        /// The name server.
        server: SocketAddr,
        /// By how many seconds this machine's clock is ahead of the server's, where it told.
        ahead: Option<i64>,
    },
    /// The answer to a signed request is not signed with the key, or wrongly.
    NotVerified {
        /// The name server.
        server: SocketAddr,
        /// What is wrong.
        reason: String,
        /// Name of the response code that nobody vouches for.
        code: String,
    },
    /// Another kind of record, an alias (CNAME), is where the host's record should be.
    Alias {
        /// The zone.
        zone: String,
    },
    /// The server tells of no zone that holds the domain.
    NoZone {
        /// The name server.
        server: SocketAddr,
        /// The domain.
        domain: String,
    },
    /// The host's addresses are to be published in a zone that does not hold its name.
    Outside {
        /// The host's name.
        target: String,
        /// The zone.
        zone: String,
    },
    /// The records are too many for a message.
    TooLong,
    /// The machine has no name with a domain, and none is configured.
    NoName,
}

impl fmt::Display for PublicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownServer { server, reason } => {
                write!(f, "the name server {server} has no address: {reason}")
            }
            Self::NoServer { domain, reason } => {
                write!(f, "no name server is configured for {domain}, and none found: {reason}")
            }
            Self::Socket { server, reason } => {
                write!(f, "the name server {server} cannot be reached: {reason}")
            }
            Self::Silent { server } => write!(f, "the name server {server} does not answer"),
            Self::Garbage { server, reason } => {
                write!(f, "what the name server {server} sends is of no use: {reason}")
            }
            Self::Refused { server, request, code, key: Some(key) } => {
                write!(f, "the name server {server} refused {request} with the key {key}: {code}")
            }
            Self::Refused { server, request, code, key: None } => {
                write!(f, "the name server {server} refused {request} without a key: {code}")
            }
            Self::BadKey { server, key } => {
                write!(f, "the name server {server} does not know the key {key} (BADKEY)")
            }
            Self::BadSignature { server, key } => {
                write!(f, "the name server {server} has another secret for the key {key} (BADSIG)")
            }
            Self::BadTime { server, ahead: Some(ahead) } => {
                let direction = if *ahead < 0 { "behind" } else { "ahead of" };
                write!(
                    f,
                    "this machine's clock is {} s {direction} that of the name server {server} \
                     (BADTIME)",
                    ahead.unsigned_abs()
                )
            }
            Self::BadTime { server, ahead: None } => {
                write!(
                    f,
                    "the clocks of this machine and of the name server {server} differ (BADTIME)"
                )
            }
            Self::NotVerified { server, reason, code } => {
                write!(
                    f,
                    "an answer from the name server {server}, {code}, is not its own: {reason}"
                )
            }
            Self::Alias { zone } => {
                write!(
                    f,
                    "an alias (CNAME) in the zone {zone} is in the place of the host's record"
                )
            }
            Self::NoZone { server, domain } => {
                write!(f, "the name server {server} has no zone for {domain}")
            }
            Self::Outside { target, zone } => {
                write!(f, "the host's name {target} is not in the zone {zone}")
            }
            Self::TooLong => f.write_str("these are too many records for one message"),
            Self::NoName => f.write_str("this machine has no name with a domain"),
        }
    }
}

impl core::error::Error for PublicationError {}

impl PublicationError {
    /// What its reader can do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::UnknownServer { .. } => {
                "Is 'server' in host.toml right, and does this machine's resolver work?"
            }
            Self::NoServer { .. } => "Set 'server' for the domain in host.toml.",
            Self::Socket { .. } | Self::Silent { .. } => {
                "Is it up, does it listen at this address and port, does a firewall let TCP and UDP through?"
            }
            Self::Garbage { .. } => "Is this address that of a name server?",
            Self::Refused { code, .. } if code == "SERVFAIL" => {
                "The server is in trouble itself: its log tells what it is."
            }
            Self::Refused { key: Some(_), .. } => {
                "Does the server hold this zone as its primary, and does its policy grant the key these \
                 records? 'headcount host dns print' writes them for a zone file."
            }
            Self::Refused { key: None, .. } => {
                "Set 'key_file' for the domain in host.toml. Only TSIG keys will do: secure updates of \
                 Windows DNS need GSS-TSIG, which is not supported. 'headcount host dns print' writes \
                 the records for a zone file."
            }
            Self::BadKey { .. } => {
                "Is the key in the server's configuration under exactly this name and algorithm?"
            }
            Self::BadSignature { .. } => "Copy the key file from the server again.",
            Self::BadTime { .. } => "Set the clock that is wrong: 300 s are tolerated.",
            Self::NotVerified { .. } => {
                "Does the server support TSIG? If it does, somebody else may answer in its place."
            }
            Self::Alias { .. } => "Remove the alias.",
            Self::NoZone { .. } => "Set 'zone' or another 'server' for the domain in host.toml.",
            Self::Outside { .. } => {
                "Take 'addresses' away for this domain: publish them where the name belongs."
            }
            Self::TooLong => "Listen on fewer ports.",
            Self::NoName => "Set 'target' under [dns] in host.toml, or give the machine a domain.",
        }
    }
}

/// Why a publication could not be made or withdrawn.
#[derive(Debug)]
pub enum PublishError {
    /// The name server.
    Dns(PublicationError),
    /// The file of the TSIG key.
    Key(FileError),
    /// What the host has to remember of it.
    File(FileError),
}

impl From<PublicationError> for PublishError {
    fn from(error: PublicationError) -> Self {
        Self::Dns(error)
    }
}

impl From<FileError> for PublishError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(error) => error.fmt(f),
            Self::Key(error) | Self::File(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PublishError {}

impl PublishError {
    /// What its reader can do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Dns(error) => error.advice(),
            Self::Key(_) => {
                "Copy the key file from the name server, for the host's user alone: chmod 600."
            }
            Self::File(_) => "Is the state folder this user's, and the disk not full?",
        }
    }
}
