//! How many hosts a service has by its records, and how many of them may be asked.

use headcount::daemon::HostSearch;
use headcount::discovery::HostName;
use headcount::discovery::message::Service;

/// What the records of one service come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Records that name a host.
    pub(super) hosts: usize,
    /// Those of them that may be asked.
    pub(super) allowed: usize,
    /// Whether a record says that the service is not there (RFC 2782).
    pub(super) denied: bool,
}

impl Tally {
    pub(super) fn of(services: impl Iterator<Item = Service>, search: &HostSearch) -> Self {
        let mut tally = Self::default();
        for service in services {
            if service.target.is_root() {
                tally.denied = true;
            } else if service.port > 0 {
                let allowed = search.asked_as(&HostName::Name(service.target)).is_ok();
                tally.hosts = tally.hosts.saturating_add(1);
                tally.allowed = tally.allowed.saturating_add(allowed.into());
            }
        }
        tally
    }

    pub(super) fn words(self) -> String {
        let Self { hosts, allowed, denied } = self;
        let others = match hosts.saturating_sub(allowed) {
            0 => String::new(),
            others => format!(", and {others} that may not be asked"),
        };
        match (hosts, allowed) {
            (0, _) if denied => "DNS says that the service is not offered here".into(),
            (0, _) => "no host has published itself there".into(),
            (1, 0) => "1 host, which is not trusted".into(),
            (_, 0) => format!("{hosts} hosts, none of them trusted"),
            (_, 1) => format!("1 host{others}"),
            _ => format!("{allowed} hosts{others}"),
        }
    }
}
