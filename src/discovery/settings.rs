//! What a site says of its hosts: where to look for them, which names stand for others, which to
//! trust (PROTOCOL 12).

use core::fmt;

use super::host::{Host, HostName};
use super::name::{DomainName, Proto};
use crate::wire::HostId;

/// Names that follow one another by redirections, at most.
pub const LONGEST_CHAIN: usize = 8;

/// The label of the service in DNS (PROTOCOL 12).
pub const SERVICE: &str = "_headcount";

/// How a client finds its hosts.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Hosts set by hand. When there are any, no others are looked for. The one that answered last is
    /// asked first, the others follow in their order; only the first 255 are asked.
    pub hosts: &'a [Host],
    /// Domains in which hosts publish themselves: the client's own, then those of its search list.
    /// Only the first 255 are asked for.
    pub domains: &'a [DomainName],
    /// The label of the service, [`SERVICE`] unless a site has another.
    pub service: &'a str,
    /// How hosts are asked, and so which of their records count.
    pub proto: Proto,
    /// Names that stand for others.
    pub redirects: &'a [Redirect],
    /// Hosts to trust.
    pub trusted: Trusted<'a>,
    /// Whether to keep the host that answered last and the list that DNS gave, as long as its records
    /// say. Without it every round asks DNS anew.
    pub caching: bool,
}

impl Settings<'_> {
    /// Nothing set: no hosts, no domains, all trusted, caching on.
    pub const DEFAULT: Self = Self {
        hosts: &[],
        domains: &[],
        service: SERVICE,
        proto: Proto::Tcp,
        redirects: &[],
        trusted: Trusted::ALL,
        caching: true,
    };
}

impl<'a> Settings<'a> {
    /// The name at which a host is asked: that to which redirections lead, when it is trusted.
    ///
    /// # Errors
    ///
    /// The host must not be asked.
    pub fn name_to_ask<'n>(&self, name: &'n HostName) -> Result<&'n HostName, Barred>
    where
        'a: 'n,
    {
        let name = redirected(name, self.redirects).map_err(Barred::Redirect)?;
        if self.trusted.has_name(name) { Ok(name) } else { Err(Barred::NotTrusted) }
    }
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A name that stands for another one: whoever would ask the old name asks the new one, at the port
/// of the old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The old name.
    pub from: HostName,
    /// The new one, which may stand for another in turn.
    pub to: HostName,
}

/// Redirections that lead nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RedirectError {
    /// They lead back to a name they came from.
    Loop,
    /// More than eight follow one another.
    TooLong,
}

/// Why a host must not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Barred {
    /// Its redirections lead nowhere.
    Redirect(RedirectError),
    /// It is none of the trusted hosts.
    NotTrusted,
}

/// The name that is asked in place of `name`, which may be itself.
///
/// # Errors
///
/// The redirections lead nowhere, so the host cannot be asked.
pub fn redirected<'n>(
    name: &'n HostName,
    redirects: &'n [Redirect],
) -> Result<&'n HostName, RedirectError> {
    let follow = |name: &HostName| {
        redirects.iter().find(|redirect| redirect.from == *name).map(|redirect| &redirect.to)
    };
    let mut end = name;
    for length in 0..=LONGEST_CHAIN {
        let Some(next) = follow(end) else { return Ok(end) };
        // All names on the way here, which are followed once more to be seen again.
        let mut earlier =
            core::iter::successors(Some(name), |name| follow(name)).take(length.saturating_add(1));
        if earlier.any(|name| name == next) {
            return Err(RedirectError::Loop);
        }
        end = next;
    }
    Err(RedirectError::TooLong)
}

/// Which hosts to trust: a list that is empty leaves all of its kind. A host outside is neither asked
/// nor believed.
#[derive(Clone, Copy, Debug)]
pub struct Trusted<'a> {
    /// Names or addresses, as they are after redirections.
    pub names: &'a [HostName],
    /// Host ids.
    pub ids: &'a [HostId],
}

impl Trusted<'_> {
    /// All of them.
    pub const ALL: Self = Self { names: &[], ids: &[] };

    /// Whether a host of this name may be asked.
    #[must_use]
    pub fn has_name(&self, name: &HostName) -> bool {
        self.names.is_empty() || self.names.contains(name)
    }

    /// Whether a host with this id may be believed.
    #[must_use]
    pub fn has_id(&self, id: HostId) -> bool {
        self.ids.is_empty() || self.ids.contains(&id)
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loop => "its redirections lead back to where they began",
            Self::TooLong => "more than eight redirections follow one another",
        })
    }
}

impl core::error::Error for RedirectError {}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect(error) => error.fmt(f),
            Self::NotTrusted => f.write_str("is none of the trusted hosts"),
        }
    }
}

impl core::error::Error for Barred {}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec::Vec;

    use super::*;

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    fn chain(pairs: &[(&str, &str)]) -> Vec<Redirect> {
        let redirect = |(from, to): &(&str, &str)| Redirect { from: name(from), to: name(to) };
        pairs.iter().map(redirect).collect()
    }

    #[test]
    fn chains_are_followed_to_their_end() {
        let redirects = chain(&[("old", "newer"), ("newer", "192.0.2.7"), ("192.0.2.8", "old")]);
        for from in ["old", "newer", "192.0.2.8", "192.0.2.7"] {
            assert_eq!(redirected(&name(from), &redirects), Ok(&name("192.0.2.7")));
        }
        assert_eq!(redirected(&name("other"), &redirects), Ok(&name("other")));
    }

    #[test]
    fn eight_may_follow_one_another() {
        let redirects: Vec<_> = (0..9)
            .map(|n| Redirect { from: name(&format!("h{n}")), to: name(&format!("h{}", n + 1)) })
            .collect();
        assert_eq!(redirected(&name("h1"), &redirects), Ok(&name("h9")));
        assert_eq!(redirected(&name("h0"), &redirects), Err(RedirectError::TooLong));
    }

    #[test]
    fn loops_are_refused() {
        let redirects = chain(&[("a", "b"), ("b", "c"), ("c", "b"), ("d", "d")]);
        for from in ["a", "b", "c", "d"] {
            assert_eq!(redirected(&name(from), &redirects), Err(RedirectError::Loop), "{from}");
        }
    }
}
