//! `headcount host run`.

use std::future::Future;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use headcount::daemon::publication::{Ports, Publications, Publisher};
use headcount::daemon::{
    CertificateKeeper, Clock, DaemonHost, HostService, LoadedState, SaveIntervals, Server,
    ServerLimits, Service, SystemClock, is_for, raise_open_files, system_rng,
};
use headcount::host::Restored;
use headcount::storage::SlotState;
use headcount::trust::{self, Signer};
use headcount::wire::Certificate;
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

use super::signals::StopSignals;
use super::{ConfigArgument, Installed};
use crate::output::{Exit, Output, Problem};

/// Serve: count machines and answer them, over TCP and UDP, until Ctrl-C or SIGTERM.
///
/// The counts survive a restart. After a crash the last two seconds' may be missing; such machines
/// are counted again when they ask again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount host run --config /etc/headcount")]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Log every frame.
    #[arg(long, short)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let level = if arguments.verbose { tracing::Level::DEBUG } else { tracing::Level::INFO };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that nobody reads any more is no reason to fail: the report of it would panic.
        .log_internal_errors(false)
        .init();
    let host = Installed::read(&arguments.config)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(&host, output));
    // What was to be saved is. A look-up of a name that is still under way would hold up the end.
    runtime.shutdown_background();
    ended
}

async fn serve(installed: &Installed, output: Output) -> Result<Exit, Problem> {
    // Before anybody can know that the host is there: who starts it may stop it at once.
    let signals = StopSignals::catch()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot catch signals: {error}")))?;
    let _lock = installed.files.lock()?;
    let clock = SystemClock::start();
    let signer = installed.files.read_key()?;
    let certificate = installed.files.read_certificate()?;
    match &certificate {
        None => tracing::warn!("not enrolled: this host is silent until 'headcount host enrol'"),
        Some(certificate) if !is_for(certificate, &signer) => {
            return Err(Problem::new(Exit::Damaged, "the certificate is for another host key")
                .advise("Enrol again: headcount host enrol --request FILE, or --online NAME"));
        }
        Some(_) => {}
    }
    let (host, state) = restore(installed, certificate, &clock)?;
    let id = trust::host_id(&signer.public_key());
    let (enrolled, is_enrolled) = watch::channel(certificate.is_some());
    let service = Arc::new(HostService::new(host, signer, clock));
    let keeper = keeper(installed, &service, clock)?;
    let server = Server::bind(&installed.config.listen, limits(installed), service.clone())
        .map_err(|error| Problem::new(Exit::Failed, error))?;
    let (tcp, udp) = (server.tcp_addresses(), server.udp_addresses());
    let ports = |addresses: &[SocketAddr]| addresses.iter().map(SocketAddr::port).collect();
    let ports = Ports { tcp: ports(&tcp), udp: ports(&udp) };
    let dns_clock = Arc::new(SystemClock::start()) as Arc<_>;
    let publications = Publications::new(&installed.config, &ports, &dns_clock)?;
    output.document(&json!({ "host_id": id.to_string(), "tcp": tcp, "udp": udp }));
    for (transport, address) in
        tcp.iter().map(|address| ("tcp", address)).chain(udp.iter().map(|address| ("udp", address)))
    {
        output.line(format_args!("Host {id} listens on {address} {transport}."));
    }
    let intervals =
        SaveIntervals::every(Duration::from_secs(installed.config.save_interval_seconds.into()));
    let save = |stop| service.keep_saved(state, intervals, stop);
    let publish = |stop| publish(publications, is_enrolled, stop);
    let keeping = tokio::spawn(keeper.run(enrolled));
    let ended = until_stopped(signals, server, save, publish).await;
    keeping.abort();
    match keeping.await {
        Err(error) if error.is_panic() => {
            tracing::error!(%error, "the certificate was not kept any more: that ended by a fault");
        }
        _ => {}
    }
    ended
}

/// What looks after the host's certificate while it runs.
fn keeper(
    installed: &Installed,
    service: &Arc<HostService<SystemClock>>,
    clock: SystemClock,
) -> Result<CertificateKeeper<SystemClock>, Problem> {
    let config = installed.config.enrolment.clone();
    let place = config.place(&installed.products);
    let place = place.map_err(|reason| Problem::new(Exit::Usage, reason))?;
    let applicant = installed.applicant()?;
    Ok(CertificateKeeper::new(service.clone(), clock, applicant, config, place))
}

/// Publishes a host that answers. Nobody should be sent to one that is silent.
async fn publish(
    publications: Publications,
    mut is_enrolled: watch::Receiver<bool>,
    mut stop: Stopped,
) {
    if !*is_enrolled.borrow() && !publications.each.is_empty() {
        tracing::warn!("not published in DNS yet: this host is not enrolled");
    }
    let has_begun = async {
        if is_enrolled.wait_for(|is| *is).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = &mut stop => return,
        () = has_begun => {}
    }
    Publisher::new(publications).run(stop).await;
}

/// The host with the counts that were saved, and where the next ones go.
fn restore(
    installed: &Installed,
    certificate: Option<Certificate>,
    clock: &SystemClock,
) -> Result<(DaemonHost, LoadedState), Problem> {
    let memory = installed.memory()?;
    let state = installed.files.open_state()?;
    if let SlotState::Damaged(damage) = state.other {
        tracing::warn!(%damage, "one of the two copies of the state is of no use, the other serves");
    }
    let mut host = memory.into_host(certificate, installed.config.settings(), &mut system_rng());
    match state.restore(&mut host, clock.now())? {
        None => tracing::info!("no saved counts: counting afresh"),
        Some(Restored { pools, unknown, left_out }) => {
            tracing::info!(pools, unknown, left_out, "counts restored");
        }
    }
    Ok((host, state))
}

/// The configured limits, as far as the system allows.
fn limits(installed: &Installed) -> ServerLimits {
    let configured = installed.config.server_limits();
    let Some(open_files) = raise_open_files() else { return configured };
    let limits = configured.within(open_files);
    if limits != configured {
        tracing::warn!(
            open_files,
            configured = configured.connections,
            connections = limits.connections,
            "fewer connections than configured: the system allows this process too few open files"
        );
    }
    limits
}

/// Serves, saves and publishes until a signal comes, or serving or saving fails.
async fn until_stopped<S: Service, F, P>(
    mut signals: StopSignals,
    server: Server<S>,
    save: impl FnOnce(Stopped) -> F,
    publish: impl FnOnce(Stopped) -> P,
) -> Result<Exit, Problem>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
    P: Future<Output = ()> + Send + 'static,
{
    let counters = server.counters();
    let (stop_serving, serve_until) = stop();
    let (stop_saving, save_until) = stop();
    let (stop_publishing, publish_until) = stop();
    let mut serving = tokio::spawn(server.run(serve_until));
    let mut saving = tokio::spawn(save(save_until));
    let publishing = tokio::spawn(publish(publish_until));
    let (mut served, mut not_saving) = (None, None);
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping"),
        ended = &mut serving => served = Some(ended),
        ended = &mut saving => not_saving = Some(ended),
    }
    // First nobody is sent here any more; who comes meanwhile is still answered.
    drop(stop_publishing);
    if let Err(error) = publishing.await {
        tracing::error!(%error, "publication in DNS ended by a fault");
    }
    drop(stop_serving);
    let served = match served {
        Some(ended) => ended,
        None => serving.await,
    };
    if let Some(ended) = not_saving {
        return not_saved(ended).map(|()| Exit::Done);
    }
    // Only now, when nothing is answered any more: what is saved last is everything.
    drop(stop_saving);
    let saved = not_saved(saving.await);
    let [accepted, turned_away, timed_out] =
        [&counters.accepted, &counters.turned_away, &counters.timed_out]
            .map(|counter| counter.load(Ordering::Relaxed));
    tracing::info!(accepted, turned_away, timed_out, "stopped; these were the connections");
    match served {
        Ok(Ok(())) => saved.map(|()| Exit::Done),
        Ok(Err(error)) => Err(Problem::new(Exit::Failed, error)),
        Err(error) => Err(Problem::new(Exit::Failed, error)),
    }
}

/// Completes when the sender is dropped.
type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

fn stop() -> (oneshot::Sender<()>, Stopped) {
    let (sender, receiver) = oneshot::channel();
    let stopped = async {
        let _ = receiver.await;
    };
    (sender, Box::pin(stopped))
}

fn not_saved(ended: Result<Result<(), String>, JoinError>) -> Result<(), Problem> {
    let result = ended.unwrap_or_else(|error| Err(error.to_string()));
    result.map_err(|error| Problem::new(Exit::Failed, format!("the counts are not saved: {error}")))
}
