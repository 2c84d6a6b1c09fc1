//! `headcount client discover --check`: asks every host that is listed, and shows what it answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use headcount::client::{Product, Step};
use headcount::daemon::{
    Clock, HostSearch, Resolver, SystemClock, Transport, date, exchange, system_rng,
};
use headcount::discovery;
use headcount::discovery::{Host, HostName};
use headcount::trust::{Expected, Untrusted, Verified, host_id, verify_response};
use headcount::wire::{Frame, HostId, Method, Response, Verdict};
use serde_json::{Value, json};

use super::discover::{self, Barred, Candidate};
use super::installed::Installed;
use crate::output::{Output, Problem};

/// A host at one of its addresses, and what it answered; without an address, why it cannot be asked.
pub(super) struct Checked {
    host: String,
    address: Option<SocketAddr>,
    latency: Duration,
    ended: Result<Answer, String>,
}

/// What a genuine answer says.
struct Answer {
    verdict: Verdict,
    host_id: HostId,
    certified_until: String,
    trusted: bool,
}

impl Answer {
    fn of(response: &Verified<Response>, search: &HostSearch) -> Self {
        let claims = response.certificate().claims;
        let host_id = host_id(&claims.public_key);
        Self {
            verdict: response.body.verdict,
            host_id,
            certified_until: date(claims.not_after.start()),
            trusted: search.settings().trusted.has_id(host_id),
        }
    }

    fn words(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Granted { .. } => "serves this product".into(),
            Verdict::Refused(refusal) => format!("refuses: {}", refusal.name()),
        };
        if self.trusted { verdict } else { format!("{verdict}, NOT TRUSTED") }
    }

    const fn count(&self) -> Option<u32> {
        match self.verdict {
            Verdict::Granted { count, .. } => Some(count),
            Verdict::Refused(_) => None,
        }
    }
}

impl Checked {
    /// Whether it is a genuine answer of a host that may be believed.
    pub(super) fn counts(&self) -> bool {
        self.ended.as_ref().is_ok_and(|answer| answer.trusted)
    }

    pub(super) fn document(&self) -> Value {
        let Self { host, address, latency, ended } = self;
        let answer = ended.as_ref().ok();
        json!({
            "host": host,
            "address": address.map(|address| address.to_string()),
            "answered": answer.is_some(),
            "answer": answer.map(Answer::words),
            "host_id": answer.map(|answer| answer.host_id.to_string()),
            "count": answer.and_then(Answer::count),
            "certificate_until": answer.map(|answer| &answer.certified_until),
            "milliseconds": answer.map(|_| latency.as_secs_f64() * 1_000.0),
            "trusted": answer.map(|answer| answer.trusted),
            "error": ended.as_ref().err(),
        })
    }
}

/// Asks each host of the list at each of its addresses, and those set by hand, with one request of
/// this machine. Nothing of what they answer changes the client.
pub(super) async fn all(
    installed: &Installed,
    search: &HostSearch,
    candidates: impl Iterator<Item = &Candidate>,
    resolver: &Resolver,
    output: Output,
) -> Result<Vec<Checked>, Problem> {
    let product = installed.product()?;
    let frame = request(installed, search, &product)?;
    let mut targets = Vec::new();
    for host in &search.hosts {
        targets.push((host.to_string(), locate(host, search, resolver).await));
    }
    for candidate in candidates {
        let Some(host) = candidate.host() else { continue };
        let addresses = match &candidate.barred {
            None => Ok(candidate.socket_addresses()),
            // These are as good as not there.
            Some(Barred::NoHost(_) | Barred::NotAllowed(discovery::Barred::NotTrusted)) => continue,
            Some(why) => Err(why.to_string()),
        };
        targets.push((host.to_string(), addresses));
    }
    output.line("");
    let mut checked = Vec::new();
    let mut seen = Vec::new();
    for (host, addresses) in targets {
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(why) => {
                let (address, latency) = (None, Duration::ZERO);
                checked.push(Checked { host, address, latency, ended: Err(why) });
                continue;
            }
        };
        for address in addresses {
            if seen.contains(&address) {
                continue;
            }
            seen.push(address);
            output.line(format_args!("Asking {host} at {address} ({}) ...", search.transport));
            let begun = Instant::now();
            let ended = ask(&product, &frame, search.transport, address).await;
            let latency = begun.elapsed();
            let ended = ended.map(|response| Answer::of(&response, search));
            let (host, address) = (host.clone(), Some(address));
            checked.push(Checked { host, address, latency, ended });
        }
    }
    show(&checked, output);
    Ok(checked)
}

/// Where to ask a host that is set by hand, or why it cannot be asked.
async fn locate(
    host: &Host,
    search: &HostSearch,
    resolver: &Resolver,
) -> Result<Vec<SocketAddr>, String> {
    let addresses = match search.asked_as(&host.name).map_err(|why| why.to_string())? {
        HostName::Address(address) => vec![*address],
        HostName::Name(name) => {
            discover::addresses(resolver.addresses_by_hand(name, &mut system_rng()).await)?
        }
    };
    let at = |address| SocketAddr::new(address, host.port.get());
    Ok(addresses.into_iter().map(at).collect())
}

/// A request as this machine would make it now.
fn request(
    installed: &Installed,
    search: &HostSearch,
    product: &Product<'_>,
) -> Result<Frame, Problem> {
    let (clock, mut rng) = (SystemClock::start(), system_rng());
    let mut state = installed.open()?;
    // Whatever hosts there are: only the frame is wanted.
    let mut settings = search.settings();
    let some_host = [Host {
        name: HostName::Address(std::net::Ipv4Addr::LOCALHOST.into()),
        port: core::num::NonZeroU16::MIN,
    }];
    settings.hosts = &some_host;
    settings.trusted.names = &[];
    settings.redirects = &[];
    // A host is asked by count, whatever is installed.
    let now = clock.now();
    let mut client = installed.client_with(None, product, &settings, &state, now, &mut rng)?;
    client.ask_now(clock.now());
    loop {
        match client.poll(clock.now(), &mut rng) {
            // A machine's id is kept, or the next request is of another machine.
            Step::Save => state.save(&client.image(clock.now()))?,
            Step::Report(_) => {}
            Step::Send { .. } | Step::Find(_) | Step::Wait { .. } => break,
        }
    }
    client
        .pending_frame()
        .copied()
        .ok_or_else(|| Problem::new(crate::output::Exit::Failed, "the client makes no request"))
}

async fn ask(
    product: &Product<'_>,
    frame: &Frame,
    transport: Transport,
    address: SocketAddr,
) -> Result<Verified<Response>, String> {
    let expected = Expected {
        request: frame,
        method: Method::Count,
        product: product.coverage,
        roots: product.roots,
        known_certificate: None,
    };
    let judge = |answer: &[u8]| -> Result<Verified<Response>, Untrusted> {
        let answer = headcount::wire::frame_from_slice(answer)?;
        verify_response(answer, &expected)
    };
    exchange(transport, address, frame, judge).await.map_err(|error| error.to_string())
}

fn show(checked: &[Checked], output: Output) {
    let heads = ["host", "address", "answer", "count", "certificate until", "latency"];
    let mut rows = vec![heads.map(str::to_owned)];
    for Checked { host, address, latency, ended } in checked {
        let latency = format!("{:.1} ms", latency.as_secs_f64() * 1_000.0);
        let address = address.map_or_else(|| "-".into(), |address| address.to_string());
        rows.push(match ended {
            Ok(answer) => [
                host.clone(),
                address,
                answer.words(),
                answer.count().map_or_else(|| "-".into(), |count| count.to_string()),
                answer.certified_until.clone(),
                latency,
            ],
            Err(error) => {
                let none = || "-".to_owned();
                [host.clone(), address, error.clone(), none(), none(), none()]
            }
        });
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max()
    };
    let widths: Vec<usize> = (0..heads.len()).map(|column| width(column).unwrap_or(0)).collect();
    output.line("");
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        output.line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    let silent = checked.iter().filter(|checked| !checked.counts()).count();
    if silent > 0 {
        output.line(format_args!(
            "\nWARNING: {silent} of {} gave no answer that counts. Is a record stale, or a host down?",
            checked.len()
        ));
    }
}
