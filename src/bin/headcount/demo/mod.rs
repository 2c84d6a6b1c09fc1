//! `headcount demo`: a vendor, a host and many machines, from nothing, in seconds.

mod clock;
mod tally;
mod vendor;

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use clock::DemoClock;
use headcount::client::{Client, Discard, Machine, Outcome, Step};
use headcount::daemon::{Clock, ExchangeError, ProductFile, Transport, ask, system_rng};
use headcount::trust;
use headcount::wire::{LicenceStatus, Name};
use tally::Tally;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use vendor::Vendor;

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
/// and runs real clients against it. An hour passes in a second, but no time while machines are
/// answered, so those that came before the threshold was met ask again about two seconds later.
/// Nothing is written to disk.
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
    result: Result<Outcome, ExchangeError<Discard>>,
    activated: bool,
}

async fn demo(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { clients, threshold, transport } = *arguments;
    let started = Instant::now();
    let clock = DemoClock::start(SPEED);
    let vendor = Vendor::new(threshold)?;
    let host = vendor.start_host(clock.clone(), transport)?;
    output.line(format_args!("Host {} listens on {} {transport}.", host.id, host.address));
    output.line(format_args!(
        "{clients} machines ask; the product needs a count of {threshold}. An hour takes a second."
    ));

    let (answers, mut inbox) = mpsc::channel(1_024);
    let mut machines = start_machines(arguments, &vendor, &clock, host.address, &answers);
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
    tally.summary(arguments, count, started.elapsed(), interrupted, output)
}

fn start_machines(
    arguments: &Arguments,
    vendor: &Vendor,
    clock: &DemoClock,
    address: SocketAddr,
    answers: &mpsc::Sender<Answer>,
) -> JoinSet<()> {
    let sockets = Arc::new(Semaphore::new(AT_ONCE));
    let mut machines = JoinSet::new();
    for machine in 1..=arguments.clients {
        machines.spawn(live(
            machine,
            vendor.product.clone(),
            clock.clone(),
            arguments.transport,
            address,
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
    clock: DemoClock,
    transport: Transport,
    address: SocketAddr,
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
        // A socket first, and then the request: it has the time in it.
        let Ok(socket) = sockets.acquire().await else { return };
        let pause = clock.pause();
        match client.poll(clock.now(), &mut rng) {
            Step::Save | Step::Report(_) => {}
            Step::Wait { until } => {
                drop((pause, socket));
                clock.sleep_until(until).await;
            }
            Step::Send { .. } => {
                let result = ask(&mut client, &clock, &mut rng, transport, address).await;
                tries += 1;
                let activated = client.licence(clock.now()).status == LicenceStatus::Licensed;
                if answers.send(Answer { machine, result, activated }).await.is_err() || activated {
                    return;
                }
            }
        }
    }
}
