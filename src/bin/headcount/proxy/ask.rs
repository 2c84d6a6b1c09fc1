//! Asking the authority on line.

use std::collections::HashSet;
use std::ops::ControlFlow;

use headcount::daemon::proxy::{Asking, Ended, Entry, FailureKind, Grant, Pair, Plan};
use headcount::daemon::{Resolver, Transport, system_rng};
use headcount::discovery::Host;
use serde_json::json;

use super::activate::Work;
use super::progress::Progress;
use super::report::{Report, Told};
use super::{counted, now};
use crate::interruptible;
use crate::output::{Exit, Problem};

/// After so many machines in a row for which nobody answered, the authority is taken to be away.
const SILENT_IN_A_ROW: usize = 16;

/// How the authority is reached.
pub(super) struct Way {
    pub(super) authority: Option<Host>,
    pub(super) transport: Transport,
    pub(super) parallel: usize,
    pub(super) tries: u32,
}

/// How far the run is.
#[derive(Default)]
struct Run {
    report: Report,
    activated: usize,
    asked: HashSet<String>,
    silent_in_a_row: usize,
}

pub(super) fn run(work: &Work, way: &Way) -> Result<Exit, Problem> {
    let mut run = Run::default();
    let done = interruptible::run(ask_all(work, way, &mut run))?;
    let Run { report, activated, .. } = run;
    let machines = work.store.contents()?.machines;
    let waiting = machines.iter().filter(|entry| entry.pair.is_none()).count();
    let summary = json!({
        "activated": activated,
        "machines": machines.len(),
        "waiting": waiting,
    });
    work.output.line(format_args!(
        "{} now; {waiting} of {} have no answer.",
        counted(activated, "machine activated", "machines activated"),
        counted(machines.len(), "machine", "machines")
    ));
    match done {
        None => {
            let problem = Problem::new(Exit::Interrupted, "interrupted")
                .advise("Every answer that came is kept. Run it again to go on.");
            Err(problem.with_details(report.document(summary)))
        }
        Some(Err(problem)) => Err(problem.with_details(report.document(summary))),
        Some(Ok(())) => report.finish(work.output, summary),
    }
}

/// Asks in rounds: first for each machine once, then for those whose twin got no answer.
async fn ask_all(work: &Work, way: &Way, run: &mut Run) -> Result<(), Problem> {
    let mut asking = None;
    for round in 0_u32.. {
        let contents = match round {
            0 => work.contents(&mut run.report)?,
            _ => work.store.contents()?,
        };
        let open = |entry: &Entry| entry.pair.is_some() || !run.asked.contains(&entry.stem);
        let machines: Vec<_> = contents.machines.into_iter().filter(open).collect();
        let plan = work.plan(&machines, &mut run.report)?;
        if round == 0 {
            work.tell_unasked(&plan, &mut run.report);
        }
        if plan.ask.is_empty() {
            break;
        }
        if asking.is_none() {
            asking = Some(way.asking().await?);
        }
        let Some(asking) = &asking else { break };
        if ask_round(work, asking, &plan, run).await?.is_break() {
            run.report.advise(
                "The authority seems to be away: the rest was not asked for. Is it the right one, and \
                 is its port open on the way? --transport udp may go where tcp does not.",
            );
            break;
        }
    }
    Ok(())
}

async fn ask_round(
    work: &Work,
    asking: &Asking,
    plan: &Plan<'_>,
    run: &mut Run,
) -> Result<ControlFlow<()>, Problem> {
    let mut progress = Progress::new(plan.ask.len(), work.output);
    let mut flow = ControlFlow::Continue(());
    let each = |index: usize, ended: Ended| -> Result<_, Problem> {
        let Some(entry) = plan.ask.get(index) else { return Ok(flow) };
        let told = keep(work, entry, &ended, run)?;
        progress.step(&told);
        run.report.add(told);
        run.asked.insert(entry.stem.clone());
        if run.silent_in_a_row >= SILENT_IN_A_ROW {
            flow = ControlFlow::Break(());
        }
        Ok(flow)
    };
    asking.ask_all(&plan.ask, &work.judge, each).await?;
    Ok(flow)
}

/// Keeps what came for a machine, before anything is said of it.
fn keep(work: &Work, entry: &Entry, ended: &Ended, run: &mut Run) -> Result<Told, Problem> {
    let is_silent;
    let told = match ended.outcome(entry, now()) {
        Ok(pair) => {
            work.store.keep_answer(&entry.stem, &pair)?;
            run.activated = run.activated.saturating_add(1);
            is_silent = false;
            activated(entry, &pair)
        }
        Err(failure) => {
            work.store.keep_failure(&entry.stem, &failure)?;
            is_silent = failure.kind == FailureKind::NobodyAnswered;
            Told::failure(&entry.stem, &failure)
        }
    };
    run.silent_in_a_row = if is_silent { run.silent_in_a_row.saturating_add(1) } else { 0 };
    if told.exit != Exit::Done {
        run.report.advise("'headcount proxy list' shows the machines. Running it again goes on.");
    }
    Ok(told)
}

/// Tells of a machine that is activated.
pub(super) fn activated(entry: &Entry, pair: &Pair) -> Told {
    let key = entry.request().map_or(0, |request| request.key_id.0);
    let text = match pair.grant() {
        Some(Grant { left, .. }) => {
            format!(
                "activated, {} left on key {key}",
                counted(left as usize, "activation", "activations")
            )
        }
        None => "activated".to_owned(),
    };
    Told::new(&entry.stem, "activated", Exit::Done, text)
}

impl Way {
    async fn asking(&self) -> Result<Asking, Problem> {
        let Some(authority) = &self.authority else {
            return Err(Problem::new(Exit::Usage, "nobody says where the authority is").advise(
                "Name it with --authority NAME[:PORT]. Without a network: --export DIR, then --import \
                 DIR.",
            ));
        };
        let addresses = Resolver::of_system().addresses_of(authority, &mut system_rng()).await;
        let addresses = addresses.map_err(|reason| {
            Problem::new(Exit::NobodyAnswered, format!("{}: no address: {reason}", authority.name))
        })?;
        let Self { transport, parallel, tries, .. } = *self;
        Ok(Asking { transport, addresses, parallel, tries })
    }
}
