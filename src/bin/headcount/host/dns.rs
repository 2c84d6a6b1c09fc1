//! `headcount host dns`: publication in DNS, by hand.

use std::sync::Arc;

use clap::{Args, Subcommand};
use headcount::daemon::publication::{
    Changed, Configured, Ports, Publication, PublicationError, Publications, PublishError, Seen,
    ServiceRecord,
};
use headcount::daemon::{HostConfig, SystemClock};
use serde_json::{Value, json};

use super::{ConfigArgument, read_config};
use crate::output::{Exit, Output, Problem};

/// Publish the host in DNS, so that clients find it. 'host run' does it by itself.
///
/// host.toml lists the domains under [[dns.publish]].
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount host dns publish --config /etc/headcount
  headcount host dns status --config /etc/headcount
  headcount host dns print --config /etc/headcount > hosts.zone")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add this host's records in every configured domain, now.
    ///
    /// Records of an earlier name, port, priority or weight of this host are replaced. Those of other
    /// hosts stay.
    #[command(after_help = "Example:\n  headcount host dns publish --config /etc/headcount")]
    Publish(ConfigArgument),
    /// Remove this host's records from every configured domain, now.
    ///
    /// A host that runs publishes again within a day: 'host dns off' keeps it from that.
    #[command(after_help = "Example:\n  headcount host dns withdraw --config /etc/headcount")]
    Withdraw(ConfigArgument),
    /// Ask the name servers what is there, and compare it with host.toml.
    #[command(after_help = "Example:\n  headcount host dns status --config /etc/headcount --json")]
    Status(ConfigArgument),
    /// Switch publication off for good, and remove this host's records.
    #[command(after_help = "Example:\n  headcount host dns off --config /etc/headcount")]
    Off(ConfigArgument),
    /// Switch publication on again. A host that runs publishes within seconds.
    #[command(after_help = "Example:\n  headcount host dns on --config /etc/headcount")]
    On(ConfigArgument),
    /// Print the records for a zone file, where updates are not allowed.
    #[command(
        after_help = "Example:\n  headcount host dns print --config /etc/headcount > hosts.zone"
    )]
    Print(ConfigArgument),
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let (Verb::Publish(config)
    | Verb::Withdraw(config)
    | Verb::Status(config)
    | Verb::Off(config)
    | Verb::On(config)
    | Verb::Print(config)) = &arguments.verb;
    let config = read_config(config)?;
    let clock = Arc::new(SystemClock::start()) as Arc<_>;
    let publications = Publications::new(&config, &configured_ports(&config), &clock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        match &arguments.verb {
            Verb::Publish(_) => publish(&config, &publications, output).await,
            Verb::Withdraw(_) => {
                need_domains(&publications)?;
                withdraw(&publications, &publications.ready()?, output).await
            }
            Verb::Status(_) => status(&publications, output).await,
            Verb::Off(_) => off(&publications, output).await,
            Verb::On(_) => on(&publications, output),
            Verb::Print(_) => print(&config, &publications, output),
        }
    });
    // A look-up of a name that is still under way would hold up the end.
    runtime.shutdown_background();
    ended
}

/// The ports that are in the configuration. The system's choice is not known here.
fn configured_ports(config: &HostConfig) -> Ports {
    let mut ports = Ports::default();
    for listen in config.listen.iter().filter(|listen| listen.address.port() != 0) {
        let port = listen.address.port();
        ports.tcp.extend(listen.tcp.then_some(port));
        ports.udp.extend(listen.udp.then_some(port));
    }
    ports
}

async fn publish(
    config: &HostConfig,
    publications: &Publications,
    output: Output,
) -> Result<Exit, Problem> {
    need_domains(publications)?;
    need_ports(config)?;
    if !publications.are_on() {
        let cause = if publications.are_enabled() {
            "publication is switched off"
        } else {
            "host.toml says not to publish"
        };
        return Err(Problem::new(Exit::Usage, cause)
            .advise("Switch it on: 'headcount host dns on', and 'enabled = true' under [dns]."));
    }
    let ready = publications.ready()?;
    let mut report = Report::new(publications, &ready, output);
    for publication in &ready {
        report.add(publication, publication.publish().await.map(|changed| published(&changed)));
    }
    report.end()
}

fn published(changed: &Changed) -> (Vec<String>, Value) {
    let Changed { server, zone, published, addresses, removed } = changed;
    let mut lines = vec![format!("published in the zone {zone} at {server}")];
    lines.extend(published.iter().map(line));
    lines.extend(addresses.iter().map(|address| format!("  address {address}")));
    if *removed > 0 {
        lines.push(format!("  {removed} old records of this host removed"));
    }
    let records: Vec<_> = published.iter().map(record_json).collect();
    let value = json!({
        "server": server, "zone": zone, "own": records, "addresses": addresses, "removed": removed,
    });
    (lines, value)
}

async fn withdraw(
    publications: &Publications,
    ready: &[Publication],
    output: Output,
) -> Result<Exit, Problem> {
    let mut report = Report::new(publications, ready, output);
    for publication in ready {
        let result = publication.withdraw().await.map(|changed| {
            let Changed { server, zone, removed, .. } = &changed;
            let line = match removed {
                0 => format!("nothing of this host was in the zone {zone} at {server}"),
                _ => format!("{removed} records removed from the zone {zone} at {server}"),
            };
            (vec![line], json!({ "server": server, "zone": zone, "removed": removed }))
        });
        report.add(publication, result);
    }
    report.end()
}

async fn status(publications: &Publications, output: Output) -> Result<Exit, Problem> {
    output.line(match (publications.are_on(), publications.are_enabled()) {
        (true, _) => "Publication is on.",
        (false, true) => "Publication is switched off: 'headcount host dns on' switches it on.",
        (false, false) => "Publication is off: host.toml says so.",
    });
    let ready = publications.ready()?;
    output.line(match ready.first() {
        None => "host.toml lists no domain under [[dns.publish]].".into(),
        Some(publication) => format!("This host's name is {}.", publication.target()),
    });
    let mut report = Report::new(publications, &ready, output);
    for publication in &ready {
        let result = publication.look().await.map_err(PublishError::Dns);
        let result = result.map(|(server, seen)| {
            let (lines, mut value) = looked(publication, &seen);
            value["server"] = json!(server);
            ([vec![format!("zone {} at {server}", seen.zone)], lines].concat(), value)
        });
        report.add(publication, result);
    }
    for domain in publications.forgotten() {
        output.line(format_args!(
            "{domain}: records of this host may still be there, and host.toml does not name it any more."
        ));
    }
    report.end()
}

fn looked(publication: &Publication, seen: &Seen) -> (Vec<String>, Value) {
    let wanted = publication.services();
    let is_wanted =
        |record: &ServiceRecord| wanted.iter().any(|wanted| record.says_the_same_as(wanted));
    let missing =
        wanted.iter().filter(|wanted| !seen.own.iter().any(|own| own.says_the_same_as(wanted)));
    let missing: Vec<_> = missing.collect();
    let mut lines = Vec::new();
    for record in &seen.own {
        let remark = if is_wanted(record) { "" } else { ", not as host.toml says" };
        lines.push(format!("{}  this host{remark}", line(record)));
    }
    lines.extend(seen.others.iter().map(|record| format!("{}  another host", line(record))));
    lines.extend(missing.iter().map(|record| format!("{}  NOT PUBLISHED", line(record))));
    let addresses: Vec<_> = seen.addresses(publication.target()).collect();
    lines.extend(addresses.iter().map(|address| format!("  address {address}")));
    let all = |records: &[ServiceRecord]| records.iter().map(record_json).collect::<Vec<_>>();
    let is_published = missing.is_empty() && seen.own.iter().all(is_wanted);
    let value = json!({
        "zone": seen.zone.to_string(), "as_configured": is_published, "own": all(&seen.own),
        "others": all(&seen.others), "configured": all(&wanted), "addresses": addresses,
    });
    (lines, value)
}

async fn off(publications: &Publications, output: Output) -> Result<Exit, Problem> {
    publications.switch(false)?;
    output.line("Publication is switched off, also after a restart.");
    // Where it never published, no name server need be there that could be asked.
    let published = publications.each.iter().filter(|configured| configured.has_records());
    let ready = published.map(Configured::ready).collect::<Result<Vec<_>, _>>()?;
    withdraw(publications, &ready, output).await
}

fn on(publications: &Publications, output: Output) -> Result<Exit, Problem> {
    publications.switch(true)?;
    output.document(&json!({ "on": publications.are_on() }));
    if publications.are_on() {
        output.line("Publication is switched on: 'host run' publishes, or 'host dns publish' now.");
    } else {
        output
            .line("Publication is switched on, but host.toml says 'enabled = false' under [dns].");
    }
    Ok(Exit::Done)
}

fn print(
    config: &HostConfig,
    publications: &Publications,
    output: Output,
) -> Result<Exit, Problem> {
    need_domains(publications)?;
    need_ports(config)?;
    let ready = publications.ready()?;
    let domains = ready.iter();
    let domains =
        domains.map(|each| json!({ "domain": each.domain(), "records": each.zone_file() }));
    output.document(&json!({ "domains": domains.collect::<Vec<_>>() }));
    for publication in &ready {
        output.line(publication.zone_file());
    }
    Ok(Exit::Done)
}

fn need_domains(publications: &Publications) -> Result<(), Problem> {
    if !publications.each.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Exit::Usage, "host.toml names no domain to publish in")
        .advise("Add one: [[dns.publish]] with domain = \"example.org\""))
}

fn need_ports(config: &HostConfig) -> Result<(), Problem> {
    if config.listen.iter().all(|listen| listen.address.port() != 0) {
        return Ok(());
    }
    Err(Problem::new(Exit::Usage, "the system chooses this host's port at each start (port 0)")
        .advise("Set a port under [[listen]], or let 'headcount host run' publish."))
}

fn line(record: &ServiceRecord) -> String {
    let ServiceRecord { transport, priority, weight, port, target, .. } = record;
    format!("  {transport} priority {priority} weight {weight} {target}:{port}")
}

fn record_json(record: &ServiceRecord) -> Value {
    let ServiceRecord { transport, priority, weight, port, target, ttl } = record;
    json!({
        "transport": transport, "priority": priority, "weight": weight, "port": port,
        "target": target, "ttl": ttl,
    })
}

/// What came of each domain. One that fails does not keep the others from being tried.
struct Report {
    output: Output,
    document: Value,
    failed: Option<Problem>,
}

impl Report {
    fn new(publications: &Publications, ready: &[Publication], output: Output) -> Self {
        let target = ready.first().map(Publication::target);
        let document = json!({ "on": publications.are_on(), "target": target, "domains": [] });
        Self { output, document, failed: None }
    }

    fn add(
        &mut self,
        publication: &Publication,
        result: Result<(Vec<String>, Value), PublishError>,
    ) {
        let domain = publication.domain();
        let mut value = match result {
            Ok((lines, value)) => {
                self.output.line(format_args!("{domain}: {}", lines.join("\n")));
                value
            }
            Err(error) => {
                let cause = format!("{domain}: {error}");
                let value = json!({ "error": error.to_string(), "advice": error.advice() });
                self.failed = Some(match self.failed.take() {
                    Some(first) => first.advise_also(cause).advise_also(error.advice()),
                    None => Problem::new(exit(&error), cause).advise(error.advice()),
                });
                value
            }
        };
        value["domain"] = json!(domain);
        if let Some(domains) = self.document["domains"].as_array_mut() {
            domains.push(value);
        }
    }

    fn end(self) -> Result<Exit, Problem> {
        if let Some(problem) = self.failed {
            return Err(problem.with_details(self.document));
        }
        self.output.document(&self.document);
        Ok(Exit::Done)
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        let advice = error.advice();
        match error {
            PublishError::Key(error) => Self::from(error),
            error => Self::new(exit(&error), error),
        }
        .advise(advice)
    }
}

fn exit(error: &PublishError) -> Exit {
    match error {
        PublishError::Dns(error) => match error {
            PublicationError::Silent { .. }
            | PublicationError::UnknownServer { .. }
            | PublicationError::NoServer { .. }
            | PublicationError::Socket { .. } => Exit::NobodyAnswered,
            PublicationError::Garbage { .. } | PublicationError::NotVerified { .. } => {
                Exit::NotTrusted
            }
            PublicationError::Outside { .. }
            | PublicationError::TooLong
            | PublicationError::NoName => Exit::Usage,
            _ => Exit::Refused,
        },
        PublishError::Key(_) | PublishError::File(_) => Exit::Failed,
    }
}
