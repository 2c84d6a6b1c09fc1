//! `headcount authority status`.

use clap::Args;
use headcount::daemon::{Command, Reply};
use serde_json::{Map, json};

use super::asking::{FolderArgument, unexpected};
use crate::output::{Exit, Output, Problem};

/// Show whether the service runs, and what it has done since it was started.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority status --dir /srv/vendor")]
pub(super) struct Arguments {
    #[command(flatten)]
    folder: FolderArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let authority = arguments.folder.access()?;
    if !authority.is_service() {
        return Err(Problem::new(Exit::Failed, "no service runs in this folder")
            .advise("Start it: headcount authority run --config authority.toml"));
    }
    let status = match authority.one(&Command::Status)? {
        Reply::Status(status) => status,
        other => return Err(unexpected(&other)),
    };
    let requests: Map<_, _> =
        status.requests.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
    output.document(&json!({
        "root": status.root,
        "products": status.products,
        "certificates": status.certificates,
        "requests": requests,
    }));
    output.line(format_args!(
        "The service runs: {} products, {} certificates of its own key, issued by root key {}.",
        status.products, status.certificates, status.root
    ));
    output.line("Since it was started:");
    for (name, count) in &status.requests {
        output.line(format_args!("{count:>12}  {name}"));
    }
    Ok(Exit::Done)
}
