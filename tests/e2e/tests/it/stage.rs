//! What the capabilities of these tests do: they speak back, fail on demand, hold until they are let go, and leave
//! notes. A test looks at the stage to see what was really done, and how often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_e2e::wait::PATIENCE;
use fulcrum_sdk::{
    Capability, Context, Contract, EffectClass, Failure, FailureClass, Sent, capability,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

/// What was done so far, and what may be done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// Notes left, in order.
    pub(crate) notes: Vec<String>,
    /// Gates that a call has come to, in order.
    pub(crate) reached: Vec<String>,
    /// Gates that a call has left again: let through, told to stop, or dropped with its worker.
    pub(crate) left: BTreeSet<String>,
    /// Calls that stand before a gate.
    pub(crate) held: usize,
    /// The most there ever were at once.
    pub(crate) held_max: usize,
    open: BTreeSet<String>,
}

/// Where the capabilities of one test act. Shared by all of its workers.
pub(crate) struct Stage(watch::Sender<Scene>);

impl Stage {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(Scene::default())))
    }

    /// What was done so far.
    pub(crate) fn scene(&self) -> Scene {
        self.0.borrow().clone()
    }

    /// How often this note was left.
    pub(crate) fn count(&self, note: &str) -> usize {
        self.0
            .borrow()
            .notes
            .iter()
            .filter(|left| *left == note)
            .count()
    }

    /// Waits until the scene is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl FnMut(&Scene) -> bool) {
        let mut scene = self.0.subscribe();
        let seen = tokio::time::timeout(PATIENCE, scene.wait_for(wanted))
            .await
            .is_ok();
        assert!(
            seen,
            "{what}: not within {PATIENCE:?}; last seen: {:?}",
            self.scene()
        );
    }

    /// Waits until a call stands before this gate, or went through it.
    pub(crate) async fn reached(&self, gate: &str) {
        let here = |scene: &Scene| scene.reached.iter().any(|reached| reached == gate);
        self.until(&format!("gate {gate} reached"), here).await;
    }

    /// Lets everybody through this gate, now and later.
    pub(crate) fn open(&self, gate: &str) {
        self.0.send_modify(|scene| {
            scene.open.insert(gate.to_owned());
        });
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.0.send_modify(|scene| scene.notes.push(text.into()));
    }

    /// Stands before a gate until it is open.
    pub(crate) async fn pass(&self, gate: &str) {
        let _held = Held::at(self, gate);
        let mut scene = self.0.subscribe();
        let opened = scene.wait_for(|scene| scene.open.contains(gate)).await;
        drop(opened.expect("the stage outlives its capabilities"));
    }
}

struct Held<'a> {
    stage: &'a Stage,
    gate: &'a str,
}

impl<'a> Held<'a> {
    fn at(stage: &'a Stage, gate: &'a str) -> Self {
        stage.0.send_modify(|scene| {
            scene.reached.push(gate.to_owned());
            scene.held += 1;
            scene.held_max = scene.held_max.max(scene.held);
        });
        Self { stage, gate }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.stage.0.send_modify(|scene| {
            scene.held -= 1;
            scene.left.insert(self.gate.to_owned());
        });
    }
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    value: Value,
}

#[derive(Deserialize, JsonSchema)]
struct Note {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Hold {
    gate: String,
}

/// Fails so many attempts, and then gives the number of the attempt.
#[derive(Deserialize, JsonSchema)]
struct Flaky {
    failures: u32,
    class: Option<String>,
    code: Option<String>,
    retry_after_ms: Option<u64>,
}

/// `test.echo`, `test.note`, `test.hold` and `test.flaky`.
pub(crate) fn capabilities(stage: &Arc<Stage>) -> Vec<Arc<dyn Capability>> {
    let (noting, holding) = (Arc::clone(stage), Arc::clone(stage));
    vec![
        Arc::new(capability(
            read("test.echo"),
            |_ctx, input: Echo| async move { Ok(input.value) },
        )),
        Arc::new(capability(read("test.note"), move |_ctx, input: Note| {
            let stage = Arc::clone(&noting);
            async move {
                stage.note(&input.text);
                Ok(input.text)
            }
        })),
        Arc::new(capability(read("test.hold"), move |ctx, input: Hold| {
            hold(Arc::clone(&holding), ctx, input.gate)
        })),
        Arc::new(capability(read("test.flaky"), flaky)),
    ]
}

/// A contract whose calls may be repeated.
pub(crate) fn read(name: &str) -> Contract {
    Contract::new(name, EffectClass::Read)
}

async fn hold(stage: Arc<Stage>, ctx: Context, gate: String) -> Result<String, Failure> {
    tokio::select! {
        () = stage.pass(&gate) => Ok(gate),
        () = ctx.cancelled().cancelled() => {
            Err(Failure::fatal("CANCELLED", "told to stop").sent(Sent::No))
        }
    }
}

async fn flaky(ctx: Context, input: Flaky) -> Result<u32, Failure> {
    if ctx.attempt() > input.failures {
        return Ok(ctx.attempt());
    }
    let class = match input.class.as_deref() {
        Some("recoverable") => FailureClass::Recoverable,
        Some("fatal") => FailureClass::Fatal,
        Some("unknown") => FailureClass::Unknown,
        _ => FailureClass::Transient,
    };
    let code = input.code.unwrap_or_else(|| "BUSY".to_owned());
    let failure = Failure::new(
        class,
        code,
        format!("attempt {} was told to fail", ctx.attempt()),
    );
    Err(match input.retry_after_ms {
        Some(after) => failure.retry_after(Duration::from_millis(after)),
        None => failure,
    })
}
