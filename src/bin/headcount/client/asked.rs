//! How each host that was asked answered, and what that means together.

use headcount::client::{Discard, Outcome};
use headcount::daemon::ExchangeError;
use headcount::wire::Refusal;
use serde_json::{Value, json};

use super::tally::Tally;
use crate::output::{Exit, Problem};

/// A host that was asked, and how that ended.
pub(super) struct Asked {
    pub(super) host: String,
    /// Whether it is the authority, and was asked by key.
    pub(super) by_key: bool,
    pub(super) ended: Result<Outcome, ExchangeError<Discard>>,
}

impl Asked {
    /// How the program would end if this were the only host.
    pub(super) const fn exit(&self) -> Exit {
        match &self.ended {
            Ok(Outcome::Activated { .. }) => Exit::Done,
            Ok(Outcome::BelowThreshold { .. }) => Exit::BelowThreshold,
            // The host refuses for this as well (status 3); the client's own measure says more.
            Ok(Outcome::Refused(_)) | Err(ExchangeError::Discarded(Discard::ClockSkew(_))) => {
                Exit::Refused
            }
            Err(ExchangeError::Discarded(_)) => Exit::NotTrusted,
            Err(_) => Exit::NobodyAnswered,
        }
    }

    /// The status code of a refusal.
    const fn status(&self) -> Option<u16> {
        match &self.ended {
            Ok(Outcome::Refused(refusal)) => Some(refusal.code()),
            Err(ExchangeError::Discarded(Discard::ClockSkew(_))) => Some(Refusal::ClockSkew.code()),
            _ => None,
        }
    }

    /// How it ended, in words; a refusal with its status code.
    pub(super) fn reason(&self) -> String {
        let reason = match &self.ended {
            Ok(Outcome::Activated { count }) if self.by_key => {
                format!("{count} activations are left on the key")
            }
            Ok(Outcome::Activated { count }) => format!("it counts {count}"),
            Ok(Outcome::BelowThreshold { count, required }) => format!(
                "it counts {count} {}, this product needs {required}",
                if *count == 1 { "machine" } else { "machines" }
            ),
            Ok(Outcome::Refused(refusal)) => format!("it refused: {}", refusal_cause(*refusal)),
            Err(ExchangeError::Discarded(skew @ Discard::ClockSkew(_))) => self.whose(skew),
            Err(ExchangeError::Discarded(discard)) => {
                format!("its answer is not to be trusted: {}", self.whose(discard))
            }
            Err(silence) => silence.to_string(),
        };
        match self.status() {
            Some(code) => format!("{reason} (status {code})"),
            None => reason,
        }
    }

    /// The authority is no host.
    fn whose(&self, discard: &Discard) -> String {
        let text = discard.to_string();
        if self.by_key { text.replace("the host's", "the authority's") } else { text }
    }

    fn document(&self) -> Value {
        let outcome = match self.exit() {
            Exit::Done => "activated",
            other => other.name(),
        };
        json!({
            "host": self.host,
            "by": if self.by_key { "key" } else { "count" },
            "outcome": outcome,
            "status": self.status(),
            "reason": self.reason(),
        })
    }
}

/// A domain that was asked for its hosts.
pub(super) struct LookedUp {
    /// The name of the records.
    pub(super) service: String,
    /// How many hosts there are, or why nobody knows.
    pub(super) ended: Result<Tally, String>,
}

impl LookedUp {
    /// How it ended, in words.
    pub(super) fn reason(&self) -> String {
        match &self.ended {
            Ok(tally) => tally.words(),
            Err(reason) => reason.clone(),
        }
    }

    pub(super) fn document(&self) -> Value {
        json!({
            "service": self.service,
            "hosts": self.ended.as_ref().ok().map(|tally| tally.hosts),
            "allowed": self.ended.as_ref().ok().map(|tally| tally.allowed),
            "error": self.ended.as_ref().err(),
        })
    }
}

/// The hosts in JSON, in the order in which they were asked.
pub(super) fn document(asked: &[Asked]) -> Value {
    asked.iter().map(Asked::document).collect()
}

/// The host whose word counts most: one that serves the product, be the count too low; then one that
/// says why it does not; then one that nobody should believe. Of two alike, the first.
pub(super) fn most_telling(asked: &[Asked]) -> Option<&Asked> {
    asked.iter().min_by_key(|asked| match asked.exit() {
        Exit::Done => 0,
        Exit::BelowThreshold => 1,
        Exit::Refused => 2,
        Exit::NotTrusted => 3,
        _ => 4,
    })
}

/// Why the machine was not activated now: the cause, what to do, and with several hosts what each of
/// them said.
pub(super) fn problem(asked: &[Asked], looked: &[LookedUp]) -> Problem {
    let Some(telling) = most_telling(asked) else {
        return nobody_found(looked);
    };
    let who = if telling.by_key { "authority" } else { "host" };
    let (cause, advice) = match &telling.ended {
        Ok(Outcome::Refused(refusal)) => (
            telling.reason().replacen("it refused", &format!("the {who} refused"), 1),
            format!("'headcount explain {}' tells more.", refusal.name()),
        ),
        Ok(_) => (
            telling.reason().replacen("it counts", "the host counts", 1),
            "Start more machines and ask again. Do clones share an id, or several hosts the machines?"
                .into(),
        ),
        Err(ExchangeError::Discarded(Discard::ClockSkew(_))) => (
            telling.reason(),
            format!("At most 4 h are allowed. Set this machine's clock, or the {who}'s."),
        ),
        Err(ExchangeError::Discarded(discard)) => (
            format!("the answer is not to be trusted: {}", telling.whose(discard)),
            if telling.by_key {
                "Is this the authority of this product's vendor?".into()
            } else {
                "Is this a host of this product's vendor, and enrolled?".into()
            },
        ),
        Err(_) if telling.by_key => (
            silence(asked),
            "Can the vendor's authority be reached from here? It is silent to keys that it has not \
             issued. Without a network: 'headcount client request'."
                .into(),
        ),
        Err(_) => (
            silence(asked),
            "Does the host run, is it enrolled for this product, and is port 1688 open on the way? \
             A host is silent to requests with another setup key."
                .into(),
        ),
    };
    Problem::new(telling.exit(), cause).advise(format!("{advice}{}", list(asked)))
}

/// There was no host to ask.
fn nobody_found(looked: &[LookedUp]) -> Problem {
    let exit = if looked.is_empty() { Exit::Usage } else { Exit::NobodyAnswered };
    let cause = match looked {
        [] => "no host to ask: none is set that may be asked, and no domain is known to look in"
            .into(),
        [only] => format!("no host found: {} ({})", only.service, only.reason()),
        several => {
            let reasons = several.iter().map(|at| format!("\n    {}: {}", at.service, at.reason()));
            format!("no host found in {} domains{}", several.len(), reasons.collect::<String>())
        }
    };
    Problem::new(exit, cause).advise(
        "Name one with --host NAME[:PORT] or 'headcount client set-host', or let a host publish itself \
         ('headcount host dns publish'). 'headcount client discover' shows what DNS says.",
    )
}

fn silence(asked: &[Asked]) -> String {
    match asked {
        [only] => format!("nobody answered: {} ({})", only.host, only.reason()),
        // More would not be read in a line; a list of all follows.
        many if many.len() > 4 => format!("nobody answered: {} hosts were tried", many.len()),
        several => {
            let hosts: Vec<&str> = several.iter().map(|asked| asked.host.as_str()).collect();
            format!("nobody answered: {}", hosts.join(", "))
        }
    }
}

/// What each of several hosts said, a line each.
fn list(asked: &[Asked]) -> String {
    let lines: Vec<_> =
        asked.iter().map(|asked| format!("\n    {}: {}", asked.host, asked.reason())).collect();
    if lines.len() > 1 { lines.concat() } else { String::new() }
}

pub(super) const fn refusal_cause(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownProduct => "it does not serve this product",
        Refusal::NotCovered => "its certificate or the key does not cover this product",
        Refusal::ClockSkew => "the clocks are more than 4 h apart",
        Refusal::NotEnrolled => "its certificate is not valid now",
        Refusal::UnknownKey => "the key is unknown",
        Refusal::KeyExhausted => "the key is used up",
        Refusal::KeyBlocked => "the key is blocked",
        Refusal::Busy => "it is busy",
    }
}
