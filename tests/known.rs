//! How many signatures a client verifies for an answer: two for a certificate that it does not know
//! yet, one for the host it hears again. An implementation of Ed25519 that counts tells.

mod common;

use std::cell::Cell;

use common::{DAY, EPOCH, HOUR, ONE_HOST, THREE_HOSTS, TWO_HOSTS, Vendor, drive, machine, now};
use headcount::client::{self, Client, Discard, Failure, Outcome};
use headcount::policy;
use headcount::time::UnixTime;
use headcount::trust::{
    Root, Signer, SigningKey, Untrusted, Verifier, VerifyingKey, request_digest, sign_response,
};
use headcount::wire::{
    Certificate, PublicKey, Refusal, ResponseBody, Signature, Validity, Verdict,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

const THRESHOLD: u32 = 5;

const BELOW: Verdict =
    Verdict::Granted { count: THRESHOLD - 1, validity: Validity::For(policy::VALIDITY) };
const ENOUGH: Verdict =
    Verdict::Granted { count: THRESHOLD, validity: Validity::For(policy::VALIDITY) };
const REFUSED: Verdict = Verdict::Refused(Refusal::UnknownProduct);

thread_local! {
    static VERIFIED: Cell<u32> = const { Cell::new(0) };
}

/// The default implementation, counting.
#[derive(Clone, Debug)]
struct Counting(VerifyingKey);

impl Verifier for Counting {
    fn from_public_key(key: &PublicKey) -> Option<Self> {
        VerifyingKey::from_public_key(key).map(Self)
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        VERIFIED.set(VERIFIED.get() + 1);
        self.0.verify(message, signature)
    }
}

/// A site with hosts that have keys and certificates of their own.
struct Site {
    vendor: Vendor,
    roots: [Root<Counting>; 1],
    hosts: [(SigningKey, Certificate); 3],
}

impl Site {
    fn new() -> Self {
        let vendor = Vendor::new();
        let roots = [Root::with_verifier(1, &vendor.root_key.public_key()).unwrap()];
        let hosts = [11, 12, 13].map(|n| {
            let key = SigningKey::from_seed(&[n; 32]);
            let certificate = vendor.certify(|claims| claims.public_key = key.public_key());
            (key, certificate)
        });
        Self { vendor, roots, hosts }
    }

    fn product(&self) -> client::Product<'_, Counting> {
        self.vendor.product_of(&self.roots, THRESHOLD)
    }
}

/// A client on that site.
struct Member<'a> {
    site: &'a Site,
    product: &'a client::Product<'a, Counting>,
    client: Client<'a, Counting>,
    rng: StdRng,
}

impl<'a> Member<'a> {
    fn new(
        site: &'a Site,
        product: &'a client::Product<'a, Counting>,
        hosts: core::num::NonZeroU8,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let client = Client::new(product, machine(0), hosts, now(0), &mut rng);
        Self { site, product, client, rng }
    }

    /// Starts again from what it stores; returns how many signatures were verified for it.
    fn restart(&mut self, at: u64) -> u32 {
        let image = self.client.image(now(at));
        VERIFIED.set(0);
        self.client =
            Client::resume(self.product, machine(0), ONE_HOST, &image, now(at), &mut self.rng)
                .unwrap();
        VERIFIED.get()
    }

    /// One exchange with this host; returns how many signatures were verified for it.
    fn exchange(&mut self, at: u64, host: usize, verdict: Verdict) -> u32 {
        let (result, verified) = self.hear(at, host, verdict, |_| {});
        assert!(result.is_ok(), "{result:?}");
        verified
    }

    /// The same, the certificate having been changed on its way into the host.
    fn hear(
        &mut self,
        at: u64,
        host: usize,
        verdict: Verdict,
        change: impl FnOnce(&mut Certificate),
    ) -> (Result<Outcome, Discard>, u32) {
        self.client.ask_now(now(at));
        let request = drive(&mut self.client, now(at), &mut self.rng, &mut Vec::new());
        let request = request.expect("a request");
        let (key, certificate) = &self.site.hosts[host];
        let mut certificate = *certificate;
        change(&mut certificate);
        let body = ResponseBody {
            verdict,
            duplicate: false,
            activation_interval: policy::ACTIVATION_INTERVAL,
            renewal_interval: policy::RENEWAL_INTERVAL,
            host_time: UnixTime::from_secs(EPOCH + at),
            request_digest: request_digest(&request),
            certificate,
        };
        let Ok(answer) = sign_response(&body, key);
        VERIFIED.set(0);
        let result = self.client.handle_response(now(at), &mut self.rng, &answer);
        if let Err(discard) = result {
            self.client.give_up(now(at), &mut self.rng, Failure::Discarded(discard));
        }
        (result, VERIFIED.get())
    }
}

macro_rules! member {
    ($site:ident, $member:ident, $hosts:expr) => {
        let $site = Site::new();
        let product = $site.product();
        let mut $member = Member::new(&$site, &product, $hosts);
    };
}

#[test]
fn a_client_below_its_threshold_verifies_its_hosts_certificate_once() {
    member!(site, member, ONE_HOST);
    assert_eq!(member.exchange(0, 0, BELOW), 2);
    for n in 1..20 {
        assert_eq!(member.exchange(n * 2 * HOUR, 0, BELOW), 1);
    }
    assert_eq!(member.exchange(40 * HOUR, 0, ENOUGH), 1, "the answer that activates");
    assert_eq!(member.exchange(8 * DAY, 0, ENOUGH), 1, "the renewal");
}

#[test]
fn two_hosts_in_turns_are_both_known() {
    member!(site, member, TWO_HOSTS);
    assert_eq!([0, 1].map(|host| member.exchange(0, host, REFUSED)), [2, 2]);
    for n in 1..10 {
        let verified = [0, 1].map(|host| member.exchange(n * 2 * HOUR, host, REFUSED));
        assert_eq!(verified, [1, 1], "both refuse, round {n}");
    }
    for week in 1..10 {
        let host = usize::from(week % 2 == 0);
        assert_eq!(member.exchange(week * 7 * DAY, host, ENOUGH), 1, "renewal {week}");
    }
}

#[test]
fn of_three_hosts_the_two_heard_last_are_known() {
    member!(site, member, THREE_HOSTS);
    assert_eq!([0, 1, 0, 2].map(|host| member.exchange(0, host, BELOW)), [2, 2, 1, 2]);
    assert_eq!(member.exchange(HOUR, 0, BELOW), 1, "heard after the one it was forgotten for");
    assert_eq!(member.exchange(HOUR, 1, BELOW), 2, "forgotten");
}

#[test]
fn the_certificate_of_the_activation_is_known_whatever_came_after_it() {
    member!(site, member, THREE_HOSTS);
    assert_eq!(member.exchange(0, 0, ENOUGH), 2);
    assert_eq!([1, 2].map(|host| member.exchange(HOUR, host, REFUSED)), [2, 2]);
    assert_eq!([0, 1, 2].map(|host| member.exchange(2 * HOUR, host, REFUSED)), [1, 1, 1]);
}

#[test]
fn a_certificate_from_a_store_is_verified() {
    member!(site, member, ONE_HOST);
    assert_eq!(member.exchange(0, 0, ENOUGH), 2);
    assert_eq!(member.restart(HOUR), 2, "both signatures of what was stored");
    assert_eq!(member.exchange(8 * DAY, 0, ENOUGH), 1, "known from then on");
}

#[test]
fn without_an_activation_nothing_is_known_after_a_restart() {
    member!(site, member, ONE_HOST);
    assert_eq!(member.exchange(0, 0, BELOW), 2);
    assert_eq!(member.restart(HOUR), 0);
    assert_eq!(member.exchange(HOUR, 0, BELOW), 2);
}

#[test]
fn what_was_not_verified_to_the_end_is_not_remembered() {
    member!(site, member, ONE_HOST);
    // Another host's certificate is genuine, and this host has not its key.
    let (_, others) = site.hosts[1];
    let (result, verified) = member.hear(0, 0, BELOW, |certificate| *certificate = others);
    assert_eq!(result, Err(Discard::Untrusted(Untrusted::ResponseSignature)));
    assert_eq!(verified, 2);
    assert_eq!(member.exchange(0, 1, BELOW), 2);

    // One that differs from a known one, in its signature or its claims, is none that is known.
    for change in [
        (|certificate| certificate.signature.0[5] ^= 1) as fn(&mut Certificate),
        |certificate| certificate.claims.serial ^= 1,
        |certificate| certificate.claims.coverage.rank += 1,
    ] {
        let (result, verified) = member.hear(HOUR, 1, BELOW, change);
        assert_eq!(result, Err(Discard::Untrusted(Untrusted::CertificateSignature)));
        assert_eq!(verified, 1);
    }
    assert_eq!(member.exchange(HOUR, 1, BELOW), 1, "and makes it forget nothing");
}
