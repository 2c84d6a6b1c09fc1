//! `headcount authority run`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use headcount::daemon::{
    Access, AuthorityConfig, AuthorityFiles, AuthorityService, Desk, DeskSettings, Server,
    SystemClock, WriterHandle, raise_open_files, system_rng,
};
use headcount::time::Minutes;
use serde_json::json;
use tokio::sync::oneshot;

use super::now;
use crate::host::signals::StopSignals;
use crate::output::{Exit, Output, Problem};

/// Serve: enrol hosts and activate single machines by key, over TCP and UDP, until Ctrl-C or
/// SIGTERM.
///
/// What is granted is in the database, and safe from a power cut, before it is answered. The same
/// request gets the same answer again, also after a crash. Keys can be blocked, and all else done
/// with 'headcount authority', while it runs; products that were added are known within ten
/// seconds. When it is ready it prints a line READY.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority run --config /srv/vendor/authority.toml")]
pub(super) struct Arguments {
    /// authority.toml, or the folder it is in.
    #[arg(long, value_name = "PATH", default_value = "authority.toml")]
    config: PathBuf,
    /// Log every request.
    #[arg(long, short)]
    verbose: bool,
}

/// How often products and certificates are looked after; sooner after a failure.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

/// How often it is seen whether the writer still writes.
const WATCH_PAUSE: Duration = Duration::from_millis(500);

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let level = if arguments.verbose { tracing::Level::DEBUG } else { tracing::Level::INFO };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that nobody reads any more is no reason to fail: the report of it would panic.
        .log_internal_errors(false)
        .init();
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(serve(folder_of(&arguments.config), output));
    // A signer that does not answer would hold up the end.
    runtime.shutdown_background();
    ended
}

/// The vendor's folder, named by itself or by its authority.toml.
fn folder_of(config: &Path) -> &Path {
    if config.is_dir() {
        return config;
    }
    match config.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

async fn serve(folder: &Path, output: Output) -> Result<Exit, Problem> {
    // Before anybody can know that the service is there: who starts it may stop it at once.
    let signals = StopSignals::catch()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot catch signals: {error}")))?;
    let files = Arc::new(Access::alone(folder)?);
    let desk = Arc::new(desk(&files)?);
    let service = &files.config().service;
    let (authority, writer) = AuthorityService::start(
        desk.clone(),
        files.database().clone(),
        service.rate_limit(),
        service.queue,
        SystemClock::start(),
    );
    let counters = authority.counters();
    let limits = service.server_limits();
    let limits = raise_open_files().map_or(limits, |open_files| limits.within(open_files));
    let server = Server::bind(&service.listen, limits, Arc::new(authority))
        .map_err(|error| Problem::new(Exit::Failed, error))?;
    let (tcp, udp) = (server.tcp_addresses(), server.udp_addresses());
    // Before the first request, so that the first client need not come again.
    let renewed = renew(&files, &desk).await;
    // Until the end: other commands have this process do what they are asked.
    #[cfg(unix)]
    let _control = headcount::daemon::ControlSocket::listen(Arc::new(
        headcount::daemon::Office::with_desk(files.clone(), desk.clone()),
    ))?;
    output.document(&json!({ "tcp": tcp, "udp": udp, "root": files.config().use_root }));
    for (transport, address) in
        tcp.iter().map(|address| ("tcp", address)).chain(udp.iter().map(|address| ("udp", address)))
    {
        output.line(format_args!("The authority listens on {address} {transport}."));
    }
    output.line("READY");
    let keeping = tokio::spawn(keep_renewed(files.clone(), desk, renewed));
    let ended = until_stopped(signals, server, writer).await;
    keeping.abort();
    let counts: Vec<_> =
        counters.all().iter().map(|(name, count)| format!("{name} {count}")).collect();
    tracing::info!(requests = counts.join(", "), "stopped");
    ended
}

/// The keys and rules of the vendor's folder.
fn desk(files: &AuthorityFiles) -> Result<Desk, Problem> {
    let AuthorityConfig { certificate_validity_days, max_clock_skew_minutes, service, .. } =
        files.config();
    let settings = DeskSettings {
        host_certificate: Minutes::from_days(*certificate_validity_days),
        own_certificate: Minutes::from_days(service.own_certificate_days),
        max_skew: max_clock_skew_minutes.map(Minutes),
    };
    let (root, others) = files.open_roots()?;
    let key = files.service_key(&mut system_rng())?;
    Ok(Desk::new(files.read_master()?, key, root, others, settings))
}

/// Takes up products and renews certificates; whether all of it could be done.
async fn renew(files: &Arc<AuthorityFiles>, desk: &Arc<Desk>) -> bool {
    let (files, desk) = (files.clone(), desk.clone());
    let task = move || {
        let products = files.read_products().map_err(|error| error.to_string())?;
        desk.renew(&products, now(), &**files.database())
    };
    let result = tokio::task::spawn_blocking(task).await;
    match result.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(0) => true,
        Ok(issued) => {
            tracing::info!(issued, "certificates of the authority's own key");
            true
        }
        Err(error) => {
            tracing::error!(%error, "cannot renew certificates, will try again");
            false
        }
    }
}

async fn keep_renewed(files: Arc<AuthorityFiles>, desk: Arc<Desk>, mut renewed: bool) {
    loop {
        tokio::time::sleep(if renewed { RENEWAL_PAUSE } else { FAILURE_PAUSE }).await;
        renewed = renew(&files, &desk).await;
    }
}

/// Serves until a signal comes, or serving or writing fails.
async fn until_stopped(
    mut signals: StopSignals,
    server: Server<AuthorityService<SystemClock>>,
    writer: WriterHandle,
) -> Result<Exit, Problem> {
    let (stop_serving, stopped) = oneshot::channel::<()>();
    let mut serving = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let mut served = None;
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping"),
        ended = &mut serving => served = Some(ended),
        () = ended(&writer) => {}
    }
    drop(stop_serving);
    let served = match served {
        Some(ended) => ended,
        None => serving.await,
    };
    // The server has dropped the service, so the writer ends when all that waited is decided.
    let written = tokio::task::spawn_blocking(|| writer.join()).await;
    let written = written.unwrap_or_else(|error| Err(error.to_string()));
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Problem::new(Exit::Failed, error)),
        Err(error) => return Err(Problem::new(Exit::Failed, error)),
    }
    written.map(|()| Exit::Done).map_err(|error| Problem::new(Exit::Failed, error))
}

/// Completes when the writer writes no more.
async fn ended(writer: &WriterHandle) {
    while !writer.has_ended() {
        tokio::time::sleep(WATCH_PAUSE).await;
    }
}
