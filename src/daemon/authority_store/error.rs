//! Why the vendor's database failed.

use core::fmt;
use std::string::{String, ToString};

/// Why the database failed. It displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The file, the disk or the system.
    Storage(String),
    /// Another process has the database.
    InUse,
    /// The file is of a version of the program that this one does not know.
    Format(u64),
    /// A row is not what it should be.
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// All key numbers, or all places on a key, are used up.
    Full,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(reason) => write!(f, "the database failed: {reason}"),
            Self::InUse => f.write_str("another process has the database"),
            Self::Format(format) => {
                write!(f, "the database has format {format}, which this version cannot read")
            }
            Self::Row { table, reason } => write!(f, "a row of table {table} is damaged: {reason}"),
            Self::Full => f.write_str("all numbers are used up"),
        }
    }
}

impl core::error::Error for StoreError {}

/// All errors of the library mean the same here.
macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::Storage(error.to_string())
            }
        }
    )*};
}

from_redb!(CommitError, SetDurabilityError, StorageError, TableError, TransactionError);

impl From<redb::DatabaseError> for StoreError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            other => Self::Storage(other.to_string()),
        }
    }
}
