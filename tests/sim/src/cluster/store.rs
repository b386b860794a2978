//! The database as one controller sees it: over a connection that is slow, breaks, and breaks at the worst moment.
//!
//! Each unit of work runs in a task of its own, as it does in the real store, so that it outlives its caller. When the
//! controller dies while a unit is under way, the unit is lost unless its COMMIT was on the wire already.

use std::sync::Arc;

use fulcrum_core::decide::JoinOutputs;
use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::{MailId, NamespaceId, RunId, TimerId};
use fulcrum_core::payload::{NewPayload, PayloadRef};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::reference::ReferenceStore;
use fulcrum_core::store::{
    Beat, BeatOutcome, ClaimRequest, Commit, DueTimer, FlushReport, Found, GrantedTask, JoinKey,
    Loaded, RequestRecord, RunHead, Since, Sought, Store, StoreError, Sweep, SweepKey,
};
use fulcrum_core::task::TaskRow;
use fulcrum_core::time::{Millis, Timestamp};
use futures_util::FutureExt;

use super::host::Life;
use crate::Stage;
use crate::stage::dice::{Dice, PerMille};
use crate::stage::sometimes::Sometimes;

/// A controller's way to the database.
#[derive(Debug)]
pub struct Connection {
    stage: Arc<Stage>,
    life: Life,
    dice: Dice,
}

/// What befalls one unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing.
    Done,
    /// It fails, and leaves nothing.
    Failed,
    /// The database asks for it again.
    Repeat,
    /// The database refuses it.
    Refused,
    /// It is done, but the answer is lost.
    Unheard,
    /// It is not done, and the answer is lost.
    LostUnheard,
    /// Its controller dies before it.
    CrashBefore,
    /// Its controller dies after it.
    CrashAfter,
}

/// What kind of unit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// A flush of so many commits.
    Flush(usize),
    /// Changes rows, without a run's version.
    Write,
    /// Changes nothing.
    Read,
}

impl Connection {
    /// The connection of one life of a controller.
    #[must_use]
    pub fn of(stage: Arc<Stage>, life: Life, dice: Dice) -> Self {
        Self { stage, life, dice }
    }

    fn fate(&self, unit: Unit) -> Fate {
        let rates = self.stage.storm.rates();
        // Every rate is rolled for, so that what one meets does not depend on what the others are.
        let mut fate = Fate::Done;
        let mut may = |rate: PerMille, other: Fate, here: bool| {
            if self.dice.happens(rate) && here {
                fate = other;
            }
        };
        let flush = matches!(unit, Unit::Flush(_));
        let many = matches!(unit, Unit::Flush(2..));
        may(rates.read_fails, Fate::Failed, !flush);
        may(rates.claim_unheard, Fate::Unheard, unit == Unit::Write);
        may(rates.commit_fails, Fate::Failed, flush);
        may(rates.commit_repeats, Fate::Repeat, flush);
        may(rates.batch_refused, Fate::Refused, many);
        may(rates.commit_unknown, Fate::Unheard, flush);
        may(rates.commit_unknown_lost, Fate::LostUnheard, flush);
        may(rates.crash_before_commit, Fate::CrashBefore, flush);
        may(rates.crash_after_commit, Fate::CrashAfter, flush);
        fate
    }

    /// Does the first to be granted something die of it?
    fn grantee_dies(&self) -> Option<Doom> {
        let rate = self.stage.storm.rates().grantee_dies;
        self.dice.happens(rate).then_some(Doom)
    }

    async fn unit<T: Send + 'static>(
        &self,
        unit: Unit,
        work: impl FnOnce(&Stage, &ReferenceStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (stage, life) = (Arc::clone(&self.stage), self.life.clone());
        if life.is_cut_off() {
            tokio::time::sleep(self.dice.span_ms(50, 400)).await;
            return Err(StoreError::Unavailable("cut off".to_owned()));
        }
        let fate = self.fate(unit);
        let slow = self.dice.happens(stage.storm.rates().database_slow);
        let span = |dice: &Dice| {
            if slow {
                dice.span_ms(50, 1_500)
            } else {
                dice.span_ms(0, 3)
            }
        };
        let (there, back) = (span(&self.dice), span(&self.dice));
        let on_the_wire = self.dice.happens(PerMille(500));
        let task = tokio::spawn(async move {
            tokio::time::sleep(there).await;
            run(&stage, &life, unit, fate, on_the_wire, work, back).await
        });
        task.await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the connection broke".to_owned())))
    }
}

/// One unit of work, from the moment it reaches the database.
async fn run<T>(
    stage: &Stage,
    life: &Life,
    unit: Unit,
    fate: Fate,
    on_the_wire: bool,
    work: impl FnOnce(&Stage, &ReferenceStore) -> Result<T, StoreError>,
    back: std::time::Duration,
) -> Result<T, StoreError> {
    let who = life.name();
    let flush = matches!(unit, Unit::Flush(_));
    if life.is_over() && !on_the_wire {
        return Err(StoreError::Unavailable(
            "nobody is there any more".to_owned(),
        ));
    }
    match fate {
        Fate::Failed | Fate::Repeat | Fate::Refused | Fate::LostUnheard | Fate::CrashBefore => {
            if flush || fate != Fate::Failed {
                stage.note(who, format_args!("{unit:?} meets {fate:?}"));
            }
        }
        Fate::Done | Fate::Unheard | Fate::CrashAfter => {}
    }
    match fate {
        Fate::Failed => {
            if flush {
                stage.saw(Sometimes::CommitFailed);
            }
            return Err(StoreError::Unavailable("it failed".to_owned()));
        }
        Fate::Repeat => {
            stage.saw(Sometimes::CommitRepeated);
            return Err(StoreError::Retry("a deadlock".to_owned()));
        }
        Fate::Refused => {
            stage.saw(Sometimes::BatchSplit);
            return Err(StoreError::Refused("one of these is poisoned".to_owned()));
        }
        Fate::LostUnheard => {
            stage.saw(Sometimes::CommitOutcomeUnknownAndLost);
            tokio::time::sleep(back).await;
            return Err(StoreError::OutcomeUnknown(
                "the connection broke".to_owned(),
            ));
        }
        Fate::CrashBefore => {
            life.end();
            if !on_the_wire {
                stage.saw(Sometimes::ControllerCrashedBeforeCommit);
                return Err(StoreError::Unavailable("the controller died".to_owned()));
            }
            // Long enough for the next life to have begun.
            tokio::time::sleep(back * 1_000).await;
            stage.saw(Sometimes::CommitOutlivedItsController);
            stage.note(who, "is dead, but its commit was on the wire");
        }
        Fate::Done | Fate::Unheard | Fate::CrashAfter => {}
    }
    stage.database.set_clock(stage.clock.database());
    let answer = work(stage, &stage.database);
    match fate {
        Fate::Unheard => {
            stage.note(who, format_args!("does not hear of its {unit:?}"));
            tokio::time::sleep(back).await;
            let text = "the connection broke".to_owned();
            Err(if flush {
                stage.saw(Sometimes::CommitOutcomeUnknown);
                StoreError::OutcomeUnknown(text)
            } else {
                StoreError::Unavailable(text)
            })
        }
        Fate::CrashAfter => {
            stage.saw(Sometimes::ControllerCrashedBetweenCommitAndAct);
            stage.note(who, "dies between commit and act");
            life.end();
            answer
        }
        Fate::Done
        | Fate::Failed
        | Fate::Repeat
        | Fate::Refused
        | Fate::LostUnheard
        | Fate::CrashBefore => {
            tokio::time::sleep(back).await;
            answer
        }
    }
}

/// The worker that is granted something dies before it can hear of it.
#[derive(Debug, Clone, Copy)]
struct Doom;

fn doom_first(stage: &Stage, doom: Option<Doom>, granted: &[GrantedTask]) {
    if let (Some(Doom), Some(task)) = (doom, granted.first()) {
        stage.doom(task.worker);
    }
}

/// The reference store never waits.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    answer
        .now_or_never()
        .expect("the reference store answers at once")
}

impl Store for Connection {
    async fn flush(
        &self,
        batch: impl Into<Arc<[Commit]>> + Send,
    ) -> Result<FlushReport, StoreError> {
        let (batch, who): (Arc<[Commit]>, _) = (batch.into(), self.life.name());
        let dies = self.grantee_dies();
        self.unit(Unit::Flush(batch.len()), move |stage, store| {
            let report = at_once(store.flush(Arc::clone(&batch)))?;
            stage.witness().flushed(stage, who, &batch, &report);
            doom_first(stage, dies, &report.granted);
            Ok(report)
        })
        .await
    }

    async fn load(&self, runs: &[RunId], since: Since) -> Result<Vec<Loaded>, StoreError> {
        let runs = runs.to_vec();
        self.unit(Unit::Read, move |_, store| {
            at_once(store.load(&runs, since))
        })
        .await
    }

    async fn heads(&self, runs: &[RunId]) -> Result<Vec<RunHead>, StoreError> {
        let runs = runs.to_vec();
        self.unit(Unit::Read, move |_, store| at_once(store.heads(&runs)))
            .await
    }

    async fn payloads(&self, refs: &[PayloadRef]) -> Result<Vec<NewPayload>, StoreError> {
        let refs = refs.to_vec();
        self.unit(Unit::Read, move |_, store| at_once(store.payloads(&refs)))
            .await
    }

    async fn join_outputs(&self, join: &JoinKey) -> Result<JoinOutputs, StoreError> {
        let join = join.clone();
        self.unit(Unit::Read, move |_, store| {
            at_once(store.join_outputs(&join))
        })
        .await
    }

    async fn claim(
        &self,
        requests: &[ClaimRequest],
        lease: Millis,
    ) -> Result<Vec<GrantedTask>, StoreError> {
        let (requests, who) = (requests.to_vec(), self.life.name());
        let dies = self.grantee_dies();
        self.unit(Unit::Write, move |stage, store| {
            let granted = at_once(store.claim(&requests, lease))?;
            stage.witness().granted(stage, who, &granted);
            doom_first(stage, dies, &granted);
            Ok(granted)
        })
        .await
    }

    async fn heartbeat(
        &self,
        beats: &[Beat],
        lease: Millis,
    ) -> Result<Vec<BeatOutcome>, StoreError> {
        let beats = beats.to_vec();
        self.unit(Unit::Write, move |stage, store| {
            let outcomes = at_once(store.heartbeat(&beats, lease))?;
            stage.witness().beaten(stage, &beats, &outcomes);
            Ok(outcomes)
        })
        .await
    }

    async fn give_back(&self, grants: &[Beat], rest: Millis) -> Result<(), StoreError> {
        let (grants, who) = (grants.to_vec(), self.life.name());
        self.unit(Unit::Write, move |stage, store| {
            stage.witness().given_back(stage, who, &grants);
            at_once(store.give_back(&grants, rest))
        })
        .await
    }

    async fn due_tasks(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<TaskRow>, StoreError> {
        self.unit(Unit::Read, move |_, store| {
            at_once(store.due_tasks(after, limit))
        })
        .await
    }

    async fn due_timers(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<DueTimer>, StoreError> {
        self.unit(Unit::Read, move |_, store| {
            at_once(store.due_timers(after, limit))
        })
        .await
    }

    async fn pending_mail(
        &self,
        older_than: Millis,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<Mail>, StoreError> {
        self.unit(Unit::Read, move |stage, store| {
            let mail = at_once(store.pending_mail(older_than, after, limit))?;
            if !mail.rows.is_empty() {
                stage.saw(Sometimes::MailFoundLying);
            }
            Ok(mail)
        })
        .await
    }

    async fn discard_mail(&self, mail: &[MailId]) -> Result<(), StoreError> {
        let (mail, who) = (mail.to_vec(), self.life.name());
        self.unit(Unit::Write, move |stage, store| {
            stage.note(
                who,
                format_args!("throws away {} pieces of mail", mail.len()),
            );
            at_once(store.discard_mail(&mail))
        })
        .await
    }

    async fn discard_timers(&self, timers: &[TimerId]) -> Result<(), StoreError> {
        let (timers, who) = (timers.to_vec(), self.life.name());
        self.unit(Unit::Write, move |stage, store| {
            stage.note(who, format_args!("throws away {} timers", timers.len()));
            at_once(store.discard_timers(&timers))
        })
        .await
    }

    async fn request(
        &self,
        namespace: NamespaceId,
        request: &RequestKey,
    ) -> Result<Option<RequestRecord>, StoreError> {
        let request = request.clone();
        self.unit(Unit::Read, move |_, store| {
            at_once(store.request(namespace, &request))
        })
        .await
    }

    async fn tick(&self, sought: &Sought) -> Result<Found, StoreError> {
        let sought = sought.clone();
        self.unit(Unit::Read, move |_, store| at_once(store.tick(&sought)))
            .await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.unit(Unit::Read, move |_, store| at_once(store.now()))
            .await
    }
}
