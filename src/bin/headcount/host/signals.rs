//! The signals that end a service.

#[cfg(unix)]
pub(crate) use unix::StopSignals;

#[cfg(not(unix))]
pub(crate) use other::StopSignals;

#[cfg(unix)]
mod unix {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// SIGINT and SIGTERM, caught from the moment this exists.
    pub(crate) struct StopSignals {
        interrupt: Signal,
        terminate: Signal,
    }

    impl StopSignals {
        pub(crate) fn catch() -> io::Result<Self> {
            let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
            Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
        }

        /// Waits for one of them and names it.
        pub(crate) async fn next(&mut self) -> &'static str {
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
    pub(crate) struct StopSignals;

    impl StopSignals {
        pub(crate) fn catch() -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits for it and names it.
        pub(crate) async fn next(&mut self) -> &'static str {
            let _ = tokio::signal::ctrl_c().await;
            "Ctrl-C"
        }
    }
}
