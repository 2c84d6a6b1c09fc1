//! `headcount authority signer`.

use std::path::PathBuf;

use clap::Args;
use headcount::daemon::{read_signing_key, serve_signer};

use crate::output::{Exit, Problem};

/// Sign for an authority: the reference for a root key that is kept in a process of its own.
///
/// It answers lines of standard input on standard output, hexadecimal: 'public' with the public
/// key, 'sign HEX' with the Ed25519 signature of those bytes, anything else with 'error' and the
/// reason. It ends when its input does. authority.toml names it, or a program of yours that speaks
/// the same lines to a security module.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
In authority.toml:
  [[root]]
  id = 1
  public_key = \"...\"
  signer = [\"headcount\", \"authority\", \"signer\", \"--key\", \"/run/keys/root.key\"]

Example:
  echo public | headcount authority signer --key root.key"
)]
pub(super) struct Arguments {
    /// The file of the key: 64 hexadecimal digits, readable by its owner alone.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Problem> {
    let key = read_signing_key(&arguments.key)?;
    serve_signer(&key, &mut std::io::stdin().lock(), &mut std::io::stdout().lock())
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot answer: {error}")))?;
    Ok(Exit::Done)
}
