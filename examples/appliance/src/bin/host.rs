//! An appliance that is a host: it counts the machines of its site, answers them, and keeps the
//! count. Its arguments are in README.md.

#![no_std]
#![no_main]

use core::net::SocketAddr;
use core::time::Duration;

use appliance::arguments::{Arguments, Wrong, from_hex};
use appliance::board::flash::FileFlash;
use appliance::board::{self, Board, Clock, Lan9118, files};
use appliance::exit::Exit;
use appliance::flash_store::FlashStore;
use appliance::nal::Stack;
use appliance::network::Memory;
use appliance::platform::Platform;
use appliance::product;
use appliance::trouble::Trouble;
use chacha20::ChaCha20Rng;
use cortex_m_rt::entry;
use headcount::host::{Host, HostCounters, Pool, Settings, SetupKey, Source};
use headcount::policy::PORT;
use headcount::storage::{Found, Kind, SlotState, Slots, image_len};
use headcount::time::{Instant, Now, UnixTime};
use headcount::transport::{Platform as _, Service as _, TcpServer, UdpServer};
use headcount::trust::{self, Signer as _, SigningKey};
use headcount::wire::{CERTIFICATE_LEN, Certificate, Frame, Verdict};
use rand_core::{Rng, SeedableRng};
use static_cell::{ConstStaticCell, StaticCell};

/// Connections that are served at the same time.
const CONNECTIONS: usize = 8;
/// Newcomers that wait until one of those is free. The rest is not heard and tries again.
const BACKLOG: usize = 8;
/// For those, and for as many connections whose end the peer has not confirmed yet.
const TCP_SOCKETS: usize = 2 * CONNECTIONS + BACKLOG;
/// For the port, which stays open.
const UDP_SOCKETS: usize = 1;
type Network = Stack<'static, Lan9118, TCP_SOCKETS, BACKLOG>;

/// Addresses that the rate limit remembers at once.
const SOURCES: usize = 16;
type Counts = Pool<'static, { product::CAPACITY }>;
type Counter = Host<'static, { product::CAPACITY }, SOURCES>;

/// Where its two slots begin in the flash.
const STATE_ADDRESS: u32 = 0;
const SNAPSHOT_LEN: usize = Counter::snapshot_capacity(1);

/// How long the last answers may take to leave before a run ends.
const FAREWELL: Duration = Duration::from_millis(500);

// What lives as long as the firmware has its place in static memory: the linker then tells whether
// it fits.
static SOCKET_MEMORY: ConstStaticCell<
    Memory<TCP_SOCKETS, UDP_SOCKETS, { TCP_SOCKETS + UDP_SOCKETS }>,
> = ConstStaticCell::new(Memory::new());
static NETWORK: StaticCell<Network> = StaticCell::new();
static POOLS: StaticCell<[Counts; 1]> = StaticCell::new();
static KEYS: StaticCell<[SetupKey; 2]> = StaticCell::new();
static HOST: StaticCell<Counter> = StaticCell::new();
static APPLIANCE: StaticCell<Appliance> = StaticCell::new();
static SERVERS: ConstStaticCell<Servers> =
    ConstStaticCell::new((TcpServer::new(PORT), UdpServer::new(PORT)));
static MEMORY: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers {
    snapshot: [0; SNAPSHOT_LEN],
    image: [0; image_len(SNAPSHOT_LEN)],
});

type Servers = (TcpServer<Network, CONNECTIONS>, UdpServer<Network>);

struct Buffers {
    snapshot: [u8; SNAPSHOT_LEN],
    image: [u8; image_len(SNAPSHOT_LEN)],
}

#[entry]
fn main() -> ! {
    let ended = start().and_then(Appliance::serve);
    board::exit(ended.unwrap_or_else(|trouble| {
        defmt::error!("{}", trouble);
        trouble.exit()
    }))
}

/// Wakes up: hardware, factory data, network, stored state.
#[inline(never)] // Not inside the main loop: what this takes of the stack is free again afterwards.
fn start() -> Result<&'static mut Appliance, Trouble> {
    let run = Run::read(board::command_line())?;
    let Board { clock, ethernet, .. } = Board::start()?;
    let calendar = Calendar { at_start: run.calendar.or_else(board::read_calendar) };
    let mut rng = ChaCha20Rng::from_seed(
        run.seed.map_or_else(board::entropy, Ok).map_err(Trouble::with(board::ENTROPY))?,
    );
    let network = start_network(ethernet, clock.now(), rng.next_u64());

    let key = read_key(run.key)?;
    let certificate = read_certificate(run.certificate)?;
    if certificate.claims.public_key != key.public_key() {
        return Err(Trouble::OtherKey);
    }
    let mut hash_key = [0; 16];
    rng.fill_bytes(&mut hash_key);
    let host = HOST.init_with(|| {
        Host::new(
            POOLS.init_with(|| {
                [Pool::new(product::COUNTED_ID, &product::SERVED, product::MATCHING)]
            }),
            KEYS.init(product::setup_keys()),
            Some(certificate),
            Settings::DEFAULT,
            hash_key,
        )
    });

    let memory = MEMORY.take();
    let flash = FlashStore::new(
        FileFlash::open(run.state, run.flash_cycles).map_err(Trouble::with(run.state))?,
        STATE_ADDRESS,
    );
    let (slots, found) = Slots::open(flash, Kind::Host, &mut memory.image)?;
    defmt::info!("stored state: {}", found);
    match found {
        Found::Whole { payload, .. } => {
            let restored = host.restore(calendar.now(clock.now()), payload)?;
            defmt::info!("{}", restored);
        }
        // The very first save was cut: nothing is lost yet.
        Found::Nothing
        | Found::Damaged { a: SlotState::Empty, .. }
        | Found::Damaged { b: SlotState::Empty, .. } => {}
        // A power cut does not do this. A product may rather count afresh than not at all.
        Found::Damaged { a, b } => return Err(Trouble::Slots { a, b }),
    }
    let (saved, answered_before) = (host.counters().granted, answers(host.counters()));
    Ok(APPLIANCE.init(Appliance {
        run,
        clock,
        calendar,
        network,
        host,
        key,
        slots,
        memory,
        saved,
        answered_before,
    }))
}

/// The network stack, where it stays.
#[inline(never)] // What this takes of the stack is free again when signatures need it.
fn start_network(ethernet: Lan9118, now: Instant, seed: u64) -> &'static mut Network {
    let mac_address = ethernet.mac_address();
    NETWORK.init(SOCKET_MEMORY.take().into_stack(ethernet, mac_address, now, seed))
}

/// All that the firmware is while it runs.
struct Appliance {
    run: Run,
    clock: Clock,
    calendar: Calendar,
    network: &'static mut Network,
    host: &'static mut Counter,
    key: SigningKey,
    slots: Slots<FlashStore<FileFlash>>,
    memory: &'static mut Buffers,
    /// Requests granted when the state was saved last.
    saved: u32,
    /// Answers up to the start of this run.
    answered_before: u32,
}

impl Appliance {
    /// The main loop: serves, saves, and runs the network, until the end that a test has set.
    fn serve(&mut self) -> Result<Exit, Trouble> {
        let servers = SERVERS.take();
        servers.0.open(self.network)?;
        servers.1.open(self.network)?;
        defmt::info!("ready: port {}", PORT);
        while !self.is_over() {
            let now = self.clock.now();
            let Self { calendar, network, host, key, .. } = self;
            let served = servers.poll(network, now, |at, peer, frame| {
                answer(host, key, calendar.now(at), peer, frame)
            });
            // Answers leave when the network runs next: no machine is told a count that a power
            // cut could take back.
            self.save(now)?;
            Platform(&self.clock).idle(self.network, served.wake_at);
        }
        self.bid_farewell(servers);
        Ok(Exit::Done)
    }

    /// Saves when something was counted. What is refused or not answered changes no count, so a
    /// flood of junk does not wear out the flash.
    fn save(&mut self, now: Instant) -> Result<(), Trouble> {
        let granted = self.host.counters().granted;
        if granted == self.saved {
            return Ok(());
        }
        let Buffers { snapshot, image } = &mut *self.memory;
        let length = self.host.snapshot(self.calendar.now(now), snapshot)?;
        self.slots.save(&snapshot[..length], image)?;
        self.saved = granted;
        Ok(())
    }

    fn is_over(&self) -> bool {
        let answered = answers(self.host.counters()) - self.answered_before;
        self.run.answers.is_some_and(|limit| answered >= limit)
            || self.run.end.is_some_and(|end| self.clock.now() >= end)
    }

    /// The end of the run: the last answers leave, and the log gets all counters.
    fn bid_farewell(&mut self, servers: &mut Servers) {
        let until = self.clock.now().after(FAREWELL);
        while self.clock.now() < until {
            Platform(&self.clock).idle(self.network, until);
        }
        for pool in self.host.pools(self.calendar.now(until)) {
            defmt::info!("machines {}, limit {}, {}", pool.count, pool.limit, pool.counters);
        }
        defmt::info!("{}", self.host.counters());
        defmt::info!("{}", servers.0.counters());
        defmt::info!("{}", servers.1.counters());
        defmt::info!("end");
    }
}

/// What the host says to one frame.
fn answer(
    host: &mut Counter,
    key: &SigningKey,
    now: Now,
    peer: SocketAddr,
    frame: &Frame,
) -> Option<Frame> {
    let body = match host.decide(now, Source::from(peer.ip()), frame) {
        Ok(body) => body,
        Err(silence) => {
            defmt::info!("{}: no answer, {}", peer, silence);
            return None;
        }
    };
    match body.verdict {
        Verdict::Granted { count, .. } => defmt::info!("{}: counted, now {}", peer, count),
        Verdict::Refused(refusal) => defmt::info!("{}: refused, {}", peer, refusal),
    }
    // A key in memory always signs; a secure element may fail, see `Host::signer_failed`.
    let Ok(answer) = trust::sign_response(&body, key);
    Some(answer)
}

/// Requests that were answered, granted or not.
fn answers(counters: &HostCounters) -> u32 {
    counters.refused.iter().fold(counters.granted, |sum, refused| sum.saturating_add(*refused))
}

/// The calendar: what it was at power-on, and the clock since.
struct Calendar {
    at_start: Option<UnixTime>,
}

impl Calendar {
    fn now(&self, monotonic: Instant) -> Now {
        let clock = self.at_start.map(|start| start.after(monotonic.since(Instant::ZERO)));
        Now::new(monotonic, clock)
    }
}

/// The host's private key, as `headcount host init` writes it.
fn read_key(path: &'static str) -> Result<SigningKey, Trouble> {
    let mut digits = [0; 66];
    let digits = core::str::from_utf8(files::read(path, &mut digits).map_err(Trouble::with(path))?)
        .unwrap_or_default();
    let seed = from_hex(digits.trim_ascii()).ok_or(Trouble::Key)?;
    Ok(SigningKey::from_seed(&seed))
}

/// The host's certificate, as `headcount host enrol` writes it.
fn read_certificate(path: &'static str) -> Result<Certificate, Trouble> {
    let mut bytes = [0; CERTIFICATE_LEN];
    let length = files::read(path, &mut bytes).map_err(Trouble::with(path))?.len();
    if length != CERTIFICATE_LEN {
        return Err(Trouble::Certificate(None));
    }
    Certificate::parse(&bytes).map_err(|malformed| Trouble::Certificate(Some(malformed)))
}

/// What the run is told: factory data, and what only tests want.
struct Run {
    /// Paths of the files that stand for protected flash.
    key: &'static str,
    certificate: &'static str,
    /// Path of the file that stands for the flash.
    state: &'static str,
    /// How slow it is.
    flash_cycles: u32,
    /// Instead of what the real-time clock says.
    calendar: Option<UnixTime>,
    /// Instead of randomness, for a run that can be repeated.
    seed: Option<[u8; 32]>,
    /// When to end the run.
    answers: Option<u32>,
    end: Option<Instant>,
}

impl Run {
    const NAMES: [&str; 8] =
        ["key", "certificate", "state", "flash-cycles", "calendar", "seed", "answers", "seconds"];

    fn read(line: &'static str) -> Result<Self, Wrong<'static>> {
        let arguments = Arguments::parse(line, &Self::NAMES)?;
        let seconds: Option<u64> = arguments.value("seconds")?;
        Ok(Self {
            key: arguments.text("key").unwrap_or("host.key"),
            certificate: arguments.text("certificate").unwrap_or("host.certificate"),
            state: arguments.text("state").unwrap_or("host.flash"),
            flash_cycles: arguments.value("flash-cycles")?.unwrap_or(0),
            calendar: arguments.value("calendar")?.map(UnixTime::from_secs),
            seed: match arguments.text("seed") {
                None => None,
                Some(digits) => Some(from_hex(digits).ok_or(Wrong::Value("seed"))?),
            },
            answers: arguments.value("answers")?,
            end: seconds.map(|seconds| Instant::from_millis(seconds.saturating_mul(1_000))),
        })
    }
}
