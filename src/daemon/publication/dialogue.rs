//! What is said to a name server and what it answers: by UDP with repetitions, by TCP when that is too
//! small, signed with a TSIG key (RFC 8945) where there is one.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::string::{String, ToString};
use std::vec::Vec;

use domain::base::Message;
use domain::base::iana::{Rcode, Rtype, TsigRcode};
use domain::base::message_builder::PushError;
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{ClientTransaction, Key, ValidationError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::error::PublicationError;
use super::key_file::TsigKey;
use super::message::{self, Changes, Unsigned};
use super::name::DnsName;
use crate::os::Clock;

/// How long an answer by UDP is waited for, before the question is repeated and at last given up.
const WAITS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long a question and its answer by TCP may take.
const TCP_LIMIT: Duration = Duration::from_secs(7);
/// Longer requests go by TCP: what every server takes by UDP (RFC 1035, section 2.3.4).
const LARGEST_DATAGRAM: usize = 512;

/// One address of a name server, and how it is spoken to.
#[derive(Clone, Copy)]
pub(super) struct NameServer<'a> {
    pub(super) address: SocketAddr,
    pub(super) key: Option<&'a TsigKey>,
    /// Signatures have a time.
    pub(super) clock: &'a dyn Clock,
    /// Whether it may ask others for the answer, as resolvers do.
    pub(super) recursion: bool,
}

impl NameServer<'_> {
    /// The records of a name. That there is no such name is an answer without records.
    pub(super) async fn query(
        &self,
        name: &DnsName,
        rtype: Rtype,
    ) -> Result<Message<Vec<u8>>, PublicationError> {
        let question = message::question(name, rtype, self.recursion);
        let answer = self.ask(question).await?;
        match answer.header().rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => Ok(answer),
            code => Err(self.refused(std::format!("the question for {name} {rtype}"), code)),
        }
    }

    /// Changes a zone.
    pub(super) async fn update(
        &self,
        zone: &DnsName,
        changes: &Changes,
    ) -> Result<(), PublicationError> {
        let answer = self.ask(changes.message(zone)).await?;
        match answer.header().rcode() {
            Rcode::NOERROR => Ok(()),
            Rcode::YXRRSET => Err(PublicationError::Alias { zone: zone.to_string() }),
            code => Err(self.refused(std::format!("the update of the zone {zone}"), code)),
        }
    }

    fn refused(&self, request: String, code: Rcode) -> PublicationError {
        let key = self.key.map(TsigKey::name);
        PublicationError::Refused { server: self.address, request, code: code.to_string(), key }
    }

    async fn ask(
        &self,
        unsigned: Result<Unsigned, PushError>,
    ) -> Result<Message<Vec<u8>>, PublicationError> {
        let mut message = unsigned.map_err(|_| PublicationError::TooLong)?;
        let key = self.key.and_then(TsigKey::for_exchange);
        let transaction = key.map(|key| ClientTransaction::request(key, &mut message, self.time()));
        let transaction = transaction.transpose().map_err(|_| PublicationError::TooLong)?;
        let asked = Asked { server: self, message, transaction };
        if asked.message.as_slice().len() <= LARGEST_DATAGRAM
            && let Some(answer) = asked.by_udp().await?
        {
            return Ok(answer);
        }
        asked.by_tcp().await
    }

    /// A clock that is not set yet shows a time that no server takes, and says so.
    fn time(&self) -> Time48 {
        // Times of 48 bits end in some nine million years.
        let seconds = self.clock.now().clock.unwrap_or_default().as_secs();
        Time48::from_u64(seconds.min((1 << 48) - 1))
    }

    fn socket_failed(&self, error: &io::Error) -> PublicationError {
        PublicationError::Socket { server: self.address, reason: error.to_string() }
    }
}

/// A request under way.
struct Asked<'a> {
    server: &'a NameServer<'a>,
    message: Unsigned,
    transaction: Option<ClientTransaction<Key>>,
}

impl Asked<'_> {
    /// The answer; `None` when it is too long for a datagram.
    ///
    /// Anybody can send a datagram, so one that is no answer, or is not signed as it should be, does
    /// not end the wait for one that is. Only when none comes it is told what was wrong.
    async fn by_udp(&self) -> Result<Option<Message<Vec<u8>>>, PublicationError> {
        let failed = |error: io::Error| self.server.socket_failed(&error);
        let any: SocketAddr = match self.server.address {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        let socket = UdpSocket::bind(any).await.map_err(failed)?;
        socket.connect(self.server.address).await.map_err(failed)?;
        let mut buffer = std::vec![0; usize::from(u16::MAX)];
        for wait in WAITS {
            socket.send(self.message.as_slice()).await.map_err(failed)?;
            let mut wrong = None;
            let answer = timeout(wait, self.receive(&socket, &mut buffer, &mut wrong)).await;
            match (answer, wrong) {
                (Ok(answer), _) => {
                    let answer = answer.map_err(failed)?;
                    return Ok((!answer.header().tc()).then_some(answer));
                }
                (Err(_), Some(error)) => return Err(error),
                (Err(_), None) => {}
            }
        }
        Err(PublicationError::Silent { server: self.server.address })
    }

    /// Waits for an answer, and passes over what is `wrong`.
    async fn receive(
        &self,
        socket: &UdpSocket,
        buffer: &mut [u8],
        wrong: &mut Option<PublicationError>,
    ) -> io::Result<Message<Vec<u8>>> {
        loop {
            let length = socket.recv(buffer).await?;
            match self.judge(buffer.get(..length).unwrap_or_default()) {
                Ok(answer) => return Ok(answer),
                Err(error) => *wrong = Some(error),
            }
        }
    }

    async fn by_tcp(&self) -> Result<Message<Vec<u8>>, PublicationError> {
        let answer = timeout(TCP_LIMIT, self.exchange_by_tcp()).await;
        let answer =
            answer.map_err(|_| PublicationError::Silent { server: self.server.address })?;
        let answer = self.judge(&answer.map_err(|error| self.server.socket_failed(&error))?)?;
        if answer.header().tc() {
            // And so was not verified.
            let (server, reason) = (self.server.address, "an answer that is cut off, by TCP");
            return Err(PublicationError::Garbage { server, reason });
        }
        Ok(answer)
    }

    async fn exchange_by_tcp(&self) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.server.address).await?;
        let message = self.message.as_slice();
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
        let mut answer = std::vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    /// The answer, verified; one that is cut off is not, and good for nothing but to ask again.
    fn judge(&self, bytes: &[u8]) -> Result<Message<Vec<u8>>, PublicationError> {
        let server = self.server.address;
        let garbage = |reason| PublicationError::Garbage { server, reason };
        let answer = Message::from_octets(bytes.to_vec());
        let mut answer = answer.map_err(|_| garbage("too short for an answer"))?;
        message::answers(&answer, &self.message).map_err(garbage)?;
        if let Some(transaction) = &self.transaction
            && !answer.header().tc()
        {
            // A failed verification may leave the message changed.
            let (code, time_error) = (answer.header().rcode(), server_time(&answer));
            let verified = transaction.answer(&mut answer, self.server.time());
            verified.map_err(|error| self.not_verified(error, code, time_error))?;
        }
        // All sections are walked through before any is looked at.
        match answer.iter().find_map(Result::err) {
            Some(_) => Err(garbage("malformed")),
            None => Ok(answer),
        }
    }

    fn not_verified(
        &self,
        error: ValidationError,
        code: Rcode,
        server_time: Option<Time48>,
    ) -> PublicationError {
        let server = self.server.address;
        let key = self.server.key.map(TsigKey::name).unwrap_or_default();
        if let Some(theirs) = server_time {
            let ahead = u64::from(self.server.time()).checked_signed_diff(u64::from(theirs));
            return PublicationError::BadTime { server, ahead };
        }
        let not_verified = |reason: &str| PublicationError::NotVerified {
            server,
            reason: reason.to_string(),
            code: code.to_string(),
        };
        match error {
            ValidationError::ServerBadKey => PublicationError::BadKey { server, key },
            ValidationError::ServerBadSig => PublicationError::BadSignature { server, key },
            ValidationError::ServerUnsigned => not_verified("it is not signed"),
            ValidationError::BadSig => not_verified("its signature is wrong"),
            ValidationError::BadTime => PublicationError::BadTime { server, ahead: None },
            other => not_verified(&other.to_string()),
        }
    }
}

/// The server's time in an answer that says that the clocks are too far apart. It is looked at before
/// the signature is verified, which for these answers `domain` 0.12 cannot: it takes the time as 8
/// octets where it has 6. Nothing but a message depends on it.
fn server_time(answer: &Message<Vec<u8>>) -> Option<Time48> {
    let tsig = answer.get_last_additional::<Tsig<_, _>>()?;
    let is_time = tsig.data().error() == TsigRcode::BADTIME;
    tsig.data().other_time().filter(|_| is_time && answer.header().rcode() == Rcode::NOTAUTH)
}

#[cfg(test)]
mod tests;
