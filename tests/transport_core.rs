//! The whole of it over embedded-nal: a host that serves and clients that become activated, on real
//! sockets.
#![cfg(feature = "nal")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/loopback.rs"]
mod loopback;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;

use common::{ONE_HOST, Vendor, machine, now, pool};
use headcount::client::{Client, Outcome, Step};
use headcount::host::{Host, Settings, Source};
use headcount::time::Now;
use headcount::transport::{
    Exchange, TcpExchange, TcpServer, Timeouts, UdpExchange, UdpServer, ask, serve,
};
use headcount::wire::Frame;
use loopback::{Loopback, Os};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Twenty-five clients, one after the other, then all again two hours later.
fn activate_all<E: Exchange<std_embedded_nal::Stack>>(exchange: impl Fn(Frame) -> E) {
    let vendor = Vendor::new();
    let product = vendor.product(25);
    let mut rng = StdRng::seed_from_u64(1);
    let mut clients: Vec<_> =
        (0..25).map(|n| Client::new(&product, machine(n), ONE_HOST, now(0), &mut rng)).collect();
    for time in [now(0), now(7_921)] {
        for client in &mut clients {
            live(client, time, &mut rng, &exchange);
        }
    }
    for client in &clients {
        assert!(client.is_activated(now(7_921)));
        assert_eq!(client.last_attempt(), Some(Ok(Outcome::Activated { count: 25 })));
    }
}

/// Does what the client says until it waits.
fn live<E: Exchange<std_embedded_nal::Stack>>(
    client: &mut Client<'_>,
    time: Now,
    rng: &mut StdRng,
    exchange: &impl Fn(Frame) -> E,
) {
    loop {
        match client.poll(time, rng) {
            Step::Save | Step::Report(_) => {}
            Step::Wait { .. } => return,
            Step::Send { .. } => {
                let exchange = exchange(*client.pending_frame().unwrap());
                let failed =
                    ask(client, exchange, &mut std_embedded_nal::Stack, &mut Os::at(time), rng);
                assert_eq!(failed.is_err(), client.last_attempt().unwrap().is_err());
            }
        }
    }
}

/// Runs a host on both transports in a thread while `with` runs, and says how many frames it got:
/// all of them requests that it granted.
fn with_host(with: impl FnOnce(SocketAddr, SocketAddr)) -> u32 {
    let mut platform = Os::new();
    let stop = platform.stop.clone();
    let mut stack = Loopback::default();
    let mut tcp = TcpServer::<Loopback, 4>::new(1688);
    let mut udp = UdpServer::<Loopback>::new(1688);
    tcp.open(&mut stack).unwrap();
    udp.open(&mut stack).unwrap();
    let (tcp_address, udp_address) = (stack.tcp.unwrap(), stack.udp.unwrap());
    let thread = thread::spawn(move || {
        let vendor = Vendor::new();
        let keys = vendor.setup_keys();
        let mut pools = [pool()];
        let mut host: Host<'_, 50, 16> =
            Host::new(&mut pools, &keys, Some(vendor.certificate), Settings::DEFAULT, [9; 16]);
        serve(&mut (tcp, udp), &mut stack, &mut platform, |_, peer, frame| {
            host.handle(now(0), Source::from(peer.ip()), frame, &vendor.host_key).ok()
        });
        *host.counters()
    });
    with(tcp_address, udp_address);
    stop.store(true, Ordering::Relaxed);
    let counters = thread.join().unwrap();
    assert_eq!(counters.granted, counters.frames());
    counters.frames()
}

#[test]
fn machines_are_activated_over_tcp() {
    let frames =
        with_host(|tcp, _| activate_all(|frame| TcpExchange::new(tcp, frame, Timeouts::default())));
    assert_eq!(frames, 49, "the last of the first round is activated already");
}

#[test]
fn machines_are_activated_over_udp() {
    let frames = with_host(|_, udp| activate_all(|frame| UdpExchange::new(udp, frame)));
    // A datagram whose answer is late is sent again.
    assert!(frames >= 49, "{frames}");
}
