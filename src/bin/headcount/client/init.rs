//! `headcount client init`.

use std::path::PathBuf;

use clap::Args;
use headcount::daemon::files::{self, Secrecy};
use headcount::daemon::{ClientConfig, parse_host};
use serde_json::json;

use crate::folder::NewProduct;
use crate::output::{Exit, Output, Problem};

/// Make a new client's folder: configuration and product file.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  headcount client init /var/lib/router --product router.product.toml --host counting.example")]
pub(crate) struct Arguments {
    /// The folder to make.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The product file from the vendor.
    #[arg(long, value_name = "FILE")]
    product: PathBuf,
    /// A host to ask, port 1688 when none is given; may be repeated. Without any, hosts are found in
    /// DNS.
    #[arg(long = "host", value_name = "NAME[:PORT]")]
    hosts: Vec<String>,
}

const HEADER: &str = "\
# A headcount client. Paths are relative to this file.
# [machine] may give a name and up to eight hardware components where the system does not tell them
# right, as in containers:  components = [\"serial-4711\", \"\", \"02:00:00:00:00:01\"]

";

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Arguments { folder, product, hosts } = arguments;
    let config_path = folder.join(ClientConfig::FILE);
    if config_path.exists() {
        let cause = format!("{} exists: this folder holds a client", config_path.display());
        return Err(Problem::new(Exit::Usage, cause).advise("Choose another folder."));
    }
    for host in hosts {
        parse_host(host).map_err(|reason| Problem::new(Exit::Usage, reason))?;
    }
    let product = NewProduct::read(product)?;
    files::create_private_dir(folder)?;
    product.write(folder)?;
    let NewProduct { file_name, file } = product;
    let config = ClientConfig::new(file_name.into(), hosts.clone());
    files::write_toml(&config_path, HEADER, &config, Secrecy::Public)?;
    let config_path = config_path.display();
    output.document(&json!({ "config": config_path.to_string(), "product": file.name }));
    output.line(format_args!("Made {config_path} for product {}.", file.name));
    if hosts.is_empty() {
        output.line("No host is named, so it looks for one in DNS.");
    }
    output.line(format_args!("Next: headcount client activate --config {}", folder.display()));
    Ok(Exit::Done)
}
