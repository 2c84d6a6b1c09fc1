//! What became of each machine or file, and of all together.

use headcount::daemon::proxy::{Damage, Failure, FailureKind};
use serde_json::{Value, json};

use crate::output::{Exit, Output, Problem};

/// What became of one machine or file.
#[derive(Debug)]
pub(super) struct Told {
    /// Its name.
    pub(super) name: String,
    /// A stable name of what happened, for JSON.
    pub(super) outcome: &'static str,
    /// The same for people.
    pub(super) text: String,
    /// The status code of a refusal.
    pub(super) status: Option<u16>,
    /// How the program would end if this were all.
    pub(super) exit: Exit,
}

impl Told {
    pub(super) fn new(name: &str, outcome: &'static str, exit: Exit, text: String) -> Self {
        Self { name: name.to_owned(), outcome, text, status: None, exit }
    }

    /// A machine that has no answer.
    pub(super) fn failure(name: &str, failure: &Failure) -> Self {
        let exit = match failure.kind {
            FailureKind::Refused => Exit::Refused,
            FailureKind::NobodyAnswered => Exit::NobodyAnswered,
            FailureKind::NotTrusted => Exit::NotTrusted,
        };
        let told = Self::new(name, failure.kind.name(), exit, words(failure));
        Self { status: failure.status, ..told }
    }

    pub(super) fn line(&self) -> String {
        format!("{}: {}", printable(&self.name), self.text)
    }

    fn document(&self) -> Value {
        json!({
            "name": self.name,
            "outcome": self.outcome,
            "status": self.status,
            "reason": self.text,
        })
    }
}

/// A name as a line can hold it: files and machines may be called anything.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A failure in words.
pub(super) fn words(failure: &Failure) -> String {
    match (failure.kind, failure.status) {
        (FailureKind::Refused, Some(code)) => {
            format!("refused: {} (status {code})", failure.reason)
        }
        (FailureKind::Refused, None) => format!("refused: {}", failure.reason),
        (FailureKind::NobodyAnswered, _) => format!("nobody answered: {}", failure.reason),
        (FailureKind::NotTrusted, _) => format!("not to be trusted: {}", failure.reason),
    }
}

/// What became of all.
#[derive(Debug, Default)]
pub(super) struct Report {
    told: Vec<Told>,
    /// What to do about it, a line each.
    advice: Vec<String>,
}

impl Report {
    pub(super) fn add(&mut self, told: Told) {
        self.told.push(told);
    }

    /// Notes a line of advice, once.
    pub(super) fn advise(&mut self, advice: &str) {
        if !self.advice.iter().any(|before| before == advice) {
            self.advice.push(advice.to_owned());
        }
    }

    /// Files of the store that cannot be understood.
    pub(super) fn add_damage(&mut self, damaged: &[Damage], output: Output) {
        for Damage { path, reason } in damaged {
            let text = format!("damaged: {reason}");
            let told = Told::new(&path.display().to_string(), "damaged", Exit::Damaged, text);
            output.line(told.line());
            self.add(told);
            self.advise(
                "A damaged answer is fetched again by 'proxy activate'; a damaged request is collected \
                 again once it is removed.",
            );
        }
    }

    /// What machines read: the summary, and what became of each.
    pub(super) fn document(&self, summary: Value) -> Value {
        let mut document = summary;
        document["results"] = self.told.iter().map(Told::document).collect();
        document
    }

    /// Says how it ended: the exit code is that of the worst that happened.
    pub(super) fn finish(self, output: Output, summary: Value) -> Result<Exit, Problem> {
        let document = self.document(summary);
        let failed = self.told.iter().filter(|told| told.exit != Exit::Done);
        let Some(worst) = failed.clone().map(|told| told.exit).max_by_key(|exit| severity(*exit))
        else {
            output.document(&document);
            return Ok(Exit::Done);
        };
        let cause = match failed.clone().collect::<Vec<_>>().as_slice() {
            [only] => only.line(),
            several => {
                format!(
                    "{} of {} went wrong: {}",
                    several.len(),
                    self.told.len(),
                    counted_kinds(several)
                )
            }
        };
        let mut problem = Problem::new(worst, cause);
        for line in &self.advice {
            problem = problem.advise_also(line);
        }
        Err(problem.with_details(document))
    }
}

/// How many of each kind there are: `3 refused, 1 nobody_answered` in words.
fn counted_kinds(told: &[&Told]) -> String {
    let mut kinds: Vec<(Exit, usize)> = Vec::new();
    for Told { exit, .. } in told {
        match kinds.iter_mut().find(|(kind, _)| kind == exit) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => kinds.push((*exit, 1)),
        }
    }
    kinds.sort_by_key(|(exit, _)| core::cmp::Reverse(severity(*exit)));
    let words = kinds.iter().map(|(exit, count)| format!("{count} {}", exit.brief()));
    words.collect::<Vec<_>>().join(", ")
}

/// Which of several ends is the worst: first what is wrong here, then what others say, then silence.
const fn severity(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Usage => 1,
        Exit::BelowThreshold => 2,
        Exit::NobodyAnswered => 3,
        Exit::Refused => 4,
        Exit::NotTrusted => 5,
        Exit::Damaged => 6,
        Exit::Failed => 7,
        Exit::Interrupted => 8,
    }
}
