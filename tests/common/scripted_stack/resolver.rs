//! Both scripts in one stack: what asks a resolver by UDP goes on by TCP.

use std::net::SocketAddr;

use embedded_nal::{TcpClientStack, UdpClientStack, nb};

use super::tcp_client::ScriptedTcp;
use super::udp::ScriptedUdp;
use super::{Fault, Socket};

#[derive(Debug)]
pub struct ScriptedBoth {
    pub udp: ScriptedUdp,
    pub tcp: ScriptedTcp,
    /// Whom TCP connected to.
    pub connected: Vec<SocketAddr>,
}

impl ScriptedBoth {
    pub fn assert_all_closed(&self) {
        self.udp.assert_all_closed();
        self.tcp.assert_all_closed();
    }
}

impl UdpClientStack for ScriptedBoth {
    type UdpSocket = Socket;
    type Error = Fault;

    fn socket(&mut self) -> Result<Socket, Fault> {
        UdpClientStack::socket(&mut self.udp)
    }

    fn connect(&mut self, socket: &mut Socket, remote: SocketAddr) -> Result<(), Fault> {
        UdpClientStack::connect(&mut self.udp, socket, remote)
    }

    fn send(&mut self, socket: &mut Socket, buffer: &[u8]) -> nb::Result<(), Fault> {
        UdpClientStack::send(&mut self.udp, socket, buffer)
    }

    fn receive(
        &mut self,
        socket: &mut Socket,
        buffer: &mut [u8],
    ) -> nb::Result<(usize, SocketAddr), Fault> {
        UdpClientStack::receive(&mut self.udp, socket, buffer)
    }

    fn close(&mut self, socket: Socket) -> Result<(), Fault> {
        UdpClientStack::close(&mut self.udp, socket)
    }
}

impl TcpClientStack for ScriptedBoth {
    type TcpSocket = Socket;
    type Error = Fault;

    fn socket(&mut self) -> Result<Socket, Fault> {
        self.tcp.socket()
    }

    fn connect(&mut self, socket: &mut Socket, remote: SocketAddr) -> nb::Result<(), Fault> {
        self.connected.push(remote);
        self.tcp.connect(socket, remote)
    }

    fn send(&mut self, socket: &mut Socket, buffer: &[u8]) -> nb::Result<usize, Fault> {
        self.tcp.send(socket, buffer)
    }

    fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Fault> {
        self.tcp.receive(socket, buffer)
    }

    fn close(&mut self, socket: Socket) -> Result<(), Fault> {
        self.tcp.close(socket)
    }
}
