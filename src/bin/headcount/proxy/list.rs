//! `headcount proxy list`: which machine is activated how, until when, and with which error.

use std::path::PathBuf;

use clap::Args;
use headcount::daemon::date;
use headcount::daemon::proxy::{Entry, Grant, Judge};
use headcount::wire::{Request, Validity};
use serde_json::{Value, json};

use super::report::{Report, printable, words};
use super::{StoreArgument, judge};
use crate::output::{Exit, Output, Problem};

/// Show the machines of the store: which is activated how, until when, and with which error.
///
/// A machine is called by the name of its file. The name that its user sees is in a request only where
/// it was asked for, and is shown with --names.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount proxy list --store lab
  headcount proxy list --store lab --csv --names > machines.csv")]
pub(super) struct Arguments {
    /// Print comma-separated values.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Show the machines' own names, where their requests hold them.
    #[arg(long)]
    names: bool,
    /// A product file, to show its name; may be repeated.
    #[arg(long = "product", value_name = "FILE")]
    products: Vec<PathBuf>,
    #[command(flatten)]
    store: StoreArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let judge = judge(&arguments.products)?;
    let contents = arguments.store.look()?;
    let machines: Vec<_> =
        contents.machines.iter().filter_map(|entry| Machine::of(entry, &judge)).collect();
    let rows: Vec<_> = machines.iter().map(|machine| machine.row(arguments.names)).collect();
    let mut heads = vec!["machine", "id", "product", "key", "activated", "until", "error"];
    if arguments.names {
        heads.push("name");
    }
    if arguments.csv {
        output.line(csv(&heads));
        for row in &rows {
            output.line(csv(row));
        }
    } else {
        table(&heads, &rows, output);
        let activated = contents.machines.iter().filter(|entry| entry.pair.is_some()).count();
        output.line(format_args!("{activated} of {} machines have their answers.", rows.len()));
    }
    let mut report = Report::default();
    // In a table for programs, a line that is none would be taken for one.
    report.add_damage(&contents.damaged, if arguments.csv { Output::new(true) } else { output });
    let document: Vec<_> = machines.iter().map(|it| it.document(arguments.names)).collect();
    report.finish(output, json!({ "machines": document }))
}

/// A machine as it is shown.
struct Machine<'a> {
    entry: &'a Entry,
    request: Request<'a>,
    grant: Option<Grant>,
    product: String,
}

impl<'a> Machine<'a> {
    fn of(entry: &'a Entry, judge: &Judge) -> Option<Self> {
        let request = entry.request()?;
        let product = match judge.product_name(&request) {
            Some(name) => name.to_owned(),
            None => request.activation_id.to_string(),
        };
        let grant = entry.pair.as_ref().and_then(headcount::daemon::proxy::Pair::grant);
        Some(Self { entry, request, grant, product })
    }

    /// The end of its id: enough to tell machines apart.
    fn id(&self) -> String {
        let [.., a, b] = self.request.cmid.as_bytes();
        format!("..{a:02x}{b:02x}")
    }

    fn how(&self) -> &'static str {
        match (self.grant, &self.entry.failure) {
            (Some(_), _) if self.entry.is_activated_again() => "earlier answer",
            (Some(_), _) => "by key",
            (None, Some(_)) => "no",
            (None, None) => "not asked",
        }
    }

    fn until(&self) -> Option<String> {
        self.grant.map(|grant| match grant.validity {
            Validity::Perpetual => "for ever".to_owned(),
            Validity::For(minutes) => date(grant.at.after(minutes.as_duration())),
        })
    }

    fn error(&self) -> Option<String> {
        self.entry.failure.as_ref().map(words)
    }

    fn row(&self, names: bool) -> Vec<String> {
        let mut row = vec![
            self.entry.stem.clone(),
            self.id(),
            self.product.clone(),
            self.request.key_id.0.to_string(),
            self.how().to_owned(),
            self.until().unwrap_or_default(),
            self.error().unwrap_or_default(),
        ];
        if names {
            row.push(printable(self.request.workstation_name.as_str()));
        }
        row
    }

    fn document(&self, names: bool) -> Value {
        let failure = self.entry.failure.as_ref();
        let mut document = json!({
            "machine": self.entry.stem,
            "id": self.id(),
            "application_id": self.request.application_id.to_string(),
            "activation_id": self.request.activation_id.to_string(),
            "key_id": self.request.key_id.0,
            "activated": self.grant.is_some(),
            "how": self.how(),
            "until": self.until(),
            "activated_at": self.grant.map(|grant| date(grant.at)),
            "left_on_key": self.grant.map(|grant| grant.left),
            "error": self.error(),
            "outcome": failure.map(|failure| failure.kind.name()),
            "status": failure.and_then(|failure| failure.status),
            "runs": failure.map(|failure| failure.runs),
        });
        if names {
            document["name"] = json!(self.request.workstation_name.as_str());
        }
        document
    }
}

/// A line of comma-separated values (RFC 4180). What a spreadsheet would take for a formula is made
/// text: names come from machines.
fn csv(fields: &[impl AsRef<str>]) -> String {
    let field = |text: &str| {
        let text =
            if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.into() };
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    };
    fields.iter().map(|text| field(text.as_ref())).collect::<Vec<_>>().join(",")
}

fn table(heads: &[&str], rows: &[Vec<String>], output: Output) {
    let heads: Vec<_> = heads.iter().map(|head| head.to_uppercase()).collect();
    let all = || core::iter::once(&heads).chain(rows);
    let widths: Vec<_> = (0..heads.len())
        .map(|column| {
            let cells = all().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        output.line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_field_and_no_formula() {
        assert_eq!(csv(&["a", "b,c", "say \"x\"", ""]), "a,\"b,c\",\"say \"\"x\"\"\",");
        assert_eq!(csv(&["=1+1", "-x", "two\nlines"]), "'=1+1,'-x,\"two\nlines\"");
    }
}
