//! Capabilities that tests offer.

use fulcrum_sdk::{Capability, Context, Contract, EffectClass, Failure, capability};
use tokio::sync::{mpsc, watch};

/// `math.double`.
pub(crate) fn doubling() -> impl Capability {
    async fn double(_ctx: Context, input: i64) -> Result<i64, Failure> {
        Ok(input * 2)
    }
    capability(Contract::new("math.double", EffectClass::Read), double)
}

/// What a test sees of `hold`, and lets it go by.
pub(crate) struct Gate {
    entries: mpsc::Receiver<()>,
    open: watch::Sender<()>,
}

impl Gate {
    /// Waits until a task is held.
    pub(crate) async fn entered(&mut self) {
        self.entries.recv().await.unwrap();
    }

    /// Lets go of what is held.
    pub(crate) fn open(&self) {
        self.open.send(()).unwrap();
    }
}

/// `hold`, which gives back its input once the gate opens.
pub(crate) fn holding() -> (impl Capability, Gate) {
    let (entered, entries) = mpsc::channel(1);
    let (open, gate) = watch::channel(());
    let hold = move |_ctx: Context, input: i64| {
        let entered = entered.clone();
        let mut gate = gate.clone();
        async move {
            entered.send(()).await.unwrap();
            gate.changed().await.unwrap();
            Ok(input)
        }
    };
    let hold = capability(Contract::new("hold", EffectClass::Outward), hold);
    (hold, Gate { entries, open })
}
