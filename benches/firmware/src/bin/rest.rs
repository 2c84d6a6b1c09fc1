//! What the images `client` and `host` do not use: enrolment, product keys, fingerprints, state in
//! words, questions to a resolver, activation by key and by phone, the authority, and the texts of all
//! errors. Its only purpose is to link without a panic.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::fmt::{self, Display, Write};
use core::hint::black_box;

use headcount::authority::{
    Authority, CatalogueProduct, Enrolment, HostKeyRecord, KeyActivation, KeyService, Ledger,
    MultipleActivationKeyRecord,
};
use headcount::client::{Client, Discard, Failure, KeyChoice, Rejection, Step, describe_image};
use headcount::discovery::message::{Query, RecordType};
use headcount::discovery::{DomainName, Keyed, Numbered, Proto};
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{Silence, describe_snapshot};
use headcount::phone::{
    self, Confirmation, HostConfirmation, HostInstallationId, InstallationId, Machine,
};
use headcount::storage::{Damage, Image};
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{
    MasterKey, ProductKey, Root, check_certificate, check_enrolment_signatures,
    check_response_signatures, fingerprint, host_id, seal_enrolment_request,
    verify_enrolment_response,
};
use headcount::wire::{
    Certificate, Cmid, Digest, EnrolmentRequest, Frame, HostId, KeyId, KeyKind, MachineDigest,
    Name, PublicKey, Request, Response,
};
use headcount_firmware::ed25519::{Key, NoSigner};
use headcount_firmware::{board, exchange, vendor};

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut letters = Letters(0);
    frames(&mut letters);
    names_and_keys(&mut letters);
    enrolment(&mut letters);
    phone(&mut letters);
    by_key(&mut letters);
    authority(&mut letters);
    states(&mut letters);
    let found = discovery(&mut letters);
    board::exit(found && letters.0 > 100)
}

/// Counts what is written to it.
struct Letters(usize);

impl Write for Letters {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.wrapping_add(black_box(text).len());
        Ok(())
    }
}

impl Letters {
    fn tell<T, E: Display>(&mut self, result: Result<T, E>) -> Option<T> {
        match black_box(result) {
            Ok(value) => Some(value),
            Err(error) => {
                let _ = write!(self, "{error}");
                None
            }
        }
    }
}

fn frames(letters: &mut Letters) {
    let frame = black_box(&exchange::RESPONSE);
    let roots = [Root::<Key>::with_verifier(1, &PublicKey([7; 32]))];
    letters.tell(Request::parse(frame));
    letters.tell(Response::parse(frame));
    letters.tell(Certificate::parse(black_box(&exchange::CERTIFICATE)));
    let [Ok(root)] = roots else { return };
    letters.tell(check_response_signatures(frame, &[root.clone()]));
    letters.tell(check_enrolment_signatures(frame, &[root.clone()]));
    if let Ok(certificate) = Certificate::parse(&exchange::CERTIFICATE) {
        letters.tell(check_certificate(&certificate, &[root]).map(drop));
    }
    letters.tell::<(), _>(Err(black_box(Discard::NotAsked)));
    letters.tell::<(), _>(Err(black_box(Rejection::OtherMachine)));
    letters.tell::<(), _>(Err(black_box(Silence::BadTag)));
}

fn names_and_keys(letters: &mut Letters) {
    let text = black_box("FZZZZ-ZZWPH-5GF0Q-HMQZ3-8FSC5");
    if let Some(key) = letters.tell(ProductKey::from_text(text)) {
        let _ = write!(letters, "{:?} {}", key.key_id(), key.to_text().as_str());
        black_box(key.tag_key());
    }
    let master = MasterKey::from_bytes(*black_box(&[3; 32]));
    let _ = letters.write_str(master.product_key(KeyKind::Host, KeyId(1)).to_text().as_str());
    letters.tell(Name::new(text));
    let _ = write!(letters, "{}", Name::truncated(text));
    let id = host_id(black_box(&PublicKey([7; 32])));
    let _ = write!(letters, "{id}");
    letters.tell(black_box(text).parse::<HostId>());
    black_box(fingerprint(vendor::APPLICATION, &[Some(text.as_bytes()); 8]));
}

fn enrolment(letters: &mut Letters) {
    let request = EnrolmentRequest {
        platform_rank: 1,
        key_id: KeyId(1),
        public_key: PublicKey([7; 32]),
        host_time: None,
        nonce: headcount::wire::Nonce([1; 16]),
        fingerprint: vendor::machine().fingerprint,
        host_name: Name::truncated(black_box("host")),
    };
    let tag_key = black_box(vendor::TAG_KEY);
    let Ok(frame) = seal_enrolment_request(&request, &NoSigner, &tag_key);
    letters.tell(EnrolmentRequest::parse(black_box(&frame)));
    let roots = [Root::<Key>::with_verifier(1, &request.public_key)];
    let [Ok(root)] = roots else { return };
    let answer = black_box(&exchange::RESPONSE);
    letters.tell(verify_enrolment_response(answer, &frame, &request.public_key, &[root]));
}

fn phone(letters: &mut Letters) {
    let text = black_box("0578963-0446424-3034528-9140644-4692128");
    let roots = [Root::<Key>::with_verifier(1, &PublicKey([7; 32]))];
    let [Ok(root)] = roots else { return };
    let roots = [root];
    letters.tell(phone::check_group(black_box(3), text).map(|group| group.digits()));
    let tag_key = black_box(vendor::TAG_KEY);
    let machine = Machine {
        key_id: KeyId(1),
        application_id: vendor::APPLICATION,
        activation_id: vendor::EDITION,
        cmid: Cmid::from_random(*black_box(&[5; 16])),
        fingerprint: vendor::machine().fingerprint,
    };
    let id = InstallationId::for_machine(&machine, &tag_key);
    let _ = write!(letters, "{id}");
    letters.tell(text.parse::<InstallationId>());
    if let Some(confirmation) = letters.tell(text.parse::<Confirmation>()) {
        letters.tell(confirmation.verify(&id, &roots));
        let record = confirmation.record(&id, &exchange::RESPONSE);
        letters.tell(phone::verify_record(black_box(&record), &exchange::RESPONSE, &roots));
    }
    let host = PublicKey([7; 32]);
    let _ = write!(letters, "{}", HostInstallationId::for_host(KeyId(1), 2, &host, &tag_key));
    letters.tell(text.parse::<HostInstallationId>());
    if let Some(confirmation) = letters.tell(text.parse::<HostConfirmation>()) {
        letters.tell(confirmation.verify(&host, &roots).map(drop));
    }
}

/// A client that can be activated by key: on line, by what is carried to it, and from its store.
fn by_key(letters: &mut Letters) {
    let roots = [Root::<Key>::with_verifier(1, &PublicKey([7; 32]))];
    let [Ok(root)] = roots else { return };
    let roots = [root];
    let product = vendor::product(&roots);
    let master = MasterKey::from_bytes(*black_box(&[3; 32]));
    let mak = master.product_key(KeyKind::MultipleActivation, KeyId(501));
    let Some(choice) = letters.tell(KeyChoice::of(&product, black_box(&mak))) else { return };
    let mut rng = vendor::CountingRng(0);
    let now = vendor::now(0);
    let hosts = Keyed::new(Numbered::new(vendor::ONE_HOST), None);
    let mut client = Client::new_with(&product, vendor::machine(), hosts, now, &mut rng);
    client.prefer_host(black_box(0));
    client.install(now, &mut rng, choice.installed());
    while !matches!(black_box(client.poll(now, &mut rng)), Step::Send { .. } | Step::Wait { .. }) {}
    letters.tell(client.handle_response(now, &mut rng, black_box(&exchange::RESPONSE)).map(drop));
    client.give_up(now, &mut rng, Failure::NoAnswer);
    let (asked, answer) = (black_box(&exchange::REQUEST), black_box(&exchange::RESPONSE));
    letters.tell(client.take_stored(now, &mut rng, asked, answer).map(drop));
    let image = client.image(now);
    let hosts = Keyed::new(Numbered::new(vendor::ONE_HOST), choice.installed());
    let machine = vendor::machine();
    let resumed = Client::resume_with(&product, machine, hosts, black_box(&image), now, &mut rng);
    if let Some(client) = letters.tell(resumed) {
        black_box((client.activation(), client.licence(now).status));
    }
}

/// A ledger that knows whatever the optimiser cannot foresee.
struct Anything;

impl Ledger for Anything {
    type Error = Infallible;

    fn host_key(&mut self, key_id: KeyId) -> Result<Option<HostKeyRecord>, Infallible> {
        Ok(black_box(Some(HostKeyRecord::new(key_id, vendor::COVERAGE))))
    }

    fn multiple_activation_key(
        &mut self,
        key_id: KeyId,
    ) -> Result<Option<MultipleActivationKeyRecord>, Infallible> {
        let coverage = vendor::COVERAGE;
        let key =
            MultipleActivationKeyRecord { key_id, coverage, activations_limit: 5, blocked: false };
        Ok(black_box(Some(key)))
    }

    fn answer_to(&mut self, _: &Digest) -> Result<Option<Frame>, Infallible> {
        Ok(black_box(Some(exchange::RESPONSE)))
    }

    fn hosts(&mut self, _: KeyId) -> Result<u32, Infallible> {
        Ok(black_box(1))
    }

    fn activations(&mut self, _: KeyId, _: &PublicKey) -> Result<u32, Infallible> {
        Ok(black_box(1))
    }

    fn machines(&mut self, _: KeyId) -> Result<u32, Infallible> {
        Ok(black_box(1))
    }

    fn knows(&mut self, _: KeyId, _: &MachineDigest) -> Result<bool, Infallible> {
        Ok(black_box(false))
    }

    fn fingerprints(
        &mut self,
        _: KeyId,
        _: Cmid,
        visit: &mut dyn FnMut(&MachineDigest, &Fingerprint),
    ) -> Result<(), Infallible> {
        visit(black_box(&MachineDigest([1; 20])), black_box(&Fingerprint::EMPTY));
        Ok(())
    }

    fn record(&mut self, enrolment: &Enrolment<'_>) -> Result<(), Infallible> {
        black_box(enrolment);
        Ok(())
    }

    fn record_activation(&mut self, activation: &KeyActivation<'_>) -> Result<(), Infallible> {
        black_box(activation);
        Ok(())
    }
}

fn authority(letters: &mut Letters) {
    let master = MasterKey::from_bytes(*black_box(&[3; 32]));
    let now = UnixTime::from_secs(black_box(1_800_000_000));
    let products = [CatalogueProduct {
        application_id: vendor::APPLICATION,
        activation_id: vendor::EDITION,
        coverage: vendor::COVERAGE,
        matching: Matching::DEFAULT,
    }];
    let certificates = [Certificate::parse(black_box(&exchange::CERTIFICATE))];
    let [Ok(certificate)] = certificates else { return };
    let service = KeyService {
        master: &master,
        signer: &NoSigner,
        certificates: &[certificate],
        products: black_box(&products),
        max_skew: black_box(Some(Minutes(240))),
        activation_interval: Minutes(120),
        renewal_interval: Minutes(10_080),
    };
    let frame = black_box(&exchange::REQUEST);
    letters.tell(service.answer_activation(frame, now, &mut Anything).map(drop));
    if let Some(examined) = letters.tell(service.examine(frame)) {
        letters.tell(service.busy(&examined, now).map(drop));
    }
    let authority = Authority {
        master: &master,
        root_id: 1,
        root: &NoSigner,
        certificate_validity: black_box(Minutes(525_600)),
        max_skew: black_box(None),
    };
    // Enrolment by frame verifies with ed25519-dalek, whatever the clients do.
    let id = black_box("0578963-0446424").parse::<InstallationId>();
    if let Some(id) = letters.tell(id) {
        letters.tell(authority.answer_installation(&id, &products, now, &mut Anything).map(drop));
    }
    let id = black_box("0578963-0446424").parse::<HostInstallationId>();
    if let Some(id) = letters.tell(id) {
        letters.tell(authority.answer_host_installation(&id, now, 1, &mut Anything).map(drop));
    }
}

fn states(letters: &mut Letters) {
    let bytes = black_box(exchange::RESPONSE.as_slice());
    letters.tell(describe_image(bytes).map(drop));
    letters.tell(describe_snapshot(bytes, |_, _| ()).map(drop));
    letters.tell(Image::parse(bytes).map(drop));
    letters.tell::<(), _>(Err(black_box(Damage::Checksum)));
}

/// What a real resolver answered when it was asked for this service.
static ANSWER: &[u8; 334] = include_bytes!("../../../../tests/discovery/srv.answer.bin");

/// Asks for hosts. Whether all of the answer was understood.
fn discovery(letters: &mut Letters) -> bool {
    let Some(domain) = letters.tell(DomainName::parse(black_box("example.com"))) else {
        return false;
    };
    let service = DomainName::service(black_box("_headcount"), Proto::Tcp, &domain);
    let Some(service) = letters.tell(service) else { return false };
    let query = Query::new(black_box(RecordType::Srv), &service, &mut vendor::CountingRng(0));
    let _ = write!(letters, "{query:?}");
    // As if it had been asked now: this question's id, and its mixture of upper and lower case.
    let mut message = *black_box(ANSWER);
    let question = query.as_bytes().len().saturating_sub(11);
    for (index, byte) in query.as_bytes().iter().enumerate().take(question) {
        if let (0 | 1 | 12.., Some(to)) = (index, message.get_mut(index)) {
            *to = *byte;
        }
    }
    let Some(answer) = letters.tell(query.answer(black_box(&message))) else { return false };
    let mut found = 0_u8;
    for host in answer.services() {
        let _ = write!(letters, "{} {} {}", host.target, host.port, host.ttl);
        for address in answer.addresses(&host.target) {
            // The standard library's own text of an address has a panic in it.
            black_box((address.ip, address.ttl));
            found = found.saturating_add(1);
        }
    }
    black_box((answer.is_nonexistent(), answer.negative_ttl()));
    found == 5 && answer.skipped() == 0
}
