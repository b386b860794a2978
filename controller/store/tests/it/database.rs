//! A database per test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};

use fulcrum_store::versions::{ControllerRow, FeatureLevel};
use fulcrum_store::{Durability, PgStore, PoolSizes, StoreOptions};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of one test; dropped with it.
pub(crate) struct Database {
    name: String,
    pub(crate) store: PgStore,
}

fn server() -> String {
    std::env::var("FULCRUM_TEST_DATABASE_URL").expect(
        "these tests need a PostgreSQL server: run them with `scripts/pg-test run cargo test -p fulcrum-store`, \
         or set FULCRUM_TEST_DATABASE_URL to what `scripts/pg-test start` prints",
    )
}

fn url(database: &str) -> String {
    let server = server();
    let (base, _) = server
        .rsplit_once('/')
        .expect("a database URL ends with /database");
    format!("{base}/{database}")
}

async fn admin(statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&server()).await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await
}

/// Where the server listens.
pub(crate) fn server_address() -> String {
    let server = server();
    let (_, rest) = server
        .split_once('@')
        .expect("a test server asks for a password");
    let (address, _) = rest
        .split_once('/')
        .expect("a database URL ends with /database");
    address.to_owned()
}

/// Who logs in there, with what password.
pub(crate) fn server_login() -> (String, String) {
    let server = server();
    let login = server
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .and_then(|(login, _)| login.split_once(':'))
        .expect("a test server asks for a password");
    (login.0.to_owned(), login.1.to_owned())
}

/// A raw connection to a database.
pub(crate) async fn connect(database: &str) -> PgConnection {
    PgConnection::connect(&url(database)).await.unwrap()
}

pub(crate) fn options(database: &str) -> StoreOptions {
    StoreOptions {
        pools: PoolSizes {
            control: 2,
            commit: 2,
            request: 4,
            report: 2,
        },
        durability: Durability::Unsafe,
        ..StoreOptions::new(url(database))
    }
}

/// The migrated template, named after its migrations: made once per change, by whoever comes first.
async fn template() -> &'static str {
    TEMPLATE
        .get_or_init(|| async {
            let mut hash = DefaultHasher::new();
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|file| file.unwrap().path())
                .collect();
            files.sort();
            files
                .iter()
                .for_each(|file| std::fs::read(file).unwrap().hash(&mut hash));
            let name = format!("fulcrum_template_{:x}", hash.finish());
            let mut lock = PgConnection::connect(&server()).await.unwrap();
            lock.execute("select pg_advisory_lock(7265)").await.unwrap();
            let exists: bool =
                sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                    .bind(&name)
                    .fetch_one(&mut lock)
                    .await
                    .unwrap();
            if !exists {
                let raw = format!("{name}_raw");
                admin(format!("drop database if exists {raw}"))
                    .await
                    .unwrap();
                admin(format!("create database {raw}")).await.unwrap();
                let store = PgStore::connect(&options(&raw)).await.unwrap();
                store.migrate().await.unwrap();
                store.close().await;
                admin(format!("alter database {raw} rename to {name}"))
                    .await
                    .unwrap();
            }
            lock.close().await.unwrap();
            name
        })
        .await
}

/// Lets a store learn what may be written.
pub(crate) async fn look_at_level(store: &PgStore) {
    let me = ControllerRow {
        id: Uuid::from_u128(0),
        build: "test".to_owned(),
        level_max: FeatureLevel::MAX,
    };
    store.versions().enter(&me).await.unwrap();
    store.versions().leave(me.id).await.unwrap();
}

impl Database {
    /// A migrated database, and a store that knows what may be written.
    pub(crate) async fn new() -> Self {
        let database = Self::fresh().await;
        look_at_level(&database.store).await;
        database
    }

    /// A migrated database, and a store that has not looked yet.
    pub(crate) async fn fresh() -> Self {
        let template = template().await;
        Self::create(&format!("template {template}")).await
    }

    /// A database without any schema.
    pub(crate) async fn empty() -> Self {
        Self::create("").await
    }

    async fn create(how: &str) -> Self {
        let name = format!(
            "fulcrum_it_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        admin(format!("create database {name} {how}"))
            .await
            .unwrap();
        let store = PgStore::connect(&options(&name)).await.unwrap();
        Self { name, store }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Another store on this database, by way of another address.
    pub(crate) async fn store_by_way_of(&self, address: std::net::SocketAddr) -> PgStore {
        let direct = url(&self.name);
        let (login, rest) = direct
            .split_once('@')
            .expect("a test server asks for a password");
        let (_, database) = rest
            .split_once('/')
            .expect("a database URL ends with /database");
        let url = format!("{login}@{address}/{database}");
        PgStore::connect(&StoreOptions {
            url,
            ..options(&self.name)
        })
        .await
        .unwrap()
    }

    pub(crate) async fn raw(&self) -> PgConnection {
        connect(&self.name).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        // A thread with a runtime of its own, because the test's may be going away.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(admin(drop))
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("a test's database stays behind: {error}");
        }
    }
}
