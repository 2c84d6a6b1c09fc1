//! `headcount host enrol`: the way to a certificate.

mod file;
mod online;
mod phone;

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use headcount::daemon::{EnrolmentKey, HostConfig, Transport, date};
use headcount::wire::{Certificate, Refusal};
use serde_json::json;

use super::{ConfigArgument, Installed, install};
use crate::given_key::KeyArguments;
use crate::output::{Exit, Output, Problem};

/// Get a certificate from the vendor: on line (--online), by files of 250 bytes that travel by any
/// means (--request, then --response), or by phone (--phone, then --phone --confirm).
///
/// Each needs the vendor's host key, which is given here or was installed with 'host install-key'. Do
/// it again before the certificate ends; the same folder counts as the same host. A host that runs
/// takes the new certificate within seconds.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("way").required(true).multiple(true)
        .args(["online", "request", "qr", "response", "phone"]),
    after_help = "\
Example:
  headcount host enrol --online vendor.example --key-file host-key.txt --config /etc/headcount
  headcount host enrol --request request.bin --key-file host-key.txt --config /etc/headcount
  headcount host enrol --response response.bin --config /etc/headcount
  headcount host enrol --phone --key-file host-key.txt --config /etc/headcount
  headcount host enrol --phone --confirm --config /etc/headcount

Exit codes: 0 enrolled, 2 a group is wrong, 4 refused, 5 nobody answered, 6 the answer is not to be trusted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Ask the vendor's authority now. Without a name it is the one under [enrolment] in host.toml, or
    /// else the one in a product file.
    #[arg(
        long,
        value_name = "NAME[:PORT]",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["request", "qr", "response", "phone"],
    )]
    online: Option<String>,
    /// How to ask; tcp unless host.toml says otherwise.
    #[arg(long, requires = "online")]
    transport: Option<Transport>,
    /// Write a request to this file.
    #[arg(long, value_name = "FILE", alias = "out", conflicts_with_all = ["response", "phone"])]
    request: Option<PathBuf>,
    /// Show the request as a QR code: its bytes in hexadecimal digits.
    #[arg(long, conflicts_with_all = ["response", "phone"])]
    qr: bool,
    #[command(flatten)]
    key: KeyArguments,
    /// Take the vendor's answer from this file: 250 bytes, or their hexadecimal digits; - for
    /// standard input.
    #[arg(long, value_name = "FILE", alias = "apply", conflicts_with_all = ["key", "key_file"])]
    response: Option<PathBuf>,
    /// Show the installation id, groups of seven digits to be read to the vendor.
    #[arg(long, conflicts_with = "response")]
    phone: bool,
    /// Take the confirmation id that the vendor reads back: its groups, or without any each one as it
    /// is asked for. From a file or another program by standard input.
    #[arg(
        long,
        value_name = "GROUP",
        num_args = 0..,
        requires = "phone",
        conflicts_with_all = ["key", "key_file"],
    )]
    confirm: Option<Vec<String>>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let host = Installed::read(&arguments.config)?;
    if let Some(response) = &arguments.response {
        return file::apply(&host, response, output);
    }
    if let Some(groups) = &arguments.confirm {
        return phone::confirm(&host, groups, output);
    }
    if let (Some(key_file), Some(request)) = (arguments.key.file(), &arguments.request) {
        crate::folder::keep_apart(key_file, request)?;
    }
    let key = host_key(&host, &arguments.key)?;
    match &arguments.online {
        None if arguments.phone => phone::ask(&host, &key, output),
        Some(place) => {
            let place = Some(place.as_str()).filter(|place| !place.is_empty());
            online::run(&host, &key, place, arguments.transport, output)
        }
        None => file::request(&host, &key, arguments.request.as_deref(), arguments.qr, output),
    }
}

/// The host key that is given, or else the one that is installed.
fn host_key(host: &Installed, given: &KeyArguments) -> Result<EnrolmentKey, Problem> {
    if let Some(key) = given.read()? {
        return EnrolmentKey::of(&key).map_err(install::no_host_key);
    }
    EnrolmentKey::read(host.files.folder())?.ok_or_else(|| {
        Problem::new(Exit::Usage, "no host key is given, and none is installed").advise(
            "Give the vendor's host key with --key-file FILE, or install it: 'headcount host \
             install-key'.",
        )
    })
}

fn report(certificate: &Certificate, output: Output) {
    let claims = &certificate.claims;
    let (from, to) = (date(claims.not_before.start()), date(claims.not_after.start()));
    output.document(&json!({
        "serial": claims.serial, "not_before": from, "not_after": to,
        "family": claims.coverage.family, "rank": claims.coverage.rank,
        "generation": claims.coverage.generation,
    }));
    output.line(format_args!(
        "Enrolled: certificate {} is valid from {from} to {to}.",
        claims.serial
    ));
    output.line("A host that runs takes it within seconds.");
}

fn refused(refusal: Refusal) -> Problem {
    let cause = format!("the vendor refused: {} (status {})", refusal.name(), refusal.code());
    let advice = match refusal {
        Refusal::KeyExhausted => {
            "The host key has no place left for this host. An old host's folder that is restored \
             takes none; else ask the vendor for a higher limit or another key."
        }
        Refusal::KeyBlocked => "Ask the vendor for another host key.",
        Refusal::UnknownKey => {
            "Is it the key of this vendor's own authority, not of a test one? Else ask the vendor."
        }
        Refusal::ClockSkew => {
            "Compare this machine's clock ('date -u') with the right time, and set it."
        }
        Refusal::Busy => "Try again in some minutes: it asks the same, and counts once.",
        Refusal::NotCovered | Refusal::UnknownProduct | Refusal::NotEnrolled => {
            "Ask the vendor whether it is the place where hosts enrol."
        }
    };
    Problem::new(Exit::Refused, cause)
        .advise(advice)
        .advise_also(format_args!("'headcount explain {}' tells more.", refusal.name()))
        .with_details(json!({ "status": refusal.code() }))
}

/// How the host's configuration is named in advice.
const CONFIG: &str = HostConfig::FILE;
