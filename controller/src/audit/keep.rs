//! The loop that keeps the log signed.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_audit::Signer;
use fulcrum_core::store::StoreError;
use fulcrum_store::PgStore;
use fulcrum_store::audit::{AuditLog, Placed};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::{self, DatabaseClock};
use crate::identity::InstallId;
use crate::keys::{Kek, KeyError};
use crate::loops::{Loop, Next, Progress, TickError};

/// A head is signed at most so often: leaves gather meanwhile.
const PACE: Duration = Duration::from_millis(500);

/// Why the log cannot be signed. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The signing key cannot be sealed or opened.
    #[error("the signing key of the installation log: {0}")]
    Key(#[from] KeyError),
    /// What was opened is no key.
    #[error(
        "the stored signing key of the installation log is damaged; restore table `audit_keys` from a backup"
    )]
    Damaged,
    /// The database failed.
    #[error("database: {0}")]
    Store(#[from] StoreError),
}

/// Keeps the log signed.
pub struct KeepLog {
    log: AuditLog,
    kek: Kek,
    install: InstallId,
    clock: Arc<DatabaseClock>,
    signer: Option<Arc<Signer>>,
    rests_until: Instant,
}

impl KeepLog {
    /// Of this installation.
    #[must_use]
    pub fn new(store: &PgStore, kek: Kek, install: InstallId, clock: Arc<DatabaseClock>) -> Self {
        Self {
            log: store.audit(),
            kek,
            install,
            clock,
            signer: None,
            rests_until: clock::monotonic(),
        }
    }

    /// Told when there is something to sign.
    #[must_use]
    pub fn wanted(&self) -> Arc<Notify> {
        self.log.filled()
    }

    /// Takes up the key that signs, if the log is on, and makes it with the log if there is none. A log that cannot be
    /// continued is no reason not to start: its loop says so again and again.
    ///
    /// # Errors
    /// The key cannot be had.
    pub async fn take_up(&mut self) -> Result<(), AuditError> {
        if self.log.is_on() {
            self.signer().await?;
        }
        Ok(())
    }

    async fn signer(&mut self) -> Result<Arc<Signer>, AuditError> {
        if let Some(signer) = &self.signer {
            return Ok(Arc::clone(signer));
        }
        let now = self.clock.now();
        let signer = Arc::new(super::key::take_up(&self.log, &self.kek, &self.install, now).await?);
        self.signer = Some(Arc::clone(&signer));
        Ok(signer)
    }
}

impl Loop for KeepLog {
    const NAME: &'static str = "installation_log";
    const BACKOFF_MAX: Duration = Duration::from_secs(5);

    async fn tick(&mut self) -> Result<Progress, TickError> {
        if !self.log.is_on() {
            return Ok(Progress::done(0));
        }
        tokio::time::sleep_until(self.rests_until).await;
        let signer = self.signer().await?;
        let placed = self.log.place(signer).await?;
        self.rests_until = clock::monotonic() + PACE;
        Ok(match placed {
            Placed::Some { leaves, more, .. } if more => {
                self.rests_until = clock::monotonic();
                Progress::more(leaves.into())
            }
            Placed::Some { leaves, .. } => Progress::done(leaves.into()),
            Placed::Nothing => Progress::done(0),
            // What this controller left may have come too late for whoever is at it.
            Placed::Elsewhere => Progress {
                worked: 0,
                next: Next::Within(PACE),
            },
        })
    }
}
