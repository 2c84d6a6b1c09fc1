//! The load: threads, each with its share of the connections, each connection with one exchange
//! at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep};

use super::frames::{self, Frames};
use super::link::{Link, Mode};
use super::tally::{Tally, Trouble};

/// A wait after an error of the system, so that a host that is not there is not asked a million
/// times.
const PAUSE: Duration = Duration::from_millis(20);

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) target: SocketAddr,
    pub(super) mode: Mode,
    pub(super) connections: usize,
    pub(super) duration: Duration,
}

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) elapsed: Duration,
    pub(super) exchanges: u64,
    pub(super) last_second: u64,
    pub(super) failed: u64,
}

/// Generates load until its time is over or Ctrl-C comes, which the answer tells. `progress` is
/// called once a second.
pub(super) async fn run(
    load: &Load,
    frames: &Arc<Frames>,
    mut progress: impl FnMut(&Progress),
) -> io::Result<(Tally, bool)> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(load.connections);
    let (stop, stopped) = watch::channel(false);
    let start = Arc::new(Barrier::new(threads + 1));
    let mut crews = Vec::new();
    for number in 0..threads {
        let tally = Arc::new(Mutex::new(Tally::new().map_err(io::Error::other)?));
        let crew = Crew {
            load: load.clone(),
            frames: frames.clone(),
            numbers: (number..load.connections).step_by(threads).collect(),
            tally: tally.clone(),
        };
        let (start, stopped) = (start.clone(), stopped.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            start.wait();
            runtime.block_on(crew.work(stopped));
        });
        crews.push((thread, tally));
    }
    start.wait();
    let begun = Instant::now();

    let mut ticks = interval_at(begun + SECOND, SECOND);
    let mut end = std::pin::pin!(sleep(load.duration));
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut before = 0;
    let interrupted = loop {
        tokio::select! {
            () = &mut end => break false,
            _ = &mut interrupt => break true,
            _ = ticks.tick() => {
                let counts = crews.iter().map(|(_, tally)| {
                    let tally = lock(tally);
                    (tally.exchanges(), tally.failed())
                });
                let (exchanges, failed) = counts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
                let last_second = exchanges - before;
                progress(&Progress { elapsed: begun.elapsed(), exchanges, last_second, failed });
                before = exchanges;
            }
        }
    };
    let _ = stop.send(true);
    let elapsed = begun.elapsed();
    let mut total = Tally::new().map_err(io::Error::other)?;
    for (thread, tally) in crews {
        thread.join().map_err(|_| io::Error::other("a thread of the load panicked"))?;
        total.add(std::mem::replace(&mut lock(&tally), Tally::new().map_err(io::Error::other)?));
    }
    total.elapsed = elapsed;
    Ok((total, interrupted))
}

/// A thread's connections.
struct Crew {
    load: Load,
    frames: Arc<Frames>,
    numbers: Vec<usize>,
    tally: Arc<Mutex<Tally>>,
}

impl Crew {
    async fn work(self, mut stopped: watch::Receiver<bool>) {
        let sources = frames::sources(self.load.target);
        let mut connections = JoinSet::new();
        for number in self.numbers {
            let link = Link::new(self.load.mode, self.load.target, sources.clone(), number);
            let turns = Turns { number, connections: self.load.connections };
            connections.spawn(repeat(link, turns, self.frames.clone(), self.tally.clone()));
        }
        // Exchanges under way are cut and count for nothing.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Which requests a connection sends.
#[derive(Clone, Copy)]
struct Turns {
    number: usize,
    connections: usize,
}

async fn repeat(mut link: Link, turns: Turns, frames: Arc<Frames>, tally: Arc<Mutex<Tally>>) {
    for turn in 0.. {
        let position = frames.position(turns.number, turns.connections, turn);
        let begun = Instant::now();
        let fits = |answer: &_| frames.answers(position, answer);
        match link.exchange(begun, frames.request(position), fits).await {
            Ok(answer) => lock(&tally).answer(&frames, position, &answer, begun.elapsed()),
            Err(trouble) => {
                let pause = matches!(trouble, Trouble::Error(_));
                lock(&tally).trouble(trouble);
                if pause {
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
