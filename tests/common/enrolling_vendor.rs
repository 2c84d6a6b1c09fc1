//! A vendor's authority that enrols hosts on loopback: the core's decisions over a ledger in memory.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use headcount::authority::{Authority, EnrolmentOutcome, HostKeyRecord};
use headcount::phone::HostConfirmation;
use headcount::policy::CLOCK_TOLERANCE;
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{Signer, SigningKey};
use headcount::wire::{Frame, KeyId, KeyKind};

use crate::program::Folder;
use crate::support::{COVERAGE, KEY, Ledger, ROOT_ID, master, root};

/// What becomes of the answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Line {
    Good,
    /// They are made, and lost on the way.
    LosesAnswers,
    /// Another vendor's key signs them.
    Forged,
    /// The service is overloaded.
    Busy,
}

/// What the vendor has and does. A test may change it at any time.
pub(crate) struct Vendor {
    pub(crate) ledger: Ledger,
    pub(crate) line: Line,
    /// How long certificates last.
    pub(crate) validity: Minutes,
    /// What was decided of each request that came.
    pub(crate) decided: Vec<EnrolmentOutcome>,
    serial: u64,
}

/// A vendor that listens.
#[derive(Clone)]
pub(crate) struct Authorities {
    vendor: Arc<Mutex<Vendor>>,
    pub(crate) address: SocketAddr,
}

impl Authorities {
    /// Listens on one port for TCP and UDP, until the test's process ends.
    pub(crate) fn listen() -> Self {
        let mut ledger = Ledger::with(HostKeyRecord::new(KEY, COVERAGE));
        ledger.at_any_time = true;
        let vendor = Vendor {
            ledger,
            line: Line::Good,
            validity: Minutes::from_days(365),
            decided: Vec::new(),
            serial: 100,
        };
        let (tcp, udp) = std::iter::repeat_with(|| {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let udp = UdpSocket::bind(tcp.local_addr().unwrap());
            udp.ok().map(|udp| (tcp, udp))
        })
        .take(100)
        .find_map(|bound| bound)
        .expect("a port that is free for both");
        let address = tcp.local_addr().unwrap();
        let this = Self { vendor: Arc::new(Mutex::new(vendor)), address };
        let (by_tcp, by_udp) = (this.clone(), this.clone());
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let _ = by_tcp.serve(stream);
            }
        });
        std::thread::spawn(move || {
            let mut frame = [0; 250];
            while let Ok((250, source)) = udp.recv_from(&mut frame) {
                if let Some(answer) = by_udp.vendor().answer(&frame) {
                    let _ = udp.send_to(&answer, source);
                }
            }
        });
        this
    }

    pub(crate) fn vendor(&self) -> MutexGuard<'_, Vendor> {
        self.vendor.lock().unwrap()
    }

    /// Its name and port.
    pub(crate) fn place(&self) -> String {
        self.address.to_string()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut frame = [0; 250];
        stream.read_exact(&mut frame)?;
        let answer = self.vendor().answer(&frame);
        answer.map_or(Ok(()), |answer| stream.write_all(&answer))
    }
}

impl Vendor {
    fn answer(&mut self, frame: &Frame) -> Option<Frame> {
        let (master, own, stranger) = (master(), root(), SigningKey::from_seed(&[0x99; 32]));
        let authority = Authority {
            master: &master,
            root_id: ROOT_ID,
            root: if self.line == Line::Forged { &stranger } else { &own },
            certificate_validity: self.validity,
            max_skew: Some(CLOCK_TOLERANCE),
        };
        let now = now();
        self.serial += 1;
        let answer = if self.line == Line::Busy {
            let examined = authority.examine_enrolment(frame).ok()?;
            authority.busy_enrolment(&examined, now).unwrap()
        } else {
            authority.answer_enrolment(frame, now, self.serial, &mut self.ledger).ok()?
        };
        self.decided.push(answer.outcome);
        (self.line != Line::LosesAnswers).then_some(answer.frame)
    }

    /// Answers a number that was read out, by what is read back.
    pub(crate) fn answer_by_phone(&mut self, installation_id: &str) -> HostConfirmation {
        let (master, root) = (master(), root());
        let authority = Authority {
            master: &master,
            root_id: ROOT_ID,
            root: &root,
            certificate_validity: self.validity,
            max_skew: None,
        };
        self.serial += 1;
        let id = installation_id.parse().unwrap();
        let ledger = &mut self.ledger;
        authority.answer_host_installation(&id, now(), self.serial, ledger).unwrap().confirmation
    }

    pub(crate) fn key(&mut self) -> &mut HostKeyRecord {
        &mut self.ledger.keys[0]
    }

    pub(crate) fn last(&self) -> EnrolmentOutcome {
        *self.decided.last().expect("a request came")
    }
}

pub(crate) fn now() -> UnixTime {
    SystemTime::now().into()
}

/// A product key of this vendor's, as text.
pub(crate) fn key_text(kind: KeyKind, id: KeyId) -> String {
    master().product_key(kind, id).to_text().as_str().to_owned()
}

/// A host of this vendor's product that is not enrolled, in the folder `host`, and the vendor's host
/// key in `host-key.txt`.
pub(crate) fn new_host() -> Folder {
    let site = Folder::new();
    let setup_key = key_text(KeyKind::ClientSetup, KeyId(1));
    let public_key = headcount::daemon::files::to_hex(&root().public_key().0);
    std::fs::create_dir_all(site.join("vendor/products")).unwrap();
    site.file(
        PRODUCT,
        format!(
            "name = \"router\"\n\
             application_id = \"a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1\"\n\
             activation_id = \"a2a2a2a2-a2a2-a2a2-a2a2-a2a2a2a2a2a2\"\n\
             counted_id = \"a3a3a3a3-a3a3-a3a3-a3a3-a3a3a3a3a3a3\"\n\
             family = 7\nrank = 2\ngeneration = 1\nthreshold = 1\nsetup_key = \"{setup_key}\"\n\
             [[roots]]\nid = {ROOT_ID}\npublic_key = \"{public_key}\"\n"
        ),
    );
    site.file("host-key.txt", format!("# a host key\n{}\n", key_text(KeyKind::Host, KEY)));
    let product = ["--product", PRODUCT];
    let listen = ["--listen", "127.0.0.1:0", "--name", "core-switch"];
    site.run(&[&["host", "init", "host"][..], &product, &listen].concat()).expect(0);
    site
}

/// Where a real vendor's program keeps it, too.
const PRODUCT: &str = "vendor/products/router.product.toml";

/// Adds to the host's configuration.
pub(crate) fn configure(site: &Folder, section: &str) {
    let path = site.join("host/host.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n{section}")).unwrap();
}
