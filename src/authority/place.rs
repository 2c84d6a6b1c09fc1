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
    /// The counted machine that it is.
    machine: MachineDigest,
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
        if let Some(machine) = asking.counted_before(key.key_id, ledger)? {
            return Ok(Some(Self { machine, counted: false, left }));
        }
        let machine = asking.machine;
        Ok(left.checked_sub(1).map(|left| Self { machine, counted: true, left }))
    }
}

impl Asking<'_> {
    /// The counted machine that this one is: itself, or the one that differs least within the
    /// product's tolerance.
    fn counted_before<L: Ledger>(
        &self,
        key_id: KeyId,
        ledger: &mut L,
    ) -> Result<Option<MachineDigest>, L::Error> {
        if ledger.knows(key_id, &self.machine)? {
            return Ok(Some(self.machine));
        }
        let Some((cmid, fingerprint)) = self.identity else { return Ok(None) };
        let matching = self.product.matching;
        let mut nearest: Option<(u16, MachineDigest)> = None;
        ledger.fingerprints(key_id, cmid, &mut |machine, recorded| {
            let found = (matching.difference(recorded, &fingerprint), *machine);
            if found.0 <= matching.tolerance && nearest.is_none_or(|nearest| found < nearest) {
                nearest = Some(found);
            }
        })?;
        Ok(nearest.map(|(_, machine)| machine))
    }

    /// What is to be remembered of it, as far as it is the same however the machine asks.
    ///
    /// Only a machine that is counted, or exactly is one that was, is compared with later. If one
    /// that is similar were, too, requests that each differ a little from the one before could
    /// lead from one machine to any other, and nothing would be counted.
    pub(super) fn activation(
        &self,
        key: &MultipleActivationKeyRecord,
        place: Place,
        at: UnixTime,
    ) -> KeyActivation<'static> {
        KeyActivation {
            key_id: key.key_id,
            machine: place.machine,
            identity: self.identity.filter(|_| place.machine == self.machine),
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
