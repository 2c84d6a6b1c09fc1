//! `headcount bench`: how many exchanges a host makes in a second, and how that compares with the
//! least that the protocol costs.
//!
//! What is measured, and what is not:
//!
//! - All requests are made and tagged before the clock starts. They are those of distinct made-up
//!   machines, and each is sent again and again, as a retransmission is: the host checks and counts
//!   it every time.
//! - Every answer is compared with the digest of its request, also made beforehand, and with status
//!   0: 34 bytes to look at. The signatures of one answer in a thousand are verified afterwards.
//! - An exchange takes from before the connection is opened, or the frame sent on one that is open,
//!   until its answer is there. Each connection has one exchange at a time.
//! - The generator is on the same machine as the server in a comparison and takes its share of the
//!   processors, the same for every server; it makes no digest and no signature meanwhile.

mod authority;
mod compare;
mod frames;
mod link;
mod load;
mod report;
mod serve;
mod tally;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use frames::Frames;
use headcount::daemon::{ProductFile, parse_host};
use link::Mode;
use load::{Load, Progress};
use serde_json::json;
use serve::Kind;
use tally::Tally;
use tokio::net::lookup_host;

use crate::output::{Exit, Output, Problem};

/// Measure how many exchanges a host makes in a second, or compare this program's own host with the
/// least that the protocol costs.
///
/// With --host, sends valid requests of made-up machines to a host that runs. The machines are
/// counted: do this to a host for tests, or expect its count to be wrong for 30 days. The host's
/// rate limit turns most of the load away unless it is switched off (`request_interval_ms = 0` in
/// the host's host.toml).
///
/// With --compare, starts a host and two echo servers on this machine, all three with the same
/// socket code, and measures them in turns: a host exchange costs at least the frames' way there and
/// back (plain echo) and one Ed25519 signature (signing echo).
///
/// With --authority, starts an authority's service in a folder for temporary files and has made-up
/// machines activate by key, each of them durable before it is answered, in turns with bare commits of
/// the database on the same disk.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount bench --host localhost:1688 --product product.toml --transport udp --seconds 10
  headcount bench --compare --transport all
  headcount bench --authority --connections 64")]
pub(crate) struct Arguments {
    /// The host to load.
    #[arg(long, value_name = "NAME:PORT", requires = "product")]
    #[arg(required_unless_present_any = ["compare", "authority", "serve"])]
    host: Option<String>,
    /// Product file with the setup key that the requests are tagged with.
    #[arg(long, value_name = "FILE")]
    product: Option<PathBuf>,
    /// Compare this program's host with two echo servers.
    #[arg(long, conflicts_with_all = ["host", "product"])]
    compare: bool,
    /// Measure durable activations by key beside the database's own commits.
    #[arg(long, conflicts_with_all = ["host", "product", "compare", "transport", "persistent"])]
    authority: bool,
    /// How frames travel; `all` only with --compare, where it is the default. [default: tcp]
    #[arg(long)]
    transport: Option<Choice>,
    /// TCP: make one exchange after the other on each connection instead of one a connection. In a
    /// comparison: leave the other way out.
    #[arg(long)]
    persistent: bool,
    /// Machines in whose names requests are sent.
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: u32,
    /// Exchanges under way at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Seconds to measure, in a comparison each server in each round. [default: 10; 2 in a
    /// comparison]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Rounds of a comparison.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Be one of the servers of a comparison until standard input ends.
    #[arg(long, hide = true, conflicts_with_all = ["host", "product", "compare", "authority"])]
    serve: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    Tcp,
    Udp,
    All,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    if let Some(kind) = arguments.serve {
        return serve::run(kind);
    }
    if arguments.authority {
        return authority::run(&arguments.durable(), output);
    }
    // The load has threads of its own; this one keeps the time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    match &arguments.host {
        Some(host) => runtime.block_on(load_host(arguments, host, output)),
        None => runtime.block_on(compare::run(&arguments.comparison(), output)),
    }
}

impl Arguments {
    /// What `--host` measures.
    fn mode(&self) -> Result<Mode, Problem> {
        match (self.transport.unwrap_or(Choice::Tcp), self.persistent) {
            (Choice::Tcp, false) => Ok(Mode::Tcp),
            (Choice::Tcp, true) => Ok(Mode::TcpPersistent),
            (Choice::Udp, false) => Ok(Mode::Udp),
            (Choice::Udp, true) => {
                Err(Problem::new(Exit::Usage, "UDP has no connections that could be persistent")
                    .advise("leave --persistent out"))
            }
            (Choice::All, _) => Err(Problem::new(Exit::Usage, "one transport at a time, please")
                .advise("a host is loaded with --transport tcp or udp")),
        }
    }

    /// What `--authority` measures.
    fn durable(&self) -> authority::Plan {
        authority::Plan {
            duration: Duration::from_secs(self.seconds.unwrap_or(2)),
            rounds: self.rounds,
            connections: self.connections,
        }
    }

    fn comparison(&self) -> compare::Plan {
        let (tcp, udp) = match self.transport.unwrap_or(Choice::All) {
            Choice::Tcp => (true, false),
            Choice::Udp => (false, true),
            Choice::All => (true, true),
        };
        let mut modes = Vec::new();
        if tcp && !self.persistent {
            modes.push(Mode::Tcp);
        }
        if tcp {
            modes.push(Mode::TcpPersistent);
        }
        if udp {
            modes.push(Mode::Udp);
        }
        compare::Plan {
            modes,
            clients: self.clients,
            connections: self.connections,
            duration: Duration::from_secs(self.seconds.unwrap_or(2)),
            rounds: self.rounds,
        }
    }
}

async fn load_host(arguments: &Arguments, host: &str, output: Output) -> Result<Exit, Problem> {
    let mode = arguments.mode()?;
    let path = arguments.product.as_deref().unwrap_or_else(|| "product.toml".as_ref());
    let product = ProductFile::read(path)?;
    let frames = Frames::new(&product, arguments.clients)
        .map_err(|reason| Problem::new(Exit::Usage, format!("{}: {reason}", path.display())))?;
    let host = parse_host(host).map_err(|reason| Problem::new(Exit::Usage, reason))?.to_string();
    let target = resolve(&host).await?;
    let load = Load {
        target,
        mode,
        connections: usize::from(arguments.connections),
        duration: Duration::from_secs(arguments.seconds.unwrap_or(10)),
    };
    output.line(format_args!(
        "{} machines ask {host} ({target}), {mode}, {} at once, for {} s.",
        arguments.clients,
        load.connections,
        load.duration.as_secs()
    ));
    let frames = Arc::new(frames);
    let shown = !output.is_json() && io::stderr().is_terminal();
    let (tally, interrupted) = load::run(&load, &frames, |progress| {
        if shown {
            show(progress);
        }
    })
    .await
    .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    if shown {
        let _ = writeln!(io::stderr());
    }
    let trust = frames.verify(&tally.samples);
    let mut document = report::figures(&tally);
    document["host"] = json!(host);
    document["mode"] = json!(mode.name());
    document["clients"] = json!(arguments.clients);
    document["connections"] = json!(load.connections);
    document["interrupted"] = json!(interrupted);
    document["verified"] = json!(trust.verified);
    document["not_trusted"] = json!(trust.failed);
    output.line(report::text(&tally, &trust));
    if interrupted {
        output.document(&document);
        return Ok(Exit::Interrupted);
    }
    // The figures are wanted all the more when they are not those of a host that does its work.
    let exit =
        verdict(&tally, &trust, &host).map_err(|problem| problem.with_details(document.clone()))?;
    output.document(&document);
    Ok(exit)
}

/// Whether the figures are those of a host that does its work.
fn verdict(tally: &Tally, trust: &frames::Trust, host: &str) -> Result<Exit, Problem> {
    const RATE: &str = "a host limits how often one source may ask: to measure it, set \
                        request_interval_ms = 0 under [limits] in its host.toml";
    if let Some(reason) = &trust.reason {
        return Err(Problem::new(
            Exit::NotTrusted,
            format!("{host} is not to be trusted: {reason}"),
        )
        .advise("check that the product file names the root key of the host's vendor"));
    }
    if tally.wrong > 0 {
        let cause = format!("{host} gave {} answers that fit no request", tally.wrong);
        return Err(Problem::new(Exit::NotTrusted, cause).advise("is it a host of headcount?"));
    }
    if tally.granted == 0 && tally.refused > 0 {
        let (reason, code) =
            tally.refusal.map_or(("refused", 0), |refusal| (refusal.name(), refusal.code()));
        return Err(Problem::new(
            Exit::Refused,
            format!("{host} refuses: {reason} (status {code})"),
        )
        .advise("check that it serves this product: headcount host status"));
    }
    if tally.granted == 0 {
        let cause = match &tally.error {
            Some(error) => format!("no answer from {host}: {error}"),
            None => format!("no answer from {host}"),
        };
        return Err(Problem::new(Exit::NobodyAnswered, cause)
            .advise("check that it runs, and that it serves the product of this file"));
    }
    if tally.unanswered > tally.granted / 100 {
        // The figures stand; that is only why they are low.
        let _ =
            writeln!(io::stderr(), "headcount: {} frames unanswered\n  {RATE}", tally.unanswered);
    }
    Ok(Exit::Done)
}

async fn resolve(host: &str) -> Result<SocketAddr, Problem> {
    let unknown = |reason: String| {
        Problem::new(Exit::NobodyAnswered, format!("{host} has no address: {reason}"))
    };
    let mut addresses = lookup_host(host).await.map_err(|error| unknown(error.to_string()))?;
    addresses.next().ok_or_else(|| unknown("the name has none".into()))
}

/// The line that is written over once a second.
fn show(progress: &Progress) {
    let Progress { elapsed, exchanges, last_second, failed } = progress;
    let mut stderr = io::stderr().lock();
    let _ = write!(
        stderr,
        "\r{:>4} s  {exchanges} exchanges, {last_second} in the last second, {failed} failed ",
        elapsed.as_secs()
    );
    let _ = stderr.flush();
}
