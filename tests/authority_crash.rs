//! The authority's service killed again and again under load: what it said, it keeps.
//!
//! `AUTHORITY_CRASHES` is how often, 200 unless told otherwise.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/program.rs"]
mod program;
#[path = "common/vendor.rs"]
mod vendor;

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use headcount::daemon::{Database, ProductFile, RedbDatabase};
use headcount::trust::ProductKey;
use headcount::wire::{Frame, Refusal, Request, Verdict};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use vendor::{PATIENCE, Vendor, judge, request};

const CLIENTS: u64 = 6;

/// A key that is soon used up, and one that never is.
const LIMITS: [u32; 2] = [100, 1_000_000];

/// No machine asks more often: so many of its answers are kept.
const TURNS: u64 = 8;

/// A grant that was received.
struct Granted {
    key: usize,
    machine: u64,
    frame: Frame,
    answer: Frame,
}

/// One customer's machines, one after the other on one connection.
struct Client<'a> {
    number: u64,
    product: &'a ProductFile,
    keys: &'a [ProductKey],
    /// Where the service is, while it is.
    address: &'a Mutex<Option<SocketAddr>>,
    over: &'a AtomicBool,
}

impl Client<'_> {
    /// Asks and asks. A question that gets no answer is asked again, as a machine would.
    fn work(&self) -> Vec<Granted> {
        let mut rng = StdRng::seed_from_u64(self.number);
        let mut granted = Vec::new();
        let mut connection = None;
        // Machines of this client alone, and some that all clients share.
        let mut turns: HashMap<(usize, u64), u64> = HashMap::new();
        let mut next = 0;
        while !self.over.load(Ordering::Relaxed) {
            let key = usize::from(rng.random_bool(0.8));
            let machine = match rng.random_range(0..10) {
                0 => rng.random_range(0..20),
                1..4 if next > 0 => self.own(rng.random_range(0..next)),
                _ => {
                    next += 1;
                    self.own(next - 1)
                }
            };
            let turn = turns.entry((key, machine)).or_default();
            if *turn >= TURNS / CLIENTS.min(TURNS) && machine < 20 || *turn >= TURNS {
                continue;
            }
            *turn += 1;
            let nonce = self.number << 32 | *turn;
            let frame = request(self.product, &self.keys[key], machine, nonce);
            let Some(answer) = self.ask(&mut connection, &frame) else { break };
            match judge(self.product, &frame, &answer).unwrap().body.verdict {
                Verdict::Granted { .. } => granted.push(Granted { key, machine, frame, answer }),
                Verdict::Refused(refusal) => assert_eq!((key, refusal), (0, Refusal::KeyExhausted)),
            }
        }
        granted
    }

    const fn own(&self, number: u64) -> u64 {
        (self.number + 1) << 32 | number
    }

    /// The answer, sooner or later; `None` when it is over.
    fn ask(&self, connection: &mut Option<TcpStream>, frame: &Frame) -> Option<Frame> {
        while !self.over.load(Ordering::Relaxed) {
            if connection.is_none() {
                let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
                *connection = address.and_then(|address| TcpStream::connect(address).ok());
            }
            if let Some(stream) = connection {
                let mut answer = [0; 250];
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                if stream.write_all(frame).and_then(|()| stream.read_exact(&mut answer)).is_ok() {
                    return Some(answer);
                }
            }
            *connection = None;
            std::thread::sleep(Duration::from_millis(3));
        }
        None
    }
}

#[test]
fn killed_at_any_moment_it_keeps_what_it_said() {
    let crashes = std::env::var("AUTHORITY_CRASHES").map_or(200, |number| number.parse().unwrap());
    let vendor = Vendor::new("");
    let product = vendor.product();
    let keys = LIMITS.map(|limit| vendor.mak(limit));
    let address = Mutex::new(None);
    let over = AtomicBool::new(false);
    let set = |now| *address.lock().unwrap_or_else(PoisonError::into_inner) = now;
    let granted: Vec<Granted> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| Client {
                number,
                product: &product,
                keys: &keys,
                address: &address,
                over: &over,
            })
            .map(|client| scope.spawn(move || client.work()))
            .collect();
        let mut rng = StdRng::seed_from_u64(99);
        for _ in 0..crashes {
            let service = vendor.start();
            set(Some(service.tcp));
            std::thread::sleep(Duration::from_millis(rng.random_range(5..200)));
            set(None);
            service.kill();
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });

    // Each frame gets the same bytes again.
    let service = vendor.start();
    let mut stream = TcpStream::connect(service.tcp).unwrap();
    for Granted { frame, answer, .. } in &granted {
        let mut again = [0; 250];
        stream.write_all(frame).and_then(|()| stream.read_exact(&mut again)).unwrap();
        assert!(again == *answer, "another answer than before");
    }
    drop(stream);
    assert!(service.stop().success());

    let database =
        RedbDatabase::open(&vendor.folder.join("vendor").join(RedbDatabase::FILE)).unwrap();
    for (index, (key, limit)) in keys.iter().zip(LIMITS).enumerate() {
        let machines = database.machines(Some(key.key_id()), None, usize::MAX).unwrap();
        let recorded: HashSet<_> = machines.iter().map(|machine| machine.machine).collect();
        assert_eq!(recorded.len(), machines.len(), "a machine is recorded twice");
        assert!(machines.iter().all(|machine| machine.counted));
        let (_, usage) = database.key(key.key_id()).unwrap().unwrap();
        assert_eq!(usage.machines as usize, machines.len(), "as many are counted as there are");
        assert!(usage.machines <= limit, "{} of {limit}", usage.machines);
        let cmids: HashSet<_> = machines.iter().filter_map(|machine| machine.cmid).collect();
        let acknowledged: HashMap<u64, &Frame> = granted
            .iter()
            .filter(|granted| granted.key == index)
            .map(|granted| (granted.machine, &granted.frame))
            .collect();
        for frame in acknowledged.values() {
            let cmid = Request::parse(frame).unwrap().cmid;
            assert!(cmids.contains(cmid.as_bytes()), "an activation is lost");
        }
        println!(
            "key of {limit}: {} machines recorded, {} acknowledged",
            machines.len(),
            acknowledged.len()
        );
        assert!(acknowledged.len() <= machines.len());
        // What was committed and not answered is at most what was under way at each crash; most
        // of it was asked again.
        assert!(machines.len() <= acknowledged.len() + CLIENTS as usize * crashes);
    }
    println!("{} grants after {crashes} crashes", granted.len());
    assert!(granted.len() > crashes, "there was load");
}
