//! The trait of a loop and the one driver that runs them.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::jitter;
use crate::clock;
use crate::entropy::Entropy;

/// First pause after an error; it doubles with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// How much a period is spread, in percent.
const JITTER_PERCENT: u32 = 20;

/// Whatever made a tick fail. The driver logs it; nobody matches on it.
pub type TickError = Box<dyn std::error::Error + Send + Sync>;

/// One maintenance loop.
pub trait Loop: Send {
    /// Its name in logs, metrics and the status board.
    const NAME: &'static str;
    /// Longest pause after errors.
    const BACKOFF_MAX: Duration = Duration::from_secs(30);

    /// Does what is to be done now. Idempotent, safe in many processes, bounded in work.
    fn tick(&mut self) -> impl Future<Output = Result<Progress, TickError>> + Send;
}

/// What a tick did and when the next one is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many things were done.
    pub worked: u64,
    /// When to come again.
    pub next: Next,
}

/// When the next tick is due. A wake-up always comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once: there was more than one tick may do.
    Now,
    /// After the usual period.
    Period,
    /// After this span, or after the period if that is shorter.
    Within(Duration),
}

impl Progress {
    /// Did this many things; nothing is left.
    #[must_use]
    pub const fn done(worked: u64) -> Self {
        Self {
            worked,
            next: Next::Period,
        }
    }

    /// Did a full batch; there may be more.
    #[must_use]
    pub const fn more(worked: u64) -> Self {
        Self {
            worked,
            next: Next::Now,
        }
    }
}

/// How often a loop ticks when nothing wakes it.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The period, spread by a fifth either way.
    pub period: Duration,
    /// Notify to tick at once.
    pub wake: Arc<Notify>,
    /// What spreads it.
    pub entropy: Entropy,
}

impl Pace {
    /// A period, and a wake-up nobody else holds.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        Self {
            period,
            wake: Arc::default(),
            entropy: Entropy::system(),
        }
    }
}

/// Runs a loop until `stop`. A tick under way is finished first. The first tick comes after a random part of the
/// period, so that controllers started together do not tick together.
pub async fn drive<L: Loop>(
    mut subject: L,
    pace: Pace,
    board: Arc<Board>,
    stop: CancellationToken,
) {
    let mut pause = jitter::below(pace.period, &pace.entropy);
    let mut errors_in_a_row: u32 = 0;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = pace.wake.notified(), if errors_in_a_row == 0 => {}
            () = tokio::time::sleep(pause) => {}
        }
        let began = clock::monotonic();
        let outcome = AssertUnwindSafe(subject.tick()).catch_unwind().await;
        let ended = clock::monotonic();
        let took = ended - began;
        let error = match outcome {
            Ok(Ok(progress)) => {
                errors_in_a_row = 0;
                board.ok(L::NAME, progress.worked, ended, took);
                pause = match progress.next {
                    Next::Now => Duration::ZERO,
                    Next::Period => jitter::around(pace.period, JITTER_PERCENT, &pace.entropy),
                    Next::Within(span) => {
                        span.min(jitter::around(pace.period, JITTER_PERCENT, &pace.entropy))
                    }
                };
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
        };
        errors_in_a_row = errors_in_a_row.saturating_add(1);
        pause = backoff(errors_in_a_row, L::BACKOFF_MAX, &pace.entropy);
        tracing::warn!(
            r#loop = L::NAME,
            errors_in_a_row,
            ?pause,
            error,
            "loop tick failed"
        );
        board.failed(L::NAME, error, took);
    }
}

fn backoff(errors_in_a_row: u32, longest: Duration, entropy: &Entropy) -> Duration {
    let ceiling = BACKOFF_MIN
        .saturating_mul(1 << errors_in_a_row.min(10))
        .min(longest);
    BACKOFF_MIN + jitter::below(ceiling, entropy)
}

/// The message of a caught panic.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Ticks as its script says, and reports each tick.
    struct Scripted {
        script: Vec<fn() -> Result<Progress, TickError>>,
        ticked: mpsc::Sender<()>,
    }

    impl Loop for Scripted {
        const NAME: &'static str = "scripted";

        async fn tick(&mut self) -> Result<Progress, TickError> {
            self.ticked.send(()).await?;
            self.script
                .pop()
                .map_or(Ok(Progress::done(1)), |step| step())
        }
    }

    fn start(
        script: Vec<fn() -> Result<Progress, TickError>>,
        period: Duration,
    ) -> (mpsc::Receiver<()>, Pace, Arc<Board>, CancellationToken) {
        let (ticked, ticks) = mpsc::channel(64);
        let (pace, board, stop) = (
            Pace::every(period),
            Arc::<Board>::default(),
            CancellationToken::new(),
        );
        tokio::spawn(drive(
            Scripted { script, ticked },
            pace.clone(),
            Arc::clone(&board),
            stop.clone(),
        ));
        (ticks, pace, board, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn errors_and_panics_do_not_end_a_loop() {
        let (mut ticks, _, board, stop) = start(
            vec![|| panic!("on purpose"), || Err("no database".into())],
            Duration::from_secs(1),
        );
        for _ in 0..4 {
            ticks.recv().await.expect("a tick");
        }
        stop.cancel();
        assert_eq!(ticks.recv().await, None);
        let status = &board.read()["scripted"];
        assert_eq!((status.errors, status.errors_in_a_row), (2, 0));
        assert_eq!(status.last_error.as_deref(), Some("panicked: on purpose"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_comes_before_the_period() {
        let (mut ticks, pace, _, _stop) = start(Vec::new(), Duration::from_secs(3_600));
        let began = clock::monotonic();
        pace.wake.notify_one();
        ticks.recv().await.expect("a tick");
        assert!(clock::monotonic() - began < Duration::from_secs(1));
    }
}
