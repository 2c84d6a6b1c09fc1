//! `headcount host status`: what the host counted, from the state that it saves.

use clap::Args;
use headcount::daemon::publication::Remembered;
use headcount::daemon::{Clock, SystemClock, date, system_rng};
use headcount::host::{HostCounters, PoolStatus, Silence};
use headcount::time::UnixTime;
use headcount::trust::{self, Signer};
use headcount::wire::{Certificate, LicenceStatus, Refusal};
use serde_json::{Map, Value, json};

use super::renewal::Renewal;
use super::{ConfigArgument, Installed};
use crate::output::{Exit, Output, Problem};

/// Show counts, limits, certificate and host id.
///
/// Reads what the host saved last, so it works while the host runs (which saves every two seconds
/// by default) and when it does not. A count of -1 means that nobody has been
/// counted yet.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount host status --config /etc/headcount --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let installed = Installed::read(&arguments.config)?;
    let now = SystemClock::start().now();
    let key = installed.files.read_key()?;
    let certificate = installed.files.read_certificate()?;
    let memory = installed.memory()?;
    let state = installed.files.open_state()?;
    let mut host = memory.into_host(certificate, installed.config.settings(), &mut system_rng());
    let _ = state.restore(&mut host, now)?;
    let counters = *host.counters();
    let status = Status {
        host_id: trust::host_id(&key.public_key()).to_string(),
        certificate,
        renewal: Renewal::of(&installed, certificate.as_ref(), now.clock.unwrap_or_default())?,
        clock: now.clock.unwrap_or_default(),
        counters,
        pools: host.pools(now).map(|pool| (installed.names(&pool), pool)).collect(),
        dns: Remembered::read(&installed.config)?,
    };
    output.document(&status.to_json());
    status.print(output);
    Ok(Exit::Done)
}

struct Status {
    host_id: String,
    certificate: Option<Certificate>,
    renewal: Renewal,
    clock: UnixTime,
    counters: HostCounters,
    pools: Vec<(Vec<String>, PoolStatus)>,
    dns: Remembered,
}

impl Installed {
    /// Names of the products that a pool counts.
    fn names(&self, pool: &PoolStatus) -> Vec<String> {
        let counted_id = pool.counted_id.to_string();
        let same = self.products.iter().filter(|product| product.counted_id == counted_id);
        same.map(|product| product.name.clone()).collect()
    }
}

/// The count as people are shown it: −1 when nobody has been counted.
fn shown(count: Option<u32>) -> i64 {
    count.map_or(-1, i64::from)
}

impl Status {
    fn to_json(&self) -> Value {
        let pools: Vec<_> = self.pools.iter().map(|(names, pool)| pool_json(names, pool)).collect();
        json!({
            "host_id": self.host_id,
            "certificate": self.certificate.map(|certificate| {
                let claims = &certificate.claims;
                json!({
                    "serial": claims.serial,
                    "not_before": date(claims.not_before.start()),
                    "not_after": date(claims.not_after.start()),
                    "valid_now": claims.valid_at(self.clock),
                    "root_id": claims.root_id,
                    "family": claims.coverage.family,
                    "rank": claims.coverage.rank,
                    "generation": claims.coverage.generation,
                })
            }),
            "renewal": self.renewal.to_json(),
            "pools": pools,
            "frames": self.counters.frames(),
            "granted": self.counters.granted,
            "refused": named(Refusal::ALL.map(Refusal::name), &self.counters.refused),
            "silent": named(Silence::NAMES, &self.counters.silent),
            "dns": {
                "on": self.dns.is_on,
                "domains": self.dns.domains.iter().map(|(domain, published)| {
                    json!({ "domain": domain, "published": published })
                }).collect::<Vec<_>>(),
            },
        })
    }

    fn print(&self, output: Output) {
        output.line(format_args!("Host {}", self.host_id));
        match &self.certificate {
            None => output.line(
                "No certificate: the host is silent. 'headcount host enrol' asks the vendor for one.",
            ),
            Some(certificate) => {
                let claims = &certificate.claims;
                let end = date(claims.not_after.start());
                let validity = if claims.valid_at(self.clock) { "valid" } else { "NOT VALID NOW," };
                output.line(format_args!(
                    "Certificate {} {validity} until {end}: family {}, rank up to {}, generation up to {}",
                    claims.serial,
                    claims.coverage.family,
                    claims.coverage.rank,
                    claims.coverage.generation
                ));
            }
        }
        self.renewal.print(output);
        for (domain, is_published) in &self.dns.domains {
            let state = match (is_published, self.dns.is_on) {
                (true, _) => "published",
                (false, true) => "not published",
                (false, false) => "switched off",
            };
            output.line(format_args!(
                "DNS {domain}: {state}; 'headcount host dns status' asks there"
            ));
        }
        for (names, pool) in &self.pools {
            output.line("");
            output.line(format_args!("Pool {} ({})", pool.counted_id, names.join(", ")));
            output.line(format_args!("  count     {:>8}", shown(pool.count)));
            if pool.count.is_none() {
                output.line("            nobody has been counted yet");
            } else {
                output.line(format_args!(
                    "  limit     {:>8}  records kept: twice the highest threshold asked for",
                    pool.limit
                ));
                output.line(format_args!(
                    "  threshold {:>8}  the highest asked for",
                    pool.counters.required_count
                ));
            }
            if pool.counters.requests == 0 {
                continue;
            }
            output.line(format_args!(
                "  requests  {:>8}  of these {} refused",
                pool.counters.requests, pool.counters.failed
            ));
            let by_status = LicenceStatus::ALL.into_iter().zip(pool.counters.by_licence_status);
            for (status, requests) in by_status.filter(|(_, requests)| *requests > 0) {
                output.line(format_args!(
                    "            {requests:>8}  by machines in {}",
                    status.name()
                ));
            }
        }
        output.line("");
        output.line(format_args!(
            "Frames {}: {} granted, {} refused, {} without an answer",
            self.counters.frames(),
            self.counters.granted,
            self.counters.refused.iter().sum::<u32>(),
            self.counters.silent.iter().sum::<u32>()
        ));
        let reasons = Refusal::ALL.map(Refusal::name).into_iter().zip(self.counters.refused);
        let silences = Silence::NAMES.into_iter().zip(self.counters.silent);
        for (name, count) in reasons.chain(silences).filter(|(_, count)| *count > 0) {
            output.line(format_args!("  {count:>8}  {name}"));
        }
    }
}

fn pool_json(names: &[String], pool: &PoolStatus) -> Value {
    json!({
        "counted_id": pool.counted_id.to_string(),
        "products": names,
        "count": shown(pool.count),
        "limit": pool.limit,
        "capacity": pool.capacity,
        "required_count": pool.counters.required_count,
        "requests": pool.counters.requests,
        "failed": pool.counters.failed,
        "by_licence_status":
            named(LicenceStatus::ALL.map(LicenceStatus::name), &pool.counters.by_licence_status),
    })
}

fn named<const N: usize>(names: [&str; N], counts: &[u32; N]) -> Value {
    let pairs = names.into_iter().zip(counts).map(|(name, count)| (name.to_owned(), json!(count)));
    Value::Object(pairs.collect::<Map<_, _>>())
}
