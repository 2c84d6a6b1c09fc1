//! The appliance's TCP sockets under the transport: bursts, closing, reuse, and peers who misbehave.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use embedded_nal::{TcpClientStack, TcpFullStack, nb};
use headcount::time::Instant;
use headcount::transport::{Failure, TcpExchange, Timeouts};
use headcount::wire::Frame;
use headcount_stacks::forge;
use headcount_stacks::nal::{Error, TcpSocket};
use headcount_stacks::node::{Asker, HangsUp, Idle, Node, PORT, Site, run_for, run_until};
use headcount_stacks::stack::{Adapter, adapter};
use headcount_stacks::wire::{Conditions, Sent, Wire, address};
use smoltcp::socket::Socket;

const REQUEST: Frame = [0x51; 250];
const ANSWER: Frame = [0xae; 250];

type Client = Asker<Adapter, TcpExchange<Adapter>>;
type Server<const PLACES: usize, const BACKLOG: usize> = Site<Adapter<BACKLOG>, Answer, PLACES>;
type Answer = fn(Instant, SocketAddr, &Frame) -> Option<Frame>;

/// A host on the first card, who answers with every bit turned.
fn server<const PLACES: usize, const BACKLOG: usize>(
    wire: &Wire,
    sockets: usize,
) -> Server<PLACES, BACKLOG> {
    Site::new(adapter(wire, sockets, 1), |_, _, frame| Some(frame.map(|byte| !byte)))
}

fn host() -> SocketAddr {
    (address(0), PORT).into()
}

fn exchange() -> TcpExchange<Adapter> {
    TcpExchange::new(host(), REQUEST, Timeouts::default())
}

fn client(wire: &Wire) -> Client {
    Asker::asks(adapter(wire, 2, 0), exchange())
}

fn nodes<'a>(site: &'a mut dyn Node, clients: &'a mut [Client]) -> Vec<&'a mut dyn Node> {
    let clients = clients.iter_mut().map(|client| client as &mut dyn Node);
    std::iter::once(site).chain(clients).collect()
}

fn refusals(wire: &Wire) -> usize {
    wire.sent().iter().filter(|sent| sent.is_refusal()).count()
}

/// A peer whose sockets a test uses by hand.
struct Peer(Idle<Adapter>);

impl Peer {
    fn new(wire: &Wire, sockets: usize) -> Self {
        Self(Idle(adapter(wire, sockets, 0)))
    }

    fn stack(&mut self) -> &mut Adapter {
        &mut self.0.0
    }

    fn connect(&mut self, wire: &Wire, site: &mut dyn Node) -> Result<TcpSocket, Error> {
        let mut socket = self.stack().socket()?;
        for _ in 0..10_000 {
            match self.stack().connect(&mut socket, host()) {
                Ok(()) => return Ok(socket),
                Err(nb::Error::WouldBlock) => run_for(wire, &mut [site, &mut self.0], 1),
                Err(nb::Error::Other(error)) => return Err(error),
            }
        }
        panic!("neither connected nor refused for 10 s");
    }
}

/// Resets all connections of a stack.
fn reset_all<const BACKLOG: usize>(stack: &mut Adapter<BACKLOG>) {
    for (_, socket) in stack.sockets_mut().iter_mut() {
        if let Socket::Tcp(socket) = socket
            && socket.is_active()
        {
            socket.abort();
        }
    }
}

fn burst<const BACKLOG: usize>(clients: usize, latency: u64) {
    let wire = Wire::new(Conditions { latency: 1..=latency, ..Conditions::GOOD }, 1);
    let mut site = server::<8, BACKLOG>(&wire, 10 + BACKLOG);
    let mut clients: Vec<_> = (0..clients).map(|_| client(&wire)).collect();
    let time = run_until(&wire, &mut nodes(&mut site, &mut clients), 60_000);
    for client in &clients {
        assert_eq!(client.result(), Ok(ANSWER));
    }
    assert_eq!(refusals(&wire), 0);
    let requests = wire.sent().iter().filter(|sent| sent.is_request()).count();
    assert!(requests > clients.len(), "some had to ask twice");
    assert!(time < 10_000, "{time} ms");
    assert_eq!(site.tcp.counters().answers as usize, clients.len());
}

#[test]
fn a_burst_beyond_the_backlog_is_served_without_a_refusal() {
    burst::<4>(12, 1);
    burst::<8>(40, 100);
}

#[test]
fn sockets_come_back_however_often_they_are_used() {
    let wire = Wire::new(Conditions::GOOD, 2);
    // The fewest: a place, one that listens, and one that is being closed.
    let mut site = server::<1, 1>(&wire, 3);
    let mut client: [Client; 1] = [Asker::new(adapter(&wire, 1, 0))];
    for round in 0..300 {
        client[0].ask(exchange());
        run_until(&wire, &mut nodes(&mut site, &mut client), u64::MAX);
        assert_eq!(client[0].result(), Ok(ANSWER), "round {round}");
    }
    assert_eq!(site.tcp.counters().answers, 300);
}

#[test]
fn nothing_is_left_to_do_when_all_is_done() {
    let wire = Wire::new(Conditions::GOOD, 3);
    let mut site = server::<2, 2>(&wire, 6);
    let mut clients = [client(&wire)];
    run_until(&wire, &mut nodes(&mut site, &mut clients), 60_000);
    run_for(&wire, &mut nodes(&mut site, &mut clients), 60_000);
    let now = smoltcp::time::Instant::from_millis(wire.now().cast_signed());
    assert_eq!(site.stack.poll(now), None);
    assert_eq!(clients[0].stack.poll(now), None);
}

#[test]
fn an_answer_outlives_the_closing_of_its_connection_and_the_loss_of_its_segment() {
    let wire = Wire::new(Conditions::GOOD, 4);
    let mut site = server::<2, 2>(&wire, 6);
    let mut clients = [client(&wire)];
    let lost = Rc::new(Cell::new(0));
    let count = lost.clone();
    wire.filter(move |sent: &Sent| {
        let is_lost = sent.card == 0 && !sent.payload.is_empty() && count.get() < 2;
        count.set(count.get() + u8::from(is_lost));
        !is_lost
    });
    while site.tcp.counters().answers == 0 {
        run_for(&wire, &mut nodes(&mut site, &mut clients), 1);
    }
    site.tcp.close(&mut site.stack);
    let mut stack = Idle(site.stack);
    run_until(&wire, &mut nodes(&mut stack, &mut clients), 30_000);
    assert_eq!(clients[0].result(), Ok(ANSWER));
    assert_eq!(lost.get(), 2);
}

/// Whether a stack has a connection that is not over.
fn has_connection<const BACKLOG: usize>(stack: &mut Idle<Adapter<BACKLOG>>) -> bool {
    let mut sockets = stack.0.sockets_mut().iter();
    sockets.any(|(_, socket)| matches!(socket, Socket::Tcp(socket) if socket.is_active()))
}

#[test]
fn a_peer_who_vanishes_or_never_closes_holds_a_closed_socket_for_30_s_at_most() {
    for vanishes in [false, true] {
        let wire = Wire::new(Conditions::GOOD, 5);
        let mut site = server::<1, 1>(&wire, 2);
        let mut peer = Peer::new(&wire, 1);
        let mut socket = peer.connect(&wire, &mut site).unwrap();
        assert_eq!(peer.stack().send(&mut socket, &REQUEST), Ok(250));
        wire.filter(move |sent| !vanishes || sent.card != 0 || sent.payload.is_empty());
        run_for(&wire, &mut [&mut site, &mut peer.0], 10);
        wire.filter(move |_| !vanishes);
        site.tcp.close(&mut site.stack);
        site.udp.close(&mut site.stack);
        let mut stack = Idle(site.stack);
        run_for(&wire, &mut [&mut stack, &mut peer.0], 29_000);
        assert!(has_connection(&mut stack), "vanishes: {vanishes}");
        let now = smoltcp::time::Instant::from_millis(wire.now().cast_signed());
        let wake_at = stack.0.poll(now).unwrap();
        assert!(wake_at <= now + smoltcp::time::Duration::from_secs(1), "vanishes: {vanishes}");
        run_for(&wire, &mut [&mut stack, &mut peer.0], 2_000);
        assert!(!has_connection(&mut stack), "vanishes: {vanishes}");
    }
}

#[test]
fn a_peer_who_vanishes_gives_way_after_3_s() {
    let wire = Wire::new(Conditions::GOOD, 6);
    let mut stack = adapter::<1>(&wire, 1, 0);
    let mut listener = TcpClientStack::socket(&mut stack).unwrap();
    TcpFullStack::bind(&mut stack, &mut listener, PORT).unwrap();
    stack.listen(&mut listener).unwrap();
    let mut host = Idle(stack);
    let mut first = Peer::new(&wire, 1);
    first.connect(&wire, &mut host).unwrap();
    run_for(&wire, &mut [&mut host, &mut first.0], 10);
    let (mut connection, _) = host.0.accept(&mut listener).unwrap();
    // An answer that is never acknowledged, in the only socket.
    wire.filter(|sent| sent.card != 1);
    assert_eq!(host.0.send(&mut connection, &ANSWER), Ok(250));
    host.0.close(connection).unwrap();
    let closed_at = wire.now();
    Peer::new(&wire, 1).connect(&wire, &mut host).unwrap();
    let waited = wire.now() - closed_at;
    assert!((3_000..10_000).contains(&waited), "{waited} ms");
}

#[test]
fn whoever_resets_before_being_accepted_leaves_no_hole_in_the_backlog() {
    let wire = Wire::new(Conditions::GOOD, 17);
    let mut stack = adapter::<2>(&wire, 2, 1);
    let mut listener = TcpClientStack::socket(&mut stack).unwrap();
    TcpFullStack::bind(&mut stack, &mut listener, PORT).unwrap();
    stack.listen(&mut listener).unwrap();
    let mut host = Idle(stack);
    let mut peer = Peer::new(&wire, 2);
    for round in 0..3 {
        let connections = [(); 2].map(|()| peer.connect(&wire, &mut host).unwrap());
        reset_all(peer.stack());
        run_for(&wire, &mut [&mut host, &mut peer.0], 10);
        let nobody = host.0.accept(&mut listener);
        assert!(matches!(nobody, Err(nb::Error::WouldBlock)), "round {round}");
        for connection in connections {
            peer.stack().close(connection).unwrap();
        }
    }
}

#[test]
fn a_lost_connection_request_is_sent_again() {
    let wire = Wire::new(Conditions::GOOD, 6);
    let mut site = server::<2, 2>(&wire, 6);
    let mut clients = [client(&wire)];
    let mut seen = 0;
    wire.filter(move |sent| {
        seen += usize::from(sent.is_request());
        !sent.is_request() || seen > 2
    });
    let time = run_until(&wire, &mut nodes(&mut site, &mut clients), 60_000);
    assert_eq!(clients[0].result(), Ok(ANSWER));
    assert!((1_000..10_000).contains(&time), "{time} ms");
}

#[test]
fn a_refusal_is_reported_at_once_and_a_missing_host_by_the_clock() {
    let wire = Wire::new(Conditions::GOOD, 7);
    let mut nobody = Idle(adapter::<1>(&wire, 1, 1));
    let mut clients = [client(&wire)];
    let time = run_until(&wire, &mut nodes(&mut nobody, &mut clients), 60_000);
    assert_eq!(clients[0].result(), Err(Failure::NotConnected));
    assert!(time < 100, "{time} ms");

    let wire = Wire::new(Conditions::GOOD, 7);
    let _unused = wire.card();
    let mut client = client(&wire);
    run_until(&wire, &mut [&mut client], 60_000);
    let waited = Duration::from_secs(10);
    assert_eq!(client.end, Some((10_000, Err(Failure::ConnectTimeout { waited }))));
}

#[test]
fn a_host_that_is_not_there_does_not_hide_the_next_one() {
    let wire = Wire::new(Conditions::GOOD, 19);
    let mut site = server::<1, 1>(&wire, 3);
    let missing = (address(99), PORT).into();
    let missing = TcpExchange::new(missing, REQUEST, Timeouts::default());
    let mut client = [Asker::asks(adapter(&wire, 2, 0), missing)];
    let begun = run_until(&wire, &mut nodes(&mut site, &mut client), 60_000);
    assert!(matches!(client[0].result(), Err(Failure::ConnectTimeout { .. })));
    client[0].ask(exchange());
    let end = run_until(&wire, &mut nodes(&mut site, &mut client), 60_000);
    assert_eq!(client[0].result(), Ok(ANSWER));
    assert!(end - begun <= 2_000, "{} ms", end - begun);
}

#[test]
fn a_host_that_says_nothing_is_given_up_by_the_clock() {
    // It accepts in smoltcp, and no server ever looks.
    let wire = Wire::new(Conditions::GOOD, 8);
    let mut stack = adapter::<1>(&wire, 2, 1);
    let mut listener = TcpClientStack::socket(&mut stack).unwrap();
    TcpFullStack::bind(&mut stack, &mut listener, PORT).unwrap();
    stack.listen(&mut listener).unwrap();
    let mut silent = Idle(stack);
    let mut clients = [client(&wire)];
    run_until(&wire, &mut nodes(&mut silent, &mut clients), 60_000);
    let failure =
        Failure::AnswerTimeout { sent: 250, received: 0, waited: Duration::from_secs(10) };
    assert_eq!(clients[0].result(), Err(failure));
}

#[test]
fn whoever_leaves_or_resets_is_noticed_at_once() {
    for reset in [false, true] {
        let wire = Wire::new(Conditions::GOOD, 9);
        let mut site = server::<2, 2>(&wire, 6);
        let mut peer = Peer::new(&wire, 1);
        let mut socket = peer.connect(&wire, &mut site).unwrap();
        assert_eq!(peer.stack().send(&mut socket, &REQUEST[..100]), Ok(100));
        run_for(&wire, &mut [&mut site, &mut peer.0], 10);
        assert_eq!(site.tcp.connections(), 1);
        if reset {
            reset_all(peer.stack());
        } else {
            peer.stack().close(socket).unwrap();
        }
        run_for(&wire, &mut [&mut site, &mut peer.0], 10);
        assert_eq!((site.tcp.connections(), site.tcp.counters().lost), (0, 1), "reset: {reset}");
    }
}

#[test]
fn a_host_that_closes_or_resets_ends_the_exchange_at_once() {
    let wire = Wire::new(Conditions::GOOD, 10);
    // It does not like the frame.
    let mut site: Server<2, 2> = Site::new(adapter(&wire, 6, 1), |_, _, _| None);
    let mut clients = [client(&wire)];
    let time = run_until(&wire, &mut nodes(&mut site, &mut clients), 60_000);
    assert_eq!(clients[0].result(), Err(Failure::ClosedEarly { received: 0 }));
    assert!(time < 100, "{time} ms");

    let mut site = Idle(site.stack);
    let mut listener = TcpClientStack::socket(&mut site.0).unwrap();
    TcpFullStack::bind(&mut site.0, &mut listener, PORT + 1).unwrap();
    site.0.listen(&mut listener).unwrap();
    clients[0].ask(TcpExchange::new((address(0), PORT + 1).into(), REQUEST, Timeouts::default()));
    run_for(&wire, &mut nodes(&mut site, &mut clients), 100);
    assert_eq!(clients[0].end, None);
    let (_connection, _peer) = site.0.accept(&mut listener).unwrap();
    reset_all(&mut site.0);
    run_for(&wire, &mut nodes(&mut site, &mut clients), 10);
    assert_eq!(clients[0].result(), Err(Failure::ClosedEarly { received: 0 }));
}

#[test]
fn a_host_that_hangs_up_on_whoever_connects_ends_the_exchange_at_once() {
    let wire = Wire::new(Conditions::GOOD, 18);
    let mut host = HangsUp::new(adapter::<2>(&wire, 4, 0));
    let mut clients = [client(&wire)];
    let time = run_until(&wire, &mut nodes(&mut host, &mut clients), 60_000);
    assert_eq!(clients[0].result(), Err(Failure::ClosedEarly { received: 0 }));
    assert!(time < 100, "{time} ms");
}

#[test]
fn half_open_connections_give_way_after_3_s() {
    let wire = Wire::new(Conditions::GOOD, 11);
    let mut site = server::<4, 4>(&wire, 10);
    let attacker = wire.card();
    run_for(&wire, &mut [&mut site], 10);
    for n in 0..8 {
        let from = (Ipv4Addr::new(10, 0, 0, 200 + n), 40_000);
        attacker.send_raw(&forge::connection_request(from, 0, PORT));
    }
    run_for(&wire, &mut [&mut site], 10);
    let mut clients = [client(&wire)];
    let time = run_until(&wire, &mut nodes(&mut site, &mut clients), 60_000);
    assert_eq!(clients[0].result(), Ok(ANSWER));
    assert!((3_000..10_000).contains(&time), "{time} ms");
}

#[test]
fn those_who_take_all_places_and_the_backlog_give_way_in_time() {
    let wire = Wire::new(Conditions::GOOD, 12);
    let mut site = server::<4, 4>(&wire, 10);
    let mut peer = Peer::new(&wire, 8);
    let idle: Vec<_> = (0..8).map(|_| peer.connect(&wire, &mut site).unwrap()).collect();
    let mut client = client(&wire);
    run_until(&wire, &mut [&mut site, &mut peer.0, &mut client], 60_000);
    assert_eq!(client.result(), Ok(ANSWER));
    assert!(site.tcp.counters().evicted > 0);
    assert_eq!(idle.len(), 8);
}

#[test]
fn a_stack_without_a_socket_says_so_and_serves_again_later() {
    let wire = Wire::new(Conditions::GOOD, 13);
    let mut site = server::<4, 2>(&wire, 3);
    let mut peer = Peer::new(&wire, 3);
    // One place more than the sockets allow for.
    let mut open: Vec<_> = (0..3).map(|_| peer.connect(&wire, &mut site).unwrap()).collect();
    assert_eq!(TcpClientStack::socket(&mut site.stack).err(), Some(Error::NoSocket));
    assert_eq!(TcpClientStack::socket(peer.stack()).err(), Some(Error::NoSocket));
    let mut clients = [client(&wire)];
    run_for(&wire, &mut [&mut site, &mut peer.0, &mut clients[0]], 2_000);
    assert_eq!(clients[0].end, None, "neither served nor refused");
    peer.stack().close(open.pop().unwrap()).unwrap();
    run_until(&wire, &mut [&mut site, &mut peer.0, &mut clients[0]], 60_000);
    assert_eq!(clients[0].result(), Ok(ANSWER));
    assert_eq!(refusals(&wire), 0);

    let mut without: Client = Asker::asks(adapter(&wire, 0, 0), exchange());
    run_until(&wire, &mut [&mut site, &mut without], 60_000);
    assert_eq!(without.result(), Err(Failure::NoSocket));
}

#[test]
fn a_port_is_taken_while_it_is_listened_on_and_not_longer() {
    let wire = Wire::new(Conditions::GOOD, 14);
    let mut site = server::<2, 2>(&wire, 8);
    let mut peer = Peer::new(&wire, 1);
    let _open = peer.connect(&wire, &mut site).unwrap();
    let mut second = TcpClientStack::socket(&mut site.stack).unwrap();
    let taken = TcpFullStack::bind(&mut site.stack, &mut second, PORT);
    assert_eq!(taken, Err(Error::PortTaken));
    assert_eq!(site.stack.listen(&mut second), Err(Error::WrongState));
    TcpClientStack::close(&mut site.stack, second).unwrap();
    // Closed and opened again, with a connection that was open before.
    site.tcp.close(&mut site.stack);
    assert_eq!(site.tcp.open(&mut site.stack), Ok(()));
    let mut client = client(&wire);
    run_until(&wire, &mut [&mut site, &mut peer.0, &mut client], 60_000);
    assert_eq!(client.result(), Ok(ANSWER));
}

#[test]
fn ephemeral_ports_are_dynamic_distinct_and_differ_by_seed() {
    let ports = |card: usize| -> Vec<u16> {
        let wire = Wire::new(Conditions::GOOD, 15);
        for _ in 0..card {
            let _other = wire.card();
        }
        let mut peer = Peer::new(&wire, 32);
        for _ in 0..32 {
            let mut socket = peer.stack().socket().unwrap();
            let begun = peer.stack().connect(&mut socket, host());
            assert_eq!(begun, Err(nb::Error::WouldBlock));
        }
        let sockets = peer.stack().sockets_mut().iter();
        let ports = sockets.map(|(_, socket)| match socket {
            Socket::Tcp(socket) => socket.local_endpoint().unwrap().port,
            Socket::Udp(_) => panic!("there is none"),
        });
        ports.collect()
    };
    let (mut one, two) = (ports(1), ports(2));
    assert_ne!(one, two);
    assert!(one.iter().all(|port| *port >= 49_152));
    one.sort_unstable();
    one.dedup();
    assert_eq!(one.len(), 32);
}

#[test]
fn addresses_that_cannot_be_reached_are_errors() {
    let wire = Wire::new(Conditions::GOOD, 16);
    let _host = wire.card();
    let mut peer = Peer::new(&wire, 1);
    let mut socket = peer.stack().socket().unwrap();
    for remote in ["[2001:db8::1]:1688", "0.0.0.0:1688", "10.0.0.1:0"] {
        let remote: SocketAddr = remote.parse().unwrap();
        let end = peer.stack().connect(&mut socket, remote);
        assert_eq!(end, Err(nb::Error::Other(Error::Unaddressable)), "{remote}");
    }
    let mapped: SocketAddr = "[::ffff:10.0.0.1]:1688".parse().unwrap();
    assert_eq!(peer.stack().connect(&mut socket, mapped), Err(nb::Error::WouldBlock));
    assert_eq!(peer.stack().listen(&mut socket), Err(Error::WrongState));
}
