//! `headcount host install-key`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use headcount::daemon::{EnrolmentKey, NoHostKey};
use serde_json::json;

use super::{ConfigArgument, Installed};
use crate::given_key;
use crate::output::{Exit, Output, Problem};

/// Install the vendor's host key, so that the host can enrol again by itself.
///
/// The key itself is not kept, only what requests need of it, in a file that its owner alone may read.
/// Another key takes the place of the first one. --remove takes it away.
#[derive(Args)]
#[command(
    group = ArgGroup::new("what").required(true).args(["key", "key_file", "remove"]),
    after_help = "\
Example:
  headcount host install-key --key-file host-key.txt --config /etc/headcount
  headcount host enrol --online vendor.example --config /etc/headcount"
)]
pub(super) struct Arguments {
    /// The host key. Other users of this machine may see it: prefer --key-file.
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// A file with the host key in its first line, or - for standard input. Empty lines and those
    /// that begin with # are passed over.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Take the installed key away. The certificate stays.
    #[arg(long)]
    remove: bool,
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
    let host = Installed::read(&arguments.config)?;
    let state = host.files.folder();
    let key = match (&arguments.key, &arguments.key_file) {
        (Some(key), _) => given_key::parse(key)?,
        (None, Some(path)) => given_key::read(path)?,
        (None, None) => {
            EnrolmentKey::remove(state)?;
            output.document(&json!({ "key_id": null }));
            output.line("No host key is installed now. The host keeps its certificate.");
            return Ok(Exit::Done);
        }
    };
    let key = EnrolmentKey::of(&key).map_err(no_host_key)?;
    key.write(state)?;
    let enrolment = &host.config.enrolment;
    let place = enrolment.place(&host.products).map_err(|reason| Problem::new(Exit::Usage, reason));
    let place = place?.map(|place| place.to_string());
    output.document(&json!({
        "key_id": key.key_id.0, "authority": place, "renews": enrolment.renews(),
    }));
    output.line(format_args!("Host key {} is installed.", key.key_id.0));
    output.line(match &place {
        Some(place) => format!("Next: 'headcount host enrol --online' asks {place}."),
        None => {
            "Next: 'headcount host enrol --online NAME[:PORT]', or without a network 'headcount \
                 host enrol --request FILE'."
                .into()
        }
    });
    Ok(Exit::Done)
}

/// A product key of another kind was given.
pub(super) fn no_host_key(wrong: NoHostKey) -> Problem {
    Problem::new(Exit::Usage, wrong).advise(match wrong {
        NoHostKey::MultipleActivation => {
            "Machines take it: 'headcount client install-key'. Ask the vendor for a host key."
        }
        NoHostKey::ClientSetup => {
            "Setup keys are in product files; hosts are enrolled with a host key from the vendor."
        }
    })
}
