//! What the scripted targets share: a small vendor, time that the input moves, and dice.

use std::convert::Infallible;
use std::sync::OnceLock;

use headcount::fingerprint::{COMPONENTS, Fingerprint};
use headcount::time::{EpochMinute, Instant, Now, UnixTime};
use headcount::trust::{Root, Signer, SigningKey, TagKey, sign_certificate, sign_response};
use headcount::wire::{Certificate, Claims, Coverage, Frame, ResponseBody, Role};
use rand_core::{TryCryptoRng, TryRng};

/// The right time when a script begins.
pub const EPOCH: u64 = 1_800_000_000;

/// One of a few machines' hardware. Neighbours differ in one component, so that a tolerance of two
/// matches 0 with 2 and 2 with 4, but not 0 with 4.
pub fn fingerprint(number: u8) -> Fingerprint {
    let mut components = [0x1111; COMPONENTS];
    for (index, component) in components.iter_mut().take(usize::from(number % 6)).enumerate() {
        *component = if index == 0 { 0 } else { 0x2222 };
    }
    Fingerprint::new(components)
}

/// Both clocks of a device, and the right time.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    monotonic: u64,
    right_millis: u64,
    calendar: Calendar,
}

/// What a device's calendar clock shows.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
pub enum Calendar {
    Absent,
    Right,
    /// Wrong by so many minutes, up to 22 days.
    OffByMinutes(i16),
    /// Wrong by so many days, up to 89 years.
    OffByDays(i16),
    /// Wrong by so many seconds.
    OffBySeconds(i16),
    /// Set to the epoch, from which it then goes on.
    Reset,
    /// Not a time at all: a register that went bad. It stands still.
    Garbage(u64),
}

impl Time {
    pub fn new(calendar: Calendar) -> Self {
        Self { monotonic: 0, right_millis: EPOCH * 1_000, calendar }
    }

    pub fn now(&self) -> Now {
        let right = i64::try_from(self.right_secs()).expect("scripts are short");
        let off_by = |seconds: i64| Some(u64::try_from(right + seconds).unwrap_or(0));
        let clock = match self.calendar {
            Calendar::Absent => None,
            Calendar::Right => Some(self.right_secs()),
            Calendar::OffByMinutes(minutes) => off_by(i64::from(minutes) * 60),
            Calendar::OffByDays(days) => off_by(i64::from(days) * 86_400),
            Calendar::OffBySeconds(seconds) => off_by(i64::from(seconds)),
            Calendar::Reset => Some(self.right_secs() - EPOCH),
            Calendar::Garbage(seconds) => Some(seconds),
        };
        Now::new(Instant::from_millis(self.monotonic), clock.map(UnixTime::from_secs))
    }

    /// The right time in seconds since the Unix epoch.
    pub fn right_secs(&self) -> u64 {
        self.right_millis / 1_000
    }

    pub fn pass_millis(&mut self, millis: u64) {
        self.monotonic += millis;
        self.right_millis += millis;
    }

    pub fn pass_minutes(&mut self, minutes: u64) {
        self.pass_millis(minutes * 60_000);
    }

    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    pub fn set_calendar(&mut self, calendar: Calendar) {
        self.calendar = calendar;
    }

    /// The device is off for a while, and its monotonic clock begins anew.
    pub fn restart(&mut self, off_minutes: u64, monotonic: u64) {
        self.right_millis += off_minutes * 60_000;
        self.monotonic = monotonic;
    }
}

/// Two root keys, two hosts, and certificates of which some are worth nothing.
pub struct Vendor {
    pub roots: [Root; 2],
    pub hosts: [SigningKey; 2],
    pub tag_key: TagKey,
    certificates: Vec<Certificate>,
}

/// Who vouches for an answer, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, arbitrary::Arbitrary)]
pub enum Voucher {
    /// The first root for the first host, for ever.
    First,
    /// The second root for the second host, for ever.
    Second,
    /// The first root for the first host, from a day before the script begins to 100 days after it
    /// has.
    Dated,
    /// Somebody else, who calls himself the first root.
    Impostor,
    /// A root that the product does not have.
    UnknownRoot,
    /// The first root for the authority.
    Authority,
    /// The first root for a host that may not activate this product.
    LowRank,
    /// The first root for the first host, but the second host signs.
    OtherSigner,
}

/// The product's place in the catalogue.
pub const COVERAGE: Coverage = Coverage { family: 7, rank: 1, generation: 3 };
pub const UNKNOWN_ROOT: u16 = 9;

impl Vendor {
    /// The one and only, made once.
    pub fn get() -> &'static Self {
        static VENDOR: OnceLock<Vendor> = OnceLock::new();
        VENDOR.get_or_init(Self::new)
    }

    fn new() -> Self {
        let [first, second, impostor] = Self::root_keys();
        let hosts = [4, 5].map(|n| SigningKey::from_seed(&[n; 32]));
        let claims = Claims {
            public_key: hosts[0].public_key(),
            serial: 1,
            not_before: EpochMinute(0),
            not_after: EpochMinute(u32::MAX),
            root_id: 1,
            coverage: COVERAGE,
            role: Role::Host,
        };
        let begin = (EPOCH / 60) as u32;
        let certificate = |voucher| {
            let (claims, root) = match voucher {
                Voucher::First | Voucher::OtherSigner => (claims, &first),
                Voucher::Second => {
                    let public_key = hosts[1].public_key();
                    (Claims { public_key, root_id: 2, ..claims }, &second)
                }
                Voucher::Dated => {
                    let not_before = EpochMinute(begin - 24 * 60);
                    let not_after = EpochMinute(begin + 100 * 24 * 60);
                    (Claims { not_before, not_after, ..claims }, &first)
                }
                Voucher::Impostor => (claims, &impostor),
                Voucher::UnknownRoot => (Claims { root_id: UNKNOWN_ROOT, ..claims }, &impostor),
                Voucher::Authority => (Claims { role: Role::Authority, ..claims }, &first),
                Voucher::LowRank => {
                    let coverage = Coverage { rank: 0, ..COVERAGE };
                    (Claims { coverage, ..claims }, &first)
                }
            };
            sign_certificate(&claims, root).unwrap_or_else(|never| match never {})
        };
        Self {
            roots: [(1, &first), (2, &second)]
                .map(|(id, key)| Root::new(id, &key.public_key()).expect("a strong key")),
            certificates: Voucher::ALL.into_iter().map(certificate).collect(),
            hosts,
            tag_key: TagKey::from_bytes([6; 32]),
        }
    }

    /// The private halves of the root keys, and of one that is none.
    pub fn root_keys() -> [SigningKey; 3] {
        [1, 2, 3].map(|n| SigningKey::from_seed(&[n; 32]))
    }

    pub fn certificate(&self, voucher: Voucher) -> Certificate {
        self.certificates[voucher as usize]
    }

    /// The frame with the voucher's certificate and the signature that goes with it.
    pub fn answer(&self, voucher: Voucher, body: ResponseBody) -> Frame {
        let key = match voucher {
            Voucher::Second | Voucher::OtherSigner => &self.hosts[1],
            _ => &self.hosts[0],
        };
        let body = ResponseBody { certificate: self.certificate(voucher), ..body };
        sign_response(&body, key).unwrap_or_else(|never| match never {})
    }
}

impl Voucher {
    const ALL: [Self; 8] = [
        Self::First,
        Self::Second,
        Self::Dated,
        Self::Impostor,
        Self::UnknownRoot,
        Self::Authority,
        Self::LowRank,
        Self::OtherSigner,
    ];
}

/// Random numbers that are the same in each run, and as lucky as the input says.
pub struct Dice {
    state: u64,
    luck: Luck,
}

/// What a spread of waits draws.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
pub enum Luck {
    Lowest,
    Highest,
    Mixed,
}

impl Dice {
    pub fn new(seed: u8, luck: Luck) -> Self {
        Self { state: seed.into(), luck }
    }

    /// splitmix64
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(match self.luck {
            Luck::Lowest => 0,
            Luck::Highest => u32::MAX,
            Luck::Mixed => self.roll() as u32,
        })
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.roll())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let roll = self.roll().to_le_bytes();
            chunk.copy_from_slice(&roll[..chunk.len()]);
        }
        Ok(())
    }
}

/// Not for any use but this: everybody can foresee it.
impl TryCryptoRng for Dice {}
