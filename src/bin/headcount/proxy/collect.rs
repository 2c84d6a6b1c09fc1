//! `headcount proxy collect`: requests into the store.

use std::path::PathBuf;

use clap::Args;
use headcount::daemon::proxy::{Collected, Collection, files_in, read_list};
use serde_json::json;

use super::report::{Report, Told};
use super::{StoreArgument, counted};
use crate::output::{Exit, Output, Problem};

/// Collect machines' requests in the store.
///
/// A request is a file of 250 bytes, or of their hexadecimal digits, that 'headcount client request'
/// wrote. A machine is called by its file's name. What is no request is said by name, and the rest goes
/// on. The files stay where they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount proxy collect ward-3.bin ward-4.bin --store lab
  headcount proxy collect /media/usb/requests --store lab
  headcount proxy collect --list machines.txt --store lab

Exit codes: 0 all are in the store, 1 a file is no request or cannot be read (the others are in the
store), 2 usage or configuration, 7 a file of the store is damaged.")]
pub(super) struct Arguments {
    /// Files, and folders of files.
    #[arg(value_name = "FILE", required_unless_present = "list")]
    sources: Vec<PathBuf>,
    /// A file that lists files and folders, one in each line, relative to its own folder.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let mut sources = arguments.sources.clone();
    if let Some(list) = &arguments.list {
        sources.extend(read_list(list)?);
    }
    for source in &sources {
        arguments.store.keep_apart(source)?;
    }
    let store = arguments.store.create()?;
    let contents = store.contents()?;
    let mut report = Report::default();
    report.add_damage(&contents.damaged, output);
    let mut collection = Collection::new(&store, &contents);
    let mut new: usize = 0;
    for source in &sources {
        let files = match files_in(source) {
            Ok(files) => files,
            Err(error) => {
                let name = source.display().to_string();
                report.add(told(&name, &Collected::Rejected(error.reason), output));
                continue;
            }
        };
        for file in files {
            let collected = collection.take(&file)?;
            if matches!(collected, Collected::New(_)) {
                new = new.saturating_add(1);
            }
            report.add(told(&file.display().to_string(), &collected, output));
        }
    }
    let machines = store.contents()?.machines;
    let waiting = machines.iter().filter(|entry| entry.pair.is_none()).count();
    output.line(format_args!(
        "{new} new; the store has {}, {waiting} without an answer.",
        counted(machines.len(), "machine", "machines")
    ));
    let summary = json!({ "new": new, "machines": machines.len(), "waiting": waiting });
    report.finish(output, summary)
}

/// Tells of a file.
fn told(name: &str, collected: &Collected, output: Output) -> Told {
    let (outcome, exit, text) = match collected {
        Collected::New(stem) => ("new", Exit::Done, format!("collected as {stem}")),
        Collected::Activated(stem) => (
            "activated_before",
            Exit::Done,
            format!("{stem} was activated before: its answer is in the store"),
        ),
        Collected::Replaced(stem) => {
            ("replaced", Exit::Done, format!("takes the place of {stem}'s earlier request"))
        }
        Collected::Waiting(stem) => {
            ("waiting", Exit::Done, format!("{stem} waits with an earlier request, which will do"))
        }
        Collected::Known(stem) => ("known", Exit::Done, format!("in the store already, as {stem}")),
        Collected::Rejected(reason) => ("rejected", Exit::Failed, reason.clone()),
    };
    let told = Told::new(name, outcome, exit, text);
    output.line(told.line());
    told
}
