//! An appliance that gets itself activated: it finds hosts by DNS, asks them to count it, stores what
//! they say, and renews in time. Its arguments are in README.md.
//!
//! It has no calendar. What time it is it learns from hosts, whose answers are signed; how much has
//! passed since, from the clock that counts from power-on.

#![no_std]
#![no_main]

use core::net::{AddrParseError, IpAddr, Ipv4Addr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;

use appliance::arguments::{Arguments, Wrong, from_hex};
use appliance::board::flash::{BLOCK_LEN, FileFlash};
use appliance::board::{self, Board, Clock, Lan9118};
use appliance::exit::Exit;
use appliance::flash_store::FlashStore;
use appliance::host_memory::HostMemory;
use appliance::nal::Stack;
use appliance::network::{Memory, NAME_SERVER};
use appliance::platform::Platform;
use appliance::product;
use appliance::trouble::Trouble;
use chacha20::ChaCha20Rng;
use cortex_m_rt::entry;
use defmt::Display2Format;
use headcount::client::{
    Client, Discard, Failure, IMAGE_LEN, Licence, Machine, Outcome, Product, Step,
};
use headcount::discovery::{self, ADDRESSES, DomainName, Find, Finder, Host, Proto};
use headcount::storage::{Corrupt, Found, Kind, SlotState, Slots, image_len};
use headcount::time::{Instant, Now};
use headcount::transport::{
    self, DnsExchange, DnsFailure, Family, Resolver, TcpExchange, Timeouts, UdpExchange,
};
use headcount::trust::{Root, VerifyingKey};
use headcount::wire::{Frame, LicenceStatus, Name};
use heapless::Vec;
use rand_core::{Rng, SeedableRng};
use static_cell::{ConstStaticCell, StaticCell};

/// Sockets of each kind: one that asks, and one that may still be closing.
const SOCKETS: usize = 2;
/// A client listens on nothing, but the stack wants a number.
const BACKLOG: usize = 1;
type Network = Stack<'static, Lan9118, SOCKETS, BACKLOG>;

/// Hosts that can be named, or kept of those that DNS names.
const HOSTS: usize = 4;
/// Domains that can be searched for hosts.
const DOMAINS: usize = 4;
/// Name servers that can be asked.
const NAME_SERVERS: usize = 2;
/// The longest answer of one: some thirty hosts.
const DNS_ANSWER_LEN: usize = 2_048;
type Activation = Client<'static, VerifyingKey, Finder<'static, HOSTS>>;

/// Where in the flash the client's state begins: two slots, each an erase block.
const STATE_ADDRESS: u32 = 0;
/// Where the name of the host begins that is asked first.
const HOST_ADDRESS: u32 = 2 * BLOCK_LEN as u32;

// What lives as long as the firmware has its place in static memory: the linker then tells whether
// it fits.
static SOCKET_MEMORY: ConstStaticCell<Memory<SOCKETS, SOCKETS, { SOCKETS + SOCKETS }>> =
    ConstStaticCell::new(Memory::new());
static NETWORK: StaticCell<Network> = StaticCell::new();
static ROOTS: StaticCell<[Root; 1]> = StaticCell::new();
static PRODUCT: StaticCell<Product<'static>> = StaticCell::new();
static SETTINGS: StaticCell<Settings> = StaticCell::new();
static DISCOVERY: StaticCell<discovery::Settings<'static>> = StaticCell::new();
static CLIENT: StaticCell<Activation> = StaticCell::new();
static DNS_ANSWER: ConstStaticCell<[u8; DNS_ANSWER_LEN]> =
    ConstStaticCell::new([0; DNS_ANSWER_LEN]);
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
    let settings = read_settings()?;
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
    let discovery = &*DISCOVERY.init(settings.discovery());
    let now = settings.now(&clock);

    let flash = || {
        FileFlash::open(settings.state, settings.flash_cycles)
            .map_err(Trouble::with(settings.state))
    };
    let (client, slots) = wake(FlashStore::new(flash()?, STATE_ADDRESS), |stored| {
        let finder = Finder::new(discovery);
        match stored {
            Some(image) => Client::resume_with(product, machine, finder, image, now, &mut rng),
            None => Ok(Client::new_with(product, machine, finder, now, &mut rng)),
        }
    })?;
    let (host_memory, remembered) = HostMemory::open(flash()?, HOST_ADDRESS)?;
    if let Some((host, addresses)) = remembered {
        defmt::info!("remembered: {}", Display2Format(&host));
        client.remember_host(host, &addresses);
    }
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
        host_memory,
        buffer: [0; image_len(IMAGE_LEN)],
        dns_answer: DNS_ANSWER.take(),
        asked: 0,
        activated: 0,
    }))
}

/// What the run is told, where it stays.
#[inline(never)] // What this takes of the stack is free again when signatures need it.
fn read_settings() -> Result<&'static Settings, Wrong<'static>> {
    Ok(SETTINGS.init(Settings::read(board::command_line())?))
}

/// The network stack, where it stays.
#[inline(never)] // As above.
fn start_network(ethernet: Lan9118, now: Instant, seed: u64) -> &'static mut Network {
    let mac_address = ethernet.mac_address();
    NETWORK.init(SOCKET_MEMORY.take().into_stack(ethernet, mac_address, now, seed))
}

/// The client, where it stays, made from the stored state if there is one.
#[inline(never)] // As above.
fn wake(
    flash: FlashStore<FileFlash>,
    make: impl FnOnce(Option<&[u8]>) -> Result<Activation, Corrupt>,
) -> Result<(&'static mut Activation, Slots<FlashStore<FileFlash>>), Trouble> {
    let mut buffer = [0; image_len(IMAGE_LEN)];
    let (slots, found) = Slots::open(flash, Kind::Client, &mut buffer)?;
    defmt::info!("stored state: {}", found);
    let stored = match found {
        Found::Whole { payload, .. } => Some(payload),
        // The very first save was cut: nothing is lost yet.
        Found::Nothing
        | Found::Damaged { a: SlotState::Empty, .. }
        | Found::Damaged { b: SlotState::Empty, .. } => None,
        // A power cut does not do this. A product may rather start afresh than not at all.
        Found::Damaged { a, b } => return Err(Trouble::Slots { a, b }),
    };
    Ok((CLIENT.init(make(stored)?), slots))
}

/// All that the firmware is while it runs.
struct Appliance {
    settings: &'static Settings,
    clock: Clock,
    network: &'static mut Network,
    rng: ChaCha20Rng,
    client: &'static mut Activation,
    slots: Slots<FlashStore<FileFlash>>,
    host_memory: HostMemory<FileFlash>,
    buffer: [u8; image_len(IMAGE_LEN)],
    dns_answer: &'static mut [u8; DNS_ANSWER_LEN],
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
                Step::Save => self.save(now)?,
                Step::Report(event) => defmt::info!("{}", event),
                Step::Find(what) => {
                    if let Err(failure) = self.find(what) {
                        defmt::warn!("not found: {}", failure);
                        self.client.give_up_finding(self.settings.now(&self.clock), &mut self.rng);
                    }
                }
                Step::Send { .. } => self.ask(),
                Step::Wait { .. } if now.monotonic >= self.settings.end => {
                    return Ok(self.conclude(now));
                }
                Step::Wait { until } => self.wait(until.min(self.settings.end)),
            }
        }
    }

    /// Stores the state; and which host to ask first the next time, when that has changed.
    #[inline(never)] // As above.
    fn save(&mut self, now: Now) -> Result<(), Trouble> {
        self.slots.save(&self.client.image(now), &mut self.buffer)?;
        let hosts = self.client.hosts();
        if let Some(host) = hosts.remembered() {
            self.host_memory.keep(host, hosts.remembered_addresses())?;
        }
        Ok(())
    }

    /// Asks the name servers for what the client must know before it can ask a host. Where the
    /// client's time is the clock's, this is what `transport::find` does.
    #[inline(never)] // As above.
    fn find(&mut self, what: Find) -> Result<(), DnsFailure> {
        let Self { settings, clock, network, rng, client, dns_answer, .. } = self;
        let mut platform = Platform(clock);
        match (what, client.query().cloned(), client.name_to_look_up().cloned()) {
            (Find::Query, Some(query), _) => {
                defmt::info!("looking for {}", query.name());
                let mut exchange = DnsExchange::new(&settings.dns, query, &mut dns_answer[..]);
                let answer = transport::look_up(&mut exchange, *network, &mut platform)?;
                // Not refused: the exchange has judged it already.
                let _ = client.handle_dns_answer(settings.now(clock), rng, answer);
            }
            (Find::LookUp, _, Some(name)) => {
                defmt::info!("looking up {}", name);
                let mut resolver = Resolver {
                    servers: &settings.dns,
                    families: &[Family::V4],
                    buffer: &mut dns_answer[..],
                };
                let mut found = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); ADDRESSES];
                let addresses = transport::look_up_addresses(
                    &name,
                    &mut found,
                    &mut resolver,
                    *network,
                    &mut platform,
                    rng,
                )?;
                client.handle_addresses(settings.now(clock), rng, addresses);
            }
            _ => return Err(DnsFailure::NoQuestion),
        }
        Ok(())
    }

    /// One exchange with a host.
    #[inline(never)] // As above.
    fn ask(&mut self) {
        let Self { settings, clock, network, rng, client, .. } = self;
        let (Some(host), Some(remote)) = (client.hosts().host(), client.address()) else { return };
        let Some(request) = client.pending_frame().copied() else { return };
        defmt::info!("asking {} at {}", Display2Format(host), remote);
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
                defmt::info!("{} answers: {}", remote, outcome);
                self.activated += u32::from(matches!(outcome, Outcome::Activated { .. }));
            }
            Err(failure) => {
                defmt::warn!("{} does not: {}", remote, failure);
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
            (_, Some(Err(Failure::NoAnswer | Failure::NoHost)) | None) => Exit::NobodyAnswered,
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
    /// Hosts set by hand. When there are any, none are looked for.
    hosts: Vec<Host, HOSTS>,
    /// Where hosts are looked for.
    domains: Vec<DomainName, DOMAINS>,
    dns: Vec<SocketAddr, NAME_SERVERS>,
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
    const NAMES: [&str; 10] = [
        "serial",
        "hosts",
        "domain",
        "dns",
        "transport",
        "state",
        "flash-cycles",
        "seed",
        "speed",
        "minutes",
    ];

    fn read(line: &'static str) -> Result<Self, Wrong<'static>> {
        let arguments = Arguments::parse(line, &Self::NAMES)?;
        let hosts = arguments.list("hosts")?;
        let domains = arguments.list("domain")?;
        if hosts.is_empty() && domains.is_empty() {
            return Err(Wrong::Missing("hosts"));
        }
        let servers: Vec<NameServer, NAME_SERVERS> = arguments.list("dns")?;
        let mut dns: Vec<_, _> = servers.iter().map(|server| server.0).collect();
        if dns.is_empty() {
            // There is room.
            let _ = dns.push(NAME_SERVER);
        }
        let minutes: u64 = arguments.value("minutes")?.unwrap_or(0);
        Ok(Self {
            serial: arguments.text("serial").ok_or(Wrong::Missing("serial"))?,
            hosts,
            domains,
            dns,
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

    /// How the client finds its hosts.
    fn discovery(&self) -> discovery::Settings<'_> {
        let proto = match self.transport {
            Transport::Tcp => Proto::Tcp,
            Transport::Udp => Proto::Udp,
        };
        let Self { hosts, domains, .. } = self;
        discovery::Settings { hosts, domains, proto, ..discovery::Settings::DEFAULT }
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

/// A name server's address, with port 53 where none is given.
struct NameServer(SocketAddr);

impl FromStr for NameServer {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        let address = |_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53));
        text.parse().or_else(address).map(Self)
    }
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
