//! What a host says of itself when it enrols, and what it believes of the answer.

use rand_core::Rng as _;

use super::EnrolmentKey;
use crate::daemon::files::FileError;
use crate::daemon::{HostConfig, HostFiles, MachineFacts, ProductFile, all_roots};
use crate::fingerprint::Fingerprint;
use crate::os::system_rng;
use crate::time::UnixTime;
use crate::trust::{self, Root, Signer as _, SigningKey, UntrustedGrant};
use crate::wire::{Certificate, EnrolmentRequest, Frame, Name, Nonce, PublicKey, Refusal};
use std::string::String;
use std::vec::Vec;

/// A host that asks to be enrolled.
#[derive(Debug)]
pub struct Applicant {
    pub(super) files: HostFiles,
    signer: SigningKey,
    platform_rank: u8,
    name: String,
    fingerprint: Fingerprint,
    roots: Vec<Root>,
}

impl Applicant {
    /// The host of this configuration. `products` are those of its product files: their root keys
    /// are the ones that are believed.
    ///
    /// # Errors
    ///
    /// The host's own key, or a root key in a product file, cannot be read.
    pub fn new(config: &HostConfig, products: &[ProductFile]) -> Result<Self, FileError> {
        let files = HostFiles::new(config.state_folder());
        let facts = MachineFacts::of_this_machine();
        let application_id =
            products.first().and_then(|product| product.application_id.parse().ok());
        let fingerprint = application_id.map(|id| facts.fingerprint(id)).unwrap_or_default();
        let roots = all_roots(products).map_err(|reason| FileError {
            path: "".into(),
            action: "cannot use",
            reason,
        })?;
        Ok(Self {
            signer: files.read_key()?,
            files,
            platform_rank: config.platform_rank,
            name: if config.name.is_empty() { facts.name } else { config.name.clone() },
            fingerprint,
            roots,
        })
    }

    /// Who it is.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.signer.public_key()
    }

    /// The highest product group that its platform may serve.
    #[must_use]
    pub const fn platform_rank(&self) -> u8 {
        self.platform_rank
    }

    /// The root keys that it believes.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// A new request, made with this host key when the host's clock shows this.
    #[must_use]
    pub fn request(&self, key: &EnrolmentKey, host_time: Option<UnixTime>) -> Frame {
        let mut nonce = [0; 16];
        system_rng().fill_bytes(&mut nonce);
        let request = EnrolmentRequest {
            platform_rank: self.platform_rank,
            key_id: key.key_id,
            public_key: self.signer.public_key(),
            host_time,
            nonce: Nonce(nonce),
            fingerprint: self.fingerprint,
            host_name: Name::truncated(&self.name),
        };
        match trust::seal_enrolment_request(&request, &self.signer, &key.tag_key) {
            Ok(frame) => frame,
            Err(never) => match never {},
        }
    }

    /// Whether a request that was made before says what one would say now, but for time and nonce.
    pub(super) fn still_says(&self, frame: &Frame, key: &EnrolmentKey) -> bool {
        let Ok(request) = EnrolmentRequest::parse(frame) else { return false };
        trust::verify_enrolment_request(frame, &key.tag_key).is_ok()
            && request.key_id == key.key_id
            && request.public_key == self.signer.public_key()
            && request.platform_rank == self.platform_rank
    }

    /// What the answer to a request grants or refuses, if one of the root keys has signed it.
    pub fn judge(
        &self,
        answer: &Frame,
        request: &Frame,
    ) -> Result<Result<Certificate, Refusal>, UntrustedGrant> {
        let public_key = self.signer.public_key();
        let response = trust::verify_enrolment_response(answer, request, &public_key, &self.roots)?;
        Ok(response.body.outcome)
    }
}
