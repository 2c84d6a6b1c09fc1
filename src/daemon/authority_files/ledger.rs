//! `enrolments.toml`: which hosts were enrolled, and what they were answered.

use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::register::{KeyRecord, Register};
use crate::authority::{
    self, Enrolment, HostKeyRecord, KeyActivation, MultipleActivationKeyRecord,
};
use crate::daemon::date;
use crate::daemon::files::{self, FileError, Secrecy};
use crate::fingerprint::Fingerprint;
use crate::trust;
use crate::wire::{Cmid, Digest, Frame, KeyId, MachineDigest, PublicKey};

const HEADER: &str = "\
# The hosts that were enrolled. A serial number is never used twice, so do not lower next_serial;
# and a line that is removed gives its place on the key back.

";

/// The ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    pub(super) next_serial: u64,
    #[serde(default, rename = "enrolment", skip_serializing_if = "Vec::is_empty")]
    pub(super) enrolments: Vec<EnrolmentRecord>,
}

/// An enrolment that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRecord {
    /// The host key it was granted with.
    pub key_id: u32,
    /// The name that the host gave itself.
    pub host_name: String,
    /// Its 35 digits.
    pub host_id: String,
    /// Its public key, hexadecimal.
    pub public_key: String,
    /// Which activation of this host with this key it was: 1 is the first.
    pub activation: u32,
    /// When.
    pub at: String,
    /// Serial number of the certificate.
    pub serial: u64,
    /// The certificate's last minute.
    pub valid_until: String,
    /// Digest of the request, hexadecimal: the same request gets the same answer.
    pub request_digest: String,
    /// The answer, hexadecimal.
    pub answer: String,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { next_serial: 1, enrolments: Vec::new() }
    }
}

impl Ledger {
    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        files::write_toml(path, HEADER, self, Secrecy::Secret)
    }

    /// How many different hosts a key has enrolled.
    pub(super) fn hosts(&self, key_id: u32) -> u32 {
        let mut hosts: Vec<&str> = self.of_key(key_id).map(|record| &*record.public_key).collect();
        hosts.sort_unstable();
        hosts.dedup();
        u32::try_from(hosts.len()).unwrap_or(u32::MAX)
    }

    fn of_key(&self, key_id: u32) -> impl Iterator<Item = &EnrolmentRecord> {
        self.enrolments.iter().filter(move |record| record.key_id == key_id)
    }
}

/// Register and ledger, as the authority's rules ask for them. The folder's lock makes the calls
/// for one request a transaction. It keeps enrolments only: no multiple activation key is known
/// here, so no machine is activated.
pub(super) struct FileLedger<'a> {
    pub(super) register: &'a Register,
    pub(super) ledger: &'a mut Ledger,
    pub(super) path: &'a Path,
}

impl authority::Ledger for FileLedger<'_> {
    type Error = FileError;

    fn host_key(&mut self, KeyId(id): KeyId) -> Result<Option<HostKeyRecord>, FileError> {
        Ok(self.register.key(id).and_then(KeyRecord::as_host_key))
    }

    fn multiple_activation_key(
        &mut self,
        _: KeyId,
    ) -> Result<Option<MultipleActivationKeyRecord>, FileError> {
        Ok(None)
    }

    fn answer_to(&mut self, request_digest: &Digest) -> Result<Option<Frame>, FileError> {
        let digest = files::to_hex(&request_digest.0);
        let known = self.ledger.enrolments.iter().find(|record| record.request_digest == digest);
        let Some(record) = known else { return Ok(None) };
        let answer = files::from_hex(&record.answer).and_then(|answer| answer.try_into().ok());
        let wrong = || {
            let reason = std::format!("the answer with serial {} is no frame", record.serial);
            FileError::new(self.path, "cannot understand", reason)
        };
        answer.ok_or_else(wrong).map(Some)
    }

    fn hosts(&mut self, KeyId(id): KeyId) -> Result<u32, FileError> {
        Ok(self.ledger.hosts(id))
    }

    fn activations(&mut self, KeyId(id): KeyId, host: &PublicKey) -> Result<u32, FileError> {
        let key = files::to_hex(&host.0);
        let of_host = self.ledger.of_key(id).filter(|record| record.public_key == key);
        Ok(of_host.map(|record| record.activation).max().unwrap_or(0))
    }

    fn machines(&mut self, _: KeyId) -> Result<u32, FileError> {
        Ok(0)
    }

    fn knows(&mut self, _: KeyId, _: &MachineDigest) -> Result<bool, FileError> {
        Ok(false)
    }

    fn fingerprints(
        &mut self,
        _: KeyId,
        _: Cmid,
        _: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), FileError> {
        Ok(())
    }

    fn record_activation(&mut self, _: &KeyActivation<'_>) -> Result<(), FileError> {
        Err(FileError::new(self.path, "cannot write", "it has no place for activations by key"))
    }

    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), FileError> {
        let Enrolment { request, request_digest, activation, certificate, answer, at } = enrolment;
        let claims = &certificate.claims;
        let mut ledger = self.ledger.clone();
        ledger.next_serial = claims.serial.saturating_add(1);
        ledger.enrolments.push(EnrolmentRecord {
            key_id: request.key_id.0,
            host_name: request.host_name.to_string(),
            host_id: trust::host_id(&request.public_key).to_string(),
            public_key: files::to_hex(&request.public_key.0),
            activation: *activation,
            at: date(*at),
            serial: claims.serial,
            valid_until: date(claims.not_after.start()),
            request_digest: files::to_hex(&request_digest.0),
            answer: files::to_hex(*answer),
        });
        ledger.write(self.path)?;
        *self.ledger = ledger;
        Ok(())
    }
}
