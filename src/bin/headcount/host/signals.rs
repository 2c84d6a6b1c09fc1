//! The signals that end a host.

#[cfg(unix)]
pub(super) use unix::StopSignals;

#[cfg(not(unix))]
pub(super) use other::StopSignals;

#[cfg(unix)]
mod unix {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// SIGINT and SIGTERM, caught from the moment this exists.
    pub(in super::super) struct StopSignals {
        interrupt: Signal,
        terminate: Signal,
    }

    impl StopSignals {
        pub(in super::super) fn catch() -> io::Result<Self> {
            let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
            Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
        }

        /// Waits for one of them and names it.
        pub(in super::super) async fn next(&mut self) -> &'static str {
            tokio::select! {
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.terminate.recv() => "SIGTERM",
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use std::io;

    /// Ctrl-C.
    pub(in super::super) struct StopSignals;

    impl StopSignals {
        pub(in super::super) fn catch() -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits for it and names it.
        pub(in super::super) async fn next(&mut self) -> &'static str {
            let _ = tokio::signal::ctrl_c().await;
            "Ctrl-C"
        }
    }
}
