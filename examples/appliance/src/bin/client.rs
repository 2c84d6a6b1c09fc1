//! An appliance that gets itself activated: it asks hosts to count it, stores what they say, and
//! renews in time. Its arguments are in README.md.
//!
//! It has no calendar. What time it is it learns from hosts, whose answers are signed; how much has
//! passed since, from the clock that counts from power-on.

#![no_std]
#![no_main]

use core::net::SocketAddr;
use core::num::NonZeroU8;
use core::str::FromStr;
use core::time::Duration;

use appliance::arguments::{Arguments, Wrong, from_hex};
use appliance::board::flash::FileFlash;
use appliance::board::{self, Board, Clock, Lan9118};
use appliance::exit::Exit;
use appliance::flash_store::FlashStore;
use appliance::nal::Stack;
use appliance::network::Memory;
use appliance::platform::Platform;
use appliance::product;
use appliance::trouble::Trouble;
use chacha20::ChaCha20Rng;
use cortex_m_rt::entry;
use headcount::client::{
    Client, Discard, Failure, IMAGE_LEN, Licence, Machine, Outcome, Product, Step,
};
use headcount::storage::{Corrupt, Found, Kind, SlotState, Slots, image_len};
use headcount::time::{Instant, Now};
use headcount::transport::{self, TcpExchange, Timeouts, UdpExchange};
use headcount::trust::Root;
use headcount::wire::{Frame, LicenceStatus, Name};
use heapless::Vec;
use rand_core::{Rng, SeedableRng};
use static_cell::{ConstStaticCell, StaticCell};

/// Sockets of each kind: one that asks, and one that may still be closing.
const SOCKETS: usize = 2;
/// A client listens on nothing, but the stack wants a number.
const BACKLOG: usize = 1;
type Network = Stack<'static, Lan9118, SOCKETS, BACKLOG>;

/// Hosts that can be named.
const HOSTS: usize = 4;
/// Where its two slots begin in the flash.
const STATE_ADDRESS: u32 = 0;

// What lives as long as the firmware has its place in static memory: the linker then tells whether
// it fits.
static SOCKET_MEMORY: ConstStaticCell<Memory<SOCKETS, SOCKETS, { SOCKETS + SOCKETS }>> =
    ConstStaticCell::new(Memory::new());
static NETWORK: StaticCell<Network> = StaticCell::new();
static ROOTS: StaticCell<[Root; 1]> = StaticCell::new();
static PRODUCT: StaticCell<Product<'static>> = StaticCell::new();
static CLIENT: StaticCell<Client<'static>> = StaticCell::new();
static APPLIANCE: StaticCell<Appliance> = StaticCell::new();

#[entry]
fn main() -> ! {
    let ended = start().and_then(Appliance::live);
    board::exit(ended.unwrap_or_else(|trouble| {
        defmt::error!("{}", trouble);
        trouble.exit()
    }))
}

/// Wakes up: hardware, network, stored state.
#[inline(never)] // Not inside the main loop: what this takes of the stack is free again afterwards.
fn start() -> Result<&'static mut Appliance, Trouble> {
    let settings = Settings::read(board::command_line())?;
    let Board { clock, ethernet, processor } = Board::start()?;
    let mac_address = ethernet.mac_address();
    let seed =
        settings.seed.map_or_else(board::entropy, Ok).map_err(Trouble::with(board::ENTROPY))?;
    let mut rng = ChaCha20Rng::from_seed(seed);
    let network = start_network(ethernet, clock.now(), rng.next_u64());

    let product = &*PRODUCT.init_with(|| product::client(ROOTS.init_with(product::roots)));
    let machine = Machine {
        fingerprint: product::fingerprint(settings.serial, mac_address, processor),
        workstation_name: Name::truncated(settings.serial),
        virtual_machine: false,
    };
    let hosts = NonZeroU8::new(settings.hosts.len() as u8).ok_or(Wrong::Missing("hosts"))?;
    let now = settings.now(&clock);

    let flash = FlashStore::new(
        FileFlash::open(settings.state, settings.flash_cycles)
            .map_err(Trouble::with(settings.state))?,
        STATE_ADDRESS,
    );
    let (client, slots) = wake(flash, |stored| match stored {
        Some(image) => Client::resume(product, machine, hosts, image, now, &mut rng),
        None => Ok(Client::new(product, machine, hosts, now, &mut rng)),
    })?;
    let Licence { status, left } = client.licence(now);
    defmt::info!(
        "ready: {}, left {}, latest host time {}",
        status,
        left.map(hours),
        client.floor()
    );
    Ok(APPLIANCE.init(Appliance {
        settings,
        clock,
        network,
        rng,
        client,
        slots,
        buffer: [0; image_len(IMAGE_LEN)],
        asked: 0,
        activated: 0,
    }))
}

/// The network stack, where it stays.
#[inline(never)] // What this takes of the stack is free again when signatures need it.
fn start_network(ethernet: Lan9118, now: Instant, seed: u64) -> &'static mut Network {
    let mac_address = ethernet.mac_address();
    NETWORK.init(SOCKET_MEMORY.take().into_stack(ethernet, mac_address, now, seed))
}

/// The client, where it stays, made from the stored state if there is one.
#[inline(never)] // As above.
fn wake(
    flash: FlashStore<FileFlash>,
    make: impl FnOnce(Option<&[u8]>) -> Result<Client<'static>, Corrupt>,
) -> Result<(&'static mut Client<'static>, Slots<FlashStore<FileFlash>>), Trouble> {
    let mut buffer = [0; image_len(IMAGE_LEN)];
    let (slots, found) = Slots::open(flash, Kind::Client, &mut buffer)?;
    defmt::info!("stored state: {}", found);
    let client = match found {
        Found::Whole { payload, .. } => make(Some(payload))?,
        // The very first save was cut: nothing is lost yet.
        Found::Nothing
        | Found::Damaged { a: SlotState::Empty, .. }
        | Found::Damaged { b: SlotState::Empty, .. } => make(None)?,
        // A power cut does not do this. A product may rather start afresh than not at all.
        Found::Damaged { a, b } => return Err(Trouble::Slots { a, b }),
    };
    Ok((CLIENT.init(client), slots))
}

/// All that the firmware is while it runs.
struct Appliance {
    settings: Settings,
    clock: Clock,
    network: &'static mut Network,
    rng: ChaCha20Rng,
    client: &'static mut Client<'static>,
    slots: Slots<FlashStore<FileFlash>>,
    buffer: [u8; image_len(IMAGE_LEN)],
    /// Exchanges since the start, and those that activated.
    asked: u32,
    activated: u32,
}

impl Appliance {
    /// The main loop: does what the client says, until the end that a test has set.
    fn live(&mut self) -> Result<Exit, Trouble> {
        loop {
            let now = self.settings.now(&self.clock);
            match self.client.poll(now, &mut self.rng) {
                Step::Save => self.slots.save(&self.client.image(now), &mut self.buffer)?,
                Step::Report(event) => defmt::info!("{}", event),
                Step::Send { host } => self.ask(host),
                Step::Wait { .. } if now.monotonic >= self.settings.end => {
                    return Ok(self.conclude(now));
                }
                Step::Wait { until } => self.wait(until.min(self.settings.end)),
            }
        }
    }

    /// One exchange with a host.
    fn ask(&mut self, host: u8) {
        let Self { settings, clock, network, rng, client, .. } = self;
        let Some(remote) = settings.hosts.get(usize::from(host)).copied() else { return };
        let Some(request) = client.pending_frame().copied() else { return };
        defmt::info!("asking host {}: {}", host, remote);
        self.asked += 1;

        let mut discarded = None;
        let judge = |_: Instant, answer: &Frame| {
            let result = client.handle_response(settings.now(clock), rng, answer);
            result.map_err(|discard: Discard| discarded = Some(discard)).ok()
        };
        let mut platform = Platform(clock);
        let asked = match settings.transport {
            Transport::Tcp => {
                let exchange = TcpExchange::new(remote, request, Timeouts::default());
                transport::run(exchange, *network, &mut platform, judge)
            }
            Transport::Udp => {
                let exchange = UdpExchange::new(remote, request);
                transport::run(exchange, *network, &mut platform, judge)
            }
        };
        match asked {
            Ok(outcome) => {
                defmt::info!("host {} answers: {}", host, outcome);
                self.activated += u32::from(matches!(outcome, Outcome::Activated { .. }));
            }
            Err(failure) => {
                defmt::warn!("host {} does not: {}", host, failure);
                let failure = discarded.map_or(Failure::NoAnswer, Failure::Discarded);
                client.give_up(settings.now(clock), rng, failure);
            }
        }
    }

    /// Keeps the network alive until then. A product does its work here.
    fn wait(&mut self, until: Instant) {
        let until = self.settings.real(until);
        while self.clock.now() < until {
            transport::Platform::idle(&mut Platform(&self.clock), self.network, until);
        }
    }

    /// The end of the run: what the licence is, else why it is not.
    fn conclude(&self, now: Now) -> Exit {
        let licence = self.client.licence(now);
        let exit = match (licence.status, self.client.last_attempt()) {
            (LicenceStatus::Licensed, _) => Exit::Done,
            (_, Some(Ok(Outcome::Refused(_)))) => Exit::Refused,
            (_, Some(Ok(_))) => Exit::BelowThreshold,
            (_, Some(Err(Failure::Discarded(_)))) => Exit::NotTrusted,
            (_, Some(Err(Failure::NoAnswer)) | None) => Exit::NobodyAnswered,
        };
        let Licence { status, left } = licence;
        defmt::info!("asked {} times, activated {} times", self.asked, self.activated);
        defmt::info!("end: {}, {}, left {}", exit, status, left.map(hours));
        exit
    }
}

/// Time as the log shows it.
#[derive(defmt::Format)]
struct Hours(u64);

fn hours(time: Duration) -> Hours {
    Hours(time.as_secs() / 3_600)
}

/// What the run is told: configuration that a product keeps elsewhere, and what only tests want.
struct Settings {
    /// The unit's serial number, which a real unit has in fuses.
    serial: &'static str,
    hosts: Vec<SocketAddr, HOSTS>,
    transport: Transport,
    /// Path of the file that stands for the flash.
    state: &'static str,
    /// How slow it is.
    flash_cycles: u32,
    /// Instead of randomness, for a run that can be repeated.
    seed: Option<[u8; 32]>,
    /// How many times faster than real the client's time goes.
    speed: u64,
    /// When to end the run, once there is nothing to do: the client's time.
    end: Instant,
}

#[derive(Clone, Copy)]
enum Transport {
    Tcp,
    Udp,
}

impl Settings {
    const NAMES: [&str; 8] =
        ["serial", "hosts", "transport", "state", "flash-cycles", "seed", "speed", "minutes"];

    fn read(line: &'static str) -> Result<Self, Wrong<'static>> {
        let arguments = Arguments::parse(line, &Self::NAMES)?;
        let hosts = arguments.text("hosts").ok_or(Wrong::Missing("hosts"))?;
        let minutes: u64 = arguments.value("minutes")?.unwrap_or(0);
        Ok(Self {
            serial: arguments.text("serial").ok_or(Wrong::Missing("serial"))?,
            hosts: parse_hosts(hosts).ok_or(Wrong::Value("hosts"))?,
            transport: arguments.value("transport")?.unwrap_or(Transport::Tcp),
            state: arguments.text("state").unwrap_or("client.flash"),
            flash_cycles: arguments.value("flash-cycles")?.unwrap_or(0),
            seed: match arguments.text("seed") {
                None => None,
                Some(digits) => Some(from_hex(digits).ok_or(Wrong::Value("seed"))?),
            },
            speed: arguments.value("speed")?.unwrap_or(1).max(1),
            end: Instant::from_millis(minutes.saturating_mul(60_000)),
        })
    }

    /// The time as the client is told it. Only tests make it run faster than the clock.
    fn now(&self, clock: &Clock) -> Now {
        let millis = clock.now().as_millis().saturating_mul(self.speed);
        Now::new(Instant::from_millis(millis), None)
    }

    /// When the clock will show what is this time to the client.
    fn real(&self, time: Instant) -> Instant {
        Instant::from_millis(time.as_millis().div_ceil(self.speed))
    }
}

/// Addresses with ports, separated by commas.
fn parse_hosts(text: &str) -> Option<Vec<SocketAddr, HOSTS>> {
    let mut hosts = Vec::new();
    for host in text.split(',') {
        hosts.push(host.parse().ok()?).ok()?;
    }
    Some(hosts)
}

impl FromStr for Transport {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(()),
        }
    }
}
