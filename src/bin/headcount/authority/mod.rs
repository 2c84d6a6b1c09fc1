//! `headcount authority`: the vendor's side, off line, in a folder of files.

mod enrol;
mod init;
mod key;
mod product;
mod root;
mod run;
mod signer;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use headcount::daemon::AuthorityFiles;
use headcount::daemon::files::FileError;
use headcount::time::UnixTime;
use headcount::wire::Coverage;

use crate::output::{Exit, Output, Problem};

/// Issue products, product keys and host certificates: the vendor's side, off line.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, from nothing to a host that is enrolled:
  headcount authority init vendor
  cd vendor
  headcount authority product add --name router --family 7 --rank 1 --generation 1 --threshold 25
  headcount authority key new --kind host --product router
  headcount authority enrol request.bin --out response.bin

All secrets are root.key and master.key in that folder. Keep it on a machine that is not on a
network, and back it up.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Arguments),
    Product(product::Arguments),
    Key(key::Arguments),
    Enrol(enrol::Arguments),
    Run(run::Arguments),
    Root(root::Arguments),
    Signer(signer::Arguments),
}

/// Where the authority is.
#[derive(Debug, Args)]
struct FolderArgument {
    /// The authority's folder, made by 'headcount authority init'.
    #[arg(long = "dir", value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::Init(arguments) => init::run(arguments, output),
        Verb::Product(arguments) => product::run(arguments, output),
        Verb::Key(arguments) => key::run(arguments, output),
        Verb::Enrol(arguments) => enrol::run(arguments, output),
        Verb::Run(arguments) => run::run(arguments, output),
        Verb::Root(arguments) => root::run(arguments, output),
        Verb::Signer(arguments) => signer::run(arguments),
    }
}

impl FolderArgument {
    fn open(&self) -> Result<AuthorityFiles, Problem> {
        AuthorityFiles::open(&self.folder).map_err(|error: FileError| {
            let missing = !self.folder.join("authority.toml").exists();
            let problem = Problem::from(error);
            if missing {
                problem.advise(
                    "Name the authority's folder with --dir DIR, or make one: headcount authority \
                     init DIR",
                )
            } else {
                problem
            }
        })
    }
}

/// What the records' failure is to the user.
fn not_done(error: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Failed, error)
}

/// The system's clock, which an authority always has.
fn now() -> UnixTime {
    use headcount::daemon::{Clock, SystemClock};
    SystemClock::start().now().clock.unwrap_or_default()
}

/// What a key or certificate covers, in words.
fn covers(coverage: Coverage) -> String {
    let Coverage { family, rank, generation } = coverage;
    format!("family {family} up to rank {rank} and generation {generation}")
}
