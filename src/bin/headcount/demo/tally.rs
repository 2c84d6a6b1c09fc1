//! What the demo's machines tell, counted.

use std::time::Duration;

use headcount::client::{Discard, Outcome};
use headcount::daemon::ExchangeError;
use serde_json::json;

use super::{Answer, Arguments, EVERY_LINE};
use crate::output::{Exit, Output, Problem};

/// What has come of it so far.
#[derive(Default)]
pub(super) struct Tally {
    exchanges: u64,
    activated: u32,
    failures: u64,
    refusals: u64,
    /// Why the last exchange that was refused or failed did, and how the program ends for that.
    trouble: Option<(Exit, String)>,
}

impl Tally {
    pub(super) fn take(&mut self, answer: &Answer) {
        match &answer.result {
            Ok(outcome) => {
                self.exchanges += 1;
                if let Outcome::Refused(refusal) = outcome {
                    self.refusals += 1;
                    let (name, code) = (refusal.name(), refusal.code());
                    let cause = format!("the host refused: {name} (status {code})");
                    self.trouble = Some((Exit::Refused, cause));
                }
            }
            Err(failure) => {
                self.failures += 1;
                self.trouble = Some((exit(failure), failure.to_string()));
            }
        }
        if answer.activated {
            self.activated += 1;
        }
    }

    pub(super) fn tell(&self, answer: &Answer, arguments: &Arguments, output: Output) {
        let Answer { machine, result, .. } = answer;
        let every = arguments.clients.div_ceil(EVERY_LINE);
        let news = self.activated + u32::try_from(self.exchanges).unwrap_or(u32::MAX);
        if result.is_ok() && !news.is_multiple_of(every) {
            return;
        }
        let wide = arguments.clients.to_string().len();
        match result {
            Ok(Outcome::Activated { count }) => output.line(format_args!(
                "  machine {machine:>wide$}  count {count:>wide$}  activated ({} of {})",
                self.activated, arguments.clients
            )),
            Ok(Outcome::BelowThreshold { count, required }) => output.line(format_args!(
                "  machine {machine:>wide$}  count {count:>wide$}  needs {required}, asks again in 2 h"
            )),
            Ok(Outcome::Refused(refusal)) => {
                output.line(format_args!("  machine {machine:>wide$}  refused: {}", refusal.name()));
            }
            Err(failure) => output.line(format_args!("  machine {machine:>wide$}  {failure}")),
        }
    }

    pub(super) fn summary(
        &self,
        arguments: &Arguments,
        count: u32,
        elapsed: Duration,
        interrupted: bool,
        output: Output,
    ) -> Result<Exit, Problem> {
        let Arguments { clients, threshold, transport } = *arguments;
        let document = json!({
            "clients": clients,
            "activated": self.activated,
            "count": count,
            "threshold": threshold,
            "transport": transport,
            "exchanges": self.exchanges,
            "refusals": self.refusals,
            "failures": self.failures,
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        let limit = threshold.saturating_mul(2);
        let at_limit =
            if count == limit { ", as many as it keeps: twice the threshold" } else { "" };
        output.line(format_args!(
            "{} of {clients} machines activated. The host counts {count}{at_limit}. {} exchanges of \
             250 bytes each way in {:.1} s.",
            self.activated,
            self.exchanges,
            elapsed.as_secs_f64()
        ));
        if !interrupted && self.activated < clients {
            return Err(self.not_all(threshold, count).with_details(document));
        }
        output.document(&document);
        Ok(if interrupted { Exit::Interrupted } else { Exit::Done })
    }

    /// Why not all machines are activated: for want of machines, unless something else went wrong.
    fn not_all(&self, threshold: u32, count: u32) -> Problem {
        match &self.trouble {
            Some((exit, reason)) if count >= threshold || self.exchanges == 0 => {
                Problem::new(*exit, reason).advise(format_args!(
                    "That was the last of {} failures and {} refusals.",
                    self.failures, self.refusals
                ))
            }
            _ => Problem::new(
                Exit::BelowThreshold,
                format_args!("the host counts {count} machines, the product needs {threshold}"),
            )
            .advise("Try more --clients."),
        }
    }
}

/// How the program ends when exchanges fail like this.
const fn exit(failure: &ExchangeError<Discard>) -> Exit {
    match failure {
        ExchangeError::Discarded(Discard::ClockSkew(_)) => Exit::Refused,
        ExchangeError::Discarded(_) => Exit::NotTrusted,
        _ => Exit::NobodyAnswered,
    }
}

#[cfg(test)]
mod tests {
    use headcount::daemon::Transport;
    use headcount::wire::Refusal;

    use super::*;

    fn told(results: Vec<Result<Outcome, ExchangeError<Discard>>>, count: u32) -> (Exit, String) {
        let mut tally = Tally::default();
        for result in results {
            tally.take(&Answer { machine: 1, result, activated: false });
        }
        let arguments = Arguments { clients: 3, threshold: 2, transport: Transport::Tcp };
        let quiet = Output::new(true);
        let summary = tally.summary(&arguments, count, Duration::ZERO, false, quiet);
        let problem = summary.expect_err("nobody is activated");
        (problem.exit(), problem.cause().to_owned())
    }

    #[test]
    fn what_went_wrong_is_told_and_not_that_machines_are_missing() {
        let below = || Ok(Outcome::BelowThreshold { count: 1, required: 2 });
        let refused = || Ok(Outcome::Refused(Refusal::ClockSkew));
        let lost = || Err(ExchangeError::TimedOut);
        let (exit, cause) = told(vec![below(), refused()], 2);
        assert_eq!((exit, &*cause), (Exit::Refused, "the host refused: clock_skew (status 3)"));
        let (exit, cause) = told(vec![below(), lost()], 2);
        assert_eq!((exit, &*cause), (Exit::NobodyAnswered, "no answer in time"));
        assert_eq!(told(vec![lost()], 0).0, Exit::NobodyAnswered);
        let (exit, cause) = told(vec![below(), lost()], 1);
        assert_eq!(exit, Exit::BelowThreshold);
        assert!(cause.contains("counts 1 machines, the product needs 2"), "{cause}");
    }
}
