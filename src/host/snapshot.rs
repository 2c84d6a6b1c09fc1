//! All that requests change in a host, its records and counters, as bytes and back. Its certificate
//! is the program's to keep: it changes only when somebody enrols.
//!
//! Only the records in use are written, so a snapshot is as long as the pools are full, at most
//! [`Host::snapshot_capacity`]. The envelope that makes it safe on a disk or in flash is
//! [`storage`](crate::storage)'s.

use core::fmt;

use super::counters::{HostCounters, PoolCounters};
use super::pool::Pool;
use super::{Host, TableTime};
use crate::cursor::{Reader, Writer};
use crate::fingerprint::Fingerprint;
use crate::storage::Corrupt;
use crate::table::{Record, RestoreError};
use crate::time::{EpochMinute, Now, UnixTime};
use crate::wire::{Cmid, CountedId};

pub(super) const RECORD_LEN: usize = 16 + 16 + 4;
pub(super) const POOL_LEN: usize = 16 + 10 * 4 + 2 * 4;
pub(super) const HEADER_LEN: usize = 4 + 8 + 16 * 4 + 2;

/// The buffer is too short for the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SnapshotTooLong {
    /// Bytes that it takes now.
    pub needed: usize,
}

/// What became of a snapshot's pools.
#[must_use]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Restored {
    /// Pools whose state is back.
    pub pools: u16,
    /// Pools of the snapshot that the host no longer has; their state is gone.
    pub unknown: u16,
    /// Records that did not fit into a table that is now smaller; the oldest were left out.
    pub left_out: u32,
}

/// Why a snapshot was not taken over. The host then starts empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RestoreFailure {
    /// Not a snapshot, or cut short.
    Corrupt(Corrupt),
    /// A pool's records are none that a table can have held.
    Table(RestoreError),
}

impl<const RECORDS: usize, const SOURCES: usize> Host<'_, RECORDS, SOURCES> {
    /// Bytes that a snapshot takes when all of `pools` pools are full.
    #[must_use]
    pub const fn snapshot_capacity(pools: usize) -> usize {
        let pool = RECORDS.saturating_mul(RECORD_LEN).saturating_add(POOL_LEN);
        pools.saturating_mul(pool).saturating_add(HEADER_LEN)
    }

    /// Writes records and counters to the start of `buffer` and says how long that is.
    ///
    /// # Errors
    ///
    /// The buffer is too short; what it then holds is no snapshot.
    pub fn snapshot(&mut self, now: Now, buffer: &mut [u8]) -> Result<usize, SnapshotTooLong> {
        let minute = self.table_time.minute(now);
        let mut writer = Writer::new(buffer);
        let calendar = self.table_time.calendar(now);
        writer.u32(minute.0).u64(calendar.as_secs()).u32(self.counters.granted);
        for counter in self.counters.refused.iter().chain(&self.counters.silent) {
            writer.u32(*counter);
        }
        writer.u16(self.pools.len() as u16);
        for pool in &*self.pools {
            emit_pool(&mut writer, pool);
        }
        writer.written().map_err(|needed| SnapshotTooLong { needed })
    }

    /// Takes over a snapshot, before the first request. The time the host was down counts for the
    /// records' age as soon as the calendar tells it, be it later: a host without a clock answers
    /// nobody, so none of them counts for too long.
    ///
    /// # Errors
    ///
    /// The snapshot is damaged. The host is then as it was made: empty.
    pub fn restore(&mut self, now: Now, snapshot: &[u8]) -> Result<Restored, RestoreFailure> {
        let result = self.try_restore(now, snapshot);
        if result.is_err() {
            self.counters = HostCounters::default();
            self.table_time = TableTime::Unset;
            for pool in &mut *self.pools {
                pool.table.clear();
                pool.counters = PoolCounters::default();
            }
        }
        result
    }

    fn try_restore(&mut self, now: Now, snapshot: &[u8]) -> Result<Restored, RestoreFailure> {
        let mut reader = Reader::new(snapshot);
        let minute = EpochMinute(reader.u32());
        let taken_at = UnixTime::from_secs(reader.u64());
        self.counters.granted = reader.u32();
        for counter in self.counters.refused.iter_mut().chain(&mut self.counters.silent) {
            *counter = reader.u32();
        }
        let mut restored = Restored::default();
        for _ in 0..reader.u16() {
            self.restore_pool(&mut reader, &mut restored)?;
        }
        reader.finish()?;
        // Without a calendar when it was taken, nothing is known of the time between.
        let saved_at = (taken_at != UnixTime::default()).then_some(taken_at);
        self.table_time = TableTime::Running { minute, since: now.monotonic, saved_at };
        self.table_time.minute(now);
        Ok(restored)
    }

    fn restore_pool(
        &mut self,
        reader: &mut Reader<'_>,
        restored: &mut Restored,
    ) -> Result<(), RestoreFailure> {
        let counted_id = CountedId(reader.array());
        let counters = parse_counters(reader);
        let limit = reader.u32();
        let count = reader.u32();
        reader.so_far()?;
        let pool = self.pools.iter_mut().find(|pool| pool.counted_id == counted_id);
        let Some(pool) = pool else {
            for _ in 0..count {
                parse_record(reader)?;
            }
            restored.unknown = restored.unknown.saturating_add(1);
            return Ok(());
        };
        // Fewer than before may fit here; no table ever held more than its own limit.
        if count > limit {
            return Err(RestoreFailure::Table(RestoreError::TooManyRecords { limit }));
        }
        let limit = limit.min(pool.table.capacity());
        let left_out = count.saturating_sub(limit);
        for _ in 0..left_out {
            parse_record(reader)?;
        }
        let records = (left_out..count).map_while(|_| parse_record(reader).ok());
        let result = pool.table.restore(limit, records);
        reader.so_far()?;
        result.map_err(RestoreFailure::Table)?;
        pool.counters = counters;
        restored.pools = restored.pools.saturating_add(1);
        restored.left_out = restored.left_out.saturating_add(left_out);
        Ok(())
    }
}

fn emit_pool<const N: usize>(writer: &mut Writer<'_>, pool: &Pool<'_, N>) {
    let PoolCounters { requests, failed, required_count, by_licence_status } = &pool.counters;
    writer.put(&pool.counted_id.0).u32(*requests).u32(*failed).u32(*required_count);
    for counter in by_licence_status {
        writer.u32(*counter);
    }
    // Never asked (no count) and nobody left (count 0) differ in the limit.
    writer.u32(pool.table.limit()).u32(pool.table.count().unwrap_or(0));
    for record in pool.table.records() {
        writer
            .put(record.cmid.as_bytes())
            .put(&record.fingerprint.to_bytes())
            .u32(record.last_seen.0);
    }
}

pub(super) fn parse_counters(reader: &mut Reader<'_>) -> PoolCounters {
    let mut counters = PoolCounters {
        requests: reader.u32(),
        failed: reader.u32(),
        required_count: reader.u32(),
        ..PoolCounters::default()
    };
    for counter in &mut counters.by_licence_status {
        *counter = reader.u32();
    }
    counters
}

pub(super) fn parse_record(reader: &mut Reader<'_>) -> Result<Record, Corrupt> {
    let cmid = reader.checked(Reader::array, Cmid::new);
    let fingerprint = Fingerprint::from_bytes(reader.array());
    let last_seen = EpochMinute(reader.u32());
    reader.so_far()?;
    // Where there is none, the line before has said so.
    let cmid = cmid.ok_or(Corrupt { offset: 0 })?;
    Ok(Record { cmid, fingerprint, last_seen })
}

impl From<Corrupt> for RestoreFailure {
    fn from(corrupt: Corrupt) -> Self {
        Self::Corrupt(corrupt)
    }
}

impl fmt::Display for RestoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt(corrupt) => corrupt.fmt(f),
            Self::Table(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RestoreFailure {}

impl fmt::Display for SnapshotTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state takes {} bytes, more than there is room for", self.needed)
    }
}

impl core::error::Error for SnapshotTooLong {}
