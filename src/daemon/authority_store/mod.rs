//! The vendor's records: which product keys were issued, and what was granted with them.
//!
//! - [`Database`] is where they are, whatever it is: write transactions for the authority's rules,
//!   pages of a snapshot for listings.
//! - [`RedbDatabase`] is the one there is, a file.
//!
//! What this layer promises:
//!
//! - What a transaction recorded is safe from a crash and a power cut when
//!   [`write`](Database::write) returns; when it fails, nothing of it is there.
//! - Key numbers and serial numbers are never given twice.
//! - A row that this version did not write is an error, never a guess.

mod database;
mod encoding;
mod error;
mod record;
mod redb_database;
mod tables;
mod transaction;

pub use database::{Database, Records};
pub use error::StoreError;
pub use record::{
    EnrolmentRecord, KeyRecord, KeyTerms, KeyUsage, MachineRecord, NewKey, RegisteredKind,
};
pub use redb_database::RedbDatabase;
