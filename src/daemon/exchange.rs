//! One exchange over a tokio socket (PROTOCOL 13).

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::string::{String, ToString};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use crate::policy::RETRANSMISSION_WAITS;
use crate::wire::{FRAME_LEN, Frame};

/// How long a TCP exchange may take to connect, and then to be answered.
const TCP_LIMIT: Duration = Duration::from_secs(10);

/// How frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One connection, one frame each way.
    Tcp,
    /// One datagram each way, repeated until answered.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err("either tcp or udp".into()),
        }
    }
}

/// Why no answer came, or none that was accepted.
#[derive(Debug)]
pub enum ExchangeError<E> {
    /// The host's name has no address. An [`exchange`] begins after that.
    Unknown(String),
    /// The connection failed or was closed.
    Connection(String),
    /// Nobody answered in time.
    TimedOut,
    /// Every answer was turned down; this is why the last one was.
    Discarded(E),
}

impl<E: fmt::Display> fmt::Display for ExchangeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(reason) => write!(f, "no address: {reason}"),
            Self::Connection(reason) => f.write_str(reason),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Discarded(discard) => discard.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ExchangeError<E> {}

/// Sends `frame` to a host and hands what comes back to `accept`. On UDP an answer that is not
/// accepted is passed over, since anybody could have sent it, and the exchange goes on.
pub async fn exchange<T, E>(
    transport: Transport,
    host: SocketAddr,
    frame: &Frame,
    mut accept: impl FnMut(&[u8]) -> Result<T, E>,
) -> Result<T, ExchangeError<E>> {
    match transport {
        Transport::Tcp => tcp(host, frame, &mut accept).await,
        Transport::Udp => udp(host, frame, &mut accept).await,
    }
}

async fn tcp<T, E>(
    address: SocketAddr,
    frame: &Frame,
    accept: &mut impl FnMut(&[u8]) -> Result<T, E>,
) -> Result<T, ExchangeError<E>> {
    let connection = |error: io::Error| {
        ExchangeError::Connection(match error.kind() {
            // The commonest cause is not the commonest meaning of the words.
            io::ErrorKind::UnexpectedEof => "the connection was closed without an answer".into(),
            _ => error.to_string(),
        })
    };
    let Ok(connected) = timeout(TCP_LIMIT, TcpStream::connect(address)).await else {
        return Err(ExchangeError::TimedOut);
    };
    let mut stream = connected.map_err(connection)?;
    let mut answer = [0; FRAME_LEN];
    let talk = async {
        stream.set_nodelay(true)?;
        stream.write_all(frame).await?;
        stream.read_exact(&mut answer).await
    };
    match timeout(TCP_LIMIT, talk).await {
        Err(_) => Err(ExchangeError::TimedOut),
        Ok(Err(error)) => Err(connection(error)),
        Ok(Ok(_)) => accept(&answer).map_err(ExchangeError::Discarded),
    }
}

async fn udp<T, E>(
    address: SocketAddr,
    frame: &Frame,
    accept: &mut impl FnMut(&[u8]) -> Result<T, E>,
) -> Result<T, ExchangeError<E>> {
    let connection = |error: io::Error| ExchangeError::Connection(error.to_string());
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(connection)?;
    // A connected socket takes datagrams from nobody else.
    socket.connect(address).await.map_err(connection)?;
    let mut failure = ExchangeError::TimedOut;
    let mut answer = [0; FRAME_LEN + 1];
    for wait in RETRANSMISSION_WAITS {
        // A send may report that an earlier datagram was refused; the host may be starting up, so
        // only the end of the waits ends the exchange.
        if let Err(error) = socket.send(frame).await {
            failure = ExchangeError::Connection(error.to_string());
        }
        let deadline = Instant::now().checked_add(wait).unwrap_or_else(Instant::now);
        while let Ok(received) = timeout_at(deadline, socket.recv(&mut answer)).await {
            match received {
                Ok(length) => match accept(answer.get(..length).unwrap_or_default()) {
                    Ok(accepted) => return Ok(accepted),
                    Err(discard) => failure = ExchangeError::Discarded(discard),
                },
                Err(error) => {
                    failure = ExchangeError::Connection(error.to_string());
                    tokio::time::sleep_until(deadline).await;
                }
            }
        }
    }
    Err(failure)
}
