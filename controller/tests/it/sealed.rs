//! Private keys at rest: sealed, and under which key.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fulcrum_controller::app::{Controller, StartError};
use fulcrum_controller::foundation::{Foundation, FoundationError, open};
use fulcrum_controller::identity::InstallId;
use fulcrum_controller::identity::authority::{AuthorityKind, AuthorityRow};
use fulcrum_controller::identity::founding;
use fulcrum_controller::identity::registry::StoredKeyError;
use fulcrum_controller::identity::sealing::KeepSealed;
use fulcrum_controller::keys::{KeyError, KeyId, KeysError, gather};
use fulcrum_controller::loops::Loop as _;
use fulcrum_store::versions::{FeatureLevel, Raised};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;

use crate::database::Database;
use crate::harness::PATIENCE;
use crate::stack::{Stack, config, keys};

const LEVEL_2: &str = "update versions set feature_level = 2, readable_from = 1";
const KEYS: &str = "
    select string_agg(key, ' ' order by key) from (
      select encode(paging_key, 'hex') as key from installation
      union all select serial || encode(key_pem, 'hex') from certificate_authorities) k";

/// Every row of every table, as text; bytes in hex.
fn dump(database: &Database) -> String {
    let tables = database.ask(
        "select format('%I', relname) from pg_class
         where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname",
    );
    let rows: Vec<_> = tables
        .lines()
        .map(|table| format!("select '{table}', t::text from {table} t"))
        .collect();
    database.ask(&format!("{} order by 1, 2", rows.join(" union all ")))
}

/// What of these keys the text shows: as text, in base64, in hex; whole or one line.
fn shown<'a>(text: &str, keys: &'a [AuthorityRow], paging_key: &[u8; 32]) -> Vec<&'a str> {
    let mut shown = Vec::new();
    let holds = |bytes: &[u8]| text.contains(&hex::encode(bytes));
    for key in keys {
        let pem = key.key_pem.expose_secret();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
        let der = der.secret_pkcs8_der();
        // The secret number of P-256, between what the format says around it.
        let number = &der[36..68];
        let lines = pem.lines().filter(|line| line.len() > 40);
        let in_lines = lines
            .clone()
            .any(|line| text.contains(line) || holds(line.as_bytes()));
        let in_base64 = text.contains(&STANDARD.encode(der));
        if in_lines || in_base64 || holds(der) || holds(number) {
            shown.push(key.serial.as_str());
        }
    }
    if holds(paging_key) || text.contains(&STANDARD.encode(paging_key)) {
        shown.push("paging key");
    }
    shown
}

/// Marks of any private key: PEM, PKCS#8 and SEC 1 with P-256, PKCS#8 with Ed25519.
fn marks(text: &str) -> Vec<&'static str> {
    let marks = [
        "PRIVATE KEY",
        "020100301306072a8648ce3d0201",
        "30770201010420",
        "302e020100300506032b6570",
    ];
    let hex_of_pem = hex::encode("PRIVATE KEY");
    marks
        .into_iter()
        .filter(|mark| text.contains(mark) || (*mark == marks[0] && text.contains(&hex_of_pem)))
        .collect()
}

async fn lay(database: &Database, key_bytes: &[u8]) -> Result<Foundation, FoundationError> {
    let mut config = config(&database.url());
    config.keys = keys(key_bytes);
    Box::pin(Foundation::lay(&config)).await
}

async fn start(database: &Database, key_bytes: &[u8]) -> Result<Controller, StartError> {
    let mut config = config(&database.url());
    config.keys = keys(key_bytes);
    Box::pin(Controller::start(&config)).await
}

/// Starts a controller, lets its first look at the keys end, and ends it.
async fn looks_once(database: &Database, key_bytes: &[u8]) -> u64 {
    let controller = start(database, key_bytes).await.expect("starts");
    let looked = async {
        loop {
            let status = controller.board().read().remove(KeepSealed::NAME);
            if let Some(status) = status {
                assert_eq!(status.last_error, None);
                return status.worked;
            }
            tokio::task::yield_now().await;
        }
    };
    let sealed = tokio::time::timeout(PATIENCE, looked).await;
    let sealed = sealed.expect("the loop ticks");
    assert!(controller.shut_down().await.is_empty());
    sealed
}

/// The keys that those of the installation rest under.
async fn resting(foundation: &Foundation) -> BTreeSet<Option<KeyId>> {
    let resting = foundation.registry.resting().await.expect("an answer");
    resting.into_iter().map(|key| key.sealed_under).collect()
}

async fn id_of(byte: u8) -> KeyId {
    let kek = gather(&keys(&[byte]).sources()).await.expect("a key");
    kek.ids().next().expect("one")
}

#[tokio::test]
async fn a_copy_of_a_fresh_database_has_no_private_key_in_it() {
    let (stack, operator) = Stack::start().await;
    stack.add_connector(&operator).await;
    let foundation = lay(&stack.database, &[1]).await.expect("a foundation");
    let keys = foundation.registry.authorities().await.expect("opens");
    assert_eq!(keys.len(), 2);

    let copy = dump(&stack.database);
    assert!(copy.contains(&keys[0].serial), "it is a copy");
    assert_eq!(marks(&copy), [""; 0]);
    assert_eq!(shown(&copy, &keys, &foundation.paging_key), [""; 0]);
    let all_sealed = BTreeSet::from([Some(id_of(1).await)]);
    assert_eq!(resting(&foundation).await, all_sealed);

    // What is looked for is found where it is.
    let in_clear = |sql: String| {
        stack.database.ask(&sql);
        let copy = dump(&stack.database);
        let (found, marks) = (
            shown(&copy, &keys, &foundation.paging_key).len(),
            marks(&copy).len(),
        );
        (found, marks)
    };
    let pem = keys[0].key_pem.expose_secret();
    let of_root = format!("where serial = '{}'", keys[0].serial);
    let as_pem = format!(
        "update certificate_authorities set key_pem = convert_to('{pem}', 'UTF8') {of_root}"
    );
    assert_eq!(in_clear(as_pem), (1, 1));
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
    let der = hex::encode(der.secret_pkcs8_der());
    let as_der = format!("update certificate_authorities set key_pem = '\\x{der}' {of_root}");
    let (found, marks) = in_clear(as_der);
    assert!(found == 1 && marks > 0, "{found} {marks}");
    let paging_key = hex::encode(foundation.paging_key.as_ref());
    let clear = format!("update installation set paging_key = '\\x{paging_key}'");
    assert_eq!(in_clear(clear).0, 2);

    foundation.store.close().await;
    stack.controller.shut_down().await;
}

#[tokio::test]
async fn keys_rest_clear_until_the_level_allows_and_are_sealed_then() {
    let database = Database::create();
    let store = open(&config(&database.url())).await.expect("opens");
    store.migrate().await.expect("migrates");
    database.ask(LEVEL_2);

    assert_eq!(looks_once(&database, &[1]).await, 0);
    let foundation = lay(&database, &[1]).await.expect("a foundation");
    let install: InstallId = foundation.authority.install().clone();
    let pin = foundation.authority.pin();
    let now = foundation.clock.now();
    let rows = foundation.registry.authorities().await.expect("clear");
    let root = rows.iter().find(|row| row.kind == AuthorityKind::Root);
    let another = || founding::new_issuing(&install, root.expect("a root"), now).expect("made");
    let add = async |row: AuthorityRow| foundation.registry.add_authority(&row).await;
    add(another()).await.expect("added");
    assert_eq!(resting(&foundation).await, BTreeSet::from([None]));
    let copy = dump(&database);
    assert_eq!(shown(&copy, &rows, &foundation.paging_key).len(), 3);

    let raised = store.versions().raise(FeatureLevel::SEALED_KEYS).await;
    let level = FeatureLevel::SEALED_KEYS;
    assert_eq!(raised.expect("raised"), Raised::InForce(level));
    add(another()).await.expect("added");
    let some = BTreeSet::from([None, Some(id_of(1).await)]);
    assert_eq!(resting(&foundation).await, some, "the new one is sealed");

    assert_eq!(looks_once(&database, &[1]).await, 4, "and now the old ones");
    let all = BTreeSet::from([Some(id_of(1).await)]);
    assert_eq!(resting(&foundation).await, all);
    let copy = dump(&database);
    assert_eq!(marks(&copy), [""; 0]);
    assert_eq!(shown(&copy, &rows, &foundation.paging_key), [""; 0]);
    let after = lay(&database, &[1]).await.expect("a foundation");
    assert_eq!(after.authority.pin(), pin);
    assert_eq!(after.paging_key, foundation.paging_key);
    assert_eq!(looks_once(&database, &[1]).await, 0, "once is enough");
    for store in [&after.store, &foundation.store, &store] {
        store.close().await;
    }
}

#[tokio::test]
async fn a_controller_with_another_key_refuses_and_changes_nothing() {
    let database = Database::create();
    looks_once(&database, &[1]).await;
    let before = dump(&database);

    let refused = start(&database, &[2]).await.err().expect("refuses");
    let said = refused.to_string();
    assert!(said.contains("keys.sources"), "{said}");
    assert!(said.contains(&id_of(1).await.to_string()), "{said}");
    let StartError::Foundation(FoundationError::StoredKey(StoredKeyError::Key {
        error: KeyError::UnknownKey {
            sealed_under,
            configured,
        },
        ..
    })) = refused
    else {
        panic!("{said}");
    };
    assert_eq!(sealed_under, id_of(1).await);
    assert_eq!(configured, [id_of(2).await]);
    assert_eq!(dump(&database), before);

    // Without any it does not get as far as the database.
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    let mut without = config(nowhere);
    without.keys = keys(&[]);
    let refused = Box::pin(Controller::start(&without)).await.err();
    assert!(matches!(
        refused,
        Some(StartError::Foundation(FoundationError::Keys(
            KeysError::None
        )))
    ));
}

#[tokio::test]
async fn a_sealed_key_that_was_moved_to_another_row_is_refused() {
    let database = Database::create();
    looks_once(&database, &[1]).await;
    database.ask(
        "update certificate_authorities a set key_pem = b.key_pem
         from certificate_authorities b where a.serial <> b.serial",
    );
    let refused = lay(&database, &[1]).await.err().expect("refuses");
    assert!(
        matches!(
            refused,
            FoundationError::StoredKey(StoredKeyError::Key {
                error: KeyError::Refused { .. },
                ..
            })
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn a_key_takes_the_place_of_another() {
    let database = Database::create();
    looks_once(&database, &[1]).await;
    let before = database.ask(KEYS);
    assert_eq!(looks_once(&database, &[1, 2]).await, 0, "the first seals");
    assert_eq!(database.ask(KEYS), before);

    assert_eq!(looks_once(&database, &[2, 1]).await, 4);
    let foundation = lay(&database, &[2]).await.expect("the old one can go");
    let all = BTreeSet::from([Some(id_of(2).await)]);
    assert_eq!(resting(&foundation).await, all);
    foundation.store.close().await;
    let refused = start(&database, &[1]).await.err().expect("refuses");
    assert!(refused.to_string().contains(&id_of(2).await.to_string()));
}
