//! `headcount host run`.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use headcount::daemon::{Clock, HostService, SaveIntervals, Server, SystemClock, is_for, system_rng};
use headcount::host::Restored;
use headcount::trust::{self, Signer};
use serde_json::json;
use tokio::sync::watch;

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
        .init();
    let host = Installed::read(&arguments.config)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    runtime.block_on(serve(&host, output))
}

async fn serve(installed: &Installed, output: Output) -> Result<Exit, Problem> {
    let _lock = installed.files.lock()?;
    let clock = SystemClock::start();
    let signer = installed.files.read_key()?;
    let certificate = installed.files.read_certificate()?;
    match &certificate {
        None => tracing::warn!("not enrolled: this host is silent until 'headcount host enrol'"),
        Some(certificate) if !is_for(certificate, &signer) => {
            return Err(Problem::new(Exit::Damaged, "the certificate is for another host key")
                .advise("Enrol again: headcount host enrol --out FILE"));
        }
        Some(_) => {}
    }
    let memory = installed.memory()?;
    let state = installed.files.open_state()?;
    let mut host = memory.into_host(certificate, installed.config.settings(), &mut system_rng());
    match state.restore(&mut host, clock.now())? {
        None => tracing::info!("no saved counts: counting afresh"),
        Some(Restored { pools, unknown, left_out }) => {
            tracing::info!(pools, unknown, left_out, "counts restored");
        }
    }
    let id = trust::host_id(&signer.public_key());
    let service = Arc::new(HostService::new(host, signer, clock));
    let limits = installed.config.server_limits();
    let server = Server::bind(&installed.config.listen, limits, service.clone())
        .map_err(|error| Problem::new(Exit::Failed, error))?;
    let (tcp, udp) = (server.tcp_addresses(), server.udp_addresses());
    output.document(&json!({ "host_id": id.to_string(), "tcp": tcp, "udp": udp }));
    for (transport, address) in
        tcp.iter().map(|address| ("tcp", address)).chain(udp.iter().map(|address| ("udp", address)))
    {
        output.line(format_args!("Host {id} listens on {address} {transport}."));
    }
    let (stop, stopped) = watch::channel(false);
    let stopped = || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        }
    };
    let interval = Duration::from_secs(installed.config.save_interval_seconds.into());
    let intervals = SaveIntervals::every(interval);
    let saving = tokio::spawn(service.keep_saved(state, intervals, stopped()));
    let serving = tokio::spawn(server.run(stopped()));
    let signal = stop_signal().await;
    tracing::info!(signal, "stopping");
    let _ = stop.send(true);
    let _ = serving.await;
    match saving.await {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(error)) => {
            Err(Problem::new(Exit::Failed, format!("the counts are not saved: {error}")))
        }
        Err(error) => Err(Problem::new(Exit::Failed, format!("the counts are not saved: {error}"))),
    }
}

/// Waits for Ctrl-C or, where there is such a thing, SIGTERM.
async fn stop_signal() -> &'static str {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = tokio::signal::ctrl_c() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
        }
    }
    let _ = tokio::signal::ctrl_c().await;
    "SIGINT"
}
