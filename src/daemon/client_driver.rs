//! What carries a client's requests on a machine with an operating system.

use std::net::SocketAddr;
use std::string::{String, ToString};

use rand_core::CryptoRng;

use super::exchange::{ExchangeError, Transport, exchange};
use crate::client::{Client, Discard, Failure, Outcome};
use crate::discovery::Hosts;
use crate::os::Clock;
use crate::time::UnixTime;
use crate::trust::Verifier;

/// Sends a client's pending request to a host and brings it the answer, or the news that there is
/// none. The error says why for people; the client has been told already.
pub async fn ask(
    client: &mut Client<'_, impl Verifier, impl Hosts>,
    clock: &impl Clock,
    rng: &mut impl CryptoRng,
    transport: Transport,
    host: SocketAddr,
) -> Result<Outcome, ExchangeError<Discard>> {
    ask_any(client, clock, rng, transport, &[host]).await
}

/// The same with somebody who has several addresses, of which one is tried after the other until an
/// answer is accepted.
pub async fn ask_any(
    client: &mut Client<'_, impl Verifier, impl Hosts>,
    clock: &impl Clock,
    rng: &mut impl CryptoRng,
    transport: Transport,
    addresses: &[SocketAddr],
) -> Result<Outcome, ExchangeError<Discard>> {
    let Some(frame) = client.pending_frame().copied() else {
        return Err(ExchangeError::Discarded(Discard::NotAsked));
    };
    let mut result = Err(ExchangeError::Unknown("there is none".into()));
    for address in addresses {
        let accept = |answer: &[u8]| client.handle_response(clock.now(), rng, answer);
        result = exchange(transport, *address, &frame, accept).await;
        if result.is_ok() {
            break;
        }
    }
    if let Err(error) = &result {
        let failure = match error {
            ExchangeError::Discarded(discard) => Failure::Discarded(*discard),
            _ => Failure::NoAnswer,
        };
        client.give_up(clock.now(), rng, failure);
    }
    result
}

/// A date and time in UTC, as people and machines read it: `2026-11-23T20:15:00Z`.
#[must_use]
pub fn date(time: UnixTime) -> String {
    let secs = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_second(secs) {
        Ok(timestamp) => timestamp.to_string(),
        // After the year 9999, and so nobody's deadline.
        Err(_) => std::format!("{secs} s after 1970"),
    }
}
