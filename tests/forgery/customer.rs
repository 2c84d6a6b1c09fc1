//! A customer who holds everything that is sold to him, and means ill.

use std::cell::RefCell;

use headcount::authority::{
    ActivationAnswer, ActivationOutcome, Authority, CatalogueProduct, HostKeyRecord, KeyService,
    MultipleActivationKeyRecord,
};
use headcount::client::{Client, Discard, Machine, Outcome, Product};
use headcount::discovery::{InstalledKey, Keyed, Numbered};
use headcount::fingerprint::Matching;
use headcount::phone::{InstallationId, Machine as MachineParts};
use headcount::policy::{ACTIVATION_INTERVAL, RENEWAL_INTERVAL, VALIDITY};
use headcount::time::{Minutes, Now, UnixTime};
use headcount::trust::{
    MasterKey, Signer, SigningKey, TagKey, TagSchedule, VerifyingKey, request_digest, sign_response,
};
use headcount::wire::{
    ActivationId, Certificate, Coverage, Frame, KeyId, KeyKind, Refusal, Request, ResponseBody,
    Role, Validity, Verdict,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::common::{COVERAGE, DAY, EPOCH, IDS, ONE_HOST, Vendor, drive, machine, now};
use crate::store::Store;

pub(crate) const MAK: KeyId = KeyId(501);
pub(crate) const HOST_KEY: KeyId = KeyId(901);
pub(crate) const MAK_LIMIT: u32 = 5;

/// The edition that the customer has not paid for.
pub(crate) const PREMIUM: ActivationId = ActivationId([9; 16]);
pub(crate) const PREMIUM_COVERAGE: Coverage = Coverage { rank: 3, ..COVERAGE };

pub(crate) type KeyedClient<'a> = Client<'a, VerifyingKey, Keyed<'a, Numbered>>;

/// The vendor with his authority, and what the customer holds of it: two keys, and a host with its
/// private key (`vendor.host_key`).
pub(crate) struct World {
    pub(crate) vendor: Vendor,
    master: MasterKey,
    authority_key: SigningKey,
    pub(crate) certificate: Certificate,
    pub(crate) mak: InstalledKey,
    pub(crate) store: RefCell<Store>,
}

impl World {
    pub(crate) fn new() -> Self {
        let vendor = Vendor::new();
        let master = MasterKey::from_bytes([3; 32]);
        let authority_key = SigningKey::from_seed(&[21; 32]);
        let certificate = vendor.certify(|claims| {
            claims.public_key = authority_key.public_key();
            claims.role = Role::Authority;
            claims.coverage = PREMIUM_COVERAGE;
        });
        let tag_key = master.product_key(KeyKind::MultipleActivation, MAK).tag_key();
        let mut store = Store::default();
        store.maks.push(MultipleActivationKeyRecord {
            key_id: MAK,
            coverage: COVERAGE,
            activations_limit: MAK_LIMIT,
            blocked: false,
        });
        store.host_keys.push(HostKeyRecord::new(HOST_KEY, COVERAGE));
        let mak = InstalledKey { key_id: MAK, tag_key };
        Self { vendor, master, authority_key, certificate, mak, store: store.into() }
    }

    pub(crate) fn host_key_tag(&self) -> TagKey {
        self.master.product_key(KeyKind::Host, HOST_KEY).tag_key()
    }

    pub(crate) fn tag_key(&self, kind: KeyKind, key_id: KeyId) -> TagKey {
        self.master.product_key(kind, key_id).tag_key()
    }

    pub(crate) fn catalogue() -> [CatalogueProduct; 2] {
        let product = CatalogueProduct {
            application_id: IDS.0,
            activation_id: IDS.1,
            coverage: COVERAGE,
            matching: Matching::DEFAULT,
        };
        [
            product,
            CatalogueProduct { activation_id: PREMIUM, coverage: PREMIUM_COVERAGE, ..product },
        ]
    }

    /// What the authority says to a frame. The customer may ask as often as he likes.
    pub(crate) fn ask(&self, frame: &Frame) -> ActivationAnswer {
        let service = KeyService {
            master: &self.master,
            signer: &self.authority_key,
            certificates: &[self.certificate],
            products: &Self::catalogue(),
            max_skew: None,
            activation_interval: ACTIVATION_INTERVAL,
            renewal_interval: RENEWAL_INTERVAL,
        };
        let at = UnixTime::from_secs(EPOCH);
        service.answer_activation(frame, at, &mut *self.store.borrow_mut()).expect("a right tag")
    }

    pub(crate) fn is_granted(&self, frame: &Frame) -> Frame {
        let answer = self.ask(frame);
        assert!(matches!(answer.outcome, ActivationOutcome::Granted { .. }), "{answer:?}");
        answer.frame
    }

    pub(crate) fn authority(&self) -> Authority<'_, SigningKey> {
        Authority {
            master: &self.master,
            root_id: 1,
            root: &self.vendor.root_key,
            certificate_validity: Minutes::from_days(365),
            max_skew: None,
        }
    }

    pub(crate) fn product(&self) -> Product<'_> {
        self.vendor.product(5)
    }

    pub(crate) fn premium(&self) -> Product<'_> {
        Product { activation_id: PREMIUM, coverage: PREMIUM_COVERAGE, ..self.product() }
    }

    /// Signs whatever it is told, with the host's private key and what the root says of it.
    pub(crate) fn host_says(&self, request: &Frame, verdict: Verdict) -> Frame {
        self.sign(&Self::body(request, verdict, self.vendor.certificate))
    }

    /// The same with another body.
    pub(crate) fn sign(&self, body: &ResponseBody) -> Frame {
        let Ok(frame) = sign_response(body, &self.vendor.host_key);
        frame
    }

    pub(crate) fn body(
        request: &Frame,
        verdict: Verdict,
        certificate: Certificate,
    ) -> ResponseBody {
        ResponseBody {
            verdict,
            duplicate: false,
            activation_interval: ACTIVATION_INTERVAL,
            renewal_interval: RENEWAL_INTERVAL,
            host_time: UnixTime::from_secs(EPOCH),
            request_digest: request_digest(request),
            certificate,
        }
    }

    /// Tags a request with the MAK, which the customer holds.
    pub(crate) fn seal(&self, request: &Request<'_>) -> Frame {
        TagSchedule::new(&self.mak.tag_key).seal(request)
    }

    pub(crate) fn installation_id(&self, request: &Frame) -> InstallationId {
        let request = Request::parse(request).unwrap();
        InstallationId::for_machine(&MachineParts::of(&request), &self.mak.tag_key)
    }

    /// The vendor confirms it by phone.
    pub(crate) fn is_confirmed(&self, id: &InstallationId) -> headcount::phone::Confirmation {
        let at = UnixTime::from_secs(EPOCH);
        let store = &mut *self.store.borrow_mut();
        let told = self.authority().answer_installation(id, &Self::catalogue(), at, store);
        told.expect("it is granted").confirmation
    }
}

pub(crate) const FOR_EVER: Verdict = Verdict::Granted { count: 100, validity: Validity::Perpetual };
pub(crate) const BY_COUNT: Verdict =
    Verdict::Granted { count: 100, validity: Validity::For(VALIDITY) };
pub(crate) const REFUSAL: Verdict = Verdict::Refused(Refusal::KeyExhausted);

/// A machine with the vendor's unpatched client.
pub(crate) struct Victim<'a> {
    pub(crate) product: &'a Product<'a>,
    machine: Machine<'static>,
    pub(crate) client: KeyedClient<'a>,
    rng: StdRng,
}

impl<'a> Victim<'a> {
    /// By key where there is one, by count where there is none.
    pub(crate) fn new(
        product: &'a Product<'a>,
        number: u16,
        key: Option<&'a InstalledKey>,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(number.into());
        let machine = machine(number);
        let hosts = Keyed::new(Numbered::new(ONE_HOST), key);
        let client = Client::new_with(product, machine, hosts, now(0), &mut rng);
        Self { product, machine, client, rng }
    }

    pub(crate) fn asks(&mut self, now: Now) -> Frame {
        drive(&mut self.client, now, &mut self.rng, &mut Vec::new()).expect("a request")
    }

    pub(crate) fn hears(&mut self, now: Now, answer: &Frame) -> Result<Outcome, Discard> {
        let result = self.client.handle_response(now, &mut self.rng, answer);
        if result.is_err() {
            assert!(!self.is_activated(), "by what is discarded");
        }
        result
    }

    pub(crate) fn is_brought(
        &mut self,
        request: &Frame,
        answer: &Frame,
    ) -> Result<Outcome, headcount::client::Rejection> {
        let result = self.client.take_stored(now(0), &mut self.rng, request, answer);
        assert_eq!(result.is_ok(), self.is_activated());
        result
    }

    /// Starts from what somebody has written into its storage; whether it is activated then.
    pub(crate) fn starts_from(&mut self, image: &[u8], key: Option<&'a InstalledKey>) -> bool {
        let hosts = Keyed::new(Numbered::new(ONE_HOST), key);
        let started =
            Client::resume_with(self.product, self.machine, hosts, image, now(DAY), &mut self.rng);
        self.client = started.expect("a state");
        drive(&mut self.client, now(DAY), &mut self.rng, &mut Vec::new());
        self.client.is_activated(now(DAY))
    }

    pub(crate) fn is_activated(&self) -> bool {
        self.client.is_activated(now(0))
    }
}
