//! The database that is a file, by the crate `redb`.

use core::fmt;
use core::ops::Bound;
use std::path::Path;
use std::vec::Vec;

use redb::{Durability, ReadTransaction, ReadableDatabase, ReadableTable};

use super::encoding::{MachineRow, decode};
use super::tables::{COUNTERS, ENROLMENTS, FORMAT, FORMAT_COUNTER, KEYS, MACHINES, Tables, USAGE};
use super::transaction::Transaction;
use super::{Database, EnrolmentRecord, KeyRecord, KeyUsage, MachineRecord, Records, StoreError};
use crate::daemon::files::{self, FileError, Secrecy};
use crate::wire::KeyId;

/// The vendor's records in one file, which one process at a time has open.
///
/// Every commit waits for the disk. After a crash the file opens at once, however large it is.
pub struct RedbDatabase(redb::Database);

impl RedbDatabase {
    /// The name that the file has in a vendor's folder.
    pub const FILE: &'static str = "authority.redb";

    /// Makes a database in a file that must not exist yet and that its owner alone may read.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        files::write_new(path, &[], Secrecy::Secret)?;
        let fail = |error: StoreError| FileError::new(path, "cannot create", error);
        let database = redb::Database::create(path).map_err(|error| fail(error.into()))?;
        let database = Self(database);
        let set_format = |transaction: &mut Transaction<'_>| transaction.set_format();
        database.write_tables(set_format).map_err(fail)?;
        Ok(database)
    }

    /// Opens the database of a file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let fail = |error: StoreError| {
            let action = match error {
                StoreError::Format(_) => "cannot understand",
                _ => "cannot open",
            };
            FileError::new(path, action, error)
        };
        let database = redb::Database::open(path).map_err(|error| fail(error.into()))?;
        let database = Self(database);
        database.format().map_err(fail)?;
        Ok(database)
    }

    fn format(&self) -> Result<(), StoreError> {
        let counters = self.reading()?.open_table(COUNTERS)?;
        match counters.get(FORMAT_COUNTER)?.map(|format| format.value()) {
            Some(FORMAT) => Ok(()),
            other => Err(StoreError::Format(other.unwrap_or(0))),
        }
    }

    fn write_tables<T>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> T,
    ) -> Result<T, StoreError> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // Opening after a crash must not take time that grows with the file.
        transaction.set_quick_repair(true);
        let mut records = Transaction::new(Tables::open(&transaction)?);
        let result = work(&mut records);
        // A repetition or a refusal, of which anybody who holds a key can send many, costs no sync.
        if records.finish()? {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok(result)
    }

    fn reading(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.0.begin_read()?)
    }
}

impl Database for RedbDatabase {
    type Error = StoreError;

    fn write<T>(
        &self,
        work: impl FnOnce(&mut dyn Records<Error = StoreError>) -> T,
    ) -> Result<T, StoreError> {
        self.write_tables(|transaction| work(transaction))
    }

    fn key(&self, KeyId(id): KeyId) -> Result<Option<(KeyRecord, KeyUsage)>, StoreError> {
        let transaction = self.reading()?;
        let Some(row) = transaction.open_table(KEYS)?.get(id)? else { return Ok(None) };
        let usage = usage_of(id, &transaction.open_table(USAGE)?)?;
        Ok(Some((decode(row.value())?, usage)))
    }

    fn keys(
        &self,
        after: Option<KeyId>,
        most: usize,
    ) -> Result<Vec<(KeyRecord, KeyUsage)>, StoreError> {
        let transaction = self.reading()?;
        let (keys, usage) = (transaction.open_table(KEYS)?, transaction.open_table(USAGE)?);
        let begin = after.map_or(Bound::Unbounded, |KeyId(after)| Bound::Excluded(after));
        let rows = keys.range((begin, Bound::Unbounded))?.take(most);
        rows.map(|entry| {
            let (id, row) = entry?;
            Ok((decode(row.value())?, usage_of(id.value(), &usage)?))
        })
        .collect()
    }

    fn enrolments(
        &self,
        key_id: Option<KeyId>,
        after: Option<&EnrolmentRecord>,
        most: usize,
    ) -> Result<Vec<EnrolmentRecord>, StoreError> {
        let (first, last) = of_key(key_id);
        let begin = after.map_or(Bound::Included((first, [0; 32], 0)), |after| {
            Bound::Excluded((after.key_id, after.public_key, after.activation))
        });
        let end = Bound::Included((last, [0xff; 32], u32::MAX));
        let table = self.reading()?.open_table(ENROLMENTS)?;
        let rows = table.range((begin, end))?.take(most);
        rows.map(|entry| decode(entry?.1.value())).collect()
    }

    fn machines(
        &self,
        key_id: Option<KeyId>,
        after: Option<&MachineRecord>,
        most: usize,
    ) -> Result<Vec<MachineRecord>, StoreError> {
        let (first, last) = of_key(key_id);
        let begin = after.map_or(Bound::Included((first, 0)), |after| {
            Bound::Excluded((after.key_id, after.place))
        });
        let end = Bound::Included((last, u32::MAX));
        let table = self.reading()?.open_table(MACHINES)?;
        let rows = table.range((begin, end))?.take(most);
        rows.map(|entry| decode(entry?.1.value()).map(|row: MachineRow| row.record)).collect()
    }
}

impl fmt::Debug for RedbDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbDatabase")
    }
}

fn usage_of(
    key_id: u32,
    usage: &impl ReadableTable<u32, (u32, u32, u32)>,
) -> Result<KeyUsage, StoreError> {
    let (hosts, machines, _) = usage.get(key_id)?.map(|used| used.value()).unwrap_or_default();
    Ok(KeyUsage { hosts, machines })
}

/// The first and the last number of the keys that are wanted.
fn of_key(key_id: Option<KeyId>) -> (u32, u32) {
    key_id.map_or((0, u32::MAX), |KeyId(id)| (id, id))
}
