//! Enrolment on line.

use headcount::daemon::{
    Clock, EnrolmentKey, ExchangeError, NotEnrolled, SystemClock, Transport, parse_host,
};
use headcount::discovery::Host;
use headcount::trust::UntrustedGrant;

use super::{CONFIG, refused, report};
use crate::host::Installed;
use crate::interruptible;
use crate::output::{Exit, Output, Problem};

pub(super) fn run(
    host: &Installed,
    key: &EnrolmentKey,
    place: Option<&str>,
    transport: Option<Transport>,
    output: Output,
) -> Result<Exit, Problem> {
    // A host without products knows no root key, and would believe nothing.
    let products = host.products()?;
    let enrolment = &host.config.enrolment;
    let place = match place {
        Some(given) => parse_host(given).map(Some),
        None => enrolment.place(products),
    };
    let place = place.map_err(|reason| Problem::new(Exit::Usage, reason))?.ok_or_else(|| {
        Problem::new(Exit::Usage, "nobody says where the vendor's authority is").advise(
            format_args!(
                "Name it: --online NAME[:PORT], or authority = \"NAME:PORT\" under [enrolment] in \
                 {CONFIG}. Without a network: --request FILE."
            ),
        )
    })?;
    let transport = transport.unwrap_or(enrolment.transport);
    let applicant = host.applicant()?;
    output.line(format_args!("Asking the authority, {place} ({transport}) ..."));
    let clock = SystemClock::start().now().clock;
    let asked = interruptible::run(applicant.ask(key, &place, transport, clock))?;
    let asked = asked.ok_or_else(|| {
        Problem::new(Exit::Interrupted, "interrupted before the authority answered")
            .advise("Ask again: should it have granted a certificate, it counts nothing more.")
    })?;
    let answered = asked.map_err(|error| unanswered(error, &place))?;
    let certificate = answered.map_err(refused)?;
    applicant.accept(&certificate)?;
    report(&certificate, output);
    Ok(Exit::Done)
}

fn unanswered(error: NotEnrolled, place: &Host) -> Problem {
    let error = match error {
        NotEnrolled::File(error) => return error.into(),
        NotEnrolled::Exchange(error) => error,
    };
    let cause = format!("asking {place}: {error}");
    match error {
        ExchangeError::Discarded(untrusted) => {
            Problem::new(Exit::NotTrusted, cause).advise(match untrusted {
                UntrustedGrant::Malformed(_) => "Does something else listen there?",
                UntrustedGrant::UnknownRoot(_) | UntrustedGrant::Signature => {
                    "Is it the authority of the products' own vendor? Their files name its root key."
                }
                UntrustedGrant::OtherRequest | UntrustedGrant::Certificate => {
                    "Ask again. If it stays so, something between answers in the authority's place."
                }
            })
        }
        ExchangeError::Unknown(_) => Problem::new(Exit::NobodyAnswered, cause)
            .advise("Compare the name with the one that the vendor gave."),
        ExchangeError::Connection(_) | ExchangeError::TimedOut => {
            Problem::new(Exit::NobodyAnswered, cause).advise(
                "Is name and port right, and does a firewall let it through? An authority does not \
                 answer requests that were made with another vendor's host key.",
            )
        }
    }
}
