//! The store behind pgbouncer in transaction mode: a real one, started by the test, as small as it gets, so that every
//! transaction of ours gets the server session that another just left.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fulcrum_core::store::{
    Attendance, Beat, BeatOutcome, ClaimRequest, CommitOutcome, Sought, Store,
};
use fulcrum_core::time::Millis;
use fulcrum_store::versions::{ControllerRow, Entered, FeatureLevel};
use fulcrum_store::{PgStore, Route, StoreOptions};
use sqlx::Executor;
use sqlx::types::Uuid;

use crate::database::{Database, options, server_address, server_login};
use crate::sample::{NAMESPACE, next, run, start, start_with_task, worker};

/// Longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Server sessions; the store holds more connections than that.
const SESSIONS: u32 = 3;

struct Pooler {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

fn binary() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/pgbouncer-bin");
    let found = Command::new(script).output().unwrap();
    assert!(
        found.status.success(),
        "this test needs pgbouncer: `scripts/setup --for-tests` gets it"
    );
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

impl Pooler {
    async fn start(database: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = std::env::temp_dir().join(format!("fulcrum-pooler-{}", address.port()));
        std::fs::create_dir_all(&folder).unwrap();
        let server = server_address();
        let (host, port) = server.rsplit_once(':').unwrap();
        let (user, password) = server_login();
        let settings = format!(
            "[databases]\n{database} = host={host} port={port} user={user} password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 100\n",
            address.port()
        );
        let file = folder.join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(binary());
        command.arg("--quiet").arg(&file);
        // It refuses to run as root, like the server.
        if we_are_root() {
            command.args(["--user", "nobody"]);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self {
            process,
            folder,
            address,
        };
        let began = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "pgbouncer does not listen");
            tokio::task::yield_now().await;
        }
        pooler
    }

    async fn store(&self, database: &str) -> PgStore {
        PgStore::connect(&StoreOptions {
            url: format!("postgres://anyone@{}/{database}", self.address),
            route: Route::TransactionPooler,
            acquire_timeout: Duration::from_secs(30),
            ..options(database)
        })
        .await
        .unwrap()
    }
}

fn we_are_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    })
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A run from start to end, as a controller would drive it.
async fn drive(store: PgStore, n: u64) {
    let capability = format!("a{n}");
    let mut commit = start_with_task(run(n), &capability);
    // A flush of one statement is not safe behind a pooler (ADR 0007); with a snapshot this one has several.
    commit.snapshot = Some(vec![1]);
    let report = store.flush(vec![commit.clone()]).await.unwrap();
    assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    let request = ClaimRequest {
        worker: worker(1),
        namespace: NAMESPACE,
        capabilities: vec![capability],
        slots: 1,
    };
    let lease = Millis::from_secs(30);
    let granted = store.claim(&[request], lease).await.unwrap();
    let beat = Beat {
        lease: granted[0].lease,
        worker: worker(1),
    };
    let renewed = store.heartbeat(&[beat], lease).await.unwrap();
    assert!(matches!(renewed[0], BeatOutcome::Extended(_)));
    let again = next(&commit.head);
    let report = store
        .flush(vec![again.clone(), next(&start(run(n)).head)])
        .await
        .unwrap();
    assert_eq!(
        report.outcomes,
        [CommitOutcome::Committed, CommitOutcome::Conflict]
    );
    let loaded = store
        .load(&[run(n)], fulcrum_core::store::Since::Snapshot)
        .await
        .unwrap();
    assert_eq!(loaded[0].clone().unwrap().unwrap().head, again.head);
    assert_eq!(store.heads(&[run(n)]).await.unwrap(), [again.head]);
}

#[tokio::test]
async fn many_callers_share_few_sessions_of_a_pooler_and_meet_nothing_of_each_other() {
    let database = Database::empty().await;
    let pooler = Pooler::start(database.name()).await;
    let store = pooler.store(database.name()).await;
    store.migrate().await.unwrap();
    let second = pooler.store(database.name()).await;
    for round in 0..4_u64 {
        let callers: Vec<_> = (0..16_u64)
            .map(|n| {
                let store = if n % 2 == 0 { &store } else { &second };
                tokio::spawn(drive(store.clone(), 1 + round * 16 + n))
            })
            .collect();
        // Statements that begin no transaction of their own, in between.
        for _ in 0..10 {
            store.now().await.unwrap();
            assert!(second.installation().get().await.unwrap().is_none());
        }
        for caller in callers {
            caller.await.unwrap();
        }
    }
}

#[tokio::test]
async fn upkeep_works_through_a_pooler() {
    let database = Database::new().await;
    let pooler = Pooler::start(database.name()).await;
    let store = pooler.store(database.name()).await;
    let old = fulcrum_core::ids::RunId::new(
        fulcrum_core::time::Timestamp::from_millis(1_000_000_000_000),
        fulcrum_core::ids::Shard(1),
        1,
    );
    store
        .namespaces()
        .create(
            NAMESPACE,
            "acme",
            16,
            fulcrum_store::catalog::Once::unnamed(),
        )
        .await
        .unwrap();
    store.flush(vec![start(old)]).await.unwrap();
    let mut closing = next(&start(old).head);
    closing.head.status = fulcrum_core::store::RunStatus::Completed;
    closing.head.closed_at = Some(fulcrum_core::time::Timestamp(1));
    store.flush(vec![closing]).await.unwrap();
    let upkeep = store.upkeep();
    let leader = upkeep.lead(Uuid::from_u128(1)).await.unwrap().unwrap();
    let done = upkeep.retain(leader, 30).await.unwrap().unwrap();
    assert_eq!((done.days_dropped, done.runs_deleted), (1, 1));
    assert!(upkeep.runway_days().await.unwrap() >= 14);
    let me = ControllerRow {
        id: Uuid::from_u128(2),
        build: "0.1.0".to_owned(),
        level_max: FeatureLevel::MAX,
    };
    let entered = store.versions().enter(&me).await.unwrap();
    assert_eq!(entered, Entered::Welcome(FeatureLevel::MAX));
    assert!(store.watermark().is_raised());
    // It is noted by the tick, too, on the way of which the server's position is asked for.
    database
        .raw()
        .await
        .execute("update controllers set last_seen_at = now() - interval '20 seconds'")
        .await
        .unwrap();
    let sought = Sought {
        attending: Some(me.id),
        ..Sought::default()
    };
    for _ in 0..3 {
        let found = store.tick(&sought).await.unwrap();
        assert_eq!(found.attendance, Attendance::Fresh);
    }
    assert!(store.bus().is_none(), "sessions are not ours");
    store.examine(Millis::from_secs(60)).await.unwrap();
}
