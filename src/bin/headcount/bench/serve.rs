//! The three servers that are compared. Their sockets are served by the same code,
//! [`headcount::daemon::Server`]; they differ in what answers a frame.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

use clap::ValueEnum;
use ed25519_dalek::Signer as _;
use headcount::daemon::{
    Answer, HostMemory, HostService, Listen, ProductFile, RootKey, Server, ServerLimits, Service,
    SystemClock, system_rng,
};
use headcount::fingerprint::Matching;
use headcount::host::{RateLimit, Settings};
use headcount::time::{EpochMinute, Minutes};
use headcount::trust::{MasterKey, Signer, SigningKey, sign_certificate};
use headcount::wire::{Certificate, Claims, Frame, KeyId, KeyKind, Role, SIGNATURE_LEN};
use tokio::sync::oneshot;

use crate::output::{Exit, Problem};

/// Half of what a pool of the daemon can keep: the table stays as large as it can be.
const THRESHOLD: u32 = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// The host as `headcount host run` starts it, without a rate limit.
    Host,
    /// Answers with the frame it was sent.
    Echo,
    /// The same, with a signature at its end.
    SigningEcho,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Host, Self::SigningEcho, Self::Echo];

    /// The name that `--serve` takes, and of JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Echo => "echo",
            Self::SigningEcho => "signing-echo",
        }
    }
}

/// Serves on a free port of the loopback address, the same for TCP and UDP, which is told on
/// standard output, until standard input ends: so the server never outlives who started it.
pub(super) fn run(kind: Kind) -> Result<Exit, Problem> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| fail(&error))?;
    match kind {
        Kind::Host => runtime.block_on(serve(Vendor::new()?.host()?)),
        Kind::Echo => runtime.block_on(serve(Echo)),
        Kind::SigningEcho => runtime.block_on(serve(SigningEcho::new())),
    }
}

async fn serve<S: Service>(service: S) -> Result<Exit, Problem> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listen = [Listen { address, tcp: true, udp: true }];
    let limits = ServerLimits { connections: 65_536, connections_per_source: 65_536 };
    let server = Server::bind(&listen, limits, Arc::new(service)).map_err(|error| fail(&error))?;
    let port = server.tcp_addresses().first().map_or(0, SocketAddr::port);
    println!("{port}");
    let (over, end) = oneshot::channel();
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = over.send(());
    });
    server
        .run(async {
            let _ = end.await;
        })
        .await
        .map_err(|error| fail(&error))?;
    Ok(Exit::Done)
}

struct Echo;

impl Service for Echo {
    fn answer(&self, _: SocketAddr, frame: &[u8]) -> Answer {
        Answer::Now(frame.try_into().ok())
    }
}

/// Signs as many bytes as a host does, with the library's plain signing call.
struct SigningEcho(ed25519_dalek::SigningKey);

impl SigningEcho {
    fn new() -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&[1; 32]))
    }

    fn sign(&self, frame: &[u8]) -> Option<Frame> {
        let mut answer: Frame = frame.try_into().ok()?;
        let (signed, signature) = answer.split_last_chunk_mut::<SIGNATURE_LEN>()?;
        *signature = self.0.sign(signed).to_bytes();
        Some(answer)
    }
}

impl Service for SigningEcho {
    fn answer(&self, _: SocketAddr, frame: &[u8]) -> Answer {
        Answer::Now(self.sign(frame))
    }
}

/// A vendor for nothing but measuring. It is made from fixed numbers, so that the generator and the
/// host make the same one without telling each other; what it signs is good for nothing, since no
/// product has its root key.
pub(super) struct Vendor {
    pub(super) product: ProductFile,
    certificate: Certificate,
    host_key: SigningKey,
}

impl Vendor {
    pub(super) fn new() -> Result<Self, Problem> {
        let root = SigningKey::from_seed(&[1; 32]);
        let host_key = SigningKey::from_seed(&[2; 32]);
        let setup_key = MasterKey::from_bytes([3; 32]).product_key(KeyKind::ClientSetup, KeyId(1));
        let id = |number| uuid::Uuid::from_u128(number).to_string();
        let product = ProductFile {
            name: "bench".into(),
            application_id: id(1),
            activation_id: id(2),
            counted_id: id(3),
            family: 1,
            rank: 1,
            generation: 1,
            threshold: THRESHOLD.try_into().map_err(|error| fail(&error))?,
            setup_key: setup_key.to_text().as_str().to_owned(),
            weights: Matching::DEFAULT.weights,
            tolerance: Matching::DEFAULT.tolerance,
            rearms: 3,
            maximum_validity_minutes: Minutes::from_days(180).0,
            initial_grace_minutes: Minutes::from_days(30).0,
            authority: None,
            roots: vec![RootKey::new(1, &root.public_key())],
        };
        let claims = Claims {
            public_key: host_key.public_key(),
            serial: 1,
            not_before: EpochMinute(0),
            not_after: EpochMinute(u32::MAX),
            root_id: 1,
            coverage: product.coverage(),
            role: Role::Host,
        };
        let certificate = match sign_certificate(&claims, &root) {
            Ok(certificate) => certificate,
            Err(never) => match never {},
        };
        Ok(Self { product, certificate, host_key })
    }

    fn host(self) -> Result<HostService<SystemClock>, Problem> {
        let memory = HostMemory::for_products(std::slice::from_ref(&self.product))
            .map_err(|error| fail(&error))?;
        let settings = Settings { rate_limit: RateLimit::OFF, ..Settings::DEFAULT };
        let host = memory.into_host(Some(self.certificate), settings, &mut system_rng());
        Ok(HostService::new(host, self.host_key, SystemClock::start()))
    }
}

fn fail(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Exit::Failed, error)
}
