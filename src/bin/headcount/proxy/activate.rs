//! `headcount proxy activate`: answers into the store.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use headcount::daemon::proxy::{Contents, Entry, Judge, Plan, Store};
use headcount::daemon::{ProductFile, Transport, parse_host};
use headcount::discovery::Host;

use super::report::{Report, Told};
use super::{StoreArgument, ask, carry, judge, read_products};
use crate::output::{Exit, Output, Problem};

/// Ask the authority for the machines that have no answer, or carry requests and answers by files.
///
/// Each answer is kept as it comes, so that the run can be ended at any moment: the next one goes on.
/// Asking twice is safe, because a request gets the same answer again and is counted once. A machine that
/// was activated before, and whose disk was written anew since, gets the answer of that time: the
/// authority is not asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount proxy activate --store lab --authority activation.example:1688
  headcount proxy activate --store lab --authority activation.example --product router.product.toml

Without a way to the authority (the vendor answers: headcount authority answer):
  headcount proxy activate --store lab --export /media/usb/to-vendor
  headcount proxy activate --store lab --import /media/usb/from-vendor

Exit codes: 0 every machine has its answer, or is exported; else the first that applies of
130 interrupted, 1 failed, 7 a file of the store is damaged, 6 an answer is not to be trusted,
4 refused, 5 nobody answered, 2 usage (as a machine that none of the product files is for).")]
pub(super) struct Arguments {
    /// The authority; else the one that a product file names.
    #[arg(long, value_name = "NAME[:PORT]", conflicts_with_all = ["export", "import"])]
    authority: Option<String>,
    /// How to ask.
    #[arg(long, default_value_t = Transport::Tcp)]
    transport: Transport,
    /// For how many machines to ask at once.
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// How often to ask for each machine while nobody answers or the authority is busy.
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// Ask again for machines that were refused.
    #[arg(long, conflicts_with = "import")]
    again: bool,
    /// Believe only what machines of this product will believe; may be repeated. A machine whose
    /// hardware has changed as little as the product allows is then the same, too.
    #[arg(long = "product", value_name = "FILE")]
    products: Vec<PathBuf>,
    /// Ask nobody: write the requests into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "import")]
    export: Option<PathBuf>,
    /// Ask nobody: take answers from this folder or file, whatever they are called.
    #[arg(long, value_name = "DIR")]
    import: Option<PathBuf>,
    /// Export machines' names as well: in the names of the files, and the requests that hold one.
    #[arg(long, requires = "export")]
    names: bool,
    #[command(flatten)]
    store: StoreArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let work = Work {
        judge: Arc::new(judge(&arguments.products)?),
        again: arguments.again,
        store: arguments.store.open()?,
        output,
    };
    if let Some(folder) = &arguments.import {
        arguments.store.keep_apart(folder)?;
        return carry::import(&work, folder);
    }
    if let Some(folder) = &arguments.export {
        return carry::export(&work, &arguments.store, folder, arguments.names);
    }
    let way = ask::Way {
        authority: authority(arguments)?,
        transport: arguments.transport,
        parallel: arguments.parallel.into(),
        tries: arguments.tries,
    };
    ask::run(&work, &way)
}

/// The authority to ask: the one that was named, or that of the product files.
fn authority(arguments: &Arguments) -> Result<Option<Host>, Problem> {
    let files = read_products(&arguments.products)?;
    let of_files = files.iter().find_map(|ProductFile { authority, .. }| authority.as_ref());
    let named = arguments.authority.as_ref().or(of_files).map(|name| parse_host(name)).transpose();
    named.map_err(|reason| Problem::new(Exit::Usage, reason))
}

/// What all ways of getting answers work with.
pub(super) struct Work {
    pub(super) judge: Arc<Judge>,
    pub(super) store: Store,
    pub(super) output: Output,
    again: bool,
}

impl Work {
    /// What the store holds, of which damage is told.
    pub(super) fn contents(&self, report: &mut Report) -> Result<Contents, Problem> {
        let contents = self.store.contents()?;
        report.add_damage(&contents.damaged, self.output);
        Ok(contents)
    }

    /// Whom to ask for; the others are told and done.
    pub(super) fn plan<'a>(
        &self,
        machines: &'a [Entry],
        report: &mut Report,
    ) -> Result<Plan<'a>, Problem> {
        let plan = Plan::of(machines, &self.judge, self.again);
        for earlier in &plan.earlier {
            self.store.keep_answer(&earlier.entry.stem, &earlier.pair)?;
            let text = format!("was activated before, as {}: it gets that answer", earlier.of);
            self.tell(Told::new(&earlier.entry.stem, "activated_before", Exit::Done, text), report);
        }
        Ok(plan)
    }

    /// Tells of the machines for which nobody is asked.
    pub(super) fn tell_unasked(&self, plan: &Plan<'_>, report: &mut Report) {
        for entry in &plan.refused {
            let Some(failure) = &entry.failure else { continue };
            let told = Told::failure(&entry.stem, failure);
            self.tell(Told { text: format!("was {}", told.text), ..told }, report);
            report.advise("Machines that were refused are asked for again with --again.");
        }
        for entry in &plan.unknown {
            let text = "none of the product files is of its product".to_owned();
            self.tell(Told::new(&entry.stem, "unknown_product_file", Exit::Usage, text), report);
            report.advise(
                "Add the file of the missing product with --product, or leave --product out.",
            );
        }
    }

    pub(super) fn tell(&self, told: Told, report: &mut Report) {
        self.output.line(told.line());
        report.add(told);
    }
}
