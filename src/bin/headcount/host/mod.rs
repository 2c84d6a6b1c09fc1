//! `headcount host`: the customer's side that counts.

mod dns;
mod enrol;
mod init;
mod install;
mod renewal;
mod run;
pub(crate) mod signals;
mod status;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use headcount::daemon::{Applicant, HostConfig, HostFiles, HostMemory, ProductFile, StateError};

use crate::output::{Exit, Output, Problem};

/// Set up, enrol and run a host, which counts machines and answers them.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, from nothing to a host that serves:
  headcount host init /etc/headcount --product router.product.toml
  headcount host enrol --online vendor.example --key-file host-key.txt --config /etc/headcount
      (without a network: --request request.bin, and then --response response.bin)
  headcount host run --config /etc/headcount")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Arguments),
    InstallKey(install::Arguments),
    Enrol(enrol::Arguments),
    Run(run::Arguments),
    Status(status::Arguments),
    Dns(dns::Arguments),
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigArgument {
    /// The host's configuration, or the folder that holds host.toml.
    #[arg(long, value_name = "PATH", default_value = HostConfig::FILE)]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    match &arguments.verb {
        Verb::Init(arguments) => init::run(arguments, output),
        Verb::InstallKey(arguments) => install::run(arguments, output),
        Verb::Enrol(arguments) => enrol::run(arguments, output),
        Verb::Run(arguments) => run::run(arguments, output),
        Verb::Status(arguments) => status::run(arguments, output),
        Verb::Dns(arguments) => dns::run(arguments, output),
    }
}

fn read_config(argument: &ConfigArgument) -> Result<HostConfig, Problem> {
    HostConfig::read(&argument.config).map_err(|error| {
        Problem::from(error).advise("'headcount host init DIR' makes a new host's folder.")
    })
}

/// A host's configuration with what it refers to.
struct Installed {
    config: HostConfig,
    files: HostFiles,
    products: Vec<ProductFile>,
}

impl Installed {
    fn read(argument: &ConfigArgument) -> Result<Self, Problem> {
        let config = read_config(argument)?;
        let products = config.read_products()?;
        let files = HostFiles::new(config.state_folder());
        Ok(Self { config, files, products })
    }

    /// The products, at least one: without any there is nothing to count and nobody to believe.
    fn products(&self) -> Result<&[ProductFile], Problem> {
        if self.products.is_empty() {
            return Err(Problem::new(Exit::Usage, "this host has no product to serve yet").advise(
                "Copy the vendor's product files into its folder and list them in host.toml: \
                 products = [\"router.product.toml\"]",
            ));
        }
        Ok(&self.products)
    }

    /// This host, as one that enrols.
    fn applicant(&self) -> Result<Applicant, Problem> {
        Ok(Applicant::new(&self.config, &self.products)?)
    }

    fn memory(&self) -> Result<HostMemory, Problem> {
        HostMemory::for_products(self.products()?).map_err(|error| Problem::new(Exit::Usage, error))
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        match error {
            StateError::File(error) => error.into(),
            damaged @ StateError::Damaged { .. } => Self::new(Exit::Damaged, damaged).advise(
                "Move host.a and host.b out of the folder to start counting afresh: every machine \
                 is counted again when it renews, and activated ones stay activated.",
            ),
            newer @ StateError::NewerVersion { .. } => Self::new(Exit::Damaged, newer)
                .advise("Run the newer version: this one cannot read them, and leaves them alone."),
        }
    }
}
