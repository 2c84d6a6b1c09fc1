//! A throw-away vendor with one product, a host of it, and machines: what the tests share.
#![allow(dead_code, unused_macros, unused_imports, reason = "each test takes the parts it needs")]

use core::convert::Infallible;
use core::num::{NonZeroU8, NonZeroU32};

use headcount::client::{self, Client, Event, Limits, Machine, Step};
use headcount::discovery::Hosts;
use headcount::fingerprint::{Fingerprint, Matching};
use headcount::host::{Host, Pool, Product, Settings, SetupKey, Silence, Source};
use headcount::time::{EpochMinute, Instant, Now, UnixTime};
use headcount::trust::{MasterKey, Root, Signer, SigningKey, TagKey, Verifier, sign_certificate};
use headcount::wire::{
    ActivationId, ApplicationId, Certificate, Claims, CountedId, Coverage, Frame, KeyId, KeyKind,
    Name, Role,
};
use rand::{CryptoRng, TryCryptoRng, TryRng};

/// The calendar at the start of a test: early in 2027.
pub(crate) const EPOCH: u64 = 1_800_000_000;
pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

pub(crate) const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
pub(crate) const KEY_ID: KeyId = KeyId(77);
pub(crate) const IDS: (ApplicationId, ActivationId, CountedId) =
    (ApplicationId([1; 16]), ActivationId([2; 16]), CountedId([3; 16]));
pub(crate) const SERVED: [Product; 1] =
    [Product { application_id: IDS.0, activation_id: IDS.1, coverage: COVERAGE }];

pub(crate) const ONE_HOST: NonZeroU8 = NonZeroU8::new(1).unwrap();
pub(crate) const TWO_HOSTS: NonZeroU8 = NonZeroU8::new(2).unwrap();
pub(crate) const THREE_HOSTS: NonZeroU8 = NonZeroU8::new(3).unwrap();

/// A vendor with one product, and one host of it.
pub(crate) struct Vendor {
    pub(crate) root_key: SigningKey,
    pub(crate) roots: [Root; 1],
    pub(crate) host_key: SigningKey,
    pub(crate) certificate: Certificate,
    pub(crate) tag_key: TagKey,
}

impl Vendor {
    pub(crate) fn new() -> Self {
        let root_key = SigningKey::from_seed(&[1; 32]);
        let host_key = SigningKey::from_seed(&[2; 32]);
        let certificate = sign(&claims(&host_key), &root_key);
        Self {
            roots: [Root::new(1, &root_key.public_key()).unwrap()],
            root_key,
            host_key,
            certificate,
            tag_key: MasterKey::from_bytes([3; 32])
                .product_key(KeyKind::ClientSetup, KEY_ID)
                .tag_key(),
        }
    }

    /// The host's certificate with other claims.
    pub(crate) fn certify(&self, change: impl FnOnce(&mut Claims)) -> Certificate {
        let mut claims = claims(&self.host_key);
        change(&mut claims);
        sign(&claims, &self.root_key)
    }

    pub(crate) fn product(&self, required_count: u32) -> client::Product<'_> {
        self.product_of(&self.roots, required_count)
    }

    /// The product with roots of its own, such as ones with another implementation of Ed25519.
    pub(crate) fn product_of<'a, V>(
        &self,
        roots: &'a [Root<V>],
        required_count: u32,
    ) -> client::Product<'a, V> {
        client::Product {
            application_id: IDS.0,
            activation_id: IDS.1,
            counted_id: IDS.2,
            coverage: COVERAGE,
            required_count: NonZeroU32::new(required_count).unwrap(),
            matching: Matching::DEFAULT,
            key_id: KEY_ID,
            tag_key: self.tag_key.clone(),
            roots,
            limits: Limits::DEFAULT,
        }
    }

    pub(crate) fn setup_keys(&self) -> [SetupKey; 1] {
        [SetupKey::new(KEY_ID, &self.tag_key)]
    }
}

/// A certificate of a host, valid for ever.
fn claims(host_key: &SigningKey) -> Claims {
    Claims {
        public_key: host_key.public_key(),
        serial: 1,
        not_before: EpochMinute(0),
        not_after: EpochMinute(u32::MAX),
        root_id: 1,
        coverage: COVERAGE,
        role: Role::Host,
    }
}

pub(crate) fn sign(claims: &Claims, root_key: &SigningKey) -> Certificate {
    let Ok(certificate) = sign_certificate(claims, root_key);
    certificate
}

/// An empty pool of the vendor's product.
pub(crate) const fn pool() -> Pool<'static, 50> {
    Pool::new(IDS.2, &SERVED, Matching::DEFAULT)
}

/// The host under test, with room for 50 machines.
pub(crate) struct Bench<'a> {
    pub(crate) vendor: &'a Vendor,
    pub(crate) host: Host<'a, 50, 16>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        vendor: &'a Vendor,
        pools: &'a mut [Pool<'a, 50>],
        keys: &'a [SetupKey],
        certificate: Option<Certificate>,
    ) -> Self {
        Self { vendor, host: Host::new(pools, keys, certificate, Settings::DEFAULT, [9; 16]) }
    }

    pub(crate) fn handle(&mut self, now: Now, frame: &[u8]) -> Result<Frame, Silence> {
        self.host.handle(now, Source::UNKNOWN, frame, &self.vendor.host_key)
    }
}

/// Declares a vendor and a bench of it, and what they borrow from.
macro_rules! bench {
    ($vendor:ident, $bench:ident) => {
        let $vendor = common::Vendor::new();
        let keys = $vendor.setup_keys();
        let mut pools = [common::pool()];
        let mut $bench = common::Bench::new(&$vendor, &mut pools, &keys, Some($vendor.certificate));
    };
}
pub(crate) use bench;

/// Both clocks, so many seconds after the start.
pub(crate) const fn now(secs: u64) -> Now {
    Now::new(Instant::from_millis(secs * 1_000), Some(UnixTime::from_secs(EPOCH + secs)))
}

/// The same without a calendar.
pub(crate) const fn running(secs: u64) -> Now {
    Now::new(Instant::from_millis(secs * 1_000), None)
}

/// Running time and a calendar that shows something else, both counted from the start.
pub(crate) const fn clocks(ran: u64, calendar: i64) -> Now {
    let clock = EPOCH.saturating_add_signed(calendar);
    Now::new(Instant::from_millis(ran * 1_000), Some(UnixTime::from_secs(clock)))
}

/// Machines with different numbers differ in all components.
pub(crate) fn machine(n: u16) -> Machine<'static> {
    Machine {
        fingerprint: Fingerprint::new([n + 1; 8]),
        workstation_name: Name::new("bench").unwrap(),
        virtual_machine: false,
    }
}

/// Polls until the client sends or waits; saves and reports on the way.
pub(crate) fn drive<V: Verifier, H: Hosts<Find = Infallible>>(
    client: &mut Client<'_, V, H>,
    now: Now,
    rng: &mut impl CryptoRng,
    events: &mut Vec<Event>,
) -> Option<Frame> {
    loop {
        match client.poll(now, rng) {
            Step::Save => {}
            Step::Report(event) => events.push(event),
            Step::Send { .. } => return client.pending_frame().copied(),
            Step::Wait { until } => {
                assert!(until > now.monotonic, "a wait that does not wait");
                return None;
            }
        }
    }
}

/// A generator that yields its number over and over: 0 and `u32::MAX` are the edges of every
/// spread wait.
#[derive(Clone, Copy)]
pub(crate) struct Always(pub(crate) u32);

impl TryRng for Always {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.0) << 32 | u64::from(self.0))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        into.fill(self.0 as u8);
        Ok(())
    }
}

impl TryCryptoRng for Always {}
