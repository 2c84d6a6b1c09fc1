//! What you sell, and where its hosts are. The vendor's authority issues all that is in
//! [`product`]: `headcount authority --help`.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::num::{NonZeroU8, NonZeroU32};

use headcount::client::{Limits, Machine, Product};
use headcount::fingerprint::Matching;
use headcount::policy;
use headcount::trust::{Root, TagKey, fingerprint};
use headcount::wire::{ActivationId, ApplicationId, CountedId, Coverage, KeyId, Name, PublicKey};
use static_cell::StaticCell;

use crate::board;

/// One of the customer's hosts.
pub struct Host {
    pub address: SocketAddrV4,
    pub way: Way,
}

/// How it is asked. UDP needs fewer frames and less memory; TCP gets through more firewalls.
#[derive(Clone, Copy)]
pub enum Way {
    Tcp,
    Udp,
}

/// Asked in this order. A real product lets the customer set them, or finds them by DNS.
pub const HOSTS: [Host; 2] = [
    Host { address: at(Ipv4Addr::new(192, 0, 2, 10)), way: Way::Udp },
    Host { address: at(Ipv4Addr::new(192, 0, 2, 11)), way: Way::Tcp },
];

const fn at(address: Ipv4Addr) -> SocketAddrV4 {
    SocketAddrV4::new(address, policy::PORT)
}

pub const fn host_count() -> NonZeroU8 {
    NonZeroU8::new(HOSTS.len() as u8).unwrap()
}

const APPLICATION: ApplicationId =
    ApplicationId(0x6f1d2c5e_8b0a_4c77_9e31_52d0c8a41f01_u128.to_be_bytes());

/// The root's public half, here of a key that everybody knows: replace it, or everybody's host
/// activates your product.
const ROOT: [u8; 32] = [
    0x8a, 0x88, 0xe3, 0xdd, 0x74, 0x09, 0xf1, 0x95, 0xfd, 0x52, 0xdb, 0x2d, 0x3c, 0xba, 0x5d, 0x72,
    0xca, 0x67, 0x09, 0xbf, 0x1d, 0x94, 0x12, 0x1b, 0xf3, 0x74, 0x88, 0x01, 0xb4, 0x0f, 0x6f, 0x5c,
];

/// The product, which lives as long as the device runs. Call it once.
pub fn product() -> &'static Product<'static> {
    static ROOTS: StaticCell<[Root; 1]> = StaticCell::new();
    static PRODUCT: StaticCell<Product<'static>> = StaticCell::new();

    let root = Root::new(1, &PublicKey(ROOT)).expect("the key was looked at when it was put here");
    PRODUCT.init(Product {
        application_id: APPLICATION,
        activation_id: ActivationId(0x6f1d2c5e_8b0a_4c77_9e31_52d0c8a41f02_u128.to_be_bytes()),
        counted_id: CountedId(0x6f1d2c5e_8b0a_4c77_9e31_52d0c8a41f03_u128.to_be_bytes()),
        coverage: Coverage { family: 1, rank: 1, generation: 1 },
        required_count: NonZeroU32::new(5).unwrap(),
        matching: Matching::DEFAULT,
        key_id: KeyId(1),
        // Of the setup key, which ships in every unit. It keeps strangers out of the count, and is
        // not what makes an activation genuine.
        tag_key: TagKey::from_bytes([0x5e; 32]),
        roots: ROOTS.init([root]),
        limits: Limits::DEFAULT,
    })
}

/// What tells this unit from the others.
pub fn machine() -> Machine<'static> {
    let serial = board::serial_number();
    let components: [Option<&[u8]>; 8] =
        [Some(&serial), Some(&board::MAC), None, None, None, None, None, None];
    Machine {
        fingerprint: fingerprint(APPLICATION, &components),
        workstation_name: Name::truncated("appliance"),
        virtual_machine: false,
    }
}
