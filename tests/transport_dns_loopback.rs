//! Questions to resolvers over real sockets of 127.0.0.1, through `std-embedded-nal`.
#![cfg(feature = "nal")]

#[path = "discovery/captured.rs"]
mod captured;
#[path = "common/loopback.rs"]
#[allow(dead_code, reason = "the other half is for servers")]
mod loopback;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};

use captured::Captured;
use headcount::discovery::DomainName;
use headcount::discovery::message::{AnswerError, Query, RecordType};
use headcount::transport::{DnsExchange, DnsFailure, DnsTrouble, look_up};
use loopback::Os;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A resolver's two sockets on one port.
struct Resolver {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Resolver {
    fn new() -> Self {
        // The port that UDP got may be taken for TCP.
        for _ in 0..100 {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                return Self { udp, tcp };
            }
        }
        panic!("no port is free for both");
    }

    fn address(&self) -> SocketAddr {
        self.udp.local_addr().unwrap()
    }

    fn spawn(self, serve: impl FnOnce(Self) + Send + 'static) -> JoinHandle<()> {
        thread::spawn(move || serve(self))
    }

    /// The next question by UDP, and who asks.
    fn question(&self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 512];
        let (length, peer) = self.udp.recv_from(&mut buffer).unwrap();
        (buffer[..length].to_vec(), peer)
    }

    /// The next question by TCP, and its connection.
    fn connection(&self) -> (Vec<u8>, TcpStream) {
        let mut stream = self.tcp.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).unwrap();
        (question, stream)
    }

    fn truncate(&self) {
        let (mut question, peer) = self.question();
        question[2] |= 0x82;
        self.udp.send_to(&question, peer).unwrap();
    }
}

/// A captured answer as if to this question, which asks for the same.
fn answer_to(question: &[u8], file: &str) -> Vec<u8> {
    let case = Captured::named(file);
    let mut answer = case.answer.to_vec();
    let end = case.query.len() - 11;
    assert!(question[12..end].eq_ignore_ascii_case(&answer[12..end]));
    answer[..2].copy_from_slice(&question[..2]);
    answer[12..end].copy_from_slice(&question[12..end]);
    answer
}

/// Asks for what was captured in this file, and says how many hosts there are.
fn ask(resolvers: &[SocketAddr], file: &str, room: usize) -> Result<usize, DnsFailure> {
    let name: DomainName = Captured::named(file).query().name();
    let query = Query::new(RecordType::Srv, &name, &mut StdRng::seed_from_u64(5));
    let mut buffer = vec![0; room];
    let mut exchange = DnsExchange::new(resolvers, query.clone(), &mut buffer);
    let mut stack = std_embedded_nal::Stack;
    let message = look_up(&mut exchange, &mut stack, &mut Os::new())?;
    Ok(query.answer(message).unwrap().services().count())
}

fn trouble(end: Result<usize, DnsFailure>) -> Option<DnsTrouble> {
    match end {
        Err(DnsFailure::NoAnswer { trouble, .. }) => trouble,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_right_answer_comes_after_many_others() {
    let resolver = Resolver::new();
    let address = resolver.address();
    let thread = resolver.spawn(|resolver| {
        let (question, peer) = resolver.question();
        let answer = answer_to(&question, "srv");
        // From somebody else, who knows everything but cannot send from the resolver's address.
        let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut lie = answer.clone();
        lie[7] = 0;
        other.send_to(&lie, peer).unwrap();
        // From the resolver, but to other questions.
        for index in [0, 1, 14] {
            let mut wrong = answer.clone();
            wrong[index] ^= 0x20;
            resolver.udp.send_to(&wrong, peer).unwrap();
        }
        resolver.udp.send_to(&question, peer).unwrap();
        resolver.udp.send_to(&answer[..40], peer).unwrap();
        resolver.udp.send_to(&answer, peer).unwrap();
    });
    assert_eq!(ask(&[address], "srv", 1232), Ok(4));
    thread.join().unwrap();
}

#[test]
fn the_first_of_two_is_silent() {
    let (silent, resolver) = (Resolver::new(), Resolver::new());
    let resolvers = [silent.address(), resolver.address()];
    let thread = resolver.spawn(|resolver| {
        let (question, peer) = resolver.question();
        resolver.udp.send_to(&answer_to(&question, "srv"), peer).unwrap();
    });
    assert_eq!(ask(&resolvers, "srv", 1232), Ok(4));
    thread.join().unwrap();
    drop(silent);
}

#[test]
fn nobody_is_there() {
    let resolver = Resolver::new();
    let address = resolver.address();
    drop(resolver);
    // Loopback may say at once that nobody listens. It makes no difference.
    assert!(matches!(
        ask(&[address], "srv", 1232),
        Err(DnsFailure::NoAnswer { ignored: 0, trouble: None, .. })
    ));
}

#[test]
fn sixty_hosts_come_by_tcp_a_byte_at_a_time() {
    let resolver = Resolver::new();
    let address = resolver.address();
    let thread = resolver.spawn(|resolver| {
        resolver.truncate();
        let (question, mut stream) = resolver.connection();
        let answer = answer_to(&question, "srv-many");
        let length = u16::try_from(answer.len()).unwrap();
        for byte in length.to_be_bytes().iter().chain(&answer) {
            stream.write_all(&[*byte]).unwrap();
        }
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the client closes");
    });
    assert_eq!(ask(&[address], "srv-many", 4096), Ok(60));
    thread.join().unwrap();
}

#[test]
fn tcp_fails_in_every_way_and_then_udp_answers() {
    let bad = Resolver::new();
    let good = Resolver::new();
    let resolvers = [bad.address(), good.address()];
    let bad = bad.spawn(|resolver| {
        resolver.truncate();
        let (question, mut stream) = resolver.connection();
        let answer = answer_to(&question, "srv-many");
        stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&answer[..999]).unwrap();
        // It closes early, which this stack tells by silence.
    });
    let good = good.spawn(|resolver| {
        let (question, peer) = resolver.question();
        let mut answer = answer_to(&question, "srv-many");
        answer.truncate(question.len() - 11);
        answer[2] = 0x81;
        answer[6..12].fill(0);
        resolver.udp.send_to(&answer, peer).unwrap();
    });
    assert_eq!(ask(&resolvers, "srv-many", 4096), Ok(0), "an answer without records");
    bad.join().unwrap();
    good.join().unwrap();
}

#[test]
fn tcp_announces_too_much_and_then_nonsense() {
    let resolver = Resolver::new();
    let address = resolver.address();
    let thread = resolver.spawn(|resolver| {
        resolver.truncate();
        let (_, mut stream) = resolver.connection();
        stream.write_all(&[0xFF; 5000]).unwrap();
        resolver.truncate();
        let (_, mut stream) = resolver.connection();
        stream.write_all(b"\x00\x08nonsense").unwrap();
    });
    let not_ours = DnsTrouble::Answer(AnswerError::NotOurs);
    assert_eq!(trouble(ask(&[address], "srv-many", 4096)), Some(not_ours));
    thread.join().unwrap();

    let resolver = Resolver::new();
    let address = resolver.address();
    let thread = resolver.spawn(|resolver| {
        for _ in 0..2 {
            resolver.truncate();
            let (_, mut stream) = resolver.connection();
            stream.write_all(&[0xFF; 5000]).unwrap();
        }
    });
    let too_long = DnsTrouble::TooLong { length: u16::MAX };
    assert_eq!(trouble(ask(&[address], "srv-many", 4096)), Some(too_long));
    thread.join().unwrap();
}
