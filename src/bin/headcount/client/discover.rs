//! `headcount client discover`: what DNS says of hosts, and what a client makes of it.

use core::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use clap::Args;
use headcount::daemon::{
    ClientConfig, HostSearch, MachineFacts, ResolveError, Resolver, Transport, parse_dns_server,
    parse_domain, system_rng, whole_name,
};
use headcount::discovery::message::{Answer, Query, RecordType, Service};
use headcount::discovery::{ADDRESSES, DomainName, Host, HostName, Proto, RECORDS, Rank, choose};
use rand_core::CryptoRng;
use serde_json::{Value, json};

use super::ConfigArgument;
use super::check::{self, Checked};
use super::installed::{Installed, LIST_LEN};
use super::tally::Tally;
use crate::interruptible;
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
    found: Result<Found, ResolveError>,
}

/// What a name server says of a domain.
struct Found {
    server: SocketAddr,
    /// In the order in which they would be tried.
    candidates: Vec<Candidate>,
    /// How many more records there are, which are not tried.
    more: usize,
}

/// A host that a record names.
pub(super) struct Candidate {
    record: Service,
    addresses: Vec<IpAddr>,
    /// The name that is asked, where it is another.
    redirected: Option<HostName>,
    /// Why it is not asked.
    pub(super) barred: Option<Barred>,
}

/// Why a host of a record is not asked.
#[derive(Clone)]
pub(super) enum Barred {
    /// The record names none, as this text says.
    NoHost(&'static str),
    /// The site does not allow it.
    NotAllowed(headcount::discovery::Barred),
    /// It has no address, for this reason.
    NoAddress(String),
}

impl Candidate {
    fn new(record: Service, addresses: Vec<IpAddr>) -> Self {
        let barred = if record.target.is_root() {
            Some(Barred::NoHost("says that the service is not offered here"))
        } else if record.port == 0 {
            Some(Barred::NoHost("port 0"))
        } else {
            None
        };
        Self { record, addresses, redirected: None, barred }
    }

    /// The host that the record names; `None` when it names none.
    pub(super) fn host(&self) -> Option<Host> {
        let Service { port, target, .. } = &self.record;
        let port = core::num::NonZeroU16::new(*port).filter(|_| !target.is_root())?;
        Some(Host { name: HostName::Name(target.clone()), port })
    }

    /// Where to ask it.
    pub(super) fn socket_addresses(&self) -> Vec<SocketAddr> {
        let at = |address: &IpAddr| SocketAddr::new(*address, self.record.port);
        self.addresses.iter().map(at).collect()
    }

    /// Whether it would be tried: one that has no address fails then.
    fn is_tried(&self) -> bool {
        matches!(self.barred, None | Some(Barred::NoAddress(_)))
    }
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost(why) => f.write_str(why),
            Self::NotAllowed(why) => why.fmt(f),
            Self::NoAddress(why) => f.write_str(why),
        }
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
    if search.domains.is_empty() && search.hosts.is_empty() {
        return Err(Problem::new(Exit::Usage, "no domain to look in")
            .advise("Name one with --domain, or with 'headcount client set-domain'."));
    }
    let work = discover(arguments, installed.as_ref(), &search, &resolver, output);
    interruptible::run(work)?.unwrap_or_else(|| Err(Problem::new(Exit::Interrupted, "interrupted")))
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
    let known = installed.and_then(Installed::last_host).map(|known| known.host.to_string());
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
            show(domain, search, output);
        }
    }
    let others = look_for_others(search, resolver, &mut rng).await;
    for (name, whose) in &others {
        output.line(format_args!("\nAlso seen: {name}, {whose}. It is not asked."));
    }
    let candidates = || {
        domains.iter().filter_map(|at| at.found.as_ref().ok()).flat_map(|found| &found.candidates)
    };
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
    let by_hand = search.hosts.iter().any(|host| search.asked_as(&host.name).is_ok());
    if !by_hand && !candidates().any(|candidate| candidate.barred.is_none()) {
        return Err(Problem::new(Exit::NobodyAnswered, "DNS names no host that would be asked")
            .advise("A host publishes itself with 'headcount host dns publish'.")
            .with_details(document));
    }
    if arguments.check && !checked.iter().any(Checked::counts) {
        return Err(Problem::new(Exit::NobodyAnswered, "no host gave an answer that counts")
            .advise("The reason of each is above, or in \"checked\".")
            .with_details(document));
    }
    output.document(&document);
    Ok(Exit::Done)
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
    let answered = resolver.ask(&query, |message| Ok(chosen(&query.answer(message)?, rng)));
    let found = match answered.await {
        Err(error) => Err(error),
        Ok((server, (mut candidates, more))) => {
            for candidate in &mut candidates {
                locate(candidate, search, resolver, rng).await;
            }
            Ok(Found { server, candidates, more })
        }
    };
    Some(Domain { service, found })
}

/// The hosts of an answer that a client would keep, in an order in which it may try them, with the
/// addresses that came along; and how many more records there are. An answer may be full of records, so
/// the few are chosen before anything is done for each.
fn chosen(answer: &Answer<'_>, rng: &mut impl CryptoRng) -> (Vec<Candidate>, usize) {
    let mut left: Vec<_> = answer.services().take(RECORDS).map(Some).collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut hosts = 0_usize;
    while hosts < LIST_LEN {
        let ranks = left.iter().map(|left| left.as_ref().map(rank));
        let Some(next) = choose(ranks, rng) else { break };
        let Some(record) = left.get_mut(next).and_then(Option::take) else { break };
        let is_same = |earlier: &Candidate| {
            (&earlier.record.target, earlier.record.port) == (&record.target, record.port)
        };
        if candidates.iter().any(is_same) {
            continue;
        }
        let candidate = Candidate::new(record, Vec::new());
        hosts = hosts.saturating_add(candidate.host().is_some().into());
        candidates.push(candidate);
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.barred.is_none()) {
        let addresses = answer.addresses(&candidate.record.target).take(ADDRESSES);
        candidate.addresses = addresses.map(|address| address.ip).collect();
    }
    let beyond = answer.services().count().saturating_sub(left.len());
    (candidates, left.iter().flatten().count().saturating_add(beyond))
}

/// Finds out at which name and addresses a host is asked, or why it is not.
async fn locate(
    candidate: &mut Candidate,
    search: &HostSearch,
    resolver: &Resolver,
    rng: &mut impl CryptoRng,
) {
    let Some(Host { name, .. }) = candidate.host() else { return };
    let asked = match search.asked_as(&name) {
        Ok(asked) => asked,
        Err(why) => {
            candidate.barred = Some(Barred::NotAllowed(why));
            return;
        }
    };
    if *asked != name {
        candidate.addresses.clear();
        candidate.redirected = Some(asked.clone());
    }
    if candidate.addresses.is_empty() {
        let looked_up = match asked {
            HostName::Address(address) => Ok(vec![*address]),
            HostName::Name(name) => resolver.addresses(name, rng).await,
        };
        match addresses(looked_up) {
            Ok(addresses) => candidate.addresses = addresses,
            Err(why) => candidate.barred = Some(Barred::NoAddress(why)),
        }
    }
}

/// The addresses that are tried, or why there is none.
pub(super) fn addresses(
    looked_up: Result<Vec<IpAddr>, ResolveError>,
) -> Result<Vec<IpAddr>, String> {
    match looked_up {
        Ok(addresses) if addresses.is_empty() => Err("has no address".into()),
        Ok(addresses) => Ok(addresses.into_iter().take(ADDRESSES).collect()),
        Err(error) => Err(format!("has no address: {error}")),
    }
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

fn show(domain: &Domain, search: &HostSearch, output: Output) {
    let service = &domain.service;
    let Found { server, candidates, more } = match &domain.found {
        Ok(found) => found,
        Err(error) => {
            output.line(format_args!("\n{service}: {error}."));
            return;
        }
    };
    let tally = Tally::of(candidates.iter().map(|candidate| candidate.record.clone()), search);
    let order = if tally.allowed > 1 { ", to be tried in this order" } else { "" };
    output.line(format_args!("\n{service}: {}{order} ({server} says so)", tally.words()));
    let mut place = 0_usize;
    for candidate in candidates {
        let number = if candidate.is_tried() {
            place = place.saturating_add(1);
            format!("{place}.")
        } else {
            "-".into()
        };
        output.line(format_args!("  {number:2} {}", line(candidate, candidates)));
    }
    if *more > 0 {
        output.line(format_args!("  and {more} more records, whose hosts are not tried"));
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
        Ok(Found { server, candidates, more }) => json!({
            "service": domain.service.to_string(),
            "server": server.to_string(),
            "not_tried": more,
            "hosts": candidates.iter().map(|candidate| json!({
                "host": candidate.host().map(|host| host.to_string()),
                "priority": candidate.record.priority,
                "weight": candidate.record.weight,
                "ttl": candidate.record.ttl,
                "addresses": candidate.addresses,
                "redirected_to": candidate.redirected.as_ref().map(ToString::to_string),
                "not_asked": candidate.barred.as_ref().map(ToString::to_string),
            })).collect::<Vec<_>>(),
        }),
    }
}
