//! `headcount client`: the product's side, as a program.

mod activate;
mod asked;
mod authority;
mod carry;
mod check;
mod discover;
mod edit;
mod init;
mod install;
mod installed;
mod interruptible;
mod key_file;
mod last_host;
mod phone;
mod qr;
mod report;
mod set;
mod tally;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use headcount::daemon::ClientConfig;

use crate::output::{Exit, Output, Problem};

/// Activate this machine's product, and see how it stands.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client init /var/lib/router --product router.product.toml --host counting.example
  headcount client activate --config /var/lib/router
  headcount client status --config /var/lib/router")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Arguments),
    Activate(activate::Arguments),
    InstallKey(install::Arguments),
    Request(carry::RequestArguments),
    Apply(carry::ApplyArguments),
    Phone(phone::Arguments),
    Discover(discover::Arguments),
    SetHost(set::HostArguments),
    ClearHost(set::ClearHostArguments),
    SetDomain(set::DomainArguments),
    ClearDomain(set::ClearDomainArguments),
    Status(StatusArguments),
    Rearm(RearmArguments),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigArgument {
    /// The client's configuration, or the folder that holds client.toml.
    #[arg(long, value_name = "PATH", default_value = ClientConfig::FILE)]
    config: PathBuf,
}

/// Show licence status, time left, machine id, and who activated the machine.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount client status --config /var/lib/router --json")]
struct StatusArguments {
    #[command(flatten)]
    config: ConfigArgument,
}

/// Give this machine a new id and begin the initial grace again.
///
/// For machines that were imaged without it. A product allows it a limited number of times, and an
/// activation it has is given up.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount client rearm --config /var/lib/router")]
struct RearmArguments {
    #[command(flatten)]
    config: ConfigArgument,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::Init(arguments) => init::run(arguments, output),
        Verb::Activate(arguments) => activate::run(arguments, output),
        Verb::InstallKey(arguments) => install::run(arguments, output),
        Verb::Request(arguments) => carry::request(arguments, output),
        Verb::Apply(arguments) => carry::apply(arguments, output),
        Verb::Phone(arguments) => phone::run(arguments, output),
        Verb::Discover(arguments) => discover::run(arguments, output),
        Verb::SetHost(arguments) => set::host(arguments, output),
        Verb::ClearHost(arguments) => set::clear_host(arguments, output),
        Verb::SetDomain(arguments) => set::domain(arguments, output),
        Verb::ClearDomain(arguments) => set::clear_domain(arguments, output),
        Verb::Status(arguments) => report::status(&arguments.config, output),
        Verb::Rearm(arguments) => activate::rearm(&arguments.config, output),
    }
}
