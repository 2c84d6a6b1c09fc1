//! Publication beside a host that runs: at once, again when something changed, and gone at the end.

use core::future::Future;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;

use rand_core::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Changed, Configured, Publication, Publications, PublishError, addresses};
use crate::os::system_rng;

/// How often it is looked whether publication was switched off or on.
const TICK: Duration = Duration::from_secs(1);
/// How often the machine's addresses are looked at.
const ADDRESSES: Duration = Duration::from_secs(60);
/// When all is well, records are published again after this.
const REFRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// Wait after the first failure. Each one after it waits twice as long, up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(60);
const LONGEST_RETRY: Duration = Duration::from_secs(60 * 60);
/// How long the end of a host waits for its records to be gone.
const WITHDRAWAL: Duration = Duration::from_secs(5);

/// Keeps a running host's publications up to date.
#[derive(Debug)]
pub struct Publisher {
    publications: Arc<Publications>,
}

impl Publisher {
    /// For these publications.
    #[must_use]
    pub fn new(publications: Publications) -> Self {
        Self { publications: Arc::new(publications) }
    }

    /// Publishes, and goes on so until `stop` completes; then withdraws, which takes 5 s at most. What
    /// fails, be it for the name server's sake or because the machine lacks something, is logged with
    /// its cause and tried again after 1 min, 2 min and so on up to 1 h.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        for domain in self.publications.forgotten() {
            tracing::warn!(
                domain,
                "records of this host may still be in DNS: host.toml does not name the domain any more"
            );
        }
        let (stopping, stopped) = watch::channel(());
        let mut tasks = JoinSet::new();
        for configured in self.publications.each.iter().cloned() {
            let keeper = Keeper::new(configured, self.publications.clone());
            tasks.spawn(keeper.run(stopped.clone()));
        }
        drop(stopped);
        stop.await;
        // Dropping the sender is the signal.
        drop(stopping);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "publication in a domain had ended by a fault");
            }
        }
    }
}

/// One domain's publication over time.
struct Keeper {
    configured: Configured,
    /// As it was when it was ready last.
    ready: Option<Publication>,
    publications: Arc<Publications>,
    /// Whether publication was on when last looked at; `None` at first.
    was_on: Option<bool>,
    /// How often it failed since it last went well.
    failures: u32,
    /// When to act next; `None` when nothing needs to be done.
    due: Option<Instant>,
    /// The machine's addresses, and when they were looked at.
    machine: BTreeSet<IpAddr>,
    looked: Option<Instant>,
}

impl Keeper {
    const fn new(configured: Configured, publications: Arc<Publications>) -> Self {
        Self {
            configured,
            ready: None,
            publications,
            was_on: None,
            failures: 0,
            due: None,
            machine: BTreeSet::new(),
            looked: None,
        }
    }

    async fn run(mut self, mut stopped: watch::Receiver<()>) {
        loop {
            let is_on = self.publications.are_on();
            self.notice(is_on);
            let step = async {
                if self.due.is_some_and(|due| Instant::now() >= due) {
                    Some(self.act(is_on).await)
                } else {
                    sleep(TICK).await;
                    None
                }
            };
            let result = tokio::select! {
                _ = stopped.changed() => break,
                result = step => result,
            };
            if let Some(result) = result {
                self.conclude(is_on, result);
            }
        }
        self.end().await;
    }

    /// Acts at once when publication was switched, or when the machine has other addresses: it may
    /// reach a server now that it could not reach before.
    fn notice(&mut self, is_on: bool) {
        let is_switched = self.was_on.replace(is_on) != Some(is_on);
        let is_elsewhere = is_on && self.is_elsewhere();
        if is_switched || is_elsewhere {
            self.failures = 0;
            self.due = (is_on || self.configured.has_records()).then(Instant::now);
        }
    }

    fn is_elsewhere(&mut self) -> bool {
        if self.looked.is_some_and(|looked| looked.elapsed() < ADDRESSES) {
            return false;
        }
        self.looked = Some(Instant::now());
        let machine = addresses::of_this_machine();
        machine != core::mem::replace(&mut self.machine, machine.clone())
    }

    /// What the machine lacks now but had before, such as a key file that was taken away, still serves.
    async fn act(&mut self, is_on: bool) -> Result<Changed, PublishError> {
        let publication = match self.configured.ready() {
            Ok(ready) => self.ready.insert(ready),
            Err(error) => self.ready.as_ref().ok_or(error)?,
        };
        if is_on { publication.publish().await } else { publication.withdraw().await }
    }

    fn conclude(&mut self, is_on: bool, result: Result<Changed, PublishError>) {
        let domain = self.configured.domain();
        match result {
            Ok(changed) => {
                self.failures = 0;
                self.due = is_on.then(|| Instant::now().checked_add(spread(REFRESH))).flatten();
                let Changed { server, zone, removed, .. } = &changed;
                if is_on {
                    let records = records(&changed);
                    tracing::info!(domain, %server, zone, records, removed, "published in DNS");
                } else {
                    tracing::info!(domain, %server, zone, removed, "withdrawn from DNS");
                }
            }
            Err(error) => {
                let wait = spread(retry_after(self.failures));
                self.failures = self.failures.saturating_add(1);
                self.due = Instant::now().checked_add(wait);
                let (advice, retry_in_s) = (error.advice(), wait.as_secs());
                let what = if is_on { "published in" } else { "withdrawn from" };
                tracing::warn!(domain, retry_in_s, "not {what} DNS: {error}. {advice}");
            }
        }
    }

    /// Takes the records away, so that clients do not ask a host that is gone.
    async fn end(mut self) {
        if !self.configured.has_records() {
            return;
        }
        let domain = self.configured.domain();
        match timeout(WITHDRAWAL, self.act(false)).await {
            Ok(Ok(Changed { server, removed, .. })) => {
                tracing::info!(domain, %server, removed, "withdrawn from DNS");
            }
            Ok(Err(error)) => {
                let advice = error.advice();
                tracing::warn!(domain, "not withdrawn from DNS, records stay: {error}. {advice}");
            }
            Err(_) => {
                let limit_s = WITHDRAWAL.as_secs();
                tracing::warn!(domain, limit_s, "not withdrawn from DNS in time, records may stay");
            }
        }
    }
}

fn records(changed: &Changed) -> String {
    let services = changed.published.iter();
    let services = services.map(|record| std::format!("{} {record}", record.transport));
    let addresses = changed.addresses.iter().map(ToString::to_string);
    services.chain(addresses).collect::<Vec<_>>().join(", ")
}

/// The wait after so many failures before this one.
fn retry_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures);
    FIRST_RETRY.saturating_mul(doubled).min(LONGEST_RETRY)
}

/// Up to a tenth more or less, so that hosts that came up together do not go on together.
fn spread(wait: Duration) -> Duration {
    let tenths = f64::from(system_rng().next_u32()) / f64::from(u32::MAX);
    wait.mul_f64(tenths.mul_add(0.2, 0.9))
}

#[cfg(test)]
mod tests {
    use super::super::{Ports, PublicationError};
    use super::*;
    use crate::daemon::HostConfig;
    use crate::os::{Clock, SystemClock};

    #[test]
    fn retries_wait_longer_and_longer_up_to_an_hour() {
        let minutes = [1, 2, 4, 8, 16, 32, 60, 60].map(|minutes| Duration::from_secs(60 * minutes));
        for (failures, wait) in (0..).zip(minutes) {
            assert_eq!(retry_after(failures), wait);
        }
        assert_eq!(retry_after(u32::MAX), LONGEST_RETRY);
    }

    #[test]
    fn waits_are_spread_by_a_tenth() {
        let waits: BTreeSet<_> = (0..50).map(|_| spread(REFRESH)).collect();
        assert!(waits.len() > 40);
        let (least, most) = (REFRESH.mul_f64(0.9), REFRESH.mul_f64(1.1));
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)));
    }

    #[tokio::test]
    async fn it_acts_when_something_changed_and_else_in_its_time() {
        let folder =
            std::env::temp_dir().join(std::format!("headcount-keep-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("state")).unwrap();
        let config =
            "[dns]\ntarget = \"a.example.org\"\n[[dns.publish]]\ndomain = \"example.org\"\n";
        std::fs::write(folder.join("host.toml"), config).unwrap();
        let config = HostConfig::read(&folder).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let publications = Arc::new(Publications::new(&config, &Ports::default(), &clock).unwrap());
        let mut keeper = Keeper::new(publications.each[0].clone(), publications);
        let wait = |keeper: &Keeper| keeper.due.map(|due| due.duration_since(Instant::now()));
        keeper.notice(true);
        assert_eq!(wait(&keeper), Some(Duration::ZERO), "at the start");
        let silent = || PublicationError::Silent { server: ([127, 0, 0, 1], 53).into() };
        for (failures, minutes) in [(1, 1), (2, 2), (3, 4)] {
            keeper.conclude(true, Err(silent().into()));
            let expected = Duration::from_secs(60 * minutes);
            let after = wait(&keeper).unwrap();
            assert!(after > expected.mul_f64(0.8) && after < expected.mul_f64(1.2), "{after:?}");
            keeper.notice(true);
            assert_eq!(keeper.failures, failures, "nothing happened");
        }
        // An address that the machine has no more.
        keeper.machine = ["192.0.2.1".parse().unwrap()].into();
        keeper.looked = None;
        keeper.notice(true);
        assert_eq!((wait(&keeper), keeper.failures), (Some(Duration::ZERO), 0));
        let (server, zone) = (([127, 0, 0, 1], 53).into(), "example.org".to_string());
        let done =
            Changed { server, zone, published: Vec::new(), addresses: Vec::new(), removed: 0 };
        keeper.conclude(true, Ok(done));
        assert!(wait(&keeper).unwrap() > REFRESH.mul_f64(0.8));
        // Nothing is there that could be withdrawn.
        keeper.notice(false);
        assert_eq!(keeper.due, None);
        keeper.notice(true);
        assert_eq!(wait(&keeper), Some(Duration::ZERO));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_key_file_that_comes_later_is_read_at_the_next_try() {
        let folder =
            std::env::temp_dir().join(std::format!("headcount-later-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("state")).unwrap();
        let config = "[dns]\ntarget = \"a.example.org\"\n[[dns.publish]]\n\
                      domain = \"example.org\"\nserver = \"127.0.0.1:1\"\nkey_file = \"dns.key\"\n";
        std::fs::write(folder.join("host.toml"), config).unwrap();
        let config = HostConfig::read(&folder).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let publications = Arc::new(Publications::new(&config, &Ports::default(), &clock).unwrap());
        let mut keeper = Keeper::new(publications.each[0].clone(), publications);
        let failed = keeper.act(true).await;
        assert!(matches!(failed, Err(PublishError::Key(_))), "{failed:?}");
        keeper.conclude(true, failed);
        assert_eq!(keeper.failures, 1);
        assert!(keeper.due.unwrap() > Instant::now() + FIRST_RETRY / 2);
        let key = "key hosts { algorithm hmac-sha256; secret \"c2VjcmV0\"; };";
        let path = folder.join("dns.key");
        crate::daemon::files::write(&path, key.as_bytes(), crate::daemon::files::Secrecy::Secret)
            .unwrap();
        // Now it gets as far as the name server.
        let failed = keeper.act(true).await;
        assert!(matches!(failed, Err(PublishError::Dns(_))), "{failed:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
