//! How one connection of the load makes its exchanges.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use headcount::wire::{FRAME_LEN, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, Sleep, sleep_until};

use super::tally::Trouble;

/// After so long a frame counts as unanswered.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A connection for each exchange.
    Tcp,
    /// One exchange after the other on each connection.
    TcpPersistent,
    /// One datagram each way, never repeated.
    Udp,
}

impl Mode {
    /// A stable name for JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::TcpPersistent => "tcp_persistent",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "TCP, a connection each",
            Self::TcpPersistent => "TCP, persistent",
            Self::Udp => "UDP",
        })
    }
}

pub(super) struct Link {
    mode: Mode,
    target: SocketAddr,
    /// Source addresses to go through, for as many connections; the system's choice when empty.
    sources: std::iter::Cycle<std::vec::IntoIter<SocketAddr>>,
    stream: Option<TcpStream>,
    socket: Option<UdpSocket>,
    watchdog: Pin<Box<Sleep>>,
}

impl Link {
    pub(super) fn new(
        mode: Mode,
        target: SocketAddr,
        mut sources: Vec<SocketAddr>,
        number: usize,
    ) -> Self {
        if !sources.is_empty() {
            let first = number % sources.len();
            sources.rotate_left(first);
        }
        Self {
            mode,
            target,
            sources: sources.into_iter().cycle(),
            stream: None,
            socket: None,
            watchdog: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Makes one exchange. `fits` says whether a datagram answers this request, and not an earlier
    /// one that was given up.
    pub(super) async fn exchange(
        &mut self,
        begun: Instant,
        request: &Frame,
        fits: impl Fn(&Frame) -> bool,
    ) -> Result<Frame, Trouble> {
        let Self { mode, target, sources, stream, socket, watchdog } = self;
        let result = match mode {
            Mode::Tcp => {
                let once = async { talk(&mut connect(*target, sources).await?, request).await };
                within(watchdog, begun, once).await
            }
            Mode::TcpPersistent => {
                within(watchdog, begun, async {
                    let stream = match stream {
                        Some(stream) => stream,
                        none => none.insert(persistent(*target, sources).await?),
                    };
                    talk(stream, request).await
                })
                .await
            }
            Mode::Udp => {
                within(watchdog, begun, async {
                    let socket = match socket {
                        Some(socket) => socket,
                        none => none.insert(open(*target, sources).await?),
                    };
                    ask(socket, request, fits).await
                })
                .await
            }
        };
        if result.is_err() {
            // An answer that comes late would be taken for the next one's.
            self.stream = None;
        }
        result
    }
}

/// Puts a limit to an exchange. The timer is not set anew for each, but only when it has run out.
async fn within(
    watchdog: &mut Pin<Box<Sleep>>,
    begun: Instant,
    exchange: impl Future<Output = io::Result<Frame>>,
) -> Result<Frame, Trouble> {
    let deadline = begun + LIMIT;
    let mut exchange = pin!(exchange);
    loop {
        tokio::select! {
            biased;
            result = &mut exchange => return result.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Trouble::Unanswered,
                _ => Trouble::Error(error),
            }),
            () = watchdog.as_mut() => {
                if watchdog.deadline() >= deadline {
                    return Err(Trouble::Unanswered);
                }
                watchdog.as_mut().reset(deadline);
            }
        }
    }
}

async fn connect(
    target: SocketAddr,
    sources: &mut impl Iterator<Item = SocketAddr>,
) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = sources.next() {
        socket.bind(source)?;
    }
    socket.connect(target).await
}

async fn persistent(
    target: SocketAddr,
    sources: &mut impl Iterator<Item = SocketAddr>,
) -> io::Result<TcpStream> {
    let stream = connect(target, sources).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn talk(stream: &mut TcpStream, request: &Frame) -> io::Result<Frame> {
    let mut answer = [0; FRAME_LEN];
    stream.write_all(request).await?;
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn open(
    target: SocketAddr,
    sources: &mut impl Iterator<Item = SocketAddr>,
) -> io::Result<UdpSocket> {
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = match sources.next() {
        Some(source) => UdpSocket::bind(source).await?,
        None => UdpSocket::bind(any).await?,
    };
    socket.connect(target).await?;
    Ok(socket)
}

async fn ask(
    socket: &UdpSocket,
    request: &Frame,
    fits: impl Fn(&Frame) -> bool,
) -> io::Result<Frame> {
    let mut datagram = [0; FRAME_LEN + 1];
    socket.send(request).await?;
    loop {
        let length = socket.recv(&mut datagram).await?;
        if let Ok(answer) = datagram[..length].try_into()
            && fits(&answer)
        {
            return Ok(answer);
        }
    }
}
