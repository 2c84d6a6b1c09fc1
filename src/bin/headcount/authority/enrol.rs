//! `headcount authority enrol`: the answer to a host's request.

use std::path::PathBuf;

use clap::Args;
use headcount::daemon::files::{self, Secrecy};
use headcount::wire::Kind;
use serde_json::json;

use super::answered::AnsweredFrame;
use super::asking::FolderArgument;
use crate::folder::keep_apart;
use crate::inspect::read_frame;
use crate::output::{Exit, Output, Problem};

/// Answer a host's enrolment request with a certificate, or a refusal.
///
/// Both are files of 250 bytes. The same request gets the same answer, and is counted once. A
/// refusal is written too, for the host to show. 'authority answer' does many at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount authority enrol request.bin --out response.bin --dir vendor

Exit codes: 0 enrolled, 4 refused (the answer says so), 6 not to be trusted (no answer).")]
pub(super) struct Arguments {
    /// The host's request: 250 bytes, or their hexadecimal digits; - for standard input.
    request: PathBuf,
    /// Write the answer to this file.
    #[arg(long, value_name = "RESPONSE")]
    out: PathBuf,
    #[command(flatten)]
    folder: FolderArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { request, out, folder } = arguments;
    keep_apart(request, out)?;
    let frame = read_frame(request)?;
    if Kind::of(&frame) == Ok(Kind::Request) {
        let cause = format!("{}: a machine's request, not a host's", request.display());
        return Err(Problem::new(Exit::NotTrusted, cause)
            .advise("Answer it with: headcount authority answer FILE"));
    }
    let answered = AnsweredFrame::ask(&folder.access()?, &frame)?;
    files::write(out, answered.frame(), Secrecy::Public)?;
    let mut document = answered.document()?;
    document["response"] = json!(out.display().to_string());
    if let Some(refused) = answered.refused()? {
        return Err(refused.with_details(document));
    }
    output.document(&document);
    answered.report(output)?;
    output.line(format_args!(
        "Wrote {}. The host takes it with: headcount host enrol --response FILE --config DIR",
        out.display()
    ));
    Ok(Exit::Done)
}
