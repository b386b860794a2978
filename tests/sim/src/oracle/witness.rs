//! Sees every commit, grant and heartbeat as the database takes them, and keeps a book of its own: who holds which
//! task, and where each run stands. What the database lets through against this book is a problem.

use std::collections::BTreeMap;

use fulcrum_core::decide::Decision;
use fulcrum_core::event::{Actor, ChainHash, Envelope, Event, Grant, StepKey};
use fulcrum_core::ids::{RunId, TaskId, WorkerId};
use fulcrum_core::invariants::{Scene, broken};
use fulcrum_core::run::Run;
use fulcrum_core::store::{
    Beat, BeatOutcome, Commit, CommitOutcome, Expected, FlushReport, GrantedTask,
};
use fulcrum_core::task::{Lease, TaskOp};
use fulcrum_core::time::Timestamp;
use tokio::time::Instant;

use super::fates::{count_fates, tell};
use crate::Stage;
use crate::stage::sometimes::Sometimes;

/// The witness's book.
#[derive(Debug, Default)]
pub struct Witness {
    runs: BTreeMap<RunId, Seen>,
    held: BTreeMap<TaskId, Held>,
    /// When each grant was followed by another one of its task.
    superseded: BTreeMap<Lease, Instant>,
    working: BTreeMap<Lease, WorkerId>,
}

#[derive(Debug)]
struct Seen {
    run: Run,
    version: u64,
    chain: ChainHash,
}

#[derive(Debug, Clone)]
struct Held {
    lease: Lease,
    worker: WorkerId,
    until: Timestamp,
    close_by: Option<Timestamp>,
    leased: bool,
}

impl Witness {
    /// A flush went through.
    pub fn flushed(&mut self, stage: &Stage, who: &str, batch: &[Commit], report: &FlushReport) {
        if batch.len() != report.outcomes.len() {
            stage.problem("a flush does not answer each commit");
        }
        for (commit, outcome) in batch.iter().zip(&report.outcomes) {
            let run = commit.head.run;
            match outcome {
                CommitOutcome::Committed => {
                    let version = commit.head.version;
                    match self.committed(stage, commit, report.now) {
                        Ok(told) => stage.note(
                            who,
                            format_args!("{run} v{version} {:?}:{told}", commit.head.status),
                        ),
                        Err(problem) => stage.problem(format_args!("{run} v{version}: {problem}")),
                    }
                }
                CommitOutcome::Conflict => {
                    stage.saw(Sometimes::ConflictReDecided);
                    stage.note(who, format_args!("{run} conflict at {:?}", commit.expected));
                }
                CommitOutcome::LeaseLost(lost) => {
                    stage.saw(Sometimes::LeaseLostAtCommit);
                    stage.note(who, format_args!("{run} {} leases lost", lost.len()));
                }
                CommitOutcome::Duplicate(record) => {
                    stage.saw(Sometimes::RepeatedStartAnswered);
                    stage.note(who, format_args!("{run} duplicate of {}", record.key.id));
                }
                CommitOutcome::KeyTaken(holder) => {
                    stage.saw(Sometimes::RepeatedStartAnswered);
                    stage.note(who, format_args!("{run} key taken by {holder}"));
                }
            }
        }
        if !report.granted.is_empty() {
            stage.saw(Sometimes::TaskHandedOff);
            self.granted(stage, who, &report.granted);
        }
    }

    fn committed(
        &mut self,
        stage: &Stage,
        commit: &Commit,
        now: Timestamp,
    ) -> Result<String, String> {
        let id = commit.head.run;
        let before = self.runs.remove(&id);
        let version = before.as_ref().map(|seen| seen.version);
        let expected = match commit.expected {
            Expected::New => None,
            Expected::Version(version) => Some(version),
        };
        if version != expected {
            return Err(format!(
                "committed on {expected:?} while it is at {version:?}"
            ));
        }
        if commit.head.version != version.unwrap_or(0) + 1 {
            return Err("the version does not rise by one".to_owned());
        }
        let mut chain = before
            .as_ref()
            .map_or(ChainHash::default(), |seen| seen.chain);
        let mut events = Vec::new();
        for stored in &commit.events {
            events.push(stored.open(id, chain).map_err(|e| e.to_string())?);
            chain = stored.hash;
        }
        if chain != commit.head.chain {
            return Err("the row does not carry the chain on".to_owned());
        }
        for envelope in &events {
            self.check_grant(id, envelope, now)?;
        }
        let after = match &before {
            Some(seen) => {
                let mut run = seen.run.clone();
                events.iter().for_each(|event| run.evolve(event));
                run
            }
            None => Run::fold(id, &events).ok_or("the first event is not RunStarted")?,
        };
        if let Some(snapshot) = &commit.snapshot {
            stage.saw(Sometimes::SnapshotStored);
            let state = Run::from_bytes(snapshot).map_err(|e| e.to_string())?;
            if state != after {
                return Err("the snapshot is not the fold".to_owned());
            }
        }
        if (
            commit.head.status,
            commit.head.last_seq,
            commit.head.closed_at,
        ) != (after.status, after.last_seq, after.closed_at)
        {
            return Err("the row disagrees with the fold".to_owned());
        }
        count_fates(stage, &after, &events);
        let told = events.iter().map(tell).collect();
        let decision = decision_of(commit, events);
        let scene = Scene {
            before: before.as_ref().map(|seen| &seen.run),
            decision: &decision,
            after: &after,
        };
        let names = broken(scene);
        if !names.is_empty() {
            return Err(format!("broken: {names:?}"));
        }
        for op in &commit.tasks {
            self.change(op);
        }
        let seen = Seen {
            run: after,
            version: commit.head.version,
            chain,
        };
        self.runs.insert(id, seen);
        Ok(told)
    }

    /// What an event says a grant did must have been done under the grant that holds the task.
    fn check_grant(&self, run: RunId, envelope: &Envelope, now: Timestamp) -> Result<(), String> {
        let Some((step, by)) = granted(&envelope.event, &envelope.actor) else {
            return Ok(());
        };
        let held = self.held.get(&TaskId::of_step(run, &step.to_string()));
        let Some(held) = held.filter(|held| held.leased) else {
            return Err(format!("{step}: {by:?}, but nobody holds the task"));
        };
        match by {
            By::Report(grant)
                if (grant.worker, grant.lease_seq) == (held.worker, held.lease.seq) =>
            {
                match envelope.actor {
                    Actor::Worker(worker) if worker == held.worker => Ok(()),
                    // The controller ends a grant only when its time is over.
                    Actor::System => held.check_over(step, now),
                    Actor::Worker(_) | Actor::Operator(_) | Actor::Client(_) | Actor::Run(_) => {
                        Err(format!("{step}: {:?} uses another's grant", envelope.actor))
                    }
                }
            }
            By::Worker(worker) if worker == held.worker => Ok(()),
            By::Report(_) | By::Worker(_) => Err(format!("{step}: {by:?}, but {held:?}")),
        }
    }

    fn change(&mut self, op: &TaskOp) {
        match op {
            TaskOp::Create(_) | TaskOp::Resume { .. } => {}
            TaskOp::Release { task, .. } | TaskOp::Park { task } => {
                if let Some(held) = self.held.get_mut(task) {
                    held.leased = false;
                }
            }
            TaskOp::Remove { task } => {
                self.held.remove(task);
            }
        }
    }

    /// Grants that never reached their workers were taken back.
    pub fn given_back(&mut self, stage: &Stage, who: &str, grants: &[Beat]) {
        for grant in grants {
            if self.working.contains_key(&grant.lease) {
                stage.problem(format_args!(
                    "{:?} is given back while it is worked on",
                    grant.lease
                ));
            }
            let held = self.held.get_mut(&grant.lease.task);
            if let Some(held) = held.filter(|held| held.lease == grant.lease) {
                stage.saw(Sometimes::GrantGivenBack);
                stage.note(who, format_args!("gives back {:?}", grant.lease));
                held.leased = false;
            }
        }
    }

    /// Tasks were granted.
    pub fn granted(&mut self, stage: &Stage, who: &str, granted: &[GrantedTask]) {
        for task in granted {
            stage.note(
                who,
                format_args!(
                    "grants {} {} lease {} to {}",
                    task.run, task.step, task.lease.seq, task.worker
                ),
            );
            let fresh = Held {
                lease: task.lease,
                worker: task.worker,
                until: task.deadline,
                close_by: task.close_by,
                leased: true,
            };
            if let Some(old) = self.held.insert(task.lease.task, fresh) {
                if old.leased {
                    stage.problem(format_args!(
                        "{} {} is granted while {old:?}",
                        task.run, task.step
                    ));
                }
                if old.lease.seq >= task.lease.seq || old.lease.nonce == task.lease.nonce {
                    stage.problem(format_args!("{} {}: a fence repeats", task.run, task.step));
                }
                self.superseded.insert(old.lease, Instant::now());
                if self.working.contains_key(&old.lease) {
                    stage.saw(Sometimes::TwoHolders);
                }
            }
        }
    }

    /// Leases were renewed, or not.
    pub fn beaten(&mut self, stage: &Stage, beats: &[Beat], outcomes: &[BeatOutcome]) {
        for (beat, outcome) in beats.iter().zip(outcomes) {
            let held = self.held.get_mut(&beat.lease.task).filter(|held| {
                held.leased && held.lease == beat.lease && held.worker == beat.worker
            });
            match (held, outcome) {
                (Some(held), BeatOutcome::Extended(until)) => held.until = *until,
                (None, BeatOutcome::Lost) => {}
                (Some(_), BeatOutcome::Lost) => {
                    stage.problem(format_args!("{:?} is held and called lost", beat.lease));
                }
                (None, BeatOutcome::Extended(_)) => {
                    stage.problem(format_args!("{:?} is lost and was renewed", beat.lease));
                }
            }
        }
    }

    /// A worker begins the work of a grant.
    pub fn work_began(&mut self, stage: &Stage, task: &GrantedTask) {
        if self.working.insert(task.lease, task.worker).is_some() {
            stage.problem(format_args!(
                "{} {} lease {} is begun twice",
                task.run, task.step, task.lease.seq
            ));
        }
    }

    /// Its work ended, in whatever way.
    pub fn work_ended(&mut self, lease: &Lease) {
        self.working.remove(lease);
    }

    /// Had the task been granted anew by then?
    #[must_use]
    pub fn was_superseded_before(&self, lease: &Lease, instant: Instant) -> bool {
        self.superseded
            .get(lease)
            .is_some_and(|since| *since < instant)
    }

    /// A run, as its commits make it.
    #[must_use]
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run).map(|seen| &seen.run)
    }

    /// All runs, as their commits make them.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().map(|seen| &seen.run)
    }
}

impl Held {
    fn check_over(&self, step: &StepKey, now: Timestamp) -> Result<(), String> {
        let over = self.until <= now || self.close_by.is_some_and(|by| by <= now);
        if over {
            Ok(())
        } else {
            Err(format!(
                "{step}: a grant is ended before its time: {self:?} at {now}"
            ))
        }
    }
}

/// On whose behalf an event says that it happened.
#[derive(Debug)]
enum By {
    /// A grant ended.
    Report(Grant),
    /// A worker acted under its grant.
    Worker(WorkerId),
}

fn granted<'e>(event: &'e Event, actor: &Actor) -> Option<(&'e StepKey, By)> {
    match event {
        Event::StepCompleted { step, grant, .. }
        | Event::AttemptFailed { step, grant, .. }
        | Event::StepFailed { step, grant, .. } => Some((step, By::Report(grant.clone()?))),
        Event::LeaseExpired { step, grant, .. } | Event::StepParked { step, grant } => {
            Some((step, By::Report(grant.clone())))
        }
        Event::JournalRecorded { step, .. } | Event::JournalRequested { step, .. } => match actor {
            Actor::Worker(worker) => Some((step, By::Worker(*worker))),
            Actor::System | Actor::Operator(_) | Actor::Client(_) | Actor::Run(_) => None,
        },
        Event::RunStarted(_)
        | Event::StepSkipped { .. }
        | Event::StepOpened { .. }
        | Event::StepCancelled { .. }
        | Event::ReviewDecided { .. }
        | Event::SignalReceived { .. }
        | Event::SignalConsumed { .. }
        | Event::ItemsSpawned { .. }
        | Event::JoinProgressed { .. }
        | Event::VariableSet { .. }
        | Event::CheckpointReached { .. }
        | Event::StepResumed { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunReturning { .. }
        | Event::RunCompleted { .. }
        | Event::RunFailed { .. }
        | Event::RunCancelled { .. }
        | Event::StepTimedOut { .. }
        | Event::ItemsCancelled { .. } => None,
    }
}

fn decision_of(commit: &Commit, events: Vec<Envelope>) -> Decision {
    Decision {
        events,
        payloads: commit.payloads.clone(),
        fences: commit.fences.clone(),
        tasks: commit.tasks.clone(),
        timers: commit.timers.clone(),
        mail: commit.mail.clone(),
        consumed: commit.consumed.clone(),
        joins: commit.joins.clone(),
        reviews: commit.reviews.clone(),
        ..Decision::default()
    }
}
