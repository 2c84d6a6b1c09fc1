//! A ledger in memory, and hosts that ask.

use std::collections::HashMap;

use headcount::authority::{Enrolment, EnrolmentLedger, HostKeyRecord};
use headcount::fingerprint::Fingerprint;
use headcount::time::UnixTime;
use headcount::trust::{self, MasterKey, Root, Signer, SigningKey, TagKey};
use headcount::wire::{
    Coverage, Digest, EnrolmentBody, EnrolmentRequest, EnrolmentResponse, Frame, KeyId, KeyKind,
    Name, Nonce, PublicKey,
};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
pub(crate) const KEY: KeyId = KeyId(900);
pub(crate) const COVERAGE: Coverage = Coverage { family: 7, rank: 3, generation: 2 };
pub(crate) const ROOT_ID: u16 = 1;

/// A ledger in memory that fails where it is told to.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) keys: Vec<HostKeyRecord>,
    activations: HashMap<(u32, [u8; 32]), u32>,
    answers: HashMap<[u8; 32], Frame>,
    pub(crate) names: Vec<String>,
    pub(crate) fails: Option<Call>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    HostKey,
    AnswerTo,
    Hosts,
    Activations,
    Record,
}

impl Ledger {
    pub(crate) fn with(key: HostKeyRecord) -> Self {
        Self { keys: vec![key], ..Self::default() }
    }

    fn call(&self, call: Call) -> Result<(), Call> {
        if self.fails == Some(call) { Err(call) } else { Ok(()) }
    }
}

impl EnrolmentLedger for Ledger {
    type Error = Call;

    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Call> {
        self.call(Call::HostKey)?;
        Ok(self.keys.iter().find(|key| key.key_id == key_id).copied())
    }

    fn answer_to(&mut self, request_digest: &Digest) -> Result<Option<Frame>, Call> {
        self.call(Call::AnswerTo)?;
        Ok(self.answers.get(&request_digest.0).copied())
    }

    fn hosts(&mut self, key_id: KeyId) -> Result<u32, Call> {
        self.call(Call::Hosts)?;
        Ok(self.activations.keys().filter(|(id, _)| *id == key_id.0).count() as u32)
    }

    fn activations(&mut self, key_id: KeyId, host: &PublicKey) -> Result<u32, Call> {
        self.call(Call::Activations)?;
        Ok(self.activations.get(&(key_id.0, host.0)).copied().unwrap_or_default())
    }

    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Call> {
        self.call(Call::Record)?;
        let request = enrolment.request;
        let count = self.activations.entry((request.key_id.0, request.public_key.0)).or_default();
        *count += 1;
        assert_eq!(*count, enrolment.activation);
        assert_eq!(enrolment.at, NOW);
        let answered = EnrolmentResponse::parse(enrolment.answer).unwrap().body;
        assert_eq!(answered.outcome, Ok(*enrolment.certificate));
        assert_eq!(answered.request_digest, enrolment.request_digest);
        self.names.push(request.host_name.to_string());
        assert!(self.answers.insert(enrolment.request_digest.0, *enrolment.answer).is_none());
        Ok(())
    }
}

pub(crate) fn master() -> MasterKey {
    MasterKey::from_bytes([0x11; 32])
}

pub(crate) fn root() -> SigningKey {
    SigningKey::from_seed(&[0x22; 32])
}

pub(crate) fn roots() -> [Root; 1] {
    [Root::new(ROOT_ID, &root().public_key()).unwrap()]
}

pub(crate) fn tag_key(key_id: KeyId) -> TagKey {
    master().product_key(KeyKind::Host, key_id).tag_key()
}

/// What a host asks; its nonces count up.
pub(crate) struct Host {
    pub(crate) signing: SigningKey,
    pub(crate) request: EnrolmentRequest<'static>,
}

impl Host {
    pub(crate) fn new(number: u8) -> Self {
        let signing = SigningKey::from_seed(&[number; 32]);
        let request = EnrolmentRequest {
            platform_rank: 9,
            key_id: KEY,
            public_key: signing.public_key(),
            host_time: Some(NOW),
            nonce: Nonce([number; 16]),
            fingerprint: Fingerprint::EMPTY,
            host_name: Name::new("core-switch-07").unwrap(),
        };
        Self { signing, request }
    }

    /// A new request.
    pub(crate) fn ask(&mut self) -> Frame {
        let [count, ..] = &mut self.request.nonce.0;
        *count = count.wrapping_add(1);
        self.repeat()
    }

    pub(crate) fn repeat(&self) -> Frame {
        let key = tag_key(self.request.key_id);
        trust::seal_enrolment_request(&self.request, &self.signing, &key).unwrap()
    }

    /// The answer's body, which the host believes.
    pub(crate) fn believe(&self, answer: &Frame, request: &Frame) -> EnrolmentBody {
        let key = &self.request.public_key;
        trust::verify_enrolment_response(answer, request, key, &roots()).unwrap().body
    }
}
