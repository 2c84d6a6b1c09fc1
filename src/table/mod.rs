//! The table of client machine ids: what a host counts (PROTOCOL 10).
//!
//! One table per pool, of fixed capacity. It promises that the same CMID is never counted twice,
//! that a record is gone 30 days after its machine was last seen, and that nothing a client sends
//! can make an operation slow: CMIDs are chosen by clients, so they are hashed with a secret key.

mod slots;

use core::fmt;
use core::num::NonZeroU32;

use self::slots::{Index, Slots, Stored};
use crate::fingerprint::{Fingerprint, Matching};
use crate::keyed_hash::keyed_hash;
use crate::time::{EpochMinute, Minutes};
use crate::wire::Cmid;

/// How long a record lives after its machine was last seen: 30 days, 43,200 minutes (PROTOCOL 10).
/// At exactly this age it is gone.
pub const RECORD_LIFE: Minutes = Minutes::from_days(30);

const _: () = assert!(RECORD_LIFE.0 == 43_200);
const _: () = assert!(size_of::<CmidTable<50>>() == 50 * 56 + 44);

/// The machines of one pool, at most `N` of them (PROTOCOL 10). `N` is 1 to 4,294,967,294; zero
/// does not compile:
///
/// ```compile_fail,E0080
/// headcount::table::CmidTable::<0>::new([0; 16]);
/// ```
///
/// # Time
///
/// The table takes the time as minutes on any scale whose start never changes, `u32` wide. Its own
/// time never runs backwards: an earlier `now` counts as the latest one it was ever given. So a
/// clock that is set back would keep records alive for too long, and one that is set far ahead
/// would drop them all; feed it minutes that follow a monotonic clock.
///
/// # Cost
///
/// [`observe`](Self::observe) and [`expire`](Self::expire) take constant time whatever `N` is,
/// apart from the records that expire: each of those costs constant time once. 56 bytes per record
/// and 44 more: 2.8 KiB for 50 records.
///
/// # Large tables
///
/// The empty table with an all-zero key consists of zero bytes, so a `static` one takes no space in
/// an executable, however large. Give it a random key at start:
///
/// ```
/// use std::sync::Mutex;
///
/// use headcount::table::CmidTable;
///
/// static TABLE: Mutex<CmidTable<65_536>> = Mutex::new(CmidTable::new([0; 16]));
///
/// fn start(random: [u8; 16]) {
///     TABLE.lock().unwrap().rekey(random);
/// }
/// # start([7; 16]);
/// ```
///
/// `Box::new` of a large table may build it on the stack first, and does so without optimisation.
/// A thread with a large enough stack can make it and hand the box over:
///
/// ```
/// use std::thread;
///
/// use headcount::table::CmidTable;
///
/// let build = || Box::new(CmidTable::<65_536>::new([7; 16]));
/// let builder = thread::Builder::new().stack_size(8 * size_of::<CmidTable<65_536>>());
/// let table = builder.spawn(build)?.join().expect("building does not panic");
/// assert_eq!(table.capacity(), 65_536);
/// # std::io::Result::Ok(())
/// ```
pub struct CmidTable<const N: usize> {
    key: [u8; 16],
    /// Zero until somebody asked; from then on at least 1, and never less than `slots.len()`.
    limit: u32,
    /// The table's own time.
    latest: EpochMinute,
    slots: Slots<N>,
}

impl<const N: usize> CmidTable<N> {
    /// An empty table that nobody has asked yet. `hash_key` should be random and secret: whoever
    /// knows it can choose CMIDs that make operations slow (never wrong).
    #[must_use]
    pub const fn new(hash_key: [u8; 16]) -> Self {
        Self { key: hash_key, limit: 0, latest: EpochMinute(0), slots: Slots::EMPTY }
    }

    /// Changes the hash key and keeps all records. Time proportional to `N`.
    pub fn rekey(&mut self, hash_key: [u8; 16]) {
        self.key = hash_key;
        self.slots.rehash(|cmid| hash(&hash_key, cmid));
    }

    /// Forgets all records, the limit and the time, but not the hash key. Time proportional to `N`.
    pub fn clear(&mut self) {
        (self.limit, self.latest) = (0, EpochMinute(0));
        self.slots.clear();
    }

    /// Machines counted now, 0 to [`limit`](Self::limit); `None` when nobody has asked yet, which
    /// people are shown as −1 (PROTOCOL 10). Records that have aged since the last operation are
    /// included: call [`expire`](Self::expire) first.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        (self.limit > 0).then(|| self.slots.len())
    }

    /// How many records the table keeps now: twice the highest required count so far, at most the
    /// capacity (PROTOCOL 10). Never shrinks; 0 when nobody has asked yet.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// How many records the table can keep: `N`.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        N as u32
    }

    /// Counts one request's machine (PROTOCOL 10): drops what has expired, raises the limit, renews
    /// or adds the record, and makes room where it must. `matching` is the product's rule of which
    /// fingerprints are of one machine (PROTOCOL 8). Constant time, except for what expires.
    ///
    /// Observing the same sighting again renews it and leaves the count as it is.
    pub fn observe(
        &mut self,
        now: EpochMinute,
        sighting: &Sighting,
        matching: &Matching,
    ) -> Observation {
        let expired = self.expire(now);
        self.limit = self.limit.max(self.limit_for(sighting.required_count));

        let hash = self.hash(&sighting.cmid);
        let known = self.slots.find(hash, sighting.cmid.as_bytes());
        let fresh = Stored {
            cmid: *sighting.cmid.as_bytes(),
            fingerprint: sighting.fingerprint,
            last_seen: self.latest,
        };
        let duplicate =
            known.is_some_and(|known| !self.matches(known, &fresh.fingerprint, matching));
        // The request's own record is about to be replaced: it is never the one to drop.
        let previous = sighting.previous_cmid.filter(|previous| *previous != sighting.cmid);
        let dropped =
            previous.is_some_and(|cmid| self.drop_previous(&cmid, &fresh.fingerprint, matching));

        let change = if let Some(known) = known {
            self.slots.renew(known, fresh);
            Change::Renewed { duplicate }
        } else {
            let evicted = self.make_room();
            self.slots.push(hash, fresh);
            Change::Added { evicted }
        };
        Observation { count: self.slots.len(), limit: self.limit, change, dropped, expired }
    }

    /// Drops the records that have reached [`RECORD_LIFE`] and says how many those were. Constant
    /// time for each.
    pub fn expire(&mut self, now: EpochMinute) -> u32 {
        self.latest = self.latest.max(now);
        let mut expired: u32 = 0;
        for _ in 0..N {
            let Some(oldest) = self.slots.oldest() else { break };
            let age = self.slots.record(oldest).map(|record| self.age(record));
            if age.is_none_or(|age| age < RECORD_LIFE) || self.slots.remove(oldest).is_none() {
                break;
            }
            expired = expired.saturating_add(1);
        }
        expired
    }

    /// All records, the one seen longest ago first; of two seen in the same minute, the one
    /// recorded first. With [`limit`](Self::limit), what a snapshot needs.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.slots.oldest_first().filter_map(|stored| {
            Some(Record {
                cmid: Cmid::new(stored.cmid)?,
                fingerprint: stored.fingerprint,
                last_seen: stored.last_seen,
            })
        })
    }

    /// Replaces the content by a snapshot: a limit, 0 to the capacity, and records in the order of
    /// [`records`](Self::records). The latest record's time becomes the table's time. Constant time
    /// for each record and time proportional to `N` once.
    ///
    /// # Errors
    ///
    /// A snapshot that no table can have made; the table is then [cleared](Self::clear).
    pub fn restore(
        &mut self,
        limit: u32,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<(), RestoreError> {
        self.clear();
        let result = self.restore_cleared(limit, records);
        if result.is_err() {
            self.clear();
        }
        result
    }

    fn restore_cleared(
        &mut self,
        limit: u32,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<(), RestoreError> {
        let capacity = self.capacity();
        if limit > capacity {
            return Err(RestoreError::LimitAboveCapacity { limit, capacity });
        }
        self.limit = limit;
        for record in records {
            let position = self.slots.len();
            if position >= limit {
                return Err(RestoreError::TooManyRecords { limit });
            }
            if record.last_seen < self.latest {
                return Err(RestoreError::OutOfOrder { position });
            }
            let hash = self.hash(&record.cmid);
            let cmid = *record.cmid.as_bytes();
            if self.slots.find(hash, &cmid).is_some() {
                return Err(RestoreError::Duplicate { position });
            }
            self.latest = record.last_seen;
            let Record { fingerprint, last_seen, .. } = record;
            self.slots.push(hash, Stored { cmid, fingerprint, last_seen });
        }
        Ok(())
    }

    fn hash(&self, cmid: &Cmid) -> u32 {
        hash(&self.key, cmid.as_bytes())
    }

    fn age(&self, record: &Stored) -> Minutes {
        Minutes(self.latest.0.saturating_sub(record.last_seen.0))
    }

    fn limit_for(&self, required_count: NonZeroU32) -> u32 {
        required_count.get().saturating_mul(2).min(self.capacity())
    }

    fn matches(&self, index: Index, fingerprint: &Fingerprint, matching: &Matching) -> bool {
        let record = self.slots.record(index);
        record.is_some_and(|record| matching.same_machine(&record.fingerprint, fingerprint))
    }

    fn drop_previous(
        &mut self,
        previous: &Cmid,
        fingerprint: &Fingerprint,
        matching: &Matching,
    ) -> bool {
        let record = self.slots.find(self.hash(previous), previous.as_bytes());
        let same_machine = record.filter(|index| self.matches(*index, fingerprint, matching));
        same_machine.and_then(|index| self.slots.remove(index)).is_some()
    }

    /// One record at most has to go: there are never more than the limit.
    fn make_room(&mut self) -> Option<Cmid> {
        let oldest = self.slots.oldest().filter(|_| self.slots.len() >= self.limit)?;
        self.slots.remove(oldest).and_then(|record| Cmid::new(record.cmid))
    }
}

fn hash(key: &[u8; 16], cmid: &[u8; 16]) -> u32 {
    keyed_hash(key, cmid) as u32
}

/// Shows count, limit and capacity, neither CMIDs nor the key.
impl<const N: usize> fmt::Debug for CmidTable<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CmidTable")
            .field("count", &self.count())
            .field("limit", &self.limit())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for CmidTable<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (count, limit) = (self.count(), self.limit());
        defmt::write!(f, "CmidTable {{ count: {}, limit: {}, capacity: {} }}", count, limit, N);
    }
}

/// What a request says that matters to the count (PROTOCOL 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sighting {
    /// The count that the product needs; the table keeps twice as many records.
    pub required_count: NonZeroU32,
    /// The machine.
    pub cmid: Cmid,
    /// The CMID it had before it rearmed.
    pub previous_cmid: Option<Cmid>,
    /// Its hardware.
    pub fingerprint: Fingerprint,
}

/// What [`CmidTable::observe`] did and what to answer.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Observation {
    /// Machines counted now, this one included: 1 to `limit`.
    pub count: u32,
    /// How many records the table keeps now: 1 to its capacity.
    pub limit: u32,
    /// What became of the machine's own record.
    pub change: Change,
    /// Whether the record of the previous CMID was dropped, because the machine rearmed.
    pub dropped: bool,
    /// How many records had expired before.
    pub expired: u32,
}

impl Observation {
    /// Whether the answer must say that two machines share this CMID (PROTOCOL 8).
    #[must_use]
    pub const fn duplicate(&self) -> bool {
        matches!(self.change, Change::Renewed { duplicate: true })
    }
}

/// What became of the observed machine's own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Change {
    /// The CMID was unknown and now has a record.
    Added {
        /// Whose record made room for it: of the machine seen longest ago.
        evicted: Option<Cmid>,
    },
    /// The CMID was known; its record was replaced, fingerprint included.
    Renewed {
        /// The recorded fingerprint did not match: two machines share this CMID (PROTOCOL 8).
        duplicate: bool,
    },
}

/// One machine of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Record {
    /// The machine.
    pub cmid: Cmid,
    /// Its hardware as last seen.
    pub fingerprint: Fingerprint,
    /// When it was last seen, in the table's time.
    pub last_seen: EpochMinute,
}

/// Why [`CmidTable::restore`] refuses a snapshot. Positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RestoreError {
    /// The snapshot is of a larger table.
    LimitAboveCapacity {
        /// The snapshot's limit.
        limit: u32,
        /// This table's capacity.
        capacity: u32,
    },
    /// There are more records than the snapshot's limit allows.
    TooManyRecords {
        /// The snapshot's limit.
        limit: u32,
    },
    /// A CMID occurs twice.
    Duplicate {
        /// Position of its second record.
        position: u32,
    },
    /// A record was last seen before the one in front of it.
    OutOfOrder {
        /// Its position.
        position: u32,
    },
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LimitAboveCapacity { limit, capacity } => {
                write!(
                    f,
                    "snapshot of a table of {limit} records, this one has room for {capacity}"
                )
            }
            Self::TooManyRecords { limit } => {
                write!(f, "snapshot has more records than its limit of {limit}")
            }
            Self::Duplicate { position } => {
                write!(f, "record {position} of the snapshot repeats a client machine id")
            }
            Self::OutOfOrder { position } => {
                write!(f, "record {position} of the snapshot is older than the one before it")
            }
        }
    }
}

impl core::error::Error for RestoreError {}

#[cfg(test)]
mod tests;
