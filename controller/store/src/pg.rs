//! The store in Postgres: the core's trait, and doors to the other topics.

use std::sync::Arc;

use fulcrum_core::decide::JoinOutputs;
use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::{MailId, NamespaceId, RunId, TimerId};
use fulcrum_core::payload::{NewPayload, PayloadRef};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{
    Beat, BeatOutcome, ClaimRequest, Commit, DueTimer, FlushReport, Found, GrantedTask, JoinKey,
    Loaded, RequestRecord, RunHead, Since, Sought, Store, StoreError, Sweep, SweepKey,
};
use fulcrum_core::task::TaskRow;
use fulcrum_core::time::{Millis, Timestamp};

use crate::blob::{self, Blobs};
use crate::connect::{ConnectError, Pools};
use crate::migrate::{self, MigrateError};
use crate::options::StoreOptions;
use crate::work::unit;
use crate::{due, flush, lease, load, tick};

/// Fulcrum's state in one Postgres database. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct PgStore {
    pub(crate) pools: Pools,
    pub(crate) blobs: Blobs,
}

impl PgStore {
    /// Opens the pools and refuses a server that is too old or may lose commits.
    pub async fn connect(options: &StoreOptions) -> Result<Self, ConnectError> {
        Ok(Self {
            blobs: Blobs::open(&options.blobs)?,
            pools: Pools::open(options).await?,
        })
    }

    /// Brings the schema up to date. Safe to call from many controllers at once; refuses a newer schema.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        migrate::migrate(&self.pools.control).await
    }

    /// Closes all connections after what is under way.
    pub async fn close(&self) {
        self.pools.close().await;
    }
}

impl Store for PgStore {
    async fn flush(
        &self,
        batch: impl Into<Arc<[Commit]>> + Send,
    ) -> Result<FlushReport, StoreError> {
        let batch = batch.into();
        let (pools, blobs) = (self.pools.clone(), self.blobs.clone());
        unit(async move { flush::flush(&pools, &blobs, &batch).await }).await
    }

    async fn load(&self, runs: &[RunId], since: Since) -> Result<Vec<Loaded>, StoreError> {
        let (pool, runs) = (self.pools.request.clone(), runs.to_vec());
        unit(async move { load::runs(&pool, &runs, since).await }).await
    }

    async fn heads(&self, runs: &[RunId]) -> Result<Vec<RunHead>, StoreError> {
        let (pool, runs) = (self.pools.request.clone(), runs.to_vec());
        unit(async move { load::heads(&pool, &runs).await }).await
    }

    async fn payloads(&self, refs: &[PayloadRef]) -> Result<Vec<NewPayload>, StoreError> {
        let (pool, blobs) = (self.pools.request.clone(), self.blobs.clone());
        let refs = refs.to_vec();
        unit(async move { blob::read::payloads(&pool, &blobs, &refs).await }).await
    }

    async fn join_outputs(&self, join: &JoinKey) -> Result<JoinOutputs, StoreError> {
        let (pool, join) = (self.pools.request.clone(), join.clone());
        unit(async move { load::join_outputs(&pool, &join).await }).await
    }

    async fn claim(
        &self,
        requests: &[ClaimRequest],
        lease: Millis,
    ) -> Result<Vec<GrantedTask>, StoreError> {
        let (pool, requests) = (self.pools.control.clone(), requests.to_vec());
        unit(async move { lease::claim(&pool, &requests, lease).await }).await
    }

    async fn heartbeat(
        &self,
        beats: &[Beat],
        lease: Millis,
    ) -> Result<Vec<BeatOutcome>, StoreError> {
        let (pool, beats) = (self.pools.control.clone(), beats.to_vec());
        unit(async move { lease::heartbeat(&pool, &beats, lease).await }).await
    }

    async fn give_back(&self, grants: &[Beat], rest: Millis) -> Result<(), StoreError> {
        let (pool, grants) = (self.pools.control.clone(), grants.to_vec());
        unit(async move { lease::give_back(&pool, &grants, rest).await }).await
    }

    async fn due_tasks(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<TaskRow>, StoreError> {
        let pool = self.pools.control.clone();
        unit(async move { due::tasks(&pool, after, limit).await }).await
    }

    async fn due_timers(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<DueTimer>, StoreError> {
        let pool = self.pools.control.clone();
        unit(async move { due::timers(&pool, after, limit).await }).await
    }

    async fn pending_mail(
        &self,
        older_than: Millis,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<Mail>, StoreError> {
        let pool = self.pools.control.clone();
        unit(async move { due::mail(&pool, older_than, after, limit).await }).await
    }

    async fn discard_mail(&self, mail: &[MailId]) -> Result<(), StoreError> {
        let (pool, mail) = (self.pools.control.clone(), mail.to_vec());
        unit(async move { due::discard_mail(&pool, &mail).await }).await
    }

    async fn discard_timers(&self, timers: &[TimerId]) -> Result<(), StoreError> {
        let (pool, timers) = (self.pools.control.clone(), timers.to_vec());
        unit(async move { due::discard_timers(&pool, &timers).await }).await
    }

    async fn request(
        &self,
        namespace: NamespaceId,
        request: &RequestKey,
    ) -> Result<Option<RequestRecord>, StoreError> {
        let (pool, request) = (self.pools.request.clone(), request.clone());
        unit(async move { load::request(&pool, namespace, &request).await }).await
    }

    async fn tick(&self, sought: &Sought) -> Result<Found, StoreError> {
        let (pool, watermark) = (self.pools.watch.clone(), self.watermark());
        let sought = sought.clone();
        unit(async move { tick::tick(&pool, &watermark, &sought).await }).await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let pool = self.pools.control.clone();
        unit(async move { load::now(&pool).await }).await
    }
}
