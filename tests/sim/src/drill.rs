//! One walk of one seed: a world is set up, goes through its storm, comes to rest, and is judged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::Stage;
use crate::chaos::{Chaos, MENDED_AFTER};
use crate::cluster::host::Host;
use crate::cluster::network::Network;
use crate::edge::worker::Site;
use crate::oracle::judge;
use crate::oracle::ledger::Ledger;
use crate::people::Person;
use crate::stage::dice::Dice;
use crate::stage::listener::Listener;
use crate::stage::sometimes::Tally;
use crate::stage::trace::digest;
use crate::workflows::Table;

const HOSTS: [&str; 3] = ["c1", "c2", "c3"];
const SITES: [&str; 4] = ["w1", "w2", "w3", "w4"];
const PEOPLE: [&str; 2] = ["p1", "p2"];
/// How long, in virtual time, a world may take to come to rest after its storm.
const REST_MAX: Duration = Duration::from_secs(300);

/// What a walk left.
#[derive(Debug)]
pub struct Walk {
    /// The seed.
    pub seed: u64,
    /// What happened, in order.
    pub lines: Vec<String>,
    /// What must not be.
    pub problems: Vec<String>,
    /// What has struck.
    pub tally: Tally,
    /// The name of the trace.
    pub digest: String,
}

/// Walks a seed once.
#[must_use]
pub fn walk(seed: u64, table: &Table) -> Walk {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output needs nothing of the system");
    let stage = runtime.block_on(async { Stage::set(seed) });
    let subscriber = tracing_subscriber::registry().with(Listener(Arc::clone(&stage)));
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(live(Arc::clone(&stage), table.clone()));
        drop(runtime);
    });
    let (lines, problems) = stage.trace.take();
    let tally = Tally::default();
    tally.add(&stage.tally);
    Walk {
        seed,
        digest: digest(&lines),
        lines,
        problems,
        tally,
    }
}

async fn live(stage: Arc<Stage>, table: Table) {
    let dice = Dice::of(stage.seed, "world");
    let hosts: Vec<_> = HOSTS[..1 + dice.index(HOSTS.len())]
        .iter()
        .map(|name| Arc::new(Host::new(Arc::clone(&stage), name, table.clone())))
        .collect();
    let mut world = JoinSet::new();
    for host in &hosts {
        world.spawn(Arc::clone(host).keep_running());
    }
    let network = Network::to(Arc::clone(&stage), hosts.clone());
    let sites: Vec<_> = SITES[..2 + dice.index(SITES.len() - 1)]
        .iter()
        .zip(1..)
        .map(|(name, n)| Arc::new(Site::new(Arc::clone(&stage), &network, name, n)))
        .collect();
    sites.iter().for_each(|site| site.start());
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let person = |name| {
        let wire = network.wire(name);
        Person::new(Arc::clone(&stage), name, wire, Arc::clone(&ledger))
    };
    let mut people = JoinSet::new();
    for name in PEOPLE {
        people.spawn(person(name).start_runs(2 + dice.below(4)));
    }
    world.spawn(person("p3").keep_inbox());
    let chaos = Chaos {
        stage: Arc::clone(&stage),
        hosts: hosts.clone(),
        sites: sites.clone(),
    };
    world.spawn(chaos.clone().reap());
    world.spawn(chaos.reign());

    tokio::time::sleep(dice.span_ms(10_000, 35_000)).await;
    stage.note("----", "the storm is over");
    stage.storm.end();
    tokio::time::sleep(MENDED_AFTER).await;
    let came_to_rest = tokio::time::timeout(REST_MAX, async {
        while people.join_next().await.is_some() {}
        while !judge::is_at_rest(&stage) && stage.trace.is_sound() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    if came_to_rest.await.is_err() {
        judge::say_what_is_left(&stage);
    }
    stage.note("----", "the world is judged");
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    judge::judge(&stage, &ledger);
}
