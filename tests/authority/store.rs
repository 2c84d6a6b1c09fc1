//! A record store in memory: a log of all that was recorded, which every question reads through.
//! A transaction is a copy.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use headcount::authority::{
    ANSWERS_PER_MACHINE, Enrolment, HostKeyRecord, KeyActivation, Ledger,
    MultipleActivationKeyRecord,
};
use headcount::fingerprint::Fingerprint;
use headcount::trust::machine_digest;
use headcount::wire::{Cmid, Digest, Frame, KeyId, MachineDigest, PublicKey};

#[derive(Clone, Default)]
pub(crate) struct Store {
    pub(crate) host_keys: Vec<HostKeyRecord>,
    pub(crate) maks: Vec<MultipleActivationKeyRecord>,
    pub(crate) activations: Vec<Activated>,
    pub(crate) enrolments: Vec<Enrolled>,
    /// Which call from now on fails.
    pub(crate) fails_at: Option<u8>,
}

#[derive(Clone)]
pub(crate) struct Activated {
    pub(crate) key_id: KeyId,
    pub(crate) machine: MachineDigest,
    identity: Option<(Cmid, Fingerprint)>,
    pub(crate) counted: bool,
    digest: Digest,
    /// None when it is forgotten, or was by phone.
    answer: Option<Frame>,
}

#[derive(Clone)]
pub(crate) struct Enrolled {
    key_id: KeyId,
    host: PublicKey,
    digest: Digest,
    answer: Frame,
    pub(crate) serial: u64,
}

/// The power was cut, or the disk is full.
#[derive(Debug, PartialEq)]
pub(crate) struct Failed;

impl Store {
    fn call(&mut self) -> Result<(), Failed> {
        match &mut self.fails_at {
            None => Ok(()),
            Some(0) => Err(Failed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn counted(&self, key_id: KeyId) -> usize {
        self.activations.iter().filter(|record| record.counted && record.key_id == key_id).count()
    }

    fn enrolled(&self, key_id: KeyId) -> impl Iterator<Item = &Enrolled> {
        self.enrolments.iter().filter(move |record| record.key_id == key_id)
    }

    fn host_count(&self, key_id: KeyId) -> usize {
        let mut hosts: Vec<_> = self.enrolled(key_id).map(|record| record.host.0).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.len()
    }
}

impl Ledger for Store {
    type Error = Failed;

    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Failed> {
        self.call()?;
        Ok(self.host_keys.iter().find(|key| key.key_id == key_id).copied())
    }

    fn multiple_activation_key(
        &mut self,
        key_id: KeyId,
    ) -> Result<Option<MultipleActivationKeyRecord>, Failed> {
        self.call()?;
        Ok(self.maks.iter().find(|key| key.key_id == key_id).copied())
    }

    fn answer_to(&mut self, digest: &Digest) -> Result<Option<Frame>, Failed> {
        self.call()?;
        let activated = self.activations.iter().rev().filter(|record| record.digest == *digest);
        let enrolled = self.enrolments.iter().rev().filter(|record| record.digest == *digest);
        let answers = activated.filter_map(|record| record.answer);
        Ok(answers.chain(enrolled.map(|record| record.answer)).next())
    }

    fn hosts(&mut self, key_id: KeyId) -> Result<u32, Failed> {
        self.call()?;
        Ok(self.host_count(key_id) as u32)
    }

    fn activations(&mut self, key_id: KeyId, host: &PublicKey) -> Result<u32, Failed> {
        self.call()?;
        Ok(self.enrolled(key_id).filter(|record| record.host == *host).count() as u32)
    }

    fn machines(&mut self, key_id: KeyId) -> Result<u32, Failed> {
        self.call()?;
        Ok(self.counted(key_id) as u32)
    }

    fn knows(&mut self, key_id: KeyId, machine: &MachineDigest) -> Result<bool, Failed> {
        self.call()?;
        let known = (key_id, *machine);
        Ok(self.activations.iter().any(|record| (record.key_id, record.machine) == known))
    }

    fn fingerprints(
        &mut self,
        key_id: KeyId,
        cmid: Cmid,
        visit: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), Failed> {
        self.call()?;
        let of_key = self.activations.iter().filter(|record| record.key_id == key_id);
        for record in of_key {
            if let Some((recorded, fingerprint)) = &record.identity
                && *recorded == cmid
            {
                visit(&record.machine, fingerprint);
            }
        }
        Ok(())
    }

    /// Whatever is asked for, no key may be used beyond its limits.
    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Failed> {
        self.call()?;
        let Enrolment { request, request_digest, certificate, answer, .. } = *enrolment;
        let (key_id, host) = (request.key_id, request.public_key);
        self.enrolments.push(Enrolled {
            key_id,
            host,
            digest: request_digest,
            answer: *answer,
            serial: certificate.claims.serial,
        });
        let key = self.host_keys.iter().find(|key| key.key_id == key_id).expect("an issued key");
        assert!(!key.blocked, "a blocked key grants");
        let activations = self.enrolled(key_id).filter(|record| record.host == host).count();
        assert_eq!(activations, enrolment.activation as usize);
        assert!(activations <= key.activations_per_host as usize);
        if activations == 1 {
            assert!(self.host_count(key_id) <= key.hosts_limit as usize, "too many hosts");
        }
        Ok(())
    }

    fn record_activation(&mut self, activation: &KeyActivation<'_>) -> Result<(), Failed> {
        self.call()?;
        let KeyActivation { key_id, machine, identity, counted, request_digest, .. } = *activation;
        let key = self.maks.iter().find(|key| key.key_id == key_id).expect("an issued key");
        assert!(!key.blocked, "a blocked key grants");
        if let Some((cmid, fingerprint)) = identity {
            let (application_id, activation_id) = activation.product;
            let told = machine_digest(application_id, activation_id, cmid, fingerprint);
            assert_eq!(told, machine, "what is compared with later is not what was counted");
        }
        let mut of_machine = self
            .activations
            .iter()
            .filter(|record| (record.key_id, record.machine) == (key_id, machine));
        if counted {
            assert!(of_machine.next().is_none(), "the same machine counts twice");
            assert!(self.counted(key_id) < key.activations_limit as usize, "too many machines");
        } else {
            assert!(of_machine.any(|record| record.counted), "nobody was counted for it");
        }
        let answer = activation.answer.copied();
        self.activations.push(Activated {
            key_id,
            machine,
            identity,
            counted,
            digest: request_digest,
            answer,
        });
        let of_machine = self.activations.iter_mut().rev();
        let of_machine = of_machine
            .filter(|record| (record.key_id, record.machine) == (key_id, machine))
            .filter(|record| record.answer.is_some());
        for forgotten in of_machine.skip(ANSWERS_PER_MACHINE) {
            forgotten.answer = None;
        }
        Ok(())
    }
}
