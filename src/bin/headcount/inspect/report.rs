//! What was found, as text for people and as JSON for machines.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};

use super::show::Shown;
use crate::output::Exit;

/// What the input is, field by field.
#[derive(Debug)]
pub(super) struct Report {
    /// A stable name for JSON.
    pub(super) what: &'static str,
    /// The same for people.
    pub(super) title: &'static str,
    pub(super) fields: Vec<Field>,
    pub(super) checks: Vec<Check>,
    /// Anything else that is worth a line.
    pub(super) notes: Vec<String>,
    pub(super) fault: Option<Fault>,
}

/// A field of the input.
#[derive(Debug)]
pub(super) struct Field {
    /// Its bytes, for fields whose place is known.
    pub(super) place: Option<Range<usize>>,
    pub(super) name: String,
    pub(super) shown: Shown,
    /// Whether it is what breaks a rule.
    pub(super) wrong: bool,
}

/// A tag, a signature or another relation that was checked, or could not be.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) result: CheckResult,
    pub(super) words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckResult {
    Good,
    Bad,
    NotChecked,
}

/// Why the input is not what it seems to be.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// The byte, counted from 0.
    pub(super) offset: Option<usize>,
    pub(super) cause: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It breaks the rules of the protocol.
    Malformed,
    /// It is a state image that cannot be used.
    Damaged,
    /// It is nothing that headcount knows.
    Unknown,
}

impl Report {
    pub(super) fn new(what: &'static str, title: &'static str) -> Self {
        let (fields, checks, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { what, title, fields, checks, notes, fault: None }
    }

    /// Something that headcount does not know.
    pub(super) fn unknown(cause: impl Into<String>) -> Self {
        let fault = Fault { kind: FaultKind::Unknown, offset: None, cause: cause.into() };
        Self { fault: Some(fault), ..Self::new("unknown", "unknown input") }
    }

    pub(super) fn field(
        &mut self,
        place: Option<Range<usize>>,
        name: impl Into<String>,
        shown: Shown,
    ) {
        self.fields.push(Field { place, name: name.into(), shown, wrong: false });
    }

    pub(super) fn check(
        &mut self,
        name: &'static str,
        result: CheckResult,
        words: impl Into<String>,
    ) {
        self.checks.push(Check { name, result, words: words.into() });
    }

    pub(super) fn exit(&self) -> Exit {
        match &self.fault {
            Some(Fault { kind: FaultKind::Damaged, .. }) => Exit::Damaged,
            Some(_) => Exit::Failed,
            None if self.checks.iter().any(|check| check.result == CheckResult::Bad) => {
                Exit::NotTrusted
            }
            None => Exit::Done,
        }
    }

    pub(super) fn text(&self, source: &Source) -> String {
        let bytes = if source.length == 1 { "byte" } else { "bytes" };
        let mut text =
            format!("{}, {} {bytes} ({})", self.title, source.length, source.encoding.words());
        let width = self.fields.iter().map(|field| field.name.chars().count()).max().unwrap_or(0);
        for Field { place, name, shown, wrong } in &self.fields {
            let offset = place.as_ref().map(|place| place.start.to_string()).unwrap_or_default();
            let mark = if *wrong { "  <- wrong" } else { "" };
            let _ = write!(text, "\n{offset:>5}  {name:<width$}  {}{mark}", shown.words);
        }
        for Check { name, result, words } in &self.checks {
            let _ = write!(text, "\n{name}: {}{words}", result.words());
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}");
        }
        if let Some(Fault { kind, offset, cause }) = &self.fault {
            let at = match offset {
                // The causes of the wire layer say it themselves.
                Some(offset) if !cause.contains(" byte ") => format!(", at byte {offset}"),
                _ => String::new(),
            };
            let _ = write!(text, "\n{}: {cause}{at}", kind.words());
        }
        text
    }

    pub(super) fn document(&self, source: &Source) -> Value {
        let fields: Vec<Value> = self
            .fields
            .iter()
            .map(|Field { place, name, shown, wrong }| {
                json!({
                    "offset": place.as_ref().map(|place| place.start),
                    "length": place.as_ref().map(ExactSizeIterator::len),
                    "name": name,
                    "value": shown.value,
                    "text": shown.words,
                    "wrong": wrong,
                })
            })
            .collect();
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|Check { name, result, words }| {
                json!({ "name": name, "result": result.name(), "text": words })
            })
            .collect();
        let fault = self.fault.as_ref().map(|Fault { kind, offset, cause }| {
            json!({ "kind": kind.name(), "offset": offset, "cause": cause })
        });
        json!({
            "what": self.what,
            "length": source.length,
            "encoding": source.encoding.name(),
            "fields": fields,
            "checks": checks,
            "notes": self.notes,
            "fault": fault,
        })
    }
}

/// The input's outer form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Bytes, decoded from hexadecimal digits if need be.
    pub(super) length: usize,
    pub(super) encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Binary,
    Hexadecimal,
    Text,
}

impl Encoding {
    const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Hexadecimal => "hexadecimal",
            Self::Text => "text",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Hexadecimal => "from hexadecimal digits",
            Self::Text => "text",
        }
    }
}

impl CheckResult {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::NotChecked => "not_checked",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Good => "good: ",
            Self::Bad => "BAD: ",
            Self::NotChecked => "not checked: ",
        }
    }
}

impl FaultKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Malformed => "Malformed",
            Self::Damaged => "Damaged",
            Self::Unknown => "Not known",
        }
    }
}
