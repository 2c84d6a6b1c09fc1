//! Work that Ctrl-C ends.

use crate::output::{Exit, Problem};

/// Runs to the end of `work`, or until Ctrl-C: `None` then. It does not wait for what blocks a thread,
/// such as the system's look-up of a name, which nothing can end.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> Result<Option<T>, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Exit::Failed, format!("cannot start: {error}")))?;
    let done = runtime.block_on(async {
        tokio::select! {
            // Listened for before anything is sent.
            biased;
            _ = tokio::signal::ctrl_c() => None,
            done = work => Some(done),
        }
    });
    runtime.shutdown_background();
    Ok(done)
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn ctrl_c_does_not_wait_for_a_thread_that_blocks() {
        let (release, blocked) = mpsc::channel::<()>();
        let (told, waited) = mpsc::channel();
        let done = run(async move {
            tokio::task::spawn_blocking(move || {
                let end = blocked.recv_timeout(Duration::from_secs(20));
                let _ = told.send(end == Err(mpsc::RecvTimeoutError::Timeout));
            });
            // The signal is listened for by now: it is polled first.
            let id = std::process::id().to_string();
            let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
            assert!(killed.success());
            std::future::pending::<()>().await;
        });
        assert_eq!(done.unwrap(), None);
        drop(release);
        assert!(!waited.recv().unwrap(), "it waited for the thread");
    }
}
