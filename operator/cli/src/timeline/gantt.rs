//! A chart as text: one row for each step, a bar scaled to the width of the terminal, and what is worth a note.

use std::collections::BTreeSet;

use fulcrum_proto::workflow::v1::{StepKind, StepStatus};

use super::scale::Scale;
use super::shape::{Chart, Lane, Shade, Span};
use crate::output::safe_text;
use crate::output::style::{Palette, Tone};
use crate::view::word::{Word as _, step_tone};

/// Narrowest and widest bar, in columns.
const BAR_COLUMNS: std::ops::RangeInclusive<usize> = 16..=100;
/// Longest name before it is cut, in columns.
const NAME_COLUMNS_MAX: usize = 36;
/// Room kept for notes, in columns; longer notes run over.
const NOTE_COLUMNS: usize = 24;
const FAILED_ATTEMPT: char = '✗';

fn glyph(shade: Shade) -> (char, Tone, &'static str) {
    match shade {
        Shade::Around => ('─', Tone::Faint, "steps inside"),
        Shade::Queued => ('·', Tone::Faint, "queued"),
        Shade::RetryDelay => ('┄', Tone::Warn, "retry delay"),
        Shade::Waiting => ('░', Tone::Warn, "waiting"),
        Shade::Busy => ('█', Tone::Busy, "working"),
    }
}

/// Draws the chart `columns` wide.
#[must_use]
pub fn draw(chart: &Chart, columns: usize, palette: Palette) -> String {
    let names: Vec<String> = chart.lanes.iter().map(name).collect();
    let took: Vec<String> = chart
        .lanes
        .iter()
        .map(|lane| lane.took().unwrap_or_default())
        .collect();
    let width_of = |texts: &[String], title: &str| {
        texts
            .iter()
            .map(|text| text.chars().count())
            .chain([title.len()])
            .max()
            .unwrap_or(0)
    };
    let name_width = width_of(&names, "STEP");
    let kind_width = chart
        .lanes
        .iter()
        .map(|lane| kind(lane).len())
        .chain(["KIND".len()])
        .max()
        .unwrap_or(0);
    let took_width = width_of(&took, "TOOK");
    let fixed = name_width + 2 + kind_width + 2 + "TRY".len() + 2 + 2 + took_width + 2;
    let bar_width = columns
        .saturating_sub(fixed + NOTE_COLUMNS)
        .clamp(*BAR_COLUMNS.start(), *BAR_COLUMNS.end());
    let scale = Scale {
        from: chart.from,
        to: chart.to,
        columns: bar_width,
    };

    let mut lines = Vec::new();
    let head = format!(
        "{:name_width$}  {:kind_width$}  TRY  {:bar_width$}  {:>took_width$}  NOTE",
        "STEP",
        "KIND",
        scale.axis(),
        "TOOK"
    );
    lines.push(palette.paint(Tone::Strong, &head));
    for ((lane, name), took) in chart.lanes.iter().zip(&names).zip(&took) {
        let attempts = if lane.attempts > 1 {
            format!("{}×", lane.attempts)
        } else {
            String::new()
        };
        let padded = format!("{name:name_width$}");
        let line = format!(
            "{}  {:kind_width$}  {attempts:>3}  {}  {took:>took_width$}  {}",
            palette.paint(step_tone(lane.status), &padded),
            kind(lane),
            bar(lane, &scale, palette),
            note(lane, palette),
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.push(palette.paint(Tone::Faint, &legend(chart)));
    lines.join("\n")
}

/// The last part of the path, indented by its depth; a later epoch is told.
fn name(lane: &Lane) -> String {
    let (path, epoch) = lane
        .step_key
        .rsplit_once('~')
        .unwrap_or((&lane.step_key, "1"));
    let depth = path.matches('/').count();
    let last = path.rsplit('/').next().unwrap_or(path);
    let epoch = if epoch == "1" {
        String::new()
    } else {
        format!("~{epoch}")
    };
    let full = safe_text::line(&format!("{}{last}{epoch}", "  ".repeat(depth)));
    match full.char_indices().nth(NAME_COLUMNS_MAX) {
        None => full,
        Some(_) => full
            .chars()
            .take(NAME_COLUMNS_MAX - 1)
            .chain(['…'])
            .collect(),
    }
}

/// The word for what it does; nothing if that is not known.
fn kind(lane: &Lane) -> &'static str {
    if lane.kind == StepKind::Unspecified {
        ""
    } else {
        lane.kind.word()
    }
}

fn note(lane: &Lane, palette: Palette) -> String {
    let mut parts = Vec::new();
    let retried = if lane.status == StepStatus::Failed {
        lane.failures.len() - 1
    } else {
        lane.failures.len()
    };
    if retried > 0 {
        let codes: BTreeSet<_> = lane
            .failures
            .iter()
            .take(retried)
            .map(|(_, code)| safe_text::line(code))
            .collect();
        let codes: Vec<_> = codes.into_iter().collect();
        parts.push(palette.paint(Tone::Warn, &format!("↻{retried} {}", codes.join(" "))));
    }
    match lane.status {
        StepStatus::Failed => {
            let code = lane
                .failures
                .last()
                .map(|(_, code)| safe_text::line(code))
                .unwrap_or_default();
            parts.push(palette.paint(Tone::Bad, &format!("failed: {code}")));
        }
        StepStatus::Skipped | StepStatus::Cancelled => {
            parts.push(palette.paint(Tone::Faint, lane.status.word()))
        }
        StepStatus::Pending | StepStatus::Ready | StepStatus::Running | StepStatus::Waiting => {
            let waits = if lane.waiting_for.is_empty() {
                lane.status.word().to_owned()
            } else {
                format!("waits for {}", safe_text::line(&lane.waiting_for))
            };
            parts.push(palette.paint(Tone::Warn, &waits));
        }
        StepStatus::Completed | StepStatus::Unspecified => {}
    }
    parts.join("  ")
}

fn legend(chart: &Chart) -> String {
    let shades: BTreeSet<_> = chart
        .lanes
        .iter()
        .flat_map(|lane| &lane.spans)
        .map(|span| span.shade)
        .collect();
    let mut parts: Vec<String> = shades
        .into_iter()
        .rev()
        .map(|shade| {
            let (sign, _, meaning) = glyph(shade);
            format!("{sign} {meaning}")
        })
        .collect();
    if chart.lanes.iter().any(|lane| !lane.failures.is_empty()) {
        parts.push(format!("{FAILED_ATTEMPT} failed attempt"));
    }
    parts.join("   ")
}

/// One sign for each column. Work shows however short it was; otherwise the longest part of the column decides.
fn bar(lane: &Lane, scale: &Scale, palette: Palette) -> String {
    let mut cells: Vec<Option<char>> = vec![None; scale.columns];
    let mut tones = vec![Tone::Plain; scale.columns];
    for column in 0..scale.columns {
        let here = |span: &&Span| scale.touches(span, column);
        let strongest = |spans: &[Span]| {
            let busy = spans
                .iter()
                .filter(here)
                .any(|span| span.shade == Shade::Busy);
            let longest = || {
                spans
                    .iter()
                    .filter(here)
                    .max_by_key(|span| scale.overlap(span, column))
            };
            if busy {
                Some(Shade::Busy)
            } else {
                longest().map(|span| span.shade)
            }
        };
        if let Some(shade) = strongest(&lane.spans) {
            let (sign, tone, _) = glyph(shade);
            cells[column] = Some(sign);
            tones[column] = if shade == Shade::Busy && lane.status == StepStatus::Completed {
                Tone::Good
            } else {
                tone
            };
        }
    }
    for (at, _) in &lane.failures {
        let column = scale.column(*at);
        cells[column] = Some(FAILED_ATTEMPT);
        tones[column] = Tone::Bad;
    }
    paint(&cells, &tones, palette)
}

/// Neighbours of one tone share one pair of colour codes.
fn paint(cells: &[Option<char>], tones: &[Tone], palette: Palette) -> String {
    let mut out = String::new();
    let mut start = 0;
    for end in 1..=cells.len() {
        if end == cells.len() || tones[end] != tones[start] {
            let text: String = cells[start..end]
                .iter()
                .map(|cell| cell.unwrap_or(' '))
                .collect();
            out.push_str(&palette.paint(tones[start], &text));
            start = end;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use fulcrum_proto::workflow::v1::{Run, RunStatus, StepState};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::view::event::EventView;
    use crate::view::run::RunView;

    fn instant(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + ms).expect("valid")
    }

    fn event(seq: u64, ms: i64, kind: &str, step: &str, attempt: u32, details: Value) -> EventView {
        EventView {
            seq,
            at: Some(instant(ms)),
            kind: kind.to_owned(),
            step_key: step.to_owned(),
            attempt,
            actor: "fulcrum".to_owned(),
            cause_seq: None,
            summary: String::new(),
            trace_id: String::new(),
            details,
            hash: String::new(),
        }
    }

    fn step(
        key: &str,
        kind: StepKind,
        status: StepStatus,
        attempt: u32,
        waiting_for: &str,
    ) -> StepState {
        StepState {
            step_key: key.to_owned(),
            kind: kind.into(),
            status: status.into(),
            attempt,
            waiting_for: waiting_for.to_owned(),
            ..StepState::default()
        }
    }

    fn onboarding(status: RunStatus) -> (RunView, Vec<EventView>) {
        let granted = |ms| json!({ "grant": { "granted_at": instant(ms).to_string() } });
        let failed = |ms, code: &str, retry| {
            json!({
                "failure": { "code": code },
                "retry_at": instant(retry).to_string(),
                "grant": { "granted_at": instant(ms).as_microsecond() },
            })
        };
        let none = || Value::Null;
        let events = vec![
            event(1, 0, "RunStarted", "", 0, none()),
            event(2, 0, "StepOpened", "contact~1", 1, none()),
            event(3, 900, "StepCompleted", "contact~1", 1, granted(300)),
            event(4, 900, "CheckpointReached", "contact-known~1", 0, none()),
            event(5, 900, "StepOpened", "setup~1", 0, none()),
            event(6, 900, "StepOpened", "setup/invoice~1", 1, none()),
            event(7, 900, "StepOpened", "setup/draft~1", 1, none()),
            event(8, 1500, "StepCompleted", "setup/draft~1", 1, granted(1000)),
            event(
                9,
                2000,
                "AttemptFailed",
                "setup/invoice~1",
                1,
                failed(1000, "HTTP_503", 3000),
            ),
            event(
                10,
                3500,
                "AttemptFailed",
                "setup/invoice~1",
                2,
                failed(3000, "HTTP_429", 5000),
            ),
            event(
                11,
                5500,
                "StepCompleted",
                "setup/invoice~1",
                3,
                granted(5000),
            ),
            event(12, 5500, "StepCompleted", "setup~1", 0, none()),
            event(13, 5500, "StepOpened", "approve~1", 0, none()),
            event(14, 9000, "StepCompleted", "approve~1", 0, none()),
            event(15, 9000, "StepOpened", "welcome~1", 1, none()),
            event(16, 10_000, "StepCompleted", "welcome~1", 1, granted(9100)),
            event(17, 10_000, "RunCompleted", "", 0, none()),
        ];
        let done = StepStatus::Completed;
        let run = Run {
            status: status.into(),
            steps: vec![
                step("contact~1", StepKind::Call, done, 1, ""),
                step("contact-known~1", StepKind::Checkpoint, done, 0, ""),
                step("setup~1", StepKind::Parallel, done, 0, ""),
                step("setup/invoice~1", StepKind::Call, done, 3, ""),
                step("setup/draft~1", StepKind::Call, done, 1, ""),
                step("approve~1", StepKind::Review, done, 0, ""),
                step("welcome~1", StepKind::Call, done, 1, ""),
            ],
            ..Run::default()
        };
        (RunView::from(&run), events)
    }

    #[test]
    fn a_run_with_retries_and_a_review_is_drawn_to_scale() {
        let (run, events) = onboarding(RunStatus::Completed);
        let chart = Chart::new(&run, &events, instant(99_999)).expect("has events");
        insta::assert_snapshot!(draw(&chart, 110, Palette::Plain));
    }

    #[test]
    fn what_a_step_does_is_read_from_its_opening_too() {
        let opened = |seq, step: &str, activity: Value| {
            event(
                seq,
                0,
                "StepOpened",
                step,
                0,
                json!({ "StepOpened": { "activity": activity } }),
            )
        };
        let events = [
            opened(1, "a~1", json!("Parallel")),
            opened(2, "b~1", json!({ "Child": { "workflow": "x" } })),
        ];
        let run = RunView::from(&Run::default());
        let chart = Chart::new(&run, &events, instant(1)).expect("has events");
        let kinds: Vec<_> = chart.lanes.iter().map(|lane| lane.kind).collect();
        assert_eq!(kinds, [StepKind::Parallel, StepKind::Run]);
    }

    #[test]
    fn colour_changes_nothing_else() {
        let (run, events) = onboarding(RunStatus::Completed);
        let chart = Chart::new(&run, &events, instant(99_999)).expect("has events");
        let coloured = draw(&chart, 110, Palette::Colour);
        let lines = |text: &str| {
            text.lines()
                .map(|line| line.trim_end().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines(&safe_text::block(&coloured)),
            lines(&draw(&chart, 110, Palette::Plain))
        );
    }

    #[test]
    fn an_open_step_reaches_to_now_and_says_what_it_waits_for() {
        let (_, mut events) = onboarding(RunStatus::Running);
        events.truncate(13);
        let run = RunView::from(&Run {
            status: RunStatus::Running.into(),
            steps: vec![
                step("contact~1", StepKind::Call, StepStatus::Completed, 1, ""),
                step(
                    "approve~1",
                    StepKind::Review,
                    StepStatus::Waiting,
                    0,
                    "review by an operator",
                ),
            ],
            ..Run::default()
        });
        let chart = Chart::new(&run, &events, instant(20_000)).expect("has events");
        insta::assert_snapshot!(draw(&chart, 80, Palette::Plain));
    }

    #[test]
    fn a_run_that_took_no_time_is_drawn_too() {
        let events = vec![
            event(1, 0, "RunStarted", "", 0, Value::Null),
            event(2, 0, "StepOpened", "a~1", 1, Value::Null),
            event(
                3,
                0,
                "StepFailed",
                "a~1",
                1,
                json!({ "failure": { "code": "HTTP_400\u{1b}[2J" } }),
            ),
            event(4, 0, "StepSkipped", "b~2", 0, Value::Null),
        ];
        let run = RunView::from(&Run {
            status: RunStatus::Failed.into(),
            ..Run::default()
        });
        let chart = Chart::new(&run, &events, instant(0)).expect("has events");
        insta::assert_snapshot!(draw(&chart, 20, Palette::Plain));
    }
}
