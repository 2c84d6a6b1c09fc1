//! `headcount proxy`: activation by key on behalf of machines that cannot reach the authority.

mod activate;
mod ask;
mod carry;
mod collect;
mod deliver;
mod list;
mod progress;
mod report;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use headcount::daemon::ProductFile;
use headcount::daemon::files::FileError;
use headcount::daemon::proxy::{Contents, Judge, Store};
use headcount::time::UnixTime;

use crate::output::{Exit, Output, Problem};

/// Activate machines by key on their behalf: those of an isolated network, say.
///
/// Each machine writes a request into a file ('headcount client request'). The proxy collects the files
/// in its store, asks the authority for all of them, on line or by files, and gives each machine its
/// answer ('headcount client apply'). The answer also activates the same machine after its disk was
/// written anew, without using up the key.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, from a folder of requests to a folder of answers:
  headcount proxy collect /media/usb/requests --store lab
  headcount proxy activate --store lab --authority activation.example:1688
  headcount proxy list --store lab
  headcount proxy deliver --store lab --to /media/usb/answers")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Collect(collect::Arguments),
    Activate(activate::Arguments),
    Deliver(deliver::Arguments),
    List(list::Arguments),
}

/// Where the store is.
#[derive(Debug, Args)]
struct StoreArgument {
    /// The proxy's store; 'headcount proxy collect' makes it.
    #[arg(long = "store", value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::Collect(arguments) => collect::run(arguments, output),
        Verb::Activate(arguments) => activate::run(arguments, output),
        Verb::Deliver(arguments) => deliver::run(arguments, output),
        Verb::List(arguments) => list::run(arguments, output),
    }
}

impl StoreArgument {
    /// Opens it to change it.
    fn open(&self) -> Result<Store, Problem> {
        Store::open(&self.folder).map_err(unusable)
    }

    /// Opens it, and makes it if need be.
    fn create(&self) -> Result<Store, Problem> {
        Store::create(&self.folder).map_err(unusable)
    }

    /// Looks at what is in it, whoever is at work there.
    fn look(&self) -> Result<Contents, Problem> {
        Contents::read(&self.folder).map_err(unusable)
    }

    /// Makes sure that a folder is not the store: its files would be taken for the store's.
    fn keep_apart(&self, folder: &Path) -> Result<(), Problem> {
        let same = match (self.folder.canonicalize(), folder.canonicalize()) {
            (Ok(store), Ok(folder)) => store == folder,
            _ => false,
        };
        if same {
            let cause = format!("{} is the store itself", folder.display());
            return Err(Problem::new(Exit::Usage, cause).advise("Name another folder."));
        }
        Ok(())
    }
}

fn unusable(error: FileError) -> Problem {
    Problem::from(error).advise(
        "Name the store with --store DIR. 'headcount proxy collect FILES --store DIR' makes one, in a \
         new folder.",
    )
}

/// What judges answers with these product files.
fn judge(files: &[PathBuf]) -> Result<Judge, Problem> {
    Judge::new(&read_products(files)?).map_err(|reason| Problem::new(Exit::Usage, reason))
}

fn read_products(files: &[PathBuf]) -> Result<Vec<ProductFile>, Problem> {
    Ok(files.iter().map(|path| ProductFile::read(path)).collect::<Result<_, _>>()?)
}

/// The system's clock.
fn now() -> UnixTime {
    use headcount::daemon::{Clock, SystemClock};
    SystemClock::start().now().clock.unwrap_or_default()
}

/// A number of things, with their name in the right form.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
