//! A product that is activated by a host on its customer's network, on Embassy.
//!
//! Read it in this order: [`activation`] is the client, [`product`] is what you sell, [`storage`]
//! and [`udp`] connect headcount to flash and network, and [`board`] is your hardware.

#![no_std]
#![no_main]

mod activation;
mod board;
mod product;
mod storage;
mod udp;

use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_net::{Config, DhcpConfig, Runner, Stack, StackResources};
use embassy_time::Timer;
use headcount::wire::LicenceStatus;
use panic_probe as _;
use static_cell::StaticCell;

use board::{Device, Entropy, Flash, Wire};
use storage::Storage;

/// One for TCP, one for UDP, one for DHCP.
const SOCKETS: usize = 3;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    static SOCKET_MEMORY: StaticCell<StackResources<SOCKETS>> = StaticCell::new();

    board::start_clock();
    let mut entropy = Entropy::new();
    let (device, wire) = board::open_network();
    let sockets = SOCKET_MEMORY.init(StackResources::new());
    let config = Config::dhcpv4(DhcpConfig::default());
    let (stack, runner) = embassy_net::new(device, config, sockets, entropy.seed());

    spawner.spawn(wire_task(wire).unwrap());
    spawner.spawn(network_task(runner).unwrap());
    spawner.spawn(client_task(stack, Storage::new(Flash::new()), entropy).unwrap());
    spawner.spawn(product_task().unwrap());
}

#[embassy_executor::task]
async fn wire_task(wire: Wire) -> ! {
    board::run_wire(wire).await
}

#[embassy_executor::task]
async fn network_task(mut runner: Runner<'static, Device>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn client_task(stack: Stack<'static>, storage: Storage, entropy: Entropy) -> ! {
    activation::live(stack, storage, entropy).await
}

/// The product itself, here no more than its reminder: after grace it still does all it does.
#[embassy_executor::task]
async fn product_task() -> ! {
    loop {
        Timer::after_secs(60).await;
        if let Some(licence) = activation::licence() {
            match licence.status {
                LicenceStatus::Licensed => {}
                _ => defmt::warn!("this product is not activated: {}", licence),
            }
        }
    }
}
