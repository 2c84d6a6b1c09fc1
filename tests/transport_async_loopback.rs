//! Asynchronous exchanges over real sockets of 127.0.0.1, through `std-embedded-nal-async`: with a
//! host that counts, and with peers that misbehave.
#![cfg(feature = "nal-async")]

mod common;

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use async_io::block_on;
use common::{ONE_HOST, Vendor, machine, now, pool};
use headcount::client::{Client, Outcome, Step};
use headcount::host::{Host, Settings, Source};
use headcount::time::{Instant, UnixTime};
use headcount::transport::asynchronous::{Clock, Exchange, TcpExchange, UdpExchange, ask};
use headcount::transport::{Failure, Timeouts};
use headcount::wire::Frame;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std_embedded_nal_async::Stack;

const REQUEST: Frame = [0x51; 250];
const ANSWER: Frame = [0xae; 250];

/// The operating system's clock, set forward by so many seconds.
struct Os {
    start: std::time::Instant,
    ahead: u64,
}

impl Os {
    fn new(ahead: u64) -> Self {
        Self { start: std::time::Instant::now(), ahead }
    }
}

impl Clock for Os {
    fn now(&self) -> Instant {
        now(self.ahead).monotonic.after(self.start.elapsed())
    }

    fn calendar(&self) -> Option<UnixTime> {
        now(self.ahead).clock
    }

    async fn sleep_until(&self, until: Instant) {
        async_io::Timer::after(until.since(self.now())).await;
    }
}

fn ask_tcp(host: SocketAddr, answer: Duration) -> Result<Frame, Failure> {
    let timeouts = Timeouts { answer, ..Timeouts::default() };
    let stack = Stack::default();
    let exchange = TcpExchange::new(&stack, host, timeouts);
    block_on(exchange.run(&Os::new(0), &REQUEST, |frame| Some(*frame)))
}

/// A peer for one connection.
fn tcp_peer(
    serve: impl FnOnce(TcpStream) + Send + 'static,
) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

#[test]
fn tcp_client_gets_an_answer_in_pieces_and_closes() {
    let (host, thread) = tcp_peer(|mut stream| {
        stream.set_nodelay(true).unwrap();
        let mut request = [0; 250];
        stream.read_exact(&mut request).unwrap();
        assert_eq!(request, REQUEST);
        for piece in ANSWER.chunks(83) {
            stream.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(stream.read(&mut request).unwrap(), 0, "the client closes");
    });
    assert_eq!(ask_tcp(host, Duration::from_secs(10)), Ok(ANSWER));
    thread.join().unwrap();
}

#[test]
fn tcp_client_notices_a_closed_connection_before_its_deadline() {
    let (host, thread) = tcp_peer(|mut stream| {
        stream.read_exact(&mut [0; 250]).unwrap();
        stream.write_all(&ANSWER[..9]).unwrap();
    });
    let end = ask_tcp(host, Duration::from_secs(3_600));
    assert_eq!(end, Err(Failure::ClosedEarly { received: 9 }));
    thread.join().unwrap();
}

#[test]
fn tcp_client_gives_a_silent_peer_up_and_closes() {
    let (host, thread) = tcp_peer(|mut stream| {
        stream.read_exact(&mut [0; 250]).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "the client closes");
    });
    let end = ask_tcp(host, Duration::from_millis(300));
    assert!(matches!(end, Err(Failure::AnswerTimeout { sent: 250, received: 0, .. })), "{end:?}");
    thread.join().unwrap();
}

#[test]
fn tcp_client_reports_a_refusal() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert_eq!(ask_tcp(free, Duration::from_secs(3_600)), Err(Failure::NotConnected));
}

#[test]
fn dropping_an_exchange_closes_its_connection() {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let (host, thread) = tcp_peer(move |mut stream| {
        stream.read_exact(&mut [0; 250]).unwrap();
        seen.store(true, Ordering::Relaxed);
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "the client closes");
    });
    let stack = Stack::default();
    let clock = Os::new(0);
    let exchange = TcpExchange::new(&stack, host, Timeouts::default());
    block_on(async {
        let mut exchange = Box::pin(exchange.run(&clock, &REQUEST, |frame| Some(*frame)));
        while !asked.load(Ordering::Relaxed) {
            let mut tick = Box::pin(async_io::Timer::after(Duration::from_millis(5)));
            poll_fn(|context| {
                assert!(exchange.as_mut().poll(context).is_pending());
                tick.as_mut().poll(context)
            })
            .await;
        }
    });
    thread.join().unwrap();
}

#[test]
fn udp_client_outlives_loss_and_forgery() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = socket.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut buffer = [0; 300];
        let first = socket.recv_from(&mut buffer).unwrap();
        // The first is lost; the second is answered by junk, a forgery and then the answer. What
        // somebody else sends does not arrive.
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), first);
        assert_eq!(buffer[..first.0], REQUEST);
        let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        stranger.send_to(&[0x66; 250], first.1).unwrap();
        for answer in [&ANSWER[..249], &[0; 251], &[0xee; 250], &ANSWER] {
            socket.send_to(answer, first.1).unwrap();
        }
    });
    let mut heard = Vec::new();
    let stack = Stack::default();
    let clock = Os::new(0);
    let exchange = UdpExchange::new(&stack, host);
    let answered = block_on(exchange.run(&clock, &REQUEST, |frame| {
        heard.push(*frame);
        (*frame == ANSWER).then(|| clock.now().since(now(0).monotonic))
    }));
    let answered = answered.unwrap();
    assert!((1..23).contains(&answered.as_secs()), "{answered:?}");
    assert_eq!(heard, [[0xee; 250], ANSWER]);
    thread.join().unwrap();
}

#[test]
fn udp_client_waits_for_a_host_that_starts_late() {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    // The first datagram comes back as an error: the port is closed.
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        let socket = UdpSocket::bind(free).unwrap();
        let mut buffer = [0; 300];
        let (_, peer) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(&ANSWER, peer).unwrap();
    });
    let stack = Stack::default();
    let exchange = UdpExchange::new(&stack, free);
    let end = block_on(exchange.run(&Os::new(0), &REQUEST, |frame| Some(*frame)));
    assert_eq!(end, Ok(ANSWER));
    thread.join().unwrap();
}

/// A host of 25 machines: so many frames by TCP, a connection each, or by UDP.
fn with_host(tcp: bool, frames: u32, with: impl FnOnce(SocketAddr)) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = if tcp { listener.local_addr() } else { socket.local_addr() }.unwrap();
    let thread = thread::spawn(move || {
        let vendor = Vendor::new();
        let keys = vendor.setup_keys();
        let mut pools = [pool()];
        let mut host: Host<'_, 50, 16> =
            Host::new(&mut pools, &keys, Some(vendor.certificate), Settings::DEFAULT, [9; 16]);
        let mut answer =
            |frame: &[u8]| host.handle(now(0), Source::UNKNOWN, frame, &vendor.host_key).unwrap();
        for _ in 0..frames {
            let mut frame = [0; 251];
            if tcp {
                let mut stream = listener.accept().unwrap().0;
                stream.read_exact(&mut frame[..250]).unwrap();
                stream.write_all(&answer(&frame[..250])).unwrap();
            } else {
                let (length, peer) = socket.recv_from(&mut frame).unwrap();
                socket.send_to(&answer(&frame[..length]), peer).unwrap();
            }
        }
        host.counters().granted
    });
    with(address);
    assert_eq!(thread.join().unwrap(), frames);
}

/// Twenty-five clients, one after the other, then again those that were too early.
fn activate_all<E: Exchange>(exchange: impl Fn() -> E) {
    let vendor = Vendor::new();
    let product = vendor.product(25);
    let mut rng = StdRng::seed_from_u64(1);
    let mut clients: Vec<_> =
        (0..25).map(|n| Client::new(&product, machine(n), ONE_HOST, now(0), &mut rng)).collect();
    for seconds in [0, 7_921] {
        for client in &mut clients {
            block_on(live(client, &Os::new(seconds), &mut rng, &exchange));
        }
    }
    for client in &clients {
        assert!(client.is_activated(now(7_921)));
        assert_eq!(client.last_attempt(), Some(Ok(Outcome::Activated { count: 25 })));
    }
}

/// Does what the client says until it waits.
async fn live<E: Exchange>(
    client: &mut Client<'_>,
    clock: &Os,
    rng: &mut StdRng,
    exchange: &impl Fn() -> E,
) {
    loop {
        match client.poll(clock.both(), rng) {
            Step::Save | Step::Report(_) => {}
            Step::Wait { .. } => return,
            Step::Send { .. } => {
                ask(client, exchange(), clock, rng).await.unwrap();
            }
        }
    }
}

#[test]
fn machines_are_activated_over_tcp() {
    let stack = Stack::default();
    with_host(true, 49, |host| {
        activate_all(|| TcpExchange::new(&stack, host, Timeouts::default()));
    });
}

#[test]
fn machines_are_activated_over_udp() {
    let stack = Stack::default();
    with_host(false, 49, |host| activate_all(|| UdpExchange::new(&stack, host)));
}
