//! A ledger in memory, hosts that ask for enrolment and machines that ask for activation by key.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use headcount::authority::{
    self, CatalogueProduct, Enrolment, HostKeyRecord, KeyActivation, KeyService,
    MultipleActivationKeyRecord,
};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::policy::{ACTIVATION_INTERVAL, RENEWAL_INTERVAL};
use headcount::time::{EpochMinute, UnixTime};
use headcount::trust::{
    self, Expected, MasterKey, Root, Signer, SigningKey, TagKey, TagSchedule, Untrusted,
    sign_certificate, verify_response,
};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, Cmid, CountedId, Coverage, Digest,
    EnrolmentBody, EnrolmentRequest, EnrolmentResponse, Frame, KeyId, KeyKind, LicenceStatus,
    MachineDigest, Method, Name, Nonce, PublicKey, Request, Response, Role,
};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);
pub(crate) const KEY: KeyId = KeyId(900);
pub(crate) const COVERAGE: Coverage = Coverage { family: 7, rank: 3, generation: 2 };
pub(crate) const ROOT_ID: u16 = 1;

/// A ledger in memory that fails where it is told to.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) keys: Vec<HostKeyRecord>,
    pub(crate) maks: Vec<MultipleActivationKeyRecord>,
    activations: HashMap<(u32, [u8; 32]), u32>,
    answers: HashMap<[u8; 32], Frame>,
    known: HashSet<(KeyId, MachineDigest)>,
    identities: Vec<(KeyId, Cmid, MachineDigest, Fingerprint)>,
    machines: HashMap<KeyId, u32>,
    pub(crate) names: Vec<String>,
    pub(crate) fails: Option<Call>,
    /// Enrolments come at other times than [`NOW`], too, and those by phone again.
    pub(crate) at_any_time: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    HostKey,
    MultipleActivationKey,
    AnswerTo,
    Hosts,
    Activations,
    Machines,
    Knows,
    Fingerprints,
    Record,
    RecordActivation,
}

impl Ledger {
    pub(crate) fn with(key: HostKeyRecord) -> Self {
        Self { keys: vec![key], ..Self::default() }
    }

    pub(crate) fn with_mak(key: MultipleActivationKeyRecord) -> Self {
        Self { maks: vec![key], ..Self::default() }
    }

    /// As a ledger that keeps no answer any more.
    pub(crate) fn forget_answers(&mut self) {
        self.answers.clear();
    }

    fn call(&self, call: Call) -> Result<(), Call> {
        if self.fails == Some(call) { Err(call) } else { Ok(()) }
    }
}

impl authority::Ledger for Ledger {
    type Error = Call;

    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Call> {
        self.call(Call::HostKey)?;
        Ok(self.keys.iter().find(|key| key.key_id == key_id).copied())
    }

    fn multiple_activation_key(
        &mut self,
        key_id: KeyId,
    ) -> Result<Option<MultipleActivationKeyRecord>, Call> {
        self.call(Call::MultipleActivationKey)?;
        Ok(self.maks.iter().find(|key| key.key_id == key_id).copied())
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

    fn machines(&mut self, key_id: KeyId) -> Result<u32, Call> {
        self.call(Call::Machines)?;
        Ok(self.machines.get(&key_id).copied().unwrap_or_default())
    }

    fn knows(&mut self, key_id: KeyId, machine: &MachineDigest) -> Result<bool, Call> {
        self.call(Call::Knows)?;
        Ok(self.known.contains(&(key_id, *machine)))
    }

    fn fingerprints(
        &mut self,
        key_id: KeyId,
        cmid: Cmid,
        visit: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), Call> {
        self.call(Call::Fingerprints)?;
        for (key, id, machine, fingerprint) in &self.identities {
            if (*key, *id) == (key_id, cmid) {
                visit(machine, fingerprint);
            }
        }
        Ok(())
    }

    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Call> {
        self.call(Call::Record)?;
        let request = enrolment.request;
        let count = self.activations.entry((request.key_id.0, request.public_key.0)).or_default();
        *count += 1;
        assert_eq!(*count, enrolment.activation);
        assert!(enrolment.at == NOW || self.at_any_time);
        let answered = EnrolmentResponse::parse(enrolment.answer).unwrap().body;
        assert_eq!(answered.outcome, Ok(*enrolment.certificate));
        assert_eq!(answered.request_digest, enrolment.request_digest);
        self.names.push(request.host_name.to_string());
        let before = self.answers.insert(enrolment.request_digest.0, *enrolment.answer);
        assert!(before.is_none() || self.at_any_time);
        Ok(())
    }

    fn record_activation(&mut self, activation: &KeyActivation<'_>) -> Result<(), Call> {
        self.call(Call::RecordActivation)?;
        let KeyActivation { key_id, machine, .. } = *activation;
        if activation.counted {
            *self.machines.entry(key_id).or_default() += 1;
        }
        let new = self.known.insert((key_id, machine));
        assert_eq!(new, activation.counted, "who is new is counted, and nobody else");
        if let Some((cmid, fingerprint)) = activation.identity {
            let (application_id, activation_id) = activation.product;
            let digest = trust::machine_digest(application_id, activation_id, cmid, fingerprint);
            assert_eq!(digest, machine);
            self.identities.push((key_id, cmid, machine, fingerprint));
        }
        if let Some(answer) = activation.answer {
            let answered = Response::parse(answer).unwrap();
            assert_eq!(answered.body.request_digest, activation.request_digest);
            assert_eq!(answered.signature.0, [0; 64]);
            self.answers.insert(activation.request_digest.0, *answer);
        }
        self.names.push(activation.name.to_string());
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

pub(crate) const MAK: KeyId = KeyId(77);
pub(crate) const PRODUCT: CatalogueProduct = CatalogueProduct {
    application_id: ApplicationId([0xa1; 16]),
    activation_id: ActivationId([0xa2; 16]),
    coverage: Coverage { family: 7, rank: 2, generation: 1 },
    matching: Matching::DEFAULT,
};

/// A MAK of so many activations.
pub(crate) const fn mak(activations_limit: u32) -> MultipleActivationKeyRecord {
    MultipleActivationKeyRecord {
        key_id: MAK,
        coverage: COVERAGE,
        activations_limit,
        blocked: false,
    }
}

/// What a service of activations by key owns.
pub(crate) struct Service {
    pub(crate) master: MasterKey,
    pub(crate) signer: SigningKey,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) products: Vec<CatalogueProduct>,
}

impl Service {
    pub(crate) fn new() -> Self {
        let signer = SigningKey::from_seed(&[0x33; 32]);
        let certificates = vec![certify(Self::claims(signer.public_key()))];
        Self { master: master(), signer, certificates, products: vec![PRODUCT] }
    }

    /// What the root says of a key of the authority's: for the whole family, for a year.
    pub(crate) const fn claims(public_key: PublicKey) -> Claims {
        Claims {
            public_key,
            serial: 1,
            not_before: EpochMinute(NOW.minute().0 - 240),
            not_after: EpochMinute(NOW.minute().0 + 365 * 24 * 60),
            root_id: ROOT_ID,
            coverage: COVERAGE,
            role: Role::Authority,
        }
    }

    pub(crate) fn rules(&self) -> KeyService<'_, SigningKey> {
        KeyService {
            master: &self.master,
            signer: &self.signer,
            certificates: &self.certificates,
            products: &self.products,
            max_skew: None,
            activation_interval: ACTIVATION_INTERVAL,
            renewal_interval: RENEWAL_INTERVAL,
        }
    }
}

pub(crate) fn certify(claims: Claims) -> Certificate {
    sign_certificate(&claims, &root()).unwrap()
}

/// What a machine asks; its nonces count up.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) request: Request<'static>,
    /// The product that it is.
    pub(crate) coverage: Coverage,
}

impl Machine {
    pub(crate) fn new(number: u8) -> Self {
        let request = Request {
            virtual_machine: number.is_multiple_of(2),
            renewal: false,
            licence_status: LicenceStatus::InitialGrace,
            method: Method::Key,
            required_count: NonZeroU32::new(25).unwrap(),
            time_left: headcount::time::Minutes(60),
            application_id: PRODUCT.application_id,
            activation_id: PRODUCT.activation_id,
            counted_id: CountedId([3; 16]),
            cmid: Cmid::new([number; 16]).unwrap(),
            previous_cmid: None,
            client_time: Some(NOW),
            nonce: Nonce([number; 16]),
            fingerprint: Fingerprint::new([number.into(); 8]),
            workstation_name: Name::new("ward-3").unwrap(),
            key_id: MAK,
        };
        Self { request, coverage: PRODUCT.coverage }
    }

    /// A new request.
    pub(crate) fn ask(&mut self) -> Frame {
        let [count, ..] = &mut self.request.nonce.0;
        *count = count.wrapping_add(1);
        self.repeat()
    }

    pub(crate) fn repeat(&self) -> Frame {
        let kind = match self.request.method {
            Method::Count => KeyKind::ClientSetup,
            Method::Key => KeyKind::MultipleActivation,
        };
        let tag_key = master().product_key(kind, self.request.key_id).tag_key();
        TagSchedule::new(&tag_key).seal(&self.request)
    }

    /// The answer, if the machine can believe it.
    pub(crate) fn judge(&self, answer: &Frame, request: &Frame) -> Result<Response, Untrusted> {
        let expected = Expected {
            request,
            method: self.request.method,
            product: self.coverage,
            roots: &roots(),
            known_certificate: None,
        };
        verify_response(answer, &expected).map(trust::Verified::into_inner)
    }
}
