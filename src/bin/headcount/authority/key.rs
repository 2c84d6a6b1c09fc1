//! `headcount authority key`: the product keys that the vendor issues.

use clap::{Args, Subcommand, ValueEnum};
use headcount::authority::{ACTIVATIONS_PER_HOST, HOSTS_PER_KEY};
use headcount::daemon::{
    Command, EnrolmentRecord, KeyDetails, KeyTerms, NewKey, ProductFile, RegisteredKind, Reply,
    date,
};
use headcount::time::UnixTime;
use serde_json::{Value, json};

use super::asking::{Asked, FolderArgument};
use super::{covers, list, product};
use crate::output::{Exit, Output, Problem};

/// Issue product keys, show them again, list and block them.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount authority key new --kind host --product router --note 'Example Ltd'
  headcount authority key list
  headcount authority key limit 2 --hosts 12
  headcount authority key block 2")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(New),
    /// Print a key again, and the hosts that it has enrolled.
    Show(OneKey),
    List(List),
    /// Let a key enrol and activate nobody any more.
    Block(OneKey),
    /// Let a blocked key enrol and activate again.
    Unblock(OneKey),
    Limit(Limit),
}

/// Issue a product key.
///
/// Host keys enrol a customer's hosts, MAKs activate single machines at the authority, setup keys
/// ship in every unit of a product. Secrets are derived, not stored:
/// 'key show' prints a key again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount authority key new --kind host --product router --hosts 6 --activations 10
  headcount authority key new --kind host --family 7 --rank 3 --generation 2
  headcount authority key new --kind mak --product router --activations 500
  headcount authority key new --kind setup --product router")]
struct New {
    #[command(flatten)]
    folder: FolderArgument,
    /// What the key is for.
    #[arg(long)]
    kind: KindArgument,
    /// The product that it is for; covers that product's family, rank and generation.
    #[arg(long, value_name = "NAME", required_unless_present_all = ["family", "rank", "generation"])]
    product: Option<String>,
    /// Product family that it covers.
    #[arg(long)]
    family: Option<u16>,
    /// The highest product group that it covers.
    #[arg(long)]
    rank: Option<u8>,
    /// The newest product generation that it covers.
    #[arg(long)]
    generation: Option<u8>,
    /// Host keys: how many hosts it enrols [default: 6].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    hosts: Option<u32>,
    /// Host keys: how many times it enrols each host [default: 10]. MAKs: how many machines it
    /// activates.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    activations: Option<u32>,
    /// Your own words, such as the customer's name.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindArgument {
    /// Enrols hosts.
    Host,
    /// Activates single machines at the authority.
    Mak,
    /// Ships in every unit.
    Setup,
}

/// One key of the register.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority key show 2 --dir vendor")]
struct OneKey {
    #[command(flatten)]
    folder: FolderArgument,
    /// The key's number.
    #[arg(value_name = "ID")]
    id: u32,
}

/// Change how much a key is worth.
///
/// A lower limit takes nothing back: what was enrolled or activated stays so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount authority key limit 2 --hosts 12
  headcount authority key limit 3 --activations 750 --dir vendor")]
struct Limit {
    #[command(flatten)]
    folder: FolderArgument,
    /// The key's number.
    #[arg(value_name = "ID")]
    id: u32,
    /// Host keys: how many hosts it enrols.
    #[arg(
        long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..),
        required_unless_present = "activations",
    )]
    hosts: Option<u32>,
    /// Host keys: how many times it enrols each host. MAKs: how many machines it activates.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    activations: Option<u32>,
}

/// List all keys, without their secrets.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority key list --json")]
struct List {
    #[command(flatten)]
    folder: FolderArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::New(arguments) => new(arguments, output),
        Verb::Show(arguments) => show(arguments, output),
        Verb::List(arguments) => list(&arguments.folder.access()?, output),
        Verb::Block(arguments) => block(arguments, true, output),
        Verb::Unblock(arguments) => block(arguments, false, output),
        Verb::Limit(arguments) => limit(arguments, output),
    }
}

fn new(arguments: &New, output: Output) -> Result<Exit, Problem> {
    let authority = arguments.folder.access()?;
    let key = arguments.new_key(&authority)?;
    let key = authority.key(&Command::NewKey(key))?;
    print(&key, &[], output);
    match key.record.terms.kind() {
        RegisteredKind::Host => output.line(
            "Hand it to the customer, in a file named host-key.txt say, who makes a request with it: \
             headcount host enrol --key-file host-key.txt --request request.bin",
        ),
        RegisteredKind::Mak => output.line(
            "Hand it to the customer, in a file named mak.txt say, who activates a machine with it: \
             headcount client activate --key-file mak.txt",
        ),
        RegisteredKind::Setup => output.line(
            "To use it, put it into the setup_key of a copy of the product file. Hosts need the old \
             file as well, for the units that were shipped with it.",
        ),
    }
    output.line(format_args!(
        "It is not stored: 'headcount authority key show {}' derives it again.",
        key.record.id
    ));
    Ok(Exit::Done)
}

impl New {
    fn new_key(&self, authority: &Asked) -> Result<NewKey, Problem> {
        let usage = |cause: &str| Problem::new(Exit::Usage, cause);
        let kind = RegisteredKind::from(self.kind);
        let product = match &self.product {
            Some(name) => Some(product::named(authority, name)?),
            None => None,
        };
        let base = product.as_ref().map(ProductFile::coverage);
        let given = |name: &str| usage(&format!("--{name} or --product is missing"));
        let terms = match (kind, self.hosts, self.activations) {
            (RegisteredKind::Host, hosts, activations) => KeyTerms::Host {
                hosts: hosts.unwrap_or(HOSTS_PER_KEY),
                activations: activations.unwrap_or(ACTIVATIONS_PER_HOST),
            },
            (_, Some(_), _) => return Err(usage("--hosts is for host keys only")),
            (RegisteredKind::Mak, None, Some(activations)) => KeyTerms::Mak { activations },
            (RegisteredKind::Mak, None, None) => {
                return Err(usage("a MAK needs a limit").advise("Give it with --activations N."));
            }
            (RegisteredKind::Setup, None, Some(_)) => {
                return Err(usage("--activations is not for setup keys"));
            }
            (RegisteredKind::Setup, None, None) if self.product.is_none() => {
                return Err(usage("a setup key is for a product").advise("Name it with --product."));
            }
            (RegisteredKind::Setup, None, None) => KeyTerms::Setup,
        };
        Ok(NewKey {
            terms,
            product: self.product.clone(),
            family: self.family.or(base.map(|base| base.family)).ok_or_else(|| given("family"))?,
            rank: self.rank.or(base.map(|base| base.rank)).ok_or_else(|| given("rank"))?,
            generation: self
                .generation
                .or(base.map(|base| base.generation))
                .ok_or_else(|| given("generation"))?,
            note: self.note.clone(),
        })
    }
}

impl From<KindArgument> for RegisteredKind {
    fn from(kind: KindArgument) -> Self {
        match kind {
            KindArgument::Host => Self::Host,
            KindArgument::Mak => Self::Mak,
            KindArgument::Setup => Self::Setup,
        }
    }
}

fn show(arguments: &OneKey, output: Output) -> Result<Exit, Problem> {
    let authority = arguments.folder.access()?;
    let key = authority.key(&Command::Key(arguments.id))?;
    let enrolments = match key.record.terms.kind() {
        RegisteredKind::Host => list::enrolments(&authority, Some(arguments.id))?,
        RegisteredKind::Mak | RegisteredKind::Setup => Vec::new(),
    };
    print(&key, &enrolments, output);
    if key.record.terms.kind() == RegisteredKind::Mak {
        output.line(format_args!(
            "  'headcount authority activations --key {}' lists the machines",
            arguments.id
        ));
    }
    Ok(Exit::Done)
}

fn print(key: &KeyDetails, enrolments: &[EnrolmentRecord], output: Output) {
    let record = &key.record;
    let mut document = document(key);
    document["key"] = json!(key.text);
    document["enrolments"] = enrolments.iter().map(list::enrolment).collect();
    output.document(&document);
    output.line(key.text.as_deref().unwrap_or_default());
    output.line(format_args!(
        "  {} key {}, {}{}",
        record.terms.kind().name(),
        record.id,
        limits(record.terms),
        used(key)
    ));
    output.line(format_args!("  covers {}", covers(record.coverage())));
    if let Some(note) = &record.note {
        output.line(format_args!("  {note:?}"));
    }
    if record.blocked {
        output.line("  blocked");
    }
    for enrolment in enrolments {
        output.line(format_args!(
            "  host {} ({:?}), activation {}, valid until {}",
            enrolment.host_id(),
            enrolment.host_name,
            enrolment.activation,
            date(enrolment.valid_until())
        ));
    }
}

fn list(authority: &Asked, output: Output) -> Result<Exit, Problem> {
    let keys = authority.list(&Command::Keys, |reply| match reply {
        Reply::Key(key) => Some(key),
        _ => None,
    })?;
    output.document(&json!({ "keys": keys.iter().map(document).collect::<Vec<_>>() }));
    if keys.is_empty() {
        output.line("No keys yet: headcount authority key new");
    }
    for key in &keys {
        let record = &key.record;
        let product = record.product.as_deref().unwrap_or("-");
        let blocked = if record.blocked { ", blocked" } else { "" };
        let note = record.note.as_ref().map(|note| format!("; {note:?}")).unwrap_or_default();
        output.line(format_args!(
            "{:>6}  {:<5}  {product:<20}  {}{}{blocked}{note}",
            record.id,
            record.terms.kind().name(),
            limits(record.terms),
            used(key)
        ));
    }
    Ok(Exit::Done)
}

fn block(arguments: &OneKey, blocked: bool, output: Output) -> Result<Exit, Problem> {
    let OneKey { folder, id } = arguments;
    let key = folder.access()?.key(&Command::Block { key_id: *id, blocked })?;
    output.document(&json!({ "key_id": id, "blocked": key.record.blocked }));
    output.line(match (blocked, key.record.terms.kind()) {
        (true, RegisteredKind::Host) => format!(
            "Key {id} enrols nobody any more. Hosts that are enrolled stay so until their \
             certificates end."
        ),
        (true, RegisteredKind::Mak) => {
            format!("Key {id} activates nothing any more. Machines that are activated stay so.")
        }
        (true, RegisteredKind::Setup) => {
            format!(
                "Key {id} is marked. Hosts do not ask: units that have it are counted as before."
            )
        }
        (false, RegisteredKind::Host) => format!("Key {id} enrols again."),
        (false, RegisteredKind::Mak) => format!("Key {id} activates again."),
        (false, RegisteredKind::Setup) => format!("Key {id} is not marked any more."),
    });
    Ok(Exit::Done)
}

fn limit(arguments: &Limit, output: Output) -> Result<Exit, Problem> {
    let Limit { folder, id, hosts, activations } = arguments;
    let (hosts, activations) = (*hosts, *activations);
    let key = folder.access()?.key(&Command::Limit { key_id: *id, hosts, activations })?;
    output.document(&document(&key));
    output.line(format_args!("Key {id}: {}{}.", limits(key.record.terms), used(&key)));
    Ok(Exit::Done)
}

/// What was used of a key, to follow its limits.
fn used(key: &KeyDetails) -> String {
    match key.record.terms.kind() {
        RegisteredKind::Host => format!(", {} enrolled", key.usage.hosts),
        RegisteredKind::Mak => format!(", {} used", key.usage.machines),
        RegisteredKind::Setup => String::new(),
    }
}

fn limits(terms: KeyTerms) -> String {
    match terms {
        KeyTerms::Host { hosts, activations } => {
            format!("{hosts} hosts, {activations} activations each")
        }
        KeyTerms::Mak { activations } => format!("{activations} activations"),
        KeyTerms::Setup => "no limit".to_owned(),
    }
}

/// A key of the register, without its secret.
fn document(KeyDetails { record, usage, .. }: &KeyDetails) -> Value {
    let (hosts, activations) = match record.terms {
        KeyTerms::Host { hosts, activations } => (Some(hosts), Some(activations)),
        KeyTerms::Mak { activations } => (None, Some(activations)),
        KeyTerms::Setup => (None, None),
    };
    json!({
        "key_id": record.id,
        "kind": record.terms.kind().name(),
        "issued": date(UnixTime::from_secs(record.issued)),
        "product": record.product,
        "family": record.family,
        "rank": record.rank,
        "generation": record.generation,
        "hosts": hosts,
        "activations": activations,
        "hosts_enrolled": usage.hosts,
        "machines_activated": usage.machines,
        "blocked": record.blocked,
        "note": record.note,
    })
}
