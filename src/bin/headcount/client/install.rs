//! `headcount client install-key`: by key, or by count again.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use headcount::client::{KeyChoice, WrongKey};
use headcount::trust::ProductKey;
use serde_json::json;

use super::installed::Installed;
use super::{ConfigArgument, key_file};
use crate::given_key;
use crate::output::{Exit, Output, Problem};

/// Install a multiple activation key (MAK): the vendor's authority activates this machine then, and
/// no host is needed.
///
/// The product's own setup key, or --setup, goes back to hosts. Either way an activation that the
/// machine has stays until the other way has granted one. The key itself is not kept, only what
/// requests need of it.
#[derive(Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["key", "key_file", "setup"]),
    after_help = "\
Example:
  headcount client install-key --key-file mak.txt --config /var/lib/router
  headcount client activate --config /var/lib/router
  headcount client install-key --setup --config /var/lib/router"
)]
pub(super) struct Arguments {
    /// The product key. Other users of this machine may see it: prefer --key-file.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// A file with the product key in its first line, or - for standard input. Empty lines and those
    /// that begin with # are passed over.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Go back to the product's own setup key: hosts are asked again.
    #[arg(long)]
    setup: bool,
    #[command(flatten)]
    config: ConfigArgument,
}

/// Whatever prints arguments prints no key.
impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arguments").field("config", &self.config).finish_non_exhaustive()
    }
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let mut installed = Installed::read(&arguments.config)?;
    // Nobody else works on the state meanwhile.
    let _state = installed.open()?;
    let key = match (&arguments.key, &arguments.key_file) {
        (Some(key), _) => Some(given_key::parse(key)?),
        (None, Some(path)) => Some(given_key::read(path)?),
        (None, None) => None,
    };
    install(&mut installed, key.as_ref())?;
    let Some(key) = &installed.key else {
        output.document(&json!({ "method": "count", "key_id": null }));
        output
            .line("Hosts are asked from now on. An activation by key stays until one has granted.");
        return Ok(Exit::Done);
    };
    let authority = installed.authority(None)?.map(|host| host.to_string());
    output.document(&json!({
        "method": "key", "key_id": key.key_id.0, "authority": authority,
    }));
    output.line(format_args!("Key {} is installed.", key.key_id.0));
    output.line(match authority {
        Some(authority) => {
            format!("Next: 'headcount client activate' asks the authority, {authority}.")
        }
        None => "Next: 'headcount client activate --authority NAME[:PORT]', or without a network \
                 'headcount client request'."
            .into(),
    });
    Ok(Exit::Done)
}

/// Installs a key where it is one for this client, the setup key where none is given. The state must
/// be open.
fn install(installed: &mut Installed, key: Option<&ProductKey>) -> Result<(), Problem> {
    let choice = match key {
        Some(key) => choose(installed, key)?,
        None => KeyChoice::ByCount,
    };
    install_choice(installed, &choice)
}

/// Installs a key that is given to a command which asks by key. The product's own setup key does not
/// belong there: whoever types it means something else, and loses no key that is installed. The state
/// must be open.
pub(super) fn install_multiple_activation_key(
    installed: &mut Installed,
    key: &ProductKey,
) -> Result<(), Problem> {
    let choice = choose(installed, key)?;
    if let KeyChoice::ByCount = choice {
        let cause =
            "this is the product's own setup key, and a multiple activation key belongs here";
        return Err(Problem::new(Exit::Usage, cause).advise(
            "Hosts are asked without any key. 'headcount client install-key --setup' goes back to them.",
        ));
    }
    install_choice(installed, &choice)
}

fn choose(installed: &Installed, key: &ProductKey) -> Result<KeyChoice, Problem> {
    KeyChoice::of(&installed.product()?, key).map_err(wrong_key)
}

fn install_choice(installed: &mut Installed, choice: &KeyChoice) -> Result<(), Problem> {
    let chosen = choice.installed().cloned();
    match &chosen {
        Some(key) => key_file::write(installed.folder(), key)?,
        None => key_file::remove(installed.folder())?,
    }
    installed.key = chosen;
    Ok(())
}

fn wrong_key(wrong: WrongKey) -> Problem {
    Problem::new(Exit::Usage, wrong).advise(match wrong {
        WrongKey::HostKey => {
            "Keep it to those who run hosts: 'headcount host enrol' takes it. A client needs a \
             multiple activation key, or none to ask hosts."
        }
        WrongKey::OtherSetupKey => {
            "This product's setup key is in its product file: --setup goes back to it. To be \
             activated by key, a multiple activation key is needed."
        }
    })
}
