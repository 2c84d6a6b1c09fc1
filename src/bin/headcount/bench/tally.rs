//! What came back, and how soon.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use headcount::wire::{Frame, Refusal, Response, Verdict};

use super::frames::Frames;

/// Latencies are counted in nanoseconds, to three digits, from 1 µs up to a minute.
const SHORTEST: u64 = 1_000;
const LONGEST: u64 = 60_000_000_000;

/// One answer in so many is kept, to be verified when the clock has stopped.
const SAMPLE_EVERY: u64 = 1_000;
const SAMPLES: usize = 100;

/// How an exchange ended that brought no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing came in time, or the host closed the connection: it does so with what it does not
    /// answer.
    Unanswered,
    /// The system said this.
    Error(io::Error),
}

pub(super) struct Tally {
    /// Answers with status 0.
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) unanswered: u64,
    pub(super) errors: u64,
    /// Answers that are none.
    pub(super) wrong: u64,
    /// Why the last refused request was.
    pub(super) refusal: Option<Refusal>,
    /// The last error.
    pub(super) error: Option<String>,
    /// The highest count in the answers that were kept.
    pub(super) count: Option<u32>,
    pub(super) latency: Histogram<u32>,
    pub(super) elapsed: Duration,
    /// Answers kept, with the positions of their requests.
    pub(super) samples: Vec<(usize, Frame)>,
    last: Option<(usize, Frame)>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, String> {
        let latency = Histogram::new_with_bounds(SHORTEST, LONGEST, 3);
        Ok(Self {
            granted: 0,
            refused: 0,
            unanswered: 0,
            errors: 0,
            wrong: 0,
            refusal: None,
            error: None,
            count: None,
            latency: latency.map_err(|error| error.to_string())?,
            elapsed: Duration::ZERO,
            samples: Vec::new(),
            last: None,
        })
    }

    /// Exchanges that were finished: granted and refused ones.
    pub(super) fn exchanges(&self) -> u64 {
        self.granted + self.refused
    }

    pub(super) fn failed(&self) -> u64 {
        self.unanswered + self.errors + self.wrong
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is no more exact than its time")]
    pub(super) fn per_second(&self) -> f64 {
        self.exchanges() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    pub(super) fn answer(
        &mut self,
        frames: &Frames,
        position: usize,
        answer: &Frame,
        took: Duration,
    ) {
        let granted = matches!(answer, [_, _, _, _, 0, 0, ..]);
        if !frames.answers(position, answer) {
            self.wrong += 1;
            return;
        }
        if granted {
            if self.granted.is_multiple_of(SAMPLE_EVERY) && self.samples.len() < SAMPLES {
                self.samples.push((position, *answer));
            }
            self.granted += 1;
            self.last = Some((position, *answer));
        } else {
            let verdict = Response::parse(answer).map(|response| response.body.verdict);
            let Ok(Verdict::Refused(refusal)) = verdict else {
                self.wrong += 1;
                return;
            };
            self.refused += 1;
            self.refusal = Some(refusal);
        }
        self.latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn trouble(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Unanswered => self.unanswered += 1,
            Trouble::Error(error) => {
                self.errors += 1;
                self.error = Some(error.to_string());
            }
        }
    }

    /// Adds what was counted elsewhere; the time is the caller's to add.
    pub(super) fn add(&mut self, mut other: Self) {
        self.granted += other.granted;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.errors += other.errors;
        self.wrong += other.wrong;
        self.refusal = other.refusal.or(self.refusal);
        self.error = other.error.or(self.error.take());
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
        other.samples.extend(other.last);
        let counts = other.samples.iter().filter_map(|(_, answer)| {
            match Response::parse(answer).ok()?.body.verdict {
                Verdict::Granted { count, .. } => Some(count),
                Verdict::Refused(_) => None,
            }
        });
        self.count = self.count.max(other.count).max(counts.max());
        self.samples.append(&mut other.samples);
    }
}
