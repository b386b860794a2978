//! The engine's backstops as maintenance loops.

use std::sync::Arc;

use fulcrum_core::store::Store;

use super::catalog::{Catalog, Source};
use super::mailroom::Mailroom;
use super::reaper::Reaper;
use super::timers::Timers;
use super::watch::{Seen, WatchHub};
use crate::loops::{Loop, Progress, TickError};

/// Reaps tasks past their instant.
#[derive(Debug)]
pub struct Reap<S>(pub Reaper<S>);

/// Fires due timers.
#[derive(Debug)]
pub struct Fire<S>(pub Timers<S>);

/// Delivers mail that lay about.
#[derive(Debug)]
pub struct Deliver<S>(pub Mailroom<S>);

/// Sees what other controllers did: contracts registered and watched runs committed there.
#[derive(Debug)]
pub struct Refresh<S, C> {
    /// Durable state.
    pub store: Arc<S>,
    /// Contracts.
    pub catalog: Arc<Catalog<C>>,
    /// Watched runs.
    pub hub: WatchHub,
}

impl<S: Store> Loop for Reap<S> {
    const NAME: &'static str = "reaper";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        Ok(self.0.sweep().await?)
    }
}

impl<S: Store> Loop for Fire<S> {
    const NAME: &'static str = "timers";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        Ok(self.0.sweep().await?)
    }
}

impl<S: Store> Loop for Deliver<S> {
    const NAME: &'static str = "mail";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        Ok(self.0.sweep().await?)
    }
}

impl<S: Store, C: Source> Loop for Refresh<S, C> {
    const NAME: &'static str = "refresh";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let watched = self.hub.watched();
        if !watched.is_empty() {
            for head in self.store.heads(&watched).await? {
                self.hub.publish(
                    head.run,
                    Seen {
                        version: head.version,
                        status: head.status,
                        closed: None,
                    },
                );
            }
        }
        self.catalog.refresh_all().await?;
        Ok(Progress::done(watched.len() as u64))
    }
}
