//! Many seeds, each walked twice.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::drill::{Walk, walk};
use crate::replay;
use crate::stage::sometimes::{Sometimes, Tally};
use crate::workflows::Table;

/// Failed seeds after which a campaign stops: more of them teach nothing.
const FAILURES_MAX: usize = 10;

/// What a campaign came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Seeds walked.
    pub seeds: u64,
    /// Seeds that failed.
    pub failures: Vec<Failure>,
    /// What has struck.
    pub tally: Tally,
}

/// A seed that failed.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Why.
    pub problems: Vec<String>,
    /// Where it is written down.
    pub replay: Option<PathBuf>,
}

/// Walks a seed twice: the traces must agree.
#[must_use]
pub fn walk_twice(seed: u64, table: &Table) -> Walk {
    let mut first = walk(seed, table);
    let second = walk(seed, table);
    if first.digest != second.digest {
        let at = first
            .lines
            .iter()
            .zip(&second.lines)
            .position(|(one, other)| one != other)
            .unwrap_or(first.lines.len().min(second.lines.len()));
        let line = |walk: &Walk| walk.lines.get(at).cloned().unwrap_or_default();
        first.problems.push(format!(
            "the second walk differs from line {at}: `{}` and `{}`",
            line(&first),
            line(&second)
        ));
    }
    first
}

/// Walks all seeds on all cores; what fails is written down in `folder`.
#[must_use]
pub fn run(seeds: Range<u64>, folder: &Path) -> Verdict {
    let table = Table::new();
    let next = AtomicU64::new(seeds.start);
    let verdict = Mutex::new(Verdict::default());
    let lock = || verdict.lock().unwrap_or_else(PoisonError::into_inner);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || lock().failures.len() >= FAILURES_MAX {
                        return;
                    }
                    let walked = walk_twice(seed, &table);
                    let mut verdict = lock();
                    verdict.seeds += 1;
                    verdict.tally.add(&walked.tally);
                    if !walked.problems.is_empty() {
                        let replay = replay::write(folder, &walked).ok();
                        verdict.failures.push(Failure {
                            seed,
                            problems: walked.problems,
                            replay,
                        });
                    }
                }
            });
        }
    });
    let mut verdict = verdict.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdict.failures.sort_by_key(|failure| failure.seed);
    verdict
}

impl Verdict {
    /// Did every seed hold?
    #[must_use]
    pub fn held(&self) -> bool {
        self.failures.is_empty()
    }

    /// What never struck. A campaign of a few hundred seeds must meet everything.
    #[must_use]
    pub fn never(&self) -> Vec<Sometimes> {
        self.tally.never()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "seed {} failed:", failure.seed)?;
            for problem in failure.problems.iter().take(5) {
                writeln!(f, "  {problem}")?;
            }
            if let Some(replay) = &failure.replay {
                writeln!(f, "  written down in {}", replay.display())?;
            }
            writeln!(f, "  walk it again: make sim SEED={}", failure.seed)?;
        }
        writeln!(
            f,
            "{} seeds walked twice, {} failed",
            self.seeds,
            self.failures.len()
        )
    }
}
