//! `headcount client activate` and `rearm`.

use std::num::NonZeroU8;

use clap::Args;
use headcount::client::{Client, Discard, Event, Failure, Outcome, Step};
use headcount::daemon::{Clock, ExchangeError, SystemClock, Transport, ask, system_rng};
use headcount::wire::Refusal;
use rand_core::CryptoRng;

use super::installed::{Installed, State};
use super::{ConfigArgument, report};
use crate::output::{Exit, Output, Problem};

/// Ask for activation now, or for its renewal.
///
/// Asks each host until one answers. Run it again (a timer once an hour does) until it ends with
/// exit code 0, and then weekly.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client activate --config /var/lib/router --host counting.example:1688")]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// A host to ask instead of the configured ones; may be repeated.
    #[arg(long = "host", value_name = "NAME[:PORT]")]
    hosts: Vec<String>,
    /// How to ask; tcp unless the configuration says otherwise.
    #[arg(long)]
    transport: Option<Transport>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let installed = Installed::read(&arguments.config)?;
    let hosts = installed.hosts(&arguments.hosts)?;
    let transport = arguments.transport.unwrap_or(installed.config.transport);
    let product = installed.product()?;
    let clock = SystemClock::start();
    let mut rng = system_rng();
    let mut state = installed.open()?;
    let count = u8::try_from(hosts.len()).ok().and_then(NonZeroU8::new).unwrap_or(NonZeroU8::MIN);
    let mut client = installed.client(&product, count, &state, clock.now(), &mut rng)?;
    if let Some(last) = installed.last_host()
        && let Some(index) = hosts.iter().position(|host| *host == last)
    {
        client.prefer_host(u8::try_from(index).unwrap_or_default());
    }
    client.ask_now(clock.now());
    let round = Round { installed: &installed, hosts: &hosts, transport, clock, output };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    let asked = runtime.block_on(async {
        tokio::select! {
            asked = round.ask_all(&mut client, &mut state, &mut rng) => Some(asked),
            _ = tokio::signal::ctrl_c() => None,
        }
    });
    let document = report::document(&installed, &client, clock.now());
    let Some(asked) = asked else {
        let interrupted = Problem::new(Exit::Interrupted, "interrupted before a host answered");
        return Err(interrupted.with_details(document));
    };
    asked?;
    let exit =
        conclude(&client, &round).map_err(|problem| problem.with_details(document.clone()))?;
    output.document(&document);
    Ok(exit)
}

pub(super) fn rearm(config: &ConfigArgument, output: Output) -> Result<Exit, Problem> {
    let installed = Installed::read(config)?;
    let product = installed.product()?;
    let now = SystemClock::start().now();
    let mut rng = system_rng();
    let mut state = installed.open()?;
    let mut client = installed.client(&product, NonZeroU8::MIN, &state, now, &mut rng)?;
    client.rearm(now, &mut rng).map_err(|limit| {
        Problem::new(Exit::Refused, limit)
            .advise("Its vendor decides how often; a clone that a host reports rearms by itself.")
    })?;
    state.save(&client.image(now))?;
    output.document(&report::document(&installed, &client, now));
    output.line(format_args!(
        "Rearmed: machine id {}, {} more times possible.",
        client.cmid(),
        client.rearms_left()
    ));
    output.line("The machine is not activated now: run 'headcount client activate'.");
    Ok(Exit::Done)
}

/// One round of asking, as far as the client wants to go now.
struct Round<'a> {
    installed: &'a Installed,
    hosts: &'a [String],
    transport: Transport,
    clock: SystemClock,
    output: Output,
}

impl Round<'_> {
    async fn ask_all(
        &self,
        client: &mut Client<'_>,
        state: &mut State,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Problem> {
        let Self { installed, hosts, transport, clock, output } = self;
        loop {
            match client.poll(clock.now(), rng) {
                Step::Save => state.save(&client.image(clock.now()))?,
                Step::Report(event) => tell(event, *output),
                Step::Wait { .. } => return Ok(()),
                Step::Send { host } => {
                    let Some(host) = hosts.get(usize::from(host)) else { return Ok(()) };
                    output.line(format_args!("Asking {host} ({transport}) ..."));
                    match ask(client, clock, rng, *transport, host).await {
                        Ok(_) => installed.remember_host(host)?,
                        Err(error) => output.line(format_args!("  {}", failure(&error))),
                    }
                }
            }
        }
    }
}

fn failure(error: &ExchangeError<Discard>) -> String {
    match error {
        ExchangeError::Discarded(discard) => format!("answer discarded: {discard}"),
        other => other.to_string(),
    }
}

fn tell(event: Event, output: Output) {
    match event {
        Event::StatusChanged { from, to } => {
            output.line(format_args!("Licence status: {} (was {})", to.name(), from.name()));
        }
        Event::ExpiresSoon { left } => {
            output.line(format_args!("The activation ends in {} days.", left.as_secs() / 86_400));
        }
        Event::StoredActivationRejected(rejection) => {
            output.line(format_args!("The stored activation does not count: {rejection}."));
        }
        Event::Rearmed => output.line(
            "Another machine uses this machine's id (an image was cloned): it has a new one now.",
        ),
        _ => {}
    }
}

/// Says how the last exchange ended, the cause first.
fn conclude(client: &Client<'_>, round: &Round<'_>) -> Result<Exit, Problem> {
    let now = round.clock.now();
    let still = if client.is_activated(now) {
        format!(" The machine stays activated for {}.", report::left(client.licence(now)))
    } else {
        String::new()
    };
    let problem = |exit, cause: String, advice: &str| {
        Err(Problem::new(exit, cause).advise(format_args!("{advice}{still}")))
    };
    match client.last_attempt() {
        Some(Ok(Outcome::Activated { count })) => {
            round.output.line(format_args!(
                "Activated for {}. The host counts {count}.",
                report::left(client.licence(now))
            ));
            Ok(Exit::Done)
        }
        Some(Ok(Outcome::BelowThreshold { count, required })) => problem(
            Exit::BelowThreshold,
            format!(
                "the host counts {count} {}, this product needs {required}",
                if count == 1 { "machine" } else { "machines" }
            ),
            "Start more machines and ask again. Do clones share an id, or several hosts the machines?",
        ),
        Some(Ok(Outcome::Refused(refusal))) => problem(
            Exit::Refused,
            format!("the host refused: {}", refusal_cause(refusal)),
            &format!("'headcount explain {}' tells more.", refusal.name()),
        ),
        Some(Err(Failure::Discarded(skew @ Discard::ClockSkew(_)))) => problem(
            Exit::Refused,
            skew.to_string(),
            "At most 4 h are allowed. Set this machine's clock, or the host's.",
        ),
        Some(Err(Failure::Discarded(discard))) => problem(
            Exit::NotTrusted,
            format!("the answer is not to be trusted: {discard}"),
            "Is this a host of this product's vendor, and enrolled?",
        ),
        Some(Err(Failure::NoAnswer)) | None => problem(
            Exit::NobodyAnswered,
            format!("nobody answered: {}", round.hosts.join(", ")),
            "Does the host run, is it enrolled for this product, and is port 1688 open on the way? \
             A host is silent to requests with another setup key.",
        ),
    }
}

fn refusal_cause(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownProduct => "it does not serve this product",
        Refusal::NotCovered => "its certificate does not cover this product",
        Refusal::ClockSkew => "the clocks are more than 4 h apart",
        Refusal::NotEnrolled => "its certificate is not valid now",
        Refusal::UnknownKey => "the key is unknown",
        Refusal::KeyExhausted => "the key is used up",
        Refusal::KeyBlocked => "the key is blocked",
        Refusal::Busy => "it is busy",
    }
}
