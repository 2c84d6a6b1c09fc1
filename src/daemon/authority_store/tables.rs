//! The tables of the database file, and what one transaction does in them.

use core::ops::RangeInclusive;
use std::string::String;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::encoding::{AnswerRow, MachineRow, decode, encode};
use super::{EnrolmentRecord, KeyRecord, KeyUsage, MachineRecord, NewKey, StoreError};
use crate::authority::{ANSWERS_PER_MACHINE, Enrolment, KeyActivation};
use crate::fingerprint::Fingerprint;
use crate::time::UnixTime;
use crate::wire::{Cmid, Digest, Frame, KeyId, MachineDigest, PublicKey};

/// The format of the whole file: which tables there are, and what their keys are.
pub(super) const FORMAT: u64 = 1;

/// Numbers by name: those below.
pub(super) const COUNTERS: Definition<&str, u64> = TableDefinition::new("counters");
pub(super) const FORMAT_COUNTER: &str = "format";
const NEXT_KEY_ID: &str = "next_key_id";
const NEXT_SERIAL: &str = "next_serial";

/// [`KeyRecord`] by number.
pub(super) const KEYS: Definition<u32, &[u8]> = TableDefinition::new("keys");
/// Hosts, counted machines and recorded machines by key.
pub(super) const USAGE: Definition<u32, (u32, u32, u32)> = TableDefinition::new("usage");
/// [`EnrolmentRecord`] by key, host and activation.
pub(super) const ENROLMENTS: Definition<EnrolmentKey, &[u8]> = TableDefinition::new("enrolments");
/// [`MachineRow`] by key and place.
pub(super) const MACHINES: Definition<MachineKey, &[u8]> = TableDefinition::new("machines");
/// The place of a machine on a key.
const PLACES: Definition<(u32, [u8; 20]), u32> = TableDefinition::new("places");
/// Fingerprints by key, CMID and machine.
const FINGERPRINTS: Definition<FingerprintKey, [u8; 16]> = TableDefinition::new("fingerprints");
/// [`AnswerRow`] by digest of the request.
const ANSWERS: Definition<[u8; 32], &[u8]> = TableDefinition::new("answers");

pub(super) type EnrolmentKey = (u32, [u8; 32], u32);
pub(super) type MachineKey = (u32, u32);
type FingerprintKey = (u32, [u8; 16], [u8; 20]);
type Definition<K, V> = TableDefinition<'static, K, V>;

/// All tables, open in one write transaction.
pub(super) struct Tables<'t> {
    counters: Table<'t, &'static str, u64>,
    keys: Table<'t, u32, &'static [u8]>,
    usage: Table<'t, u32, (u32, u32, u32)>,
    enrolments: Table<'t, EnrolmentKey, &'static [u8]>,
    machines: Table<'t, MachineKey, &'static [u8]>,
    places: Table<'t, (u32, [u8; 20]), u32>,
    fingerprints: Table<'t, FingerprintKey, [u8; 16]>,
    answers: Table<'t, [u8; 32], &'static [u8]>,
}

/// What was used of a key, and the place that its next machine gets.
#[derive(Clone, Copy)]
struct Used {
    hosts: u32,
    machines: u32,
    places: u32,
}

impl<'t> Tables<'t> {
    /// Opens the tables, and makes those that are not there.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            counters: transaction.open_table(COUNTERS)?,
            keys: transaction.open_table(KEYS)?,
            usage: transaction.open_table(USAGE)?,
            enrolments: transaction.open_table(ENROLMENTS)?,
            machines: transaction.open_table(MACHINES)?,
            places: transaction.open_table(PLACES)?,
            fingerprints: transaction.open_table(FINGERPRINTS)?,
            answers: transaction.open_table(ANSWERS)?,
        })
    }

    /// Marks a new file as of this format.
    pub(super) fn set_format(&mut self) -> Result<(), StoreError> {
        self.counters.insert(FORMAT_COUNTER, FORMAT)?;
        Ok(())
    }

    pub(super) fn next_serial(&self) -> Result<u64, StoreError> {
        Ok(self.counters.get(NEXT_SERIAL)?.map_or(1, |next| next.value()))
    }

    pub(super) fn use_serial(&mut self, serial: u64) -> Result<(), StoreError> {
        let next = serial.checked_add(1).ok_or(StoreError::Full)?.max(self.next_serial()?);
        self.counters.insert(NEXT_SERIAL, next)?;
        Ok(())
    }

    pub(super) fn add_key(&mut self, key: &NewKey, at: UnixTime) -> Result<KeyRecord, StoreError> {
        let next = self.counters.get(NEXT_KEY_ID)?.map_or(1, |next| next.value());
        let id = u32::try_from(next).map_err(|_| StoreError::Full)?;
        self.counters.insert(NEXT_KEY_ID, u64::from(id).saturating_add(1))?;
        let record = KeyRecord::new(id, key, at);
        self.keys.insert(id, &*encode(&record)?)?;
        Ok(record)
    }

    pub(super) fn key(&self, KeyId(id): KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.keys.get(id)?.map(|row| decode(row.value())).transpose()
    }

    pub(super) fn set_key(&mut self, key: &KeyRecord) -> Result<bool, StoreError> {
        if self.keys.get(key.id)?.is_none() {
            return Ok(false);
        }
        self.keys.insert(key.id, &*encode(key)?)?;
        Ok(true)
    }

    pub(super) fn usage(&self, KeyId(id): KeyId) -> Result<KeyUsage, StoreError> {
        self.used(id).map(|Used { hosts, machines, .. }| KeyUsage { hosts, machines })
    }

    fn used(&self, key_id: u32) -> Result<Used, StoreError> {
        let (hosts, machines, places) =
            self.usage.get(key_id)?.map(|used| used.value()).unwrap_or_default();
        Ok(Used { hosts, machines, places })
    }

    fn set_used(&mut self, key_id: u32, used: Used) -> Result<(), StoreError> {
        self.usage.insert(key_id, (used.hosts, used.machines, used.places))?;
        Ok(())
    }

    pub(super) fn answer_to(&self, Digest(digest): &Digest) -> Result<Option<Frame>, StoreError> {
        let row = self.answers.get(digest)?;
        row.map(|row| decode::<AnswerRow>(row.value())?.frame()).transpose()
    }

    /// How many times the key has enrolled this host: the number of the last of its enrolments.
    pub(super) fn activations(
        &self,
        KeyId(id): KeyId,
        PublicKey(host): &PublicKey,
    ) -> Result<u32, StoreError> {
        let mut of_host = self.enrolments.range((id, *host, 0)..=(id, *host, u32::MAX))?;
        let last = of_host.next_back().transpose()?;
        Ok(last.map_or(0, |(key, _)| key.value().2))
    }

    pub(super) fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), StoreError> {
        let Enrolment { request, request_digest, activation, certificate, answer, at } = enrolment;
        let (KeyId(key_id), PublicKey(public_key)) = (request.key_id, request.public_key);
        if self.activations(request.key_id, &request.public_key)? == 0 {
            let used = self.used(key_id)?;
            let hosts = used.hosts.checked_add(1).ok_or(StoreError::Full)?;
            self.set_used(key_id, Used { hosts, ..used })?;
        }
        let claims = &certificate.claims;
        let record = EnrolmentRecord {
            key_id,
            public_key,
            activation: *activation,
            host_name: request.host_name.as_str().into(),
            platform_rank: request.platform_rank,
            at: at.as_secs(),
            serial: claims.serial,
            not_after: claims.not_after.0,
            rank: claims.coverage.rank,
        };
        self.enrolments.insert((key_id, public_key, *activation), &*encode(&record)?)?;
        self.answers.insert(request_digest.0, &*encode(&AnswerRow::new(None, answer))?)?;
        self.use_serial(claims.serial)
    }

    pub(super) fn knows(
        &self,
        KeyId(id): KeyId,
        MachineDigest(machine): &MachineDigest,
    ) -> Result<bool, StoreError> {
        Ok(self.places.get((id, *machine))?.is_some())
    }

    pub(super) fn fingerprints(
        &self,
        KeyId(id): KeyId,
        cmid: Cmid,
        visit: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), StoreError> {
        for entry in self.fingerprints.range(of_cmid(id, *cmid.as_bytes()))? {
            let (key, fingerprint) = entry?;
            let (_, _, machine) = key.value();
            visit(&MachineDigest(machine), &Fingerprint::from_bytes(fingerprint.value()));
        }
        Ok(())
    }

    pub(super) fn record_activation(
        &mut self,
        activation: &KeyActivation<'_>,
    ) -> Result<(), StoreError> {
        let KeyId(key_id) = activation.key_id;
        let MachineDigest(machine) = activation.machine;
        let mut used = self.used(key_id)?;
        let place = self.places.get((key_id, machine))?.map(|place| place.value());
        let mut row = if let Some(place) = place {
            self.machine(key_id, place)?
        } else {
            let place = used.places;
            used.places = place.checked_add(1).ok_or(StoreError::Full)?;
            self.places.insert((key_id, machine), place)?;
            new_machine(activation, place)
        };
        if activation.counted {
            used.machines = used.machines.checked_add(1).ok_or(StoreError::Full)?;
        }
        if place.is_none() || activation.counted {
            self.set_used(key_id, used)?;
        }
        if let Some((cmid, fingerprint)) = activation.identity {
            let key = (key_id, *cmid.as_bytes(), machine);
            self.fingerprints.insert(key, fingerprint.to_bytes())?;
        }
        row.record.note(activation);
        if let Some(answer) = activation.answer {
            self.keep_answer(&mut row, activation.request_digest, answer)?;
        }
        self.machines.insert((key_id, row.record.place), &*encode(&row)?)?;
        Ok(())
    }

    fn machine(&self, key_id: u32, place: u32) -> Result<MachineRow, StoreError> {
        let row = self.machines.get((key_id, place))?;
        decode(row.ok_or(StoreError::Row { table: "machines", reason: "it is missing" })?.value())
    }

    /// Keeps an answer, and forgets the oldest ones of the machine.
    fn keep_answer(
        &mut self,
        MachineRow { record, answered }: &mut MachineRow,
        Digest(digest): Digest,
        answer: &Frame,
    ) -> Result<(), StoreError> {
        let owner = Some((record.key_id, record.place));
        answered.retain(|known| *known != digest);
        answered.push(digest);
        let forgotten = answered.len().saturating_sub(ANSWERS_PER_MACHINE);
        for old in answered.drain(..forgotten) {
            let row = self.answers.get(old)?.map(|row| decode::<AnswerRow>(row.value()));
            if row.transpose()?.is_some_and(|row| row.owner == owner) {
                self.answers.remove(old)?;
            }
        }
        self.answers.insert(digest, &*encode(&AnswerRow::new(owner, answer))?)?;
        Ok(())
    }
}

fn of_cmid(key_id: u32, cmid: [u8; 16]) -> RangeInclusive<FingerprintKey> {
    (key_id, cmid, [0; 20])..=(key_id, cmid, [0xff; 20])
}

fn new_machine(activation: &KeyActivation<'_>, place: u32) -> MachineRow {
    let (application_id, activation_id) = activation.product;
    let record = MachineRecord {
        key_id: activation.key_id.0,
        place,
        machine: activation.machine.0,
        cmid: None,
        application_id: application_id.0,
        activation_id: activation_id.0,
        name: String::new(),
        virtual_machine: false,
        counted: false,
        by_phone: false,
        times: 0,
        first: activation.at.as_secs(),
        last: activation.at.as_secs(),
    };
    MachineRow { record, answered: [].into() }
}

impl MachineRecord {
    /// One more activation. What it does not tell stays as it was told before.
    fn note(&mut self, activation: &KeyActivation<'_>) {
        self.by_phone = activation.answer.is_none();
        self.times = self.times.saturating_add(1);
        self.last = activation.at.as_secs();
        self.counted |= activation.counted;
        if let Some((cmid, _)) = activation.identity {
            self.cmid = Some(*cmid.as_bytes());
        }
        if !self.by_phone {
            self.virtual_machine = activation.virtual_machine;
        }
        if !activation.name.as_str().is_empty() {
            self.name = activation.name.as_str().into();
        }
    }
}
