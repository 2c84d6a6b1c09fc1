//! The one writer: decides all that waits in one transaction, and hands out what was decided when
//! it is durable.

use core::sync::atomic::AtomicU64;
use std::string::{String, ToString};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::vec::Vec;

use tokio::sync::oneshot;

use super::counters::{AuthorityCounters, count};
use super::desk::Desk;
use crate::authority::{
    ActivationError, ActivationOutcome, Decision, EnrolmentAnswer, EnrolmentError,
    EnrolmentOutcome, ExaminedActivation, ExaminedEnrolment,
};
use crate::daemon::authority_store::{Database, Records};
use crate::os::Clock;
use crate::time::UnixTime;
use crate::wire::Frame;

/// Requests decided in one transaction. More make an answer wait for others' look-ups rather than
/// for the disk.
const LARGEST_BATCH: usize = 1_024;

/// Transactions that fail one after the other before the writer gives up. A database whose disk has
/// failed may have to be opened anew.
const PATIENCE: u32 = 3;

/// Where the answer, or what becomes one, is waited for.
pub(super) type Decided<T> = oneshot::Sender<T>;

/// A request that waits to be decided.
pub(super) enum Job {
    Activation(ExaminedActivation, Decided<Decision>),
    Enrolment(ExaminedEnrolment, Decided<Frame>),
}

/// What was decided, to be handed out when it is durable. `None` where nothing can be said.
enum Outcome {
    Activation(Option<Decision>),
    Enrolment(Option<EnrolmentAnswer>),
}

/// The transaction is of no use any more.
struct Broken;

pub(super) struct Writer<D, C> {
    pub(super) jobs: Receiver<Job>,
    pub(super) desk: Arc<Desk>,
    pub(super) database: Arc<D>,
    pub(super) counters: Arc<AuthorityCounters>,
    pub(super) clock: C,
}

impl<D: Database, C: Clock> Writer<D, C> {
    /// Writes until nobody can ask any more. The error is the database's, after it has failed
    /// several times in a row.
    pub(super) fn run(self) -> Result<(), String> {
        let mut failures: u32 = 0;
        while let Ok(first) = self.jobs.recv() {
            let mut batch = Vec::from([first]);
            batch.extend(self.jobs.try_iter().take(LARGEST_BATCH - 1));
            self.drop_what_the_root_cannot_sign(&mut batch);
            match self.commit(batch) {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures >= PATIENCE {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// A root key that does not answer must not be found out with the transaction open: activations
    /// do without it.
    fn drop_what_the_root_cannot_sign(&self, batch: &mut Vec<Job>) {
        let enrols = |job: &Job| matches!(job, Job::Enrolment(..));
        if !batch.iter().any(enrols) {
            return;
        }
        if let Err(error) = self.desk.root().signer.check() {
            tracing::error!(%error, "the root key cannot sign: enrolments are not answered");
            batch.retain(|job| {
                if enrols(job) {
                    count(&self.counters.failed);
                }
                !enrols(job)
            });
        }
    }

    /// Decides a batch and hands it out. One that fails is tried again request by request, so that
    /// a damaged row is the trouble of its own machine alone.
    fn commit(&self, batch: Vec<Job>) -> Result<(), String> {
        match self.decide(&batch) {
            Ok(outcomes) => {
                batch.into_iter().zip(outcomes).for_each(|(job, outcome)| self.give(job, outcome));
                return Ok(());
            }
            Err(error) if batch.len() == 1 => return self.fail(error),
            Err(error) => tracing::warn!(error, "a transaction failed: trying requests one by one"),
        }
        // Well if any of them is.
        let mut result = Err("no transaction was tried".to_string());
        for job in batch {
            match self.decide(core::slice::from_ref(&job)) {
                Ok(outcomes) => {
                    if let Some(outcome) = outcomes.into_iter().next() {
                        self.give(job, outcome);
                    }
                    result = Ok(());
                }
                Err(error) => {
                    let failed = self.fail(error);
                    result = result.or(failed);
                }
            }
        }
        result
    }

    fn fail(&self, error: String) -> Result<(), String> {
        count(&self.counters.failed);
        tracing::error!(error, "a request is not answered: the database failed");
        Err(error)
    }

    /// One transaction. What it decided is durable when this returns.
    fn decide(&self, batch: &[Job]) -> Result<Vec<Outcome>, String> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now().clock.unwrap_or_default();
        let decided = self.database.write(|records| {
            let decide = |job: &Job| self.decide_one(job, now, records);
            batch.iter().map(decide).collect::<Result<Vec<_>, Broken>>()
        });
        match decided {
            Ok(Ok(outcomes)) => {
                count(&self.counters.commits);
                Ok(outcomes)
            }
            Ok(Err(Broken)) => Err("a record could not be read".to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn decide_one(
        &self,
        job: &Job,
        now: UnixTime,
        mut records: &mut dyn Records<Error = D::Error>,
    ) -> Result<Outcome, Broken> {
        match job {
            Job::Activation(examined, _) => {
                match self.desk.decide_activation(examined, now, &mut records) {
                    Ok(decision) => Ok(Outcome::Activation(Some(decision))),
                    Err(ActivationError::Ledger(_)) => Err(Broken),
                    Err(error) => {
                        tracing::error!(%error, "an activation is not answered");
                        Ok(Outcome::Activation(None))
                    }
                }
            }
            Job::Enrolment(examined, _) => {
                let serial = records.next_serial().map_err(|_| Broken)?;
                match self.desk.conclude_enrolment(examined, now, serial, &mut records) {
                    Ok(answer) => Ok(Outcome::Enrolment(Some(answer))),
                    Err(EnrolmentError::Ledger(_)) => Err(Broken),
                    Err(error) => {
                        tracing::error!(%error, "an enrolment is not answered");
                        Ok(Outcome::Enrolment(None))
                    }
                }
            }
        }
    }

    /// Counts what is durable and hands it to who waits, if anybody still does.
    fn give(&self, job: Job, outcome: Outcome) {
        let counters = &*self.counters;
        let counter: &AtomicU64 = match (&job, &outcome) {
            (Job::Activation(examined, _), Outcome::Activation(Some(decision))) => {
                let key_id = examined.request().key_id.0;
                tracing::debug!(key_id, outcome = ?decision.outcome(), "activation by key");
                match decision.outcome() {
                    ActivationOutcome::Granted { counted: true, .. } => &counters.counted,
                    ActivationOutcome::Granted { counted: false, .. } => &counters.again,
                    ActivationOutcome::Repeated => &counters.repeated,
                    ActivationOutcome::Refused(_) => &counters.refused,
                }
            }
            (Job::Enrolment(examined, _), Outcome::Enrolment(Some(answer))) => {
                let key_id = examined.request().map(|request| request.key_id.0).unwrap_or_default();
                tracing::info!(key_id, outcome = ?answer.outcome, "enrolment");
                match answer.outcome {
                    EnrolmentOutcome::Granted { .. } => &counters.enrolled,
                    EnrolmentOutcome::Repeated => &counters.repeated,
                    EnrolmentOutcome::Refused(_) => &counters.refused,
                }
            }
            _ => &counters.failed,
        };
        count(counter);
        match (job, outcome) {
            (Job::Activation(_, decided), Outcome::Activation(Some(decision))) => {
                let _ = decided.send(decision);
            }
            (Job::Enrolment(_, decided), Outcome::Enrolment(Some(answer))) => {
                let _ = decided.send(answer.frame);
            }
            _ => {}
        }
    }
}
