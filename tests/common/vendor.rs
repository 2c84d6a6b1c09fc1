//! A vendor's folder, the authority's service in it, and machines and hosts that ask it.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use headcount::daemon::ProductFile;
use headcount::fingerprint::Fingerprint;
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{
    self, Expected, ProductKey, Signer, SigningKey, TagSchedule, Untrusted, verify_response,
};
use headcount::wire::{
    Cmid, CountedId, EnrolmentRequest, EnrolmentResponse, FRAME_LEN, Frame, KeyId, LicenceStatus,
    Method, Name, Nonce, Request, Response,
};

use crate::program::Folder;

/// Long enough for any machine; only a test that fails waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The name of the one product.
const PRODUCT: &str = "router";

/// A vendor's folder with one product.
pub(crate) struct Vendor {
    pub(crate) folder: Folder,
}

impl Vendor {
    /// `service` are lines of `[service]`.
    pub(crate) fn new(service: &str) -> Self {
        let folder = Folder::new();
        folder.run(&["authority", "init", "vendor"]).expect(0);
        let vendor = Self { folder };
        vendor.configure(
            "[[root]]",
            &format!(
                "[service]\n{service}\nlisten = [{{ address = \"127.0.0.1:0\" }}]\n\
                 [service.limits]\nrequest_interval_ms = 0\n[[root]]"
            ),
        );
        vendor.add_product(PRODUCT, "7");
        vendor
    }

    pub(crate) fn add_product(&self, name: &str, family: &str) {
        let place = ["--name", name, "--family", family, "--rank", "1", "--generation", "1"];
        self.run(&[&["product", "add", "--threshold", "5"], &place[..]].concat()).expect(0);
    }

    /// Changes authority.toml.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let path = self.folder.join("vendor/authority.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    /// A verb of `headcount authority`.
    pub(crate) fn run(&self, arguments: &[&str]) -> crate::program::Ended {
        let dir = ["--dir", "vendor"];
        self.folder.run(&[&["authority"], arguments, &dir[..]].concat())
    }

    /// A new key for the product.
    pub(crate) fn key(&self, arguments: &[&str]) -> ProductKey {
        self.key_of(PRODUCT, arguments)
    }

    /// A new key for one of the products.
    pub(crate) fn key_of(&self, product: &str, arguments: &[&str]) -> ProductKey {
        let new = ["key", "new", "--product", product, "--json", "--kind"];
        let key = self.run(&[&new[..], arguments].concat()).expect(0).json();
        ProductKey::from_text(key["key"].as_str().unwrap()).unwrap()
    }

    pub(crate) fn mak(&self, activations: u32) -> ProductKey {
        self.key(&["mak", "--activations", &activations.to_string()])
    }

    /// What was used of a key.
    pub(crate) fn machines_activated(&self, key_id: KeyId) -> u64 {
        let shown = self.run(&["key", "show", &key_id.0.to_string(), "--json"]).expect(0).json();
        shown["machines_activated"].as_u64().unwrap()
    }

    pub(crate) fn product(&self) -> ProductFile {
        self.product_named(PRODUCT)
    }

    pub(crate) fn product_named(&self, name: &str) -> ProductFile {
        let file = format!("vendor/products/{name}.product.toml");
        ProductFile::read(&self.folder.join(&file)).unwrap()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
        command.args(["authority", "run", "--config", "vendor/authority.toml"]);
        command.current_dir(self.folder.path()).stderr(Stdio::null());
        command
    }

    pub(crate) fn start(&self) -> Service {
        Service::start(&mut self.command())
    }
}

/// A service that runs, and is killed when dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
}

impl Service {
    /// Starts a service and waits until it is ready.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (mut tcp, mut udp) = (None, None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "READY" {
                break;
            }
            let address = line.split(' ').find_map(|word| word.parse().ok());
            if line.ends_with("tcp.") {
                tcp = address;
            } else {
                udp = address;
            }
        }
        Self { child, tcp: tcp.expect("it is ready"), udp: udp.expect("it is ready") }
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        terminate(&self.child);
        wait(&mut self.child)
    }

    /// The answer, or silence.
    pub(crate) fn ask(&self, frame: &Frame) -> Option<Frame> {
        ask_tcp(self.tcp, frame)
    }

    /// The answer to a frame that a service which can answer does answer.
    pub(crate) fn answer(&self, frame: &Frame) -> Frame {
        self.ask(frame).expect("an answer")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn terminate(child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
}

/// Waits for a process that ends by itself.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn ask_tcp(address: SocketAddr, frame: &Frame) -> Option<Frame> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; FRAME_LEN];
    stream.write_all(frame).and_then(|()| stream.read_exact(&mut answer)).ok()?;
    Some(answer)
}

pub(crate) fn ask_udp(address: SocketAddr, frame: &Frame) -> Option<Frame> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(frame, address).unwrap();
    let mut answer = [0; FRAME_LEN];
    (socket.recv(&mut answer).ok()? == FRAME_LEN).then_some(answer)
}

fn now() -> UnixTime {
    SystemTime::now().into()
}

fn numbered(kind: u8, number: u64) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A machine's request by key; the same for the same numbers, but for the time in it.
pub(crate) fn request(product: &ProductFile, key: &ProductKey, machine: u64, turn: u64) -> Frame {
    let known = product.for_client(&[]).unwrap();
    let serial = machine.to_be_bytes();
    let name = format!("machine-{machine}");
    let components = [Some(serial.as_slice()), None, None, None, None, None, None, None];
    let request = Request {
        virtual_machine: false,
        renewal: false,
        licence_status: LicenceStatus::InitialGrace,
        method: Method::Key,
        required_count: NonZeroU32::MIN,
        time_left: Minutes::from_days(30),
        application_id: known.application_id,
        activation_id: known.activation_id,
        counted_id: CountedId([0; 16]),
        cmid: Cmid::new(numbered(0xc0, machine)).unwrap(),
        previous_cmid: None,
        client_time: Some(now()),
        nonce: Nonce(numbered(0x40, turn)),
        fingerprint: trust::fingerprint(known.application_id, &components),
        workstation_name: Name::truncated(&name),
        key_id: key.key_id(),
    };
    TagSchedule::new(&key.tag_key()).seal(&request)
}

/// What the machine that sent the request makes of the answer.
pub(crate) fn judge(
    product: &ProductFile,
    request: &Frame,
    answer: &Frame,
) -> Result<Response, Untrusted> {
    let roots = product.roots().unwrap();
    let expected = Expected {
        request,
        method: Method::Key,
        product: product.coverage(),
        roots: &roots,
        known_certificate: None,
    };
    verify_response(answer, &expected).map(trust::Verified::into_inner)
}

/// A host's enrolment request.
pub(crate) fn enrolment(key: &ProductKey, host: u8, turn: u64) -> (SigningKey, Frame) {
    let signing = SigningKey::from_seed(&[host; 32]);
    let request = EnrolmentRequest {
        platform_rank: 9,
        key_id: key.key_id(),
        public_key: signing.public_key(),
        host_time: Some(now()),
        nonce: Nonce(numbered(0x41, turn)),
        fingerprint: Fingerprint::EMPTY,
        host_name: Name::truncated("core-switch-07"),
    };
    let frame = trust::seal_enrolment_request(&request, &signing, &key.tag_key()).unwrap();
    (signing, frame)
}

/// What the host makes of the answer: the root key that signed it, when it believes it.
pub(crate) fn enrolled(
    product: &ProductFile,
    (signing, request): &(SigningKey, Frame),
    answer: &Frame,
) -> Option<u16> {
    let roots = product.roots().unwrap();
    let public = signing.public_key();
    let verified = trust::verify_enrolment_response(answer, request, &public, &roots).ok()?;
    let EnrolmentResponse { body, .. } = verified.into_inner();
    body.outcome.ok().map(|certificate| certificate.claims.root_id)
}
