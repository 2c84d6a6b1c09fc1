//! Whether a machine finds a place on its key: the rule by which machines are counted.

use super::{CatalogueProduct, KeyActivation, Ledger, MultipleActivationKeyRecord};
use crate::fingerprint::Fingerprint;
use crate::policy::Skew;
use crate::time::{Minutes, UnixTime};
use crate::wire::{Cmid, Digest, KeyId, MachineDigest, Name};

/// A machine that asks to be activated with a key that may activate its product.
pub(super) struct Asking<'a> {
    pub(super) machine: MachineDigest,
    pub(super) identity: Option<(Cmid, Fingerprint)>,
    pub(super) product: &'a CatalogueProduct,
}

/// A machine's place among those of its key.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// It is a new one.
    pub(super) counted: bool,
    /// So many are left after it.
    pub(super) left: u32,
}

impl Place {
    /// Where the machine finds one; `None` when it is new and none is left.
    pub(super) fn of<L: Ledger>(
        asking: &Asking<'_>,
        key: &MultipleActivationKeyRecord,
        ledger: &mut L,
    ) -> Result<Option<Self>, L::Error> {
        let machines = ledger.machines(key.key_id)?;
        let left = key.activations_limit.saturating_sub(machines);
        if asking.is_known(key.key_id, ledger)? {
            return Ok(Some(Self { counted: false, left }));
        }
        Ok(left.checked_sub(1).map(|left| Self { counted: true, left }))
    }
}

impl Asking<'_> {
    fn is_known<L: Ledger>(&self, key_id: KeyId, ledger: &mut L) -> Result<bool, L::Error> {
        if ledger.knows(key_id, &self.machine)? {
            return Ok(true);
        }
        let Some((cmid, fingerprint)) = self.identity else { return Ok(false) };
        let mut known = false;
        ledger.fingerprints(key_id, cmid, &mut |recorded| {
            known |= self.product.matching.same_machine(recorded, &fingerprint);
        })?;
        Ok(known)
    }

    /// What is to be remembered of it, as far as it is the same however the machine asks.
    pub(super) fn activation(
        &self,
        key: &MultipleActivationKeyRecord,
        place: Place,
        at: UnixTime,
    ) -> KeyActivation<'static> {
        KeyActivation {
            key_id: key.key_id,
            machine: self.machine,
            identity: self.identity,
            product: (self.product.application_id, self.product.activation_id),
            counted: place.counted,
            request_digest: Digest([0; 32]),
            answer: None,
            name: Name::default(),
            virtual_machine: false,
            at,
        }
    }
}

/// Whether a clock is near enough, or nobody can tell.
pub(super) fn tolerates(most: Option<Minutes>, clock: Option<UnixTime>, now: UnixTime) -> bool {
    match (clock, most) {
        (Some(clock), Some(most)) => Skew::of(clock, now).seconds() <= most.as_duration().as_secs(),
        _ => true,
    }
}
