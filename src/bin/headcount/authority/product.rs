//! `headcount authority product`: what the vendor sells.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use headcount::client::Limits;
use headcount::daemon::{
    Command, POOL_CAPACITY, ProductDetails, ProductFile, Reply, parse_host, system_rng,
};
use headcount::fingerprint::Matching;
use headcount::policy;
use headcount::wire::{Cmid, CountedId, Coverage};
use rand_core::Rng;
use serde_json::{Value, json};

use super::asking::{Asked, FolderArgument, unexpected};
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
    Show(Show),
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
    /// Where its clients find the authority, when they are activated by key: a name or an address,
    /// with a port unless it is 1688.
    #[arg(long, value_name = "NAME:PORT")]
    authority: Option<String>,
}

/// Show a product, and where its file is.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  headcount authority product show router --dir vendor")]
struct Show {
    #[command(flatten)]
    folder: FolderArgument,
    /// Its name.
    name: String,
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
        Verb::List(arguments) => list(&arguments.folder.access()?, output),
        Verb::Show(arguments) => show(arguments, output),
    }
}

/// A product by its name.
pub(super) fn named(authority: &Asked, name: &str) -> Result<ProductFile, Problem> {
    find(authority, name).map(|found| found.file)
}

fn find(authority: &Asked, name: &str) -> Result<ProductDetails, Problem> {
    let found = all(authority)?.into_iter().find(|product| product.file.name == name);
    found.ok_or_else(|| {
        Problem::new(Exit::Usage, format!("there is no product {name}"))
            .advise("'headcount authority product list' shows the products there are.")
    })
}

fn all(authority: &Asked) -> Result<Vec<ProductDetails>, Problem> {
    authority.list(&Command::Products, |reply| match reply {
        Reply::Product(product) => Some(authority.seen_from_here(*product)),
        _ => None,
    })
}

fn add(arguments: &Add, output: Output) -> Result<Exit, Problem> {
    let authority = arguments.folder.access()?;
    let file = arguments.product_file(&authority)?;
    let product = match authority.one(&Command::NewProduct(Box::new(file)))? {
        Reply::Product(product) => authority.seen_from_here(*product),
        other => return Err(unexpected(&other)),
    };
    output.document(&document(&product));
    let ProductDetails { file, path, setup_key_id } = product;
    output.line(format_args!("Product {} is defined in {}.", file.name, path.display()));
    output.line(format_args!(
        "  family {}, rank {}, generation {}; activated from a count of {}; setup key {}",
        file.family, file.rank, file.generation, file.threshold, setup_key_id
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
    /// The file, but for setup key and root keys.
    fn product_file(&self, authority: &Asked) -> Result<ProductFile, Problem> {
        let fellow = match &self.counted_with {
            Some(name) => Some(named(authority, name)?),
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
        if let Some(address) = &self.authority {
            parse_host(address)
                .map_err(|error| Problem::new(Exit::Usage, format!("--authority: {error}")))?;
        }
        Ok(ProductFile {
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
            authority: self.authority.clone(),
            roots: Vec::new(),
        })
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

fn list(authority: &Asked, output: Output) -> Result<Exit, Problem> {
    let products = all(authority)?;
    output.document(&json!({ "products": products.iter().map(document).collect::<Vec<_>>() }));
    if products.is_empty() {
        output.line("No products yet: headcount authority product add");
    }
    for ProductDetails { file, .. } in &products {
        let Coverage { family, rank, generation } = file.coverage();
        output.line(format_args!(
            "{:<20}  family {family}, rank {rank}, generation {generation}; threshold {}; pool {}",
            file.name, file.threshold, file.counted_id
        ));
    }
    Ok(Exit::Done)
}

fn show(arguments: &Show, output: Output) -> Result<Exit, Problem> {
    let product = find(&arguments.folder.access()?, &arguments.name)?;
    output.document(&document(&product));
    let ProductDetails { file, path, setup_key_id } = &product;
    output.line(format_args!("Product         {}", file.name));
    output.line(format_args!("File            {}", path.display()));
    output.line(format_args!("Application id  {}", file.application_id));
    output.line(format_args!("Activation id   {}", file.activation_id));
    output.line(format_args!("Pool            {}", file.counted_id));
    output.line(format_args!(
        "Coverage        family {}, rank {}, generation {}",
        file.family, file.rank, file.generation
    ));
    output.line(format_args!("Threshold       {}", file.threshold));
    output.line(format_args!("Setup key       {setup_key_id}"));
    output.line(format_args!("Authority       {}", file.authority.as_deref().unwrap_or("-")));
    let roots: Vec<_> = file.roots.iter().map(|root| root.id.to_string()).collect();
    output.line(format_args!("Root keys       {}", roots.join(", ")));
    Ok(Exit::Done)
}

/// All of a product but its setup key.
fn document(ProductDetails { file, path, setup_key_id }: &ProductDetails) -> Value {
    json!({
        "name": file.name,
        "application_id": file.application_id,
        "activation_id": file.activation_id,
        "counted_id": file.counted_id,
        "family": file.family,
        "rank": file.rank,
        "generation": file.generation,
        "threshold": file.threshold,
        "authority": file.authority,
        "roots": file.roots.iter().map(|root| root.id).collect::<Vec<_>>(),
        "file": path.display().to_string(),
        "setup_key_id": setup_key_id,
    })
}
