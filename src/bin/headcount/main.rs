//! The `headcount` program: arguments, output and exit codes. All work is the library's.

mod authority;
mod bench;
mod client;
mod demo;
mod explain;
mod folder;
mod host;
mod inspect;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use output::{Exit, Output, Problem};

/// Volume activation for a vendor's own products.
#[derive(Debug, Parser)]
#[command(name = "headcount", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "\
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
    let Arguments { json, verb } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error),
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

/// Ends with what clap has to say: help, the version, or what is wrong with the arguments.
fn not_parsed(error: &clap::Error) -> ExitCode {
    // The arguments were not understood, so whether one of them is --json is seen by looking.
    let before_values = std::env::args_os().skip(1).take_while(|argument| argument != "--");
    let json = before_values.into_iter().any(|argument| argument == "--json");
    if !error.use_stderr() {
        Output::new(false).line(error.render().to_string().trim_end());
        return Output::new(json).finish(Ok(Exit::Done));
    }
    if !json {
        let _ = error.print();
        return ExitCode::from(Exit::Usage as u8);
    }
    Output::new(json).finish(Err(usage_problem(error)))
}

/// A usage error as every other problem is told: the cause, then what to do.
fn usage_problem(error: &clap::Error) -> Problem {
    use clap::error::ErrorKind;
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Problem::new(Exit::Usage, "a verb is missing").advise("'--help' shows the verbs.");
    }
    let text = error.render().to_string();
    let (cause, advice) = text.split_once("\n\n").unwrap_or((&text, ""));
    let cause = cause.trim_start_matches("error: ").trim();
    Problem::new(Exit::Usage, cause).advise(advice.trim())
}
