//! How the command line is read, what each verb's help ends with, and what is wrong with arguments.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory, FromArgMatches};

use crate::Arguments;
use crate::output::{Exit, Output, Problem};

/// Reads the command line.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    Arguments::from_arg_matches(&command().try_get_matches()?)
}

/// The command line, with every verb's exit codes in its help.
fn command() -> Command {
    with_exit_codes(Arguments::command(), "")
}

fn with_exit_codes(command: Command, path: &str) -> Command {
    if command.has_subcommands() {
        return command.mut_subcommands(|verb| {
            let path = format!("{path} {}", verb.get_name());
            with_exit_codes(verb, path.trim())
        });
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if help.contains("Exit codes:") {
        return command;
    }
    let codes: Vec<_> =
        exit_codes(path).iter().map(|exit| format!("{} {}", *exit as u8, exit.brief())).collect();
    command.after_help(format!("{help}\n\nExit codes: {}.", codes.join(", ")))
}

/// How a verb can end. Those that say it in words of their own are not listed.
fn exit_codes(path: &str) -> Vec<Exit> {
    use Exit::{
        BelowThreshold, Damaged, Done, Failed, Interrupted, NobodyAnswered, NotTrusted, Refused,
        Usage,
    };
    let more: &[Exit] = match path {
        "demo" => &[BelowThreshold, Refused, NobodyAnswered, NotTrusted, Interrupted],
        "bench" => &[Refused, NobodyAnswered, NotTrusted, Interrupted],
        "host enrol" => &[Refused, NotTrusted],
        "host dns publish" | "host dns withdraw" | "host dns status" | "host dns off" => {
            &[Refused, NobodyAnswered, NotTrusted]
        }
        "host run" | "host status" | "client status" => &[Damaged],
        "client discover" => &[NobodyAnswered, Damaged, Interrupted],
        "client rearm" => &[Refused, Damaged],
        "client activate" => {
            &[BelowThreshold, Refused, NobodyAnswered, NotTrusted, Damaged, Interrupted]
        }
        _ => &[],
    };
    [&[Done, Failed, Usage], more].concat()
}

/// Ends with what clap has to say: help, the version, or what is wrong with the arguments.
pub(crate) fn not_parsed(error: &clap::Error) -> ExitCode {
    // The arguments were not understood, so whether one of them is --json is seen by looking.
    let mut before_values = std::env::args_os().skip(1).take_while(|argument| argument != "--");
    let json = before_values.any(|argument| argument == "--json");
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
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Problem::new(Exit::Usage, "a verb is missing").advise("'--help' shows the verbs.");
    }
    let text = error.render().to_string();
    let (cause, advice) = text.split_once("\n\n").unwrap_or((&text, ""));
    let cause = cause.trim_start_matches("error: ").trim();
    Problem::new(Exit::Usage, cause).advise(advice.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verbs(command: &Command, found: &mut Vec<(String, String)>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        found.push((command.get_name().to_owned(), help));
        for verb in command.get_subcommands() {
            verbs(verb, found);
        }
    }

    #[test]
    fn every_verb_has_an_example_and_its_exit_codes() {
        let command = command();
        command.clone().debug_assert();
        let mut found = Vec::new();
        verbs(&command, &mut found);
        assert!(found.len() > 15, "{found:?}");
        for (name, help) in found {
            let is_group =
                ["host", "dns", "client", "authority", "product", "key", "root"].contains(&&*name);
            assert!(help.contains("xample"), "{name}: {help}");
            assert!(is_group || help.contains("Exit codes:"), "{name}: {help}");
        }
    }

    #[test]
    fn what_a_verb_can_end_with_is_listed() {
        assert!(exit_codes("client activate").contains(&Exit::Damaged));
        assert_eq!(exit_codes("host init"), [Exit::Done, Exit::Failed, Exit::Usage]);
    }
}
