//! An examination of the installation.

use std::time::Duration;

use fulcrum_proto::admin::v1::{ControllerStatus, ExamineInstallationResponse, Finding, Verdict};
use jiff::Timestamp;
use serde::Serialize;

use super::word::Word as _;
use crate::output::printer::Row;
use crate::output::style::Tone;
use crate::output::table::Cell;
use crate::output::time;

/// This machine's clock may be so far from the database's before anybody should care.
const SKEW_FREE: Duration = Duration::from_secs(2);
/// From here on certificates are refused as not yet or no longer valid.
const SKEW_BAD: Duration = Duration::from_secs(60);

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExaminationView {
    /// The worst of the verdicts.
    pub verdict: &'static str,
    /// The installation.
    pub installation_id: String,
    /// Feature level in force.
    pub feature_level: u32,
    /// Schema of the database.
    pub schema: u32,
    /// One for each thing that was looked at.
    pub findings: Vec<FindingView>,
    /// Controllers, those seen last first.
    pub controllers: Vec<ControllerView>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingView {
    /// What was looked at.
    pub check: String,
    /// How bad it is.
    pub verdict: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
    #[serde(skip)]
    code: Verdict,
}

/// A controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControllerView {
    /// Drawn at each start.
    pub controller_id: String,
    /// Its build.
    pub build: String,
    /// The highest feature level it knows.
    pub feature_level_max: u32,
    /// When it was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// Whether it counts.
    pub live: bool,
}

impl From<&ControllerStatus> for ControllerView {
    fn from(controller: &ControllerStatus) -> Self {
        Self {
            controller_id: controller.controller_id.clone(),
            build: controller.build.clone(),
            feature_level_max: controller.feature_level_max,
            last_seen_at: time::from_proto(controller.last_seen_at.as_ref()),
            live: controller.live,
        }
    }
}

impl From<&Finding> for FindingView {
    fn from(finding: &Finding) -> Self {
        Self {
            check: finding.check.clone(),
            verdict: finding.verdict().word(),
            found: finding.found.clone(),
            advice: finding.advice.clone(),
            code: finding.verdict(),
        }
    }
}

impl ExaminationView {
    /// The controller's answer, and what this machine's clock adds to it: `asked_at` and `answered_at` are its readings
    /// around the call.
    #[must_use]
    pub fn new(
        answer: &ExamineInstallationResponse,
        asked_at: Timestamp,
        answered_at: Timestamp,
    ) -> Self {
        let mut findings: Vec<FindingView> =
            answer.findings.iter().map(FindingView::from).collect();
        if let Some(database) = time::from_proto(answer.database_time.as_ref()) {
            findings.push(own_clock(database, asked_at, answered_at));
        }
        let worst = findings
            .iter()
            .map(|finding| finding.code)
            .max()
            .unwrap_or(Verdict::Unspecified);
        Self {
            verdict: worst.word(),
            installation_id: answer.installation_id.clone(),
            feature_level: answer.feature_level,
            schema: answer.schema,
            findings,
            controllers: answer
                .controllers
                .iter()
                .map(ControllerView::from)
                .collect(),
        }
    }

    /// How many are that bad.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.code == verdict)
            .count()
    }
}

/// The database answered somewhere between the two readings.
fn own_clock(database: Timestamp, asked_at: Timestamp, answered_at: Timestamp) -> FindingView {
    let ahead = time::between(database, asked_at);
    let behind = time::between(answered_at, database);
    let skew = ahead.max(behind);
    let code = if skew >= SKEW_BAD {
        Verdict::Bad
    } else if skew >= SKEW_FREE {
        Verdict::Warn
    } else {
        Verdict::Ok
    };
    let word = if ahead > behind { "ahead of" } else { "behind" };
    let (found, advice) = match code {
        Verdict::Unspecified | Verdict::Ok => (
            "this machine's clock agrees with the database's".to_owned(),
            "",
        ),
        Verdict::Warn | Verdict::Bad => (
            format!(
                "this machine's clock is {} {word} the database's",
                time::span(skew)
            ),
            "certificates go by this clock: synchronise it (NTP)",
        ),
    };
    FindingView {
        check: "clock.cli".to_owned(),
        verdict: code.word(),
        found,
        advice: advice.to_owned(),
        code,
    }
}

impl Row for FindingView {
    const HEADER: &'static [&'static str] = &["VERDICT", "CHECK", "FOUND", "DO"];

    fn cells(&self) -> Vec<Cell> {
        let tone = match self.code {
            Verdict::Unspecified => Tone::Plain,
            Verdict::Ok => Tone::Good,
            Verdict::Warn => Tone::Warn,
            Verdict::Bad => Tone::Bad,
        };
        vec![
            Cell::toned(tone, self.verdict),
            Cell::from(&self.check),
            Cell::from(&self.found),
            Cell::from(&self.advice),
        ]
    }

    fn id(&self) -> &str {
        &self.check
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Palette;
    use crate::output::table::columns;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + millis).expect("valid")
    }

    fn answer() -> ExamineInstallationResponse {
        ExamineInstallationResponse {
            findings: vec![
                Finding {
                    check: "settings.fsync".to_owned(),
                    verdict: Verdict::Ok.into(),
                    found: "fsync is on".to_owned(),
                    advice: String::new(),
                },
                Finding {
                    check: "partitions.runway".to_owned(),
                    verdict: Verdict::Warn.into(),
                    found: "9 days of partitions stand ready".to_owned(),
                    advice: "look for errors in the controllers' logs".to_owned(),
                },
            ],
            database_time: Some(prost_types::Timestamp {
                seconds: 1_795_000_000,
                nanos: 0,
            }),
            ..ExamineInstallationResponse::default()
        }
    }

    #[test]
    fn a_verdict_a_line_with_what_to_do() {
        let view = ExaminationView::new(&answer(), at(-20), at(5));
        let rows = view.findings.iter().map(Row::cells).collect();
        insta::assert_snapshot!(columns(FindingView::HEADER, rows, Palette::Plain));
        assert_eq!((view.verdict, view.count(Verdict::Warn)), ("warn", 1));
    }

    #[test]
    fn a_slow_answer_is_no_skew_and_a_wrong_clock_is() {
        let slow = ExaminationView::new(&answer(), at(-9_000), at(9_000));
        assert_eq!(slow.findings[2].verdict, "ok");
        let ahead = ExaminationView::new(&answer(), at(5_000), at(5_010));
        assert_eq!(
            ahead.findings[2].found,
            "this machine's clock is 5s ahead of the database's"
        );
        let behind = ExaminationView::new(&answer(), at(-90_010), at(-90_000));
        assert_eq!(behind.findings[2].verdict, "bad");
    }
}
