//! The host beside two echo servers: measured in turns, so that whatever else the machine does
//! meets all three alike.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::frames::Frames;
use super::link::Mode;
use super::load::{self, Load};
use super::report::{figures, grouped, rounded, whole};
use super::serve::{Kind, Vendor};
use super::tally::Tally;
use crate::output::{Exit, Output, Problem};

/// What a host is to reach of the signing echo's exchanges.
const GOAL: f64 = 0.95;

/// Load before the first round, so that tables are full and pages are there.
const WARM_UP: Duration = Duration::from_millis(300);

/// Servers take turns after so long within a round: the shorter, the more alike is what each meets
/// of a machine that does other work too.
const SLICE: Duration = Duration::from_millis(200);

pub(super) struct Plan {
    pub(super) modes: Vec<Mode>,
    pub(super) clients: u32,
    pub(super) connections: u16,
    /// Of each server in each round.
    pub(super) duration: Duration,
    pub(super) rounds: u32,
}

/// One server in one round.
struct Measured {
    tally: Tally,
    /// Processor time of the server, where the system tells.
    cpu: Option<Duration>,
    /// Exchanges per second in each slice.
    slices: Vec<f64>,
}

/// One server in all rounds.
struct Series {
    kind: Kind,
    rounds: Vec<Measured>,
}

/// One mode: the host, the signing echo and the plain echo.
struct Outcome {
    mode: Mode,
    series: [Series; 3],
}

pub(super) async fn run(plan: &Plan, output: Output) -> Result<Exit, Problem> {
    let vendor = Vendor::new()?;
    let frames = Frames::new(&vendor.product, plan.clients)
        .map_err(|reason| Problem::new(Exit::Failed, reason))?;
    let echoed = Arc::new(frames.echoed());
    let frames = Arc::new(frames);
    let mut servers = Vec::new();
    for kind in Kind::ALL {
        let frames = if kind == Kind::Host { frames.clone() } else { echoed.clone() };
        servers.push((Server::start(kind)?, frames));
    }
    output.line(format_args!(
        "{} s for each server in each of {} rounds, {} machines, {} exchanges at once.",
        plan.duration.as_secs(),
        plan.rounds,
        plan.clients,
        plan.connections
    ));
    let mut outcomes = Vec::new();
    let mut interrupted = false;
    for mode in &plan.modes {
        let outcome;
        (outcome, interrupted) = measure(plan, *mode, &servers, output).await?;
        output.line(outcome.text(outcomes.is_empty()));
        outcomes.push(outcome);
        if interrupted {
            break;
        }
    }
    drop(servers);
    output.document(&json!({
        "seconds": plan.duration.as_secs(),
        "rounds": plan.rounds,
        "clients": plan.clients,
        "connections": plan.connections,
        "goal": GOAL,
        "interrupted": interrupted,
        "modes": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
    }));
    Ok(if interrupted { Exit::Interrupted } else { Exit::Done })
}

/// All rounds of one mode. A round that Ctrl-C cuts is not counted.
async fn measure(
    plan: &Plan,
    mode: Mode,
    servers: &[(Server, Arc<Frames>)],
    output: Output,
) -> Result<(Outcome, bool), Problem> {
    let mut series = Kind::ALL.map(|kind| Series { kind, rounds: Vec::new() });
    for round in 0..=plan.rounds {
        let whole = if round == 0 { WARM_UP } else { plan.duration };
        show(output, format_args!("{mode}: round {round} of {}", plan.rounds));
        let mut done = Vec::new();
        for _ in servers {
            done.push(Measured::new()?);
        }
        let mut left = whole;
        let mut turn = round as usize;
        while !left.is_zero() {
            let duration = left.min(SLICE);
            left -= duration;
            turn += 1;
            for place in 0..servers.len() {
                // Nobody is always the first or the last.
                let place = (place + turn) % servers.len();
                let (server, frames) = &servers[place];
                let connections = usize::from(plan.connections);
                let load = Load { target: server.address, mode, connections, duration };
                let before = server.cpu();
                let (tally, interrupted) =
                    load::run(&load, frames, |_| {}).await.map_err(failed)?;
                if interrupted {
                    show(output, "");
                    return Ok((Outcome { mode, series }, true));
                }
                check(server, &tally, frames)?;
                done[place].add(
                    tally,
                    server.cpu().zip(before).map(|(now, before)| now.saturating_sub(before)),
                );
            }
        }
        if round > 0 {
            for (series, measured) in series.iter_mut().zip(done) {
                series.rounds.push(measured);
            }
        }
    }
    show(output, "");
    Ok((Outcome { mode, series }, false))
}

fn failed(error: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Failed, format!("cannot measure: {error}"))
}

/// Figures of a server that does not do its work would be worth nothing.
fn check(server: &Server, tally: &Tally, frames: &Frames) -> Result<(), Problem> {
    let name = server.kind.name();
    let problem = |reason: &str| Problem::new(Exit::Failed, format!("{name}: {reason}"));
    if tally.wrong > 0 || tally.refused > 0 {
        return Err(problem("answers that are not what they should be"));
    }
    if tally.granted == 0 {
        return Err(problem(tally.error.as_deref().unwrap_or("no answer")));
    }
    match frames.verify(&tally.samples).reason {
        Some(reason) if server.kind == Kind::Host => Err(problem(&reason)),
        _ => Ok(()),
    }
}

impl Series {
    /// The round with the most exchanges a second.
    fn best(&self) -> Option<&Measured> {
        self.rounds.iter().max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }

    fn best_rate(&self) -> f64 {
        self.best().map_or(0.0, Measured::rate)
    }

    /// The rates of all slices, in their order.
    fn slices(&self) -> Vec<f64> {
        self.rounds.iter().flat_map(|round| &round.slices).copied().collect()
    }

    /// The least processor time for an exchange.
    fn cpu_us(&self) -> Option<f64> {
        self.rounds.iter().filter_map(Measured::cpu_us).min_by(f64::total_cmp)
    }

    fn json(&self) -> Value {
        let rates: Vec<_> = self.rounds.iter().map(|round| rounded(round.rate(), 1)).collect();
        let mut value = self.best().map_or(json!({}), |best| figures(&best.tally));
        value["server"] = json!(self.kind.name());
        value["rounds"] = json!(rates);
        value["cpu_us_per_exchange"] = json!(self.cpu_us().map(|cpu| rounded(cpu, 2)));
        value
    }
}

impl Measured {
    fn new() -> Result<Self, Problem> {
        let tally = Tally::new().map_err(failed)?;
        Ok(Self { tally, cpu: Some(Duration::ZERO), slices: Vec::new() })
    }

    fn add(&mut self, tally: Tally, cpu: Option<Duration>) {
        self.slices.push(tally.per_second());
        self.tally.elapsed += tally.elapsed;
        self.tally.add(tally);
        self.cpu = self.cpu.zip(cpu).map(|(a, b)| a + b);
    }

    fn rate(&self) -> f64 {
        self.tally.per_second()
    }

    /// Processor time of the server for an exchange, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    fn cpu_us(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / self.tally.exchanges().max(1) as f64)
    }
}

/// What the host reached of another server's exchanges.
struct Ratio {
    /// Best slice by best slice: the moments when the machine did nothing else.
    best: f64,
    /// The median of the ratios of slices that followed each other: what disturbs the machine for
    /// longer is in both halves.
    median: f64,
}

impl Outcome {
    fn ratio(&self, to: usize) -> Ratio {
        let (host, other) = (self.series[0].slices(), self.series[to].slices());
        let best = |slices: &[f64]| slices.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let mut ratios: Vec<_> = host.iter().zip(&other).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios.len().saturating_sub(1) / 2, ratios.len() / 2);
        let at = |index: usize| ratios.get(index).copied().unwrap_or(0.0);
        Ratio { best: best(&host) / best(&other), median: f64::midpoint(at(low), at(high)) }
    }

    fn json(&self) -> Value {
        let ratio = |to| {
            let Ratio { best, median } = self.ratio(to);
            json!({ "best": rounded(best, 3), "median": rounded(median, 3) })
        };
        json!({
            "mode": self.mode.name(),
            "servers": self.series.iter().map(Series::json).collect::<Vec<_>>(),
            "ratio_to_signing_echo": ratio(1),
            "ratio_to_echo": ratio(2),
        })
    }

    fn text(&self, first: bool) -> String {
        let mut text = String::new();
        if first {
            let _ = writeln!(
                text,
                "\n{:<24}{:>14}{:>14}{:>14}",
                "exchanges a second", "host", "signing echo", "plain echo"
            );
        }
        let _ = write!(text, "{:<24}", self.mode);
        for series in &self.series {
            let _ = write!(text, "{:>14}", grouped(whole(series.best_rate())));
        }
        let _ = write!(text, "\n{:<24}", "  server's CPU time, µs");
        for series in &self.series {
            let cpu = series.cpu_us().map_or_else(|| "-".into(), |cpu| format!("{cpu:.1}"));
            let _ = write!(text, "{cpu:>14}");
        }
        let (signing, plain) = (self.ratio(1), self.ratio(2));
        let _ = write!(
            text,
            "\n  host / signing echo: {:.3} (median; best {:.3}; goal {GOAL}: {})\
             \n  host / plain echo:   {:.3} (median; best {:.3})",
            signing.median,
            signing.best,
            if signing.median >= GOAL { "reached" } else { "missed" },
            plain.median,
            plain.best
        );
        text
    }
}

/// Progress for somebody who watches, on a line that is written over.
fn show(output: Output, what: impl std::fmt::Display) {
    let mut stderr = std::io::stderr();
    if !output.is_json() && stderr.is_terminal() {
        let _ = write!(stderr, "\r{what:<60}\r");
        let _ = stderr.flush();
    }
}

/// A server in a process of its own, which ends with this value.
struct Server {
    kind: Kind,
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(kind: Kind) -> Result<Self, Problem> {
        let fail = |reason: &dyn std::fmt::Display| {
            Problem::new(Exit::Failed, format!("cannot start the {} server: {reason}", kind.name()))
        };
        let program = std::env::current_exe().map_err(|error| fail(&error))?;
        let mut child = Command::new(program)
            .args(["bench", "--serve", kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| fail(&error))?;
        let mut line = String::new();
        let told = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let mut server = Self { kind, child, address: (Ipv4Addr::LOCALHOST, 0).into() };
        match (told, line.trim().parse()) {
            (Some(Ok(_)), Ok(port)) => server.address.set_port(port),
            // It has told on standard error.
            _ => return Err(fail(&"it did not tell its port")),
        }
        Ok(server)
    }

    /// Processor time of all its threads; only Linux tells.
    fn cpu(&self) -> Option<Duration> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let times = tasks.flatten().map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
        });
        times.sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
