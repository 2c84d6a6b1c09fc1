//! What can be asked of an authority, and what it tells: one JSON value a line, from program to
//! service and back.

use core::fmt::{self, Display};
use std::borrow::ToOwned;
use std::boxed::Box;
use std::path::PathBuf;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::daemon::authority_store::{
    EnrolmentRecord, KeyRecord, KeyUsage, MachineRecord, NewKey, StoreError,
};
use crate::daemon::files::FileError;
use crate::daemon::product_file::ProductFile;
use crate::wire::Refusal;

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Issue a product key: a [`Reply::Key`] with its text.
    NewKey(NewKey),
    /// A product key by its number: a [`Reply::Key`] with its text.
    Key(u32),
    /// All product keys: many [`Reply::Key`]s without their texts.
    Keys,
    /// Block a product key, or lift that: a [`Reply::Key`] without its text.
    Block {
        /// The key's number.
        key_id: u32,
        /// Whether it is to be blocked.
        blocked: bool,
    },
    /// Change how much a product key is worth: a [`Reply::Key`] without its text.
    Limit {
        /// The key's number.
        key_id: u32,
        /// Host keys: how many hosts it enrols, if that is to change.
        hosts: Option<u32>,
        /// How many times it enrols each host or how many machines it activates, if that is to
        /// change.
        activations: Option<u32>,
    },
    /// Define a product, for which a setup key is issued: a [`Reply::Product`]. Its setup key and
    /// its root keys are filled in.
    NewProduct(Box<ProductFile>),
    /// All products: many [`Reply::Product`]s.
    Products,
    /// What host keys have enrolled, all or one: many [`Reply::Enrolment`]s.
    Enrolments(Option<u32>),
    /// What multiple activation keys have activated, all or one: many [`Reply::Machine`]s.
    Machines(Option<u32>),
    /// Answer a request that was carried here, 250 bytes in hexadecimal digits: a
    /// [`Reply::Answered`].
    Answer(String),
    /// Confirm an installation id: a [`Reply::Confirmed`].
    Confirm(String),
    /// How the service is: a [`Reply::Status`].
    Status,
}

/// What is told. [`Done`](Self::Done) and [`Failed`](Self::Failed) come last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// A product key.
    Key(KeyDetails),
    /// A product.
    Product(Box<ProductDetails>),
    /// An enrolment.
    Enrolment(EnrolmentRecord),
    /// A machine that was activated by key.
    Machine(MachineRecord),
    /// A request was answered, be it by a refusal.
    Answered(Box<Answered>),
    /// An installation id was confirmed.
    Confirmed(Box<Confirmed>),
    /// How the service is.
    Status(ServiceStatus),
    /// That was all.
    Done,
    /// It could not be done, or no further.
    Failed(Failure),
}

/// A product key, what was used of it, and its text where it was asked for.
///
/// `Debug` hides the text.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyDetails {
    /// The key.
    pub record: KeyRecord,
    /// What was used of it.
    pub usage: KeyUsage,
    /// The key as the customer types it.
    pub text: Option<String>,
}

/// A product, and where it is defined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProductDetails {
    /// Its file.
    pub file: ProductFile,
    /// Where that is.
    pub path: PathBuf,
    /// The number of its setup key.
    pub setup_key_id: u32,
}

/// How a service is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The id of the root key that issues certificates.
    pub root: u16,
    /// Products that it knows.
    pub products: usize,
    /// Certificates of its own key, one for each product family.
    pub certificates: usize,
    /// What became of the requests since it was started, by name.
    pub requests: Vec<(String, u64)>,
}

/// A request that was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// The answer, 250 bytes in hexadecimal digits.
    pub answer: String,
    /// The request had been answered before: the same answer, nothing counted.
    pub repeated: bool,
    /// Activations: whether it used up one of the key's.
    pub counted: bool,
    /// The key, when it is in the register.
    pub key: Option<KeyRecord>,
    /// Enrolments: how many times the key has enrolled this host.
    pub enrolled: u32,
}

/// An installation id that was confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// The confirmation id: groups with hyphens between them.
    pub confirmation: String,
    /// The key's number.
    pub key_id: u32,
    /// It had been confirmed before: nothing was counted.
    pub repeated: bool,
    /// Machines and hosts: activations left, on the key or of this host on the key.
    pub activations_left: u32,
    /// Hosts: how many more the key enrols. `None` for machines.
    pub hosts_left: Option<u32>,
    /// Hosts: the certificate's end, in seconds since 1970.
    pub valid_until: Option<u64>,
}

/// Why something was not done: the cause, then what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of a failure it is.
    pub kind: FailureKind,
    /// The cause.
    pub cause: String,
    /// What the reader can do.
    pub advice: Option<String>,
}

/// What kind of a failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// A file, the database or the system.
    Failed,
    /// What was asked does not make sense here.
    Usage,
    /// The authority's rules refuse it, with this status (PROTOCOL 10).
    Refused(u16),
    /// The request or the id is not what it says.
    NotTrusted,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, cause: impl Display) -> Self {
        Self { kind, cause: cause.to_string(), advice: None }
    }

    pub(super) fn failed(cause: impl Display) -> Self {
        Self::new(FailureKind::Failed, cause)
    }

    pub(super) fn usage(cause: impl Display) -> Self {
        Self::new(FailureKind::Usage, cause)
    }

    pub(super) fn refused(refusal: Refusal, cause: impl Display) -> Self {
        Self::new(FailureKind::Refused(refusal.code()), cause)
    }

    pub(super) fn advise(self, advice: &str) -> Self {
        Self { advice: Some(advice.to_owned()), ..self }
    }

    pub(super) fn no_key(key_id: u32) -> Self {
        Self::usage(std::format!("there is no key {key_id}"))
            .advise("'headcount authority key list' shows the keys there are.")
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        // What cannot be understood is for its writer to mend, what cannot be read is the system's.
        let kind = match error.action {
            "cannot understand" | "cannot use" => FailureKind::Usage,
            _ => FailureKind::Failed,
        };
        Self::new(kind, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::failed(error)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl core::error::Error for Failure {}

impl fmt::Debug for KeyDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDetails")
            .field("record", &self.record)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}
