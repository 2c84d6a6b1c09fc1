//! `headcount client discover`: what DNS says of hosts, and what a client makes of it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use clap::Args;
use headcount::daemon::{
    ClientConfig, HostSearch, MachineFacts, ResolveError, Resolver, Transport, parse_dns_server,
    parse_domain, system_rng, whole_name,
};
use headcount::discovery::message::{Query, RecordType, Service};
use headcount::discovery::{DomainName, Host, HostName, Proto, Rank, choose, redirected};
use rand_core::CryptoRng;
use serde_json::{Value, json};

use super::ConfigArgument;
use super::check::{self, Checked};
use super::installed::Installed;
use crate::output::{Exit, Output, Problem};

/// Show which hosts DNS names, in which order they would be tried, and why.
///
/// Hosts of one priority are tried in an order that is drawn by their weights, so the order may differ
/// from one time to the next.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount client discover --domain corp.example
  headcount client discover --config /var/lib/router --check")]
pub(super) struct Arguments {
    /// The client's configuration, or the folder that holds client.toml. Without one, the system's own
    /// domains and name servers count.
    #[arg(long, value_name = "PATH", default_value = ClientConfig::FILE)]
    config: std::path::PathBuf,
    /// A domain to look in instead of the configured ones; may be repeated.
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// A name server to ask instead of the configured ones.
    #[arg(long, value_name = "IP[:PORT]")]
    dns_server: Option<String>,
    /// Which service to look for; tcp unless the configuration says otherwise.
    #[arg(long)]
    transport: Option<Transport>,
    /// Also ask every host that is listed, and show what it answers. Each of them counts this machine
    /// then.
    #[arg(long)]
    check: bool,
}

/// Services of others that may be in the same domain, and are none of ours.
const OTHERS: [(&str, &str); 1] = [("_vlmcs", "another vendor's activation service")];

/// A domain and what it says.
struct Domain {
    service: DomainName,
    found: Result<(SocketAddr, Vec<Candidate>), ResolveError>,
}

/// A host that a record names, in the order in which it would be tried.
pub(super) struct Candidate {
    pub(super) host: Option<Host>,
    record: Service,
    addresses: Vec<IpAddr>,
    /// The name that is asked, where it is another.
    redirected: Option<HostName>,
    /// Why it is not asked.
    pub(super) barred: Option<String>,
}

impl Candidate {
    /// Where to ask it.
    pub(super) fn socket_addresses(&self) -> Vec<SocketAddr> {
        let at = |address: &IpAddr| SocketAddr::new(*address, self.record.port);
        self.addresses.iter().map(at).collect()
    }
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let installed = installed(arguments)?;
    let (search, resolver) = search(arguments, installed.as_ref())?;
    if arguments.check && installed.is_none() {
        let cause = format!("no client in {}: --check needs one", arguments.config.display());
        return Err(Problem::new(Exit::Usage, cause)
            .advise("A host answers only to those who have a product of its vendor."));
    }
    if search.domains.is_empty() {
        return Err(Problem::new(Exit::Usage, "no domain to look in")
            .advise("Name one with --domain, or with 'headcount client set-domain'."));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    let work = async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err(Problem::new(Exit::Interrupted, "interrupted")),
            done = discover(arguments, installed.as_ref(), &search, &resolver, output) => done,
        }
    };
    runtime.block_on(work)
}

/// The client, where there is one; a configuration that was named must be there.
fn installed(arguments: &Arguments) -> Result<Option<Installed>, Problem> {
    let by_default = arguments.config == Path::new(ClientConfig::FILE);
    if by_default && !arguments.config.exists() {
        return Ok(None);
    }
    Installed::read(&ConfigArgument { config: arguments.config.clone() }).map(Some)
}

fn search(
    arguments: &Arguments,
    installed: Option<&Installed>,
) -> Result<(HostSearch, Resolver), Problem> {
    let usage = |reason| Problem::new(Exit::Usage, reason);
    let (mut search, mut resolver) = if let Some(installed) = installed {
        (installed.search.clone(), installed.resolver.clone())
    } else {
        let (mut search, resolver) = (HostSearch::new(Transport::Tcp), Resolver::of_system());
        search.domains = resolver.domains(&whole_name(&MachineFacts::of_this_machine().name));
        (search, resolver)
    };
    if !arguments.domains.is_empty() {
        let domains = arguments.domains.iter().map(|domain| parse_domain(domain));
        search.domains = domains.collect::<Result<_, _>>().map_err(usage)?;
    }
    if let Some(server) = &arguments.dns_server {
        resolver = resolver.with_server(parse_dns_server(server).map_err(usage)?);
    }
    search.transport = arguments.transport.unwrap_or(search.transport);
    Ok((search, resolver))
}

async fn discover(
    arguments: &Arguments,
    installed: Option<&Installed>,
    search: &HostSearch,
    resolver: &Resolver,
    output: Output,
) -> Result<Exit, Problem> {
    let mut rng = system_rng();
    let known = installed.and_then(Installed::last_host);
    if !search.hosts.is_empty() {
        let hosts: Vec<_> = search.hosts.iter().map(ToString::to_string).collect();
        let by_hand = hosts.join(", ");
        output.line(format_args!("Set by hand, so what follows is not used: {by_hand}."));
    } else if let Some(known) = known.as_ref().filter(|_| search.caching) {
        output.line(format_args!("Answered last, so asked first: {known}."));
    }
    let mut domains = Vec::new();
    for domain in &search.domains {
        domains.extend(look_in(domain, search, resolver, &mut rng).await);
        if let Some(domain) = domains.last() {
            show(domain, output);
        }
    }
    let others = look_for_others(search, resolver, &mut rng).await;
    for (name, whose) in &others {
        output.line(format_args!("\nAlso seen: {name}, {whose}. It is not asked."));
    }
    let candidates = || domains.iter().filter_map(|at| at.found.as_ref().ok()).flat_map(|at| &at.1);
    let mut checked = Vec::new();
    if let (true, Some(installed)) = (arguments.check, installed) {
        checked = check::all(installed, search, candidates(), resolver, output).await?;
    }
    let document = json!({
        "by_hand": search.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "answered_last": known,
        "domains": domains.iter().map(document).collect::<Vec<_>>(),
        "other_services": others.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(),
        "checked": arguments.check.then(|| checked.iter().map(Checked::document).collect::<Vec<_>>()),
    });
    if candidates().any(|candidate| candidate.barred.is_none()) {
        output.document(&document);
        return Ok(Exit::Done);
    }
    Err(Problem::new(Exit::NobodyAnswered, "DNS names no host that would be asked")
        .advise("A host publishes itself with 'headcount host dns publish'.")
        .with_details(document))
}

/// Asks for a domain's hosts and brings them into the order in which they would be tried.
async fn look_in(
    domain: &DomainName,
    search: &HostSearch,
    resolver: &Resolver,
    rng: &mut impl CryptoRng,
) -> Option<Domain> {
    let service = DomainName::service(&search.service, search.transport.into(), domain).ok()?;
    let query = Query::new(RecordType::Srv, &service, rng);
    let answered = resolver.ask(&query, |message| {
        let answer = query.answer(message)?;
        let records = answer.services().map(|record| {
            let addresses = answer.addresses(&record.target).map(|at| at.ip).collect();
            (record, addresses)
        });
        Ok(records.collect::<Vec<(Service, Vec<IpAddr>)>>())
    });
    let (server, records) = match answered.await {
        Ok(answered) => answered,
        Err(error) => return Some(Domain { service, found: Err(error) }),
    };
    let mut left: Vec<_> = records.into_iter().map(Some).collect();
    let mut candidates = Vec::new();
    loop {
        let ranks = left.iter().map(|left| left.as_ref().map(|(record, _)| rank(record)));
        let Some(next) = choose(ranks, rng) else { break };
        let Some((record, addresses)) = left.get_mut(next).and_then(Option::take) else { break };
        candidates.push(candidate(record, addresses, search, resolver, rng).await);
    }
    Some(Domain { service, found: Ok((server, candidates)) })
}

async fn candidate(
    record: Service,
    addresses: Vec<IpAddr>,
    search: &HostSearch,
    resolver: &Resolver,
    rng: &mut impl CryptoRng,
) -> Candidate {
    let settings = search.settings();
    let mut candidate = Candidate { host: None, record, addresses, redirected: None, barred: None };
    let Some(port) = core::num::NonZeroU16::new(candidate.record.port) else {
        return Candidate { barred: Some("port 0".into()), ..candidate };
    };
    if candidate.record.target.is_root() {
        return Candidate { barred: Some("says that there is no host here".into()), ..candidate };
    }
    let name = HostName::Name(candidate.record.target.clone());
    candidate.host = Some(Host { name: name.clone(), port });
    let asked = match redirected(&name, settings.redirects) {
        Ok(asked) => asked.clone(),
        Err(error) => return Candidate { barred: Some(error.to_string()), ..candidate },
    };
    if asked != name {
        candidate.addresses.clear();
        candidate.redirected = Some(asked.clone());
    }
    if !settings.trusted.has_name(&asked) {
        return Candidate { barred: Some("is none of the trusted hosts".into()), ..candidate };
    }
    if candidate.addresses.is_empty() {
        let looked_up = match &asked {
            HostName::Address(address) => Ok(vec![*address]),
            HostName::Name(name) => resolver.addresses(name, rng).await,
        };
        candidate.barred = match &looked_up {
            Ok(addresses) if addresses.is_empty() => Some("has no address".into()),
            Ok(_) => None,
            Err(error) => Some(format!("has no address: {error}")),
        };
        candidate.addresses = looked_up.unwrap_or_default();
    }
    candidate
}

/// Records of other activation services in the same domains.
async fn look_for_others(
    search: &HostSearch,
    resolver: &Resolver,
    rng: &mut impl CryptoRng,
) -> Vec<(DomainName, &'static str)> {
    let mut seen = Vec::new();
    for domain in &search.domains {
        for (label, whose) in OTHERS.into_iter().filter(|(label, _)| *label != search.service) {
            let Ok(name) = DomainName::service(label, Proto::Tcp, domain) else { continue };
            let query = Query::new(RecordType::Srv, &name, rng);
            let count = |message: &[u8]| Ok(query.answer(message)?.services().count());
            if matches!(resolver.ask(&query, count).await, Ok((_, 1..))) {
                seen.push((name, whose));
            }
        }
    }
    seen
}

const fn rank(record: &Service) -> Rank {
    Rank { priority: record.priority, weight: record.weight }
}

fn show(domain: &Domain, output: Output) {
    let service = &domain.service;
    let (server, candidates) = match &domain.found {
        Ok(found) => found,
        Err(error) => {
            output.line(format_args!("\n{service}: {error}."));
            return;
        }
    };
    let count = match candidates.len() {
        0 => "no host".into(),
        1 => "1 host".into(),
        hosts => format!("{hosts} hosts, to be tried in this order"),
    };
    output.line(format_args!("\n{service}: {count} ({server} says so)"));
    for (place, candidate) in candidates.iter().enumerate() {
        let place = place.saturating_add(1);
        output.line(format_args!("  {place}. {}", line(candidate, candidates)));
    }
}

/// A candidate, and why it stands where it does.
fn line(candidate: &Candidate, all: &[Candidate]) -> String {
    let Service { priority, weight, port, ttl, target } = &candidate.record;
    let equals = all.iter().filter(|other| other.record.priority == *priority);
    let sum: u32 = equals.map(|other| u32::from(other.record.weight)).sum();
    let mut parts = vec![format!("{target}:{port}")];
    parts.extend(candidate.redirected.as_ref().map(|name| format!("-> {name}")));
    if !candidate.addresses.is_empty() {
        let addresses: Vec<_> = candidate.addresses.iter().map(ToString::to_string).collect();
        parts.push(format!("at {}", addresses.join(", ")));
    }
    parts.push(format!("(priority {priority}, weight {weight} of {sum}, for {ttl} s)"));
    parts.extend(candidate.barred.as_ref().map(|why| format!("NOT ASKED: {why}")));
    parts.join(" ")
}

fn document(domain: &Domain) -> Value {
    match &domain.found {
        Err(error) => json!({ "service": domain.service.to_string(), "error": error.to_string() }),
        Ok((server, candidates)) => json!({
            "service": domain.service.to_string(),
            "server": server.to_string(),
            "hosts": candidates.iter().map(|candidate| json!({
                "host": candidate.host.as_ref().map(ToString::to_string),
                "priority": candidate.record.priority,
                "weight": candidate.record.weight,
                "ttl": candidate.record.ttl,
                "addresses": candidate.addresses,
                "redirected_to": candidate.redirected.as_ref().map(ToString::to_string),
                "not_asked": candidate.barred,
            })).collect::<Vec<_>>(),
        }),
    }
}
