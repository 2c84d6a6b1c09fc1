//! `headcount authority root`: two root keys, while one takes the other's place.

use clap::{Args, Subcommand};
use headcount::daemon::{AuthorityConfig, system_rng};
use serde_json::json;

use super::FolderArgument;
use crate::output::{Exit, Output, Problem};

/// Replace the root key without leaving shipped products behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, over the years:
  headcount authority root add 2      # new product files list both keys; ship them
  headcount authority root use 2      # when no product in the field knows only key 1
  headcount authority root list

Stop a service that runs in the folder before 'add' and 'use', and start it again after them.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Add),
    Use(Use),
    List(List),
}

/// Make another root key, for products to know before it is used.
///
/// Product files that are made from now on list it. Nothing is signed by it until 'root use', but
/// for product families whose products know this key alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority root add 2")]
struct Add {
    #[command(flatten)]
    folder: FolderArgument,
    /// Its id, one that no root key had before.
    id: u16,
}

/// Have certificates issued by another root key.
///
/// Hosts and clients that do not know it believe nothing that it signs. Certificates that were
/// issued before stay good.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority root use 2")]
struct Use {
    #[command(flatten)]
    folder: FolderArgument,
    /// Its id.
    id: u16,
}

/// Show the root keys.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority root list")]
struct List {
    #[command(flatten)]
    folder: FolderArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::Add(Add { folder, id }) => add(folder, *id, output),
        Verb::Use(Use { folder, id }) => use_root(folder, *id, output),
        Verb::List(List { folder }) => list(folder, output),
    }
}

fn add(folder: &FolderArgument, id: u16, output: Output) -> Result<Exit, Problem> {
    let mut authority = folder.open()?;
    let root = authority.add_root(id, &mut system_rng())?;
    output.document(&json!({ "id": root.id, "public_key": root.public_key }));
    output.line(format_args!("Made root key {} (public): {}", root.id, root.public_key));
    output.line(format_args!(
        "Back up root-{id}.key. Add the public half to the [[roots]] of every product file, and ship \
         that; then: headcount authority root use {id}"
    ));
    Ok(Exit::Done)
}

fn use_root(folder: &FolderArgument, id: u16, output: Output) -> Result<Exit, Problem> {
    let mut authority = folder.open()?;
    let ignorant: Vec<_> = authority
        .read_products()?
        .into_iter()
        .filter(|product| !product.roots.iter().any(|root| root.id == id))
        .map(|product| product.name)
        .collect();
    let config = AuthorityConfig { use_root: id, ..authority.config().clone() };
    authority.set_config(config)?;
    output.document(&json!({ "use_root": id, "products_without_it": ignorant }));
    output.line(format_args!("Certificates are issued by root key {id} from now on."));
    if !ignorant.is_empty() {
        let ignorant = ignorant.join(", ");
        output.line(format_args!("Warning: its public half is not in the files of {ignorant}."));
    }
    Ok(Exit::Done)
}

fn list(folder: &FolderArgument, output: Output) -> Result<Exit, Problem> {
    let config = folder.config()?;
    let rows: Vec<_> = config
        .roots
        .iter()
        .map(|root| {
            let place = match (&root.file, &root.signer) {
                (Some(file), _) => file.display().to_string(),
                (None, Some(command)) => command.join(" "),
                (None, None) => String::new(),
            };
            (root.id == config.use_root, root, place)
        })
        .collect();
    output.document(&json!(
        rows.iter()
            .map(|(in_use, root, place)| json!({
                "id": root.id, "public_key": root.public_key, "in_use": in_use, "secret": place,
            }))
            .collect::<Vec<_>>()
    ));
    for (in_use, root, place) in rows {
        let in_use = if in_use { "in use" } else { "known" };
        output.line(format_args!("{:>5}  {in_use:6}  {}  {place}", root.id, root.public_key));
    }
    Ok(Exit::Done)
}
