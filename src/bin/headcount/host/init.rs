//! `headcount host init`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use headcount::daemon::files::{self, Secrecy};
use headcount::daemon::{HostConfig, HostFiles, Listen, system_rng};
use headcount::trust::{self, Signer};
use serde_json::json;

use crate::folder::NewProduct;
use crate::output::{Exit, Output, Problem};

/// Make a new host's folder: configuration, host key, product files.
///
/// A host key that is in the folder already is kept, so that this can be repeated when it was broken
/// off. Products can also be added later: 'products' in host.toml lists their files.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  headcount host init /etc/headcount --product router.product.toml"
)]
pub(crate) struct Arguments {
    /// The folder to make.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A product file from the vendor; may be repeated.
    #[arg(long = "product", value_name = "FILE")]
    products: Vec<PathBuf>,
    /// Address and port to listen on, for TCP and UDP; may be repeated. All addresses, port 1688,
    /// when absent.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// Name that the vendor sees when the host enrols; this machine's when absent.
    #[arg(long)]
    name: Option<String>,
}

const HEADER: &str = "\
# A headcount host. Times are in minutes unless a name says otherwise; paths are relative to this
# file. Restart the host after a change.

";

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { folder, products, listen, name } = arguments;
    let config_path = folder.join(HostConfig::FILE);
    if config_path.exists() {
        let cause = format!("{} exists: this folder holds a host", config_path.display());
        return Err(Problem::new(Exit::Usage, cause).advise("Choose another folder."));
    }
    let mut config = HostConfig::default();
    if let Some(name) = name {
        config.name.clone_from(name);
    }
    if !listen.is_empty() {
        let both = |address: &SocketAddr| Listen { address: *address, tcp: true, udp: true };
        config.listen = listen.iter().map(both).collect();
    }
    // Read all before anything is written.
    let products = NewProduct::read_all(products)?;
    files::create_private_dir(folder)?;
    let host = HostFiles::new(folder.join(&config.state));
    let (key, origin) = if host.has_key() {
        (host.read_key()?, "the host key was there already")
    } else {
        (host.init(&mut system_rng())?, "a new host key")
    };
    for product in products {
        product.write(folder)?;
        config.products.push(product.file_name.into());
    }
    files::write_toml(&config_path, HEADER, &config, Secrecy::Public)?;

    let id = trust::host_id(&key.public_key());
    output.document(&json!({
        "config": config_path.display().to_string(),
        "host_id": id.to_string(),
        "products": config.products,
    }));
    output.line(format_args!("Made {}; {origin}.", config_path.display()));
    output.line(format_args!("Host id {id}."));
    if config.products.is_empty() {
        output.line(format_args!(
            "It has no product yet: copy the vendor's product files into {} and list them under \
             'products' in host.toml.",
            folder.display()
        ));
    }
    output.line(format_args!(
        "Next: headcount host enrol --config {} --key-file FILE, with --online NAME[:PORT] or, \
         without a network, --request FILE",
        folder.display()
    ));
    Ok(Exit::Done)
}
