//! Blobs in object storage: a folder, or a bucket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::payload::NewPayload;
use fulcrum_core::store::{CommitOutcome, RunStatus, Store, StoreError};
use fulcrum_core::time::Timestamp;
use fulcrum_store::identity::InstallationRow;
use fulcrum_store::upkeep::Retained;
use fulcrum_store::{AccessKey, BlobOptions, ConnectError, ObjectOptions, PgStore, StoreOptions};
use sqlx::types::Uuid;
use tempfile::TempDir;

use crate::bucket::{BUCKET, Bucket, KEY_ID, Mood};
use crate::database::{Database, look_at_level, options};
use crate::sample::{NAMESPACE, blob, next, payload, payload_of, run, start};

const INSTALLATION: &str = "01testinstallation";

/// A database with a folder beside it.
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) folder: TempDir,
    pub(crate) store: PgStore,
}

fn in_bucket(database: &Database, bucket: &Bucket) -> StoreOptions {
    let mut options = in_folder(database, Path::new(""));
    options.blobs.objects = Some(ObjectOptions {
        url: format!("s3://{BUCKET}/prod"),
        endpoint: Some(format!("http://{}", bucket.address)),
        region: Some("eu-central-1".to_owned()),
        access_key: Some(AccessKey {
            id: KEY_ID.to_owned(),
            secret: "secret".to_owned(),
        }),
        timeout: Duration::from_secs(20),
    });
    options
}

pub(crate) fn in_folder(database: &Database, folder: &Path) -> StoreOptions {
    StoreOptions {
        blobs: BlobOptions {
            objects: Some(ObjectOptions {
                url: format!("file://{}", folder.display()),
                endpoint: None,
                region: None,
                access_key: None,
                timeout: Duration::from_secs(20),
            }),
            ..BlobOptions::default()
        },
        ..options(database.name())
    }
}

/// A database with an installation.
async fn founded() -> Database {
    let database = Database::new().await;
    let row = InstallationRow {
        install_id: INSTALLATION.to_owned(),
        paging_key: vec![0; 32],
    };
    let installation = database.store.installation();
    installation.init(row, Vec::new()).await.unwrap();
    database
}

impl Site {
    pub(crate) async fn new() -> Self {
        let database = founded().await;
        let folder = tempfile::tempdir().unwrap();
        let store = PgStore::connect(&in_folder(&database, folder.path()))
            .await
            .unwrap();
        look_at_level(&store).await;
        Self {
            database,
            folder,
            store,
        }
    }

    /// Another store, that has not met with any failure.
    async fn afresh(&self) -> PgStore {
        let store = PgStore::connect(&in_folder(&self.database, self.folder.path()))
            .await
            .unwrap();
        look_at_level(&store).await;
        store
    }

    /// From now on there is a file where the folder of the installation should be.
    fn break_storage(&self) {
        let place = self.folder.path().join(INSTALLATION);
        if place.exists() {
            std::fs::rename(&place, self.folder.path().join("aside")).unwrap();
        }
        std::fs::write(place, "in the way").unwrap();
    }

    fn mend_storage(&self) {
        let place = self.folder.path().join(INSTALLATION);
        std::fs::remove_file(&place).unwrap();
        let aside = self.folder.path().join("aside");
        if aside.exists() {
            std::fs::rename(aside, place).unwrap();
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.folder.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if !path.ends_with("in-use") {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// Rows of blobs, and those that hold bytes.
    async fn rows(&self) -> (i64, i64) {
        sqlx::query_as("select count(*), count(data) from blobs")
            .fetch_one(&mut self.database.raw().await)
            .await
            .unwrap()
    }
}

async fn begin(store: &PgStore, n: u64, payloads: &[NewPayload]) -> Result<(), StoreError> {
    let mut commit = start(run(n));
    commit.payloads.extend_from_slice(payloads);
    let report = store.flush(vec![commit]).await?;
    assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    Ok(())
}

fn is_corrupt(read: &Result<Vec<NewPayload>, StoreError>, new: &NewPayload) -> bool {
    matches!(read, Err(StoreError::CorruptPayload { payload, .. }) if *payload == new.reference.id)
}

#[tokio::test]
async fn blobs_are_objects_and_their_rows_say_where() {
    let site = Site::new().await;
    let all = [payload(1), blob(1), blob(2)];
    begin(&site.store, 1, &all).await.unwrap();
    assert_eq!(site.rows().await, (2, 0));
    let id = blob(1).reference.id;
    let name = format!(
        "{INSTALLATION}/{}/{}/{}",
        id.birth_ms() / 86_400_000,
        id.shard().0,
        id.0
    );
    let bytes = std::fs::read(site.folder.path().join(name)).unwrap();
    assert_eq!(bytes, blob(1).payload.data);
    let refs = all.clone().map(|new| new.reference);
    assert_eq!(site.store.payloads(&refs).await.unwrap(), all);
}

#[tokio::test]
async fn what_was_written_before_there_was_object_storage_is_read_beside_it() {
    let site = Site::new().await;
    begin(&site.database.store, 1, &[blob(1)]).await.unwrap();
    begin(&site.store, 2, &[blob(2)]).await.unwrap();
    assert_eq!(site.rows().await, (2, 1));
    let both = [blob(1), blob(2)];
    let refs = both.clone().map(|new| new.reference);
    assert_eq!(site.store.payloads(&refs).await.unwrap(), both);
    // Whoever has no object storage says so, and does not take the blob for lost.
    let read = site.database.store.payloads(&[blob(2).reference]).await;
    assert!(
        matches!(read, Err(StoreError::BlobsUnavailable { .. })),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_storage_that_fails_holds_up_the_runs_that_need_it_and_loses_nothing() {
    let site = Site::new().await;
    site.break_storage();
    let mut large = start(run(1));
    large.payloads.push(blob(1));
    let batch = vec![large, start(run(2))];
    let refused = site.store.flush(batch).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::BlobsUnavailable { runs, .. } if *runs == [run(1)]),
        "{refused:?}"
    );
    begin(&site.store, 2, &[payload(1)]).await.unwrap();
    let heads = site.store.heads(&[run(1), run(2)]).await.unwrap();
    let known: Vec<RunId> = heads.iter().map(|head| head.run).collect();
    assert_eq!(known, [run(2)]);
    site.mend_storage();
    let store = site.afresh().await;
    begin(&store, 1, &[blob(1)]).await.unwrap();
    let found = store.payloads(&[blob(1).reference]).await.unwrap();
    assert_eq!(found, [blob(1)]);
}

#[tokio::test]
async fn after_a_failure_nobody_waits_for_the_storage_for_a_moment() {
    let site = Site::new().await;
    site.break_storage();
    begin(&site.store, 1, &[blob(1)]).await.unwrap_err();
    site.mend_storage();
    let refused = begin(&site.store, 1, &[blob(1)]).await.unwrap_err();
    assert!(refused.to_string().contains("left alone"), "{refused}");
    assert_eq!(site.files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_spoiled_object_and_a_lost_one_are_corrupt_payloads() {
    let site = Site::new().await;
    let blobs = [blob(1), blob(2), blob(3)];
    begin(&site.store, 1, &blobs).await.unwrap();
    let file = |new: &NewPayload| {
        let name = new.reference.id.0.to_string();
        let mut files = site.files().into_iter();
        files.find(|path| path.ends_with(&name)).unwrap()
    };
    let mut bytes = blob(1).payload.data;
    bytes[5_000] ^= 1;
    std::fs::write(file(&blob(1)), bytes).unwrap();
    std::fs::remove_file(file(&blob(2))).unwrap();
    for spoiled in &blobs[..2] {
        let read = site.store.payloads(&[spoiled.reference]).await;
        assert!(is_corrupt(&read, spoiled), "{read:?}");
    }
    let found = site.store.payloads(&[blob(3).reference]).await.unwrap();
    assert_eq!(found, [blob(3)]);
}

#[tokio::test]
async fn nothing_is_written_or_taken_for_lost_in_a_folder_that_is_not_the_one() {
    let site = Site::new().await;
    begin(&site.store, 1, &[blob(1)]).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let elsewhere = in_folder(&site.database, other.path());
    let store = PgStore::connect(&elsewhere).await.unwrap();
    look_at_level(&store).await;
    let written = begin(&store, 2, &[blob(2)]).await;
    assert!(
        matches!(&written, Err(StoreError::BlobsUnavailable { problem, .. }) if problem.contains("mounted")),
        "{written:?}"
    );
    // Whoever comes after that finds out for himself.
    let read = PgStore::connect(&elsewhere).await.unwrap();
    let read = read.payloads(&[blob(1).reference]).await;
    assert!(
        matches!(read, Err(StoreError::BlobsUnavailable { .. })),
        "{read:?}"
    );
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_day_stays_while_its_objects_cannot_be_found() {
    let site = Site::new().await;
    namespace(&site.database).await;
    Box::pin(over(&site.store)).await;
    let other = tempfile::tempdir().unwrap();
    let elsewhere = PgStore::connect(&in_folder(&site.database, other.path()))
        .await
        .unwrap();
    assert_eq!(retain(&elsewhere).await.days_dropped, 0);
    let done = retain(&site.afresh().await).await;
    assert_eq!((done.days_dropped, site.files().len()), (1, 0));
}

async fn namespace(database: &Database) {
    let unnamed = fulcrum_store::catalog::Once::unnamed();
    let namespaces = database.store.namespaces();
    namespaces
        .create(NAMESPACE, "acme", 16, unnamed)
        .await
        .unwrap();
}

/// Starts a run of long ago with a blob, and closes it.
async fn over(store: &PgStore) {
    let old = RunId::new(Timestamp::from_millis(1_000_000_000_000), Shard(1), 5);
    let mut begun = start(old);
    begun.payloads.push(payload_of(old, 1, 10_000));
    let mut closing = next(&begun.head);
    closing.head.status = RunStatus::Completed;
    closing.head.closed_at = Some(Timestamp(1));
    for commit in [begun, closing] {
        let report = store.flush(vec![commit]).await.unwrap();
        assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    }
}

async fn retain(store: &PgStore) -> Retained {
    let upkeep = store.upkeep();
    let leader = upkeep.lead(Uuid::from_u128(1)).await.unwrap().unwrap();
    upkeep.retain(leader, 30).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_day_leaves_only_with_its_objects() {
    let site = Site::new().await;
    namespace(&site.database).await;
    Box::pin(over(&site.store)).await;
    begin(&site.store, 1, &[blob(1)]).await.unwrap();
    assert_eq!(site.files().len(), 2);

    // Where no object storage is configured, nobody can delete them.
    let held = retain(&site.database.store).await;
    assert_eq!((held.days_dropped, held.days_in_the_way), (0, 1));

    site.break_storage();
    let held = retain(&site.store).await;
    assert_eq!((held.days_dropped, held.days_in_the_way), (0, 1));
    site.mend_storage();
    assert_eq!(retain(&site.store).await.days_dropped, 1);
    assert_eq!(site.files().len(), 1, "that of another day stays");
    let found = site.store.payloads(&[blob(1).reference]).await.unwrap();
    assert_eq!(found, [blob(1)]);
}

#[tokio::test]
async fn a_bucket_holds_blobs_below_its_prefix_until_their_day_leaves() {
    let (database, bucket) = (founded().await, Bucket::open().await);
    let store = PgStore::connect(&in_bucket(&database, &bucket))
        .await
        .unwrap();
    look_at_level(&store).await;
    namespace(&database).await;
    Box::pin(over(&store)).await;
    begin(&store, 1, &[blob(1), blob(2)]).await.unwrap();
    let kept: Vec<String> = bucket.shelf().objects.keys().cloned().collect();
    let place = format!("prod/{INSTALLATION}/");
    assert!(kept.iter().all(|key| key.starts_with(&place)), "{kept:?}");
    assert_eq!(kept.len(), 4, "three blobs and the mark");
    let refs = [blob(1), blob(2)].map(|new| new.reference);
    assert_eq!(store.payloads(&refs).await.unwrap(), [blob(1), blob(2)]);

    assert_eq!(retain(&store).await.days_dropped, 1);
    assert_eq!(bucket.shelf().objects.len(), 3);
    let id = blob(1).reference.id.0.to_string();
    bucket.shelf().objects.retain(|key, _| !key.ends_with(&id));
    let read = store.payloads(&refs[..1]).await;
    assert!(is_corrupt(&read, &blob(1)), "{read:?}");
    // Another bucket answers by this name, or none: nothing is lost.
    bucket.shelf().mood = Mood::Gone;
    let read = store.payloads(&refs[1..]).await;
    assert!(
        matches!(read, Err(StoreError::BlobsUnavailable { .. })),
        "{read:?}"
    );
}

#[tokio::test]
async fn a_bucket_that_fails_is_asked_a_few_times_and_then_left_alone() {
    let (database, bucket) = (founded().await, Bucket::open().await);
    let store = PgStore::connect(&in_bucket(&database, &bucket))
        .await
        .unwrap();
    look_at_level(&store).await;
    bucket.shelf().mood = Mood::Failing;
    for asked in [4, 4] {
        let refused = begin(&store, 1, &[blob(1)]).await.unwrap_err();
        assert!(
            matches!(&refused, StoreError::BlobsUnavailable { runs, .. } if *runs == [run(1)]),
            "{refused:?}"
        );
        assert_eq!(bucket.shelf().asked, asked);
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_and_a_place_of_no_kind_are_refused_at_the_start() {
    let database = Database::new().await;
    for url in ["/nowhere", "ftp://host/folder"] {
        let mut options = in_folder(&database, Path::new(url));
        if let Some(objects) = &mut options.blobs.objects
            && url.starts_with("ftp")
        {
            objects.url = url.to_owned();
        }
        let refused = PgStore::connect(&options).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Blobs(_)), "{refused:?}");
    }
}
