//! Asking the authority, while a key is installed.

use headcount::daemon::{ExchangeError, ask_any};
use headcount::discovery::Host;
use rand_core::CryptoRng;

use super::activate::Round;
use super::asked::Asked;
use super::installed::{FindingClient, Installed};
use crate::output::{Exit, Problem};

/// Where the authority is; with a key installed it must be known.
pub(super) fn place(installed: &Installed, given: Option<&str>) -> Result<Option<Host>, Problem> {
    let place = installed.authority(given)?;
    if place.is_none() && installed.key.is_some() {
        let cause = "a key is installed, and nobody says where the authority is";
        return Err(Problem::new(Exit::Usage, cause).advise(
            "Name it with --authority NAME[:PORT], or as authority = \"NAME:PORT\" in client.toml. \
             Without a network: 'headcount client request'.",
        ));
    }
    Ok(place)
}

impl Round<'_> {
    /// Sends the pending request to the authority, at each of its addresses until it answers.
    pub(super) async fn ask_authority(
        &self,
        authority: &Host,
        client: &mut FindingClient<'_>,
        rng: &mut impl CryptoRng,
    ) -> Asked {
        let Self { search, resolver, clock, output, .. } = self;
        let transport = search.transport;
        output.line(format_args!("Asking the authority, {authority} ({transport}) ..."));
        let ended = match resolver.addresses_of(authority, rng).await {
            Ok(addresses) => ask_any(client, clock, rng, transport, &addresses).await,
            Err(reason) => {
                let unasked = ask_any(client, clock, rng, transport, &[]).await;
                unasked.map_err(|_| ExchangeError::Unknown(reason))
            }
        };
        let asked = Asked { host: authority.to_string(), by_key: true, ended };
        if asked.exit() != Exit::Done {
            output.line(format_args!("  {}", asked.reason()));
        }
        asked
    }
}
