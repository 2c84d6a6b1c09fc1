//! `headcount proxy deliver`: answers out to the machines.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use headcount::daemon::proxy::{self, Delivered, Entry};
use serde_json::json;

use super::report::{Report, Told};
use super::{StoreArgument, counted};
use crate::output::{Exit, Output, Problem};

/// Write each machine's answer into a folder, as NAME.answer.
///
/// An answer is 500 bytes: the machine's request and what the authority said to it. The machine takes it
/// with 'headcount client apply NAME.answer', now and whenever its disk was written anew. It is of use
/// to no other machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount proxy deliver --store lab --to /media/usb/answers
  headcount proxy deliver --store lab --to . ward-3

Exit codes: 0 every answer that there is is written, 2 usage or configuration, 4 a machine that was
named has no answer, 7 a file of the store is damaged.")]
pub(super) struct Arguments {
    /// Only these machines; all that have an answer when none is named.
    machines: Vec<String>,
    /// The folder to write into.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    store: StoreArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { machines, to, store } = arguments;
    let contents = store.look()?;
    let wanted = wanted(machines, &contents.machines)?;
    fs::create_dir_all(to).map_err(|error| {
        Problem::new(Exit::Failed, format!("cannot create folder {}: {error}", to.display()))
    })?;
    store.keep_apart(to)?;
    let mut report = Report::default();
    report.add_damage(&contents.damaged, output);
    let (mut written, mut known, mut without): (usize, usize, usize) = (0, 0, 0);
    for entry in wanted {
        let (count, outcome, text) = match proxy::deliver(entry, to)? {
            Delivered::Written(path) => {
                (&mut written, "written", format!("wrote {}", path.display()))
            }
            Delivered::Known(path) => {
                (&mut known, "known", format!("{} is as it should be", path.display()))
            }
            Delivered::NoAnswer => (&mut without, "no_answer", "has no answer yet".to_owned()),
        };
        *count = count.saturating_add(1);
        let is_missed = outcome == "no_answer" && !machines.is_empty();
        let exit = if is_missed { Exit::Refused } else { Exit::Done };
        let told = Told::new(&entry.stem, outcome, exit, text);
        output.line(told.line());
        report.add(told);
    }
    output.line(format_args!(
        "{} written, {known} there already, {without} without an answer yet.",
        counted(written, "answer", "answers")
    ));
    report.finish(output, json!({ "written": written, "known": known, "no_answer": without }))
}

/// The machines that were named, or all.
fn wanted<'e>(names: &[String], machines: &'e [Entry]) -> Result<Vec<&'e Entry>, Problem> {
    if names.is_empty() {
        return Ok(machines.iter().collect());
    }
    let find = |name: &String| {
        machines.iter().find(|entry| entry.stem == *name).ok_or_else(|| {
            Problem::new(Exit::Usage, format!("no machine in the store is called {name}"))
                .advise("'headcount proxy list' shows the names.")
        })
    };
    names.iter().map(find).collect()
}
