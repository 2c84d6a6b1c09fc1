//! What the transport's tests on real sockets share: the system's clock, and an adapter for servers
//! on 127.0.0.1.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use embedded_nal::{
    TcpClientStack, TcpError, TcpErrorKind, TcpFullStack, UdpClientStack, UdpFullStack, nb,
};
use headcount::time::{Instant, Now, UnixTime};
use headcount::transport::Platform;

/// The operating system's clock, and a flag to stop by.
#[derive(Clone)]
pub(crate) struct Os {
    start: std::time::Instant,
    /// What both clocks showed then.
    shown: Now,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Os {
    pub(crate) fn new() -> Self {
        Self::at(Now::new(Instant::ZERO, None))
    }

    /// Clocks that go on from here.
    pub(crate) fn at(shown: Now) -> Self {
        Self { start: std::time::Instant::now(), shown, stop: Arc::default() }
    }
}

impl<S> Platform<S> for Os {
    fn now(&mut self) -> Instant {
        self.shown.monotonic.after(self.start.elapsed())
    }

    fn calendar(&mut self) -> Option<UnixTime> {
        self.shown.clock.map(|clock| clock.after(self.start.elapsed()))
    }

    fn idle(&mut self, _: &mut S, until: Instant) {
        let wait = until.since(Platform::<S>::now(self));
        thread::sleep(wait.min(Duration::from_millis(1)));
    }

    fn is_stopped(&mut self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Sockets of 127.0.0.1, any free port whatever is asked for.
#[derive(Default)]
pub(crate) struct Loopback {
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) udp: Option<SocketAddr>,
}

#[derive(Debug)]
pub(crate) struct Error(#[expect(dead_code, reason = "for Debug")] io::Error);

impl TcpError for Error {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

fn nb_error(error: io::Error) -> nb::Error<Error> {
    match error.kind() {
        io::ErrorKind::WouldBlock => nb::Error::WouldBlock,
        _ => nb::Error::Other(Error(error)),
    }
}

pub(crate) enum Tcp {
    Unbound,
    Listener(TcpListener),
    Stream(TcpStream),
}

impl TcpClientStack for Loopback {
    type TcpSocket = Tcp;
    type Error = Error;

    fn socket(&mut self) -> Result<Tcp, Error> {
        Ok(Tcp::Unbound)
    }

    fn connect(&mut self, _: &mut Tcp, _: SocketAddr) -> nb::Result<(), Error> {
        unreachable!("a server does not connect");
    }

    fn send(&mut self, socket: &mut Tcp, buffer: &[u8]) -> nb::Result<usize, Error> {
        let Tcp::Stream(stream) = socket else { unreachable!() };
        stream.write(buffer).map_err(nb_error)
    }

    fn receive(&mut self, socket: &mut Tcp, buffer: &mut [u8]) -> nb::Result<usize, Error> {
        let Tcp::Stream(stream) = socket else { unreachable!() };
        stream.read(buffer).map_err(nb_error)
    }

    fn close(&mut self, _: Tcp) -> Result<(), Error> {
        Ok(())
    }
}

impl TcpFullStack for Loopback {
    fn bind(&mut self, socket: &mut Tcp, _: u16) -> Result<(), Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error)?;
        listener.set_nonblocking(true).map_err(Error)?;
        self.tcp = Some(listener.local_addr().map_err(Error)?);
        *socket = Tcp::Listener(listener);
        Ok(())
    }

    fn listen(&mut self, _: &mut Tcp) -> Result<(), Error> {
        Ok(())
    }

    fn accept(&mut self, socket: &mut Tcp) -> nb::Result<(Tcp, SocketAddr), Error> {
        let Tcp::Listener(listener) = socket else { unreachable!() };
        let (stream, peer) = listener.accept().map_err(nb_error)?;
        stream.set_nonblocking(true).map_err(nb_error)?;
        Ok((Tcp::Stream(stream), peer))
    }
}

impl UdpClientStack for Loopback {
    type UdpSocket = Option<UdpSocket>;
    type Error = Error;

    fn socket(&mut self) -> Result<Option<UdpSocket>, Error> {
        Ok(None)
    }

    fn connect(&mut self, _: &mut Option<UdpSocket>, _: SocketAddr) -> Result<(), Error> {
        unreachable!("a server does not connect");
    }

    fn send(&mut self, _: &mut Option<UdpSocket>, _: &[u8]) -> nb::Result<(), Error> {
        unreachable!("a server says to whom");
    }

    fn receive(
        &mut self,
        socket: &mut Option<UdpSocket>,
        buffer: &mut [u8],
    ) -> nb::Result<(usize, SocketAddr), Error> {
        socket.as_mut().unwrap().recv_from(buffer).map_err(nb_error)
    }

    fn close(&mut self, _: Option<UdpSocket>) -> Result<(), Error> {
        Ok(())
    }
}

impl UdpFullStack for Loopback {
    fn bind(&mut self, socket: &mut Option<UdpSocket>, _: u16) -> Result<(), Error> {
        let bound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error)?;
        bound.set_nonblocking(true).map_err(Error)?;
        self.udp = Some(bound.local_addr().map_err(Error)?);
        *socket = Some(bound);
        Ok(())
    }

    fn send_to(
        &mut self,
        socket: &mut Option<UdpSocket>,
        remote: SocketAddr,
        buffer: &[u8],
    ) -> nb::Result<(), Error> {
        socket.as_mut().unwrap().send_to(buffer, remote).map(drop).map_err(nb_error)
    }
}
