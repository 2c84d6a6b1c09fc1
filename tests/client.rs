//! The client alone: every answer in these tests is made by hand (PROTOCOL 11).

mod common;

use core::time::Duration;

use common::{
    Always, DAY, EPOCH, HOUR, KEY_ID, MINUTE, ONE_HOST, THREE_HOSTS, TWO_HOSTS, Vendor, clocks,
    drive, machine, now, running,
};
use headcount::client::{
    self, Client, Discard, Event, Failure, IMAGE_LEN, Limits, Outcome, Rejection, Step,
};
use headcount::fingerprint::Fingerprint;
use headcount::policy::{self, Skew};
use headcount::time::{Instant, Minutes, Now, UnixTime};
use headcount::trust::{
    Expected, Root, Signer, SigningKey, Untrusted, request_digest, sign_response, verify_response,
};
use headcount::wire::{
    ActivationId, Frame, LicenceStatus, Method, Refusal, Request, ResponseBody, Role, Validity,
    Verdict,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

const THRESHOLD: u32 = 5;

/// A granted answer to `frame`, with default intervals and the calendar of `at` seconds.
fn granted(vendor: &Vendor, frame: &Frame, at: u64, count: u32) -> ResponseBody {
    ResponseBody {
        verdict: Verdict::Granted { count, validity: Validity::For(policy::VALIDITY) },
        duplicate: false,
        activation_interval: policy::ACTIVATION_INTERVAL,
        renewal_interval: policy::RENEWAL_INTERVAL,
        host_time: UnixTime::from_secs(EPOCH + at),
        request_digest: request_digest(frame),
        certificate: vendor.certificate,
    }
}

fn signed(vendor: &Vendor, body: &ResponseBody) -> Frame {
    let Ok(frame) = sign_response(body, &vendor.host_key);
    frame
}

/// A client, its driver, and a vendor that answers as a test wants.
struct Rig<'a> {
    vendor: &'a Vendor,
    product: &'a client::Product<'a>,
    client: Client<'a>,
    rng: StdRng,
    events: Vec<Event>,
}

impl<'a> Rig<'a> {
    fn new(vendor: &'a Vendor, product: &'a client::Product<'a>) -> Self {
        Self::with_hosts(vendor, product, ONE_HOST, now(0))
    }

    fn with_hosts(
        vendor: &'a Vendor,
        product: &'a client::Product<'a>,
        hosts: core::num::NonZeroU8,
        now: Now,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let client = Client::new(product, machine(0), hosts, now, &mut rng);
        Self { vendor, product, client, rng, events: Vec::new() }
    }

    /// The frame that goes out now, if one does.
    fn drive(&mut self, now: Now) -> Option<Frame> {
        drive(&mut self.client, now, &mut self.rng, &mut self.events)
    }

    fn answer(&mut self, now: Now, body: &ResponseBody) -> Result<Outcome, Discard> {
        let frame = signed(self.vendor, body);
        self.client.handle_response(now, &mut self.rng, &frame)
    }

    /// Asks, and is answered with this count by a host whose calendar is right at `at` seconds.
    fn exchange(&mut self, now: Now, at: u64, count: u32) -> Result<Outcome, Discard> {
        let frame = self.drive(now).expect("a request");
        let body = granted(self.vendor, &frame, at, count);
        self.answer(now, &body)
    }

    fn activate(&mut self, now: Now, at: u64) {
        let activated = Outcome::Activated { count: THRESHOLD };
        assert_eq!(self.exchange(now, at, THRESHOLD), Ok(activated));
        assert_eq!(self.drive(now), None);
        self.events.clear();
    }

    fn fail(&mut self, now: Now) {
        self.drive(now).expect("a request");
        self.client.give_up(now, &mut self.rng, Failure::NoAnswer);
    }

    /// The same device after a restart, from what it would store at `stored`.
    fn restart(&mut self, stored: Now, now: Now) {
        let image = self.client.image(stored);
        self.resume(&image, now).unwrap();
    }

    fn resume(&mut self, image: &[u8], now: Now) -> Result<(), headcount::storage::Corrupt> {
        self.client =
            Client::resume(self.product, machine(0), ONE_HOST, image, now, &mut self.rng)?;
        Ok(())
    }

    fn status(&self, now: Now) -> LicenceStatus {
        self.client.licence(now).status
    }

    /// When the client wants to be called next.
    fn wakes_at(&mut self, now: Now) -> Instant {
        assert_eq!(self.drive(now), None);
        let Step::Wait { until } = self.client.poll(now, &mut self.rng) else { panic!("no wait") };
        until
    }
}

macro_rules! rig {
    ($vendor:ident, $rig:ident) => {
        let $vendor = Vendor::new();
        let product = $vendor.product(THRESHOLD);
        let mut $rig = Rig::new(&$vendor, &product);
    };
}

// Offsets of fields in the image.
mod image {
    pub(crate) const CMID: usize = 0;
    pub(crate) const GRACE: usize = 33;
    pub(crate) const IS_OUT_OF_TOLERANCE: usize = 49;
    pub(crate) const HAS_ACTIVATION: usize = 74;
    pub(crate) const AGE_SINCE: usize = 75;
    pub(crate) const REQUEST: usize = 91;
}

#[test]
fn an_edited_age_does_not_prolong_the_validity() {
    rig!(vendor, rig);
    rig.activate(now(0), 0);
    let mut image = rig.client.image(now(0));
    let later = (EPOCH + 179 * DAY).to_be_bytes();
    assert_eq!(image[image::AGE_SINCE..][..8], EPOCH.to_be_bytes());
    image[image::AGE_SINCE..][..8].copy_from_slice(&later);
    rig.resume(&image, now(179 * DAY)).unwrap();
    assert_eq!(rig.status(now(180 * DAY - 1)), LicenceStatus::Licensed);
    assert_eq!(rig.status(now(180 * DAY)), LicenceStatus::Notification);
}

#[test]
fn a_short_activation_is_warned_about_only_when_its_renewal_failed() {
    rig!(vendor, rig);
    let short = |frame: &Frame, at| ResponseBody {
        verdict: Verdict::Granted {
            count: THRESHOLD,
            validity: Validity::For(Minutes::from_days(2)),
        },
        ..granted(&vendor, frame, at, THRESHOLD)
    };
    let frame = rig.drive(now(0)).unwrap();
    rig.answer(now(0), &short(&frame, 0)).unwrap();
    assert_eq!(rig.drive(now(DAY - 1)), None);
    rig.events.clear();
    let frame = rig.drive(now(DAY)).expect("renews after half the validity");
    rig.answer(now(DAY), &short(&frame, DAY)).unwrap();
    rig.drive(now(DAY));
    assert_eq!(rig.events, []);

    rig.fail(now(2 * DAY));
    assert_eq!(rig.drive(now(2 * DAY)), None);
    assert_eq!(rig.events, [Event::ExpiresSoon { left: Duration::from_secs(DAY) }]);
}
