//! The store's structures are compared with each other after every step, under a hash that throws
//! almost everything into the same few buckets. What the table means is tested in `tests/table.rs`.

use std::collections::VecDeque;
use std::format;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Three hashes, two of them in one bucket of a small table.
fn poor_hash(cmid: &[u8; 16]) -> u32 {
    [1, 2, u32::MAX][usize::from(cmid[0]) % 3]
}

fn record(id: u8, minute: u32) -> Stored {
    Stored { cmid: [id; 16], fingerprint: Fingerprint::EMPTY, last_seen: EpochMinute(minute) }
}

fn sighting(id: u8) -> Sighting {
    Sighting {
        required_count: NonZeroU32::MAX,
        cmid: Cmid::new([id; 16]).unwrap(),
        previous_cmid: None,
        fingerprint: Fingerprint::EMPTY,
    }
}

fn content<const N: usize>(slots: &Slots<N>) -> Vec<(u8, u32)> {
    slots.oldest_first().map(|record| (record.cmid[0], record.last_seen.0)).collect()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    See(u8),
    Remove(u8),
    RemoveOldest,
    Rehash,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => (1_u8..24).prop_map(Step::See),
        20 => (1_u8..24).prop_map(Step::Remove),
        10 => Just(Step::RemoveOldest),
        4 => Just(Step::Rehash),
        1 => Just(Step::Clear),
    ]
}

fn follow<const N: usize>(steps: &[Step]) {
    let mut slots = Slots::<N>::EMPTY;
    let mut model = VecDeque::new();
    for (minute, step) in (0..).zip(steps) {
        match *step {
            Step::See(id) => {
                let fresh = record(id, minute);
                let hash = poor_hash(&fresh.cmid);
                let known = slots.find(hash, &fresh.cmid);
                assert_eq!(known.is_some(), model.iter().any(|(known, _)| *known == id));
                let added = match known {
                    Some(known) => {
                        slots.renew(known, fresh);
                        true
                    }
                    None => slots.push(hash, fresh),
                };
                model.retain(|(known, _)| *known != id);
                assert_eq!(added, model.len() < N, "only a full store refuses");
                if added {
                    model.push_back((id, minute));
                }
            }
            Step::Remove(id) => {
                let cmid = [id; 16];
                if let Some(index) = slots.find(poor_hash(&cmid), &cmid) {
                    assert_eq!(slots.remove(index).map(|record| record.cmid), Some(cmid));
                }
                model.retain(|(known, _)| *known != id);
            }
            Step::RemoveOldest => {
                let removed = slots.oldest().and_then(|index| slots.remove(index));
                assert_eq!(
                    removed.map(|record| record.cmid[0]),
                    model.pop_front().map(|(id, _)| id)
                );
            }
            Step::Rehash => slots.rehash(poor_hash),
            Step::Clear => {
                slots.clear();
                model.clear();
            }
        }
        slots.check(poor_hash);
        assert_eq!(model, content(&slots));
    }
}

proptest! {
    #[test]
    fn structures_agree_when_hashes_collide(steps in prop::collection::vec(step(), 0..120)) {
        follow::<1>(&steps);
        follow::<2>(&steps);
        follow::<10>(&steps);
        follow::<50>(&steps);
    }
}

/// Broken memory may make the table forget or miscount, but not panic or hang.
fn survive<const N: usize>(steps: &[(Step, usize, u8, u32)]) {
    let mut table = CmidTable::<N>::new([0; 16]);
    for (minute, (step, position, field, value)) in (0..).step_by(500).zip(steps) {
        table.slots.damage(*position, *field, *value);
        match *step {
            Step::See(id) => {
                let sighting = Sighting { previous_cmid: Cmid::new([id / 2; 16]), ..sighting(id) };
                let _ = table.observe(EpochMinute(minute), &sighting, &Matching::DEFAULT);
            }
            Step::Remove(_) | Step::RemoveOldest => {
                table.expire(EpochMinute(minute));
            }
            Step::Rehash => table.rekey([1; 16]),
            Step::Clear => assert!(table.records().count() <= N),
        }
    }
}

proptest! {
    #[test]
    fn damaged_structures_do_no_harm(
        steps in prop::collection::vec(
            (step(), any::<usize>(), any::<u8>(), prop_oneof![9 => 0_u32..12, 1 => any::<u32>()]),
            0..120,
        )
    ) {
        survive::<1>(&steps);
        survive::<10>(&steps);
    }
}

#[test]
fn rekeying_moves_every_record_to_its_new_bucket() {
    let mut table = CmidTable::<50>::new([0; 16]);
    for id in 1..=50 {
        let _ = table.observe(EpochMinute(u32::from(id)), &sighting(id), &Matching::DEFAULT);
    }
    let before = table.records().collect::<Vec<_>>();
    table.rekey([7; 16]);
    table.slots.check(|cmid| hash(&[7; 16], cmid));
    assert_eq!(before, table.records().collect::<Vec<_>>());
}

#[test]
fn debug_shows_neither_machines_nor_key() {
    let mut table = CmidTable::<4>::new([0xab; 16]);
    let cmid = Cmid::new([0xcd; 16]).unwrap();
    let record = Record { cmid, fingerprint: Fingerprint::EMPTY, last_seen: EpochMinute(5) };
    table.restore(2, [record]).unwrap();
    assert_eq!(format!("{table:?}"), "CmidTable { count: Some(1), limit: 2, capacity: 4, .. }");
}

/// The most records of one bucket under a key.
fn longest_chain<const N: usize>(table: &CmidTable<N>, key: &[u8; 16]) -> usize {
    table.slots.check(|cmid| hash(key, cmid));
    let mut chains = [0; N];
    for record in table.records() {
        chains[bucket(key, record.cmid.as_bytes(), N)] += 1;
    }
    chains.into_iter().max().unwrap_or_default()
}

/// The bucket as [`Slots`] has it: its own check says so.
fn bucket(key: &[u8; 16], cmid: &[u8; 16], buckets: usize) -> usize {
    ((u64::from(hash(key, cmid)) * buckets as u64) >> 32) as usize
}

/// What an attacker can do who learnt the key, and why the next one stops it.
#[test]
fn cmids_chosen_for_one_bucket_are_scattered_by_another_key() {
    const N: usize = 256;
    let known = [0x42; 16];
    let candidates = (1_u64..).map(|number| [number; 2]);
    let candidates = candidates.map(|halves| halves.map(u64::to_be_bytes).concat());
    let cmids = candidates.map(|bytes| <[u8; 16]>::try_from(bytes).unwrap());
    let chosen = cmids.filter(|cmid| bucket(&known, cmid, N) == 0);
    let mut table = CmidTable::<N>::new(known);
    for cmid in chosen.take(N) {
        let sighting = Sighting { cmid: Cmid::new(cmid).unwrap(), ..sighting(1) };
        let _ = table.observe(EpochMinute(0), &sighting, &Matching::DEFAULT);
    }
    assert_eq!(longest_chain(&table, &known), N);
    for fresh in 0..20 {
        let key = [fresh; 16];
        table.rekey(key);
        // As many balls as buckets: eleven in one are to be expected of one key in 300,000.
        let longest = longest_chain(&table, &key);
        assert!(longest <= 10, "{longest} records in one bucket");
    }
}
