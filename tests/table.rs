//! The table of machines against a naive model (PROTOCOL 10); `vectors.rs` runs the shared traces.

use std::num::NonZeroU32;
use std::sync::Mutex;

use headcount::fingerprint::{Fingerprint, Matching};
use headcount::table::{
    Change, CmidTable, Observation, RECORD_LIFE, Record, RestoreError, Sighting,
};
use headcount::time::EpochMinute;
use headcount::wire::Cmid;
use proptest::prelude::*;

const KEY: [u8; 16] = *b"secret hash key!";

fn cmid(id: u32) -> Cmid {
    let mut bytes = [0xcc; 16];
    bytes[12..].copy_from_slice(&id.to_be_bytes());
    Cmid::new(bytes).unwrap()
}

fn sighting(id: u32, required: u32) -> Sighting {
    Sighting {
        required_count: NonZeroU32::new(required).unwrap(),
        cmid: cmid(id),
        previous_cmid: None,
        fingerprint: Fingerprint::EMPTY,
    }
}

fn observe<const N: usize>(table: &mut CmidTable<N>, minute: u32, seen: &Sighting) -> Observation {
    table.observe(EpochMinute(minute), seen, &Matching::DEFAULT)
}

/// What PROTOCOL 10 says, word by word, in linear time.
#[derive(Default)]
struct Model {
    capacity: u32,
    limit: u32,
    latest: EpochMinute,
    records: Vec<Record>,
}

impl Model {
    fn new(capacity: usize) -> Self {
        Self { capacity: capacity.try_into().unwrap(), ..Self::default() }
    }

    fn expire(&mut self, now: EpochMinute) -> u32 {
        self.latest = self.latest.max(now);
        let before = self.records.len();
        self.records.retain(|record| self.latest.0 - record.last_seen.0 < 43_200);
        (before - self.records.len()).try_into().unwrap()
    }

    fn observe(&mut self, now: EpochMinute, seen: &Sighting, matching: &Matching) -> Observation {
        let expired = self.expire(now);
        self.limit = self.limit.max(seen.required_count.get().saturating_mul(2).min(self.capacity));

        let known = self.records.iter().position(|record| record.cmid == seen.cmid);
        let known = known.map(|position| self.records.remove(position));
        let before = self.records.len();
        self.records.retain(|record| {
            Some(record.cmid) != seen.previous_cmid
                || !matching.same_machine(&record.fingerprint, &seen.fingerprint)
        });
        let dropped = self.records.len() < before;
        let mut evicted = None;
        while self.records.len() >= self.limit as usize {
            // Of equal ones the first, which is the one recorded first.
            let oldest = self.records.iter().min_by_key(|record| record.last_seen).copied();
            evicted = oldest.map(|record| record.cmid);
            self.records.retain(|record| Some(record.cmid) != evicted);
        }
        self.records.push(Record {
            cmid: seen.cmid,
            fingerprint: seen.fingerprint,
            last_seen: self.latest,
        });

        let change = match known {
            Some(known) => {
                assert_eq!(evicted, None);
                let duplicate = !matching.same_machine(&known.fingerprint, &seen.fingerprint);
                Change::Renewed { duplicate }
            }
            None => Change::Added { evicted },
        };
        let count = self.records.len().try_into().unwrap();
        Observation { count, limit: self.limit, change, dropped, expired }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Observe { now: EpochMinute, sighting: Sighting, matching: Matching },
    Expire(EpochMinute),
    Rekey([u8; 16]),
    SaveAndLoad,
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    // Three machines; of each, up to three components are replaced or missing.
    (1_u16..=3, prop::array::uniform8(prop_oneof![5 => Just(None), 1 => (0_u16..2).prop_map(Some)]))
        .prop_map(|(machine, changes)| {
            Fingerprint::new(changes.map(|change| change.unwrap_or(machine * 0x1111)))
        })
}

fn a_sighting() -> impl Strategy<Value = Sighting> {
    let required = prop_oneof![6 => 1_u32..6, 2 => 6_u32..30, 1 => Just(u32::MAX)];
    let previous = prop::option::weighted(0.4, 0_u32..16);
    (required, 0_u32..16, previous, fingerprint()).prop_map(
        |(required, id, previous, fingerprint)| Sighting {
            fingerprint,
            previous_cmid: previous.map(cmid),
            ..sighting(id, required)
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![
        4 => Just(0_i64),
        4 => 1_i64..3_000,
        1 => -5_000_i64..0,
        1 => 43_190_i64..43_210,
    ];
    let matching = prop_oneof![
        2 => Just(Matching::DEFAULT),
        1 => Just(Matching { weights: [4, 2, 2, 1, 1, 1, 0, 0], tolerance: 3 }),
        1 => Just(Matching { weights: [1; 8], tolerance: 0 }),
    ];
    // What the time is, is filled in when the pauses are added up.
    let zero = EpochMinute(0);
    let step = prop_oneof![
        40 => (a_sighting(), matching)
            .prop_map(move |(sighting, matching)| Step::Observe { now: zero, sighting, matching }),
        2 => Just(Step::Expire(zero)),
        1 => any::<[u8; 16]>().prop_map(Step::Rekey),
        1 => Just(Step::SaveAndLoad),
    ];
    let start = prop_oneof![Just(0_i64), Just(29_900_000), Just(i64::from(u32::MAX) - 50_000)];
    (start, prop::collection::vec((pause, step), 1..150)).prop_map(|(mut clock, mut steps)| {
        for (pause, step) in &mut steps {
            clock = (clock + *pause).clamp(0, u32::MAX.into());
            let minute = EpochMinute(clock.try_into().unwrap());
            match step {
                Step::Observe { now, .. } | Step::Expire(now) => *now = minute,
                Step::Rekey(_) | Step::SaveAndLoad => {}
            }
        }
        steps.into_iter().map(|(_, step)| step).collect()
    })
}

fn save_and_load<const N: usize>(table: &CmidTable<N>) -> CmidTable<N> {
    let mut copy = CmidTable::new([0x11; 16]);
    copy.restore(table.limit(), table.records()).unwrap();
    copy
}

fn follow<const N: usize>(steps: &[Step]) {
    let mut table = CmidTable::<N>::new(KEY);
    let mut model = Model::new(N);
    for step in steps {
        match step {
            Step::Observe { now, sighting, matching } => {
                let observation = table.observe(*now, sighting, matching);
                assert_eq!(observation, model.observe(*now, sighting, matching));
                assert!((1..=table.limit()).contains(&observation.count));
            }
            Step::Expire(now) => assert_eq!(table.expire(*now), model.expire(*now)),
            Step::Rekey(key) => table.rekey(*key),
            Step::SaveAndLoad => {
                table = save_and_load(&table);
                model.latest = model.records.last().map_or(EpochMinute(0), |last| last.last_seen);
            }
        }
        assert_eq!(table.limit(), model.limit);
        let count = (model.limit > 0).then_some(model.records.len());
        assert_eq!(table.count().map(|count| count as usize), count);
        assert!(table.records().eq(model.records.iter().copied()));
    }
}

proptest! {
    #[test]
    fn table_does_what_the_model_does(steps in steps()) {
        follow::<1>(&steps);
        follow::<2>(&steps);
        follow::<10>(&steps);
        follow::<50>(&steps);
    }
}

#[test]
fn the_protocols_example_of_two_thresholds() {
    let mut table = CmidTable::<50>::new(KEY);
    assert_eq!((table.count(), table.limit(), table.capacity()), (None, 0, 50));
    for (id, required) in [(1, 25), (2, 25), (3, 25), (4, 5), (5, 5)] {
        assert_eq!(observe(&mut table, 100, &sighting(id, required)).count, id);
    }
    assert_eq!((table.count(), table.limit()), (Some(5), 50));
}

#[test]
fn a_record_is_gone_at_thirty_days_sharp() {
    let mut table = CmidTable::<50>::new(KEY);
    let _ = observe(&mut table, 7, &sighting(1, 25));
    assert_eq!(table.expire(EpochMinute(7 + RECORD_LIFE.0 - 1)), 0);
    assert_eq!(table.expire(EpochMinute(7 + RECORD_LIFE.0)), 1);
    assert_eq!(
        (table.count(), table.limit()),
        (Some(0), 50),
        "somebody did ask, and the limit stays"
    );

    let again = observe(&mut table, 7 + RECORD_LIFE.0, &sighting(1, 25));
    assert_eq!(again.change, Change::Added { evicted: None });
}

#[test]
fn time_does_not_run_backwards() {
    let mut table = CmidTable::<50>::new(KEY);
    let _ = observe(&mut table, 1_000, &sighting(1, 25));
    let _ = observe(&mut table, 10, &sighting(2, 25));
    assert!(table.records().all(|record| record.last_seen == EpochMinute(1_000)));
}

#[test]
fn refused_snapshots_leave_an_empty_table() {
    let record = |id, minute| Record {
        cmid: cmid(id),
        fingerprint: Fingerprint::EMPTY,
        last_seen: EpochMinute(minute),
    };
    let mut table = CmidTable::<4>::new(KEY);
    let mut refuse = |limit, records: &[Record], error: RestoreError| {
        let _ = observe(&mut table, 900_000, &sighting(9, 1));
        assert_eq!(table.restore(limit, records.iter().copied()), Err(error), "{error}");
        assert_eq!((table.count(), table.limit(), table.records().count()), (None, 0, 0));
        assert_eq!(observe(&mut table, 5, &sighting(9, 1)).count, 1);
        assert_eq!(table.records().next(), Some(record(9, 5)), "the time is forgotten too");
    };
    refuse(5, &[], RestoreError::LimitAboveCapacity { limit: 5, capacity: 4 });
    refuse(0, &[record(1, 1)], RestoreError::TooManyRecords { limit: 0 });
    refuse(2, &[1, 2, 3].map(|id| record(id, 1)), RestoreError::TooManyRecords { limit: 2 });
    refuse(4, &[1, 2, 1].map(|id| record(id, 1)), RestoreError::Duplicate { position: 2 });
    refuse(4, &[record(1, 2), record(2, 1)], RestoreError::OutOfOrder { position: 1 });

    let full = [1, 2, 3, 4].map(|id| record(id, id));
    table.restore(4, full).unwrap();
    assert!(table.records().eq(full));
    assert_eq!(table.count(), Some(4));
    table.restore(0, []).unwrap();
    assert_eq!(table.count(), None, "a snapshot of a table that nobody asked");
}

/// 3.7 MB in a test thread of 2 MiB stack: works in place only.
static LARGE: Mutex<CmidTable<65_536>> = Mutex::new(CmidTable::new([0; 16]));

#[test]
fn a_large_table_fills_and_turns_over() {
    const N: u32 = 65_536;
    let mut table = LARGE.lock().unwrap();
    table.rekey(KEY);
    for id in 0..N {
        assert_eq!(observe(&mut table, id / 64, &sighting(id, 40_000)).count, id + 1);
    }
    for id in N..3 * N {
        let seen = observe(&mut table, id / 64, &sighting(id, 40_000));
        assert_eq!(seen.change, Change::Added { evicted: Some(cmid(id - N)) });
        assert_eq!((seen.count, seen.limit), (N, N));
    }
    table.rekey([0x77; 16]);
    for id in (2 * N..3 * N).rev() {
        let seen = observe(&mut table, 3 * N / 64, &sighting(id, 1));
        assert_eq!(seen.change, Change::Renewed { duplicate: false });
    }
    let ids = table.records().map(|record| record.cmid).collect::<Vec<_>>();
    assert!(ids.iter().copied().eq((2 * N..3 * N).rev().map(cmid)));
    let seen = observe(&mut table, 3 * N / 64 + RECORD_LIFE.0, &sighting(0, 1));
    assert_eq!((seen.count, seen.expired, seen.limit), (1, N, N));
}

/// Twins with one image: the count does not rise until one of them rearms.
#[test]
fn two_machines_with_one_cmid() {
    let (a, b) = (Fingerprint::new([0xaaaa; 8]), Fingerprint::new([0xbbbb; 8]));
    let seen_as = |fingerprint, id, previous: Option<u32>| Sighting {
        fingerprint,
        previous_cmid: previous.map(cmid),
        ..sighting(id, 5)
    };
    let mut table = CmidTable::<10>::new(KEY);
    assert_eq!(observe(&mut table, 0, &seen_as(a, 1, None)).count, 1);
    let twin = observe(&mut table, 0, &seen_as(b, 1, None));
    assert!(twin.duplicate());
    assert_eq!(twin.count, 1);

    // The record is now b's, so b takes it along when it rearms, and a comes back as a new one.
    let rearmed = observe(&mut table, 0, &seen_as(b, 2, Some(1)));
    assert!(rearmed.dropped && !rearmed.duplicate());
    assert_eq!(rearmed.count, 1);
    assert_eq!(observe(&mut table, 0, &seen_as(a, 1, None)).count, 2);

    // a's record is not b's to drop, and nobody drops the record just made.
    let foreign = observe(&mut table, 0, &seen_as(b, 3, Some(1)));
    assert!(!foreign.dropped);
    assert_eq!(foreign.count, 3);
    let own = observe(&mut table, 0, &seen_as(b, 3, Some(3)));
    assert!(!own.dropped);
    assert_eq!((own.change, own.count), (Change::Renewed { duplicate: false }, 3));
}
