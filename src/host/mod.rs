//! The host: frame in, signed answer or silence out (PROTOCOL 10).
//!
//! [`Host::handle`] is the whole of it. It does no I/O, asks for no time and no randomness, and
//! counts exactly one reason for each frame. A driver
//!
//! - calls it with every frame that arrives, and sends the answer if there is one; when there is
//!   none it closes the connection or stays silent, and nothing else;
//! - saves [`Host::snapshot`] now and then, and hands it to [`Host::restore`] at the next start.
//!   What a snapshot does not have yet is counted again when the machines ask again; a machine that
//!   rearmed since is counted under its old CMID, too, until that has its 30 days. So save soon
//!   after frames were answered: a daemon within seconds, firmware as often as its flash bears it.
//!
//! Where several threads answer, only [`Host::admit`] and [`Host::conclude`] need the host itself and
//! so a lock. What costs most of the time, the tag and the digest between them
//! ([`Admitted::examine`]) and the signature at the end ([`trust::sign_response`]), does not.

mod counters;
mod pool;
mod rate;
mod silence;
mod snapshot;
mod summary;

pub use counters::{HostCounters, PoolCounters};
pub use pool::{Pool, PoolStatus, Product};
pub use rate::{RateLimit, Source};
pub use silence::Silence;
pub use snapshot::{RestoreFailure, Restored, SnapshotTooLong};
pub use summary::{PoolSummary, SnapshotSummary, describe_snapshot};

use core::fmt;

use crate::log::debug;
use crate::policy::{self, Skew};
use crate::table::{Observation, RECORD_LIFE};
use crate::time::{EpochMinute, Instant, Minutes, Now, UnixTime};
use crate::trust::{self, BadTag, ParsedRequest, Signer, TagKey, TagSchedule, Verified};
use crate::wire::{
    self, Certificate, Digest, Frame, KeyId, Method, Refusal, RequestView, ResponseBody, Validity,
    Verdict,
};
pub(crate) use rate::RateLimiter;

/// A product's setup key as its host knows it: requests name the id, the schedule checks the tag.
#[derive(Clone, Debug)]
pub struct SetupKey {
    id: KeyId,
    schedule: TagSchedule,
}

impl SetupKey {
    /// Makes the tag key ready for use.
    #[must_use]
    pub fn new(id: KeyId, tag_key: &TagKey) -> Self {
        Self { id, schedule: TagSchedule::new(tag_key) }
    }
}

/// What a host tells its clients, and how much it lets one of them ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// How long a client waits before the next try while not activated; sent as it is, clients
    /// bound it to 15 to 43,200 minutes.
    pub activation_interval: Minutes,
    /// How long a client waits before renewing; sent as it is, clients bound it likewise. Above 27
    /// days, with the 10 % by which clients spread it, a machine's record may end before its
    /// renewal, and the count falls.
    pub renewal_interval: Minutes,
    /// How long an activation lasts, below `0xFFFF_FFFF` minutes.
    pub validity: Minutes,
    /// Requests allowed from one source.
    pub rate_limit: RateLimit,
}

impl Settings {
    /// The protocol's defaults (PROTOCOL 5): 2 hours, 7 days, 180 days.
    pub const DEFAULT: Self = Self {
        activation_interval: policy::ACTIVATION_INTERVAL,
        renewal_interval: policy::RENEWAL_INTERVAL,
        validity: policy::VALIDITY,
        rate_limit: RateLimit::DEFAULT,
    };
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Counts machines and answers them.
///
/// `RECORDS` is the capacity of each pool's table, `SOURCES` (a multiple of 4) how many sources the
/// rate limit remembers at once. The memory of the pools is the caller's, so that firmware can keep
/// it in a `static` and a server on its heap.
#[derive(Debug)]
pub struct Host<'a, const RECORDS: usize, const SOURCES: usize> {
    pools: &'a mut [Pool<'a, RECORDS>],
    keys: &'a [SetupKey],
    certificate: Option<Certificate>,
    settings: Settings,
    limiter: RateLimiter<SOURCES>,
    counters: HostCounters,
    table_time: TableTime,
}

impl<'a, const RECORDS: usize, const SOURCES: usize> Host<'a, RECORDS, SOURCES> {
    /// A host for these pools that knows these setup keys. Without a certificate it is silent.
    ///
    /// Each pool has a counted id of its own: of two with the same, a snapshot brings back one.
    ///
    /// `hash_key` must be random and secret: it protects tables and rate limit from chosen input.
    #[must_use]
    pub fn new(
        pools: &'a mut [Pool<'a, RECORDS>],
        keys: &'a [SetupKey],
        certificate: Option<Certificate>,
        settings: Settings,
        hash_key: [u8; 16],
    ) -> Self {
        for pool in &mut *pools {
            pool.table.rekey(hash_key);
        }
        Self {
            pools,
            keys,
            certificate,
            settings,
            limiter: RateLimiter::new(settings.rate_limit, hash_key),
            counters: HostCounters::default(),
            table_time: TableTime::Unset,
        }
    }

    /// Answers one frame from `source`, or says why there is no answer. `signer` holds the key that
    /// the certificate names.
    ///
    /// # Errors
    ///
    /// The reason for silence. It is for the host's own log and counters: the sender is told
    /// nothing.
    pub fn handle<S: Signer>(
        &mut self,
        now: Now,
        source: Source,
        frame: &[u8],
        signer: &S,
    ) -> Result<Frame, Silence> {
        let body = self.decide(now, source, frame)?;
        trust::sign_response(&body, signer).map_err(|_| self.signer_failed(&body))
    }

    /// Does all that [`handle`](Self::handle) does except for the signature: counts the machine and
    /// returns what is to be signed with [`trust::sign_response`].
    pub fn decide(
        &mut self,
        now: Now,
        source: Source,
        frame: &[u8],
    ) -> Result<ResponseBody, Silence> {
        let examined = self.admit(now, source, frame)?.examine();
        self.conclude(examined)
    }

    /// The first third of [`decide`](Self::decide): the checks that cost little. The frame is well
    /// formed, its sender within the rate limit, the host able to answer, the setup key known.
    pub fn admit<'f>(
        &mut self,
        now: Now,
        source: Source,
        frame: &'f [u8],
    ) -> Result<Admitted<'a, 'f>, Silence> {
        let admitted = self.try_admit(now, source, frame);
        admitted.inspect_err(|silence| self.count_frame(&Err(*silence)))
    }

    /// The last third of [`decide`](Self::decide): counts the machine, or refuses it.
    #[expect(clippy::needless_pass_by_value, reason = "a frame that was examined counts once")]
    pub fn conclude(&mut self, examined: Examined<'_>) -> Result<ResponseBody, Silence> {
        let decision = self.try_conclude(&examined);
        self.count_frame(&decision);
        decision
    }

    /// Turns an answer that [`decide`](Self::decide) gave, and the signer then failed to sign, into
    /// a silence in the counters.
    pub fn signer_failed(&mut self, body: &ResponseBody) -> Silence {
        self.counters.signer_failed(body);
        Silence::Signer
    }

    /// Replaces the certificate, after an enrolment.
    pub fn set_certificate(&mut self, certificate: Option<Certificate>) {
        self.certificate = certificate;
    }

    /// The certificate that answers carry.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What has happened since the start or, with [`restore`](Self::restore), since the first one.
    #[must_use]
    pub const fn counters(&self) -> &HostCounters {
        &self.counters
    }

    /// Every pool's count and counters, with expired records gone.
    pub fn pools(&mut self, now: Now) -> impl Iterator<Item = PoolStatus> {
        let minute = self.table_time.minute(now);
        self.pools.iter_mut().map(move |pool| pool.status(minute))
    }

    /// The checks, in the order of PROTOCOL 10, as far as the tag.
    fn try_admit<'f>(
        &mut self,
        now: Now,
        source: Source,
        frame: &'f [u8],
    ) -> Result<Admitted<'a, 'f>, Silence> {
        let parsed = ParsedRequest::parse(wire::frame_from_slice(frame)?)?;
        if !self.limiter.allows(source, now.monotonic) {
            return Err(Silence::RateLimited);
        }
        if self.certificate.is_none() {
            return Err(Silence::NoCertificate);
        }
        let host_time = now.clock.ok_or(Silence::NoClock)?;
        let id = parsed.key_id();
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Silence::UnknownKey(id))?;
        Ok(Admitted { now, host_time, parsed, key })
    }

    /// The checks from the tag on.
    fn try_conclude(&mut self, examined: &Examined<'_>) -> Result<ResponseBody, Silence> {
        let Examined { now, host_time, ref result } = *examined;
        let (request, request_digest) = result.as_ref().map_err(|_| Silence::BadTag)?;
        let certificate = self.certificate.ok_or(Silence::NoCertificate)?;
        let minute = self.table_time.minute(now);
        let (verdict, duplicate) = match self.count(**request, &certificate, host_time, minute) {
            Ok(seen) => {
                let validity = Validity::For(self.settings.validity);
                (Verdict::Granted { count: seen.count, validity }, seen.duplicate())
            }
            Err(refusal) => (Verdict::Refused(refusal), false),
        };
        Ok(ResponseBody {
            verdict,
            duplicate,
            activation_interval: self.settings.activation_interval,
            renewal_interval: self.settings.renewal_interval,
            host_time,
            request_digest: *request_digest,
            certificate,
        })
    }

    fn count_frame(&mut self, decision: &Result<ResponseBody, Silence>) {
        match decision {
            Ok(body) => debug!("answer: {:?}", body.verdict),
            Err(silence) => debug!("no answer: {:?}", silence),
        }
        self.counters.count(decision);
    }

    /// Counts the machine in its pool, or refuses it without a trace in the table.
    fn count(
        &mut self,
        request: RequestView<'_>,
        certificate: &Certificate,
        host_time: UnixTime,
        minute: EpochMinute,
    ) -> Result<Observation, Refusal> {
        if request.method() != Method::Count {
            return Err(Refusal::NotCovered);
        }
        let found = self.pools.iter_mut().find_map(|pool| pool.product(request));
        let (pool, product) = found.ok_or(Refusal::UnknownProduct)?;
        let checked = check(request, product, certificate, host_time);
        pool.counters.count(request, checked.is_err());
        checked.map(|()| pool.observe(minute, request))
    }
}

/// A frame that passed [`Host::admit`]. `Debug` hides the frame, which has the whole CMID in it.
pub struct Admitted<'h, 'f> {
    now: Now,
    host_time: UnixTime,
    parsed: ParsedRequest<'f>,
    key: &'h SetupKey,
}

/// A frame whose tag has been checked: for [`Host::conclude`], whatever came of it.
#[derive(Debug)]
pub struct Examined<'f> {
    now: Now,
    host_time: UnixTime,
    result: Result<(Verified<RequestView<'f>>, Digest), BadTag>,
}

impl<'f> Admitted<'_, 'f> {
    /// The middle third of [`Host::decide`], and the longest: checks the tag and makes the digest
    /// that the answer refers to the request by. Both are hashes of the whole frame.
    #[must_use]
    pub fn examine(self) -> Examined<'f> {
        let Self { now, host_time, parsed, key } = self;
        let verified = parsed.check_tag(&key.schedule);
        let result = verified.map(|request| (request, trust::request_digest(request.frame())));
        Examined { now, host_time, result }
    }
}

impl fmt::Debug for Admitted<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("parsed", &self.parsed).finish_non_exhaustive()
    }
}

/// What can still be refused once the product is known (PROTOCOL 10): coverage, dates, clock.
fn check(
    request: RequestView<'_>,
    product: &Product,
    certificate: &Certificate,
    host_time: UnixTime,
) -> Result<(), Refusal> {
    let claims = &certificate.claims;
    if !claims.coverage.covers(&product.coverage) {
        return Err(Refusal::NotCovered);
    }
    if !claims.valid_at(host_time) {
        return Err(Refusal::NotEnrolled);
    }
    match request.client_time() {
        Some(client) if !Skew::of(client, host_time).is_tolerable() => Err(Refusal::ClockSkew),
        _ => Ok(()),
    }
}

/// The tables' own time, in minutes.
///
/// It advances with the monotonic clock, so that a calendar clock that jumps neither expires all
/// records at once nor keeps them for ever. The calendar is asked only where the monotonic clock
/// cannot know: how long the host was down.
#[derive(Clone, Copy, Debug)]
enum TableTime {
    /// Nothing was counted yet.
    Unset,
    /// It was `minute` at `since`.
    Running {
        minute: EpochMinute,
        since: Instant,
        /// What the calendar showed at that minute, of records that a restart brought back, until
        /// the calendar tells how long the host was down: a clock may be set only later.
        saved_at: Option<UnixTime>,
    },
}

impl TableTime {
    /// The latest start: as many minutes as a calendar shows in the year 6053. Were it the end of
    /// the scale, which a broken clock shows, time would stand still and records live for ever.
    const LATEST_START: u32 = u32::MAX / 2;

    /// The table's time now; the first call starts it from the calendar, or from 0 without one.
    fn minute(&mut self, now: Now) -> EpochMinute {
        match *self {
            Self::Unset => {
                let calendar = now.clock.map_or(EpochMinute(0), UnixTime::minute);
                let minute = EpochMinute(calendar.0.min(Self::LATEST_START));
                *self = Self::Running { minute, since: now.monotonic, saved_at: None };
                minute
            }
            Self::Running { mut minute, since, saved_at } => {
                let ran = now.monotonic.millis_since(since);
                // A calendar that shows an earlier time than it did tells nothing.
                let saved_at = saved_at.zip(now.clock).filter(|(saved, clock)| clock >= saved);
                if let Some((saved, clock)) = saved_at {
                    let down = clock.millis_since(saved).less(ran);
                    // No record outlives that: more brings only nearer to the end of the scale.
                    let down = Minutes::within(down).min(RECORD_LIFE).0;
                    minute = EpochMinute(minute.0.saturating_add(down));
                    *self = Self::Running { minute, since, saved_at: None };
                }
                EpochMinute(minute.0.saturating_add(Minutes::within(ran).0))
            }
        }
    }

    /// The calendar that belongs to [`minute`](Self::minute), in a snapshot; 0 without one.
    fn calendar(&self, now: Now) -> UnixTime {
        match *self {
            Self::Running { saved_at: Some(saved), since, .. } => {
                let ran = now.monotonic.millis_since(since).as_secs();
                UnixTime::from_secs(saved.as_secs().saturating_add(ran))
            }
            _ => now.clock.unwrap_or_default(),
        }
    }
}
