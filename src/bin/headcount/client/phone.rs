//! `headcount client phone`: activation by key where nothing but a voice gets through.

use clap::Args;
use headcount::phone::{Confirmation, InstallationId, InvalidNumber, Machine};
use headcount::trust::ParsedRequest;
use headcount::wire::Frame;
use serde_json::json;

use super::carry::{self, Names};
use super::installed::{Installed, State};
use super::{ConfigArgument, install};
use crate::given_key::KeyArguments;
use crate::output::{Exit, Output, Problem};
use crate::spoken;

/// Show this machine's installation id, to be read to the vendor, and take the confirmation id that
/// the vendor reads back (--confirm).
///
/// Both are groups of seven digits. Each shows by itself whether it was typed as it was read out. The
/// vendor runs 'headcount authority phone'.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client phone --key-file mak.txt --config /var/lib/router
  headcount client phone --confirm --config /var/lib/router

Exit codes: 0 activated, 2 a group is wrong, 6 not for this machine.")]
pub(super) struct Arguments {
    /// Take the confirmation id: its groups, or without any each one as it is asked for. From a file
    /// or another program by standard input.
    #[arg(long, value_name = "GROUP", num_args = 0.., conflicts_with_all = ["key", "key_file"])]
    confirm: Option<Vec<String>>,
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let mut installed = Installed::read(&arguments.config)?;
    if let Some(groups) = &arguments.confirm {
        carry::check_key(&installed)?;
        // Typing takes its time, and needs nothing of the state.
        let groups = spoken::read(groups)?;
        let confirmation = Confirmation::from_groups(&groups).map_err(unreadable)?;
        let mut state = installed.open()?;
        return confirm(&installed, &mut state, &confirmation, output);
    }
    let mut state = installed.open()?;
    if let Some(key) = arguments.key.read()? {
        install::install_multiple_activation_key(&mut installed, &key)?;
    }
    carry::check_key(&installed)?;
    let request = carry::pending(&installed, &mut state, Names::Whatever)?;
    let id = installation_id(&installed, &request)?;
    let groups = id.groups();
    output.document(&json!({
        "installation_id": id.to_string(),
        "groups": groups.map(|group| group.to_string()),
        "key_id": id.key_id().0,
    }));
    output.line("Read this installation id to the vendor:\n");
    spoken::show(&groups, output);
    output.line("\nThen type what the vendor reads back: headcount client phone --confirm");
    Ok(Exit::Done)
}

fn confirm(
    installed: &Installed,
    state: &mut State,
    confirmation: &Confirmation,
    output: Output,
) -> Result<Exit, Problem> {
    // The one whose id was read out, though the hardware may have changed a little since.
    let request = match carry::waiting(installed) {
        Ok(request) => request,
        Err(_) => carry::pending(installed, state, Names::Whatever)?,
    };
    let id = installation_id(installed, &request)?;
    let record = confirmation.record(&id, &request);
    carry::take(installed, state, &request, &record, output)
}

/// The installation id of the machine that made this request.
fn installation_id(installed: &Installed, request: &Frame) -> Result<InstallationId, Problem> {
    let parsed = ParsedRequest::parse(request)
        .map_err(|malformed| Problem::new(Exit::Damaged, format!("the request: {malformed}")))?;
    let machine = Machine::of(&parsed.unverified());
    match &installed.key {
        Some(key) if key.key_id == machine.key_id => {
            Ok(InstallationId::for_machine(&machine, &key.tag_key))
        }
        _ => Err(Problem::new(Exit::Usage, "another key was installed since the id was read out")
            .advise("Show the new one: 'headcount client phone'.")),
    }
}

fn unreadable(invalid: InvalidNumber) -> Problem {
    Problem::new(Exit::Usage, invalid).advise("Is it the number that the vendor read out?")
}
