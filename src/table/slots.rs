//! The store under the table: records that are found by CMID and kept in the order in which they
//! were last seen. It knows no time, no limit and no policy.
//!
//! Three structures share the same slot numbers:
//!
//! - a hash index: `heads` holds the first slot of each bucket, `Slot::chain` the next one;
//! - a doubly linked list from the oldest record to the newest, through `newer` and `older`;
//! - the free slots, linked through `chain`, and behind them those never used yet.
//!
//! Links stand beside their record, not in arrays of their own: in a large table the time goes
//! into cache misses, and so there is one place less to fetch.
//!
//! A link that leads nowhere, which only a bug or broken memory can bring about, ends a walk early
//! and nothing worse: links are looked up with `get`, and no walk is longer than the capacity.

use core::iter;
use core::num::NonZeroU32;

use crate::fingerprint::Fingerprint;
use crate::time::EpochMinute;

/// A record as it is kept. The CMID is in its raw form so that an empty slot is a constant.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) cmid: [u8; 16],
    pub(super) fingerprint: Fingerprint,
    pub(super) last_seen: EpochMinute,
}

impl Stored {
    const EMPTY: Self =
        Self { cmid: [0; 16], fingerprint: Fingerprint::EMPTY, last_seen: EpochMinute(0) };
}

/// A slot's number, from one: so `Link::None` is zero and empty slots are zero bytes throughout,
/// which lets a large static table cost no space in an executable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Index(NonZeroU32);

type Link = Option<Index>;

impl Index {
    fn new(position: u32) -> Link {
        position.checked_add(1).and_then(NonZeroU32::new).map(Self)
    }

    fn position(self) -> usize {
        self.0.get().wrapping_sub(1) as usize
    }
}

#[derive(Clone, Copy)]
struct Slot {
    record: Stored,
    /// Kept so that a record can leave its bucket without being hashed again.
    hash: u32,
    /// The next slot of the same bucket, or the next free one.
    chain: Link,
    older: Link,
    newer: Link,
}

impl Slot {
    const EMPTY: Self =
        Self { record: Stored::EMPTY, hash: 0, chain: None, older: None, newer: None };
}

/// Up to `N` records. Everything takes constant time except `clear`, `rehash` and a whole walk.
pub(super) struct Slots<const N: usize> {
    heads: [Link; N],
    entries: [Slot; N],
    oldest: Link,
    newest: Link,
    free: Link,
    /// Slots from this one on were never used.
    untouched: u32,
    len: u32,
}

impl<const N: usize> Slots<N> {
    /// All bytes of this value are zero.
    pub(super) const EMPTY: Self = {
        assert!(N >= 1, "a table needs room for one record");
        assert!(N < u32::MAX as usize, "slot numbers are 32 bits");
        Self {
            heads: [None; N],
            entries: [Slot::EMPTY; N],
            oldest: None,
            newest: None,
            free: None,
            untouched: 0,
            len: 0,
        }
    };

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn oldest(&self) -> Option<Index> {
        self.oldest
    }

    pub(super) fn record(&self, index: Index) -> Option<&Stored> {
        self.slot(index).map(|slot| &slot.record)
    }

    pub(super) fn find(&self, hash: u32, cmid: &[u8; 16]) -> Option<Index> {
        let mut bucket = self.bucket(hash);
        bucket.find(|(_, slot)| slot.record.cmid == *cmid).map(|(index, _)| index)
    }

    /// Adds a record as the newest, whose CMID must not be in yet. `false` when all slots are full.
    pub(super) fn push(&mut self, hash: u32, record: Stored) -> bool {
        let Some(index) = self.take_free() else { return false };
        if let Some(slot) = self.slot_mut(index) {
            slot.record = record;
        }
        self.len = self.len.saturating_add(1);
        self.enter_bucket(index, hash);
        self.append(index);
        true
    }

    /// Replaces the record with the same CMID and makes it the newest.
    pub(super) fn renew(&mut self, index: Index, record: Stored) {
        if let Some(slot) = self.slot_mut(index) {
            slot.record = record;
        }
        if self.newest != Some(index) {
            self.unlink(index);
            self.append(index);
        }
    }

    pub(super) fn remove(&mut self, index: Index) -> Option<Stored> {
        let record = *self.record(index)?;
        self.leave_bucket(index);
        self.unlink(index);
        let free = self.free;
        if let Some(slot) = self.slot_mut(index) {
            *slot = Slot { chain: free, ..Slot::EMPTY };
        }
        self.free = Some(index);
        self.len = self.len.saturating_sub(1);
        Some(record)
    }

    pub(super) fn clear(&mut self) {
        self.heads.fill(None);
        (self.oldest, self.newest, self.free) = (None, None, None);
        (self.untouched, self.len) = (0, 0);
    }

    /// Builds the index anew for another hash function.
    pub(super) fn rehash(&mut self, hash: impl Fn(&[u8; 16]) -> u32) {
        self.heads.fill(None);
        let mut next = self.oldest;
        for _ in 0..N {
            let Some(index) = next else { break };
            let Some(slot) = self.slot(index) else { break };
            next = slot.newer;
            let hash = hash(&slot.record.cmid);
            self.enter_bucket(index, hash);
        }
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &Stored> {
        self.walk(self.oldest, |slot| slot.newer).map(|(_, slot)| &slot.record)
    }

    fn slot(&self, index: Index) -> Option<&Slot> {
        self.entries.get(index.position())
    }

    fn slot_mut(&mut self, index: Index) -> Option<&mut Slot> {
        self.entries.get_mut(index.position())
    }

    fn head_mut(&mut self, hash: u32) -> Option<&mut Link> {
        self.heads.get_mut(Self::bucket_number(hash))
    }

    /// Scales the hash to the number of buckets: cheaper than a remainder, and as even.
    fn bucket_number(hash: u32) -> usize {
        (u64::from(hash).wrapping_mul(N as u64) >> 32) as usize
    }

    fn bucket(&self, hash: u32) -> impl Iterator<Item = (Index, &Slot)> {
        let head = self.heads.get(Self::bucket_number(hash)).copied().flatten();
        self.walk(head, |slot| slot.chain)
    }

    fn walk(
        &self,
        from: Link,
        next: impl Fn(&Slot) -> Link,
    ) -> impl Iterator<Item = (Index, &Slot)> {
        let mut at = from;
        let steps = iter::from_fn(move || {
            let index = at?;
            let slot = self.slot(index)?;
            at = next(slot);
            Some((index, slot))
        });
        steps.take(N)
    }

    fn take_free(&mut self) -> Link {
        if let Some(index) = self.free {
            self.free = self.slot(index)?.chain;
            return Some(index);
        }
        let index = Index::new(self.untouched).filter(|index| index.position() < N)?;
        self.untouched = self.untouched.saturating_add(1);
        Some(index)
    }

    fn enter_bucket(&mut self, index: Index, hash: u32) {
        let Some(head) = self.head_mut(hash) else { return };
        let chain = head.replace(index);
        if let Some(slot) = self.slot_mut(index) {
            (slot.hash, slot.chain) = (hash, chain);
        }
    }

    fn leave_bucket(&mut self, index: Index) {
        let Some(&Slot { hash, chain, .. }) = self.slot(index) else { return };
        if let Some(head) = self.head_mut(hash).filter(|head| **head == Some(index)) {
            *head = chain;
            return;
        }
        let before = self.bucket(hash).find(|(_, slot)| slot.chain == Some(index));
        let before = before.map(|(before, _)| before);
        if let Some(slot) = before.and_then(|before| self.slot_mut(before)) {
            slot.chain = chain;
        }
    }

    fn append(&mut self, index: Index) {
        let older = self.newest.replace(index);
        if let Some(slot) = self.slot_mut(index) {
            (slot.older, slot.newer) = (older, None);
        }
        match older.and_then(|older| self.slot_mut(older)) {
            Some(older) => older.newer = Some(index),
            None => self.oldest = Some(index),
        }
    }

    fn unlink(&mut self, index: Index) {
        let Some(&Slot { older, newer, .. }) = self.slot(index) else { return };
        match older.and_then(|older| self.slot_mut(older)) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.slot_mut(newer)) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
impl<const N: usize> Slots<N> {
    /// Walks all structures and compares them with each other.
    pub(super) fn check(&self, hash: impl Fn(&[u8; 16]) -> u32) {
        let mut older = None;
        let mut listed = 0;
        let mut at = self.oldest;
        while let Some(index) = at {
            let slot = self.slot(index).unwrap();
            let record = self.record(index).unwrap();
            assert!(slot.older == older, "back links mirror forward links");
            assert_eq!(slot.hash, hash(&record.cmid));
            assert!(self.find(slot.hash, &record.cmid) == Some(index), "listed records are found");
            listed += 1;
            assert!(listed <= self.len, "the list has an end");
            (older, at) = (Some(index), slot.newer);
        }
        assert!(self.newest == older);
        assert_eq!(listed, self.len);

        let mut indexed = 0;
        for (number, head) in self.heads.iter().enumerate() {
            let mut at = *head;
            while let Some(index) = at {
                let slot = self.slot(index).unwrap();
                assert_eq!(Self::bucket_number(slot.hash), number);
                indexed += 1;
                assert!(indexed <= self.len, "chains have an end");
                at = slot.chain;
            }
        }
        assert_eq!(indexed, self.len);

        let mut free = 0;
        let mut at = self.free;
        while let Some(index) = at {
            free += 1;
            assert!(free <= self.untouched, "the free chain has an end");
            at = self.slot(index).unwrap().chain;
        }
        assert_eq!(free + self.len, self.untouched, "every used slot is either listed or free");
    }

    /// Sets one of all the links and numbers to an arbitrary value.
    pub(super) fn damage(&mut self, position: usize, field: u8, value: u32) {
        let link = NonZeroU32::new(value).map(Index);
        let slot = &mut self.entries[position % N];
        match field % 10 {
            0 => slot.chain = link,
            1 => slot.older = link,
            2 => slot.newer = link,
            3 => slot.hash = value,
            4 => self.heads[position % N] = link,
            5 => self.oldest = link,
            6 => self.newest = link,
            7 => self.free = link,
            8 => self.untouched = value,
            _ => self.len = value,
        }
    }
}
