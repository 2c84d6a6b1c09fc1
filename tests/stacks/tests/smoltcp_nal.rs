//! Clients over `smoltcp-nal`, whose reading of the traits is far from ours: an empty UDP receive is
//! an error, an empty TCP receive is `Ok(0)`, and a refused connection is never reported.

use std::net::SocketAddr;
use std::time::Duration;

use embedded_nal::{TcpClientStack, TcpFullStack, UdpClientStack, nb};
use headcount::time::Instant;
use headcount::transport::{Exchange, Failure, Progress, TcpExchange, Timeouts, UdpExchange};
use headcount::wire::Frame;
use headcount_stacks::forge;
use headcount_stacks::node::{Asker, HangsUp, Idle, Node, PORT, Site, run_for, run_until};
use headcount_stacks::stack::{Adapter, SmoltcpNal, adapter, smoltcp_nal};
use headcount_stacks::wire::{Conditions, Wire, address};
use smoltcp::socket::Socket;

const REQUEST: Frame = [0x51; 250];
const ANSWER: Frame = [0xae; 250];

type Client<E> = Asker<SmoltcpNal, E>;
type Server = Site<Adapter, Answer, 4>;
type Answer = fn(Instant, SocketAddr, &Frame) -> Option<Frame>;

const TURNED: Answer = |_, _, frame| Some(frame.map(|byte| !byte));
const SILENT: Answer = |_, _, _| None;

/// A host on the first card.
fn server(wire: &Wire, answer: Answer) -> Server {
    Site::new(adapter(wire, 10, 1), answer)
}

fn host() -> SocketAddr {
    (address(0), PORT).into()
}

fn tcp() -> TcpExchange<SmoltcpNal> {
    TcpExchange::new(host(), REQUEST, Timeouts::default())
}

fn udp() -> UdpExchange<SmoltcpNal> {
    UdpExchange::new(host(), REQUEST)
}

fn client<E: Exchange<SmoltcpNal>>(wire: &Wire, exchange: E) -> Client<E> {
    Asker::asks(smoltcp_nal(wire, 1, 1), exchange)
}

#[test]
fn it_reads_the_traits_as_the_documentation_of_the_transport_says() {
    let wire = Wire::new(Conditions::GOOD, 1);
    let mut site = server(&wire, TURNED);
    let mut stack = Idle(smoltcp_nal(&wire, 1, 1));
    let mut buffer = [0; 251];

    let mut socket = UdpClientStack::socket(&mut stack.0).unwrap();
    UdpClientStack::connect(&mut stack.0, &mut socket, host()).unwrap();
    let nothing = UdpClientStack::receive(&mut stack.0, &mut socket, &mut buffer);
    assert!(matches!(nothing, Err(nb::Error::Other(_))));

    let mut socket = TcpClientStack::socket(&mut stack.0).unwrap();
    while TcpClientStack::connect(&mut stack.0, &mut socket, host()).is_err() {
        run_for(&wire, &mut [&mut site, &mut stack], 1);
    }
    let nothing = TcpClientStack::receive(&mut stack.0, &mut socket, &mut buffer);
    assert!(matches!(nothing, Ok(0)));
    site.tcp.close(&mut site.stack);
    let mut nobody = Idle(site.stack);
    run_for(&wire, &mut [&mut nobody, &mut stack], 20);
    let closed = TcpClientStack::receive(&mut stack.0, &mut socket, &mut buffer);
    assert!(matches!(closed, Err(nb::Error::Other(_))));
    TcpClientStack::close(&mut stack.0, socket).unwrap();

    let mut socket = TcpClientStack::socket(&mut stack.0).unwrap();
    for _ in 0..100 {
        let refused = TcpClientStack::connect(&mut stack.0, &mut socket, host());
        assert!(matches!(refused, Err(nb::Error::WouldBlock)));
        run_for(&wire, &mut [&mut nobody, &mut stack], 1);
    }
    assert!(wire.sent().iter().any(headcount_stacks::wire::Sent::is_refusal));
}

#[test]
fn exchanges_succeed_one_after_the_other_on_one_socket() {
    let wire = Wire::new(Conditions::GOOD, 2);
    let mut site = server(&wire, TURNED);
    let mut by_tcp: Client<_> = Asker::new(smoltcp_nal(&wire, 1, 0));
    let mut by_udp: Client<_> = Asker::new(smoltcp_nal(&wire, 0, 1));
    for round in 0..50 {
        by_tcp.ask(tcp());
        by_udp.ask(udp());
        run_until(&wire, &mut [&mut site, &mut by_tcp, &mut by_udp], u64::MAX);
        assert_eq!(by_tcp.result(), Ok(ANSWER), "round {round}");
        assert_eq!(by_udp.result(), Ok(ANSWER), "round {round}");
    }
}

#[test]
fn a_burst_beyond_the_backlog_is_served() {
    let wire = Wire::new(Conditions::GOOD, 3);
    let mut site = server(&wire, TURNED);
    let mut clients: Vec<_> = (0..12).map(|_| client(&wire, tcp())).collect();
    let mut nodes: Vec<&mut dyn Node> = vec![&mut site];
    nodes.extend(clients.iter_mut().map(|client| client as &mut dyn Node));
    run_until(&wire, &mut nodes, 60_000);
    for client in &clients {
        assert_eq!(client.result(), Ok(ANSWER));
    }
}

#[test]
fn refused_or_missing_the_host_is_given_up_by_the_clock() {
    for exists in [false, true] {
        let wire = Wire::new(Conditions::GOOD, 4);
        let mut nobody = Idle(adapter::<4>(&wire, 1, 1));
        let (mut by_tcp, mut by_udp) = (client(&wire, tcp()), client(&wire, udp()));
        let mut nodes: Vec<&mut dyn Node> = vec![&mut by_tcp, &mut by_udp];
        if exists {
            nodes.push(&mut nobody);
        }
        run_until(&wire, &mut nodes, 60_000);
        let waited = Duration::from_secs(10);
        let failure = Failure::ConnectTimeout { waited };
        assert_eq!(by_tcp.end, Some((10_000, Err(failure))), "exists: {exists}");
        let waited = Duration::from_secs(23);
        let failure = Failure::NoAnswer { sent: 5, rejected: 0, ignored: 0, waited };
        assert_eq!(by_udp.end, Some((23_000, Err(failure))), "exists: {exists}");
    }
}

#[test]
fn a_lost_connection_request_is_sent_again() {
    let wire = Wire::new(Conditions::GOOD, 5);
    let mut site = server(&wire, TURNED);
    let mut client = client(&wire, tcp());
    let mut seen = 0;
    wire.filter(move |sent| {
        seen += usize::from(sent.is_request());
        !sent.is_request() || seen > 2
    });
    let time = run_until(&wire, &mut [&mut site, &mut client], 60_000);
    assert_eq!(client.result(), Ok(ANSWER));
    assert!((1_000..10_000).contains(&time), "{time} ms");
}

#[test]
fn a_host_that_closes_or_resets_ends_the_exchange_at_once() {
    let wire = Wire::new(Conditions::GOOD, 6);
    let mut site = server(&wire, SILENT);
    let mut client = client(&wire, tcp());
    let time = run_until(&wire, &mut [&mut site, &mut client], 60_000);
    assert_eq!(client.result(), Err(Failure::ClosedEarly { received: 0 }));
    assert!(time < 100, "{time} ms");

    client.ask(tcp());
    // Every answer is lost, until the host resets.
    site.answer = TURNED;
    wire.filter(|sent| sent.card != 0 || sent.payload.is_empty());
    run_for(&wire, &mut [&mut site, &mut client], 100);
    assert_eq!((client.end, site.tcp.connections()), (None, 1));
    for (_, socket) in site.stack.sockets_mut().iter_mut() {
        if let Socket::Tcp(socket) = socket
            && socket.may_send()
        {
            socket.abort();
        }
    }
    run_for(&wire, &mut [&mut site, &mut client], 20);
    assert_eq!(client.result(), Err(Failure::ClosedEarly { received: 0 }));
}

#[test]
fn a_host_that_hangs_up_before_the_exchange_looks_is_given_up_by_the_clock() {
    let wire = Wire::new(Conditions::GOOD, 10);
    let mut host = HangsUp::new(adapter::<2>(&wire, 4, 0));
    // The stack runs by itself, as it does in an interrupt.
    let mut stack = Idle(smoltcp_nal(&wire, 1, 0));
    let mut exchange = tcp();
    let end = loop {
        match exchange.poll(&mut stack.0, Instant::from_millis(wire.now())) {
            Progress::Pending { .. } => run_for(&wire, &mut [&mut host, &mut stack], 100),
            end => break end,
        }
    };
    // What was connected and closed in between is never reported as connected.
    let waited = Duration::from_secs(10);
    assert_eq!(end, Progress::Failed(Failure::ConnectTimeout { waited }));
}

#[test]
fn a_host_that_says_nothing_is_given_up_by_the_clock() {
    let wire = Wire::new(Conditions::GOOD, 7);
    let mut stack = adapter::<1>(&wire, 2, 0);
    let mut listener = TcpClientStack::socket(&mut stack).unwrap();
    TcpFullStack::bind(&mut stack, &mut listener, PORT).unwrap();
    stack.listen(&mut listener).unwrap();
    let mut client = client(&wire, tcp());
    run_until(&wire, &mut [&mut Idle(stack), &mut client], 60_000);
    let waited = Duration::from_secs(10);
    let failure = Failure::AnswerTimeout { sent: 250, received: 0, waited };
    assert_eq!(client.result(), Err(failure));
}

#[test]
fn other_datagrams_do_not_hide_the_answer() {
    let wire = Wire::new(Conditions::GOOD, 8);
    let mut site = server(&wire, TURNED);
    let mut client = client(&wire, udp());
    wire.filter(|sent| sent.card != 1);
    run_for(&wire, &mut [&mut site, &mut client], 100);
    let port = wire.sent().iter().find(|sent| sent.card == 1).unwrap().ports.0;
    wire.filter(|_| true);
    let forger = wire.card();
    // Too long for the buffer, too short, empty; and from somebody else.
    for payload in [&[0xae; 300][..], &[0xae; 251], &[0xae; 249], &[]] {
        forger.send_raw(&forge::datagram((address(0), PORT), 1, port, payload));
    }
    forger.send_raw(&forge::datagram((address(0), PORT + 1), 1, port, &[0xee; 250]));
    run_until(&wire, &mut [&mut site, &mut client], 60_000);
    assert_eq!(client.result(), Ok(ANSWER));
}

#[test]
fn without_a_socket_the_exchange_ends_at_once_and_all_sockets_come_back() {
    let wire = Wire::new(Conditions::GOOD, 9);
    let mut site = server(&wire, TURNED);
    let mut client = client(&wire, tcp());
    let taken = TcpClientStack::socket(&mut client.stack).unwrap();
    run_until(&wire, &mut [&mut site, &mut client], 60_000);
    assert_eq!(client.end, Some((0, Err(Failure::NoSocket))));
    TcpClientStack::close(&mut client.stack, taken).unwrap();
    client.ask(tcp());
    run_until(&wire, &mut [&mut site, &mut client], 60_000);
    assert_eq!(client.result(), Ok(ANSWER));
    assert!(TcpClientStack::socket(&mut client.stack).is_ok());
}
