//! The host alone: what it checks, in which order, and what it counts (PROTOCOL 9 and 10).

mod common;

use core::num::NonZeroU32;
use core::time::Duration;

use common::{
    Bench, COVERAGE, DAY, EPOCH, HOUR, IDS, KEY_ID, MINUTE, SERVED, Vendor, bench, clocks, machine,
    now, pool, running,
};
use headcount::fingerprint::Matching;
use headcount::host::{
    Host, HostCounters, Pool, PoolStatus, Product, RateLimit, Settings, Silence, Source,
};
use headcount::time::{EpochMinute, Instant, Minutes, Now, UnixTime};
use headcount::trust::{TagKey, TagSchedule};
use headcount::wire::{
    ActivationId, ApplicationId, Cmid, CountedId, Coverage, Fault, Frame, KeyId, LicenceStatus,
    Malformed, Method, Nonce, Refusal, Request, Response, Verdict,
};

/// A request by machine `n`, without a clock, in initial grace, of threshold 25.
fn request(n: u16) -> Request<'static> {
    let mut cmid = [0xcc; 16];
    cmid[14..].copy_from_slice(&n.to_be_bytes());
    let machine = machine(n);
    Request {
        virtual_machine: machine.virtual_machine,
        renewal: false,
        licence_status: LicenceStatus::InitialGrace,
        method: Method::Count,
        required_count: NonZeroU32::new(25).unwrap(),
        time_left: Minutes::from_days(30),
        application_id: IDS.0,
        activation_id: IDS.1,
        counted_id: IDS.2,
        cmid: Cmid::new(cmid).unwrap(),
        previous_cmid: None,
        client_time: None,
        nonce: Nonce([n as u8; 16]),
        fingerprint: machine.fingerprint,
        workstation_name: machine.workstation_name,
        key_id: KEY_ID,
    }
}

fn sealed(vendor: &Vendor, request: &Request<'_>) -> Frame {
    TagSchedule::new(&vendor.tag_key).seal(request)
}

impl Bench<'_> {
    /// What a request is answered.
    fn ask(&mut self, now: Now, request: &Request<'_>) -> Result<Verdict, Silence> {
        let frame = self.handle(now, &sealed(self.vendor, request))?;
        Ok(Response::parse(&frame).unwrap().body.verdict)
    }

    /// The count that a request is granted.
    fn count(&mut self, now: Now, request: &Request<'_>) -> u32 {
        match self.ask(now, request) {
            Ok(Verdict::Granted { count, .. }) => count,
            other => panic!("{other:?}"),
        }
    }

    fn pool(&mut self, now: Now) -> PoolStatus {
        self.host.pools(now).next().unwrap()
    }
}

#[test]
fn a_broken_clock_does_not_make_records_live_for_ever() {
    bench!(vendor, bench);
    let broken = |secs: u64, calendar| {
        Now::new(Instant::from_millis(secs * 1_000), Some(UnixTime::from_secs(calendar)))
    };
    assert_eq!(bench.count(broken(0, u64::MAX), &request(1)), 1);
    assert_eq!(bench.pool(broken(30 * DAY - 1, u64::MAX)).count, Some(1));
    assert_eq!(bench.pool(broken(30 * DAY, u64::MAX)).count, Some(0));

    // Also when it breaks while the host is down.
    assert_eq!(bench.count(broken(31 * DAY, EPOCH), &request(1)), 1);
    let mut snapshot = [0; 4_096];
    let length = bench.host.snapshot(broken(31 * DAY, EPOCH), &mut snapshot).unwrap();
    let (keys, mut pools) = (vendor.setup_keys(), [pool()]);
    let mut bench = Bench::new(&vendor, &mut pools, &keys, Some(vendor.certificate));
    assert_eq!(bench.host.restore(broken(0, u64::MAX), &snapshot[..length]).unwrap().pools, 1);
    assert_eq!(bench.count(broken(1, EPOCH), &request(2)), 1, "the first has ended");
    assert_eq!(bench.pool(broken(30 * DAY + 60, EPOCH)).count, Some(0));
}
