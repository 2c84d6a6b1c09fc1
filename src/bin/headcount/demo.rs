//! `headcount demo`: a vendor, a host and many machines, from nothing, in seconds.

use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use headcount::client::{Client, Machine, Outcome, Step};
use headcount::daemon::{
    Clock, HostMemory, HostService, Limits, Listen, ProductFile, RootKey, ScaledClock, ServeError,
    Server, ServerLimits, Transport, ask, system_rng,
};
use headcount::fingerprint::Matching;
use headcount::host::{RateLimit, Settings};
use headcount::time::{EpochMinute, Minutes};
use headcount::trust::{self, MasterKey, Signer, SigningKey, sign_certificate};
use headcount::wire::{Claims, HostId, KeyId, KeyKind, LicenceStatus, Name, Role};
use rand_core::Rng;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::output::{Exit, Output, Problem};

/// An hour in a second: the retry after two hours comes after two seconds.
const SPEED: u32 = 3_600;

/// Machines that ask at the same moment, so that the demo fits into the usual limit of open files.
const AT_ONCE: usize = 128;

/// Up to so many machines, every answer has a line of its own.
const EVERY_LINE: u32 = 64;

/// Time between the first machines' starts.
const STAGGER: Duration = Duration::from_millis(10);

/// Tries of a machine after which it counts as not to be activated.
const TRIES: u32 = 3;

/// Show the main job: a host counts machines over real sockets, and they become activated.
///
/// Makes a throw-away vendor, product and host in memory, starts the host on a free loopback port
/// and runs real clients against it. An hour passes in a second, so the machines that came before
/// the threshold was met ask again after two seconds. Nothing is written to disk.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount demo --clients 30 --threshold 25 --transport udp")]
pub(crate) struct Arguments {
    /// Machines that ask.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// Count from which the product is activated.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=4096))]
    threshold: u32,
    /// How frames travel.
    #[arg(long, default_value_t = Transport::Tcp)]
    transport: Transport,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    runtime.block_on(demo(arguments, output))
}

/// What a machine's task tells.
struct Answer {
    machine: u32,
    result: Result<Outcome, String>,
    activated: bool,
}

/// What has come of it so far.
#[derive(Default)]
struct Tally {
    exchanges: u64,
    activated: u32,
    failures: u64,
    last_failure: String,
}

async fn demo(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { clients, threshold, transport } = *arguments;
    let started = Instant::now();
    let clock = ScaledClock::start(SPEED);
    let vendor = Vendor::new(threshold)?;
    let host = vendor.start_host(clock, transport)?;
    output.line(format_args!("Host {} listens on {} {transport}.", host.id, host.address));
    output.line(format_args!(
        "{clients} machines ask; the product needs a count of {threshold}. An hour takes a second."
    ));

    let (answers, mut inbox) = mpsc::channel(1_024);
    let mut machines = start_machines(arguments, &vendor, clock, &host.address, &answers);
    drop(answers);
    let mut tally = Tally::default();
    let listen = async {
        while let Some(answer) = inbox.recv().await {
            tally.take(&answer);
            tally.tell(&answer, arguments, output);
        }
    };
    let interrupted = tokio::select! {
        () = listen => false,
        _ = tokio::signal::ctrl_c() => true,
    };
    machines.shutdown().await;
    let pools = host.service.pools();
    let count = pools.first().and_then(|pool| pool.count).unwrap_or(0);
    host.stop().await;
    Ok(tally.summary(arguments, count, started.elapsed(), interrupted, output))
}

/// Everything that a vendor makes, thrown away at the end.
struct Vendor {
    root: SigningKey,
    product: ProductFile,
}

/// A host that runs.
struct RunningHost {
    id: HostId,
    address: String,
    service: Arc<HostService<ScaledClock>>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Vendor {
    fn new(threshold: u32) -> Result<Self, Problem> {
        let mut rng = system_rng();
        let (root, _) = SigningKey::generate(&mut rng);
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let setup_key = MasterKey::from_bytes(bytes).product_key(KeyKind::ClientSetup, KeyId(1));
        let id = |n: u128| uuid::Uuid::from_u128(n).to_string();
        let product = ProductFile {
            name: "demo".into(),
            application_id: id(1),
            activation_id: id(2),
            counted_id: id(3),
            family: 1,
            rank: 1,
            generation: 1,
            threshold: NonZeroU32::new(threshold)
                .ok_or_else(|| Problem::new(Exit::Usage, "a threshold of 0"))?,
            setup_key: setup_key.to_text().as_str().to_owned(),
            weights: Matching::DEFAULT.weights,
            tolerance: Matching::DEFAULT.tolerance,
            rearms: 3,
            maximum_validity_minutes: Minutes::from_days(180).0,
            initial_grace_minutes: Minutes::from_days(30).0,
            roots: vec![RootKey::new(1, &root.public_key())],
        };
        Ok(Self { root, product })
    }

    fn start_host(&self, clock: ScaledClock, transport: Transport) -> Result<RunningHost, Problem> {
        let fail = |error: &dyn std::fmt::Display| Problem::new(Exit::Failed, error);
        let mut rng = system_rng();
        let (key, _) = SigningKey::generate(&mut rng);
        let claims = Claims {
            public_key: key.public_key(),
            serial: 1,
            not_before: EpochMinute(0),
            not_after: EpochMinute(u32::MAX),
            root_id: 1,
            coverage: self.product.coverage(),
            role: Role::Host,
        };
        let certificate = match sign_certificate(&claims, &self.root) {
            Ok(certificate) => certificate,
            Err(never) => match never {},
        };
        let memory = HostMemory::for_products(std::slice::from_ref(&self.product))
            .map_err(|error| fail(&error))?;
        let settings = Settings { rate_limit: RateLimit::OFF, ..Settings::DEFAULT };
        let daemon = memory.into_host(Some(certificate), settings, &mut rng);
        let id = trust::host_id(&key.public_key());
        let service = Arc::new(HostService::new(daemon, key, clock));
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let (tcp, udp) = (transport == Transport::Tcp, transport == Transport::Udp);
        let limits = Limits { connections_per_source: 4_096, ..Limits::default() };
        let limits = ServerLimits {
            connections: limits.connections,
            connections_per_source: limits.connections_per_source,
        };
        let server = Server::bind(&[Listen { address, tcp, udp }], limits, service.clone())
            .map_err(|error| fail(&error))?;
        let addresses = if tcp { server.tcp_addresses() } else { server.udp_addresses() };
        let address = addresses.first().map(ToString::to_string).unwrap_or_default();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Ok(RunningHost { id, address, service, stop, task })
    }
}

impl RunningHost {
    async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

fn start_machines(
    arguments: &Arguments,
    vendor: &Vendor,
    clock: ScaledClock,
    address: &str,
    answers: &mpsc::Sender<Answer>,
) -> JoinSet<()> {
    let sockets = Arc::new(Semaphore::new(AT_ONCE));
    let mut machines = JoinSet::new();
    for machine in 1..=arguments.clients {
        machines.spawn(live(
            machine,
            vendor.product.clone(),
            clock,
            arguments.transport,
            address.to_owned(),
            sockets.clone(),
            answers.clone(),
        ));
    }
    machines
}

/// One machine's life, until it is activated or has tried often enough.
async fn live(
    machine: u32,
    product: ProductFile,
    clock: ScaledClock,
    transport: Transport,
    address: String,
    sockets: Arc<Semaphore>,
    answers: mpsc::Sender<Answer>,
) {
    let mut rng = system_rng();
    let Ok(roots) = product.roots() else { return };
    let Ok(product) = product.for_client(&roots) else { return };
    let name = format!("machine-{machine}");
    let serial = machine.to_be_bytes();
    let components = [Some(serial.as_slice()), None, None, None, None, None, None, None];
    let facts = Machine {
        fingerprint: trust::fingerprint(product.application_id, &components),
        workstation_name: Name::truncated(&name),
        virtual_machine: true,
    };
    // One after the other, so that the count can be seen rising.
    tokio::time::sleep(STAGGER.saturating_mul(machine.min(EVERY_LINE))).await;
    let mut client = Client::new(&product, facts, NonZeroU8::MIN, clock.now(), &mut rng);
    let mut tries = 0;
    while tries < TRIES {
        match client.poll(clock.now(), &mut rng) {
            Step::Save | Step::Report(_) => {}
            Step::Wait { until } => {
                tokio::time::sleep(clock.real(until.since(clock.now().monotonic))).await;
            }
            Step::Send { .. } => {
                let Ok(_socket) = sockets.acquire().await else { return };
                let result = ask(&mut client, &clock, &mut rng, transport, &address).await;
                tries += 1;
                let activated = client.licence(clock.now()).status == LicenceStatus::Licensed;
                let result = result.map_err(|error| error.to_string());
                if answers.send(Answer { machine, result, activated }).await.is_err() || activated {
                    return;
                }
            }
        }
    }
}

impl Tally {
    fn take(&mut self, answer: &Answer) {
        match &answer.result {
            Ok(_) => self.exchanges += 1,
            Err(failure) => {
                self.failures += 1;
                self.last_failure.clone_from(failure);
            }
        }
        if answer.activated {
            self.activated += 1;
        }
    }

    fn tell(&self, answer: &Answer, arguments: &Arguments, output: Output) {
        let Answer { machine, result, .. } = answer;
        let every = arguments.clients.div_ceil(EVERY_LINE);
        let news = self.activated + u32::try_from(self.exchanges).unwrap_or(u32::MAX);
        if result.is_ok() && !news.is_multiple_of(every) {
            return;
        }
        let wide = arguments.clients.to_string().len();
        match result {
            Ok(Outcome::Activated { count }) => output.line(format_args!(
                "  machine {machine:>wide$}  count {count:>wide$}  activated ({} of {})",
                self.activated, arguments.clients
            )),
            Ok(Outcome::BelowThreshold { count, required }) => output.line(format_args!(
                "  machine {machine:>wide$}  count {count:>wide$}  needs {required}, asks again in 2 h"
            )),
            Ok(Outcome::Refused(refusal)) => {
                output.line(format_args!("  machine {machine:>wide$}  refused: {}", refusal.name()));
            }
            Err(failure) => output.line(format_args!("  machine {machine:>wide$}  {failure}")),
        }
    }

    fn summary(
        &self,
        arguments: &Arguments,
        count: u32,
        elapsed: Duration,
        interrupted: bool,
        output: Output,
    ) -> Exit {
        let Arguments { clients, threshold, transport } = *arguments;
        output.document(&json!({
            "clients": clients,
            "activated": self.activated,
            "count": count,
            "threshold": threshold,
            "transport": transport,
            "exchanges": self.exchanges,
            "failures": self.failures,
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }));
        let limit = threshold.saturating_mul(2);
        let at_limit =
            if count == limit { ", as many as it keeps: twice the threshold" } else { "" };
        output.line(format_args!(
            "{} of {clients} machines activated. The host counts {count}{at_limit}. {} exchanges of \
             250 bytes each way in {:.1} s.",
            self.activated,
            self.exchanges,
            elapsed.as_secs_f64()
        ));
        if interrupted {
            Exit::Interrupted
        } else if self.activated == clients {
            Exit::Done
        } else {
            self.not_all(arguments, count, output)
        }
    }

    /// Says why not all machines are activated.
    fn not_all(&self, arguments: &Arguments, count: u32, output: Output) -> Exit {
        if self.exchanges == 0 {
            output.line(format_args!("Nobody answered: {}", self.last_failure));
            return Exit::NobodyAnswered;
        }
        output.line(format_args!(
            "The host counts {count} machines, the product needs {}. Try more --clients.",
            arguments.threshold
        ));
        Exit::BelowThreshold
    }
}
