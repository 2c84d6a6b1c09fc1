//! `headcount client activate` and `rearm`.

use std::num::NonZeroU8;

use clap::Args;
use headcount::client::{Client, Event, Outcome, Step};
use headcount::daemon::{Clock, SystemClock, Transport, ask, system_rng};
use rand_core::CryptoRng;

use super::asked::{self, Asked, most_telling};
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
    let round = Round { hosts: &hosts, transport, clock, output };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    let mut asked = Vec::new();
    let done = runtime.block_on(async {
        tokio::select! {
            // Listened for before anything is sent.
            biased;
            _ = tokio::signal::ctrl_c() => None,
            done = round.ask_all(&mut client, &mut state, &mut rng, &mut asked) => Some(done),
        }
    });
    let mut document = report::document(&installed, &client, clock.now());
    document["hosts"] = asked::document(&asked);
    let Some(done) = done else {
        let interrupted = Problem::new(Exit::Interrupted, "interrupted before a host answered");
        return Err(interrupted.with_details(document));
    };
    done.map_err(|problem| problem.with_details(document.clone()))?;
    let counts = |asked: &&Asked| matches!(asked.exit(), Exit::Done | Exit::BelowThreshold);
    if let Some(answered) = asked.iter().find(counts) {
        // Only a convenience for the next run, and the activation is safe: no reason to fail.
        let _ = installed.remember_host(&answered.host);
    }
    let exit = conclude(&client, &round, &asked)
        .map_err(|problem| problem.with_details(document.clone()))?;
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
        asked: &mut Vec<Asked>,
    ) -> Result<(), Problem> {
        let Self { hosts, transport, clock, output } = self;
        loop {
            match client.poll(clock.now(), rng) {
                Step::Save => state.save(&client.image(clock.now()))?,
                Step::Report(event) => tell(event, *output),
                Step::Wait { .. } => return Ok(()),
                Step::Send { host } => {
                    let Some(host) = hosts.get(usize::from(host)) else { return Ok(()) };
                    output.line(format_args!("Asking {host} ({transport}) ..."));
                    let ended = ask(client, clock, rng, *transport, host).await;
                    let answer = Asked { host: host.clone(), ended };
                    if answer.exit() != Exit::Done {
                        output.line(format_args!("  {}", answer.reason()));
                    }
                    // After an automatic rearm the same host is asked again: the later word counts.
                    asked.retain(|earlier| earlier.host != answer.host);
                    asked.push(answer);
                }
            }
        }
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

/// Says how it ended, the cause first.
fn conclude(client: &Client<'_>, round: &Round<'_>, asked: &[Asked]) -> Result<Exit, Problem> {
    let licence = client.licence(round.clock.now());
    if let Some(Asked { ended: Ok(Outcome::Activated { count }), .. }) = most_telling(asked) {
        round.output.line(format_args!(
            "Activated for {}. The host counts {count}.",
            report::left(licence)
        ));
        return Ok(Exit::Done);
    }
    let problem = asked::problem(asked);
    Err(if client.is_activated(round.clock.now()) {
        problem
            .advise_also(format_args!("The machine stays activated for {}.", report::left(licence)))
    } else {
        problem
    })
}
