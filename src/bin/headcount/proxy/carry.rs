//! Requests to the authority and answers from it by files.

use std::path::Path;

use headcount::daemon::proxy::{self, Exported, Imported, Unused};
use serde_json::json;

use super::activate::Work;
use super::ask::activated;
use super::report::{Report, Told};
use super::{StoreArgument, counted, now};
use crate::output::{Exit, Problem};

pub(super) fn export(
    work: &Work,
    store: &StoreArgument,
    folder: &Path,
    names: bool,
) -> Result<Exit, Problem> {
    store.keep_apart(folder)?;
    let mut report = Report::default();
    let contents = work.contents(&mut report)?;
    let plan = work.plan(&contents.machines, &mut report)?;
    work.tell_unasked(&plan, &mut report);
    let mut exported: usize = 0;
    for (entry, written) in proxy::export(&plan.ask, folder, names)? {
        let told = match written {
            Exported::Written(path) => {
                exported = exported.saturating_add(1);
                let text = format!("exported as {}", path.display());
                Told::new(&entry.stem, "exported", Exit::Done, text)
            }
            Exported::HoldsName => {
                report.advise(
                    "Requests that hold a machine's name are exported with --names, or are made anew \
                     without it: 'headcount client request', without --with-name.",
                );
                let text = "not exported: its request holds the machine's name".to_owned();
                Told::new(&entry.stem, "holds_name", Exit::Usage, text)
            }
        };
        work.tell(told, &mut report);
    }
    for entry in &plan.twins {
        let text = "not exported: another request of the same machine is".to_owned();
        work.tell(Told::new(&entry.stem, "twin", Exit::Done, text), &mut report);
    }
    work.output.line(format_args!(
        "{} in {}. The vendor answers them with 'headcount authority answer'; '--import' takes the \
         answers.",
        counted(exported, "request", "requests"),
        folder.display()
    ));
    report.finish(work.output, json!({ "exported": exported }))
}

pub(super) fn import(work: &Work, folder: &Path) -> Result<Exit, Problem> {
    let mut report = Report::default();
    let contents = work.contents(&mut report)?;
    let mut count: usize = 0;
    for Imported { path, answer } in proxy::import(&contents.machines, folder, &work.judge)? {
        let told = match answer {
            Err(unused) => self::unused(&path, unused),
            Ok((entry, ended)) => match ended.outcome(entry, now()) {
                Ok(pair) => {
                    work.store.keep_answer(&entry.stem, &pair)?;
                    count = count.saturating_add(1);
                    activated(entry, &pair)
                }
                Err(failure) => {
                    work.store.keep_failure(&entry.stem, &failure)?;
                    Told::failure(&entry.stem, &failure)
                }
            },
        };
        work.tell(told, &mut report);
    }
    // What has come may be the answer to a machine's twin as well.
    let machines = work.store.contents()?.machines;
    work.plan(&machines, &mut report)?;
    let machines = work.store.contents()?.machines;
    let waiting = machines.iter().filter(|entry| entry.pair.is_none()).count();
    work.output.line(format_args!(
        "{} now; {waiting} of {} have no answer.",
        counted(count, "machine activated", "machines activated"),
        counted(machines.len(), "machine", "machines")
    ));
    let summary = json!({ "activated": count, "machines": machines.len(), "waiting": waiting });
    report.finish(work.output, summary)
}

/// Tells of a file that changes nothing.
fn unused(path: &Path, unused: Unused) -> Told {
    let (outcome, exit, text) = match unused {
        Unused::Known(stem) => ("known", Exit::Done, format!("{stem} has its answer already")),
        Unused::Stranger => {
            ("stranger", Exit::Failed, "an answer to no request of this store".to_owned())
        }
        Unused::Rejected(reason) => ("rejected", Exit::Failed, reason),
    };
    Told::new(&path.display().to_string(), outcome, exit, text)
}
