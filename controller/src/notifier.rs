//! News between controllers: what happened here goes out in few messages, what comes in wakes whoever waits for it.
//!
//! Nothing depends on it. While this controller is alone, nothing is told and nobody listens; what is lost is found by
//! the next tick.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_store::PgStore;
use fulcrum_store::bus::{Bus, Ears, Heard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::engine::catalog::Source;
use crate::engine::handle::Engine;
use crate::engine::herald::Audience;
use crate::engine::news::News;
use crate::entropy::Entropy;
use crate::loops::jitter;
use crate::shutdown::{Stage, Tasks};

/// What comes so soon after the first goes along with it.
const TOGETHER: Duration = Duration::from_millis(4);
/// Messages are so far apart at least.
const APART: Duration = Duration::from_millis(25);
/// First pause before listening again; it doubles with each failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Tells and hears news, unless the store has no bus.
pub fn start<C: Source>(store: &PgStore, engine: &Arc<Engine<PgStore, C>>, tasks: &Tasks) {
    let Some(bus) = store.bus() else {
        tracing::info!(
            "sessions are not ours behind a pooler: other controllers' work is found by ticks alone"
        );
        return;
    };
    let me = match engine.entropy.block() {
        Ok(block) => {
            let (id, _) = block
                .split_first_chunk()
                .expect("sixteen of thirty-two bytes");
            Uuid::from_bytes(*id)
        }
        Err(error) => {
            tracing::warn!(%error, "no entropy; other controllers' work is found by ticks alone");
            return;
        }
    };
    let notifier = Notifier {
        bus,
        engine: Arc::clone(engine),
        me,
        entropy: engine.entropy.clone(),
    };
    let notifier = Arc::new(notifier);
    let stop = tasks.begins(Stage::Loops);
    tasks.spawn(
        Stage::Loops,
        "audience",
        until(stop.clone(), Arc::clone(&notifier).know_the_audience()),
    );
    tasks.spawn(
        Stage::Loops,
        "tell",
        until(stop.clone(), Arc::clone(&notifier).tell()),
    );
    tasks.spawn(Stage::Loops, "listen", until(stop, notifier.listen()));
}

/// Goes on until `stop`. What is dropped halfway is news, which may be lost.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
}

struct Notifier<C> {
    bus: Bus,
    engine: Arc<Engine<PgStore, C>>,
    /// Tells our own messages from others'.
    me: Uuid,
    entropy: Entropy,
}

impl<C: Source> Notifier<C> {
    /// News is kept while somebody is there to hear it.
    async fn know_the_audience(self: Arc<Self>) {
        let mut tidings = self.engine.tidings.clone();
        while tidings.changed().await.is_ok() {
            let audience = match tidings.borrow_and_update().others {
                0 => Audience::Nobody,
                1.. => Audience::Somebody,
            };
            self.engine.herald.set_audience(audience);
        }
    }

    async fn tell(self: Arc<Self>) {
        loop {
            self.engine.herald.rung().await;
            tokio::time::sleep(TOGETHER).await;
            let news = self.engine.herald.take();
            if news.is_empty() {
                continue;
            }
            if let Err(error) = self.bus.tell(&news.to_text(self.me)).await {
                tracing::debug!(%error, "news was not told; others find it by their ticks");
            }
            tokio::time::sleep(APART).await;
        }
    }

    async fn listen(self: Arc<Self>) {
        let mut tidings = self.engine.tidings.clone();
        let mut failures: u32 = 0;
        while tidings.wait_for(|tidings| tidings.others > 0).await.is_ok() {
            match self.bus.listen().await {
                Ok(ears) => {
                    failures = 0;
                    self.hear(ears).await;
                }
                Err(error) => tracing::debug!(%error, "cannot listen for news"),
            }
            let ceiling = PAUSE_MIN
                .saturating_mul(1 << failures.min(10))
                .min(PAUSE_MAX);
            failures = failures.saturating_add(1);
            tokio::time::sleep(PAUSE_MIN + jitter::below(ceiling, &self.entropy)).await;
        }
    }

    /// Hears until the connection is lost.
    async fn hear(&self, mut ears: Ears) {
        // What was told before is unknown.
        self.heed(News::of_everything()).await;
        loop {
            let news = match ears.next().await {
                Ok(Heard::Text(text)) => News::from_text(&text, self.me),
                Ok(Heard::Gap) => Some(News::of_everything()),
                Err(error) => {
                    tracing::debug!(%error, "news is not heard for a while");
                    return;
                }
            };
            if let Some(news) = news {
                self.heed(news).await;
            }
        }
    }

    async fn heed(&self, news: News) {
        if let Err(error) = self.engine.heed(news).await {
            tracing::debug!(%error, "watched runs are looked at by the next tick");
        }
    }
}
