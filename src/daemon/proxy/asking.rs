//! Asking the authority for many machines, several at once.

use core::ops::ControlFlow;
use core::time::Duration;
use std::net::SocketAddr;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use tokio::task::JoinSet;

use super::failure::{Failure, FailureKind, refusal_reason};
use super::judge::{Judge, Verdict};
use super::pair::Pair;
use super::store::Entry;
use crate::daemon::{ExchangeError, Transport, exchange};
use crate::time::UnixTime;
use crate::trust::Untrusted;
use crate::wire::{Frame, Refusal};

/// The wait before the second try. It doubles for each one after that.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How the authority is asked.
#[derive(Clone, Debug)]
pub struct Asking {
    /// How frames travel.
    pub transport: Transport,
    /// Its addresses, at least one. The tries take turns among them.
    pub addresses: Vec<SocketAddr>,
    /// How many machines are asked for at once.
    pub parallel: usize,
    /// How often each is asked for, with the same frame, while there is no answer or the authority is
    /// busy.
    pub tries: u32,
}

/// How the exchange for one machine ended.
#[derive(Debug)]
pub enum Ended {
    /// With an answer that can be kept.
    Answered(Verdict),
    /// With one that cannot.
    NotTrusted(Untrusted),
    /// With none; the last reason.
    Silent(String),
}

impl Asking {
    /// Asks for each machine, and tells `each` as its answer comes: which entry, and what came. That
    /// may end the asking; what is under way then is given up, which does no harm: the same frame gets
    /// the same answer later.
    pub async fn ask_all<E>(
        &self,
        entries: &[&Entry],
        judge: &Arc<Judge>,
        mut each: impl FnMut(usize, Ended) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut waiting = entries.iter().enumerate();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < self.parallel.max(1) {
                let Some((index, entry)) = waiting.next() else { break };
                let (asking, judge, frame) = (self.clone(), Arc::clone(judge), entry.request);
                under_way.spawn(async move { (index, asking.ask(&frame, &judge).await) });
            }
            let Some(done) = under_way.join_next().await else { return Ok(()) };
            // A task that panicked has said so; its machine stays as it was.
            let Ok((index, ended)) = done else { continue };
            if each(index, ended)?.is_break() {
                return Ok(());
            }
        }
    }

    async fn ask(&self, frame: &Frame, judge: &Judge) -> Ended {
        let mut ended = Ended::Silent("nobody to ask".into());
        let mut wait = FIRST_WAIT;
        for (number, address) in (1..=self.tries.max(1)).zip(self.addresses.iter().cycle()) {
            if number > 1 {
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            }
            let judged = |answer: &[u8]| judge.judge(frame, answer);
            ended = match exchange(self.transport, *address, frame, judged).await {
                Ok(verdict) => Ended::Answered(verdict),
                Err(ExchangeError::Discarded(untrusted)) => Ended::NotTrusted(untrusted),
                Err(silence) => Ended::Silent(silence.to_string()),
            };
            let is_busy = matches!(ended, Ended::Answered(Verdict::Refused(Refusal::Busy)));
            if !is_busy && !matches!(ended, Ended::Silent(_)) {
                break;
            }
        }
        ended
    }
}

impl Ended {
    /// What the store is to keep of it for a machine.
    pub fn outcome(&self, entry: &Entry, at: UnixTime) -> Result<Pair, Failure> {
        let (kind, why) = match self {
            Self::Answered(Verdict::Granted(pair)) => return Ok(**pair),
            Self::Answered(Verdict::Refused(refusal)) => {
                (FailureKind::Refused, refusal_reason(*refusal))
            }
            Self::NotTrusted(untrusted) => (FailureKind::NotTrusted, (None, untrusted.to_string())),
            Self::Silent(reason) => (FailureKind::NobodyAnswered, (None, reason.clone())),
        };
        Err(Failure::new(kind, why, &entry.request, at, entry.failure.as_ref()))
    }
}
