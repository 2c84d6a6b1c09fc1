//! The client that can be activated by key, against an authority made by hand (PROTOCOL 11, method 1).

mod common;

use core::convert::Infallible;

use common::{DAY, EPOCH, HOUR, KEY_ID, Vendor, bench, clocks, drive, machine, now, running, sign};
use headcount::client::{
    ActivatedBy, Client, Discard, Event, Failure, KeyChoice, Limits, Machine, Outcome, Product,
    Rejection, Step, WrongKey,
};
use headcount::discovery::{Hosts, InstalledKey, Keyed, Next, Numbered};
use headcount::fingerprint::Fingerprint;
use headcount::phone::{self, InstallationId, UntrustedRecord};
use headcount::policy::{self, Skew};
use headcount::time::{Instant, Minutes, Now, UnixTime};
use headcount::trust::{
    MasterKey, ParsedRequest, ProductKey, Signer, SigningKey, TagSchedule, Untrusted, VerifyingKey,
    request_digest, sign_response,
};
use headcount::wire::{
    Certificate, Cmid, CountedId, Frame, KeyId, KeyKind, LicenceStatus, Method, PublicKey, Refusal,
    Request, ResponseBody, Role, Validity, Verdict,
};
use rand::rngs::StdRng;
use rand::{CryptoRng, SeedableRng};

const THRESHOLD: u32 = 5;
/// More than the product's own maximum.
const YEAR: u64 = 365 * DAY;

/// The vendor's authority: its own certified key, and what a MAK still has.
struct Authority {
    key: SigningKey,
    certificate: Certificate,
}

impl Authority {
    fn new(vendor: &Vendor) -> Self {
        let key = SigningKey::from_seed(&[21; 32]);
        let public_key = key.public_key();
        let certificate = vendor.certify(|claims| {
            claims.public_key = public_key;
            claims.role = Role::Authority;
        });
        Self { key, certificate }
    }

    fn body(&self, frame: &Frame, at: u64, verdict: Verdict) -> ResponseBody {
        ResponseBody {
            verdict,
            duplicate: false,
            activation_interval: policy::ACTIVATION_INTERVAL,
            renewal_interval: policy::RENEWAL_INTERVAL,
            host_time: UnixTime::from_secs(EPOCH + at),
            request_digest: request_digest(frame),
            certificate: self.certificate,
        }
    }

    fn sign(&self, body: &ResponseBody) -> Frame {
        let Ok(frame) = sign_response(body, &self.key);
        frame
    }

    fn grant(&self, frame: &Frame, at: u64, left: u32) -> Frame {
        self.sign(&self.body(frame, at, for_ever(left)))
    }

    fn refuse(&self, frame: &Frame, at: u64, refusal: Refusal) -> Frame {
        self.sign(&self.body(frame, at, Verdict::Refused(refusal)))
    }
}

const fn for_ever(left: u32) -> Verdict {
    Verdict::Granted { count: left, validity: Validity::Perpetual }
}

fn product_key(kind: KeyKind, number: u32) -> ProductKey {
    MasterKey::from_bytes([3; 32]).product_key(kind, KeyId(number))
}

fn installed(number: u32) -> InstalledKey {
    let key = product_key(KeyKind::MultipleActivation, number);
    InstalledKey { key_id: key.key_id(), tag_key: key.tag_key() }
}

const MAK: u32 = 501;

type KeyedClient<'a> = Client<'a, VerifyingKey, Keyed<'a, Numbered>>;

/// A client that can be activated either way, its driver, and both who can do it.
struct Rig<'a> {
    vendor: &'a Vendor,
    authority: Authority,
    product: &'a Product<'a>,
    key: Option<&'a InstalledKey>,
    machine: Machine<'static>,
    client: KeyedClient<'a>,
    rng: StdRng,
    events: Vec<Event>,
}

const fn hosts(key: Option<&InstalledKey>) -> Keyed<'_, Numbered> {
    Keyed::new(Numbered::new(common::TWO_HOSTS), key)
}

impl<'a> Rig<'a> {
    fn new(vendor: &'a Vendor, product: &'a Product<'a>, key: Option<&'a InstalledKey>) -> Self {
        let mut rng = StdRng::seed_from_u64(7);
        let machine = machine(0);
        let client = Client::new_with(product, machine, hosts(key), now(0), &mut rng);
        let authority = Authority::new(vendor);
        Self { vendor, authority, product, key, machine, client, rng, events: Vec::new() }
    }

    fn drive(&mut self, now: Now) -> Option<Frame> {
        drive(&mut self.client, now, &mut self.rng, &mut self.events)
    }

    /// The request that goes out now, which must be one to the authority.
    fn asks_authority(&mut self, now: Now) -> Frame {
        let frame = self.drive(now).expect("a request");
        let key = self.key.expect("one to ask with");
        let request = request(&frame, key);
        assert_eq!((request.method, request.key_id), (Method::Key, key.key_id));
        frame
    }

    fn asks_host(&mut self, now: Now) -> Frame {
        let frame = self.drive(now).expect("a request");
        let parsed = ParsedRequest::parse(&frame).unwrap();
        let request = parsed.verify(&TagSchedule::new(&self.vendor.tag_key)).unwrap();
        assert_eq!((request.method, request.key_id), (Method::Count, KEY_ID));
        frame
    }

    fn handle(&mut self, now: Now, answer: &Frame) -> Result<Outcome, Discard> {
        self.client.handle_response(now, &mut self.rng, answer)
    }

    fn take(&mut self, now: Now, request: &Frame, answer: &Frame) -> Result<Outcome, Rejection> {
        self.client.take_stored(now, &mut self.rng, request, answer)
    }

    fn activate_by_key(&mut self, now: Now, at: u64) -> (Frame, Frame) {
        let request = self.asks_authority(now);
        let answer = self.authority.grant(&request, at, 9);
        assert_eq!(self.handle(now, &answer), Ok(Outcome::Activated { count: 9 }));
        assert_eq!(self.drive(now), None, "a grant for ever is not asked for again");
        (request, answer)
    }

    /// A host's answer.
    fn count(&self, frame: &Frame, at: u64, count: u32) -> Frame {
        let validity = Validity::For(policy::VALIDITY);
        let verdict = Verdict::Granted { count, validity };
        let certificate = self.vendor.certificate;
        let body = ResponseBody { certificate, ..self.authority.body(frame, at, verdict) };
        let Ok(frame) = sign_response(&body, &self.vendor.host_key);
        frame
    }

    fn give_up(&mut self, now: Now) {
        self.client.give_up(now, &mut self.rng, Failure::NoAnswer);
    }

    fn install(&mut self, now: Now, key: Option<&'a InstalledKey>) {
        self.key = key;
        self.client.install(now, &mut self.rng, key);
    }

    /// The same device after a restart with the same key, from what it would store at `stored`.
    fn restart(&mut self, stored: Now, now: Now) {
        let image = self.client.image(stored);
        self.resume(&image, now);
    }

    fn resume(&mut self, image: &[u8], now: Now) {
        let (product, machine, hosts) = (self.product, self.machine, hosts(self.key));
        self.client =
            Client::resume_with(product, machine, hosts, image, now, &mut self.rng).unwrap();
    }

    fn status(&self, now: Now) -> LicenceStatus {
        self.client.licence(now).status
    }

    fn by(&self) -> Option<ActivatedBy> {
        self.client.activation().map(|activation| activation.by)
    }
}

fn request<'f>(frame: &'f Frame, key: &InstalledKey) -> Request<'f> {
    let parsed = ParsedRequest::parse(frame).unwrap();
    parsed.verify(&TagSchedule::new(&key.tag_key)).expect("tagged with the MAK").into_inner()
}

macro_rules! rig {
    ($rig:ident, $key:ident, $installed:expr) => {
        let vendor = Vendor::new();
        let product = vendor.product(THRESHOLD);
        let $key = installed(MAK);
        let mut $rig = Rig::new(&vendor, &product, $installed.then_some(&$key));
    };
}

#[test]
fn an_installed_key_activates_at_the_authority_whatever_the_threshold() {
    rig!(rig, key, true);
    let frame = rig.asks_authority(now(0));
    let left = request(&frame, &key);
    assert_eq!(left.licence_status, LicenceStatus::InitialGrace);
    let answer = rig.authority.grant(&frame, 0, 0);
    assert_eq!(rig.handle(now(0), &answer), Ok(Outcome::Activated { count: 0 }));
    assert_eq!(rig.status(now(0)), LicenceStatus::Licensed);
    let activation = rig.client.activation().unwrap();
    assert_eq!(activation.by, ActivatedBy::Key(KeyId(MAK)));
    assert_eq!((activation.count, activation.validity), (0, None));
    assert_eq!(rig.drive(now(0)), None);
    let (from, to) = (LicenceStatus::InitialGrace, LicenceStatus::Licensed);
    assert_eq!(rig.events, [Event::StatusChanged { from, to }]);
}

#[test]
fn what_is_granted_for_ever_lasts_over_restarts_and_years_and_is_not_renewed() {
    rig!(rig, key, true);
    rig.activate_by_key(now(0), 0);
    rig.events.clear();
    for years in 1..30 {
        let at = years * YEAR;
        assert_eq!(rig.drive(now(at)), None, "renewed after {years} years");
        rig.restart(now(at), now(at + DAY));
        assert_eq!(rig.drive(now(at + DAY)), None, "renewed at a start after {years} years");
        assert_eq!(rig.client.licence(now(at + DAY)).left, None);
        assert_eq!(rig.status(now(at + DAY)), LicenceStatus::Licensed);
        // A device whose clock is lost or wrong is activated all the same.
        for clock in [running(0), clocks(0, -1_000_000_000)] {
            rig.restart(now(at + DAY), clock);
            assert_eq!(rig.drive(clock), None);
            assert_eq!(rig.status(clock), LicenceStatus::Licensed);
        }
    }
    assert_eq!(rig.events, [], "{key:?}");
}

#[test]
fn what_is_granted_for_ever_is_asked_for_once_when_somebody_wants_to_know() {
    rig!(rig, _key, true);
    rig.activate_by_key(now(0), 0);
    rig.client.ask_now(now(DAY));
    rig.asks_authority(now(DAY));
    rig.give_up(now(DAY));
    assert_eq!(rig.drive(now(DAY)), None);
    assert_eq!(rig.drive(now(YEAR)), None, "the failure of a request that need not be");
}

#[test]
fn a_grant_with_an_end_is_renewed_and_not_capped_by_the_products_maximum() {
    let vendor = Vendor::new();
    let limits = Limits { maximum_validity: Validity::For(Minutes(60)), ..Limits::DEFAULT };
    let product = Product { limits, ..vendor.product(THRESHOLD) };
    let key = installed(MAK);
    let mut rig = Rig::new(&vendor, &product, Some(&key));
    let frame = rig.asks_authority(now(0));
    let validity = Validity::For(Minutes::from_days(400));
    let body = rig.authority.body(&frame, 0, Verdict::Granted { count: 3, validity });
    let answer = rig.authority.sign(&body);
    rig.handle(now(0), &answer).unwrap();
    assert_eq!(rig.drive(now(6 * DAY)), None);
    assert_eq!(rig.status(now(400 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(now(400 * DAY)), LicenceStatus::Notification);
    let renewal = rig.asks_authority(now(8 * DAY));
    assert!(request(&renewal, &key).renewal);
}

#[test]
fn a_refusal_is_told_by_its_name_and_asked_again_after_the_interval() {
    for refusal in [
        Refusal::NotCovered,
        Refusal::UnknownKey,
        Refusal::KeyExhausted,
        Refusal::KeyBlocked,
        Refusal::Busy,
    ] {
        rig!(rig, _key, true);
        let frame = rig.asks_authority(now(0));
        let answer = rig.authority.refuse(&frame, 0, refusal);
        assert_eq!(rig.handle(now(0), &answer), Ok(Outcome::Refused(refusal)));
        assert_eq!(rig.client.last_attempt(), Some(Ok(Outcome::Refused(refusal))));
        assert_eq!(rig.drive(now(HOUR)), None, "there is one authority, and it has spoken");
        assert_eq!(rig.status(now(HOUR)), LicenceStatus::InitialGrace);
        rig.asks_authority(now(3 * HOUR));
        rig.give_up(now(3 * HOUR));
        assert_eq!(rig.drive(now(3 * HOUR)), None, "one place to ask a round");
    }
}

#[test]
fn by_key_takes_the_place_of_by_count_when_the_authority_has_granted() {
    rig!(rig, key, false);
    let frame = rig.asks_host(now(0));
    let answer = rig.count(&frame, 0, THRESHOLD);
    rig.handle(now(0), &answer).unwrap();
    assert_eq!((rig.drive(now(0)), rig.by()), (None, Some(ActivatedBy::Count)));

    rig.install(now(DAY), Some(&key));
    let frame = rig.asks_authority(now(DAY));
    assert!(request(&frame, &key).renewal, "it is activated, by count");
    let refusal = rig.authority.refuse(&frame, DAY, Refusal::KeyExhausted);
    rig.handle(now(DAY), &refusal).unwrap();
    assert_eq!(rig.by(), Some(ActivatedBy::Count), "nothing is taken away");
    assert_eq!(rig.status(now(DAY)), LicenceStatus::Licensed);

    // At a start it goes on trying to change, at once.
    rig.restart(now(DAY), now(DAY));
    rig.activate_by_key(now(DAY), DAY);
    assert_eq!(rig.by(), Some(ActivatedBy::Key(KeyId(MAK))));
    assert_eq!(rig.status(now(10 * YEAR)), LicenceStatus::Licensed);
}

#[test]
fn by_count_takes_the_place_of_by_key_when_a_host_has_granted() {
    rig!(rig, _key, true);
    rig.activate_by_key(now(0), 0);
    rig.install(now(DAY), None);
    let frame = rig.asks_host(now(DAY));
    let answer = rig.count(&frame, DAY, THRESHOLD - 1);
    let below = Outcome::BelowThreshold { count: THRESHOLD - 1, required: THRESHOLD };
    assert_eq!(rig.handle(now(DAY), &answer), Ok(below));
    assert_eq!(rig.by(), Some(ActivatedBy::Key(KeyId(MAK))), "nothing is taken away");
    assert_eq!(rig.client.licence(now(DAY)).left, None);

    rig.restart(now(DAY), now(DAY));
    let frame = rig.asks_host(now(DAY));
    let answer = rig.count(&frame, DAY, THRESHOLD);
    rig.handle(now(DAY), &answer).unwrap();
    assert_eq!(rig.by(), Some(ActivatedBy::Count));
    assert_eq!(rig.status(now(181 * DAY)), LicenceStatus::Notification);
    rig.asks_host(now(8 * DAY));
}

#[test]
fn another_key_is_asked_with_at_once_and_the_same_one_not_again() {
    rig!(rig, key, true);
    let other = installed(MAK + 1);
    rig.activate_by_key(now(0), 0);
    rig.install(now(0), Some(&key));
    assert_eq!(rig.drive(now(0)), None);
    rig.install(now(0), Some(&other));
    rig.asks_authority(now(0));
    // The answer to a request of the key before is nobody's any more.
    rig.install(now(0), Some(&key));
    assert_eq!(rig.drive(now(0)), None, "this one is held already");
    rig.install(now(0), Some(&other));
    let old = rig.asks_authority(now(0));
    rig.install(now(0), None);
    let answer = rig.authority.grant(&old, 0, 9);
    assert_eq!(rig.handle(now(0), &answer), Err(Discard::NotAsked));
    rig.asks_host(now(0));
}

#[test]
fn only_the_products_own_setup_key_and_a_mak_are_keys_of_a_client() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let choose = |kind, number| KeyChoice::of(&product, &product_key(kind, number));
    let by_key = choose(KeyKind::MultipleActivation, MAK).unwrap();
    let chosen = by_key.installed().unwrap();
    assert_eq!((chosen.key_id, &chosen.tag_key), (KeyId(MAK), &installed(MAK).tag_key));
    assert!(!format!("{by_key:?}").contains(&format!("{:?}", chosen.tag_key.expose())));
    assert!(choose(KeyKind::ClientSetup, KEY_ID.0).unwrap().installed().is_none());

    let host_key = choose(KeyKind::Host, KEY_ID.0).unwrap_err();
    assert_eq!(host_key, WrongKey::HostKey);
    assert!(host_key.to_string().contains("host key"));
    let other = choose(KeyKind::ClientSetup, KEY_ID.0 + 1).unwrap_err();
    assert_eq!(other, WrongKey::OtherSetupKey);
    assert!(other.to_string().contains("another product"));
    // Of the same number, but another vendor's.
    let foreign = MasterKey::from_bytes([4; 32]).product_key(KeyKind::ClientSetup, KEY_ID);
    assert_eq!(KeyChoice::of(&product, &foreign).unwrap_err(), WrongKey::OtherSetupKey);
}

#[test]
fn a_host_cannot_answer_for_the_authority_nor_the_authority_for_a_host() {
    rig!(rig, key, true);
    let frame = rig.asks_authority(now(0));
    let wrong = |role| Err(Discard::Untrusted(Untrusted::WrongRole(role)));
    let answer = rig.count(&frame, 0, 100);
    assert_eq!(rig.handle(now(0), &answer), wrong(Role::Host));
    // A host that grants for ever, in its own name and in that of an authority's certificate.
    let body = rig.authority.body(&frame, 0, for_ever(1));
    let certificate = rig.vendor.certificate;
    let Ok(answer) = sign_response(&ResponseBody { certificate, ..body }, &rig.vendor.host_key);
    assert_eq!(rig.handle(now(0), &answer), wrong(Role::Host));
    let Ok(answer) = sign_response(&body, &rig.vendor.host_key);
    let unsigned = Err(Discard::Untrusted(Untrusted::ResponseSignature));
    assert_eq!(rig.handle(now(0), &answer), unsigned);
    // A host that certifies itself as the authority.
    let mut claims = rig.vendor.certificate.claims;
    claims.role = Role::Authority;
    let certificate = sign(&claims, &rig.vendor.host_key);
    let Ok(answer) = sign_response(&ResponseBody { certificate, ..body }, &rig.vendor.host_key);
    let forged = Err(Discard::Untrusted(Untrusted::CertificateSignature));
    assert_eq!(rig.handle(now(0), &answer), forged);
    assert_eq!((rig.by(), rig.status(now(0))), (None, LicenceStatus::InitialGrace));

    rig.install(now(0), None);
    let frame = rig.asks_host(now(0));
    let answer = rig.authority.grant(&frame, 0, 100);
    assert_eq!(rig.handle(now(0), &answer), wrong(Role::Authority));
    // By count nothing is for ever, whoever says so.
    let body = ResponseBody { certificate: rig.vendor.certificate, ..body };
    let body = ResponseBody { request_digest: request_digest(&frame), ..body };
    let Ok(answer) = sign_response(&body, &rig.vendor.host_key);
    assert_eq!(rig.handle(now(0), &answer), Err(Discard::Untrusted(Untrusted::Perpetual)));
    assert_eq!(rig.by(), None, "{key:?}");
}

#[test]
fn clocks_count_on_line_as_with_a_host() {
    rig!(rig, _key, true);
    let frame = rig.asks_authority(now(0));
    let answer = rig.authority.grant(&frame, 5 * HOUR, 9);
    let skew = Skew::Behind(5 * HOUR);
    assert_eq!(rig.handle(now(0), &answer), Err(Discard::ClockSkew(skew)));
    let answer = rig.authority.grant(&frame, 4 * HOUR, 9);
    rig.handle(now(0), &answer).unwrap();
}

/// Hosts of which the site trusts none.
struct Distrusted(Numbered);

impl Hosts for Distrusted {
    type Find = Infallible;

    fn begin(&mut self) {
        self.0.begin();
    }

    fn next(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Next<Infallible> {
        self.0.next(now, rng)
    }

    fn answered(&mut self, granted: bool) {
        self.0.answered(granted);
    }

    fn failed(&mut self) {
        self.0.failed();
    }

    fn trusts(&self, _key: &PublicKey) -> bool {
        false
    }
}

#[test]
fn whom_the_site_trusts_is_no_matter_of_the_authority() {
    let vendor = Vendor::new();
    let product = vendor.product(THRESHOLD);
    let authority = Authority::new(&vendor);
    let key = installed(MAK);
    let mut rng = StdRng::seed_from_u64(1);
    let hosts = |key| Keyed::new(Distrusted(Numbered::new(common::ONE_HOST)), key);
    let mut client = Client::new_with(&product, machine(0), hosts(Some(&key)), now(0), &mut rng);
    let frame = drive(&mut client, now(0), &mut rng, &mut Vec::new()).unwrap();
    let answer = authority.grant(&frame, 0, 9);
    client.handle_response(now(0), &mut rng, &answer).unwrap();
    let image = client.image(now(0));
    for key in [Some(&key), None] {
        let mut client =
            Client::resume_with(&product, machine(0), hosts(key), &image, now(0), &mut rng)
                .unwrap();
        assert!(client.is_activated(now(0)));
        // A host by count is still none to be believed.
        if let Some(frame) = drive(&mut client, now(0), &mut rng, &mut Vec::new()) {
            assert!(key.is_none());
            let body = ResponseBody {
                certificate: vendor.certificate,
                ..authority.body(
                    &frame,
                    0,
                    Verdict::Granted {
                        count: THRESHOLD,
                        validity: Validity::For(policy::VALIDITY),
                    },
                )
            };
            let Ok(answer) = sign_response(&body, &vendor.host_key);
            let handled = client.handle_response(now(0), &mut rng, &answer);
            assert_eq!(handled, Err(Discard::HostNotTrusted));
        }
    }
}

#[test]
fn no_word_of_duplicates_makes_it_another_machine_to_the_authority() {
    rig!(rig, _key, true);
    let cmid = rig.client.cmid();
    let frame = rig.asks_authority(now(0));
    let body = rig.authority.body(&frame, 0, for_ever(9));
    let answer = rig.authority.sign(&ResponseBody { duplicate: true, ..body });
    assert_eq!(rig.handle(now(0), &answer), Ok(Outcome::Activated { count: 9 }));
    assert_eq!((rig.drive(now(0)), rig.client.cmid()), (None, cmid));
}

#[test]
fn changed_hardware_must_be_activated_again() {
    rig!(rig, key, true);
    rig.activate_by_key(now(0), 0);
    // Within the tolerance nothing happens.
    let mut components = [1; 8];
    components[0] = 9;
    rig.machine.fingerprint = Fingerprint::new(components);
    rig.client.set_machine(rig.machine, now(0));
    assert_eq!((rig.drive(now(0)), rig.status(now(0))), (None, LicenceStatus::Licensed));

    rig.machine.fingerprint = Fingerprint::new([7; 8]);
    rig.client.set_machine(rig.machine, now(0));
    assert_eq!(rig.status(now(0)), LicenceStatus::OutOfToleranceGrace);
    let frame = rig.asks_authority(now(0));
    let asked = request(&frame, &key);
    assert_eq!(asked.fingerprint, rig.machine.fingerprint);
    assert_eq!(asked.licence_status, LicenceStatus::OutOfToleranceGrace);
    rig.give_up(now(0));
    rig.restart(now(0), now(30 * DAY));
    assert_eq!(rig.status(now(30 * DAY)), LicenceStatus::Notification);
    rig.activate_by_key(now(30 * DAY), 30 * DAY);
    assert_eq!(rig.status(now(31 * DAY)), LicenceStatus::Licensed);
}

#[test]
fn an_answer_that_was_carried_here_activates_however_old_it_is() {
    rig!(rig, key, true);
    let frame = rig.asks_authority(now(0));
    let answer = rig.authority.grant(&frame, 0, 9);
    let later = now(3 * YEAR);
    // Another request has been made since.
    rig.give_up(now(0));
    rig.client.ask_now(later);
    rig.asks_authority(later);
    assert_eq!(rig.take(later, &frame, &answer), Ok(Outcome::Activated { count: 9 }));
    assert_eq!((rig.drive(later), rig.status(later)), (None, LicenceStatus::Licensed));
    assert_eq!(rig.by(), Some(ActivatedBy::Key(key.key_id)));
    rig.restart(later, later);
    assert_eq!((rig.drive(later), rig.status(later)), (None, LicenceStatus::Licensed));
    // A clock that is wrong by years is not the answer's fault, and a floor above it neither.
    let wrong = clocks(0, 0);
    let mut other = Rig::new(rig.vendor, rig.product, Some(&key));
    let frame = other.asks_authority(wrong);
    let answer = other.authority.grant(&frame, 5 * YEAR, 9);
    other.take(wrong, &frame, &answer).unwrap();
    assert_eq!(other.client.floor(), Some(UnixTime::from_secs(EPOCH + 5 * YEAR)));
    let earlier = other.authority.grant(&frame, YEAR, 9);
    other.take(wrong, &frame, &earlier).unwrap();
    assert_eq!(other.client.floor(), Some(UnixTime::from_secs(EPOCH + 5 * YEAR)));
}

#[test]
fn an_imaged_machine_is_again_what_it_was() {
    rig!(rig, key, true);
    let cmid = rig.client.cmid();
    let (request_frame, answer) = rig.activate_by_key(now(0), 0);
    let mut imaged = Rig::new(rig.vendor, rig.product, Some(&key));
    imaged.rng = StdRng::seed_from_u64(8);
    imaged.client =
        Client::new_with(rig.product, machine(0), hosts(Some(&key)), now(DAY), &mut imaged.rng);
    assert_ne!(imaged.client.cmid(), cmid);
    imaged.take(now(DAY), &request_frame, &answer).unwrap();
    assert_eq!(imaged.client.cmid(), cmid);
    assert_eq!(imaged.client.poll(now(DAY), &mut imaged.rng), Step::Save);
    imaged.restart(now(DAY), now(2 * DAY));
    assert_eq!((imaged.drive(now(2 * DAY)), imaged.client.cmid()), (None, cmid));
    assert_eq!(imaged.status(now(2 * DAY)), LicenceStatus::Licensed);
}

#[test]
fn another_machines_activation_is_not_taken() {
    rig!(rig, key, true);
    let (frame, answer) = rig.activate_by_key(now(0), 0);
    let mut other = Rig::new(rig.vendor, rig.product, Some(&key));
    other.rng = StdRng::seed_from_u64(8);
    other.machine = machine(1);
    other.client =
        Client::new_with(rig.product, other.machine, hosts(Some(&key)), now(0), &mut other.rng);
    assert_eq!(other.take(now(0), &frame, &answer), Err(Rejection::OtherHardware));
    assert_eq!(other.by(), None);
    // Nor as an answer to its own request, nor with its own request in the other's place.
    let own = other.asks_authority(now(0));
    let foreign = Discard::Untrusted(Untrusted::OtherRequest);
    assert_eq!(other.handle(now(0), &answer), Err(foreign));
    let foreign = Rejection::Untrusted(Untrusted::OtherRequest);
    assert_eq!(other.take(now(0), &own, &answer), Err(foreign));
    // Nor as the store of a machine with another CMID, be its hardware the same.
    let image = rig.client.image(now(0));
    let mut edited = image;
    edited[..16].copy_from_slice(other.client.cmid().as_bytes());
    rig.resume(&edited, now(0));
    rig.asks_authority(now(0));
    let rejected = Event::StoredActivationRejected(Rejection::OtherMachine);
    assert_eq!((rig.events.last(), rig.by()), (Some(&rejected), None));
}

#[test]
fn what_is_not_carried_whole_and_genuine_changes_nothing() {
    rig!(rig, key, true);
    let frame = rig.asks_authority(now(0));
    let answer = rig.authority.grant(&frame, 0, 9);
    let untrusted = |untrusted| Err(Rejection::Untrusted(untrusted));
    let before = rig.client.image(now(0));

    for refusal in [Refusal::UnknownKey, Refusal::KeyExhausted, Refusal::KeyBlocked] {
        let refused = rig.authority.refuse(&frame, 0, refusal);
        assert_eq!(rig.take(now(0), &frame, &refused), Ok(Outcome::Refused(refusal)));
    }
    let asked = request(&frame, &key);
    let seal = |request: &Request<'_>| TagSchedule::new(&key.tag_key).seal(request);
    let carried = |rig: &mut Rig<'_>, request: Request<'_>| {
        let frame = seal(&request);
        let answer = rig.authority.grant(&frame, 0, 9);
        rig.take(now(0), &frame, &answer)
    };
    let other_product = Request { counted_id: CountedId([8; 16]), ..asked };
    assert_eq!(carried(&mut rig, other_product), Err(Rejection::OtherProduct));
    let by_count = Request { method: Method::Count, ..asked };
    assert_eq!(carried(&mut rig, by_count), Err(Rejection::ByCount));
    let malformed = [0; 250];
    assert!(matches!(
        rig.take(now(0), &malformed, &answer),
        Err(Rejection::Untrusted(Untrusted::Malformed(_)))
    ));
    let by_host = rig.count(&frame, 0, 100);
    assert_eq!(rig.take(now(0), &frame, &by_host), untrusted(Untrusted::WrongRole(Role::Host)));
    for bit in (0..2_000).step_by(7) {
        let mut flipped = answer;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(rig.take(now(0), &frame, &flipped).is_err(), "bit {bit} of the answer");
        let mut flipped = frame;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(rig.take(now(0), &flipped, &answer).is_err(), "bit {bit} of the request");
    }
    assert!(rig.client.image(now(0)) == before);
    rig.take(now(0), &frame, &answer).unwrap();
}

/// A request of the machine's, and the record of its confirmation by a root key.
fn confirmed(rig: &mut Rig<'_>, key: &InstalledKey) -> (Frame, Frame) {
    let vendor = rig.vendor;
    confirmed_by(rig, key, &vendor.root_key)
}

fn confirmed_by(rig: &mut Rig<'_>, key: &InstalledKey, root: &SigningKey) -> (Frame, Frame) {
    rig.give_up(now(0));
    rig.client.ask_now(now(0));
    let frame = rig.asks_authority(now(0));
    let id = InstallationId::for_machine(&phone::Machine::of(&request(&frame, key)), &key.tag_key);
    let Ok(confirmation) = id.confirm(root);
    (frame, confirmation.record(&id, &frame))
}

#[test]
fn a_confirmation_by_phone_activates_for_ever() {
    rig!(rig, key, true);
    let (frame, record) = confirmed(&mut rig, &key);
    assert_eq!(rig.take(now(0), &frame, &record), Ok(Outcome::Activated { count: 0 }));
    assert_eq!(rig.by(), Some(ActivatedBy::Phone(KeyId(MAK))));
    let activation = rig.client.activation().unwrap();
    assert_eq!((activation.host_id, activation.validity), (None, None));
    assert_eq!(rig.client.floor(), None, "nobody said what time it is");
    for at in [now(0), now(20 * YEAR), running(5), clocks(0, -1_000_000_000)] {
        rig.restart(now(0), at);
        assert_eq!((rig.drive(at), rig.status(at)), (None, LicenceStatus::Licensed));
        assert_eq!(rig.client.licence(at).left, None);
    }
    // The vendor's interval is not made of zeros: it is still the product's.
    rig.install(now(0), None);
    rig.asks_host(now(0));
    rig.give_up(now(0));
    rig.drive(now(0)).expect("the second host");
    rig.give_up(now(0));
    assert_eq!(rig.drive(now(HOUR)), None);
    rig.asks_host(now(3 * HOUR));
}

#[test]
fn a_confirmation_is_this_machines_and_by_this_vendor_and_whole() {
    rig!(rig, key, true);
    let (frame, record) = confirmed(&mut rig, &key);
    let unconfirmed = |why| Err(Rejection::Unconfirmed(why));
    let before = rig.client.image(now(0));

    let (forged_frame, forged) = confirmed_by(&mut rig, &key, &SigningKey::from_seed(&[77; 32]));
    let taken = rig.take(now(0), &forged_frame, &forged);
    assert_eq!(taken, unconfirmed(UntrustedRecord::Unconfirmed));
    // A host's signature and the authority's are none of a root key.
    for signer in [&rig.vendor.host_key, &Authority::new(rig.vendor).key] {
        let (frame, forged) = confirmed_by(&mut rig, &key, signer);
        let taken = rig.take(now(0), &frame, &forged);
        assert_eq!(taken, unconfirmed(UntrustedRecord::Unconfirmed));
    }
    // Beside another request, of this machine or of one with another CMID.
    let (other, _) = confirmed(&mut rig, &key);
    assert_eq!(rig.take(now(0), &other, &record), unconfirmed(UntrustedRecord::Changed));
    let elsewhere = Request { cmid: Cmid::new([9; 16]).unwrap(), ..request(&frame, &key) };
    let elsewhere = TagSchedule::new(&key.tag_key).seal(&elsewhere);
    let id = InstallationId::for_machine(&phone::Machine::of(&request(&frame, &key)), &key.tag_key);
    let Ok(confirmation) = id.confirm(&rig.vendor.root_key);
    let moved = confirmation.record(&id, &elsewhere);
    let taken = rig.take(now(0), &elsewhere, &moved);
    assert_eq!(taken, unconfirmed(UntrustedRecord::OtherMachine));
    for bit in 0..2_000 {
        let mut flipped = record;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(rig.take(now(0), &frame, &flipped).is_err(), "bit {bit}");
    }
    assert!(rig.client.image(now(0)) == before);

    // Nothing that comes from a network is a confirmation.
    let answered = rig.handle(now(0), &record);
    assert!(matches!(answered, Err(Discard::Untrusted(Untrusted::Malformed(_)))));
    rig.take(now(0), &frame, &record).unwrap();
    let image = rig.client.image(now(0));
    for at in image.len() - 500..image.len() {
        let mut edited = image;
        edited[at] ^= 0x04;
        rig.resume(&edited, now(0));
        assert_eq!(rig.by(), None, "byte {at} of the store");
    }
    let mut copied = image;
    copied[..16].copy_from_slice(&[9; 16]);
    rig.resume(&copied, now(0));
    assert_eq!(rig.by(), None, "another machine's store");
}

#[test]
fn what_a_confirmation_stores_vouches_for_no_key() {
    rig!(rig, key, true);
    let (frame, record) = confirmed(&mut rig, &key);
    rig.take(now(0), &frame, &record).unwrap();
    // The record has the installation id where an answer has its certificate: an answer that
    // carries the same bytes must not pass for one with a certificate that is known.
    rig.client.ask_now(now(0));
    let asked = rig.asks_authority(now(0));
    let mut answer = rig.authority.grant(&asked, 0, 9);
    answer[64..184].copy_from_slice(&record[64..184]);
    assert!(matches!(rig.handle(now(0), &answer), Err(Discard::Untrusted(_))));
    // And what is genuine takes its place.
    let answer = rig.authority.grant(&asked, 0, 9);
    rig.handle(now(0), &answer).unwrap();
    assert_eq!(rig.by(), Some(ActivatedBy::Key(KeyId(MAK))));
}

#[test]
fn a_client_that_only_counts_believes_nothing_by_phone() {
    rig!(rig, key, true);
    let (frame, record) = confirmed(&mut rig, &key);
    rig.take(now(0), &frame, &record).unwrap();
    let image = rig.client.image(now(0));
    let mut rng = StdRng::seed_from_u64(9);
    let counting =
        Client::resume(rig.product, machine(0), common::ONE_HOST, &image, now(0), &mut rng);
    assert_eq!(counting.unwrap().activation(), None);
}

#[test]
fn a_client_that_only_counts_believes_nothing_by_key() {
    rig!(rig, _key, true);
    rig.activate_by_key(now(0), 0);
    let image = rig.client.image(now(0));
    let mut rng = StdRng::seed_from_u64(9);
    let mut counting =
        Client::resume(rig.product, machine(0), common::ONE_HOST, &image, now(0), &mut rng)
            .unwrap();
    assert_eq!(counting.cmid(), rig.client.cmid());
    let mut events = Vec::new();
    drive(&mut counting, now(0), &mut rng, &mut events).expect("a request to a host");
    let wrong_role = Rejection::Untrusted(Untrusted::WrongRole(Role::Authority));
    assert_eq!(events, [Event::StoredActivationRejected(wrong_role)]);
    assert_eq!(counting.activation(), None);
}

#[test]
fn an_edited_store_activates_nothing_by_key() {
    rig!(rig, _key, true);
    rig.activate_by_key(now(0), 0);
    let image = rig.client.image(now(0));
    let frames = image.len() - 500;
    for at in (frames..image.len()).step_by(3) {
        let mut edited = image;
        edited[at] ^= 0x10;
        rig.resume(&edited, now(0));
        assert_eq!(rig.by(), None, "byte {at}");
    }
    // A store that says nothing of an activation.
    let mut edited = image;
    edited[frames - 17] = 0;
    rig.resume(&edited, now(0));
    assert_eq!(rig.by(), None);
    rig.resume(&image, now(0));
    assert!(rig.by().is_some());
}

#[test]
fn without_a_key_it_is_a_client_that_counts() {
    bench!(vendor, bench);
    let product = vendor.product(2);
    let mut rig = Rig::new(&vendor, &product, None);
    let frame = rig.asks_host(now(0));
    let answer = bench.handle(now(0), &frame).unwrap();
    let below = Outcome::BelowThreshold { count: 1, required: 2 };
    assert_eq!(rig.handle(now(0), &answer), Ok(below));
    let mut second = Rig::new(&vendor, &product, None);
    second.rng = StdRng::seed_from_u64(8);
    second.client = Client::new_with(&product, machine(1), hosts(None), now(0), &mut second.rng);
    assert_ne!(second.client.cmid(), rig.client.cmid());
    let frame = second.asks_host(now(0));
    let answer = bench.handle(now(0), &frame).unwrap();
    assert_eq!(second.handle(now(0), &answer), Ok(Outcome::Activated { count: 2 }));
    assert_eq!(second.by(), Some(ActivatedBy::Count));
    // A host does not serve by key, whoever asks it.
    let key = installed(MAK);
    rig.install(now(0), Some(&key));
    let frame = rig.asks_authority(now(0));
    assert!(bench.handle(now(0), &frame).is_err(), "it has no tag key of a MAK");
}

#[test]
fn rearming_by_hand_gives_up_the_activation_and_asks_as_another_machine() {
    rig!(rig, key, true);
    rig.activate_by_key(now(0), 0);
    let before = rig.client.cmid();
    rig.client.rearm(now(0), &mut rig.rng).unwrap();
    assert_eq!(rig.by(), None);
    let frame = rig.asks_authority(now(0));
    let asked = request(&frame, &key);
    assert_ne!(asked.cmid, before);
    assert_eq!(asked.previous_cmid, Some(before));
    assert_eq!(asked.cmid, rig.client.cmid());
}
