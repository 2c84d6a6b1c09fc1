//! The host as a service: decisions under a lock, signatures outside it, state to disk.

use core::future::Future;
use core::time::Duration;
use std::net::SocketAddr;
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant as StdInstant;
use std::vec::Vec;

use super::host_state::{DaemonHost, LoadedState};
use super::server::{Answer, Service};
use crate::host::{HostCounters, PoolStatus, Silence, Source};
use crate::os::Clock;
use crate::time::Now;
use crate::trust::{self, SigningKey};
use crate::wire::{Certificate, ResponseBody, Verdict};

/// A host that answers a server's frames.
#[derive(Debug)]
pub struct HostService<C> {
    host: Mutex<DaemonHost>,
    signer: SigningKey,
    clock: C,
    /// The counters that were restored.
    at_start: HostCounters,
}

/// How often a host's state is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveIntervals {
    /// While requests are answered.
    pub answers: Duration,
    /// While all that changes is how many frames were not answered. Anybody can send such, and must
    /// not keep the disk busy with them.
    pub silence: Duration,
}

impl SaveIntervals {
    /// As often as this while requests are answered, and once a minute otherwise.
    #[must_use]
    pub const fn every(answers: Duration) -> Self {
        Self { answers, silence: Duration::from_secs(60) }
    }
}

impl<C: Clock> HostService<C> {
    /// A host with the key that its certificate names.
    #[must_use]
    pub fn new(host: DaemonHost, signer: SigningKey, clock: C) -> Self {
        let at_start = *host.counters();
        Self { host: Mutex::new(host), signer, clock, at_start }
    }

    /// Every pool's count and counters.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolStatus> {
        let now = self.clock.now();
        self.lock().pools(now).collect()
    }

    /// What became of all frames.
    #[must_use]
    pub fn counters(&self) -> HostCounters {
        *self.lock().counters()
    }

    /// The certificate that answers carry.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        self.lock().certificate().copied()
    }

    /// Replaces it. Who is being answered now may still get the one before.
    pub fn set_certificate(&self, certificate: Certificate) {
        self.lock().set_certificate(Some(certificate));
    }

    /// Saves the state at these intervals, until `stop` completes, and then once more; when nothing
    /// has happened, it is not written. A save that fails is reported and tried again.
    ///
    /// The last save has everything that was answered before `stop` completed, so stop the server
    /// first, and wait for that.
    ///
    /// # Errors
    ///
    /// The last save failed, or one ended by a panic.
    pub async fn keep_saved(
        self: Arc<Self>,
        mut state: LoadedState,
        intervals: SaveIntervals,
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let mut stop = core::pin::pin!(stop);
        let mut saved = self.at_start;
        let mut saved_at = StdInstant::now();
        loop {
            let stopping = tokio::select! {
                () = &mut stop => true,
                () = tokio::time::sleep(intervals.answers) => false,
            };
            let counters = self.counters();
            let silence_is_due = stopping || saved_at.elapsed() >= intervals.silence;
            let mut result = Ok(());
            if answered(&counters) != answered(&saved) || (silence_is_due && counters != saved) {
                let snapshot = self.snapshot();
                // The disk may be slow; the runtime's threads are for sockets.
                let task = move || {
                    let result = state.save(&snapshot);
                    (state, result)
                };
                let joined = tokio::task::spawn_blocking(task).await;
                (state, result) =
                    joined.map_err(|error| std::format!("saving the state failed: {error}"))?;
                match &result {
                    Ok(()) => (saved, saved_at) = (counters, StdInstant::now()),
                    Err(error) => tracing::error!(%error, "cannot save the state, will try again"),
                }
            }
            if stopping {
                return result;
            }
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let now = self.clock.now();
        let mut host = self.lock();
        let mut buffer = std::vec![0; 64 << 10];
        loop {
            match host.snapshot(now, &mut buffer) {
                Ok(length) => {
                    buffer.truncate(length);
                    return buffer;
                }
                Err(too_long) => buffer.resize(too_long.needed, 0),
            }
        }
    }

    /// Each lock ends with its statement: hashes and signatures, nearly all of the work, are made
    /// outside, and threads seldom wait for each other.
    fn decide(&self, now: Now, source: SocketAddr, frame: &[u8]) -> Result<ResponseBody, Silence> {
        let admitted = self.lock().admit(now, Source::from(source.ip()), frame)?;
        let examined = admitted.examine();
        self.lock().conclude(examined)
    }

    /// Nothing in the host panics, so a poisoned lock means no more than a bug elsewhere.
    fn lock(&self) -> MutexGuard<'_, DaemonHost> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counters of frames that were answered, and so came from a machine with the product.
const fn answered(HostCounters { granted, refused, .. }: &HostCounters) -> (u32, &[u32]) {
    (*granted, refused)
}

impl<C: Clock> Service for HostService<C> {
    fn answer(&self, source: SocketAddr, frame: &[u8]) -> Answer {
        let now = self.clock.now();
        let body = match self.decide(now, source, frame) {
            Ok(body) => body,
            Err(silence) => {
                tracing::debug!(%source, %silence, "no answer");
                return Answer::SILENCE;
            }
        };
        match &body.verdict {
            Verdict::Granted { count, .. } => {
                tracing::debug!(%source, count, duplicate = body.duplicate, "counted");
            }
            Verdict::Refused(refusal) => {
                tracing::debug!(%source, refusal = refusal.name(), "refused");
            }
        }
        match trust::sign_response(&body, &self.signer) {
            Ok(frame) => Answer::Now(Some(frame)),
            Err(never) => match never {},
        }
    }
}
