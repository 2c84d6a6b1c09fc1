//! One write transaction, as the authority's rules and the vendor's commands ask it.

use super::tables::Tables;
use super::{KeyRecord, KeyUsage, NewKey, Records, StoreError};
use crate::authority::{
    Enrolment, HostKeyRecord, KeyActivation, Ledger, MultipleActivationKeyRecord,
};
use crate::fingerprint::Fingerprint;
use crate::time::UnixTime;
use crate::wire::{Cmid, Digest, Frame, KeyId, MachineDigest, PublicKey};

/// The tables, and the first failure: what follows one is not committed, because a record may be
/// there in part.
pub(super) struct Transaction<'t> {
    tables: Tables<'t>,
    failure: Option<StoreError>,
    changed: bool,
}

impl<'t> Transaction<'t> {
    pub(super) const fn new(tables: Tables<'t>) -> Self {
        Self { tables, failure: None, changed: false }
    }

    /// Marks a new file as of this program's format.
    pub(super) fn set_format(&mut self) {
        // A failure is kept for the end.
        let _ = self.change(Tables::set_format);
    }

    /// Whether there is anything to commit, if everything was done.
    pub(super) fn finish(self) -> Result<bool, StoreError> {
        self.failure.map_or(Ok(self.changed), Err)
    }

    fn change<T>(
        &mut self,
        work: impl FnOnce(&mut Tables<'t>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.changed = true;
        self.run(work)
    }

    fn run<T>(
        &mut self,
        work: impl FnOnce(&mut Tables<'t>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = work(&mut self.tables);
        if let Err(error) = &result {
            self.failure.get_or_insert_with(|| error.clone());
        }
        result
    }
}

impl Ledger for Transaction<'_> {
    type Error = StoreError;

    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, StoreError> {
        let key = self.run(|tables| tables.key(key_id))?;
        Ok(key.and_then(|key| key.as_host_key()))
    }

    fn multiple_activation_key(
        &mut self,
        key_id: KeyId,
    ) -> Result<Option<MultipleActivationKeyRecord>, StoreError> {
        let key = self.run(|tables| tables.key(key_id))?;
        Ok(key.and_then(|key| key.as_multiple_activation_key()))
    }

    fn answer_to(&mut self, request_digest: &Digest) -> Result<Option<Frame>, StoreError> {
        self.run(|tables| tables.answer_to(request_digest))
    }

    fn hosts(&mut self, key_id: KeyId) -> Result<u32, StoreError> {
        self.run(|tables| tables.usage(key_id)).map(|usage| usage.hosts)
    }

    fn activations(&mut self, key_id: KeyId, host: &PublicKey) -> Result<u32, StoreError> {
        self.run(|tables| tables.activations(key_id, host))
    }

    fn machines(&mut self, key_id: KeyId) -> Result<u32, StoreError> {
        self.run(|tables| tables.usage(key_id)).map(|usage| usage.machines)
    }

    fn knows(&mut self, key_id: KeyId, machine: &MachineDigest) -> Result<bool, StoreError> {
        self.run(|tables| tables.knows(key_id, machine))
    }

    fn fingerprints(
        &mut self,
        key_id: KeyId,
        cmid: Cmid,
        visit: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), StoreError> {
        self.run(|tables| tables.fingerprints(key_id, cmid, visit))
    }

    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), StoreError> {
        self.change(|tables| tables.record(enrolment))
    }

    fn record_activation(&mut self, activation: &KeyActivation<'_>) -> Result<(), StoreError> {
        self.change(|tables| tables.record_activation(activation))
    }
}

impl Records for Transaction<'_> {
    fn next_serial(&mut self) -> Result<u64, StoreError> {
        self.run(|tables| tables.next_serial())
    }

    fn take_serial(&mut self) -> Result<u64, StoreError> {
        self.change(|tables| {
            let serial = tables.next_serial()?;
            tables.use_serial(serial).map(|()| serial)
        })
    }

    fn add_key(&mut self, key: &NewKey, at: UnixTime) -> Result<KeyRecord, StoreError> {
        self.change(|tables| tables.add_key(key, at))
    }

    fn key(&mut self, key_id: KeyId) -> Result<Option<(KeyRecord, KeyUsage)>, StoreError> {
        self.run(|tables| {
            let Some(key) = tables.key(key_id)? else { return Ok(None) };
            tables.usage(key_id).map(|usage| Some((key, usage)))
        })
    }

    fn set_key(&mut self, key: &KeyRecord) -> Result<bool, StoreError> {
        self.change(|tables| tables.set_key(key))
    }
}
