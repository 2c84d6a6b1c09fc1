//! The host's firmware under a flood of junk by TCP and UDP.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use headcount::wire::{FRAME_LEN, Frame};
use headcount_qemu::machine::{Product, count, exchange, exchange_datagrams};
use headcount_qemu::site::Site;
use headcount_qemu::state::Flash;
use headcount_qemu::{PATIENCE, eventually, seed};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// How long the flood lasts unless `JUNK_SECONDS` says otherwise.
const SECONDS: u64 = 60;
/// The longest junk.
const LONGEST: usize = 600;
/// Connections that are kept open, with a piece of a frame: more than the host serves at once.
const KEPT_OPEN: usize = 12;
/// Between two connections or datagrams, so that QEMU's network does not drop all of them.
const PAUSE: Duration = Duration::from_millis(2);

#[test]
fn it_still_answers_after_junk_and_its_counters_add_up() {
    let mut rng = seed::generator();
    let until = Instant::now() + Duration::from_secs(seed::number("JUNK_SECONDS", SECONDS));
    let site = Site::new();
    let product = Product::read(&site.join("vendor/products/station.product.toml"));
    // The first two answers end the run: one after the other by TCP and UDP, after the flood.
    let host = site.host(&["answers=2"]);
    let address = host.address;

    let junk = Junk { request: product.request(1, &mut rng) };
    let mut rngs = [(); 2].map(|()| StdRng::seed_from_u64(rng.next_u64()));
    let [tcp_rng, udp_rng] = &mut rngs;
    let (streams, datagrams) = std::thread::scope(|scope| {
        let streams = scope.spawn(|| flood_by_tcp(address, &junk, tcp_rng, until));
        let datagrams = flood_by_udp(address, &junk, udp_rng, until);
        (streams.join().unwrap(), datagrams)
    });
    println!("junk: {streams:?} by TCP, {datagrams:?} by UDP");
    let stored = Flash::read(&site.join("host.flash"));
    assert_eq!(stored.sequence(), 0, "junk wears out the flash");

    // The flood used up what this address may ask: that comes back by and by.
    let answer = eventually("an answer by TCP after the junk", || {
        std::thread::sleep(Duration::from_millis(300));
        exchange(address, &product.request(1, &mut rng)).ok()
    });
    assert_eq!(count(&answer), 1);
    let answer = exchange_datagrams(address, &product.request(2, &mut rng)).expect("an answer");
    assert_eq!(count(&answer), 2);
    let ended = host.firmware.expect(0);

    // Every frame was heard by one transport, and decided once by the host.
    let silent = ended.number("HostCounters", "silent");
    let (tcp, udp) = ("TcpCounters", "UdpCounters");
    assert_eq!(ended.number("HostCounters", "granted"), 2);
    assert_eq!(ended.number("HostCounters", "refused"), 0);
    assert_eq!(ended.lines("counted, now "), 2);
    assert_eq!(ended.lines(": no answer, ") as u32, silent);
    for counters in [tcp, udp] {
        assert_eq!(ended.number(counters, "answers"), 1);
        let frames = ended.number(counters, "frames");
        assert_eq!(ended.number(counters, "silences") + 1, frames, "{counters}");
    }
    let (by_tcp, by_udp) = (ended.number(tcp, "frames"), ended.number(udp, "frames"));
    assert_eq!(by_tcp + by_udp, silent + 2);
    assert_eq!(ended.number(udp, "dropped"), 0);

    // The log has a line for each, with the reason that was counted.
    let reasons = ended.numbers("HostCounters", "silent");
    let words = ["Malformed", "RateLimited", "NoCertificate", "NoClock", "UnknownKey", "BadTag"];
    for (word, counted) in words.iter().zip(&reasons) {
        assert_eq!(ended.lines(&format!(": no answer, {word}")) as u32, *counted, "{word}");
    }
    let [malformed, _, no_certificate, no_clock, _, bad_tag, signer] = reasons[..] else {
        panic!("{reasons:?}")
    };
    assert!(malformed > 0 && bad_tag > 0, "{reasons:?}");
    assert_eq!((no_certificate, no_clock, signer), (0, 0, 0));

    // No frame came out of nothing, and junk of other lengths was told from frames.
    assert!((1..=streams.frames + PROBES).contains(&by_tcp), "{by_tcp} of {streams:?}");
    assert!((1..=datagrams.frames + PROBES).contains(&by_udp), "{by_udp} of {datagrams:?}");
    assert!((1..=datagrams.others).contains(&ended.number(udp, "wrong_length")));
}

/// Requests after the flood, at most: tries again while the rate limit holds.
const PROBES: u32 = 2_000;

/// What was sent.
#[derive(Debug, Default)]
struct Sent {
    /// Junk as long as a frame, or by TCP, how many of that length fit into it.
    frames: u32,
    /// Junk of another length.
    others: u32,
}

/// Makes junk.
struct Junk {
    /// A request of which some junk is made.
    request: Frame,
}

impl Junk {
    fn make(&self, rng: &mut StdRng) -> Vec<u8> {
        match rng.random_range(0..5) {
            // Random bytes of any length, or of a frame's, or that begin like a request.
            0 => (0..rng.random_range(0..=LONGEST)).map(|_| rng.random()).collect(),
            1 => {
                let mut frame = self.request;
                let kept = rng.random_range(0..=4);
                rng.fill_bytes(&mut frame[kept..]);
                frame.to_vec()
            }
            2 => self.request[..rng.random_range(0..FRAME_LEN)].to_vec(),
            3 => {
                let mut longer = self.request.to_vec();
                let last = FRAME_LEN - 1;
                longer[last] ^= 1;
                longer.extend(
                    (0..rng.random_range(1..LONGEST - FRAME_LEN)).map(|_| rng.random::<u8>()),
                );
                longer
            }
            _ => {
                let mut frame = self.request;
                for _ in 0..rng.random_range(1..=3) {
                    // Never the same bit twice.
                    let bit = rng.random_range(0..8 * FRAME_LEN);
                    frame[bit / 8] = self.request[bit / 8] ^ (1 << (bit % 8));
                }
                frame.to_vec()
            }
        }
    }
}

fn flood_by_tcp(host: SocketAddr, junk: &Junk, rng: &mut StdRng, until: Instant) -> Sent {
    let mut sent = Sent::default();
    let mut open = VecDeque::new();
    while Instant::now() < until {
        std::thread::sleep(PAUSE);
        let bytes = junk.make(rng);
        // The host's system takes connections until the firmware hears of them.
        let Ok(mut stream) = TcpStream::connect(host) else { continue };
        sent.frames += (bytes.len() / FRAME_LEN) as u32;
        sent.others += u32::from(bytes.len() < FRAME_LEN);
        let _ = stream.write_all(&bytes);
        if bytes.len() < FRAME_LEN && rng.random() {
            open.push_back(stream);
            if open.len() > KEPT_OPEN {
                open.pop_front();
            }
            continue;
        }
        let _ = stream.shutdown(Shutdown::Write);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match stream.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => panic!("the host answers junk: {bytes:02x?}"),
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "the host is stuck"),
        }
    }
    sent
}

fn flood_by_udp(host: SocketAddr, junk: &Junk, rng: &mut StdRng, until: Instant) -> Sent {
    let mut sent = Sent::default();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(host).unwrap();
    socket.set_nonblocking(true).unwrap();
    while Instant::now() < until {
        std::thread::sleep(PAUSE);
        let bytes = junk.make(rng);
        if socket.send(&bytes).is_ok() {
            let counter =
                if bytes.len() == FRAME_LEN { &mut sent.frames } else { &mut sent.others };
            *counter += 1;
        }
        assert!(socket.recv(&mut [0; FRAME_LEN]).is_err(), "the host answers junk");
    }
    sent
}
