//! What a host's snapshot says, for people who look at it without the host's configuration.

use super::counters::{HostCounters, PoolCounters};
use super::snapshot::{HEADER_LEN, POOL_LEN, RECORD_LEN, parse_counters, parse_record};
use crate::cursor::Reader;
use crate::storage::Corrupt;
use crate::time::{EpochMinute, UnixTime};
use crate::wire::CountedId;

/// What a snapshot says of the host as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SnapshotSummary {
    /// The tables' own time when it was taken; the records' ages are measured against it.
    pub minute: EpochMinute,
    /// The calendar when it was taken; `None` on a host that had none.
    pub taken_at: Option<UnixTime>,
    /// What the host was asked.
    pub counters: HostCounters,
    /// How many pools follow.
    pub pools: u16,
}

/// What a snapshot says of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PoolSummary {
    /// Where it begins, counted from the start of the snapshot.
    pub offset: usize,
    /// Which pool.
    pub counted_id: CountedId,
    /// What it was asked.
    pub counters: PoolCounters,
    /// How many records its table keeps; 0 when nobody has asked yet.
    pub limit: u32,
    /// How many records there are, machines that have not asked for 30 days included.
    pub records: u32,
    /// The record seen longest ago.
    pub oldest: Option<EpochMinute>,
    /// The record seen last.
    pub newest: Option<EpochMinute>,
}

/// Reads a host's snapshot (the payload of its [`Image`](crate::storage::Image)). `pool` is called
/// for each pool up to the first that breaks a rule, and so may have been called when there is an
/// error in the end.
pub fn describe_snapshot(
    snapshot: &[u8],
    mut pool: impl FnMut(&SnapshotSummary, &PoolSummary),
) -> Result<SnapshotSummary, Corrupt> {
    let mut reader = Reader::new(snapshot);
    let minute = EpochMinute(reader.u32());
    let taken_at = reader.u64();
    let mut counters = HostCounters { granted: reader.u32(), ..HostCounters::default() };
    for counter in counters.refused.iter_mut().chain(&mut counters.silent) {
        *counter = reader.u32();
    }
    let taken_at = (taken_at != 0).then_some(UnixTime::from_secs(taken_at));
    let summary = SnapshotSummary { minute, taken_at, counters, pools: reader.u16() };
    let mut offset = HEADER_LEN;
    for _ in 0..summary.pools {
        let found = describe_pool(&mut reader, offset)?;
        pool(&summary, &found);
        let records = (found.records as usize).saturating_mul(RECORD_LEN);
        offset = offset.saturating_add(POOL_LEN).saturating_add(records);
    }
    reader.finish().map(|()| summary)
}

fn describe_pool(reader: &mut Reader<'_>, offset: usize) -> Result<PoolSummary, Corrupt> {
    let counted_id = CountedId(reader.array());
    let counters = parse_counters(reader);
    let (limit, records) = (reader.u32(), reader.u32());
    reader.so_far()?;
    let (mut oldest, mut newest) = (None, None);
    for _ in 0..records {
        let seen = parse_record(reader)?.last_seen;
        oldest = oldest.or(Some(seen));
        newest = Some(seen);
    }
    Ok(PoolSummary { offset, counted_id, counters, limit, records, oldest, newest })
}
