//! The appliance's UDP sockets under the transport.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use embedded_nal::{UdpClientStack, UdpFullStack, nb};
use headcount::time::Instant;
use headcount::transport::{Failure, UdpExchange};
use headcount::wire::Frame;
use headcount_stacks::forge;
use headcount_stacks::nal::{Error, UdpSocket};
use headcount_stacks::node::{Asker, Idle, Node, PORT, Site, run_for, run_until};
use headcount_stacks::stack::{Adapter, adapter};
use headcount_stacks::wire::{Conditions, Wire, address};

const REQUEST: Frame = [0x51; 250];
const ANSWER: Frame = [0xae; 250];

type Client = Asker<Adapter, UdpExchange<Adapter>>;
type Server = Site<Adapter, Answer, 1>;
type Answer = fn(Instant, SocketAddr, &Frame) -> Option<Frame>;

/// A host on the first card, who answers with every bit turned.
fn server(wire: &Wire) -> Server {
    Site::new(adapter(wire, 2, 1), |_, _, frame| Some(frame.map(|byte| !byte)))
}

fn host() -> SocketAddr {
    (address(0), PORT).into()
}

fn client(wire: &Wire) -> Client {
    Asker::asks(adapter(wire, 0, 1), UdpExchange::new(host(), REQUEST))
}

/// A stack with a socket that is connected with the host.
fn connected(wire: &Wire) -> (Idle<Adapter>, UdpSocket) {
    let mut stack = adapter(wire, 0, 2);
    let mut socket = UdpClientStack::socket(&mut stack).unwrap();
    UdpClientStack::connect(&mut stack, &mut socket, host()).unwrap();
    (Idle(stack), socket)
}

#[test]
fn a_burst_is_answered() {
    let wire = Wire::new(Conditions { latency: 1..=20, ..Conditions::GOOD }, 1);
    let mut site = server(&wire);
    let mut clients: Vec<_> = (0..40).map(|_| client(&wire)).collect();
    let mut nodes: Vec<&mut dyn Node> = vec![&mut site];
    nodes.extend(clients.iter_mut().map(|client| client as &mut dyn Node));
    run_until(&wire, &mut nodes, 60_000);
    for client in &clients {
        assert_eq!(client.result(), Ok(ANSWER));
    }
}

#[test]
fn without_a_socket_the_exchange_ends_at_once() {
    let wire = Wire::new(Conditions::GOOD, 10);
    let mut client: Client = Asker::asks(adapter(&wire, 1, 0), UdpExchange::new(host(), REQUEST));
    run_until(&wire, &mut [&mut client], 60_000);
    assert_eq!(client.end, Some((0, Err(Failure::NoSocket))));
}

#[test]
fn where_nothing_is_the_exchange_ends_by_the_clock() {
    // Neither a host at this address, nor a socket at this port.
    for exists in [false, true] {
        let wire = Wire::new(Conditions::GOOD, 2);
        let mut stack = Idle(adapter::<1>(&wire, 0, 1));
        let mut client = client(&wire);
        let mut nodes: Vec<&mut dyn Node> = vec![&mut client];
        if exists {
            nodes.push(&mut stack);
        }
        run_until(&wire, &mut nodes, 60_000);
        let waited = Duration::from_secs(23);
        let failure = Failure::NoAnswer { sent: 5, rejected: 0, ignored: 0, waited };
        assert_eq!(client.end, Some((23_000, Err(failure))), "exists: {exists}");
    }
}

#[test]
fn datagrams_of_other_lengths_get_no_answer_and_break_nothing() {
    let wire = Wire::new(Conditions::GOOD, 3);
    let mut site = server(&wire);
    let (mut peer, mut socket) = connected(&wire);
    for length in [0, 1, 249, 251, 512, 1_000] {
        let sent = UdpClientStack::send(&mut peer.0, &mut socket, &[0x51; 1_000][..length]);
        assert_eq!(sent, Ok(()), "{length} bytes");
        run_for(&wire, &mut [&mut site, &mut peer], 10);
    }
    let mut buffer = [0; 300];
    let nothing = UdpClientStack::receive(&mut peer.0, &mut socket, &mut buffer);
    assert_eq!(nothing, Err(nb::Error::WouldBlock));
    UdpClientStack::send(&mut peer.0, &mut socket, &REQUEST).unwrap();
    run_for(&wire, &mut [&mut site, &mut peer], 10);
    let answer = UdpClientStack::receive(&mut peer.0, &mut socket, &mut buffer);
    assert_eq!(answer, Ok((250, host())));
    assert_eq!(buffer[..250], ANSWER);
    // The empty one, and what fits no buffer of the server's, the stack drops by itself.
    let counters = site.udp.counters();
    assert_eq!((counters.frames, counters.wrong_length), (1, 3));
    assert_eq!(site.udp.counters().answers, 1);
}

#[test]
fn a_datagram_too_long_is_an_error_either_way() {
    let wire = Wire::new(Conditions::GOOD, 4);
    let _host = wire.card();
    let (mut peer, mut socket) = connected(&wire);
    let sent = UdpClientStack::send(&mut peer.0, &mut socket, &[0; 4_000]);
    assert_eq!(sent, Err(nb::Error::Other(Error::TooLong)));
    run_for(&wire, &mut [&mut peer], 10);
    let port = {
        let mut ports = peer.0.sockets_mut().iter().filter_map(|(_, socket)| match socket {
            smoltcp::socket::Socket::Udp(socket) => Some(socket.endpoint().port),
            smoltcp::socket::Socket::Tcp(_) => None,
        });
        ports.find(|port| *port != 0).unwrap()
    };
    for length in [300, 20] {
        let frame = forge::datagram((address(0), PORT), 1, port, &[7; 300][..length]);
        wire.card().send_raw(&frame);
    }
    run_for(&wire, &mut [&mut peer], 10);
    let mut buffer = [0; 100];
    let mut receive = || UdpClientStack::receive(&mut peer.0, &mut socket, &mut buffer);
    assert_eq!(receive(), Err(nb::Error::Other(Error::TooLong)));
    assert_eq!(receive(), Ok((20, host())));
    assert_eq!(receive(), Err(nb::Error::WouldBlock));
}

#[test]
fn a_sender_who_does_not_exist_holds_up_the_others_for_1_s_at_most() {
    let wire = Wire::new(Conditions::GOOD, 5);
    let mut site = server(&wire);
    let forger = wire.card();
    run_for(&wire, &mut [&mut site], 10);
    let nobody = (Ipv4Addr::new(10, 0, 0, 200), 40_000);
    forger.send_raw(&forge::datagram(nobody, 0, PORT, &REQUEST));
    run_for(&wire, &mut [&mut site], 10);
    assert_eq!(site.udp.counters().answers, 1, "queued, and cannot be sent");
    let mut client = client(&wire);
    let time = run_until(&wire, &mut [&mut site, &mut client], 60_000);
    assert_eq!(client.result(), Ok(ANSWER));
    assert!((1_000..4_000).contains(&time), "{time} ms");
}

#[test]
fn a_slow_card_loses_nothing() {
    let wire = Wire::new(Conditions::GOOD, 6);
    let mut site = Idle(adapter::<1>(&wire, 0, 1));
    let (mut peer, mut socket) = connected(&wire);
    // So that the peer knows the host's Ethernet address.
    UdpClientStack::send(&mut peer.0, &mut socket, &REQUEST).unwrap();
    run_for(&wire, &mut [&mut site, &mut peer], 10);
    peer.0.device_mut().set_room(0);
    let before = wire.sent().len();
    for _ in 0..8 {
        UdpClientStack::send(&mut peer.0, &mut socket, &REQUEST).unwrap();
    }
    let full = UdpClientStack::send(&mut peer.0, &mut socket, &REQUEST);
    assert_eq!(full, Err(nb::Error::WouldBlock));
    for _ in 0..8 {
        let now = wire.now() + 300;
        wire.advance(now);
        peer.0.device_mut().set_room(1);
        peer.0.poll(smoltcp::time::Instant::from_millis(now.cast_signed()));
    }
    assert_eq!(wire.sent().len() - before, 8);
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    let wire = Wire::new(Conditions::GOOD, 7);
    let mut site = server(&wire);
    let (mut peer, mut socket) = connected(&wire);
    UdpClientStack::send(&mut peer.0, &mut socket, &REQUEST).unwrap();
    run_for(&wire, &mut [&mut site, &mut peer], 10);
    let port = wire.sent()[0].ports.0;
    let forger = wire.card();
    for from in [(address(0), PORT + 1), (Ipv4Addr::new(10, 0, 0, 9), PORT)] {
        forger.send_raw(&forge::datagram(from, 1, port, &[0xee; 250]));
    }
    run_for(&wire, &mut [&mut site, &mut peer], 10);
    let mut buffer = [0; 251];
    let mut receive = || UdpClientStack::receive(&mut peer.0, &mut socket, &mut buffer);
    assert_eq!(receive(), Ok((250, host())));
    assert_eq!(receive(), Err(nb::Error::WouldBlock));
}

#[test]
fn an_answer_is_sent_though_its_socket_is_closed_at_once() {
    let wire = Wire::new(Conditions::GOOD, 7);
    let mut site = server(&wire);
    let mut client = client(&wire);
    run_for(&wire, &mut [&mut site, &mut client], 2);
    while site.udp.counters().answers == 0 {
        let now = wire.now() + 1;
        wire.advance(now);
        client.turn(Instant::from_millis(now));
        site.stack.poll(smoltcp::time::Instant::from_millis(now.cast_signed()));
        let _ = site.udp.poll(&mut site.stack, Instant::from_millis(now), site.answer);
    }
    site.udp.close(&mut site.stack);
    let mut stack = Idle(site.stack);
    let time = run_until(&wire, &mut [&mut stack, &mut client], 60_000);
    assert_eq!(client.result(), Ok(ANSWER));
    assert!(time < 900, "before it was asked again: {time} ms");
}

#[test]
fn sockets_and_ports_come_back() {
    let wire = Wire::new(Conditions::GOOD, 8);
    let mut site = server(&wire);
    let mut clients: [Client; 1] = [Asker::new(adapter(&wire, 0, 1))];
    for round in 0..100 {
        clients[0].ask(UdpExchange::new(host(), REQUEST));
        run_until(&wire, &mut [&mut site, &mut clients[0]], u64::MAX);
        assert_eq!(clients[0].result(), Ok(ANSWER), "round {round}");
        if round % 10 == 0 {
            site.udp.close(&mut site.stack);
            run_for(&wire, &mut [&mut site], 1);
        }
    }
    assert_eq!(site.udp.counters().open_errors, 0);
}

#[test]
fn a_port_is_one_socket_s() {
    let wire = Wire::new(Conditions::GOOD, 9);
    let mut stack = adapter::<1>(&wire, 0, 2);
    let mut one = UdpClientStack::socket(&mut stack).unwrap();
    let mut two = UdpClientStack::socket(&mut stack).unwrap();
    assert_eq!(UdpClientStack::socket(&mut stack).err(), Some(Error::NoSocket));
    assert_eq!(UdpFullStack::bind(&mut stack, &mut one, PORT), Ok(()));
    assert_eq!(UdpFullStack::bind(&mut stack, &mut one, PORT + 1), Err(Error::WrongState));
    assert_eq!(UdpFullStack::bind(&mut stack, &mut two, PORT), Err(Error::PortTaken));
    let unbound = stack.send_to(&mut two, host(), &REQUEST);
    assert_eq!(unbound, Err(nb::Error::Other(Error::Unaddressable)));
    let unconnected = UdpClientStack::send(&mut stack, &mut two, &REQUEST);
    assert_eq!(unconnected, Err(nb::Error::Other(Error::NotConnected)));
    UdpClientStack::close(&mut stack, one).unwrap();
    assert_eq!(UdpFullStack::bind(&mut stack, &mut two, PORT), Ok(()));
}
