//! `headcount authority init`: a new vendor.

use std::path::PathBuf;

use clap::Args;
use headcount::daemon::{AuthorityConfig, AuthorityFiles, system_rng};
use serde_json::json;

use crate::output::{Exit, Output, Problem};

/// Make a new authority: root key, master key and an empty register.
///
/// The folder must be empty or not exist yet; nothing is ever overwritten. Only its owner may
/// enter it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority init vendor --root-id 1")]
pub(super) struct Arguments {
    /// The new folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Id by which products know the root key. A vendor who replaces its root key takes another.
    #[arg(long, default_value_t = 1)]
    root_id: u16,
    /// Days that a host's certificate lasts. Can be changed in authority.toml.
    #[arg(
        long, value_name = "DAYS", default_value_t = AuthorityConfig::DEFAULT_VALIDITY_DAYS,
        value_parser = clap::value_parser!(u32).range(1..=36_500),
    )]
    certificate_days: u32,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { folder, root_id, certificate_days } = arguments;
    let authority = AuthorityFiles::init(folder, *root_id, *certificate_days, &mut system_rng())
        .map_err(|error| {
            Problem::from(error).advise("Name a folder that is empty or does not exist.")
        })?;
    let Some(root) = authority.config().root_in_use() else {
        return Err(Problem::new(Exit::Failed, "there is no root key"));
    };
    output.document(&json!({
        "dir": folder.display().to_string(),
        "root_id": root.id,
        "root_public_key": root.public_key,
        "certificate_days": certificate_days,
    }));
    let name = folder.display();
    output.line(format_args!("Made an authority in {name}."));
    output.line(format_args!("Root key {} (public): {}", root.id, root.public_key));
    output.line(
        "Products believe what this key signs: compile its public half into them.\n\
         Back up root.key and master.key: they cannot be made again, and who has them can issue\n\
         anything in your name.",
    );
    output.line(format_args!(
        "Next: headcount authority product add --dir {name} --name NAME --family 1 --rank 1 \
         --generation 1 --threshold 25"
    ));
    Ok(Exit::Done)
}
