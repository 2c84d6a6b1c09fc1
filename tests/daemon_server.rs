//! The server alone: how it stops, fails, limits connections, and where its answers leave from.
#![cfg(feature = "daemon")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use headcount::daemon::{Answer, Listen, Server, ServerLimits, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

/// Long enough for any machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Answers every frame with itself.
struct Echo;

impl Service for Echo {
    fn answer(&self, _source: SocketAddr, frame: &[u8]) -> Answer {
        Answer::Now(frame.try_into().ok())
    }
}

fn listen(address: &str) -> Listen {
    Listen { address: address.parse().unwrap(), tcp: true, udp: true }
}

fn bind<S: Service>(addresses: &[&str], limits: ServerLimits, service: Arc<S>) -> Server<S> {
    let listen: Vec<_> = addresses.iter().copied().map(listen).collect();
    Server::bind(&listen, limits, service).unwrap()
}

/// Answers when it is let, and knows how often it did.
struct Gate {
    entered: mpsc::Sender<()>,
    open: Mutex<mpsc::Receiver<()>>,
    answered: AtomicU32,
}

impl Service for Gate {
    fn answer(&self, _source: SocketAddr, frame: &[u8]) -> Answer {
        self.entered.send(()).unwrap();
        self.open.lock().unwrap().recv().unwrap();
        self.answered.fetch_add(1, Ordering::SeqCst);
        Answer::Now(frame.try_into().ok())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_answered_after_a_stop() {
    for transport in ["tcp", "udp"] {
        let (entered, was_entered) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let gate = Gate { entered, open: Mutex::new(opened), answered: AtomicU32::new(0) };
        let gate = Arc::new(gate);
        let server = bind(&["127.0.0.1:0"], ServerLimits::default(), gate.clone());
        let (tcp, udp) = (server.tcp_addresses()[0], server.udp_addresses()[0]);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if transport == "tcp" {
            stream.write_all(&[1; 250]).await.unwrap();
        } else {
            socket.send_to(&[1; 250], udp).await.unwrap();
        }
        tokio::task::spawn_blocking(move || was_entered.recv_timeout(PATIENCE).unwrap())
            .await
            .unwrap();
        // A frame is being answered now. A server that said it has stopped would be wrong.
        drop(stop);
        let ended = timeout(Duration::from_millis(500), &mut serving).await;
        assert!(ended.is_err(), "{transport}: ended before the answer");
        assert_eq!(gate.answered.load(Ordering::SeqCst), 0);
        open.send(()).unwrap();
        timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
        assert_eq!(gate.answered.load(Ordering::SeqCst), 1, "{transport}");
    }
}

/// Fails at every frame.
struct Broken;

impl Service for Broken {
    fn answer(&self, _source: SocketAddr, _frame: &[u8]) -> Answer {
        panic!("this service is broken, as the test wants it to be");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_part_failed_ends_with_an_error() {
    let server = bind(&["127.0.0.1:0"], ServerLimits::default(), Arc::new(Broken));
    let address = server.udp_addresses()[0];
    let serving = tokio::spawn(server.run(std::future::pending()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&[1; 250], address).await.unwrap();
    let error = timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("failed"), "{error}");
}

/// Answers frames that begin with 1 when the time has come, and others at once.
struct Slow(Arc<Notify>);

impl Service for Slow {
    fn answer(&self, _source: SocketAddr, frame: &[u8]) -> Answer {
        let Ok(frame) = <[u8; 250]>::try_from(frame) else { return Answer::SILENCE };
        if frame[0] != 1 {
            return Answer::Now(Some(frame));
        }
        let time = self.0.clone();
        Answer::later(async move {
            time.notified().await;
            Some(frame)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_do_not_wait_for_answers_that_take_long() {
    let time = Arc::new(Notify::new());
    let server = bind(&["127.0.0.1:0"], ServerLimits::default(), Arc::new(Slow(time.clone())));
    let (tcp, udp) = (server.tcp_addresses()[0], server.udp_addresses()[0]);
    let serving = tokio::spawn(server.run(std::future::pending()));
    // More than there are tasks that receive.
    let slow = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..20 {
        let mut frame = [1; 250];
        frame[1] = number;
        slow.send_to(&frame, udp).await.unwrap();
    }
    let mut slow_stream = TcpStream::connect(tcp).await.unwrap();
    slow_stream.write_all(&[1; 250]).await.unwrap();
    let quick = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut answer = [0; 251];
    for _ in 0..3 {
        quick.send_to(&[2; 250], udp).await.unwrap();
        let length = timeout(PATIENCE, quick.recv(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer[..length], [2; 250]);
    }
    assert!(slow.try_recv(&mut answer).is_err());

    let mut answered = Vec::new();
    while answered.len() < 20 {
        // One at a time, also those that begin to wait only now.
        time.notify_one();
        tokio::select! {
            length = slow.recv(&mut answer) => answered.push(answer[..length.unwrap()][1]),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..20).collect::<Vec<u8>>());
    time.notify_one();
    let mut frame = [0; 250];
    timeout(PATIENCE, slow_stream.read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!(frame, [1; 250]);
    serving.abort();
}

/// One frame there and back; `false` when the server closes instead.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 250];
    let exchange = async {
        stream.write_all(&[1; 250]).await?;
        stream.read_exact(&mut answer).await
    };
    timeout(PATIENCE, exchange).await.unwrap().is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_share_the_limit_of_connections() {
    let limits = ServerLimits { connections: 2, connections_per_source: 2 };
    let server = bind(&["127.0.0.1:0", "127.0.0.1:0"], limits, Arc::new(Echo));
    let addresses = server.tcp_addresses();
    let counters = server.counters();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let mut streams = Vec::new();
    for address in [addresses[0], addresses[1]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(is_answered(&mut stream).await);
        streams.push(stream);
    }
    let mut third = TcpStream::connect(addresses[0]).await.unwrap();
    assert!(!is_answered(&mut third).await, "two connections are open already");
    assert_eq!(counters.turned_away.load(Ordering::Relaxed), 1);
    serving.abort();
}

/// All of 127.0.0.0/8 is a Linux machine's own, so it has several addresses everywhere.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_datagram_is_answered_from_the_address_it_was_sent_to() {
    let server = bind(&["0.0.0.0:0"], ServerLimits::default(), Arc::new(Echo));
    let port = server.udp_addresses()[0].port();
    let serving = tokio::spawn(server.run(std::future::pending()));
    for host in ["127.0.0.1", "127.0.0.2", "127.0.3.4"] {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&[5; 250], (host, port)).await.unwrap();
        let mut answer = [0; 251];
        let (length, from) =
            timeout(PATIENCE, socket.recv_from(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer[..length], [5; 250]);
        assert_eq!(from.to_string(), format!("{host}:{port}"));
        // A datagram that is no frame stays without an answer, and harms nobody.
        socket.send_to(&[5; 251], (host, port)).await.unwrap();
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_of_all_ipv6_addresses_answers_too() {
    let Ok(socket) = UdpSocket::bind("[::1]:0").await else {
        return; // This machine has no IPv6.
    };
    let server = bind(&["[::]:0"], ServerLimits::default(), Arc::new(Echo));
    let port = server.udp_addresses()[0].port();
    let serving = tokio::spawn(server.run(std::future::pending()));
    socket.send_to(&[5; 250], ("::1", port)).await.unwrap();
    let mut answer = [0; 251];
    let (length, from) = timeout(PATIENCE, socket.recv_from(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[..length], [5; 250]);
    assert_eq!(from.to_string(), format!("[::1]:{port}"));
    serving.abort();
}

#[test]
fn limits_leave_files_for_the_state() {
    let limits = ServerLimits { connections: 4_096, connections_per_source: 128 };
    assert_eq!(limits.within(1 << 20), limits);
    let lower = limits.within(1_024);
    assert!((1..1_024).contains(&lower.connections), "{lower:?}");
    assert_eq!(limits.within(0).connections, 1, "one connection is better than none");
}
