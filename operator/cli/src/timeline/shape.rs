//! From events to one lane of spans for each step.
//!
//! What a step did between two events follows from both: an event that ends an attempt names the grant it ended, so that
//! the time before the grant was queueing and the time after it was work. What cannot be known is drawn as the less
//! specific thing.

use std::collections::HashMap;

use fulcrum_proto::workflow::v1::{StepKind, StepStatus};
use jiff::Timestamp;
use serde_json::Value;

use crate::output::time;
use crate::view::event::EventView;
use crate::view::run::RunView;
use crate::view::step::StepView;

/// What a step was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shade {
    /// Steps inside it are under way.
    Around,
    /// Offered; no worker has it.
    Queued,
    /// Waits out the delay before the next attempt.
    RetryDelay,
    /// Waits for a person, a time, a signal, a child or its own operations.
    Waiting,
    /// A worker is on it, or the controller did it at once.
    Busy,
}

/// A stretch of time in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From.
    pub from: Timestamp,
    /// To.
    pub to: Timestamp,
    /// What it was doing.
    pub shade: Shade,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Path and epoch.
    pub step_key: String,
    /// What it does.
    pub kind: StepKind,
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts begun.
    pub attempts: u32,
    /// What it did, in order.
    pub spans: Vec<Span>,
    /// When attempts failed, and of what.
    pub failures: Vec<(Timestamp, String)>,
    /// When it began; `None` if it never did.
    pub opened: Option<Timestamp>,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// What it waits for.
    pub waiting_for: String,
    /// Since when a worker is on it, if one is.
    leased_at: Option<Timestamp>,
    /// Not before this is the next attempt made.
    retry_at: Option<Timestamp>,
    /// The open stretch: since when, and doing what.
    since: Option<(Timestamp, Shade)>,
}

/// A run as lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// The left edge.
    pub from: Timestamp,
    /// The right edge.
    pub to: Timestamp,
    /// One for each step, in order of appearance.
    pub lanes: Vec<Lane>,
}

impl Chart {
    /// The chart of a run; `None` if nothing has happened yet. Steps still open reach to `now`.
    #[must_use]
    pub fn new(run: &RunView, events: &[EventView], now: Timestamp) -> Option<Self> {
        let mut sketch = Sketch::new(run);
        for event in events {
            sketch.add(event);
        }
        sketch.finish(now)
    }
}

/// A chart that is being drawn, event by event, in the order of the timeline. What it holds grows with the steps and
/// their attempts, not with the events.
#[derive(Debug)]
pub struct Sketch<'r> {
    run: &'r RunView,
    states: HashMap<&'r str, &'r StepView>,
    edges: Option<(Timestamp, Timestamp)>,
    lanes: Vec<Lane>,
    index: HashMap<String, usize>,
}

impl<'r> Sketch<'r> {
    /// An empty one of a run as it stands.
    #[must_use]
    pub fn new(run: &'r RunView) -> Self {
        let states = run.steps.iter().map(|step| (step.step_key.as_str(), step));
        Self {
            run,
            states: states.collect(),
            edges: None,
            lanes: Vec::new(),
            index: HashMap::new(),
        }
    }

    /// Adds the next event.
    pub fn add(&mut self, event: &EventView) {
        let Some(at) = event.at else { return };
        let (from, last) = self.edges.unwrap_or((at, at));
        self.edges = Some((from.min(at), last.max(at)));
        if event.step_key.is_empty() {
            return;
        }
        let place = self.place(&event.step_key);
        let lane = &mut self.lanes[place];
        if let Some(state) = self.states.get(event.step_key.as_str()) {
            lane.know(state);
        }
        lane.apply(event, at);
    }

    fn place(&mut self, step_key: &str) -> usize {
        if let Some(place) = self.index.get(step_key) {
            return *place;
        }
        let place = self.lanes.len();
        self.lanes.push(Lane::new(step_key));
        self.index.insert(step_key.to_owned(), place);
        place
    }

    /// The chart; `None` if nothing has happened yet. Steps still open reach to `now`.
    #[must_use]
    pub fn finish(mut self, now: Timestamp) -> Option<Chart> {
        let (from, last) = self.edges?;
        let to = if self.run.is_closed() {
            last
        } else {
            last.max(now)
        };
        for lane in &mut self.lanes {
            lane.finish(to);
        }
        Some(Chart {
            from,
            to,
            lanes: self.lanes,
        })
    }
}

impl Lane {
    fn new(step_key: &str) -> Self {
        Self {
            step_key: step_key.to_owned(),
            kind: StepKind::Unspecified,
            status: StepStatus::Unspecified,
            attempts: 0,
            spans: Vec::new(),
            failures: Vec::new(),
            opened: None,
            closed: None,
            waiting_for: String::new(),
            leased_at: None,
            retry_at: None,
            since: None,
        }
    }

    /// Takes in how the step stands now.
    fn know(&mut self, state: &StepView) {
        if state.kind() != StepKind::Unspecified {
            self.kind = state.kind();
        }
        self.status = state.status();
        self.attempts = self.attempts.max(state.attempt);
        self.waiting_for.clone_from(&state.waiting_for);
        self.leased_at = state.leased_at;
    }

    fn apply(&mut self, event: &EventView, at: Timestamp) {
        self.attempts = self.attempts.max(event.attempt);
        match event.kind.as_str() {
            "StepOpened" => {
                self.opened = Some(at);
                if let Some(kind) = activity(&event.details) {
                    self.kind = kind;
                }
                self.since = Some((at, resting_shade(self.kind)));
            }
            "StepCompleted" => self.end(event, at, StepStatus::Completed),
            "StepCancelled" => self.end(event, at, StepStatus::Cancelled),
            "StepSkipped" => self.end(event, at, StepStatus::Skipped),
            "CheckpointReached" => {
                self.kind = StepKind::Checkpoint;
                self.opened.get_or_insert(at);
                self.spans.push(Span {
                    from: at,
                    to: at,
                    shade: Shade::Busy,
                });
                self.end(event, at, StepStatus::Completed);
            }
            "StepFailed" => {
                self.failures.push((at, failure_code(&event.details)));
                self.end(event, at, StepStatus::Failed);
            }
            "AttemptFailed" | "LeaseExpired" => {
                self.stretch(event, at);
                let code = if event.kind == "LeaseExpired" {
                    "LEASE_EXPIRED".to_owned()
                } else {
                    failure_code(&event.details)
                };
                self.failures.push((at, code));
                self.retry_at = instant_in(&event.details, "retry_at");
                self.since = Some((at, Shade::Queued));
            }
            "StepParked" => {
                self.stretch(event, at);
                self.since = Some((at, Shade::Waiting));
            }
            "StepResumed" => {
                self.stretch(event, at);
                self.since = Some((at, Shade::Queued));
            }
            // The rest happen within a step and do not change what it is doing.
            _ => {}
        }
    }

    fn end(&mut self, event: &EventView, at: Timestamp, status: StepStatus) {
        self.stretch(event, at);
        self.since = None;
        self.closed = Some(at);
        self.status = status;
    }

    /// Draws the open stretch up to `to`: a retry delay first, then queueing up to the grant, then work.
    fn stretch(&mut self, event: &EventView, to: Timestamp) {
        let Some((from, shade)) = self.since else {
            return;
        };
        let granted = instant_in(&event.details, "granted_at");
        self.draw(
            from,
            to,
            shade,
            granted.map_or(Knowledge::Unknown, Knowledge::Granted),
        );
    }

    fn draw(&mut self, from: Timestamp, to: Timestamp, shade: Shade, known: Knowledge) {
        let mut at = from;
        let spans = &mut self.spans;
        let mut push = |upto: Timestamp, shade| {
            let upto = upto.clamp(at, to);
            if upto > at {
                spans.push(Span {
                    from: at,
                    to: upto,
                    shade,
                });
                at = upto;
            }
            at
        };
        match (shade, known) {
            (Shade::Queued, known) => {
                if let Some(retry_at) = self.retry_at.take() {
                    push(retry_at, Shade::RetryDelay);
                }
                match known {
                    Knowledge::Granted(granted) => {
                        // There was work even if it took no time that the clock can tell.
                        let from = push(granted, Shade::Queued);
                        spans.push(Span {
                            from,
                            to,
                            shade: Shade::Busy,
                        });
                    }
                    Knowledge::Unknown => _ = push(to, Shade::Busy),
                    Knowledge::NotYet => _ = push(to, Shade::Queued),
                }
            }
            (Shade::Around | Shade::RetryDelay | Shade::Waiting | Shade::Busy, _) => {
                push(to, shade);
            }
        }
    }

    /// Draws what is still open.
    fn finish(&mut self, now: Timestamp) {
        if let Some((from, shade)) = self.since {
            let known = match self.status {
                StepStatus::Running => self
                    .leased_at
                    .map_or(Knowledge::Unknown, Knowledge::Granted),
                StepStatus::Ready | StepStatus::Pending => Knowledge::NotYet,
                StepStatus::Waiting
                | StepStatus::Unspecified
                | StepStatus::Completed
                | StepStatus::Failed
                | StepStatus::Skipped
                | StepStatus::Cancelled => Knowledge::Unknown,
            };
            self.draw(from, now, shade, known);
        }
    }

    /// How long it took; `None` if it has not ended or never began.
    #[must_use]
    pub fn took(&self) -> Option<String> {
        Some(time::span(time::between(self.opened?, self.closed?)))
    }
}

/// What is known of the grant that a stretch ended with.
#[derive(Debug, Clone, Copy)]
enum Knowledge {
    Granted(Timestamp),
    Unknown,
    NotYet,
}

/// What an open step of this kind does until something happens.
fn resting_shade(kind: StepKind) -> Shade {
    match kind {
        StepKind::Call | StepKind::Agent | StepKind::Unspecified => Shade::Queued,
        StepKind::Review | StepKind::Sleep | StepKind::Wait | StepKind::Run | StepKind::Foreach => {
            Shade::Waiting
        }
        StepKind::Parallel | StepKind::Switch | StepKind::Try => Shade::Around,
        StepKind::Checkpoint | StepKind::Set | StepKind::Return | StepKind::Fail => Shade::Busy,
    }
}

/// What a step was opened to do, from the event's content: the name of the activity, or an object with that one key.
fn activity(details: &Value) -> Option<StepKind> {
    let activity = find(details, "activity")?;
    let name = activity
        .as_str()
        .or_else(|| activity.as_object()?.keys().next().map(String::as_str))?;
    Some(match name {
        "Call" => StepKind::Call,
        "Review" => StepKind::Review,
        "Sleep" => StepKind::Sleep,
        "Wait" => StepKind::Wait,
        "Parallel" => StepKind::Parallel,
        "Switch" => StepKind::Switch,
        "Try" => StepKind::Try,
        "Foreach" => StepKind::Foreach,
        "Child" => StepKind::Run,
        _ => return None,
    })
}

/// An instant somewhere in an event's content, as RFC 3339 text or as microseconds since 1970.
fn instant_in(details: &Value, name: &str) -> Option<Timestamp> {
    let found = find(details, name)?;
    match found {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => Timestamp::from_microsecond(number.as_i64()?).ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The code of the failure in an event's content.
#[must_use]
pub fn failure_code(details: &Value) -> String {
    find(details, "failure")
        .and_then(|failure| failure.get("code"))
        .and_then(Value::as_str)
        .unwrap_or("FAILED")
        .to_owned()
}

/// The value of the first field with this name, at any depth of objects.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = value.as_object()?;
    fields
        .get(name)
        .or_else(|| fields.values().find_map(|inner| find(inner, name)))
}
