//! `headcount authority phone`: a confirmation id for an installation id that is read out.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use headcount::daemon::{Command, Confirmed, Reply, date};
use headcount::phone::{
    GROUP_DIGITS, HostInstallationId, InstallationId, InvalidGroup, check_group,
};
use headcount::time::UnixTime;
use serde_json::json;

use super::asking::{FolderArgument, unexpected};
use crate::output::{Exit, Output, Problem};
use crate::spoken;

/// Activate a machine, or enrol a host, that calls by phone.
///
/// The caller reads out his installation id: 13 groups of seven digits for a machine ('headcount
/// client phone'), 17 for a host ('headcount host enrol --phone'). Each group is checked as it is
/// typed. What is printed is the confirmation id, to be read back group by group.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount authority phone
  headcount authority phone 0712345 1234567 ... --dir vendor --json

Exit codes: 0 confirmed, 2 a group is wrong, 4 refused, 6 not to be trusted.")]
pub(super) struct Arguments {
    /// The installation id, in groups; asked for when it is left out.
    #[arg(value_name = "INSTALLATION-ID")]
    id: Vec<String>,
    #[command(flatten)]
    folder: FolderArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    // While somebody types, others have the folder.
    let id = if arguments.id.is_empty() {
        type_in(&mut io::stdin().lock())?
    } else {
        arguments.id.join("-")
    };
    let confirmed = match arguments.folder.access()?.one(&Command::Confirm(id))? {
        Reply::Confirmed(confirmed) => *confirmed,
        other => return Err(unexpected(&other)),
    };
    tell(&confirmed, output);
    Ok(Exit::Done)
}

/// Has the groups typed one by one, or several in a line. At a terminal a wrong one is asked for
/// again. An empty line ends an id of 13 groups.
fn type_in(input: &mut impl BufRead) -> Result<String, Problem> {
    let is_asked = io::stdin().is_terminal();
    let mut groups: Vec<String> = Vec::new();
    while groups.len() < HostInstallationId::GROUPS {
        if is_asked {
            let number = groups.len().saturating_add(1);
            let hint = if groups.len() == InstallationId::GROUPS {
                " (Enter alone if that was all)"
            } else {
                ""
            };
            eprint!("Group {number}{hint}: ");
            let _ = io::stderr().flush();
        }
        let mut line = String::new();
        let read = input
            .read_line(&mut line)
            .map_err(|error| Problem::new(Exit::Failed, format!("cannot read the id: {error}")))?;
        let is_blank = line.trim().is_empty();
        if is_blank && groups.len() == InstallationId::GROUPS {
            break;
        }
        if read == 0 {
            let cause = format!("the installation id ended after {} groups", groups.len());
            return Err(Problem::new(Exit::Usage, cause)
                .advise("That of a machine has 13 groups, that of a host 17."));
        }
        match take(&line, &mut groups) {
            Ok(()) => {}
            Err(wrong) if is_asked => eprintln!("  {wrong}"),
            Err(wrong) => {
                return Err(
                    Problem::new(Exit::Usage, wrong).advise("Have this group read out again.")
                );
            }
        }
    }
    Ok(groups.join("-"))
}

/// Takes the groups of a line, up to a wrong one.
fn take(line: &str, groups: &mut Vec<String>) -> Result<(), InvalidGroup> {
    let is_separator = |c: char| c == '-' || c.is_whitespace();
    let digits: Vec<char> = line.chars().filter(|c| !is_separator(*c)).collect();
    for group in digits.chunks(GROUP_DIGITS) {
        groups.push(check_group(groups.len(), &group.iter().collect::<String>())?.to_string());
    }
    Ok(())
}

fn tell(confirmed: &Confirmed, output: Output) {
    let Confirmed { confirmation, key_id, repeated, activations_left, hosts_left, valid_until } =
        confirmed;
    let groups: Vec<_> = confirmation.split('-').collect();
    let valid_until = valid_until.map(|end| date(UnixTime::from_secs(end)));
    output.document(&json!({
        "kind": if hosts_left.is_some() { "host" } else { "machine" },
        "key_id": key_id,
        "confirmation_id": confirmation,
        "groups": groups,
        "repeated": repeated,
        "activations_left": activations_left,
        "hosts_left": hosts_left,
        "valid_until": valid_until,
    }));
    match (hosts_left, &valid_until) {
        (Some(hosts_left), Some(valid_until)) => output.line(format_args!(
            "The host is enrolled with key {key_id} until {valid_until}; {activations_left} \
             activations of it and {hosts_left} more hosts are left."
        )),
        _ => output.line(format_args!(
            "The machine is activated with key {key_id}; {activations_left} activations are left."
        )),
    }
    if *repeated {
        output.line("It was before, too: nothing was counted.");
    }
    output.line("Read out the confirmation id, group by group:");
    let read_out: Vec<_> = groups
        .iter()
        .enumerate()
        .filter_map(|(index, group)| check_group(index, group).ok())
        .collect();
    spoken::show(&read_out, output);
}
