//! An isolated lab: machines that write requests, a proxy's store, and the vendor's authority in this
//! process.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headcount::authority::{Ledger as _, MultipleActivationKeyRecord};
use headcount::daemon::{Clock, ProductFile, RootKey, SystemClock};
use headcount::time::EpochMinute;
use headcount::trust::Signer;
use headcount::wire::{Claims, Cmid, CountedId, Frame, KeyId, KeyKind, Name, Request};
use serde_json::Value;

use crate::program::{Ended, Folder};
use crate::support::{Ledger, MAK, Machine, PRODUCT, ROOT_ID, Service, certify, mak, master, root};

/// What the authority does with a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Answer,
    /// It takes its time first.
    AnswerLate(Duration),
    /// It closes the connection, or sends nothing.
    BeSilent,
    /// It has more to do than it can.
    SayBusy,
    /// It takes note of the activation, and breaks down before it answers.
    AnswerNobody,
}

type Behaviour = dyn FnMut(&Frame) -> Act + Send;

/// The vendor's authority. It answers until the test ends.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) tcp: String,
    pub(crate) udp: String,
    vendor: Arc<Mutex<Vendor>>,
    behaviour: Arc<Mutex<Box<Behaviour>>>,
}

struct Vendor {
    service: Service,
    ledger: Ledger,
    asked: Vec<Frame>,
}

impl Authority {
    /// With one multiple activation key of so many activations.
    pub(crate) fn run(limit: u32) -> Self {
        let mut service = Service::new();
        // Whenever the test is run.
        let (not_before, not_after) = (EpochMinute(0), EpochMinute(u32::MAX));
        let claims = Service::claims(service.signer.public_key());
        service.certificates = vec![certify(Claims { not_before, not_after, ..claims })];
        let ledger = Ledger::with_mak(mak(limit));
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let authority = Self {
            tcp: tcp.local_addr().unwrap().to_string(),
            udp: udp.local_addr().unwrap().to_string(),
            vendor: Arc::new(Mutex::new(Vendor { service, ledger, asked: Vec::new() })),
            behaviour: Arc::new(Mutex::new(Box::new(|_| Act::Answer))),
        };
        let on_tcp = authority.clone();
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                let authority = on_tcp.clone();
                let stream = stream.unwrap();
                std::thread::spawn(move || authority.serve(stream));
            }
        });
        let on_udp = authority.clone();
        std::thread::spawn(move || {
            let mut frame = [0; 250];
            while let Ok((_, from)) = udp.recv_from(&mut frame) {
                if let Some(answer) = on_udp.answer(&frame) {
                    udp.send_to(&answer, from).unwrap();
                }
            }
        });
        authority
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut frame = [0; 250];
        if stream.read_exact(&mut frame).is_ok()
            && let Some(answer) = self.answer(&frame)
        {
            // Whoever asked may have been ended meanwhile.
            let _ = stream.write_all(&answer);
        }
    }

    /// What it answers, off line as well.
    pub(crate) fn answer(&self, frame: &Frame) -> Option<Frame> {
        let act = (self.behaviour.lock().unwrap())(frame);
        if let Act::AnswerLate(after) = act {
            std::thread::sleep(after);
        }
        let Vendor { service, ledger, asked } = &mut *self.vendor.lock().unwrap();
        asked.push(*frame);
        if act == Act::BeSilent {
            return None;
        }
        let now = SystemClock::start().now().clock.unwrap();
        if act == Act::SayBusy {
            let rules = service.rules();
            return Some(rules.busy(&rules.examine(frame).unwrap(), now).unwrap().frame);
        }
        let answer = service.rules().answer_activation(frame, now, ledger).ok()?;
        (act != Act::AnswerNobody).then_some(answer.frame)
    }

    pub(crate) fn behave(&self, behaviour: impl FnMut(&Frame) -> Act + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    pub(crate) fn change_key(&self, change: impl Fn(&mut MultipleActivationKeyRecord)) {
        self.vendor.lock().unwrap().ledger.maks.iter_mut().for_each(change);
    }

    /// How many activations have been used up.
    pub(crate) fn used(&self) -> u32 {
        self.vendor.lock().unwrap().ledger.machines(MAK).unwrap()
    }

    /// The frames that came since the last look.
    pub(crate) fn take_asked(&self) -> Vec<Frame> {
        std::mem::take(&mut self.vendor.lock().unwrap().asked)
    }

    /// From now on its certificate is not by the root key: nothing that it says can be believed.
    pub(crate) fn forge(&self) {
        let mut vendor = self.vendor.lock().unwrap();
        for certificate in &mut vendor.service.certificates {
            certificate.signature.0[0] ^= 1;
        }
    }
}

/// A folder with a product file, and an authority.
pub(crate) struct Lab {
    pub(crate) folder: Folder,
    pub(crate) authority: Authority,
}

impl Lab {
    pub(crate) fn new(limit: u32) -> Self {
        let (folder, authority) = (Folder::new(), Authority::run(limit));
        product_file().write(&folder.join("router.product.toml")).unwrap();
        std::fs::create_dir(folder.join("in")).unwrap();
        Self { folder, authority }
    }

    /// The request of a machine of this number, as a file that has its name.
    pub(crate) fn request(&self, name: &str, machine: &mut Machine) -> Frame {
        let frame = machine.ask();
        self.folder.file(&format!("in/{name}.request"), frame);
        frame
    }

    /// Requests of so many machines, `m000` and so on, collected.
    pub(crate) fn collected(&self, count: u8) -> Vec<Machine> {
        let mut machines: Vec<_> = (0..count).map(machine).collect();
        for (number, machine) in machines.iter_mut().enumerate() {
            self.request(&format!("m{number:03}"), machine);
        }
        self.collect().expect(0);
        machines
    }

    pub(crate) fn collect(&self) -> Ended {
        self.proxy(&["collect", "in"])
    }

    /// Runs a verb of the proxy, with the store of this lab.
    pub(crate) fn proxy(&self, arguments: &[&str]) -> Ended {
        self.folder.run(&[&["proxy"], arguments, &["--store", "store"][..]].concat())
    }

    /// Asks the authority.
    pub(crate) fn activate(&self, more: &[&str]) -> Ended {
        let ask = ["activate", "--authority", &self.authority.tcp, "--json"];
        self.proxy(&[&ask[..], more].concat())
    }

    /// The machines as the list shows them.
    pub(crate) fn list(&self) -> Vec<Value> {
        let list = self.proxy(&["list", "--json"]).json();
        list["machines"].as_array().unwrap().clone()
    }

    pub(crate) fn listed(&self, name: &str) -> Value {
        self.list().into_iter().find(|machine| machine["machine"] == name).unwrap()
    }

    pub(crate) fn activated(&self) -> HashSet<String> {
        let machines = self.list().into_iter().filter(|machine| machine["activated"] == true);
        machines.map(|machine| machine["machine"].as_str().unwrap().to_owned()).collect()
    }

    /// Has all answers delivered, and returns the one of a machine: its request, and the answer.
    pub(crate) fn delivered(&self, name: &str) -> (Frame, Frame) {
        self.proxy(&["deliver", "--to", "out"]).expect(0);
        let bytes = std::fs::read(self.folder.join(&format!("out/{name}.answer"))).unwrap();
        let (request, answer) = bytes.split_at(250);
        (request.try_into().unwrap(), answer.try_into().unwrap())
    }

    /// Fails the test unless a machine believes the answer it is given.
    pub(crate) fn believes(&self, name: &str, machine: &Machine) {
        let (request, answer) = self.delivered(name);
        machine.judge(&answer, &request).unwrap();
        let asked = Request::parse(&request).unwrap();
        assert_eq!(asked.fingerprint, machine.request.fingerprint, "{name}");
    }
}

/// A machine that is like no other, and keeps its name to itself.
pub(crate) fn machine(number: u8) -> Machine {
    let mut machine = Machine::new(number + 1);
    machine.request.workstation_name = Name::EMPTY;
    machine.request.client_time = None;
    machine
}

/// The same machine after its disk was written anew.
pub(crate) fn reinstalled(machine: &Machine) -> Machine {
    let mut machine = machine.clone();
    machine.request.cmid = Cmid::from_random([0xcc; 16]);
    machine.request.nonce.0 = [0xdd; 16];
    machine
}

pub(crate) fn product_file() -> ProductFile {
    ProductFile {
        name: "router".into(),
        application_id: PRODUCT.application_id.to_string(),
        activation_id: PRODUCT.activation_id.to_string(),
        counted_id: CountedId([0xa3; 16]).to_string(),
        family: PRODUCT.coverage.family,
        rank: PRODUCT.coverage.rank,
        generation: PRODUCT.coverage.generation,
        threshold: NonZeroU32::new(25).unwrap(),
        setup_key: key_text(KeyKind::ClientSetup, KeyId(76)),
        weights: [1; 8],
        tolerance: 2,
        rearms: 3,
        maximum_validity_minutes: 259_200,
        initial_grace_minutes: 43_200,
        authority: None,
        roots: vec![RootKey::new(ROOT_ID, &root().public_key())],
    }
}

pub(crate) fn key_text(kind: KeyKind, key_id: KeyId) -> String {
    master().product_key(kind, key_id).to_text().as_str().to_owned()
}
