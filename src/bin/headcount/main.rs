//! The `headcount` program: arguments, output and exit codes. All work is the library's.

mod authority;
mod bench;
mod client;
mod demo;
mod explain;
mod folder;
mod given_key;
mod host;
mod inspect;
mod output;
mod spoken;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use output::Output;

/// Volume activation for a vendor's own products.
#[derive(Debug, Parser)]
#[command(name = "headcount", version, arg_required_else_help = true, after_help = EXAMPLE)]
struct Arguments {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLE: &str = "\
Example, a whole site on this machine:
  headcount demo --clients 25 --threshold 25

Exit codes:
  0  done, or activated
  1  failed: a file, a socket, the system
  2  usage or configuration
  3  the host counts fewer machines than the product needs
  4  the host or the authority refused
  5  nobody answered
  6  the answer is not to be trusted
  7  local state is damaged
  130  interrupted

'headcount explain CODE' tells more of each.";

#[derive(Debug, Subcommand)]
enum Verb {
    Demo(demo::Arguments),
    Host(host::Arguments),
    Client(client::Arguments),
    Authority(authority::Arguments),
    Inspect(inspect::Arguments),
    Explain(explain::Arguments),
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let Arguments { json, verb } = match usage::parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::not_parsed(&error),
    };
    let output = Output::new(json);
    let result = match verb {
        Verb::Demo(arguments) => demo::run(&arguments, output),
        Verb::Host(arguments) => host::run(&arguments, output),
        Verb::Client(arguments) => client::run(&arguments, output),
        Verb::Authority(arguments) => authority::run(&arguments, output),
        Verb::Inspect(arguments) => inspect::run(&arguments, output),
        Verb::Explain(arguments) => explain::run(&arguments, output),
        Verb::Bench(arguments) => bench::run(&arguments, output),
    };
    output.finish(result)
}
