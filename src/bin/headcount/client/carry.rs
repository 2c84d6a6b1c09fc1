//! `headcount client request` and `apply`: activation by key without a network.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use headcount::client::{Outcome, Rejection, Step};
use headcount::daemon::files::{self, FileError, Secrecy};
use headcount::daemon::{Clock, SystemClock, system_rng};
use headcount::time::Now;
use headcount::trust::{ParsedRequest, TagSchedule, Untrusted};
use headcount::wire::{FRAME_LEN, Frame, Request};
use serde_json::json;

use super::asked::refusal_cause;
use super::installed::{FindingClient, Installed, State};
use super::{ConfigArgument, install, report};
use crate::folder::keep_apart;
use crate::given_key::KeyArguments;
use crate::inspect::read_bytes;
use crate::output::{Exit, Output, Problem};
use crate::qr;

/// Write a request for the authority into a file or a QR code, to be carried there.
///
/// 'headcount authority answer' answers it, or a proxy has it answered for many machines; 'headcount
/// client apply' takes the answer. Until then the same request is written again. It bears no time, so
/// it may be under way for as long as it takes.
#[derive(Debug, Args)]
#[command(
    // Not of one argument, whose error would tell nothing of the other.
    group = ArgGroup::new("place").required(true).multiple(true).args(["out", "qr"]),
    after_help = "\
Example:
  headcount client request --key-file mak.txt --out router.request --config /var/lib/router
  headcount client apply router.answer --config /var/lib/router"
)]
pub(super) struct RequestArguments {
    /// Write the request, 250 bytes, to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Show the request as a QR code: its bytes in hexadecimal digits.
    #[arg(long)]
    qr: bool,
    /// Tell the machine's name. It is left out otherwise.
    #[arg(long)]
    with_name: bool,
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    config: ConfigArgument,
}

/// Take an answer of the authority that was carried here.
///
/// Either the answer to the request that 'headcount client request' wrote, or a request of this
/// machine together with its answer, as a proxy keeps them: that makes a machine whose disk was made
/// anew again what it was, and uses up nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client apply router.answer --config /var/lib/router

Exit codes: 0 activated, 4 refused, 6 not to be trusted.")]
pub(super) struct ApplyArguments {
    /// The answer, 250 bytes, or request and answer, 500; also as hexadecimal digits. - for standard
    /// input.
    file: PathBuf,
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn request(arguments: &RequestArguments, output: Output) -> Result<Exit, Problem> {
    let mut installed = Installed::read(&arguments.config)?;
    let mut state = installed.open()?;
    if let Some(key) = arguments.key.read()? {
        install::install_multiple_activation_key(&mut installed, &key)?;
    }
    check_key(&installed)?;
    if !arguments.with_name {
        installed.withhold_name();
    }
    let installed = installed;
    let frame = pending(&installed, &mut state, Names::AsAsked)?;
    let hex = files::to_hex(&frame).to_uppercase();
    if let Some(out) = &arguments.out {
        keep_apart(&request_path(&installed), out)?;
        files::write(out, &frame, Secrecy::Public)?;
        output.line(format_args!("Wrote the request to {}.", out.display()));
    }
    if arguments.qr {
        qr::show(&hex, output)?;
    }
    output.document(&json!({
        "request": arguments.out.as_ref().map(|out| out.display().to_string()),
        "key_id": installed.key.as_ref().map(|key| key.key_id.0),
        "hexadecimal": arguments.qr.then_some(hex),
    }));
    output.line("Have it answered, and take the answer with: headcount client apply FILE");
    Ok(Exit::Done)
}

pub(super) fn apply(arguments: &ApplyArguments, output: Output) -> Result<Exit, Problem> {
    let installed = Installed::read(&arguments.config)?;
    let bytes = read_bytes(&arguments.file)?;
    let mut state = installed.open()?;
    let (request, answer) = match bytes.as_slice().split_first_chunk::<FRAME_LEN>() {
        Some((answer, [])) => (waiting(&installed)?, *answer),
        Some((request, answer)) if answer.len() == FRAME_LEN => {
            (*request, *answer.first_chunk().unwrap_or(&[0; FRAME_LEN]))
        }
        _ => {
            let cause = format!(
                "{}: {} bytes, an answer has 250, a request with its answer 500",
                arguments.file.display(),
                bytes.len()
            );
            return Err(Problem::new(Exit::NotTrusted, cause)
                .advise("Was the file sent as it is, not cut and not in an archive?"));
        }
    };
    take(&installed, &mut state, &request, &answer, output)
}

/// Gives the client an activation that was carried here.
pub(super) fn take(
    installed: &Installed,
    state: &mut State,
    request: &Frame,
    answer: &Frame,
    output: Output,
) -> Result<Exit, Problem> {
    let product = installed.product()?;
    let settings = installed.search.settings();
    let (clock, mut rng) = (SystemClock::start(), system_rng());
    let mut client = installed.client(&product, &settings, state, clock.now(), &mut rng)?;
    let outcome = client.take_stored(clock.now(), &mut rng, request, answer).map_err(distrust)?;
    if let Outcome::Refused(refusal) = outcome {
        let cause = format!("the authority refused: {}", refusal_cause(refusal));
        let advice = format!("'headcount explain {}' tells more.", refusal.name());
        let problem = Problem::new(Exit::Refused, format!("{cause} (status {})", refusal.code()));
        return Err(problem.advise(advice).with_details(json!({ "status": refusal.code() })));
    }
    state.save(&client.image(clock.now()))?;
    forget(installed)?;
    output.document(&report::document(installed, &client, clock.now()));
    output.line(report::activated(&client, clock.now()));
    if installed.key.is_none() {
        output.line(
            "No key is installed here: 'headcount client activate' would ask hosts. With \
             'headcount client install-key' it asks nobody but the authority.",
        );
    }
    Ok(Exit::Done)
}

/// Whether the machine's name in a request matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    AsAsked,
    Whatever,
}

/// Only by key can activations be carried.
pub(super) fn check_key(installed: &Installed) -> Result<(), Problem> {
    if installed.key.is_some() {
        return Ok(());
    }
    Err(Problem::new(Exit::Usage, "no key is installed, and a host is asked on line only")
        .advise("Give a multiple activation key with --key-file FILE."))
}

/// The request that waits for its answer: the one that was made before, as long as it says what the
/// machine would say now.
pub(super) fn pending(
    installed: &Installed,
    state: &mut State,
    names: Names,
) -> Result<Frame, Problem> {
    let product = installed.product()?;
    let settings = installed.search.settings();
    let (clock, mut rng) = (SystemClock::start(), system_rng());
    let mut client = installed.client(&product, &settings, state, clock.now(), &mut rng)?;
    client.ask_now(clock.now());
    let frame = make(&mut client, state, &clock)?;
    let path = request_path(installed);
    if let Some(before) = read_request(&path)?
        && says_the_same(installed, &before, &frame, names)
    {
        return Ok(before);
    }
    // Remembered first: an answer to a request that is forgotten could not be taken.
    files::write(&path, &frame, Secrecy::Secret)?;
    Ok(frame)
}

fn make(
    client: &mut FindingClient<'_>,
    state: &mut State,
    clock: &SystemClock,
) -> Result<Frame, Problem> {
    let mut rng = system_rng();
    loop {
        // Without the time of day: the authority may see it late.
        let now = clock.now();
        match client.poll(Now::new(now.monotonic, None), &mut rng) {
            Step::Save => state.save(&client.image(now))?,
            Step::Report(_) => {}
            Step::Send { .. } | Step::Find(_) | Step::Wait { .. } => break,
        }
    }
    let frame = client.pending_frame().copied();
    frame.ok_or_else(|| Problem::new(Exit::Failed, "the client makes no request"))
}

fn says_the_same(installed: &Installed, before: &Frame, now: &Frame, names: Names) -> bool {
    let Some(key) = &installed.key else { return false };
    let schedule = TagSchedule::new(&key.tag_key);
    let read = |frame| ParsedRequest::parse(frame).ok()?.verify(&schedule).ok();
    let (Some(before), Some(now)) = (read(before), read(now)) else { return false };
    let Request { renewal, licence_status, time_left, nonce, .. } = *before;
    // These tell no machine from another.
    let mut now = Request { renewal, licence_status, time_left, nonce, ..now.into_inner() };
    if names == Names::Whatever {
        now.workstation_name = before.workstation_name;
    }
    before.into_inner() == now
}

fn request_path(installed: &Installed) -> PathBuf {
    installed.folder().join("request")
}

pub(super) fn waiting(installed: &Installed) -> Result<Frame, Problem> {
    read_request(&request_path(installed))?.ok_or_else(|| {
        Problem::new(Exit::Usage, "no request waits for an answer").advise(
            "Make one with 'headcount client request', or give the request together with its \
             answer, as a proxy keeps them.",
        )
    })
}

fn read_request(path: &Path) -> Result<Option<Frame>, Problem> {
    if !path.exists() {
        return Ok(None);
    }
    Ok(files::read(path)?.as_slice().try_into().ok())
}

/// The request has its answer.
fn forget(installed: &Installed) -> Result<(), Problem> {
    let path = request_path(installed);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::new(&path, "cannot remove", error).into())
        }
        _ => Ok(()),
    }
}

fn distrust(rejection: Rejection) -> Problem {
    let advice = match rejection {
        Rejection::OtherHardware => {
            "Was another machine's file taken, or has this machine's hardware changed?"
        }
        Rejection::Unconfirmed(_) => {
            "Was it for another machine, or is this another vendor's? 'headcount client phone' shows \
             the id that is to be confirmed."
        }
        Rejection::OtherProduct => "It was made for another product or edition.",
        Rejection::ByCount => {
            "Only the authority's answers can be carried: hosts are asked on line."
        }
        Rejection::Untrusted(Untrusted::OtherRequest) => {
            "Was it made for another machine, or was a new request made since?"
        }
        Rejection::Untrusted(Untrusted::Malformed(_)) => {
            "'headcount inspect' shows what it is. Was the file sent as it is?"
        }
        _ => "Is it an answer of this product's vendor?",
    };
    let cause = format!("the answer is not to be trusted: {rejection}");
    Problem::new(Exit::NotTrusted, cause).advise(advice)
}
