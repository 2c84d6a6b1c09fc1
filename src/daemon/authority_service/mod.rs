//! The vendor's authority as a service: enrolments and activations by key, each durable before it
//! is answered (PROTOCOL 6 and 9).
//!
//! A frame is examined where it arrives: that needs no record. What is believable waits in a
//! bounded queue for the one writer, which takes all that waits, decides it in one transaction and
//! commits once. Only then are answers signed, by as many threads as the sockets have: what is
//! signed was decided, and signing it again gives the same bytes. So a crash at any moment loses
//! nothing that anybody was told, and the same frame gets the same answer.
//!
//! - [`AuthorityService`] answers a [`Server`](super::Server)'s frames.
//! - [`Desk`] is its keys and its catalogue: certificates of its own that it renews, two root keys
//!   while one takes the other's place.
//! - [`SignerProcess`] is a root key in a process of its own.

mod catalogue;
mod counters;
mod desk;
mod root;
mod signer_process;
mod writer;

pub use counters::AuthorityCounters;
pub use desk::{Desk, DeskSettings};
pub use root::{AuthorityRoot, RootSigner};
pub use signer_process::{SignerError, SignerProcess, serve_signer};

use core::fmt;
use std::net::SocketAddr;
use std::string::String;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::authority_store::Database;
use super::server::{Answer, Service};
use crate::authority::{ExaminedActivation, ExaminedEnrolment};
use crate::host::{RateLimit, RateLimiter, Source};
use crate::os::{Clock, system_rng};
use crate::time::UnixTime;
use crate::wire::{Frame, Kind, frame_from_slice};
use counters::count;
use desk::Examined;
use rand_core::Rng as _;
use writer::{Decided, Job, Writer};

/// Senders that the rate limit knows at once.
const SOURCES: usize = 4_096;

/// Answers frames by the vendor's keys and records.
pub struct AuthorityService<C> {
    desk: Arc<Desk>,
    queue: SyncSender<Job>,
    senders: Mutex<RateLimiter<SOURCES>>,
    counters: Arc<AuthorityCounters>,
    clock: C,
}

/// The writer, which goes on until the service is dropped and all that waits is decided.
#[derive(Debug)]
pub struct WriterHandle(JoinHandle<Result<(), String>>);

impl<C: Clock + Clone> AuthorityService<C> {
    /// Starts the writer.
    ///
    /// `queue` is how many requests may wait for it; when there are more, the answer is status 8,
    /// which asks a client to come again later.
    pub fn start<D: Database>(
        desk: Arc<Desk>,
        database: Arc<D>,
        rate_limit: RateLimit,
        queue: usize,
        clock: C,
    ) -> (Self, WriterHandle) {
        let counters = desk.counters().clone();
        let (sender, jobs) = mpsc::sync_channel(queue);
        let writer = Writer {
            jobs,
            desk: desk.clone(),
            database,
            counters: counters.clone(),
            clock: clock.clone(),
        };
        let handle = WriterHandle(thread::spawn(move || writer.run()));
        let mut hash_key = [0; 16];
        system_rng().fill_bytes(&mut hash_key);
        let senders = Mutex::new(RateLimiter::new(rate_limit, hash_key));
        (Self { desk, queue: sender, senders, counters, clock }, handle)
    }
}

impl WriterHandle {
    /// Whether it has ended: on its own only when the database fails and fails.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for its end, after the service was dropped.
    ///
    /// # Errors
    ///
    /// Why it ended before that.
    pub fn join(self) -> Result<(), String> {
        self.0.join().unwrap_or_else(|_| Err("the writer failed: a defect of this program".into()))
    }
}

impl<C: Clock> AuthorityService<C> {
    /// Counters that go on counting.
    #[must_use]
    pub fn counters(&self) -> Arc<AuthorityCounters> {
        self.counters.clone()
    }

    fn unix_time(&self) -> UnixTime {
        self.clock.now().clock.unwrap_or_default()
    }

    /// Whether a sender may ask now.
    fn admits(&self, source: SocketAddr) -> bool {
        let now = self.clock.now().monotonic;
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.allows(Source::from(source.ip()), now)
    }

    /// What needs no record, or why there is no answer.
    fn examine(&self, source: SocketAddr, frame: &[u8]) -> Result<Examined, String> {
        if !self.admits(source) {
            return Err("too many requests from there".into());
        }
        let frame = frame_from_slice(frame).map_err(|error| std::format!("{error}"))?;
        match Kind::of(frame) {
            Ok(Kind::Request) => self.desk.examine_activation(frame),
            Ok(Kind::EnrolmentRequest) => self.desk.examine_enrolment(frame),
            Ok(Kind::Response | Kind::EnrolmentResponse) => Err("not a request".into()),
            Err(error) => Err(std::format!("{error}")),
        }
    }

    fn wait_for_activation(&self, examined: &ExaminedActivation) -> Answer {
        let (decided, decision) = oneshot::channel();
        match self.queue.try_send(Job::Activation(*examined, decided)) {
            Ok(()) => {
                let desk = self.desk.clone();
                Answer::later(async move {
                    let decision = decision.await.ok()?;
                    Some(desk.sign(&decision))
                })
            }
            Err(TrySendError::Full(_)) => {
                count(&self.counters.busy);
                Answer::Now(self.desk.busy_activation(examined, self.unix_time()))
            }
            Err(TrySendError::Disconnected(_)) => Answer::SILENCE,
        }
    }

    fn wait_for_enrolment(&self, examined: &ExaminedEnrolment) -> Answer {
        let (decided, decision): (Decided<Frame>, _) = oneshot::channel();
        match self.queue.try_send(Job::Enrolment(*examined, decided)) {
            Ok(()) => Answer::later(async move { decision.await.ok() }),
            Err(TrySendError::Full(_)) => {
                count(&self.counters.busy);
                Answer::Now(self.desk.busy_enrolment(examined, self.unix_time()))
            }
            Err(TrySendError::Disconnected(_)) => Answer::SILENCE,
        }
    }
}

impl<C: Clock> Service for AuthorityService<C> {
    fn answer(&self, source: SocketAddr, frame: &[u8]) -> Answer {
        match self.examine(source, frame) {
            Ok(Examined::Activation(examined)) => self.wait_for_activation(&examined),
            Ok(Examined::Enrolment(examined)) => self.wait_for_enrolment(&examined),
            Err(silence) => {
                count(&self.counters.silent);
                tracing::debug!(%source, %silence, "no answer");
                Answer::SILENCE
            }
        }
    }
}

impl<C> fmt::Debug for AuthorityService<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityService").field("desk", &self.desk).finish_non_exhaustive()
    }
}
