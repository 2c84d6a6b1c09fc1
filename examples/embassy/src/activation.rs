//! The client's whole life in one task: start from what is stored, ask, store, wait.

use core::cell::Cell;
use core::time::Duration;

use critical_section::Mutex;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use headcount::client::{Client, Licence, Product, Step};
use headcount::transport::Timeouts;
use headcount::transport::asynchronous::{Clock, ConnectedUdpExchange, TcpExchange, ask};

use crate::board::{BoardClock, Entropy};
use crate::product::{self, HOSTS, Way};
use crate::storage::Storage;
use crate::udp::{ConnectedSocket, SocketMemory};

/// Bytes of a connection's buffers, each way: a frame fits.
const BUFFER: usize = 256;

/// How long a request waits for the network to come up. The client counts a host as silent two
/// minutes after it said whom to ask, so this leaves the exchange its time.
const LINK_PATIENCE: Duration = Duration::from_secs(60);

/// For a button, or a menu's "activate now": the client asks without waiting for its interval.
pub static ASK_NOW: Signal<CriticalSectionRawMutex, ()> = Signal::new();

static LICENCE: Mutex<Cell<Option<Licence>>> = Mutex::new(Cell::new(None));

/// For the rest of the product: the licence as it was when the client last looked, which it does
/// whenever it changes. `None` before the first look.
pub fn licence() -> Option<Licence> {
    critical_section::with(|section| LICENCE.borrow(section).get())
}

/// Keeps the product activated.
pub async fn live(stack: Stack<'static>, mut storage: Storage, mut entropy: Entropy) -> ! {
    let clock = BoardClock;
    let tcp_memory = TcpClientState::<1, BUFFER, BUFFER>::new();
    let tcp = TcpClient::new(stack, &tcp_memory);
    let mut udp_memory = SocketMemory::new();

    let product = product::product();
    let mut client = start(product, &mut storage, &clock, &mut entropy).await;
    loop {
        let step = client.poll(clock.both(), &mut entropy);
        publish(client.licence(clock.both()));
        match step {
            Step::Save => {
                // The store still holds what it held before. Nothing better can be done than to go
                // on, and to save again at the next change or tomorrow.
                if let Err(error) = storage.save(&client.image(clock.both())).await {
                    defmt::error!("the state is not stored: {}", error);
                }
            }
            Step::Report(event) => defmt::info!("{}", event),
            Step::Wait { until } => {
                let slept = select(clock.sleep_until(until), ASK_NOW.wait()).await;
                if let Either::Second(()) = slept {
                    client.ask_now(clock.both());
                }
            }
            Step::Send { host } => {
                let host = &HOSTS[usize::from(host)];
                let patience = clock.now().after(LINK_PATIENCE);
                select(stack.wait_config_up(), clock.sleep_until(patience)).await;
                let end = match host.way {
                    Way::Tcp => {
                        let exchange =
                            TcpExchange::new(&tcp, host.address.into(), Timeouts::default());
                        ask(&mut client, exchange, &clock, &mut entropy).await
                    }
                    Way::Udp => {
                        let mut socket =
                            ConnectedSocket::open(stack, &mut udp_memory, host.address);
                        let exchange = ConnectedUdpExchange::new(&mut socket);
                        ask(&mut client, exchange, &clock, &mut entropy).await
                    }
                };
                match end {
                    Ok(outcome) => defmt::info!("{}", outcome),
                    Err(failure) => defmt::warn!("{}, {}", failure, client.last_attempt()),
                }
            }
        }
    }
}

/// The client as it was stored, or a new one.
async fn start(
    product: &'static Product<'static>,
    storage: &mut Storage,
    clock: &BoardClock,
    entropy: &mut Entropy,
) -> Client<'static> {
    let machine = product::machine();
    let hosts = product::host_count();
    match storage.load().await {
        Ok(Some(image)) => {
            match Client::resume(product, machine, hosts, &image, clock.both(), entropy) {
                Ok(client) => return client,
                Err(corrupt) => defmt::error!("the stored state is of no use: {}", corrupt),
            }
        }
        Ok(None) => defmt::info!("first start"),
        Err(error) => defmt::error!("the stored state cannot be read: {}", error),
    }
    Client::new(product, machine, hosts, clock.both(), entropy)
}

fn publish(licence: Licence) {
    critical_section::with(|section| LICENCE.borrow(section).set(Some(licence)));
}
