//! `headcount authority product`: what the vendor sells.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use headcount::client::Limits;
use headcount::daemon::{AuthorityFiles, KeyTerms, NewKey, POOL_CAPACITY, ProductFile, system_rng};
use headcount::fingerprint::Matching;
use headcount::policy;
use headcount::wire::{Cmid, CountedId, Coverage};
use rand_core::Rng;
use serde_json::{Value, json};

use super::{FolderArgument, not_done, now};
use crate::output::{Exit, Output, Problem};

/// Define products, and list them.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount authority product add --name router --family 7 --rank 1 --generation 1 --threshold 25
  headcount authority product list")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(Box<Add>),
    List(List),
}

/// Define a product: allots its setup key and writes its product file.
///
/// The file goes to hosts and into the product. Ids are new random ones unless given.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, two editions that are counted together:
  headcount authority product add --name router --family 7 --rank 1 --generation 1 --threshold 25
  headcount authority product add --name router-pro --family 7 --rank 2 --generation 1 \\
      --threshold 5 --counted-with router")]
struct Add {
    #[command(flatten)]
    folder: FolderArgument,
    /// Name: letters, digits, '-', '_' and '.'.
    #[arg(long)]
    name: String,
    /// Product family: a certificate covers one.
    #[arg(long)]
    family: u16,
    /// Product group: a certificate covers its own and all lower ones.
    #[arg(long)]
    rank: u8,
    /// Product generation: a certificate covers its own and all older ones.
    #[arg(long)]
    generation: u8,
    /// Count from which the product is activated.
    #[arg(long)]
    threshold: NonZeroU32,
    /// Count its machines together with those of this product.
    #[arg(long, value_name = "NAME", conflicts_with = "counted_id")]
    counted_with: Option<String>,
    /// UUID of the product, for all its editions.
    #[arg(long, value_name = "UUID")]
    application_id: Option<CountedId>,
    /// UUID of this edition.
    #[arg(long, value_name = "UUID")]
    activation_id: Option<CountedId>,
    /// UUID of the pool that its machines are counted in.
    #[arg(long, value_name = "UUID")]
    counted_id: Option<CountedId>,
    /// Weights of the eight hardware components, separated by commas.
    #[arg(long, value_name = "W,W,W,W,W,W,W,W", value_delimiter = ',')]
    weights: Option<Vec<u8>>,
    /// Sum of the weights of components that may differ in one machine.
    #[arg(long)]
    tolerance: Option<u16>,
    /// How often it may be rearmed by hand.
    #[arg(long, default_value_t = Limits::DEFAULT.rearms)]
    rearms: u8,
    /// The longest activation that is used, in days.
    #[arg(
        long, value_name = "DAYS", default_value_t = policy::VALIDITY.0 / 1_440,
        value_parser = clap::value_parser!(u32).range(1..=36_500),
    )]
    maximum_validity_days: u32,
    /// Grace after the first start, in days.
    #[arg(
        long, value_name = "DAYS", default_value_t = policy::INITIAL_GRACE.0 / 1_440,
        value_parser = clap::value_parser!(u32).range(0..=36_500),
    )]
    initial_grace_days: u32,
}

/// List the products.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority product list --json")]
struct List {
    #[command(flatten)]
    folder: FolderArgument,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::Add(arguments) => add(arguments, output),
        Verb::List(arguments) => list(&arguments.folder.open()?, output),
    }
}

fn add(arguments: &Add, output: Output) -> Result<Exit, Problem> {
    let authority = arguments.folder.open()?;
    let path = authority.product_path(&arguments.name)?;
    if path.exists() {
        return Err(Problem::new(
            Exit::Usage,
            format!("there is a product {} already", arguments.name),
        )
        .advise(format_args!("It is defined in {}.", path.display())));
    }
    let mut file = arguments.product_file(&authority)?;
    let key = NewKey {
        terms: KeyTerms::Setup,
        product: Some(file.name.clone()),
        family: file.family,
        rank: file.rank,
        generation: file.generation,
        note: None,
    };
    let (record, key) = authority.new_key(&key, now()).map_err(not_done)?;
    key.to_text().as_str().clone_into(&mut file.setup_key);
    let path = authority.write_new_product(&file)?;

    let mut document = document(&file);
    document["file"] = json!(path.display().to_string());
    document["setup_key_id"] = json!(record.id);
    output.document(&document);
    output.line(format_args!("Product {} is defined in {}.", file.name, path.display()));
    output.line(format_args!(
        "  family {}, rank {}, generation {}; activated from a count of {}; setup key {}",
        file.family, file.rank, file.generation, file.threshold, record.id
    ));
    if file.threshold.get() as usize > POOL_CAPACITY / 2 {
        output.line(format_args!(
            "  Mind: 'headcount host run' counts at most {POOL_CAPACITY} machines in a pool, half \
             of which is the highest threshold that is sure to be met."
        ));
    }
    output.line(
        "Ship this file in the product and hand it to the product's hosts; do not publish it.",
    );
    output.line(format_args!(
        "Next, for each customer: headcount authority key new --kind host --product {}",
        file.name
    ));
    Ok(Exit::Done)
}

impl Add {
    /// The file, but for the setup key.
    fn product_file(&self, authority: &AuthorityFiles) -> Result<ProductFile, Problem> {
        let fellow = match &self.counted_with {
            Some(name) => Some(authority.read_product(name).map_err(|error| {
                Problem::from(error)
                    .advise("'headcount authority product list' shows the products there are.")
            })?),
            None => None,
        };
        let matching = fellow.as_ref().map_or(Matching::DEFAULT, ProductFile::matching);
        let weights = match &self.weights {
            Some(weights) => <[u8; 8]>::try_from(weights.as_slice())
                .map_err(|_| Problem::new(Exit::Usage, "--weights takes eight numbers"))?,
            None => matching.weights,
        };
        let tolerance = self.tolerance.unwrap_or(matching.tolerance);
        if let Some(fellow) = &fellow
            && (Matching { weights, tolerance }) != matching
        {
            let cause = format!(
                "{} and {} would be counted together, but their weights or tolerance differ",
                self.name, fellow.name
            );
            return Err(Problem::new(Exit::Usage, cause)
                .advise("Leave --weights and --tolerance out to use the same."));
        }
        let counted_id = match (fellow, self.counted_id) {
            (Some(fellow), _) => fellow.counted_id,
            (None, given) => given_or_new(given),
        };
        let file = ProductFile {
            name: self.name.clone(),
            application_id: given_or_new(self.application_id),
            activation_id: given_or_new(self.activation_id),
            counted_id,
            family: self.family,
            rank: self.rank,
            generation: self.generation,
            threshold: self.threshold,
            setup_key: String::new(),
            weights,
            tolerance,
            rearms: self.rearms,
            maximum_validity_minutes: self.maximum_validity_days * 1_440,
            initial_grace_minutes: self.initial_grace_days * 1_440,
            authority: None,
            roots: authority.roots(),
        };
        let same = |other: &ProductFile| {
            (&other.application_id, &other.activation_id)
                == (&file.application_id, &file.activation_id)
        };
        match authority.read_products()?.iter().find(|other| same(other)) {
            None => Ok(file),
            Some(other) => Err(Problem::new(
                Exit::Usage,
                format!("{} has the same application id and activation id", other.name),
            )
            .advise("Give each edition an activation id of its own, or none to get a new one.")),
        }
    }
}

/// The id in its usual form, or a new random one.
fn given_or_new(given: Option<CountedId>) -> String {
    given.map_or_else(
        || {
            let mut bytes = [0; 16];
            system_rng().fill_bytes(&mut bytes);
            // A random UUID is a random UUID, whatever it is to name.
            Cmid::from_random(bytes).to_string()
        },
        |id| id.to_string(),
    )
}

fn list(authority: &AuthorityFiles, output: Output) -> Result<Exit, Problem> {
    let products = authority.read_products()?;
    output.document(&json!({ "products": products.iter().map(document).collect::<Vec<_>>() }));
    if products.is_empty() {
        output.line("No products yet: headcount authority product add");
    }
    for file in &products {
        let Coverage { family, rank, generation } = file.coverage();
        output.line(format_args!(
            "{:<20}  family {family}, rank {rank}, generation {generation}; threshold {}; pool {}",
            file.name, file.threshold, file.counted_id
        ));
    }
    Ok(Exit::Done)
}

/// All of a product but its setup key.
fn document(file: &ProductFile) -> Value {
    json!({
        "name": file.name,
        "application_id": file.application_id,
        "activation_id": file.activation_id,
        "counted_id": file.counted_id,
        "family": file.family,
        "rank": file.rank,
        "generation": file.generation,
        "threshold": file.threshold,
    })
}
