//! Which of a machine's addresses a datagram was sent to, for sockets that are bound to all.
//!
//! std and tokio do not tell, and Linux does when asked (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
//! Elsewhere the system chooses the address that an answer leaves from, which on a machine with
//! several may be the wrong one.

pub(super) use imp::{CAN_TELL, Local, ask, receive, send};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{Ipv6Addr, SocketAddr};
    use std::os::fd::AsRawFd;
    use std::vec;

    use nix::cmsg_space;
    use nix::libc::{in_addr, in_pktinfo, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
        setsockopt, sockopt,
    };
    use socket2::Socket;
    use tokio::io::Interest;
    use tokio::net::UdpSocket;

    /// Whether this system tells.
    pub(in super::super) const CAN_TELL: bool = true;

    /// The address that a datagram was sent to, in the form in which an answer names it.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) enum Local {
        V4(in_pktinfo),
        V6(in6_pktinfo),
    }

    /// Has the system tell where datagrams were sent to, before the socket is bound.
    pub(in super::super) fn ask(socket: &Socket, address: SocketAddr) -> io::Result<()> {
        let asked = match address {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
        };
        Ok(asked?)
    }

    /// A datagram's length, its sender, and the address it was sent to.
    pub(in super::super) async fn receive(
        socket: &UdpSocket,
        into: &mut [u8],
    ) -> io::Result<(usize, SocketAddr, Option<Local>)> {
        socket.async_io(Interest::READABLE, || try_receive(socket, into)).await
    }

    fn try_receive(
        socket: &UdpSocket,
        into: &mut [u8],
    ) -> io::Result<(usize, SocketAddr, Option<Local>)> {
        let mut control = cmsg_space!(in6_pktinfo);
        let mut parts = [IoSliceMut::new(into)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let source = message.address.as_ref().and_then(peer).ok_or(io::ErrorKind::InvalidData)?;
        let local = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(from_v4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => from_v6(info),
            _ => None,
        });
        Ok((message.bytes, source, local))
    }

    /// Sends an answer from the address that was asked.
    pub(in super::super) async fn send(
        socket: &UdpSocket,
        answer: &[u8],
        to: SocketAddr,
        local: Local,
    ) -> io::Result<()> {
        let to = SockaddrStorage::from(to);
        let parts = [IoSlice::new(answer)];
        let control = [match &local {
            Local::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Local::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }];
        let try_send =
            || Ok(sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&to))?);
        socket.async_io(Interest::WRITABLE, try_send).await.map(|_| ())
    }

    fn peer(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = || address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4().or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    }

    /// The system names the local address that belongs to a broadcast, too. Which interface an
    /// answer takes is the routing table's to say.
    fn from_v4(info: in_pktinfo) -> Local {
        Local::V4(in_pktinfo { ipi_ifindex: 0, ipi_addr: in_addr { s_addr: 0 }, ..info })
    }

    /// None for a multicast, which nothing can be sent from. Only an address of one link needs its
    /// interface.
    fn from_v6(info: in6_pktinfo) -> Option<Local> {
        let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
        if address.is_multicast() {
            return None;
        }
        let interface = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
        Some(Local::V6(in6_pktinfo { ipi6_ifindex: interface, ..info }))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use core::convert::Infallible;
    use std::io;
    use std::net::SocketAddr;

    use socket2::Socket;
    use tokio::net::UdpSocket;

    pub(in super::super) const CAN_TELL: bool = false;

    /// Never known.
    pub(in super::super) type Local = Infallible;

    pub(in super::super) fn ask(_: &Socket, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) async fn receive(
        socket: &UdpSocket,
        into: &mut [u8],
    ) -> io::Result<(usize, SocketAddr, Option<Local>)> {
        socket.recv_from(into).await.map(|(length, source)| (length, source, None))
    }

    pub(in super::super) async fn send(
        _: &UdpSocket,
        _: &[u8],
        _: SocketAddr,
        local: Local,
    ) -> io::Result<()> {
        match local {}
    }
}
