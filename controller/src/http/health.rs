//! Whether this controller should get calls, told over HTTP and over gRPC.
//!
//! A controller without its database can do nothing for anybody, so it says that it is not ready, and so that it is
//! again. That takes more than one sign each way: one slow answer must not send everybody elsewhere. While all is well
//! nothing is asked of the database for this; that the tick goes on is sign enough.
//!
//! A database that falls silent without a word is noticed within [`SILENCE_MAX`], a look and [`UNANSWERED_MAX`] answers that
//! do not come: five seconds.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::store::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::Readiness;
use crate::clock;
use crate::grpc::meta;
use crate::loops::Board;

/// Between the beginnings of two looks.
const PERIOD: Duration = Duration::from_millis(500);
/// A tick that has not succeeded for this long makes us ask. A quiet one comes every 1.8 s at the latest.
const SILENCE_MAX: Duration = Duration::from_millis(2_500);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Questions in a row without an answer after which the database counts as lost.
const UNANSWERED_MAX: u32 = 2;
/// Answers in a row after which it counts as back.
const ANSWERS_MIN: u32 = 2;

/// Who is told, and by what it is judged.
pub struct Health<S> {
    /// For `grpc.health.v1`.
    pub reporter: HealthReporter,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// What the loops did.
    pub board: Arc<Board>,
    /// The name of the loop that reads the database all the time.
    pub pulse: &'static str,
    /// The database.
    pub store: S,
}

impl<S: Store> Health<S> {
    /// Tells that calls are welcome, whenever that changes, and from `drain` on that they are not.
    pub async fn keep(self, drain: CancellationToken) {
        self.tell(None).await;
        let mut verdict = Verdict::default();
        // An answer that did not come has used up the pause before the next question.
        let mut looks = tokio::time::interval(PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sign = tokio::select! {
                biased;
                () = drain.cancelled() => break,
                sign = async { looks.tick().await; self.look(verdict).await } => sign,
            };
            match verdict.after(sign) {
                Some(Standing::Lost) => {
                    tracing::error!(
                        "the database cannot be reached; no calls are welcome until it answers"
                    );
                    self.tell(Some("the database cannot be reached")).await;
                }
                Some(Standing::Well) => {
                    tracing::info!("the database answers again; calls are welcome");
                    self.tell(None).await;
                }
                None => {}
            }
        }
        self.tell(Some("shutting down")).await;
    }

    async fn look(&self, verdict: Verdict) -> Sign {
        if verdict.is_untroubled() && self.pulse_is_fresh() {
            return Sign::Answer;
        }
        match tokio::time::timeout(ANSWER_MAX, self.store.now()).await {
            Ok(Ok(_)) => Sign::Answer,
            Ok(Err(_)) | Err(_) => Sign::Silence,
        }
    }

    fn pulse_is_fresh(&self) -> bool {
        let status = self.board.read().remove(self.pulse);
        let last = status.and_then(|status| status.last_ok);
        last.is_some_and(|last| clock::monotonic().duration_since(last) < SILENCE_MAX)
    }

    async fn tell(&self, obstacle: Option<&'static str>) {
        match obstacle {
            None => {
                meta::tell(&self.reporter, ServingStatus::Serving).await;
                self.readiness.ready();
            }
            Some(reason) => {
                self.readiness.not_ready(reason);
                meta::tell(&self.reporter, ServingStatus::NotServing).await;
            }
        }
    }
}

/// What a look at the database showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Answer,
    Silence,
}

/// Whether the database is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Well,
    Lost,
}

/// What is held to be so, and how many signs in a row speak against it.
#[derive(Debug, Clone, Copy, Default)]
struct Verdict {
    standing: Standing,
    against: u32,
}

impl Verdict {
    fn is_untroubled(self) -> bool {
        self.standing == Standing::Well && self.against == 0
    }

    /// Takes a sign; tells where it stands now if that has changed.
    fn after(&mut self, sign: Sign) -> Option<Standing> {
        let (other, needed) = match (self.standing, sign) {
            (Standing::Well, Sign::Silence) => (Standing::Lost, UNANSWERED_MAX),
            (Standing::Lost, Sign::Answer) => (Standing::Well, ANSWERS_MIN),
            (Standing::Well, Sign::Answer) | (Standing::Lost, Sign::Silence) => {
                self.against = 0;
                return None;
            }
        };
        self.against += 1;
        (self.against >= needed).then(|| {
            *self = Self {
                standing: other,
                against: 0,
            };
            other
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sign_changes_nothing_and_two_do() {
        use Sign::{Answer, Silence};
        use Standing::{Lost, Well};
        let mut verdict = Verdict::default();
        let signs = [
            Answer, Silence, Answer, Silence, Silence, Silence, Answer, Silence, Answer, Answer,
        ];
        let told: Vec<_> = signs.map(|sign| verdict.after(sign)).into();
        let mut expected = vec![None; signs.len()];
        expected[4] = Some(Lost);
        expected[9] = Some(Well);
        assert_eq!(told, expected);
    }
}
