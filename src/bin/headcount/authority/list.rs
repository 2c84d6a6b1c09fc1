//! `headcount authority hosts` and `activations`: what was granted, to whom.

use std::collections::BTreeMap;

use clap::Args;
use headcount::daemon::{Command, EnrolmentRecord, MachineRecord, ProductDetails, Reply, date};
use headcount::time::UnixTime;
use headcount::wire::{ActivationId, ApplicationId};
use serde_json::{Value, json};

use super::asking::{Asked, FolderArgument};
use crate::output::{Exit, Output, Problem};

/// List the hosts that were enrolled.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount authority hosts --key 2
  headcount authority hosts --csv > hosts.csv")]
pub(super) struct HostArguments {
    #[command(flatten)]
    which: Which,
}

/// List the machines that were activated by multiple activation key.
///
/// Machines that were activated by phone have told no name and no machine id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  headcount authority activations --key 3
  headcount authority activations --csv > activations.csv")]
pub(super) struct ActivationArguments {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    folder: FolderArgument,
    /// Only those of this key.
    #[arg(long, value_name = "ID")]
    key: Option<u32>,
    /// Print a table for spreadsheets: values with commas between them, the first line their names.
    #[arg(long)]
    csv: bool,
}

impl Which {
    fn checked(&self, output: Output) -> Result<&Self, Problem> {
        if self.csv && output.is_json() {
            return Err(Problem::new(Exit::Usage, "either --csv or --json, please"));
        }
        Ok(self)
    }
}

pub(super) fn hosts(arguments: &HostArguments, output: Output) -> Result<Exit, Problem> {
    let Which { folder, key, csv } = arguments.which.checked(output)?;
    let hosts = latest(enrolments(&folder.access()?, *key)?);
    output.document(&json!({ "hosts": hosts.iter().map(enrolment).collect::<Vec<_>>() }));
    if *csv {
        print_csv(&HOST_COLUMNS, hosts.iter().map(host_row), output);
        return Ok(Exit::Done);
    }
    if hosts.is_empty() {
        output.line("No hosts yet.");
    }
    for host in &hosts {
        output.line(format_args!(
            "{}  key {}, {:?}, rank {}, {} activations, last {}, valid until {}",
            host.host_id(),
            host.key_id,
            host.host_name,
            host.rank,
            host.activation,
            date(UnixTime::from_secs(host.at)),
            date(host.valid_until())
        ));
    }
    Ok(Exit::Done)
}

/// All that host keys have enrolled, or one of them.
pub(super) fn enrolments(
    authority: &Asked,
    key: Option<u32>,
) -> Result<Vec<EnrolmentRecord>, Problem> {
    authority.list(&Command::Enrolments(key), |reply| match reply {
        Reply::Enrolment(record) => Some(record),
        _ => None,
    })
}

/// The last enrolment of each host with each key. They come by key, host and activation.
fn latest(enrolments: Vec<EnrolmentRecord>) -> Vec<EnrolmentRecord> {
    let mut hosts: Vec<EnrolmentRecord> = Vec::new();
    for enrolment in enrolments {
        match hosts.last_mut() {
            Some(last)
                if (last.key_id, last.public_key) == (enrolment.key_id, enrolment.public_key) =>
            {
                *last = enrolment;
            }
            _ => hosts.push(enrolment),
        }
    }
    hosts
}

pub(super) fn enrolment(record: &EnrolmentRecord) -> Value {
    json!({
        "key_id": record.key_id,
        "host_name": record.host_name,
        "host_id": record.host_id().to_string(),
        "rank": record.rank,
        "activation": record.activation,
        "at": date(UnixTime::from_secs(record.at)),
        "serial": record.serial,
        "valid_until": date(record.valid_until()),
    })
}

const HOST_COLUMNS: [&str; 8] =
    ["key_id", "host_id", "host_name", "rank", "activation", "at", "serial", "valid_until"];

fn host_row(host: &EnrolmentRecord) -> [String; 8] {
    [
        host.key_id.to_string(),
        host.host_id().to_string(),
        quoted(&host.host_name),
        host.rank.to_string(),
        host.activation.to_string(),
        date(UnixTime::from_secs(host.at)),
        host.serial.to_string(),
        date(host.valid_until()),
    ]
}

pub(super) fn activations(
    arguments: &ActivationArguments,
    output: Output,
) -> Result<Exit, Problem> {
    let Which { folder, key, csv } = arguments.which.checked(output)?;
    let authority = folder.access()?;
    let products = Products::of(&authority)?;
    if *csv {
        // Row by row as they come: a vendor may have many.
        print_csv(&MACHINE_COLUMNS, [], output);
        authority.each(&Command::Machines(*key), |reply| {
            if let Reply::Machine(machine) = reply {
                output.line(machine_row(&machine, &products).join(","));
            }
        })?;
        return Ok(Exit::Done);
    }
    let mut documents = Vec::new();
    let mut count = 0_u32;
    authority.each(&Command::Machines(*key), |reply| {
        let Reply::Machine(machine) = reply else { return };
        count = count.saturating_add(1);
        if output.is_json() {
            documents.push(machine_document(&machine, &products));
        } else {
            output.line(machine_line(&machine, &products));
        }
    })?;
    output.document(&json!({ "activations": documents }));
    if count == 0 {
        output.line("No machines yet.");
    }
    Ok(Exit::Done)
}

/// The names of products by their ids.
struct Products(BTreeMap<([u8; 16], [u8; 16]), String>);

impl Products {
    fn of(authority: &Asked) -> Result<Self, Problem> {
        let named = authority.list(&Command::Products, |reply| match reply {
            Reply::Product(product) => {
                let ProductDetails { file, .. } = *product;
                let known = file.for_authority().ok()?;
                Some(((known.application_id.0, known.activation_id.0), file.name))
            }
            _ => None,
        })?;
        Ok(Self(named.into_iter().collect()))
    }

    /// Its name, or its ids when its file is not there any more.
    fn name_of(&self, machine: &MachineRecord) -> String {
        let ids = (machine.application_id, machine.activation_id);
        self.0.get(&ids).cloned().unwrap_or_else(|| {
            format!(
                "{} {}",
                ApplicationId(machine.application_id),
                ActivationId(machine.activation_id)
            )
        })
    }
}

const MACHINE_COLUMNS: [&str; 10] = [
    "key_id",
    "product",
    "machine_name",
    "cmid",
    "virtual_machine",
    "counted",
    "by_phone",
    "activations",
    "first",
    "last",
];

fn machine_row(machine: &MachineRecord, products: &Products) -> [String; 10] {
    [
        machine.key_id.to_string(),
        quoted(&products.name_of(machine)),
        quoted(&machine.name),
        machine.cmid().map(|cmid| cmid.to_string()).unwrap_or_default(),
        machine.virtual_machine.to_string(),
        machine.counted.to_string(),
        machine.by_phone.to_string(),
        machine.times.to_string(),
        date(UnixTime::from_secs(machine.first)),
        date(UnixTime::from_secs(machine.last)),
    ]
}

fn machine_document(machine: &MachineRecord, products: &Products) -> Value {
    json!({
        "key_id": machine.key_id,
        "product": products.name_of(machine),
        "machine_name": machine.name,
        "cmid": machine.cmid().map(|cmid| cmid.to_string()),
        "virtual_machine": machine.virtual_machine,
        "counted": machine.counted,
        "by_phone": machine.by_phone,
        "activations": machine.times,
        "first": date(UnixTime::from_secs(machine.first)),
        "last": date(UnixTime::from_secs(machine.last)),
    })
}

fn machine_line(machine: &MachineRecord, products: &Products) -> String {
    let cmid = machine.cmid().map_or_else(|| "no machine id".to_owned(), |cmid| cmid.to_string());
    let virtual_machine = if machine.virtual_machine { ", virtual" } else { "" };
    let by_phone = if machine.by_phone { ", by phone" } else { "" };
    format!(
        "{cmid}  key {}, {}, {:?}{virtual_machine}{by_phone}, {} times, first {}, last {}",
        machine.key_id,
        products.name_of(machine),
        machine.name,
        machine.times,
        date(UnixTime::from_secs(machine.first)),
        date(UnixTime::from_secs(machine.last))
    )
}

fn print_csv<const N: usize>(
    columns: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    output: Output,
) {
    output.line(columns.join(","));
    rows.into_iter().for_each(|row| output.line(row.join(",")));
}

/// A text of a machine's or a host's own in a table: quoted, and no formula to a spreadsheet.
fn quoted(text: &str) -> String {
    let shield = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{shield}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_stays_one_value_and_is_no_formula() {
        assert_eq!(quoted("ward-3"), "\"ward-3\"");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
