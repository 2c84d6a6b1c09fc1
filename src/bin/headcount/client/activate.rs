//! `headcount client activate` and `rearm`.

use clap::Args;
use headcount::client::{Event, Outcome, Step};
use headcount::daemon::{
    Clock, ExchangeError, HostSearch, Resolver, SystemClock, Transport, ask, system_rng,
};
use headcount::discovery::{Find, Host, HostName, Hosts};
use rand_core::CryptoRng;

use super::asked::{self, Asked, LookedUp, most_telling};
use super::installed::{FindingClient, Installed, State};
use super::tally::Tally;
use super::{ConfigArgument, authority, install, report};
use crate::given_key::KeyArguments;
use crate::interruptible;
use crate::output::{Exit, Output, Problem};

/// Ask for activation now, or for its renewal.
///
/// Asks each host until one answers. Hosts are those of --host, else those set in the configuration,
/// else the one that answered last and those found in DNS ('headcount client discover' shows them). Run
/// it again (a timer once an hour does) until it ends with exit code 0, and then weekly.
///
/// With a multiple activation key, given here or by 'headcount client install-key' before, the vendor's
/// authority is asked instead; what it grants is for ever.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client activate --config /var/lib/router --host counting.example:1688
  headcount client activate --config /var/lib/router --key-file mak.txt --authority keys.example")]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// A host to ask instead of the configured ones; may be repeated.
    #[arg(long = "host", value_name = "NAME[:PORT]", conflicts_with_all = ["key", "key_file"])]
    hosts: Vec<String>,
    #[command(flatten)]
    key: KeyArguments,
    /// The vendor's authority, port 1688 when none is given, instead of the configured one.
    #[arg(long, value_name = "NAME[:PORT]", conflicts_with = "hosts")]
    authority: Option<String>,
    /// How to ask; tcp unless the configuration says otherwise.
    #[arg(long)]
    transport: Option<Transport>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let mut installed = Installed::read(&arguments.config)?;
    installed.override_search(&arguments.hosts, arguments.transport)?;
    let mut state = installed.open()?;
    if let Some(key) = arguments.key.read()? {
        install::install_multiple_activation_key(&mut installed, &key)?;
    }
    let installed = installed;
    let authority = whom(&installed, arguments)?;
    let settings = installed.search.settings();
    let product = installed.product()?;
    let clock = SystemClock::start();
    let mut rng = system_rng();
    let mut client = installed.client(&product, &settings, &state, clock.now(), &mut rng)?;
    client.ask_now(clock.now());
    let (search, resolver) = (&installed.search, &installed.resolver);
    let round = Round { search, resolver, authority, clock, output };
    let mut asked = Vec::new();
    let mut looked = Vec::new();
    let work = round.ask_all(&mut client, &mut state, &mut rng, &mut asked, &mut looked);
    let done = interruptible::run(work)?;
    let mut document = report::document(&installed, &client, clock.now());
    document["hosts"] = asked::document(&asked);
    document["dns"] = looked.iter().map(LookedUp::document).collect();
    let Some(done) = done else {
        let interrupted = Problem::new(Exit::Interrupted, "interrupted before anybody answered");
        return Err(interrupted.with_details(document));
    };
    done.map_err(|problem| problem.with_details(document.clone()))?;
    // One of --host was meant for this run.
    if arguments.hosts.is_empty() && installed.key.is_none() {
        // Only a convenience for the next run, and the activation is safe: no reason to fail.
        let _ = installed.remember_host(&client);
    }
    let exit = conclude(&client, &round, &asked, &looked)
        .map_err(|problem| problem.with_details(document.clone()))?;
    output.document(&document);
    Ok(exit)
}

/// Where the authority is, when it is to be asked.
fn whom(installed: &Installed, arguments: &Arguments) -> Result<Option<Host>, Problem> {
    let problem = |cause| Err(Problem::new(Exit::Usage, cause));
    match &installed.key {
        Some(_) if !arguments.hosts.is_empty() => {
            let with_host = problem("a key is installed, so the authority is asked and no host");
            with_host.map_err(|problem| {
                problem.advise("'headcount client install-key --setup' goes back to hosts.")
            })
        }
        Some(_) => authority::place(installed, arguments.authority.as_deref()),
        None if arguments.authority.is_some() => {
            let without_key = problem("no key is installed, and the authority activates by key");
            without_key.map_err(|problem| problem.advise("Give one with --key-file FILE."))
        }
        None => Ok(None),
    }
}

pub(super) fn rearm(config: &ConfigArgument, output: Output) -> Result<Exit, Problem> {
    let installed = Installed::read(config)?;
    let product = installed.product()?;
    let now = SystemClock::start().now();
    let mut rng = system_rng();
    let mut state = installed.open()?;
    let settings = installed.search.settings();
    let mut client = installed.client(&product, &settings, &state, now, &mut rng)?;
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
pub(super) struct Round<'a> {
    pub(super) search: &'a HostSearch,
    pub(super) resolver: &'a Resolver,
    /// Where the authority is, when it is to be asked.
    pub(super) authority: Option<Host>,
    pub(super) clock: SystemClock,
    pub(super) output: Output,
}

impl Round<'_> {
    async fn ask_all(
        &self,
        client: &mut FindingClient<'_>,
        state: &mut State,
        rng: &mut impl CryptoRng,
        asked: &mut Vec<Asked>,
        looked: &mut Vec<LookedUp>,
    ) -> Result<(), Problem> {
        loop {
            match client.poll(self.clock.now(), rng) {
                Step::Save => state.save(&client.image(self.clock.now()))?,
                Step::Report(event) => tell(event, self.output),
                Step::Wait { .. } => return Ok(()),
                Step::Find(Find::Query) => {
                    looked.extend(self.look_for_hosts(client, rng).await);
                }
                Step::Find(Find::LookUp) => {
                    asked.extend(self.look_up(client, rng).await);
                }
                Step::Send { .. } => {
                    let Some(answer) = self.ask(client, rng).await else { return Ok(()) };
                    // After an automatic rearm the same host is asked again, as one with several
                    // addresses is: the later word counts.
                    asked.retain(|earlier| earlier.host != answer.host);
                    asked.push(answer);
                }
            }
        }
    }

    /// Does what [`Find::Query`] says.
    async fn look_for_hosts(
        &self,
        client: &mut FindingClient<'_>,
        rng: &mut impl CryptoRng,
    ) -> Option<LookedUp> {
        let Self { search, resolver, clock, output, .. } = self;
        let query = client.query()?.clone();
        let service = query.name().to_string();
        output.line(format_args!("Looking for {service} in DNS ..."));
        let answered = resolver.ask(&query, |message| {
            let hosts = Tally::of(query.answer(message)?.services(), search);
            client.handle_dns_answer(clock.now(), rng, message).map(|()| hosts)
        });
        let ended = answered.await.map(|(_, hosts)| hosts).map_err(|error| error.to_string());
        if ended.is_err() {
            client.give_up_finding(clock.now(), rng);
        }
        let looked = LookedUp { service, ended };
        output.line(format_args!("  {}", looked.reason()));
        Some(looked)
    }

    /// Does what [`Find::LookUp`] says. The host counts as asked when it cannot be.
    async fn look_up(
        &self,
        client: &mut FindingClient<'_>,
        rng: &mut impl CryptoRng,
    ) -> Option<Asked> {
        let now = || self.clock.now();
        let name = client.name_to_look_up()?.clone();
        let host = client.hosts().hosts().host()?.to_string();
        let by_hand = !self.search.hosts.is_empty();
        let found = if by_hand {
            self.resolver.addresses_by_hand(&name, rng).await
        } else {
            self.resolver.addresses(&name, rng).await
        };
        let reason = match found {
            Ok(addresses) if !addresses.is_empty() => {
                client.handle_addresses(now(), rng, &addresses);
                return None;
            }
            Ok(_) => format!("{name} has none"),
            Err(error) => error.to_string(),
        };
        client.give_up_finding(now(), rng);
        if client.hosts().hosts().address().is_some() {
            self.output
                .line(format_args!("Where is {name}? {reason}. It is asked where it was last."));
            return None;
        }
        let unknown = Asked { host, by_key: false, ended: Err(ExchangeError::Unknown(reason)) };
        self.output.line(format_args!("Not asking {}: {}", unknown.host, unknown.reason()));
        Some(unknown)
    }

    /// Does what [`Step::Send`] says.
    async fn ask(&self, client: &mut FindingClient<'_>, rng: &mut impl CryptoRng) -> Option<Asked> {
        let Self { search, clock, output, .. } = self;
        if let (Some(_), Some(authority)) = (client.hosts().key(), &self.authority) {
            return Some(self.ask_authority(authority, client, rng).await);
        }
        let transport = search.transport;
        let address = client.address()?;
        let host = client.hosts().hosts().host()?.to_string();
        match client.hosts().hosts().name()? {
            HostName::Address(_) => output.line(format_args!("Asking {address} ({transport}) ...")),
            HostName::Name(name) => {
                output.line(format_args!("Asking {name} at {address} ({transport}) ..."));
            }
        }
        let ended = ask(client, clock, rng, transport, address).await;
        let answer = Asked { host, by_key: false, ended };
        if answer.exit() != Exit::Done {
            output.line(format_args!("  {}", answer.reason()));
        }
        Some(answer)
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
fn conclude(
    client: &FindingClient<'_>,
    round: &Round<'_>,
    asked: &[Asked],
    looked: &[LookedUp],
) -> Result<Exit, Problem> {
    let licence = client.licence(round.clock.now());
    if let Some(Asked { ended: Ok(Outcome::Activated { .. }), .. }) = most_telling(asked) {
        round.output.line(report::activated(client, round.clock.now()));
        return Ok(Exit::Done);
    }
    let problem = asked::problem(asked, looked);
    Err(if client.is_activated(round.clock.now()) {
        problem
            .advise_also(format_args!("The machine stays activated for {}.", report::left(licence)))
    } else {
        problem
    })
}
