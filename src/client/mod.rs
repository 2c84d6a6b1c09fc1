//! The client: the whole life of a product's activation, without I/O (PROTOCOL 11).
//!
//! A driver calls [`Client::poll`] and does what it says: save, report, send, wait. What comes back
//! from a host goes to [`Client::handle_response`]; when nothing comes, [`Client::give_up`].
//!
//! ```text
//! loop {
//!     match client.poll(now(), &mut rng) {
//!         Step::Save => store(client.image(now())),
//!         Step::Report(event) => log(event),
//!         Step::Send { host } => {
//!             // Until one is accepted: by UDP anybody can send an answer.
//!             let accepted = exchange(hosts[host], client.pending_frame(), |answer| {
//!                 client.handle_response(now(), &mut rng, answer).is_ok()
//!             });
//!             if !accepted {
//!                 client.give_up(now(), &mut rng, Failure::NoAnswer);
//!             }
//!         }
//!         Step::Wait { until } => sleep(until),
//!     }
//! }
//! ```
//!
//! Every call may change the next deadline; late, early and repeated calls of `poll` are harmless.
//! Whether the product is licensed is not stored but derived, each time it is asked, from the
//! believed activation and the clocks: [`Client::licence`].

mod accept;
mod finding;
mod key;
mod licence;
mod phone;
mod product;
mod record;
mod schedule;
mod span;
mod step;
mod summary;

pub use key::{KeyChoice, WrongKey};
pub use licence::{ActivatedBy, ActivationInfo, Licence, RearmLimitReached};
pub use product::{Limits, Machine, Product};
pub use record::IMAGE_LEN;
pub use step::{Discard, Event, Failure, Outcome, Rejection, Step};
pub use summary::{ImageSummary, StoredActivation, StoredSpan, describe_image};

use core::fmt;
use core::num::NonZeroU8;

use rand_core::CryptoRng;

use crate::discovery::{Hosts, Numbered};
use crate::policy;
use crate::storage::Corrupt;
use crate::time::{Instant, Millis, Minutes, Now, UnixTime};
use crate::trust::{KnownCertificates, Verifier, VerifyingKey};
use crate::wire::{Cmid, Frame, LicenceStatus, Method};
use record::{Activation, Record, method_of};
use span::Span;

/// How long a client waits for its driver to bring an answer: longer than any transport takes.
const EXCHANGE_LIMIT: Millis = Millis::from_secs(120);

/// How often running time is saved. Without a calendar nothing else tells how much of a status has
/// passed, and a device may be switched off every evening: what it ran since is lost each time.
const fn checkpoint_interval(now: Now) -> Millis {
    match now.clock {
        Some(_) => Millis::from_secs(24 * 60 * 60),
        None => Millis::from_secs(60 * 60),
    }
}

/// How often a coming end is warned about.
const WARNING_INTERVAL: Millis = Millis::from_secs(24 * 60 * 60);

/// One product on one machine. `V` is the implementation of Ed25519 that the product's roots bring;
/// `H` is where hosts come from: numbers in the driver's list, or a
/// [`Finder`](crate::discovery::Finder) that finds them in DNS; [`Keyed`](crate::discovery::Keyed), the
/// client can be activated by key as well.
#[derive(Debug)]
pub struct Client<'a, V = VerifyingKey, H: Hosts = Numbered> {
    product: &'a Product<'a, V>,
    machine: Machine<'a>,
    hosts: H,
    record: Record,
    /// In memory only: a stored one would be believed without the root key.
    known: KnownCertificates,
    phase: Phase<H::Find>,
    activation_interval: Minutes,
    last_attempt: Option<Result<Outcome, Failure>>,
    /// What people were told last.
    reported: LicenceStatus,
    rejection: Option<Rejection>,
    rearm_to_report: bool,
    unsaved: bool,
    checkpoint_at: Instant,
    warn_at: Instant,
}

/// Where in the cycle of asking and waiting the client is.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap, and one client has one phase")]
enum Phase<F> {
    /// Nothing to ask before `until`. If the licence ends meanwhile, `retry_at` counts instead.
    Resting { until: Instant, retry_at: Instant },
    /// There is no host to ask before the driver has found something out.
    Finding(Finding<F>),
    /// A request is made and waits for its answer.
    Asking(Asking),
}

/// Something that the driver is to find out.
#[derive(Clone, Copy, Debug)]
struct Finding<F> {
    find: F,
    /// As with [`Asking`].
    rearmed: bool,
    /// Whether the driver was told.
    said: bool,
    deadline: Instant,
}

/// A request on its way. `Debug` hides the frame, which has the whole CMID in it.
#[derive(Clone, Copy)]
struct Asking {
    frame: Frame,
    host: u8,
    /// Whether the driver was told to send.
    sent: bool,
    /// Whether this request follows an automatic rearm, so that another does not follow at once.
    rearmed: bool,
    deadline: Instant,
}

impl Asking {
    fn is_by_key<H: Hosts>(&self) -> bool {
        method_of::<H>(&self.frame) == Method::Key
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("host", &self.host)
            .field("sent", &self.sent)
            .field("rearmed", &self.rearmed)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

// What a microcontroller spends on one client, beside its product and roots.
const _: () =
    assert!(size_of::<Client<'static>>() <= if usize::BITS == 32 { 1_024 } else { 1_040 });

impl<'a, V: Verifier> Client<'a, V> {
    /// A client at its very first start: takes a new CMID, begins the initial grace.
    ///
    /// `hosts` is the number of hosts in the driver's list.
    pub fn new(
        product: &'a Product<'a, V>,
        machine: Machine<'a>,
        hosts: NonZeroU8,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Self {
        Self::new_with(product, machine, Numbered::new(hosts), now, rng)
    }

    /// A client at a later start, from the image it stored.
    ///
    /// The stored activation is verified again. When it is not believed the client starts without
    /// it and reports [`Event::StoredActivationRejected`]; when the hardware has changed too much it
    /// starts in out-of-tolerance grace.
    ///
    /// # Errors
    ///
    /// The image is not one that [`image`](Self::image) made.
    pub fn resume(
        product: &'a Product<'a, V>,
        machine: Machine<'a>,
        hosts: NonZeroU8,
        image: &[u8],
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Corrupt> {
        Self::resume_with(product, machine, Numbered::new(hosts), image, now, rng)
    }

    /// Asks this host first at the next round: the driver knows that it answered last.
    pub const fn prefer_host(&mut self, host: u8) {
        self.hosts.prefer(host);
    }
}

impl<'a, V: Verifier, H: Hosts> Client<'a, V, H> {
    /// As [`new`](Client::new), with any source of hosts.
    pub fn new_with(
        product: &'a Product<'a, V>,
        machine: Machine<'a>,
        hosts: H,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let record = Record::new(new_cmid(rng), now);
        let mut client = Self::with_record(product, machine, hosts, record, now);
        client.unsaved = true;
        client
    }

    /// As [`resume`](Client::resume), with any source of hosts.
    ///
    /// # Errors
    ///
    /// The image is not one that [`image`](Self::image) made.
    pub fn resume_with(
        product: &'a Product<'a, V>,
        machine: Machine<'a>,
        hosts: H,
        image: &[u8],
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Corrupt> {
        let record = Record::new(Cmid::NOBODY, now);
        let mut client = Self::with_record(product, machine, hosts, record, now);
        client.rejection = client.record.load::<H>(image, product, &mut client.known, now)?;
        client.check_host();
        let held = client.record.activation.as_ref();
        if let Some(interval) = held.and_then(Activation::activation_interval::<H>) {
            // The host's intervals prevail over the product's (PROTOCOL 5), also over a restart.
            client.activation_interval = policy::bounded_interval(interval);
        }
        client.check_hardware(now);
        client.reported = client.licence(now).status;
        client.rest_after_start(now, rng);
        Ok(client)
    }

    #[inline(never)]
    fn with_record(
        product: &'a Product<'a, V>,
        machine: Machine<'a>,
        hosts: H,
        record: Record,
        now: Now,
    ) -> Self {
        let checkpoint_at = now.monotonic.after(checkpoint_interval(now));
        Self {
            product,
            machine,
            hosts,
            known: KnownCertificates::new(),
            record,
            phase: Phase::Resting { until: now.monotonic, retry_at: now.monotonic },
            activation_interval: policy::bounded_interval(product.limits.activation_interval),
            last_attempt: None,
            reported: LicenceStatus::InitialGrace,
            rejection: None,
            rearm_to_report: false,
            unsaved: false,
            checkpoint_at,
            warn_at: now.monotonic,
        }
    }

    /// What to do now. Call until it says [`Step::Wait`].
    pub fn poll(&mut self, now: Now, rng: &mut impl CryptoRng) -> Step<H::Find> {
        if now.monotonic >= self.checkpoint_at {
            self.checkpoint_at = now.monotonic.after(checkpoint_interval(now));
            self.unsaved = true;
        }
        if core::mem::take(&mut self.unsaved) {
            return Step::Save;
        }
        if let Some(event) = self.event(now) {
            return Step::Report(event);
        }
        self.end_overdue(now, rng);
        if self.is_due(now) {
            self.hosts.begin();
            self.next_host(false, now, rng);
        }
        match &mut self.phase {
            Phase::Finding(finding) if !finding.said => {
                finding.said = true;
                finding.deadline = now.monotonic.after(EXCHANGE_LIMIT);
                Step::Find(finding.find)
            }
            Phase::Asking(asking) if !asking.sent => {
                asking.sent = true;
                asking.deadline = now.monotonic.after(EXCHANGE_LIMIT);
                Step::Send { host: asking.host }
            }
            Phase::Finding(Finding { deadline, .. }) | Phase::Asking(Asking { deadline, .. }) => {
                Step::Wait { until: *deadline }
            }
            Phase::Resting { .. } => Step::Wait { until: self.wake_at(now) },
        }
    }

    /// Ends what the driver was told to do and never said the end of.
    fn end_overdue(&mut self, now: Now, rng: &mut impl CryptoRng) {
        match &self.phase {
            Phase::Asking(asking) if asking.sent && now.monotonic >= asking.deadline => {
                self.give_up(now, rng, Failure::NoAnswer);
            }
            Phase::Finding(finding) if finding.said && now.monotonic >= finding.deadline => {
                self.give_up_finding(now, rng);
            }
            _ => {}
        }
    }

    /// The request that waits for an answer, to be sent as it is, also when it is repeated.
    #[must_use]
    pub const fn pending_frame(&self) -> Option<&Frame> {
        match &self.phase {
            Phase::Asking(asking) => Some(&asking.frame),
            Phase::Finding(_) | Phase::Resting { .. } => None,
        }
    }

    /// Where hosts come from.
    #[must_use]
    pub const fn hosts(&self) -> &H {
        &self.hosts
    }

    /// Asks at the next [`poll`](Self::poll), without waiting for the interval: somebody wants to
    /// know now.
    pub fn ask_now(&mut self, now: Now) {
        if let Phase::Resting { until, .. } = &mut self.phase {
            *until = now.monotonic;
        }
    }

    /// Tells the client that its hardware is now this one.
    pub fn set_machine(&mut self, machine: Machine<'a>, now: Now) {
        self.machine = machine;
        self.check_hardware(now);
    }

    /// Rearms by hand (PROTOCOL 8): a new CMID, no activation, and the initial grace from its
    /// beginning. Then the client asks.
    ///
    /// # Errors
    ///
    /// The product does not allow it once more. Nothing has changed then.
    pub fn rearm(&mut self, now: Now, rng: &mut impl CryptoRng) -> Result<(), RearmLimitReached> {
        let limit = self.product.limits.rearms;
        if self.record.rearms_used >= limit {
            return Err(RearmLimitReached { limit });
        }
        self.record.rearm(new_cmid(rng), now);
        self.phase = Phase::Resting { until: now.monotonic, retry_at: now.monotonic };
        self.unsaved = true;
        Ok(())
    }

    /// The machine's id.
    #[must_use]
    pub const fn cmid(&self) -> Cmid {
        self.record.cmid
    }

    /// How often the product can still be rearmed by hand.
    #[must_use]
    pub const fn rearms_left(&self) -> u8 {
        self.product.limits.rearms.saturating_sub(self.record.rearms_used)
    }

    /// How the last exchange ended; `None` before the first.
    #[must_use]
    pub const fn last_attempt(&self) -> Option<Result<Outcome, Failure>> {
        self.last_attempt
    }

    /// The latest host time ever accepted; `None` before the first.
    #[must_use]
    pub fn floor(&self) -> Option<UnixTime> {
        (self.record.floor > UnixTime::from_secs(0)).then_some(self.record.floor)
    }

    /// The state to store, in the form that [`resume`](Self::resume) reads.
    #[must_use]
    pub fn image(&self, now: Now) -> [u8; IMAGE_LEN] {
        self.record.emit(now)
    }

    /// The site may have named the hosts it trusts after one of the others had granted something.
    fn check_host(&mut self) {
        let Some(activation) = &self.record.activation else { return };
        let by_host = activation.method::<H>() == Method::Count;
        if by_host && !self.hosts.trusts(&activation.response().certificate().public_key()) {
            self.record.activation = None;
            self.rejection = Some(Rejection::HostNotTrusted);
        }
    }

    /// Compares the hardware with that of the activation, and begins or ends the grace.
    fn check_hardware(&mut self, now: Now) {
        let Some(activation) = &mut self.record.activation else { return };
        let is_changed = !activation.is_of(&self.machine, self.product);
        if is_changed == activation.out_of_tolerance.is_some() {
            return;
        }
        activation.out_of_tolerance = is_changed.then(|| Span::begin(now, self.record.floor));
        self.unsaved = true;
        self.ask_now(now);
    }
}

#[inline(never)]
fn new_cmid(rng: &mut impl CryptoRng) -> Cmid {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    Cmid::from_random(bytes)
}
