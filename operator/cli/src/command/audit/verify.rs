//! `fulcrum audit verify`

use std::cell::RefCell;
use std::path::PathBuf;

use clap::Args;
use fulcrum_audit::Verifier;
use serde::Serialize;

use crate::audit::judge::{Judge, Of, Tally};
use crate::audit::recorded::Recorded;
use crate::audit::{Finding, bundle, live};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::printer::Page;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::timeline::type_id;

/// Check every timeline against the signed installation log, on this machine
///
/// The log is built again from its entries and held against each signed head; each timeline's hash chain is computed again
/// from the stored bytes and held against what the log says of the run. An event that was changed, a timeline that was
/// written anew or cut off, a run that is gone, an event that was never recorded: each is named, with exit code 1. What
/// left by retention left by an entry of the log, and is held against that. Runs that ended before the log began are
/// checked by their own chains alone.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum audit verify
  fulcrum audit verify run_01k…
  fulcrum audit verify --file record.jsonl --verifier 'fulcrum/f-…+…+…'")]
pub struct Verify {
    /// Check only these runs against the log
    #[arg(conflicts_with = "file")]
    runs: Vec<String>,

    /// Check an exported record, without a controller
    #[arg(long)]
    file: Option<PathBuf>,

    /// The key that must have signed the file, from `fulcrum audit show`
    #[arg(long, requires = "file")]
    verifier: Option<Verifier>,
}

impl Verify {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let outcome = match &self.file {
            Some(file) => {
                let checked = bundle::check(file, self.verifier.as_ref())?;
                if self.verifier.is_none() {
                    session.notice().say(&format!(
                        "the file says that it is signed by {}; hold that against a copy of your own, or name the key with --verifier",
                        checked.verifier
                    ));
                }
                Outcome::new(
                    checked.tally,
                    &checked.findings,
                    checked.size,
                    &checked.verifier,
                )
            }
            None => live_check(session, self.runs).await?,
        };
        session.printer().page(&outcome)?;
        match outcome.findings.first() {
            None => Ok(Exit::Ok),
            Some(first) => Err(CliError::CheckFailed {
                message: format!("the record does not hold: {first}"),
                fix: "keep a copy of the database before anything else, then compare it with a backup".to_owned(),
            }),
        }
    }
}

async fn live_check(session: &Session, runs: Vec<String>) -> Result<Outcome, CliError> {
    let connection = session.connect().await?;
    let seen = live::look(&connection).await?;
    let progress = Progress::spinner(session.notice(), "reading the log");
    let mut recorded = Recorded::until(u64::MAX);
    recorded.must_hold(seen.head);
    recorded.keep_only(runs.iter().filter_map(|run| type_id::decode("run", run)));
    let mut wrong = None;
    live::log(&connection, 0, |part| {
        if wrong.is_none() {
            wrong = recorded.add(&part, &seen.verifier).err();
        }
        progress.set(
            recorded.size(),
            &format!("{} entries of the log", recorded.size()),
        );
        Ok(())
    })
    .await?;
    let wrong = wrong.or_else(|| recorded.reaches(seen.head.size).err());
    // What comes into the log from here on may be of runs that the timelines do not tell of yet.
    recorded.late_from(recorded.size());
    let of = match (&wrong, runs.is_empty()) {
        (Some(_), _) => Of::PartOfTheLog,
        (None, true) => Of::Everything,
        (None, false) => Of::Some,
    };
    let mut judge = Judge::new(recorded);
    let mut told = 0u64;
    live::timelines(&connection, runs.clone(), |part| {
        judge.add(&part);
        told += u64::from(part.last);
        progress.set(told, &format!("{told} timelines"));
        Ok(())
    })
    .await?;
    if told < runs.len() as u64 && of == Of::Some {
        for run in &runs {
            judge.find_if_missing(run)?;
        }
    }
    let judge = RefCell::new(judge);
    if let Some(finding) = wrong {
        judge.borrow_mut().find(finding);
    } else {
        let size = judge.borrow_mut().recorded().size();
        let mut wrong = None;
        live::follow(
            &connection,
            size,
            |part| {
                if wrong.is_none() {
                    wrong = judge
                        .borrow_mut()
                        .recorded()
                        .add(&part, &seen.verifier)
                        .err();
                }
                Ok(())
            },
            || match of {
                Of::Everything => judge.borrow_mut().is_settled(),
                Of::Some | Of::PartOfTheLog => judge.borrow_mut().has_caught_up(),
            },
        )
        .await?;
        let mut judge = judge.borrow_mut();
        let wrong = wrong.or_else(|| judge.recorded().reaches(size).err());
        wrong.into_iter().for_each(|finding| judge.find(finding));
    }
    drop(progress);
    let mut judge = judge.into_inner();
    let size = judge.recorded().size();
    for admitted in &judge.recorded().admitted {
        session.notice().say(&format!(
            "the database was taken back once, and somebody said so: {admitted}"
        ));
    }
    let (tally, findings) = judge.verdict(of);
    Ok(Outcome::new(tally, &findings, size, &seen.verifier))
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    verdict: &'static str,
    runs: u64,
    events: u64,
    log_entries: u64,
    /// Runs that ended before the log began.
    runs_before_the_log: u64,
    verifier: String,
    /// How many, of which the first hundred are named.
    findings_count: u64,
    findings: Vec<String>,
}

impl Outcome {
    fn new(tally: Tally, findings: &[Finding], log_entries: u64, verifier: &Verifier) -> Self {
        Self {
            verdict: if findings.is_empty() {
                "holds"
            } else {
                "broken"
            },
            runs: tally.runs,
            events: tally.events,
            log_entries,
            runs_before_the_log: tally.before,
            verifier: verifier.to_string(),
            findings_count: tally.findings,
            findings: findings.iter().map(Finding::to_string).collect(),
        }
    }
}

impl Page for Outcome {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("verdict", self.verdict.to_owned()),
            ("runs", self.runs.to_string()),
            ("events", self.events.to_string()),
            ("log entries", self.log_entries.to_string()),
        ];
        if self.runs_before_the_log > 0 {
            let before = format!(
                "{}: checked by their own chains alone",
                self.runs_before_the_log
            );
            pairs.push(("before the log", before));
        }
        if self.findings_count > 0 {
            pairs.push(("findings", self.findings_count.to_string()));
        }
        pairs.extend(self.findings.iter().map(|finding| ("", finding.clone())));
        pairs
    }

    fn id(&self) -> &str {
        self.verdict
    }
}
