//! One check for each section: a case in, what is wrong with it out.

use std::convert::Infallible;
use std::fmt::Debug;

use headcount::fingerprint::Fingerprint;
use headcount::policy::meets_threshold;
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{
    Expected, MasterKey, ParsedRequest, ProductKey, Root, Signer, SigningKey, TagKey, TagSchedule,
    Untrusted, fingerprint, host_id, seal_enrolment_request, sign_certificate,
    sign_enrolment_response, sign_response, verify_enrolment_request, verify_enrolment_response,
    verify_response,
};
use headcount::wire::{
    Cmid, Coverage, EnrolmentRequest, EnrolmentResponse, Fault, Frame, HostId, InvalidHostId,
    KeyId, KeyKind, LicenceStatus, Malformed, Method, Name, Nonce, PublicKey, Request,
    SIGNATURE_LEN, Signature, UncheckedKey, Verdict, frame_from_slice,
};

use super::form::{
    Bytes, EnrolmentCase, ExchangeCase, FingerprintCase, Hex, HostCase, KeyPair, MalformedCase,
    Product, ProductKeyCase, RequestCase, RequestFields, Roots, Text,
};

/// What a check finds: nothing, or what is wrong.
pub(crate) type Checked = Result<(), String>;

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(otherwise()) }
}

#[expect(clippy::needless_pass_by_value, reason = "calls read better, and all values are small")]
fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Checked {
    ensure(found == expected, || format!("{what} is {found:02x?}, expected {expected:02x?}"))
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn text(why: impl ToString) -> String {
    why.to_string()
}

/// An error must have something to say.
fn displayed(why: &impl ToString) -> Checked {
    ensure(!why.to_string().is_empty(), || "the error says nothing".into())
}

/// The vendor of a file: its roots, and the secret keys with which what was signed is signed again
/// and must come out equal.
pub(crate) struct Vendor {
    roots: Vec<Root>,
    pairs: Roots,
    keys: Vec<SigningKey>,
}

impl Vendor {
    pub(crate) fn new(pairs: Roots, hosts: &[HostCase]) -> Self {
        let seeds = pairs.values().map(|pair| pair.seed).chain(hosts.iter().map(|host| host.seed));
        Self {
            roots: pairs.iter().filter_map(|(id, pair)| root(*id, pair).ok()).collect(),
            keys: seeds.map(|Hex(seed)| SigningKey::from_seed(&seed)).collect(),
            pairs,
        }
    }

    /// The secret key of a public key.
    fn key(&self, public: &PublicKey) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.public_key() == *public)
    }

    /// The secret key of a root: every root of a file has one.
    fn root_key(&self, id: u16) -> Result<&SigningKey, String> {
        let pair = self.pairs.get(&id);
        let key = pair.and_then(|pair| self.key(&PublicKey(pair.public.0)));
        key.ok_or_else(|| format!("root {id} is none of the file's"))
    }
}

/// "Signs" with a signature that exists already, so that a frame can be written again without the
/// secret key.
struct Replay(PublicKey, Signature);

impl Signer for Replay {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, Self::Error> {
        Ok(self.1)
    }
}

fn key_kind(kind: u8) -> Result<KeyKind, String> {
    let kinds = [KeyKind::Host, KeyKind::MultipleActivation, KeyKind::ClientSetup];
    let found = kinds.into_iter().find(|known| *known as u8 == kind);
    found.ok_or_else(|| format!("product keys of kind {kind} do not exist"))
}

pub(crate) fn product_key(case: &ProductKeyCase, master: Option<Hex<32>>) -> Checked {
    let kind = key_kind(case.kind)?;
    let key = ProductKey::from_text(&case.text).map_err(|why| format!("{}: {why}", case.text))?;
    same("kind", key.kind(), kind)?;
    same("key id", key.key_id(), KeyId(case.key_id))?;
    same("text", key.to_text().as_str(), case.text.as_str())?;
    same("tag key", *key.tag_key().expose(), case.tag_key.0)?;
    let unchecked = UncheckedKey::from_text(&case.text).map_err(text)?;
    same("secret", unchecked.secret, case.secret.0)?;
    if let Some(Hex(master)) = master {
        let derived = MasterKey::from_bytes(master).product_key(kind, KeyId(case.key_id));
        same("text of the key derived from the master", derived.to_text().as_str(), &case.text)?;
    }
    // As people type it.
    let typed = case.text.to_lowercase().replace('-', " ").replace('1', "l").replace('0', "o");
    same("key as typed", ProductKey::from_text(&typed), Ok(key))
}

/// Whatever the reason, the error must have something to say.
pub(crate) fn bad_product_key(text: &str) -> Checked {
    match ProductKey::from_text(text) {
        Ok(_) => Err(format!("{text:?} is accepted")),
        Err(why) => displayed(&why),
    }
}

pub(crate) fn root(id: u16, pair: &KeyPair) -> Result<Root, String> {
    let public = SigningKey::from_seed(&pair.seed.0).public_key();
    same("public key", public, PublicKey(pair.public.0))?;
    let root = Root::new(id, &public).map_err(text)?;
    same("id", root.id(), id).map(|()| root)
}

pub(crate) fn host(case: &HostCase) -> Checked {
    let public = SigningKey::from_seed(&case.seed.0).public_key();
    same("public key", public, PublicKey(case.public.0))?;
    let id = host_id(&public);
    same("host id", id.to_string(), case.host_id.clone())?;
    let read: HostId =
        case.host_id.parse().map_err(|why: InvalidHostId| format!("{}: {why}", case.host_id))?;
    same("host id read", read, id)
}

pub(crate) fn fingerprint_of(case: &FingerprintCase) -> Checked {
    let components = case.components.each_ref();
    let components = components.map(|part| part.as_ref().map(|Bytes(bytes)| bytes.as_slice()));
    let Text(application_id) = case.application_id;
    same("fingerprint", fingerprint(application_id, &components).to_bytes(), case.fingerprint.0)
}

impl Product {
    fn schedule(&self) -> TagSchedule {
        TagSchedule::new(&TagKey::from_bytes(self.tag_key.0))
    }
}

pub(crate) fn product_itself(product: &Product) -> Checked {
    let key = ProductKey::from_text(&product.setup_key).map_err(text)?;
    same("kind of the setup key", key.kind(), KeyKind::ClientSetup)?;
    same("tag key", *key.tag_key().expose(), product.tag_key.0)
}

impl RequestFields {
    fn value(&self) -> Result<Request<'_>, String> {
        let status = LicenceStatus::ALL.into_iter().find(|s| *s as u8 == self.licence_status);
        Ok(Request {
            virtual_machine: self.flags & 1 != 0,
            renewal: self.flags & 2 != 0,
            licence_status: status.ok_or("no such licence status")?,
            method: match self.method {
                0 => Method::Count,
                1 => Method::Key,
                other => return Err(format!("no method {other}")),
            },
            required_count: self.required_count,
            time_left: Minutes(self.minutes_left),
            application_id: self.application_id.0,
            activation_id: self.activation_id.0,
            counted_id: self.counted_id.0,
            cmid: self.cmid.0,
            previous_cmid: Cmid::new(self.previous_cmid.0),
            client_time: (self.client_time != 0).then_some(UnixTime::from_secs(self.client_time)),
            nonce: Nonce(self.nonce.0),
            fingerprint: Fingerprint::from_bytes(self.fingerprint.0),
            workstation_name: Name::new(&self.workstation_name).map_err(text)?,
            key_id: KeyId(self.key_id),
        })
    }
}

pub(crate) fn request(case: &RequestCase, product: &Product) -> Checked {
    let value = case.fields.value()?;
    let parsed = ParsedRequest::parse(&case.frame.0).map_err(text)?;
    same("value", parsed.unverified(), value)?;
    same("key id", parsed.key_id(), value.key_id)?;
    let verified = parsed.verify(&product.schedule()).map_err(text)?;
    same("frame", product.schedule().seal(&value), case.frame.0)?;
    same("frame of the value that was read", product.schedule().seal(&verified), case.frame.0)
}

pub(crate) fn malformed_request(case: &MalformedCase) -> Checked {
    let MalformedCase { why, frame: Bytes(bytes) } = case;
    let parsed = frame_from_slice(bytes).and_then(|frame| Request::parse(frame).map(drop));
    let Err(malformed) = parsed else { return Err(format!("{why}: accepted")) };
    displayed(&malformed)?;
    let fits = match (why.split(' ').next().unwrap_or_default(), malformed.fault) {
        ("length", fault) => fault == Fault::Length(bytes.len()),
        ("magic", fault) => fault == Fault::Magic,
        ("version", fault) => matches!(fault, Fault::Version(_)),
        ("kind", fault) => matches!(fault, Fault::Kind(_)),
        ("unknown", fault) => matches!(fault, Fault::Flags(_)),
        ("licence", fault) => matches!(fault, Fault::LicenceStatus(_)),
        ("method", fault) => matches!(fault, Fault::Method(_)),
        ("required", fault) => fault == Fault::RequiredCount,
        ("zero", fault) => fault == Fault::Cmid,
        ("name:", fault) => matches!(fault, Fault::NamePadding | Fault::NameEncoding),
        ("reserved", fault) => fault == Fault::Reserved,
        _ => {
            println!("malformed_requests: refused, but this reason is not known: {why}");
            true
        }
    };
    ensure(fits, || format!("{why}: refused for another reason: {malformed}"))?;
    let offset = usize::from(malformed.offset);
    ensure(offset <= bytes.len().min(250), || format!("{why}: offset {offset} lies outside"))
}

pub(crate) fn bad_tag(Hex(frame): &Hex<250>, product: &Product) -> Checked {
    let parsed = ParsedRequest::parse(frame).map_err(text)?;
    ensure(parsed.verify(&product.schedule()).is_err(), || "its tag verifies".into())
}

pub(crate) fn exchange(case: &ExchangeCase, product: &Product, vendor: &Vendor) -> Checked {
    let ExchangeCase { request: Hex(sent), response: Bytes(answer), expect, why } = case;
    let request = ParsedRequest::parse(sent).map_err(text)?;
    let request = request.verify(&product.schedule()).map_err(text)?;
    let ids = (request.application_id, request.activation_id, request.counted_id);
    let embedded = (product.application_id.0, product.activation_id.0, product.counted_id.0);
    same("product that asks", ids, embedded)?;
    let mut expected = Expected {
        request: sent,
        method: request.method,
        product: Coverage {
            family: product.family,
            rank: product.rank,
            generation: product.generation,
        },
        roots: &vendor.roots,
        known_certificate: None,
    };
    let answer = frame_from_slice(answer).map_err(Untrusted::Malformed);
    let response = match answer.and_then(|frame| verify_response(frame, &expected)) {
        Ok(response) => response,
        Err(untrusted) => {
            displayed(&untrusted)?;
            ensure(expect == "rejected", || format!("expected {expect} ({why}): {untrusted}"))?;
            return ensure(rejected_for(why, untrusted), || format!("{why}: {untrusted}"));
        }
    };
    let verdict = match response.body.verdict {
        Verdict::Refused(_) => "refused",
        Verdict::Granted { count, .. } if meets_threshold(count, product.threshold) => "activated",
        Verdict::Granted { .. } => "below threshold",
    };
    ensure(verdict == expect, || format!("{verdict}, expected {expect} ({why})"))?;

    let frame = answer.map_err(text)?;
    same("frame written again", response.emit(), *frame)?;
    let certificate = response.certificate();
    expected.known_certificate = Some(&certificate);
    let again = verify_response(frame, &expected);
    same("response with a known certificate", again, Ok(response))?;
    let claims = &certificate.claims;
    if let Some(key) = vendor.key(&claims.public_key) {
        same("frame signed again", sign_response(&response.body, key), Ok(*frame))?;
    }
    let root = vendor.root_key(claims.root_id)?;
    same("certificate signed again", sign_certificate(claims, root), Ok(*certificate))
}

/// Whether the reason of a rejection is the one the vector names. Of reasons that are not known
/// nothing is asked but the rejection.
fn rejected_for(why: &str, untrusted: Untrusted) -> bool {
    use Untrusted as U;
    let fault = match untrusted {
        U::Malformed(Malformed { fault, .. }) => Some(fault),
        _ => None,
    };
    match why {
        "digest of another request" => untrusted == U::OtherRequest,
        "unknown root id" => matches!(untrusted, U::UnknownRoot(_)),
        "certificate signed by the other root" => untrusted == U::CertificateSignature,
        // Which byte is altered decides what is noticed first.
        "certificate altered" => {
            matches!(untrusted, U::CertificateSignature | U::UnknownRoot(_) | U::Malformed(_))
        }
        "rank does not cover" | "generation does not cover" | "family differs" => {
            matches!(untrusted, U::NotCovered { .. })
        }
        "role authority answers method 0" => matches!(untrusted, U::WrongRole(_)),
        "expired certificate" | "certificate not yet valid" => {
            matches!(untrusted, U::OutsideDates { .. })
        }
        "signed by another host key" | "count altered" | "small-order public key" => {
            untrusted == U::ResponseSignature
        }
        "signature zero" => matches!(untrusted, U::ResponseSignature | U::CertificateSignature),
        "truncated" => matches!(fault, Some(Fault::Length(_))),
        "reserved byte set" => fault == Some(Fault::Reserved),
        "unknown response flag" => matches!(fault, Some(Fault::Flags(_))),
        "unknown status" => matches!(fault, Some(Fault::Status(_))),
        "perpetual validity from a host" => untrusted == U::Perpetual,
        other => {
            println!("exchanges: rejected ({untrusted}), but this reason is not known: {other}");
            true
        }
    }
}

pub(crate) fn enrolment(case: &EnrolmentCase, vendor: &Vendor) -> Checked {
    let (Hex(sent), Hex(answer)) = (&case.request, &case.response);
    let tag_key = TagKey::from_bytes(case.tag_key.0);
    let parsed = EnrolmentRequest::parse(sent).map_err(text)?;
    let request = verify_enrolment_request(sent, &tag_key).map_err(text)?;
    same("request", *request, parsed)?;
    let replay = Replay(request.public_key, possession(sent));
    let again = seal_enrolment_request(&request, &replay, &tag_key);
    same("request written again", again, Ok(*sent))?;
    if let Some(key) = vendor.key(&request.public_key) {
        let again = seal_enrolment_request(&request, key, &tag_key);
        same("request signed again", again, Ok(*sent))?;
    }

    let root: Vec<Root> = vendor.roots.iter().copied().filter(|root| root.id() == 1).collect();
    let response = verify_enrolment_response(answer, sent, &request.public_key, &root);
    let response = response.map_err(text)?;
    same("response", Ok(*response), EnrolmentResponse::parse(answer))?;
    same("response written again", response.emit(), *answer)?;
    let again = sign_enrolment_response(&response.body, vendor.root_key(1)?);
    same("response signed again", again, Ok(*answer))
}

/// The proof of possession inside an enrolment request (PROTOCOL 6, offset 154).
fn possession(frame: &Frame) -> Signature {
    let mut signature = [0; SIGNATURE_LEN];
    signature.copy_from_slice(&frame[154..218]);
    Signature(signature)
}
