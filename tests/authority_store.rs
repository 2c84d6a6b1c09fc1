//! The vendor's database against models: what it tells, what it keeps, and what a crash leaves.
#![cfg(feature = "daemon")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "authority/support.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use headcount::authority::{ANSWERS_PER_MACHINE, Authority, Enrolment, KeyActivation, Ledger as _};
use headcount::daemon::{
    Database, KeyRecord, KeyTerms, KeyUsage, NewKey, Records, RedbDatabase, StoreError,
};
use headcount::fingerprint::Fingerprint;
use headcount::time::{EpochMinute, Minutes, UnixTime};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, Coverage, Digest, EnrolmentRequest,
    Frame, KeyId, MachineDigest, Name, Nonce, PublicKey, Role, Signature,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

/// A database in a folder of its own, which can be closed and opened again.
struct Store {
    folder: TempDir,
    database: Option<RedbDatabase>,
}

impl Store {
    fn new() -> Self {
        // Thousands of commits would take minutes on a disk: in memory, where there is such a place.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let folder = folder.unwrap();
        let database = Some(RedbDatabase::create(&folder.path().join("db")).unwrap());
        Self { folder, database }
    }

    fn database(&self) -> &RedbDatabase {
        self.database.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.database = None;
        self.database = Some(RedbDatabase::open(&self.folder.path().join("db")).unwrap());
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&mut dyn Records<Error = StoreError>) -> Result<T, StoreError>,
    ) -> T {
        self.database().write(work).unwrap().unwrap()
    }
}

fn key(terms: KeyTerms) -> NewKey {
    NewKey { terms, product: None, family: 7, rank: 3, generation: 2, note: Some("Ltd".into()) }
}

/// What is done to both. Small numbers, so that the same ones come again.
#[derive(Clone, Debug)]
enum Operation {
    Enrol {
        key: u8,
        host: u8,
        request: u8,
    },
    Activate {
        key: u8,
        machine: u8,
        cmid: Option<u8>,
        counted: bool,
        request: Option<u8>,
    },
    NewKey(KeyTerms),
    Block {
        key: u8,
        blocked: bool,
    },
    /// The operations inside are done in a transaction that then fails.
    Fail(Vec<Operation>),
    Reopen,
}

const KEYS: u8 = 4;
const HOSTS: u8 = 3;
const MACHINES: u8 = 5;
const CMIDS: u8 = 3;
const REQUESTS: u8 = 40;

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let enrol = (1..KEYS, 0..HOSTS, 0..REQUESTS)
        .prop_map(|(key, host, request)| Operation::Enrol { key, host, request });
    let machine = (1..KEYS, 0..MACHINES, prop::option::of(0..CMIDS));
    let activate = (machine, any::<bool>(), prop::option::weighted(0.9, 0..REQUESTS)).prop_map(
        |((key, machine, cmid), counted, request)| Operation::Activate {
            key,
            machine,
            cmid,
            counted,
            request,
        },
    );
    let terms = prop_oneof![
        (1_u32..9, 1_u32..9).prop_map(|(hosts, activations)| KeyTerms::Host { hosts, activations }),
        (1_u32..9).prop_map(|activations| KeyTerms::Mak { activations }),
        Just(KeyTerms::Setup),
    ];
    let block =
        (1..KEYS, any::<bool>()).prop_map(|(key, blocked)| Operation::Block { key, blocked });
    let one = prop_oneof![
        3 => enrol,
        8 => activate,
        2 => terms.prop_map(Operation::NewKey),
        1 => block,
        1 => Just(Operation::Reopen),
    ];
    let failing = vec(one.clone(), 1..4).prop_map(Operation::Fail);
    vec(prop_oneof![12 => one, 1 => failing], 1..60)
}

/// What the database should know, as simply as it can be said.
#[derive(Clone, Default)]
struct Model {
    keys: Vec<KeyRecord>,
    enrolled: Vec<(u8, u8)>,
    /// By request; and the machine that was answered, if it was one.
    answers: BTreeMap<u8, (Frame, Option<(u8, u8)>)>,
    counted: BTreeMap<u8, u32>,
    /// In the order of their first activation.
    known: Vec<(u8, u8)>,
    fingerprints: BTreeSet<(u8, u8, u8)>,
    /// The requests answered of each machine, the latest last.
    requests: BTreeMap<(u8, u8), Vec<u8>>,
    serials: u64,
}

impl Model {
    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Enrol { key, host, request } => {
                self.enrolled.push((key, host));
                self.serials += 1;
                let activation = self.activations(key, host);
                self.answers.insert(request, (frame(request, activation as u8), None));
            }
            Operation::Activate { key, machine, cmid, counted, request } => {
                *self.counted.entry(key).or_default() += u32::from(counted);
                if !self.known.contains(&(key, machine)) {
                    self.known.push((key, machine));
                }
                if let Some(cmid) = cmid {
                    self.fingerprints.insert((key, cmid, machine));
                }
                if let Some(request) = request {
                    let answer = (frame(request, 0x80 | machine), Some((key, machine)));
                    self.answers.insert(request, answer);
                    self.keep((key, machine), request);
                }
            }
            Operation::NewKey(terms) => {
                let NewKey { product, family, rank, generation, note, .. } = key(terms);
                let id = self.keys.len() as u32 + 1;
                let (issued, blocked) = (support::NOW.as_secs(), false);
                let record = KeyRecord {
                    id,
                    terms,
                    issued,
                    product,
                    family,
                    rank,
                    generation,
                    blocked,
                    note,
                };
                self.keys.push(record);
            }
            Operation::Block { key, blocked } => {
                if let Some(key) = self.keys.get_mut(usize::from(key) - 1) {
                    key.blocked = blocked;
                }
            }
            Operation::Fail(_) | Operation::Reopen => {}
        }
    }

    fn keep(&mut self, machine: (u8, u8), request: u8) {
        let kept = self.requests.entry(machine).or_default();
        kept.retain(|one| *one != request);
        kept.push(request);
        let forgotten = kept.len().saturating_sub(ANSWERS_PER_MACHINE);
        for request in kept.drain(..forgotten) {
            // Another may have been answered the same since.
            if self.answers.get(&request).is_some_and(|(_, owner)| *owner == Some(machine)) {
                self.answers.remove(&request);
            }
        }
    }

    fn activations(&self, key: u8, host: u8) -> u32 {
        self.enrolled.iter().filter(|one| **one == (key, host)).count() as u32
    }

    fn usage(&self, key: u8) -> KeyUsage {
        let hosts: BTreeSet<_> = self.enrolled.iter().filter(|(of, _)| *of == key).collect();
        KeyUsage {
            hosts: hosts.len() as u32,
            machines: self.counted.get(&key).copied().unwrap_or_default(),
        }
    }

    /// Everything that can be asked is answered alike.
    fn check(&self, records: &mut dyn Records<Error = StoreError>) -> Result<(), StoreError> {
        assert_eq!(records.next_serial()?, self.serials + 1);
        for key in 0..=KEYS {
            let id = KeyId(key.into());
            let known = usize::from(key).checked_sub(1).and_then(|at| self.keys.get(at));
            let usage = self.usage(key);
            assert_eq!(records.key(id)?, known.cloned().map(|known| (known, usage)));
            assert_eq!(records.host_key(id)?, known.and_then(KeyRecord::as_host_key));
            let mak = known.and_then(KeyRecord::as_multiple_activation_key);
            assert_eq!(records.multiple_activation_key(id)?, mak);
            assert_eq!((records.hosts(id)?, records.machines(id)?), (usage.hosts, usage.machines));
            for host in 0..HOSTS {
                let activations = records.activations(id, &PublicKey([host; 32]))?;
                assert_eq!(activations, self.activations(key, host));
            }
            for machine in 0..MACHINES {
                let knows = records.knows(id, &MachineDigest([machine; 20]))?;
                assert_eq!(knows, self.known.contains(&(key, machine)));
            }
            for cmid in 0..CMIDS {
                let mut seen = BTreeSet::new();
                records.fingerprints(id, cmid_of(cmid), &mut |digest, fingerprint| {
                    let [machine, ..] = *fingerprint.components();
                    assert_eq!(digest.0, [machine as u8; 20]);
                    assert!(seen.insert((key, cmid, machine as u8)), "shown twice");
                })?;
                let of_cmid = self.fingerprints.iter().filter(|one| (one.0, one.1) == (key, cmid));
                assert_eq!(seen, of_cmid.copied().collect());
            }
        }
        for request in 0..REQUESTS {
            let answer = records.answer_to(&Digest([request; 32]))?;
            assert_eq!(
                answer,
                self.answers.get(&request).map(|(answer, _)| *answer),
                "request {request}"
            );
        }
        Ok(())
    }

    /// And so are the listings, a page at a time.
    fn check_listings(&self, database: &RedbDatabase, page: usize) {
        let keys = pages(|after: Option<&(KeyRecord, KeyUsage)>| {
            database.keys(after.map(|(key, _)| key.key_id()), page).unwrap()
        });
        let expected: Vec<_> =
            self.keys.iter().map(|key| (key.clone(), self.usage(key.id as u8))).collect();
        assert_eq!(keys, expected);
        for of in [None, Some(1), Some(2)] {
            let id = of.map(|key: u8| KeyId(key.into()));
            let machines = pages(|after| database.machines(id, after, page).unwrap());
            let told: Vec<_> =
                machines.iter().map(|one| (one.key_id as u8, one.machine[0])).collect();
            let mut known: Vec<_> = self
                .known
                .iter()
                .copied()
                .filter(|(key, _)| of.is_none_or(|of| of == *key))
                .collect();
            known.sort_by_key(|(key, _)| *key);
            assert_eq!(told, known);
            let enrolments = pages(|after| database.enrolments(id, after, page).unwrap());
            let mut hosts = enrolments.iter().map(|one| (one.key_id as u8, one.public_key[0]));
            let mut enrolled: Vec<_> =
                self.enrolled.iter().filter(|(key, _)| of.is_none_or(|of| of == *key)).collect();
            enrolled.sort();
            assert!(enrolled.into_iter().copied().eq(hosts.by_ref()));
        }
    }
}

/// All pages of a listing.
fn pages<T>(mut page: impl FnMut(Option<&T>) -> Vec<T>) -> Vec<T> {
    let mut all = Vec::new();
    loop {
        let more = page(all.last());
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn cmid_of(number: u8) -> Cmid {
    Cmid::new([number + 1; 16]).unwrap()
}

/// An answer, with zeros at its end or without.
fn frame(request: u8, whose: u8) -> Frame {
    let mut frame = [0; 250];
    let length = if request.is_multiple_of(2) { 250 } else { usize::from(request) };
    frame[..length].fill(whose + 1);
    frame
}

fn apply(
    records: &mut dyn Records<Error = StoreError>,
    operation: &Operation,
) -> Result<(), StoreError> {
    match *operation {
        Operation::Enrol { key, host, request } => {
            let (key_id, host) = (KeyId(key.into()), PublicKey([host; 32]));
            let activation = records.activations(key_id, &host)? + 1;
            let asked = EnrolmentRequest {
                platform_rank: 9,
                key_id,
                public_key: host,
                host_time: None,
                nonce: Nonce([request; 16]),
                fingerprint: Fingerprint::EMPTY,
                host_name: Name::new("core-switch-07").unwrap(),
            };
            let certificate = Certificate {
                claims: Claims {
                    public_key: host,
                    serial: records.next_serial()?,
                    not_before: EpochMinute(0),
                    not_after: EpochMinute(9),
                    root_id: 1,
                    coverage: Coverage { family: 7, rank: 1, generation: 1 },
                    role: Role::Host,
                },
                signature: Signature([1; 64]),
            };
            records.record(&Enrolment {
                request: &asked,
                request_digest: Digest([request; 32]),
                activation,
                certificate: &certificate,
                answer: &frame(request, activation as u8),
                at: support::NOW,
            })
        }
        Operation::Activate { key, machine, cmid, counted, request } => {
            let fingerprint = Fingerprint::new([machine.into(); 8]);
            records.record_activation(&KeyActivation {
                key_id: KeyId(key.into()),
                machine: MachineDigest([machine; 20]),
                identity: cmid.map(|cmid| (cmid_of(cmid), fingerprint)),
                product: (ApplicationId([1; 16]), ActivationId([2; 16])),
                counted,
                request_digest: Digest([request.unwrap_or(0xff); 32]),
                answer: request.map(|request| frame(request, 0x80 | machine)).as_ref(),
                name: Name::new("ward-3").unwrap(),
                virtual_machine: machine.is_multiple_of(2),
                at: support::NOW,
            })
        }
        Operation::NewKey(terms) => records.add_key(&key(terms), support::NOW).map(drop),
        Operation::Block { key, blocked } => match records.key(KeyId(key.into()))? {
            Some((key, _)) => records.set_key(&KeyRecord { blocked, ..key }).map(drop),
            None => Ok(()),
        },
        Operation::Fail(_) | Operation::Reopen => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_database_knows_what_a_model_knows(operations in operations(), page in 1_usize..9) {
        let mut store = Store::new();
        let mut model = Model::default();
        for operation in &operations {
            match operation {
                Operation::Reopen => store.reopen(),
                Operation::Fail(inner) => fail(&store, inner),
                one => {
                    model.apply(one);
                    store.write(|records| apply(records, one));
                }
            }
            store.write(|records| model.check(records));
        }
        model.check_listings(store.database(), page);
        store.reopen();
        store.write(|records| model.check(records));
    }
}

/// Does operations in a transaction that panics before it is committed, as a crash would.
fn fail(store: &Store, operations: &[Operation]) {
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.database().write(|records| {
            for one in operations {
                apply(records, one).unwrap();
            }
            std::panic::resume_unwind(Box::new("in the middle"));
        })
    }));
    assert!(failed.is_err());
}

/// The rules of the authority, with the ledger in memory and with the database: the same answers.
#[test]
fn the_rules_decide_alike_with_both_ledgers() {
    let seeds = 0..8_u64;
    for seed in seeds {
        decide_alike(seed);
    }
}

fn decide_alike(seed: u64) {
    use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
    let mut rng = StdRng::seed_from_u64(seed);
    let mut store = Store::new();
    let mut memory = support::Ledger::default();
    memory.at_any_time = true;
    // The keys of the support have numbers of their own.
    let mut host_key = None;
    let mut mak = None;
    while host_key.is_none() || mak.is_none() {
        let record = store.write(|records| {
            let terms = KeyTerms::Host { hosts: 2, activations: 3 };
            records.add_key(&key(terms), support::NOW)
        });
        if record.key_id() == support::KEY {
            host_key = record.as_host_key();
        }
        if record.key_id() == support::MAK {
            let record = KeyRecord { terms: KeyTerms::Mak { activations: 4 }, ..record };
            mak = record.as_multiple_activation_key();
            assert!(store.write(|records| records.set_key(&record)));
        }
    }
    memory.keys.extend(host_key);
    memory.maks.extend(mak);
    let service = support::Service::new();
    let (master, root) = (support::master(), support::root());
    let authority = Authority {
        master: &master,
        root_id: support::ROOT_ID,
        root: &root,
        certificate_validity: Minutes(1_000),
        max_skew: None,
    };
    let mut hosts: Vec<_> = (1..5).map(support::Host::new).collect();
    let mut machines: Vec<_> = (1..8).map(support::Machine::new).collect();
    for step in 0..60 {
        let now = UnixTime::from_secs(support::NOW.as_secs() + step);
        let repeats = rng.random_bool(0.3);
        if rng.random_bool(0.3) {
            let host = &mut hosts[rng.random_range(0..4)];
            let asked = if repeats { host.repeat() } else { host.ask() };
            let serial = store.write(|records| records.next_serial());
            let ours = store.database().write(|mut records| {
                authority.answer_enrolment(&asked, now, serial, &mut records).unwrap()
            });
            let theirs = authority.answer_enrolment(&asked, now, serial, &mut memory).unwrap();
            assert_eq!(ours.unwrap(), theirs, "seed {seed}, step {step}");
        } else {
            let machine = &mut machines[rng.random_range(0..7)];
            if rng.random_bool(0.2) {
                let mut components = *machine.request.fingerprint.components();
                components[rng.random_range(0..8)] = rng.random();
                machine.request.fingerprint = Fingerprint::new(components);
            }
            let asked = if repeats { machine.repeat() } else { machine.ask() };
            let ours = store.database().write(|mut records| {
                service.rules().answer_activation(&asked, now, &mut records).unwrap()
            });
            let theirs = service.rules().answer_activation(&asked, now, &mut memory).unwrap();
            assert_eq!(ours.unwrap(), theirs, "seed {seed}, step {step}");
        }
        if rng.next_u32().is_multiple_of(16) {
            store.reopen();
        }
    }
    let used = store.database().key(support::MAK).unwrap().unwrap().1.machines;
    assert_eq!(used, memory.machines(support::MAK).unwrap());
    assert!(used > 0);
}

#[test]
fn a_file_is_made_once_and_opened_by_one() {
    let store = Store::new();
    let path = store.folder.path().join("db");
    let error = RedbDatabase::create(&path).unwrap_err().to_string();
    assert!(error.contains("it exists"), "{error}");
    let error = RedbDatabase::open(&path).unwrap_err().to_string();
    assert!(error.contains("another process has the database"), "{error}");
    drop(store.database);
    RedbDatabase::open(&path).unwrap();

    let missing = store.folder.path().join("missing");
    RedbDatabase::open(&missing).unwrap_err();
    assert!(!missing.exists(), "a database that is lost must not begin anew");
    std::fs::write(&missing, []).unwrap();
    RedbDatabase::open(&missing).unwrap_err();
    std::fs::write(&missing, vec![0x5a; 100_000]).unwrap();
    RedbDatabase::open(&missing).unwrap_err();
}

#[test]
fn another_format_or_another_row_is_refused() {
    use redb::{Database as Raw, TableDefinition};
    const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
    const KEYS: TableDefinition<u32, &[u8]> = TableDefinition::new("keys");
    let mut store = Store::new();
    let key = store.write(|records| records.add_key(&key(KeyTerms::Setup), support::NOW));
    store.database = None;
    let path = store.folder.path().join("db");
    let change = |change: &dyn Fn(&redb::WriteTransaction)| {
        let raw = Raw::open(&path).unwrap();
        let transaction = raw.begin_write().unwrap();
        change(&transaction);
        transaction.commit().unwrap();
    };
    let stored = {
        let raw = Raw::open(&path).unwrap();
        let transaction = raw.begin_write().unwrap();
        let table = transaction.open_table(KEYS).unwrap();
        redb::ReadableTable::get(&table, key.id).unwrap().unwrap().value().to_vec()
    };
    // The bytes of version 1: another encoding needs another version.
    assert_eq!(
        stored,
        [&[1, 1, 2][..], &[0xc0, 0x8d, 0xf6, 0xd7, 6, 0, 7, 3, 2, 0, 1, 3], b"Ltd"].concat()
    );
    let (mut newer, mut longer) = (stored.clone(), stored.clone());
    newer[0] = 2;
    longer.push(0);
    for damaged in [newer, longer, stored[..5].to_vec(), Vec::new()] {
        change(&|transaction| {
            transaction.open_table(KEYS).unwrap().insert(key.id, &*damaged).unwrap();
        });
        store.reopen();
        let failed = store.database().write(|records| records.key(key.key_id()).is_err());
        assert!(matches!(failed, Err(StoreError::Row { table: "keys", .. })), "{failed:?}");
        store.database().keys(None, 9).unwrap_err();
        store.database = None;
    }
    change(&|transaction| {
        transaction.open_table(COUNTERS).unwrap().insert("format", 2).unwrap();
    });
    let error = RedbDatabase::open(&path).unwrap_err().to_string();
    assert!(error.contains("format 2"), "{error}");
}

#[test]
fn serials_are_never_told_twice() {
    let mut store = Store::new();
    let mut last = 0;
    for _ in 0..5 {
        let (next, taken) =
            store.write(|records| Ok((records.next_serial()?, records.take_serial()?)));
        assert!(next == taken && taken > last);
        last = taken;
        store.reopen();
    }
}

#[test]
fn what_changes_nothing_is_not_written() {
    let store = Store::new();
    let added = store
        .write(|records| records.add_key(&key(KeyTerms::Mak { activations: 5 }), support::NOW));
    let file = || std::fs::read(store.folder.path().join("db")).unwrap();
    let before = file();
    let (asked, answered) = store.write(|records| {
        let asked = records.multiple_activation_key(KeyId(added.id))?;
        Ok((asked, records.answer_to(&Digest([7; 32]))?))
    });
    assert!(asked.is_some() && answered.is_none());
    assert!(file() == before, "a look-up was committed");
    store.write(|records| records.take_serial());
    assert!(file() != before, "a change was not");
}
