//! `headcount authority answer`: requests that were carried here, many at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use headcount::daemon::files::{self, Secrecy};
use serde_json::{Value, json};

use super::answered::AnsweredFrame;
use super::asking::{Asked, FolderArgument};
use crate::folder::keep_apart;
use crate::inspect::read_frame;
use crate::output::{Exit, Output, Problem};

/// Answer requests that were carried here: of hosts for enrolment and of machines for activation by
/// key, many at once.
///
/// Each is a file of 250 bytes, or of their hexadecimal digits, as a QR code holds them. The answer
/// to router.request is written to router.answer, beside it or in another folder. The same request
/// gets the same answer, and is counted once. A refusal is an answer, too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount authority answer router.request
  headcount authority answer carried/*.request --out-dir answers --dir vendor

Exit codes: 0 all granted, 1 a file or the database failed, 4 some refused (the answers say so),
6 some not to be trusted (no answers to them). Of several the worst: 1, then 6, then 4.")]
pub(super) struct Arguments {
    /// The requests.
    #[arg(required = true, value_name = "FRAMES")]
    requests: Vec<PathBuf>,
    /// Write the answers to this folder, which is made when it does not exist.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    #[command(flatten)]
    folder: FolderArgument,
}

/// What became of the requests.
#[derive(Default)]
struct Tally {
    documents: Vec<Value>,
    granted: u32,
    refused: u32,
    untrusted: u32,
    failed: u32,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let places = places(&arguments.requests, arguments.out_dir.as_deref())?;
    let authority = arguments.folder.access()?;
    if let Some(folder) = &arguments.out_dir {
        std::fs::create_dir_all(folder).map_err(|error| {
            Problem::new(Exit::Failed, format!("cannot create {}: {error}", folder.display()))
        })?;
    }
    let mut tally = Tally::default();
    for (request, answer) in &places {
        tally.note(request, answer_one(&authority, request, answer), output);
    }
    tally.finish(output)
}

/// Where the answers go. No two may share a place, and none takes a request's.
fn places<'a>(
    requests: &'a [PathBuf],
    folder: Option<&Path>,
) -> Result<Vec<(&'a Path, PathBuf)>, Problem> {
    let mut taken: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    let mut places = Vec::new();
    for request in requests {
        let usage = |cause: String| Problem::new(Exit::Usage, cause).advise("Rename one.");
        if request.file_stem().is_none() || request == Path::new("-") {
            return Err(usage(format!("{} names no file", request.display())));
        }
        let mut answer = request.with_extension("answer");
        if let (Some(folder), Some(name)) = (folder, answer.file_name()) {
            answer = folder.join(name);
        }
        if let Some(other) = taken.insert(answer.clone(), request) {
            return Err(usage(format!(
                "{} and {} would both be answered in {}",
                other.display(),
                request.display(),
                answer.display()
            )));
        }
        places.push((request.as_path(), answer));
    }
    for request in requests {
        for (_, answer) in &places {
            keep_apart(request, answer)?;
        }
    }
    Ok(places)
}

fn answer_one(authority: &Asked, request: &Path, answer: &Path) -> Result<AnsweredFrame, Problem> {
    let answered = AnsweredFrame::ask(authority, &read_frame(request)?)?;
    files::write(answer, answered.frame(), Secrecy::Public)?;
    Ok(answered)
}

impl Tally {
    fn note(&mut self, request: &Path, result: Result<AnsweredFrame, Problem>, output: Output) {
        let described = result.and_then(|answered| {
            Ok((answered.document()?, answered.summary()?, answered.refused()?))
        });
        let name = request.display();
        let mut document = match described {
            Ok((document, summary, refused)) => {
                let count = if refused.is_some() { &mut self.refused } else { &mut self.granted };
                *count = count.saturating_add(1);
                output.line(format_args!("{name}: {summary}"));
                document
            }
            Err(problem) => {
                let count = match problem.exit() {
                    Exit::NotTrusted => &mut self.untrusted,
                    _ => &mut self.failed,
                };
                *count = count.saturating_add(1);
                let cause = problem.cause();
                let cause = cause.strip_prefix(&format!("{name}: ")).unwrap_or(cause);
                output.line(format_args!("{name}: no answer: {cause}"));
                json!({ "cause": cause })
            }
        };
        document["request"] = json!(name.to_string());
        self.documents.push(document);
    }

    fn finish(self, output: Output) -> Result<Exit, Problem> {
        let Self { documents, granted, refused, untrusted, failed } = self;
        let document = json!({
            "answers": documents,
            "granted": granted,
            "refused": refused,
            "not_trusted": untrusted,
            "failed": failed,
        });
        let exit = match (failed, untrusted, refused) {
            (0, 0, 0) => {
                output.document(&document);
                output.line(format_args!("{granted} granted."));
                return Ok(Exit::Done);
            }
            (0, 0, _) => Exit::Refused,
            (0, _, _) => Exit::NotTrusted,
            _ => Exit::Failed,
        };
        let cause = format!(
            "{granted} granted, {refused} refused, {untrusted} not to be trusted, {failed} failed"
        );
        Err(Problem::new(exit, cause)
            .advise("Requests may be answered again at any time; none is counted twice.")
            .with_details(document))
    }
}
