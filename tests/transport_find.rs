//! Clients that find their hosts by DNS over embedded-nal, on real sockets of 127.0.0.1.
#![cfg(feature = "nal")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/dns.rs"]
#[allow(dead_code, reason = "the rest is for clients without a network")]
mod dns;
#[path = "common/loopback.rs"]
#[allow(dead_code, reason = "the other half is for servers")]
mod loopback;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use common::{Vendor, machine, now};
use dns::NameServer;
use headcount::client::{Client, Failure, Step};
use headcount::discovery::{DomainName, Find, Finder, Settings};
use headcount::transport::{DnsFailure, Family, Resolver, find, look_up_addresses};
use headcount::trust::VerifyingKey;
use loopback::Os;
use rand::SeedableRng;
use rand::rngs::StdRng;

const ROOM: usize = 1_232;

/// A name server on loopback that answers so many questions: by UDP, or by TCP after a truncated
/// answer.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<Vec<u16>>,
}

impl Server {
    fn start(zone: NameServer, questions: usize, truncates: bool) -> Self {
        // The port that UDP got may be taken for TCP.
        let sockets = || {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            TcpListener::bind(udp.local_addr().unwrap()).ok().map(|tcp| (udp, tcp))
        };
        let (udp, tcp) = (0..100).find_map(|_| sockets()).expect("a free port");
        let address = udp.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let mut buffer = [0; 512];
            let mut asked = Vec::new();
            for _ in 0..questions {
                let (length, peer) = udp.recv_from(&mut buffer).unwrap();
                let mut question = buffer[..length].to_vec();
                asked.push(u16::from_be_bytes([question[length - 15], question[length - 14]]));
                let answer = zone.answer(&question);
                if !truncates {
                    udp.send_to(&answer, peer).unwrap();
                    continue;
                }
                question[2] |= 0x82;
                udp.send_to(&question, peer).unwrap();
                let mut stream = tcp.accept().unwrap().0;
                stream.read_exact(&mut buffer[..2 + length]).unwrap();
                stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
                stream.write_all(&answer).unwrap();
            }
            asked
        });
        Self { address, thread }
    }

    /// What was asked for: types of records.
    fn asked(self) -> Vec<u16> {
        self.thread.join().unwrap()
    }
}

/// Has a client do what it says, by `find`, until it is to ask a host; whom.
fn host_found(
    zone: NameServer,
    questions: usize,
    truncates: bool,
) -> (Result<SocketAddr, Failure>, Vec<u16>) {
    let server = Server::start(zone, questions, truncates);
    let vendor = Vendor::new();
    let product = vendor.product(5);
    let domains = ["example".parse().unwrap()];
    let settings = Settings { domains: &domains, ..Settings::DEFAULT };
    let mut rng = StdRng::seed_from_u64(1);
    let finder = Finder::<4>::new(&settings);
    let mut client = Client::new_with(&product, machine(0), finder, now(0), &mut rng);

    let (servers, mut buffer) = ([server.address], [0; ROOM]);
    let mut resolver = Resolver::new(&servers, &mut buffer);
    let found = step(&mut client, &mut resolver, &mut rng);
    (found, server.asked())
}

fn step(
    client: &mut Client<'_, VerifyingKey, Finder<'_, 4>>,
    resolver: &mut Resolver<'_>,
    rng: &mut StdRng,
) -> Result<SocketAddr, Failure> {
    let mut platform = Os::at(now(0));
    loop {
        match client.poll(now(0), rng) {
            Step::Save | Step::Report(_) => {}
            Step::Wait { .. } => return Err(client.last_attempt().unwrap().unwrap_err()),
            Step::Send { .. } => return Ok(client.address().unwrap()),
            Step::Find(_) => {
                let mut stack = std_embedded_nal::Stack;
                find(client, resolver, &mut stack, &mut platform, rng).unwrap();
            }
        }
    }
}

/// A zone with one host, whose address is asked for in a question of its own.
fn zone(addresses: &[&str]) -> NameServer {
    let mut zone = NameServer::default();
    zone.service("example", (10, 0, 99, "host.example"), 600);
    for address in addresses {
        zone.address("host.example", address);
    }
    zone
}

#[test]
fn records_and_then_addresses_are_asked_for() {
    let (found, asked) = host_found(zone(&["192.0.2.1", "2001:db8::1"]), 3, false);
    assert_eq!(found, Ok("192.0.2.1:99".parse().unwrap()));
    assert_eq!(asked, [33, 1, 28]);
}

#[test]
fn addresses_of_the_other_family_will_do() {
    let (found, asked) = host_found(zone(&["2001:db8::1"]), 3, false);
    assert_eq!(found, Ok("[2001:db8::1]:99".parse().unwrap()));
    assert_eq!(asked, [33, 1, 28]);
}

#[test]
fn what_comes_along_is_not_asked_for() {
    let mut zone = zone(&["192.0.2.1"]);
    zone.adds_addresses = true;
    let (found, asked) = host_found(zone, 1, false);
    assert_eq!(found, Ok("192.0.2.1:99".parse().unwrap()));
    assert_eq!(asked, [33]);
}

#[test]
fn a_truncated_answer_comes_by_tcp() {
    let (found, _) = host_found(zone(&["192.0.2.1"]), 3, true);
    assert_eq!(found, Ok("192.0.2.1:99".parse().unwrap()));
}

#[test]
fn without_records_there_is_no_host() {
    let (found, asked) = host_found(NameServer::default(), 1, false);
    assert_eq!((found, asked), (Err(Failure::NoHost), vec![33]));
}

#[test]
fn a_host_without_addresses_is_passed_over() {
    let (found, asked) = host_found(zone(&[]), 3, false);
    assert_eq!((found, asked), (Err(Failure::NoHost), vec![33, 1, 28]));
}

#[test]
fn the_client_is_told_when_nobody_answers() {
    let vendor = Vendor::new();
    let product = vendor.product(5);
    let domains = ["example".parse().unwrap()];
    let settings = Settings { domains: &domains, ..Settings::DEFAULT };
    let mut rng = StdRng::seed_from_u64(1);
    let finder = Finder::<4>::new(&settings);
    let mut client = Client::new_with(&product, machine(0), finder, now(0), &mut rng);
    let (mut stack, mut platform) = (std_embedded_nal::Stack, Os::at(now(0)));
    let mut buffer = [0; ROOM];
    let mut resolver = Resolver::new(&[], &mut buffer);

    let end = find(&mut client, &mut resolver, &mut stack, &mut platform, &mut rng);
    assert_eq!(end, Err(DnsFailure::NoQuestion), "it has said nothing yet");
    while client.poll(now(0), &mut rng) != Step::Find(Find::Query) {}
    let end = find(&mut client, &mut resolver, &mut stack, &mut platform, &mut rng);
    assert_eq!(end, Err(DnsFailure::NoResolver));
    assert!(matches!(client.poll(now(0), &mut rng), Step::Wait { .. }));
    assert_eq!(client.last_attempt(), Some(Err(Failure::NoHost)));

    // Stopped in the middle.
    client.ask_now(now(0));
    while client.poll(now(0), &mut rng) != Step::Find(Find::Query) {}
    platform.stop.store(true, Ordering::Relaxed);
    let end = find(&mut client, &mut resolver, &mut stack, &mut platform, &mut rng);
    assert_eq!(end, Err(DnsFailure::Abandoned));
    assert!(matches!(client.poll(now(0), &mut rng), Step::Wait { .. }));
}

/// Looks up a host that has these addresses, with place for so many, by so many questions.
fn addresses(of: &[&str], families: &[Family], place: usize, questions: usize) -> Vec<String> {
    let mut zone = zone(of);
    zone.address("other.example", "192.0.2.99");
    let server = Server::start(zone, questions, false);
    let name: DomainName = "host.example".parse().unwrap();
    let (servers, mut buffer) = ([server.address], [0; ROOM]);
    let mut resolver = Resolver { servers: &servers, families, buffer: &mut buffer };
    let mut found = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED); place];
    let (mut stack, mut platform) = (std_embedded_nal::Stack, Os::new());
    let mut rng = StdRng::seed_from_u64(1);
    let found =
        look_up_addresses(&name, &mut found, &mut resolver, &mut stack, &mut platform, &mut rng);
    server.asked();
    found.unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn addresses_come_in_the_order_of_the_families() {
    let all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
    let (v4, v6) = (Family::V4, Family::V6);
    assert_eq!(addresses(&all, &[v6, v4], 4, 2), ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    assert_eq!(addresses(&all, &[v4, v6], 4, 2), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    assert_eq!(addresses(&all, &[v6], 4, 1), ["2001:db8::1"]);
    assert_eq!(addresses(&all, &[v6, v4], 2, 2), ["2001:db8::1", "192.0.2.1"]);
    // Where there is no place for more, none are asked for.
    assert_eq!(addresses(&all, &[v4, v6], 2, 1), ["192.0.2.1", "192.0.2.2"]);
}
