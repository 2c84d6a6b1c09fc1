//! One check for each section of the vectors: how many cases passed, or which one failed.

use core::num::NonZeroU32;

use headcount::fingerprint::{Fingerprint, Matching};
use headcount::policy::meets_threshold;
use headcount::table::{CmidTable, Sighting};
use headcount::time::EpochMinute;
use headcount::trust::{Expected, ParsedRequest, Root, TagSchedule, verify_response};
use headcount::wire::{Cmid, Coverage, Frame, Verdict, frame_from_slice};

use crate::vectors::{self, Exchange, Trace};

/// Number of cases that passed, or the index of the first that did not.
pub type Checked = Result<usize, usize>;

/// What the product is, as its vendor compiled it in.
pub struct Vendor {
    pub schedule: TagSchedule,
    pub roots: [Root; vectors::ROOTS.len()],
}

/// Genuine requests are read, and their tags verify.
pub fn requests(vendor: &Vendor) -> Checked {
    each(vectors::REQUESTS, |frame| tag_verifies(frame, vendor) == Some(true))
}

/// Requests with another tag are read, and their tags do not verify.
pub fn bad_tags(vendor: &Vendor) -> Checked {
    each(vectors::BAD_TAGS, |frame| tag_verifies(frame, vendor) == Some(false))
}

fn tag_verifies(frame: &Frame, vendor: &Vendor) -> Option<bool> {
    let parsed = ParsedRequest::parse(frame).ok()?;
    Some(parsed.verify(&vendor.schedule).is_ok())
}

/// Malformed requests are refused.
pub fn malformed() -> Checked {
    each(vectors::MALFORMED, |bytes| {
        frame_from_slice(bytes).and_then(|frame| ParsedRequest::parse(frame).map(drop)).is_err()
    })
}

/// Answers are believed or rejected, and activate or do not.
pub fn exchanges(vendor: &Vendor) -> Checked {
    each(vectors::EXCHANGES, |exchange| outcome(exchange, vendor) == Some(exchange.expect))
}

fn outcome(exchange: &Exchange, vendor: &Vendor) -> Option<&'static str> {
    let request = ParsedRequest::parse(&exchange.request).ok()?.verify(&vendor.schedule).ok()?;
    let ids = (request.application_id.0, request.activation_id.0, request.counted_id.0);
    let product = (vectors::APPLICATION_ID, vectors::ACTIVATION_ID, vectors::COUNTED_ID);
    (ids == product).then_some(())?;
    let expected = Expected {
        request: &exchange.request,
        method: request.method,
        product: Coverage {
            family: vectors::FAMILY,
            rank: vectors::RANK,
            generation: vectors::GENERATION,
        },
        roots: &vendor.roots,
        known_certificate: None,
    };
    let answer = frame_from_slice(exchange.response);
    let response = answer.ok().and_then(|frame| verify_response(frame, &expected).ok());
    let threshold = NonZeroU32::new(vectors::THRESHOLD)?;
    Some(match response.map(|response| response.body.verdict) {
        None => "rejected",
        Some(Verdict::Refused(_)) => "refused",
        Some(Verdict::Granted { count, .. }) if meets_threshold(count, threshold) => "activated",
        Some(Verdict::Granted { .. }) => "below threshold",
    })
}

/// The table counts as it should, step by step.
pub fn traces<const N: usize>(table: &mut CmidTable<N>) -> Checked {
    each(vectors::TRACES, |trace| {
        table.clear();
        follow(trace, table).is_some()
    })
}

fn follow<const N: usize>(trace: &Trace, table: &mut CmidTable<N>) -> Option<()> {
    let matching = Matching { weights: trace.weights, tolerance: trace.tolerance };
    for step in trace.steps {
        let sighting = Sighting {
            required_count: NonZeroU32::new(step.required)?,
            cmid: Cmid::new(step.cmid)?,
            previous_cmid: Cmid::new(step.previous),
            fingerprint: Fingerprint::from_bytes(step.fingerprint),
        };
        let seen = table.observe(EpochMinute(step.at), &sighting, &matching);
        let expected = (step.count, step.limit, step.duplicate);
        ((seen.count, seen.limit, seen.duplicate()) == expected).then_some(())?;
    }
    Some(())
}

fn each<T>(cases: &[T], mut holds: impl FnMut(&T) -> bool) -> Checked {
    let failed = cases.iter().position(|case| !holds(case));
    failed.map_or(Ok(cases.len()), Err)
}
