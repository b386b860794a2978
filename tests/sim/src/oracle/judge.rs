//! When all is quiet: everything that was promised is there, and nothing else is.

use std::collections::BTreeMap;

use fulcrum_core::event::{ChainHash, Envelope, Event, StepKey, Verdict as Decided};
use fulcrum_core::ids::RunId;
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::run::Run;
use fulcrum_core::store::{LoadedRun, RunHead, RunStatus, Since, Store as _};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::fates::step_of;
use super::ledger::{Ledger, Started};
use crate::Stage;
use crate::cluster::call::Verdict;

/// Is there nothing left to happen?
#[must_use]
pub fn is_at_rest(stage: &Stage) -> bool {
    let rows = stage.database.rows();
    rows.runs.iter().all(|head| head.status.is_closed())
        && rows.tasks.is_empty()
        && rows.timers.is_empty()
        && rows.mail.is_empty()
}

/// The world did not come to rest: says why.
pub fn say_what_is_left(stage: &Stage) {
    let rows = stage.database.rows();
    for head in rows.runs.iter().filter(|head| !head.status.is_closed()) {
        stage.problem(format_args!("{} {} is not closed", head.run, head.workflow));
    }
    for task in &rows.tasks {
        stage.problem(format_args!("a task is left: {task:?}"));
    }
    for timer in &rows.timers {
        stage.problem(format_args!("a timer is left: {timer:?}"));
    }
    for mail in &rows.mail {
        stage.problem(format_args!("mail is left: {mail:?}"));
    }
}

/// Judges a world that is at rest.
pub fn judge(stage: &Stage, ledger: &Ledger) {
    let rows = stage.database.rows();
    for (key, state, items) in &rows.joins {
        stage.problem(format_args!("a join is left: {key:?} {state:?} {items}"));
    }
    for review in stage.database.open_reviews() {
        stage.problem(format_args!("a review is left: {review:?}"));
    }
    let mut timelines = BTreeMap::new();
    for head in &rows.runs {
        match timeline(stage, head) {
            Ok(timeline) => {
                if let Err(problem) = check_timeline(&timeline) {
                    stage.problem(format_args!("{}: {problem}", head.run));
                }
                timelines.insert(head.run, timeline);
            }
            Err(problem) => stage.problem(format_args!("{}: {problem}", head.run)),
        }
    }
    for (request, started) in &ledger.started {
        if let Err(problem) = check_promise(stage, ledger, started, &timelines) {
            stage.problem(format_args!("{request}, {}: {problem}", started.run));
        }
    }
    check_roots(stage, ledger, &rows.runs);
    check_signals(stage, ledger, &timelines);
    check_decisions(stage, ledger, &timelines);
    for run in &ledger.cancels {
        let asked = timelines.get(run).is_some_and(|events| {
            let asked = |event: &Envelope| matches!(event.event, Event::RunCancelRequested { .. });
            events.iter().any(asked)
        });
        if !asked {
            stage.problem(format_args!("{run} was promised to be cancelled"));
        }
    }
}

/// The whole timeline, with its chain verified, its fold compared with the witness's and with what loading gives.
fn timeline(stage: &Stage, head: &RunHead) -> Result<Vec<Envelope>, String> {
    let mut chain = ChainHash::default();
    let mut events = Vec::new();
    for stored in stage.database.timeline(head.run) {
        events.push(stored.open(head.run, chain).map_err(|e| e.to_string())?);
        chain = stored.hash;
    }
    let fold = Run::fold(head.run, &events).ok_or("no fold")?;
    if chain != head.chain || fold.status != head.status || fold.last_seq != head.last_seq {
        return Err("the row is not what the timeline says".to_owned());
    }
    if stage.witness().run(head.run) != Some(&fold) {
        return Err("the timeline is not what was committed".to_owned());
    }
    let loaded = stage
        .database
        .load(&[head.run], Since::Snapshot)
        .now_or_never()
        .and_then(Result::ok);
    let loaded = loaded.and_then(|mut runs| runs.pop()?.ok().flatten());
    match loaded.map(LoadedRun::fold) {
        Some(Ok(folded)) if folded.run == fold => Ok(events),
        Some(Ok(_)) => Err("loading gives another run than folding".to_owned()),
        Some(Err(error)) => Err(format!("{error:?}")),
        None => Err("it does not load".to_owned()),
    }
}

/// Each step ends once, each grant ends once, and what a charge was given is what the target gave.
fn check_timeline(events: &[Envelope]) -> Result<(), String> {
    let mut ended: BTreeMap<&StepKey, u64> = BTreeMap::new();
    let mut grants: BTreeMap<(&StepKey, u64), u64> = BTreeMap::new();
    let mut last = 0;
    for envelope in events {
        if envelope.seq != last + 1 || envelope.cause.is_some_and(|cause| cause >= envelope.seq) {
            return Err(format!("event {} follows event {last}", envelope.seq));
        }
        last = envelope.seq;
        let grant = match &envelope.event {
            Event::StepCompleted { grant, .. }
            | Event::AttemptFailed { grant, .. }
            | Event::StepFailed { grant, .. } => grant.as_ref(),
            Event::LeaseExpired { grant, .. } | Event::StepParked { grant, .. } => Some(grant),
            _other => None,
        };
        if let (Some(step), Some(grant)) = (step_of(&envelope.event), grant)
            && let Some(before) = grants.insert((step, grant.lease_seq), envelope.seq)
        {
            return Err(format!(
                "grant {} of {step} ends at event {before} and at event {last}",
                grant.lease_seq
            ));
        }
        let end = match &envelope.event {
            Event::StepSkipped { step, .. }
            | Event::StepCompleted { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepCancelled { step } => Some(step),
            _ => None,
        };
        if let Some(step) = end
            && let Some(before) = ended.insert(step, envelope.seq)
        {
            return Err(format!("{step} ends at event {before} and at event {last}"));
        }
    }
    Ok(())
}

fn check_promise(
    stage: &Stage,
    ledger: &Ledger,
    started: &Started,
    timelines: &BTreeMap<RunId, Vec<Envelope>>,
) -> Result<(), String> {
    if !timelines.contains_key(&started.run) {
        return Err("the start was acknowledged, and there is no such run".to_owned());
    }
    let witness = stage.witness();
    let run = witness.run(started.run).ok_or("nobody saw it")?;
    match run.status {
        RunStatus::Running | RunStatus::Cancelling => Err("it is not closed".to_owned()),
        RunStatus::Cancelled if ledger.cancelled.contains(&started.run) => Ok(()),
        RunStatus::Cancelled => Err("it is cancelled, and nobody asked for that".to_owned()),
        RunStatus::Failed => match &run.failure {
            Some(failure) if started.workflow.may_fail_with(&failure.code) => Ok(()),
            failure => Err(format!("it failed: {failure:?}")),
        },
        RunStatus::Completed => {
            let output = run
                .output
                .map_or(Ok(Value::Null), |output| value(stage, output))?;
            if !started.workflow.may_give(&started.input, &output) {
                return Err(format!("{} gives {output}", started.input));
            }
            let charged = stage
                .target()
                .of_step(started.run, &StepKey::first("charge"))
                .map(|applied| json!(applied.receipt));
            match output.get("receipt") {
                Some(receipt) if charged.as_ref() != Some(receipt) => {
                    Err(format!("it says {receipt}, the target gave {charged:?}"))
                }
                Some(_) | None => Ok(()),
            }
        }
    }
}

/// Every root run was asked for, and one request started one run. A start whose asker never heard may have gone through.
fn check_roots(stage: &Stage, ledger: &Ledger, runs: &[RunHead]) {
    let promised: Vec<RunId> = ledger.started.values().map(|started| started.run).collect();
    for head in runs.iter().filter(|head| head.parent.is_none()) {
        if !promised.contains(&head.run) {
            stage.problem(format_args!("nobody asked for {}", head.run));
        }
    }
}

fn check_signals(stage: &Stage, ledger: &Ledger, timelines: &BTreeMap<RunId, Vec<Envelope>>) {
    let mut received: BTreeMap<(RunId, String), u32> = BTreeMap::new();
    for (run, events) in timelines {
        for envelope in events {
            let Event::SignalReceived {
                payload: Some(payload),
                ..
            } = &envelope.event
            else {
                continue;
            };
            match value(stage, *payload) {
                Ok(marker) => {
                    let marker = marker.as_str().unwrap_or_default().to_owned();
                    *received.entry((*run, marker)).or_default() += 1;
                }
                Err(problem) => stage.problem(format_args!("{run}: {problem}")),
            }
        }
    }
    for ((run, marker), count) in &received {
        if *count > 1 {
            stage.problem(format_args!("{run} received {marker} {count} times"));
        }
    }
    for (marker, run) in &ledger.signals {
        if !received.contains_key(&(*run, marker.clone())) {
            stage.problem(format_args!("{run} never received {marker}"));
        }
    }
}

fn check_decisions(stage: &Stage, ledger: &Ledger, timelines: &BTreeMap<RunId, Vec<Envelope>>) {
    for (run, review, verdict) in &ledger.decisions {
        let decided = timelines
            .get(run)
            .into_iter()
            .flatten()
            .find_map(|envelope| match &envelope.event {
                Event::ReviewDecided {
                    review: of,
                    verdict,
                    ..
                } if of == review => Some(verdict.clone()),
                _ => None,
            });
        let as_promised = match (&decided, verdict) {
            (Some(Decided::Approved { .. }), Verdict::Yes)
            | (Some(Decided::Rejected), Verdict::No) => true,
            (Some(_) | None, _) => false,
        };
        if !as_promised {
            stage.problem(format_args!(
                "{review} was promised to be {verdict:?} and is {decided:?}"
            ));
        }
    }
}

fn value(stage: &Stage, reference: PayloadRef) -> Result<Value, String> {
    let payloads = stage.database.payloads(&[reference]).now_or_never();
    let payloads = payloads.and_then(Result::ok).unwrap_or_default();
    let payload = payloads
        .first()
        .ok_or_else(|| format!("payload {} is missing", reference.id))?;
    payload.payload.to_value().map_err(|e| e.to_string())
}
