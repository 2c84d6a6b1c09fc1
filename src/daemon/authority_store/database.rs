//! What the authority needs of a database, so that another one can take the place of the file.

use core::fmt;
use std::vec::Vec;

use super::{EnrolmentRecord, KeyRecord, KeyUsage, MachineRecord, NewKey};
use crate::authority::Ledger;
use crate::time::UnixTime;
use crate::wire::KeyId;

/// The vendor's records within one write transaction: the [`Ledger`] that the authority's rules
/// ask, and the register of keys.
pub trait Records: Ledger {
    /// The serial number for the next certificate. [`Ledger::record`] uses it up, or
    /// [`take_serial`](Self::take_serial); until then the same is told again.
    fn next_serial(&mut self) -> Result<u64, Self::Error>;

    /// A serial number for a certificate that is no enrolment's: it is used up at once.
    fn take_serial(&mut self) -> Result<u64, Self::Error>;

    /// Enters a new key under the next number.
    fn add_key(&mut self, key: &NewKey, at: UnixTime) -> Result<KeyRecord, Self::Error>;

    /// A key of the register, and what was used of it; `None` when there is none of this number.
    fn key(&mut self, key_id: KeyId) -> Result<Option<(KeyRecord, KeyUsage)>, Self::Error>;

    /// Replaces what the register says of a key, by its number. `false` when there is none.
    fn set_key(&mut self, key: &KeyRecord) -> Result<bool, Self::Error>;
}

/// Where the vendor's records are. One writer at a time; readers see what was committed before they
/// began, and wait for nobody.
pub trait Database: Send + Sync + 'static {
    /// Why the database failed.
    type Error: fmt::Debug + fmt::Display + Send + 'static;

    /// Runs `work` in one write transaction. What it recorded is safe from a crash and a power cut
    /// when this returns `Ok`; after an error nothing of it is recorded.
    ///
    /// A call of `work`'s that fails makes the whole transaction fail, whatever `work` returns.
    fn write<T>(
        &self,
        work: impl FnOnce(&mut dyn Records<Error = Self::Error>) -> T,
    ) -> Result<T, Self::Error>;

    /// A key of the register, and what was used of it.
    fn key(&self, key_id: KeyId) -> Result<Option<(KeyRecord, KeyUsage)>, Self::Error>;

    /// At most so many keys of the register by number, those after `after`.
    fn keys(
        &self,
        after: Option<KeyId>,
        most: usize,
    ) -> Result<Vec<(KeyRecord, KeyUsage)>, Self::Error>;

    /// At most so many enrolments, of one host key or of all, those after `after`: by key, host and
    /// activation.
    fn enrolments(
        &self,
        key_id: Option<KeyId>,
        after: Option<&EnrolmentRecord>,
        most: usize,
    ) -> Result<Vec<EnrolmentRecord>, Self::Error>;

    /// At most so many machines, of one MAK or of all, those after `after`: by key, and in the order
    /// in which they were first recorded.
    fn machines(
        &self,
        key_id: Option<KeyId>,
        after: Option<&MachineRecord>,
        most: usize,
    ) -> Result<Vec<MachineRecord>, Self::Error>;
}
