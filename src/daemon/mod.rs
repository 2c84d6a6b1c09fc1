//! Feature `daemon`: what surrounds the core on a machine with an operating system.
//!
//! Files ([`files`], [`ProductFile`], [`HostConfig`], [`ClientConfig`]), the tokio server ([`Server`]),
//! exchanges over tokio sockets ([`exchange`]), questions to name servers ([`Resolver`]) and
//! publication in DNS ([`publication`]). Decisions are the core's; this module carries
//! bytes.

mod authority_control;
mod authority_files;
mod authority_service;
mod authority_store;
mod client_config;
mod client_driver;
mod enrolment;
mod exchange;
pub mod files;
mod host_config;
mod host_search;
mod host_service;
mod host_state;
mod machine;
mod open_files;
mod product_file;
pub mod proxy;
pub mod publication;
mod resolver;
mod server;

#[cfg(unix)]
pub use authority_control::ControlSocket;
pub use authority_control::{
    Access, Answered, CONTROL_SOCKET, Command, Confirmed, Failure, FailureKind, KeyDetails, Office,
    ProductDetails, Reply, ServiceStatus,
};
pub use authority_files::{
    AuthorityConfig, AuthorityFiles, RootConfig, ServiceConfig, read_signing_key,
};
pub use authority_service::{
    AuthorityCounters, AuthorityRoot, AuthorityService, Desk, DeskSettings, RootSigner,
    SignerError, SignerProcess, WriterHandle, serve_signer,
};
pub use authority_store::{
    Database, EnrolmentRecord, KeyRecord, KeyTerms, KeyUsage, MachineRecord, NewKey, Records,
    RedbDatabase, RegisteredKind, StoreError,
};
pub use client_config::{ClientConfig, Machine};
pub use client_driver::{ask, ask_any, date};
pub use enrolment::{
    Applicant, CertificateKeeper, EnrolmentConfig, EnrolmentKey, EnrolmentVerdict, FailedRenewal,
    NoHostKey, NotEnrolled, RenewalDates,
};
pub use exchange::{ExchangeError, Transport, exchange};
pub use host_config::{HostConfig, Limits, Listen, ServerLimits};
pub use host_search::{HostSearch, TrustedHosts, parse_domain, parse_host};
pub use host_service::{HostService, SaveIntervals};
pub use host_state::{
    DaemonHost, HostFiles, HostLock, HostMemory, LoadedState, POOL_CAPACITY, SOURCES, StateError,
    all_roots, is_for,
};
pub use machine::{MachineFacts, whole_name};
pub use open_files::raise_open_files;
pub use product_file::{PRODUCT_FILE_HEADER, ProductFile, RootKey};
pub use resolver::{DNS_PORT, ResolveError, Resolver, parse_dns_server};
pub use server::{Answer, ServeError, Server, ServerCounters, Service, StartError};

pub use crate::os::{Clock, SystemClock, system_rng};
