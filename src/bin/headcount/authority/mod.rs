//! `headcount authority`: the vendor's side, in a folder of files.

mod answer;
mod answered;
mod asking;
mod enrol;
mod init;
mod key;
mod list;
mod phone;
mod product;
mod root;
mod run;
mod signer;
mod status;

use asking::FolderArgument;
use clap::{Args, Subcommand};
use headcount::time::UnixTime;
use headcount::wire::Coverage;

use crate::output::{Exit, Output, Problem};

/// Issue products and product keys, enrol hosts and activate machines: the vendor's side.
///
/// Every verb works in the authority's folder. While a service runs there, the service does what is
/// asked, at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, from nothing to a host that is enrolled:
  headcount authority init vendor
  cd vendor
  headcount authority product add --name router --family 7 --rank 1 --generation 1 --threshold 25
  headcount authority key new --kind host --product router
  headcount authority enrol request.bin --out response.bin

All secrets are root.key and master.key in that folder: back it up, and keep it to yourself.")]
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
    Answer(answer::Arguments),
    Phone(phone::Arguments),
    Hosts(list::HostArguments),
    Activations(list::ActivationArguments),
    Run(run::Arguments),
    Status(status::Arguments),
    Root(root::Arguments),
    Signer(signer::Arguments),
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::Init(arguments) => init::run(arguments, output),
        Verb::Product(arguments) => product::run(arguments, output),
        Verb::Key(arguments) => key::run(arguments, output),
        Verb::Enrol(arguments) => enrol::run(arguments, output),
        Verb::Answer(arguments) => answer::run(arguments, output),
        Verb::Phone(arguments) => phone::run(arguments, output),
        Verb::Hosts(arguments) => list::hosts(arguments, output),
        Verb::Activations(arguments) => list::activations(arguments, output),
        Verb::Run(arguments) => run::run(arguments, output),
        Verb::Status(arguments) => status::run(arguments, output),
        Verb::Root(arguments) => root::run(arguments, output),
        Verb::Signer(arguments) => signer::run(arguments),
    }
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
