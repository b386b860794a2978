//! Object storage: a folder, or S3 and what speaks like it.
//!
//! `<installation>/<day>/<shard>/<payload>`: installations may share a place, and a day leaves by its prefix. The name of
//! an object is in the row of its blob, so that the row alone says where to look.
//!
//! Beside the days lies a mark, left before the first object. Where it is missing, what else is missing is not lost: this
//! is the wrong bucket, or a folder that nothing is mounted on. Nothing is written or forgotten there.
//!
//! Whoever waits for object storage holds up others. Each call has a deadline, and after a failure everybody is refused for a moment instead of finding out for himself.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulcrum_core::ids::{PayloadId, RunId};
use fulcrum_core::payload::{NewPayload, PayloadRef};
use fulcrum_core::store::StoreError;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use sqlx::PgPool;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use crate::connect::ConnectError;
use crate::options::ObjectOptions;
use crate::problem::Problem;

/// Calls under way at once, for one unit of work.
const CALLS_MAX: usize = 8;
/// Repetitions of one call, within its deadline.
const RETRIES_MAX: usize = 3;
/// After a failure, everybody is refused for so long.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest time for a batch of deletions: nobody waits for it.
const DELETE_TIMEOUT: Duration = Duration::from_secs(60);
/// Objects deleted by one call.
const BATCH_OBJECTS: usize = 1_000;

/// The mark, and what it says.
const MARK: &str = "in-use";
const MARK_TEXT: &str =
    "Here are blobs of the Fulcrum installation after which this folder is named.\n";

const DAY_MS: u64 = 86_400_000;

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    timeout: Duration,
    /// The installation, once it was asked for.
    root: Arc<OnceCell<String>>,
    /// Was the mark left?
    marked: Arc<AtomicBool>,
    /// When to try again after a failure.
    refused_until: Arc<Mutex<Option<Instant>>>,
}

/// What came of asking for an object.
pub(crate) enum Got {
    Bytes(Vec<u8>),
    /// It is not there, or is not as long as it should be.
    Nothing,
}

impl Objects {
    pub(crate) fn open(options: &ObjectOptions) -> Result<Self, ConnectError> {
        let unusable = |problem: String| ConnectError::Blobs(problem);
        let store: Arc<dyn ObjectStore> = match options.url.split_once("://") {
            Some(("file", folder)) => Arc::new(
                LocalFileSystem::new_with_prefix(folder)
                    .map_err(|error| unusable(error.to_string()))?
                    .with_fsync(true)
                    .with_automatic_cleanup(true),
            ),
            Some(("s3", place)) => {
                let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
                let bucket = bucket_at(bucket, options).map_err(|e| unusable(e.to_string()))?;
                let prefix = Path::parse(prefix.trim_end_matches('/'))
                    .map_err(|error| unusable(error.to_string()))?;
                Arc::new(PrefixStore::new(bucket, prefix))
            }
            _ => {
                return Err(unusable(format!(
                    "`{}`; write file:///folder or s3://bucket/prefix",
                    options.url
                )));
            }
        };
        Ok(Self {
            store,
            timeout: options.timeout,
            root: Arc::default(),
            marked: Arc::default(),
            refused_until: Arc::default(),
        })
    }

    /// Writes blobs; tells of each its name, or what went wrong.
    pub(crate) async fn put(
        &self,
        pool: &PgPool,
        blobs: &[&NewPayload],
    ) -> Result<BTreeMap<PayloadId, Result<String, String>>, Problem> {
        let root = self.root(pool).await?;
        if let Err(problem) = self.mark(pool, &root).await? {
            let failed = |new: &&NewPayload| (new.reference.id, Err(problem.clone()));
            return Ok(blobs.iter().map(failed).collect());
        }
        let mut calls = Vec::with_capacity(blobs.len());
        for new in blobs {
            let (objects, id) = (self.clone(), new.reference.id);
            let name = name(&root, id);
            let bytes = PutPayload::from(new.payload.data.clone());
            calls.push(
                async move {
                    let path = Path::from(name.as_str());
                    let put = objects.store.put(&path, bytes);
                    (id, objects.call(put).await.map(|_| name))
                }
                .boxed(),
            );
        }
        let calls = stream::iter(calls).buffer_unordered(CALLS_MAX);
        Ok(calls.collect().await)
    }

    /// Reads blobs by their names.
    pub(crate) async fn get(
        &self,
        wanted: Vec<(PayloadRef, String)>,
    ) -> Result<BTreeMap<PayloadId, Got>, String> {
        let mut calls = Vec::with_capacity(wanted.len());
        for (reference, name) in wanted {
            let objects = self.clone();
            calls.push(
                async move {
                    let path = Path::from(name);
                    let got = objects.call(objects.look(&path, reference.bytes));
                    Ok((reference.id, got.await?))
                }
                .boxed(),
            );
        }
        let calls = stream::iter(calls).buffer_unordered(CALLS_MAX);
        calls.try_collect().await
    }

    /// Reads a part of a blob by its name.
    pub(crate) async fn get_part(
        &self,
        reference: PayloadRef,
        name: String,
        range: Range<u32>,
    ) -> Result<Got, String> {
        let path = Path::from(name);
        let whole = reference.bytes;
        self.call(async {
            let range = u64::from(range.start)..u64::from(range.end);
            let found = match self.store.get_range(&path, range).await {
                Ok(bytes) => return Ok(Got::Bytes(bytes.into())),
                // Nothing can be read beyond the end of what is shorter than it should be.
                Err(error) => error,
            };
            match self.store.head(&path).await {
                Ok(meta) if meta.size != u64::from(whole) => Ok(Got::Nothing),
                Ok(_) => Err(found),
                Err(missing @ Error::NotFound { .. }) => self.nothing_at(&path, missing).await,
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Finds the mark, once, or leaves it where no object can be yet. The inner error is the storage's.
    async fn mark(&self, pool: &PgPool, root: &str) -> Result<Result<(), String>, Problem> {
        if self.marked.load(Ordering::Relaxed) {
            return Ok(Ok(()));
        }
        let is_there = match self.call(self.is_marked(root)).await {
            Ok(is_there) => is_there,
            Err(problem) => return Ok(Err(problem)),
        };
        if !is_there {
            let found = sqlx::query_file_scalar!("queries/blob/any_objects.sql");
            if found.fetch_one(pool).await? {
                let mark = mark(root);
                return Ok(Err(format!(
                    "there are blobs, and not here: {mark} is missing. Is it the right place, and mounted?"
                )));
            }
            let text = PutPayload::from(MARK_TEXT);
            if let Err(problem) = self.call(self.store.put(&mark(root), text)).await {
                return Ok(Err(problem));
            }
        }
        self.marked.store(true, Ordering::Relaxed);
        Ok(Ok(()))
    }

    async fn is_marked(&self, root: &str) -> Result<bool, Error> {
        match self.store.head(&mark(root)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn look(&self, path: &Path, bytes: u32) -> Result<Got, Error> {
        let found = match self.store.get(path).await {
            Err(missing @ Error::NotFound { .. }) => return self.nothing_at(path, missing).await,
            found => found?,
        };
        if found.meta.size != u64::from(bytes) {
            return Ok(Got::Nothing);
        }
        Ok(Got::Bytes(found.bytes().await?.into()))
    }

    /// An object is missing. Where the mark is, it is lost; elsewhere, this is not the place.
    async fn nothing_at(&self, path: &Path, missing: Error) -> Result<Got, Error> {
        let root = path.parts().next();
        let mark = root.map(|root| mark(root.as_ref())).unwrap_or_default();
        match self.store.head(&mark).await {
            Ok(_) => Ok(Got::Nothing),
            Err(_) => Err(missing),
        }
    }

    /// Deletes some of the objects of a day; true when none is left. Whether there must be, or have been, any, is `expected`:
    /// then nothing is nothing only where the mark is.
    pub(crate) async fn delete_some(
        &self,
        pool: &PgPool,
        day: i32,
        expected: bool,
    ) -> Result<bool, Problem> {
        let root = self.root(pool).await?;
        let day = Path::from(format!("{root}/{day}"));
        let deleting = async {
            let listed = self.store.list(Some(&day)).take(BATCH_OBJECTS);
            let listed: Vec<_> = listed.try_collect().await?;
            if listed.is_empty() && expected {
                self.store.head(&mark(&root)).await?;
            }
            let are_all = listed.len() < BATCH_OBJECTS;
            let paths: Vec<_> = listed.into_iter().map(|found| Ok(found.location)).collect();
            let mut deleted = self.store.delete_stream(stream::iter(paths).boxed());
            while let Some(gone) = deleted.next().await {
                match gone {
                    // Somebody else deletes them, too.
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(are_all)
        };
        match tokio::time::timeout(DELETE_TIMEOUT, deleting).await {
            Ok(deleted) => deleted.map_err(|error| away(Vec::new(), &error.to_string())),
            Err(_elapsed) => Err(away(
                Vec::new(),
                "a batch of objects was not deleted in time",
            )),
        }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        let now = Instant::now();
        if self.refused_until().is_some_and(|until| now < until) {
            return Err("it has just failed and is left alone for a moment".to_owned());
        }
        let problem = match timeout(self.timeout, call).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer within {} ms", self.timeout.as_millis()),
        };
        tracing::warn!(problem, "object storage failed");
        *self
            .refused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
        Err(problem)
    }

    fn refused_until(&self) -> Option<Instant> {
        *self
            .refused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn root(&self, pool: &PgPool) -> Result<String, Problem> {
        let ask = async || {
            let found = sqlx::query_file!("queries/identity/get_installation.sql")
                .fetch_optional(pool)
                .await?;
            let found = found.ok_or_else(|| {
                Problem::schema("blobs have no place before there is an installation")
            })?;
            Ok::<_, Problem>(found.install_id)
        };
        self.root.get_or_try_init(ask).await.cloned()
    }
}

/// Object storage cannot be used for these runs at this moment.
pub(super) fn away(runs: Vec<RunId>, problem: &str) -> Problem {
    let problem = problem.to_owned();
    StoreError::BlobsUnavailable { runs, problem }.into()
}

fn mark(root: &str) -> Path {
    Path::from(format!("{root}/{MARK}"))
}

fn name(root: &str, payload: PayloadId) -> String {
    let day = payload.birth_ms() / DAY_MS;
    format!("{root}/{day}/{}/{}", payload.shard().0, payload.0)
}

fn bucket_at(bucket: &str, options: &ObjectOptions) -> Result<impl ObjectStore, Error> {
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES_MAX,
        retry_timeout: options.timeout,
    };
    let client = ClientOptions::new()
        .with_timeout(options.timeout)
        .with_connect_timeout(options.timeout);
    // A key that is configured goes without what the environment has to add to its own.
    let mut builder = match &options.access_key {
        Some(key) => AmazonS3Builder::new()
            .with_access_key_id(&key.id)
            .with_secret_access_key(&key.secret),
        None => AmazonS3Builder::from_env(),
    };
    builder = builder
        .with_bucket_name(bucket)
        .with_client_options(client)
        .with_retry(retry);
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_allow_http(endpoint.starts_with("http://"));
    }
    builder.build()
}
