//! `headcount client set-host`, `clear-host`, `set-domain` and `clear-domain`: one line of client.toml,
//! and nothing else of it, comments included.

use std::path::{Path, PathBuf};

use clap::Args;
use headcount::daemon::files::{self, FileError};
use headcount::daemon::{ClientConfig, parse_domain, parse_host};
use serde_json::json;

use super::last_host::LastHost;
use super::{ConfigArgument, edit};
use crate::output::{Exit, Output, Problem};

/// Set the hosts to ask, in this order; hosts in DNS are not looked for then.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client set-host counting.example spare.example:1700 --config /var/lib/router")]
pub(super) struct HostArguments {
    /// A host, port 1688 when none is given.
    #[arg(value_name = "NAME[:PORT]", required = true)]
    hosts: Vec<String>,
    #[command(flatten)]
    config: ConfigArgument,
}

/// Forget the hosts that were set: they are found in DNS again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount client clear-host --config /var/lib/router")]
pub(super) struct ClearHostArguments {
    #[command(flatten)]
    config: ConfigArgument,
}

/// Set the domains in which hosts are looked for, in this order.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client set-domain lab.corp.example corp.example --config /var/lib/router")]
pub(super) struct DomainArguments {
    /// A domain in which hosts publish themselves.
    #[arg(value_name = "DOMAIN", required = true)]
    domains: Vec<String>,
    #[command(flatten)]
    config: ConfigArgument,
}

/// Forget the domains that were set: the machine's own and the system's search list count again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount client clear-domain --config /var/lib/router")]
pub(super) struct ClearDomainArguments {
    #[command(flatten)]
    config: ConfigArgument,
}

pub(super) fn host(arguments: &HostArguments, output: Output) -> Result<Exit, Problem> {
    let HostArguments { hosts, config } = arguments;
    let full = hosts.iter().map(|host| parse_host(host).map(|host| host.to_string()));
    let full: Vec<_> = full.collect::<Result<_, _>>().map_err(usage)?;
    set(config, "hosts", Some(hosts))?;
    output.document(&json!({ "hosts": full }));
    output.line(format_args!("Asks {} from now on.", full.join(", then ")));
    Ok(Exit::Done)
}

pub(super) fn clear_host(arguments: &ClearHostArguments, output: Output) -> Result<Exit, Problem> {
    set(&arguments.config, "hosts", None)?;
    output.document(&json!({ "hosts": [] }));
    output.line("Looks for hosts in DNS from now on.");
    Ok(Exit::Done)
}

pub(super) fn domain(arguments: &DomainArguments, output: Output) -> Result<Exit, Problem> {
    let DomainArguments { domains, config } = arguments;
    let full = domains.iter().map(|domain| parse_domain(domain).map(|domain| domain.to_string()));
    let full: Vec<_> = full.collect::<Result<_, _>>().map_err(usage)?;
    let config = set(config, "domains", Some(domains))?;
    output.document(&json!({ "domains": full, "hosts": config.hosts }));
    output.line(format_args!("Looks for hosts in {} from now on.", full.join(", then ")));
    if !config.hosts.is_empty() {
        output.line(
            "But hosts are set by hand, which come first: see 'headcount client clear-host'.",
        );
    }
    Ok(Exit::Done)
}

pub(super) fn clear_domain(
    arguments: &ClearDomainArguments,
    output: Output,
) -> Result<Exit, Problem> {
    set(&arguments.config, "domains", None)?;
    output.document(&json!({ "domains": null }));
    output
        .line("Looks for hosts in this machine's domain and the system's search list from now on.");
    Ok(Exit::Done)
}

fn usage(reason: String) -> Problem {
    Problem::new(Exit::Usage, reason)
}

/// Sets a list of the configuration, or takes it out, and forgets who answered last: that host may be
/// none of those that are meant now. Returns the configuration as it is then.
fn set(
    argument: &ConfigArgument,
    key: &str,
    list: Option<&[String]>,
) -> Result<ClientConfig, Problem> {
    let path = file(&argument.config);
    // What cannot be used is not edited, and must not come of it.
    ClientConfig::read(&path)?;
    let text = String::from_utf8(files::read(&path)?)
        .map_err(|error| FileError::new(&path, "cannot understand", error))?;
    let edited = match list {
        Some(list) => edit::with_list(&text, key, list),
        None => edit::without(&text, key),
    };
    let edited = edited.map_err(|error| FileError::new(&path, "cannot understand", error))?;
    files::rewrite(&path, edited.as_bytes())?;
    let config = ClientConfig::read(&path)?;
    LastHost::forget(&config.state_folder())?;
    Ok(config)
}

fn file(config: &Path) -> PathBuf {
    if config.is_dir() { config.join(ClientConfig::FILE) } else { config.to_owned() }
}
