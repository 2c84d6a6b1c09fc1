//! Durable activations by key, beside the database's own commits: the real service over sockets,
//! and the bare database, in turns on one disk.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headcount::daemon::{
    AuthorityConfig, AuthorityFiles, Clock, Database, KeyTerms, Limits, Listen, NewKey,
    ProductFile, RedbDatabase, ServiceConfig, SystemClock, system_rng,
};
use headcount::time::{Minutes, UnixTime};
use headcount::trust::{self, TagSchedule};
use headcount::wire::{
    Cmid, CountedId, Frame, LicenceStatus, Method, Name, Nonce, Request, Response, Verdict,
};
use redb::{Durability, TableDefinition};
use serde_json::json;

use super::report::{grouped, rounded, whole};
use super::serve::Vendor;
use crate::output::{Exit, Output, Problem};

/// What the service is to reach of the database's own commits of one record.
const GOAL: f64 = 0.8;

/// About what an activation records, in one row.
const ROW: [u8; 500] = [0x5a; 500];
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

/// Measures for so long each, in each round.
pub(super) struct Plan {
    pub(super) duration: Duration,
    pub(super) rounds: u32,
    pub(super) connections: u16,
}

/// Rates of one round, in a second.
struct Round {
    activations: f64,
    single: f64,
    batched: f64,
    batch: u64,
}

pub(super) fn run(plan: &Plan, output: Output) -> Result<Exit, Problem> {
    let folder = std::env::temp_dir().join(format!("headcount-bench-{}", std::process::id()));
    let result = in_folder(plan, &folder, output);
    // It was made by this run, whatever came of it.
    let _ = fs::remove_dir_all(&folder);
    result
}

fn in_folder(plan: &Plan, folder: &Path, output: Output) -> Result<Exit, Problem> {
    let vendor = folder.join("vendor");
    let (product, schedule, key_id) = prepare(&vendor)?;
    let machines = Machines { product, schedule, key_id, next: AtomicU64::new(0) };
    let bare = redb::Database::create(folder.join("bare.redb")).map_err(|error| fail(&error))?;
    let file = vendor.join(RedbDatabase::FILE);
    let size = || fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let mut row = 0;
    let mut rounds = Vec::new();
    let (mut activations, mut commits, mut resident) = (0, 0, 0);
    let before = size();
    for number in 1..=plan.rounds {
        let service = Service::start(&vendor)?;
        let (granted, elapsed) = machines.load(&service, plan)?;
        resident = resident.max(service.resident_kib());
        let committed = service.stop()?;
        activations += granted;
        commits += committed;
        let batch = (granted / committed.max(1)).max(1);
        let single = commit_rate(&bare, &mut row, 1, plan.duration)?;
        let batched = commit_rate(&bare, &mut row, batch, plan.duration)?;
        let round = Round { activations: per_second(granted, elapsed), single, batched, batch };
        output.line(format_args!(
            "round {number}: {} activations a second, {batch} a commit; the database alone: {} \
             commits of one row a second, {} rows in commits of {batch}",
            grouped(whole(round.activations)),
            grouped(whole(single)),
            grouped(whole(batched)),
        ));
        rounds.push(round);
    }
    let growth = size().saturating_sub(before) / activations.max(1);
    let ratio = median(rounds.iter().map(|round| round.activations / round.single));
    let batched = median(rounds.iter().map(|round| round.activations / round.batched));
    let reached = if ratio >= GOAL { "reached" } else { "missed" };
    output.line(format_args!(
        "activations / commits of one row: {ratio:.2} (median; goal {GOAL}: {reached})\n\
         activations / rows in as large commits: {batched:.2} (median)\n\
         {} activations in {} commits; the file grew by {growth} bytes each; the service had {} KiB \
         of memory",
        grouped(activations),
        grouped(commits),
        grouped(resident),
    ));
    output.document(&json!({
        "seconds": plan.duration.as_secs(),
        "connections": plan.connections,
        "goal": GOAL,
        "ratio_to_single_commits": rounded(ratio, 3),
        "ratio_to_batched_rows": rounded(batched, 3),
        "activations": activations,
        "commits": commits,
        "bytes_per_activation": growth,
        "resident_kib": resident,
        "rounds": rounds.iter().map(|round| json!({
            "activations_per_second": rounded(round.activations, 1),
            "single_commits_per_second": rounded(round.single, 1),
            "batched_rows_per_second": rounded(round.batched, 1),
            "batch": round.batch,
        })).collect::<Vec<_>>(),
    }));
    Ok(Exit::Done)
}

/// A vendor's folder with one product and a key that is never used up.
fn prepare(folder: &Path) -> Result<(ProductFile, TagSchedule, headcount::wire::KeyId), Problem> {
    let mut files = AuthorityFiles::init(folder, 1, 3_650, &mut system_rng())?;
    let product = ProductFile { roots: files.roots(), ..Vendor::new()?.product };
    files.write_new_product(&product)?;
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let service = ServiceConfig {
        listen: vec![Listen { address, tcp: true, udp: true }],
        limits: Limits {
            connections_per_source: 4_096,
            request_interval_ms: 0,
            ..Limits::default()
        },
        ..ServiceConfig::default()
    };
    files.set_config(AuthorityConfig { service, ..files.config().clone() })?;
    let key = NewKey {
        terms: KeyTerms::Mak { activations: u32::MAX },
        product: None,
        family: product.family,
        rank: product.rank,
        generation: product.generation,
        note: None,
    };
    let record = files
        .database()
        .write(|records| records.add_key(&key, now()))
        .flatten()
        .map_err(|error| fail(&error))?;
    let key = files.product_key(&record)?;
    Ok((product, TagSchedule::new(&key.tag_key()), key.key_id()))
}

/// Machines without end, each of which asks once.
struct Machines {
    product: ProductFile,
    schedule: TagSchedule,
    key_id: headcount::wire::KeyId,
    next: AtomicU64,
}

impl Machines {
    /// All connections ask, one machine after the other. How many were granted, in what time.
    fn load(&self, service: &Service, plan: &Plan) -> Result<(u64, Duration), Problem> {
        let over = AtomicBool::new(false);
        let start = Instant::now();
        let granted: Result<u64, String> = thread::scope(|scope| {
            let clients: Vec<_> = (0..plan.connections)
                .map(|_| scope.spawn(|| self.ask(service.address, &over)))
                .collect();
            thread::sleep(plan.duration);
            over.store(true, Ordering::Relaxed);
            let ended = |client: thread::ScopedJoinHandle<'_, Result<u64, String>>| {
                client.join().unwrap_or_else(|_| Err("a client panicked".into()))
            };
            clients.into_iter().map(ended).sum()
        });
        let elapsed = start.elapsed();
        granted.map(|granted| (granted, elapsed)).map_err(|error| fail(&error))
    }

    fn ask(&self, address: SocketAddr, over: &AtomicBool) -> Result<u64, String> {
        let fail = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(address).map_err(fail)?;
        stream.set_nodelay(true).map_err(fail)?;
        let mut granted = 0;
        while !over.load(Ordering::Relaxed) {
            let request = self.request(self.next.fetch_add(1, Ordering::Relaxed))?;
            let mut answer = [0; 250];
            stream
                .write_all(&request)
                .and_then(|()| stream.read_exact(&mut answer))
                .map_err(fail)?;
            let body = Response::parse(&answer).map_err(|error| error.to_string())?.body;
            match body.verdict {
                Verdict::Granted { .. } => granted += 1,
                Verdict::Refused(refusal) => return Err(format!("refused: {}", refusal.name())),
            }
        }
        Ok(granted)
    }

    fn request(&self, number: u64) -> Result<Frame, String> {
        let known = self.product.for_client(&[])?;
        let mut cmid = [1; 16];
        cmid[8..].copy_from_slice(&number.to_be_bytes());
        let serial = number.to_be_bytes();
        let components = [Some(serial.as_slice()), None, None, None, None, None, None, None];
        Ok(self.schedule.seal(&Request {
            virtual_machine: false,
            renewal: false,
            licence_status: LicenceStatus::InitialGrace,
            method: Method::Key,
            required_count: NonZeroU32::MIN,
            time_left: Minutes::from_days(30),
            application_id: known.application_id,
            activation_id: known.activation_id,
            counted_id: CountedId([0; 16]),
            cmid: Cmid::new(cmid).ok_or("a CMID")?,
            previous_cmid: None,
            client_time: Some(now()),
            nonce: Nonce(cmid),
            fingerprint: trust::fingerprint(known.application_id, &components),
            workstation_name: Name::truncated(&format!("bench-{number}")),
            key_id: self.key_id,
        }))
    }
}

/// The service in a process of its own, as vendors run it.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Service {
    fn start(folder: &Path) -> Result<Self, Problem> {
        let program = std::env::current_exe().map_err(|error| fail(&error))?;
        let mut child = Command::new(program)
            .args(["authority", "run", "--config"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| fail(&error))?;
        let (Some(output), Some(log)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(fail(&"the service has no output"));
        };
        let mut address = None;
        for line in BufReader::new(output).lines() {
            let line = line.map_err(|error| fail(&error))?;
            if line == "READY" {
                break;
            }
            address = address.or(line.split(' ').find_map(|word| word.parse().ok()));
        }
        let mut service = Self { child, log: BufReader::new(log), address: ([0; 4], 0).into() };
        service.address = address.ok_or_else(|| fail(&"the service does not start"))?;
        Ok(service)
    }

    /// The most memory that it had, in KiB; 0 where the system does not tell.
    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Stops it; how many transactions it committed, as its last words tell.
    fn stop(mut self) -> Result<u64, Problem> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        asked.map_err(|error| fail(&error))?;
        let mut log = String::new();
        self.log.read_to_string(&mut log).map_err(|error| fail(&error))?;
        let commits = log.rsplit("commits ").next().unwrap_or_default();
        let digits: String = commits.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().map_err(|_| fail(&format!("the service did not stop well: {log}")))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rows a second that the bare database commits, `batch` in each durable commit.
fn commit_rate(
    database: &redb::Database,
    row: &mut u64,
    batch: u64,
    duration: Duration,
) -> Result<f64, Problem> {
    let start = Instant::now();
    let mut rows = 0;
    while start.elapsed() < duration {
        commit(database, *row, batch).map_err(|error| fail(&error))?;
        *row += batch;
        rows += batch;
    }
    Ok(per_second(rows, start.elapsed()))
}

fn commit(database: &redb::Database, first: u64, batch: u64) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(TABLE)?;
        for number in first..first + batch {
            // Scattered, as digests are.
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            table.insert(key, ROW.as_slice())?;
        }
    }
    Ok(transaction.commit()?)
}

#[expect(clippy::cast_precision_loss, reason = "no run counts to 2^52")]
fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn now() -> UnixTime {
    SystemClock::start().now().clock.unwrap_or_default()
}

fn fail(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Exit::Failed, error)
}
