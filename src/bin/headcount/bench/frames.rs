//! Requests made before the clock starts, and what their answers are compared with.

use std::net::SocketAddr;

use headcount::daemon::{Clock, ProductFile, SystemClock, system_rng};
use headcount::trust::{self, Expected, Root, TagSchedule, verify_response};
use headcount::wire::{Cmid, Coverage, Frame, LicenceStatus, Method, Name, Nonce, Request};
use rand_core::Rng;

/// Where a response carries the digest of its request (PROTOCOL 5).
const DIGEST: std::ops::Range<usize> = 32..64;

/// Valid requests of distinct machines.
pub(super) struct Frames {
    requests: Vec<Frame>,
    /// What an answer to each of them has at [`DIGEST`].
    marks: Vec<[u8; 32]>,
    roots: Vec<Root>,
    coverage: Coverage,
}

/// What came of verifying some of the answers.
#[derive(Debug, Default)]
pub(super) struct Trust {
    pub(super) verified: usize,
    pub(super) failed: usize,
    pub(super) reason: Option<String>,
}

impl Frames {
    pub(super) fn new(product: &ProductFile, clients: u32) -> Result<Self, String> {
        let roots = product.roots()?;
        let coverage = product.coverage();
        let product = product.for_client(&[])?;
        let schedule = TagSchedule::new(&product.tag_key);
        let mut rng = system_rng();
        let client_time = SystemClock::start().now().clock;
        let mut random = || {
            let mut bytes = [0; 16];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        let mut requests = Vec::new();
        for number in 0..clients {
            // All zero, one time in 2^128.
            let cmid = Cmid::new(random()).ok_or("no randomness")?;
            let name = format!("bench-{number}");
            let serial = number.to_be_bytes();
            let components = [Some(serial.as_slice()), None, None, None, None, None, None, None];
            requests.push(schedule.seal(&Request {
                virtual_machine: false,
                renewal: false,
                licence_status: LicenceStatus::InitialGrace,
                method: Method::Count,
                required_count: product.required_count,
                time_left: headcount::time::Minutes::from_days(30),
                application_id: product.application_id,
                activation_id: product.activation_id,
                counted_id: product.counted_id,
                cmid,
                previous_cmid: None,
                client_time,
                nonce: Nonce(random()),
                fingerprint: trust::fingerprint(product.application_id, &components),
                workstation_name: Name::truncated(&name),
                key_id: product.key_id,
            }));
        }
        let marks = requests.iter().map(|frame| trust::request_digest(frame).0).collect();
        Ok(Self { requests, marks, roots, coverage })
    }

    /// The same requests for a server that answers with the first part of what it was sent.
    pub(super) fn echoed(&self) -> Self {
        let mark = |frame: &Frame| frame[DIGEST].try_into().unwrap_or_default();
        Self {
            requests: self.requests.clone(),
            marks: self.requests.iter().map(mark).collect(),
            roots: Vec::new(),
            coverage: self.coverage,
        }
    }

    /// Position of the `turn`-th request of connection `number` out of `connections`.
    pub(super) fn position(&self, number: usize, connections: usize, turn: usize) -> usize {
        number.wrapping_add(turn.wrapping_mul(connections)) % self.requests.len().max(1)
    }

    pub(super) fn request(&self, position: usize) -> &Frame {
        &self.requests[position]
    }

    /// Whether this is an answer to the request.
    pub(super) fn answers(&self, position: usize, answer: &Frame) -> bool {
        answer[DIGEST] == self.marks[position]
    }

    /// Verifies answers as a client does.
    pub(super) fn verify(&self, samples: &[(usize, Frame)]) -> Trust {
        let mut trust = Trust::default();
        for (position, answer) in samples {
            let expected = Expected {
                request: self.request(*position),
                method: Method::Count,
                product: self.coverage,
                roots: &self.roots,
                known_certificate: None,
            };
            match verify_response(answer, &expected) {
                Ok(_) => trust.verified += 1,
                Err(untrusted) => {
                    trust.failed += 1;
                    trust.reason = Some(untrusted.to_string());
                }
            }
        }
        trust
    }
}

/// Source addresses for connections to a loopback address: a closed connection keeps its port for a
/// minute, so one address would run out of ports after 28,000 exchanges. Systems other than Linux
/// have only 127.0.0.1, and leave the choice to the system.
pub(super) fn sources(target: SocketAddr) -> Vec<SocketAddr> {
    let SocketAddr::V4(v4) = target else { return Vec::new() };
    if !v4.ip().is_loopback() {
        return Vec::new();
    }
    let address = |last| SocketAddr::from(([127, 0, 1, last], 0));
    match std::net::UdpSocket::bind(address(1)) {
        Ok(_) => (1..=250).map(address).collect(),
        Err(_) => Vec::new(),
    }
}
