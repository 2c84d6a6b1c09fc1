//! The throw-away vendor of the demo, and its host.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use headcount::daemon::{
    HostMemory, HostService, Limits, Listen, ProductFile, RootKey, ServeError, Server,
    ServerLimits, Transport, system_rng,
};
use headcount::fingerprint::Matching;
use headcount::host::{RateLimit, Settings};
use headcount::time::{EpochMinute, Minutes};
use headcount::trust::{self, MasterKey, Signer, SigningKey, sign_certificate};
use headcount::wire::{Claims, HostId, KeyId, KeyKind, Role};
use rand_core::Rng;
use tokio::sync::oneshot;

use super::clock::DemoClock;
use crate::output::{Exit, Problem};

/// Everything that a vendor makes, thrown away at the end.
pub(super) struct Vendor {
    root: SigningKey,
    pub(super) product: ProductFile,
}

/// A host that runs.
pub(super) struct RunningHost {
    pub(super) id: HostId,
    pub(super) address: SocketAddr,
    pub(super) service: Arc<HostService<DemoClock>>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Vendor {
    pub(super) fn new(threshold: u32) -> Result<Self, Problem> {
        let mut rng = system_rng();
        let (root, _) = SigningKey::generate(&mut rng);
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let setup_key = MasterKey::from_bytes(bytes).product_key(KeyKind::ClientSetup, KeyId(1));
        let id = |n: u128| uuid::Uuid::from_u128(n).to_string();
        let product = ProductFile {
            name: "demo".into(),
            application_id: id(1),
            activation_id: id(2),
            counted_id: id(3),
            family: 1,
            rank: 1,
            generation: 1,
            threshold: NonZeroU32::new(threshold)
                .ok_or_else(|| Problem::new(Exit::Usage, "a threshold of 0"))?,
            setup_key: setup_key.to_text().as_str().to_owned(),
            weights: Matching::DEFAULT.weights,
            tolerance: Matching::DEFAULT.tolerance,
            rearms: 3,
            maximum_validity_minutes: Minutes::from_days(180).0,
            initial_grace_minutes: Minutes::from_days(30).0,
            authority: None,
            roots: vec![RootKey::new(1, &root.public_key())],
        };
        Ok(Self { root, product })
    }

    pub(super) fn start_host(
        &self,
        clock: DemoClock,
        transport: Transport,
    ) -> Result<RunningHost, Problem> {
        let fail = |error: &dyn std::fmt::Display| Problem::new(Exit::Failed, error);
        let mut rng = system_rng();
        let (key, _) = SigningKey::generate(&mut rng);
        let claims = Claims {
            public_key: key.public_key(),
            serial: 1,
            not_before: EpochMinute(0),
            not_after: EpochMinute(u32::MAX),
            root_id: 1,
            coverage: self.product.coverage(),
            role: Role::Host,
        };
        let certificate = match sign_certificate(&claims, &self.root) {
            Ok(certificate) => certificate,
            Err(never) => match never {},
        };
        let memory = HostMemory::for_products(std::slice::from_ref(&self.product))
            .map_err(|error| fail(&error))?;
        let settings = Settings { rate_limit: RateLimit::OFF, ..Settings::DEFAULT };
        let daemon = memory.into_host(Some(certificate), settings, &mut rng);
        let id = trust::host_id(&key.public_key());
        let service = Arc::new(HostService::new(daemon, key, clock));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (tcp, udp) = (transport == Transport::Tcp, transport == Transport::Udp);
        let limits = Limits { connections_per_source: 4_096, ..Limits::default() };
        let limits = ServerLimits {
            connections: limits.connections,
            connections_per_source: limits.connections_per_source,
        };
        let server = Server::bind(&[Listen { address: any, tcp, udp }], limits, service.clone())
            .map_err(|error| fail(&error))?;
        let addresses = if tcp { server.tcp_addresses() } else { server.udp_addresses() };
        let address = addresses.first().copied().unwrap_or(any);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Ok(RunningHost { id, address, service, stop, task })
    }
}

impl RunningHost {
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}
