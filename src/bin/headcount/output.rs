//! What the program prints and how it ends.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use headcount::daemon::files::FileError;
use serde_json::{Value, json};

/// How the program ended. The numbers are documented and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, or activated.
    Done = 0,
    /// A file, a socket or the system failed.
    Failed = 1,
    /// Wrong arguments or configuration.
    Usage = 2,
    /// The count is below the threshold.
    BelowThreshold = 3,
    /// The host or the authority refused.
    Refused = 4,
    /// Nobody answered.
    NobodyAnswered = 5,
    /// The answer is not to be trusted.
    NotTrusted = 6,
    /// Local state is damaged.
    Damaged = 7,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// A stable name for JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::BelowThreshold => "below_threshold",
            Self::Refused => "refused",
            Self::NobodyAnswered => "nobody_answered",
            Self::NotTrusted => "not_trusted",
            Self::Damaged => "damaged_state",
            Self::Interrupted => "interrupted",
        }
    }

    /// What it means, in a word or two.
    pub(crate) const fn brief(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage or configuration",
            Self::BelowThreshold => "too few machines",
            Self::Refused => "refused",
            Self::NobodyAnswered => "nobody answered",
            Self::NotTrusted => "not to be trusted",
            Self::Damaged => "local state damaged",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why a verb could not do what it should: the cause first, then what to do.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    exit: Exit,
    cause: String,
    advice: Option<String>,
    details: Value,
}

impl Problem {
    pub(crate) fn new(exit: Exit, cause: impl Display) -> Self {
        Self { exit, cause: cause.to_string(), advice: None, details: json!({}) }
    }

    /// Adds what the reader can do.
    pub(crate) fn advise(self, advice: impl Display) -> Self {
        Self { advice: Some(advice.to_string()), ..self }
    }

    /// How the program ends for it.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// The cause.
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }

    /// Adds a line to what the reader can do or should know.
    pub(crate) fn advise_also(self, more: impl Display) -> Self {
        let advice = match &self.advice {
            Some(advice) => format!("{advice}\n  {more}"),
            None => more.to_string(),
        };
        Self { advice: Some(advice), ..self }
    }

    /// Adds fields, a JSON object, to the one document that machines read.
    pub(crate) fn with_details(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        // What cannot be understood is for its writer to mend, what cannot be read is the system's.
        let exit = match error.action {
            "cannot understand" | "cannot use" => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

/// Where results go: text for people, or one JSON document for machines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON is wanted.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A line for people: progress or result. Nothing in JSON mode.
    pub(crate) fn line(self, text: impl Display) {
        if !self.json {
            print(text);
        }
    }

    /// The JSON document. Nothing in text mode.
    pub(crate) fn document(self, value: &Value) {
        if self.json {
            print(value);
        }
    }

    /// Reports a problem, if there is one, and turns the result into the exit code.
    pub(crate) fn finish(self, result: Result<Exit, Problem>) -> ExitCode {
        let exit = match result {
            Ok(exit) => exit,
            Err(Problem { exit, cause, advice, mut details }) => {
                if self.json {
                    details["error"] = json!({
                        "exit": exit as u8, "name": exit.name(), "cause": cause, "advice": advice,
                    });
                    print(details);
                } else {
                    let advice = advice.map(|advice| format!("\n  {advice}")).unwrap_or_default();
                    let _ = writeln!(io::stderr(), "headcount: {cause}{advice}");
                }
                exit
            }
        };
        ExitCode::from(told(exit) as u8)
    }
}

/// The exit code, given that the output may not have been told: what nobody reads is not done.
fn told(exit: Exit) -> Exit {
    match UNPRINTED.get() {
        Some(reason) if exit == Exit::Done => {
            let _ = writeln!(io::stderr(), "headcount: cannot write the output: {reason}");
            Exit::Failed
        }
        _ => exit,
    }
}

/// Why something could not be printed; the first reason stands.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints a line. A reader that has gone away, as `head` does, is no error; a full disk is one, which
/// the program ends with.
fn print(text: impl Display) {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            UNPRINTED.get_or_init(|| error.to_string());
        }
        _ => {}
    }
}
