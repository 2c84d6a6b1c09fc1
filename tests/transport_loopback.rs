//! The transport over real sockets of 127.0.0.1: the clients through `std-embedded-nal`, the
//! servers through a thin adapter, because `std-embedded-nal` binds all interfaces.
#![cfg(feature = "nal")]

#[path = "common/loopback.rs"]
mod loopback;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use headcount::transport::{
    Failure, TcpExchange, TcpServer, Timeouts, UdpExchange, UdpServer, run, serve,
};
use headcount::wire::Frame;
use loopback::{Loopback, Os};

const REQUEST: Frame = [0x51; 250];
const ANSWER: Frame = [0xae; 250];

fn tcp_host(
    serve: impl FnOnce(TcpStream) + Send + 'static,
) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || serve(listener.accept().unwrap().0)))
}

fn ask_tcp(host: SocketAddr, answer: Duration) -> Result<Frame, Failure> {
    let timeouts = Timeouts { answer, ..Timeouts::default() };
    let exchange = TcpExchange::new(host, REQUEST, timeouts);
    let mut stack = std_embedded_nal::Stack;
    run(exchange, &mut stack, &mut Os::new(), |_, frame| Some(*frame))
}

#[test]
fn tcp_client_gets_an_answer_in_pieces() {
    let (host, thread) = tcp_host(|mut stream| {
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
fn tcp_client_tells_a_closed_connection_by_time_only() {
    let (host, thread) = tcp_host(|mut stream| {
        let mut request = [0; 250];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(&ANSWER[..9]).unwrap();
    });
    // Long enough for a busy machine to deliver nine bytes.
    let end = ask_tcp(host, Duration::from_secs(3));
    assert!(matches!(end, Err(Failure::AnswerTimeout { sent: 250, received: 9, .. })), "{end:?}");
    thread.join().unwrap();
}

#[test]
fn tcp_client_reports_a_refusal() {
    // The near end of a connection: nobody else gets this port meanwhile, and nobody listens.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let deaf = held.local_addr().unwrap();
    assert_eq!(ask_tcp(deaf, Duration::from_secs(10)), Err(Failure::NotConnected));
}

#[test]
fn udp_client_outlives_loss_and_forgery() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = socket.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut buffer = [0; 300];
        let first = socket.recv_from(&mut buffer).unwrap();
        // The first is lost; the second is answered by junk, a forgery and then the answer.
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), first);
        assert_eq!(buffer[..first.0], REQUEST);
        for answer in [&ANSWER[..249], &[0; 251], &[0xee; 250], &ANSWER] {
            socket.send_to(answer, first.1).unwrap();
        }
    });
    let mut heard = Vec::new();
    let exchange = UdpExchange::new(host, REQUEST);
    let mut stack = std_embedded_nal::Stack;
    let answered = run(exchange, &mut stack, &mut Os::new(), |now, frame| {
        heard.push(*frame);
        (*frame == ANSWER).then_some(now.as_millis())
    });
    let answered = answered.unwrap();
    assert!((1_000..23_000).contains(&answered), "{answered} ms");
    assert_eq!(heard, [[0xee; 250], ANSWER]);
    thread.join().unwrap();
}

/// Runs both servers on one stack in a thread while `with` runs; an answer is the question with
/// every bit turned, to `REQUEST`-like frames only.
fn with_host(with: impl FnOnce(SocketAddr, SocketAddr)) {
    let mut platform = Os::new();
    let stop = platform.stop.clone();
    let mut stack = Loopback::default();
    let mut tcp = TcpServer::<Loopback, 4>::new(1688);
    let mut udp = UdpServer::<Loopback>::new(1688);
    tcp.open(&mut stack).unwrap();
    udp.open(&mut stack).unwrap();
    let (tcp_address, udp_address) = (stack.tcp.unwrap(), stack.udp.unwrap());
    let thread = thread::spawn(move || {
        let mut servers = (tcp, udp);
        serve(&mut servers, &mut stack, &mut platform, |_, peer, frame| {
            assert!(peer.ip().is_loopback());
            (frame[0] == 0x51).then(|| frame.map(|byte| !byte))
        });
        servers.0.counters()
    });
    with(tcp_address, udp_address);
    stop.store(true, Ordering::Relaxed);
    let counters = thread.join().unwrap();
    assert_eq!(counters.frames, counters.answers + counters.silences, "{counters:?}");
}

#[test]
fn servers_answer_clients_of_this_module() {
    with_host(|tcp, udp| {
        assert_eq!(ask_tcp(tcp, Duration::from_secs(10)), Ok(ANSWER));
        let exchange = UdpExchange::new(udp, REQUEST);
        let mut stack = std_embedded_nal::Stack;
        let answer = run(exchange, &mut stack, &mut Os::new(), |_, frame| Some(*frame));
        assert_eq!(answer, Ok(ANSWER));
    });
}

#[test]
fn tcp_server_serves_many_through_four_places() {
    with_host(|tcp, _| {
        // Three who do nothing, and one connection with many exchanges, pipelined.
        let _stalled: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(tcp).unwrap()).collect();
        let mut stream = TcpStream::connect(tcp).unwrap();
        let requests: Vec<u8> = (0..200).flat_map(|n| [0x51, n].repeat(125)).collect();
        stream.write_all(&requests).unwrap();
        let mut answers = vec![0; requests.len()];
        stream.read_exact(&mut answers).unwrap();
        assert!(answers.iter().zip(&requests).all(|(answer, request)| *answer == !request));
        // And many with one exchange each, who keep their connections.
        let mut kept = Vec::new();
        for n in 0..20_u8 {
            let mut stream = TcpStream::connect(tcp).unwrap();
            stream.write_all(&[0x51, n].repeat(125)).unwrap();
            let mut answer = [0; 250];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer.as_slice(), [0xae, !n].repeat(125));
            kept.push(stream);
        }
    });
}

#[test]
fn servers_are_silent_to_junk() {
    with_host(|tcp, udp| {
        let mut stream = TcpStream::connect(tcp).unwrap();
        stream.write_all(&[0; 250]).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed without a byte");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        for junk in [&[0x51; 249][..], &[0x51; 251], &[], &[0; 250]] {
            socket.send_to(junk, udp).unwrap();
        }
        assert!(socket.recv(&mut [0; 300]).is_err());
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send_to(&REQUEST, udp).unwrap();
        let mut answer = [0; 300];
        assert_eq!(socket.recv(&mut answer).unwrap(), 250);
        assert_eq!(answer[..250], ANSWER);
    });
}
