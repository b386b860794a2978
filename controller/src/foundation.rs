//! What everything else stands on: the database, its clock, the installation and its authority.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::store::{Store, StoreError};
use fulcrum_store::catalog::Answered;
use fulcrum_store::{BlobOptions, ConnectError, MigrateError, PgStore, PoolSizes, StoreOptions};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::clock::{self, DatabaseClock};
use crate::config::Config;
use crate::identity::authority::{AuthorityError, AuthorityKind};
use crate::identity::founding;
use crate::identity::invite::{self, Invitation};
use crate::identity::name::{InvalidName, NamespaceName};
use crate::identity::registry::{Installed, Namespace, NamespaceError, StoredKeyError};
use crate::identity::{Authority, InstallId, Registry};
use crate::keys::{self, Kek, KeysError};

/// The foundation. One per process.
pub struct Foundation {
    /// The store.
    pub store: PgStore,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// Identities at rest.
    pub registry: Registry,
    /// The authority.
    pub authority: Authority,
    /// What keys rest sealed under.
    pub kek: Kek,
    /// Key of page tokens.
    pub paging_key: Zeroizing<[u8; 32]>,
}

/// Why there is no foundation. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum FoundationError {
    /// The database cannot be used.
    #[error("database: {0}")]
    Connect(#[from] ConnectError),
    /// The schema cannot be brought up to date.
    #[error("database schema: {0}")]
    Migrate(#[from] MigrateError),
    /// The feature level in force is above what this build knows.
    #[error(
        "feature level {level} is in force, this build knows up to {known}; start a newer build"
    )]
    TooOld {
        /// In force.
        level: i32,
        /// The highest that this build knows.
        known: i32,
    },
    /// The database failed.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// There is no key-encryption key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A stored private key is not had back.
    #[error("stored keys: {0}")]
    StoredKey(#[from] StoredKeyError),
    /// The authority cannot be used.
    #[error("certificate authority: {0}")]
    Authority(#[from] AuthorityError),
    /// The stored installation id is damaged.
    #[error("installation: {0}")]
    Install(#[from] InvalidName),
    /// No randomness.
    #[error("no randomness from the operating system: {0}")]
    Entropy(#[from] getrandom::Error),
}

/// Opens the database.
///
/// # Errors
/// When it cannot be reached, is too old, or may lose commits.
pub async fn open(config: &Config) -> Result<PgStore, FoundationError> {
    let Config {
        database,
        blobs,
        limits,
        ..
    } = config;
    let options = StoreOptions {
        pools: PoolSizes {
            control: database.control_connections_max,
            commit: database.commit_connections_max,
            request: database.request_connections_max,
            report: database.report_connections_max,
        },
        route: database.route.into(),
        durability: database.durability.into(),
        acquire_timeout: Duration::from_millis(database.acquire_timeout_ms),
        blobs: BlobOptions {
            inline_bytes_max: limits.payload_inline_bytes_max,
            objects: blobs.objects(),
        },
        ..StoreOptions::new(database.url.expose_secret())
    };
    Ok(PgStore::connect(&options).await?)
}

impl Foundation {
    /// Fetches the key-encryption key, opens the database, brings its schema up to date, and takes up the installation; the
    /// first controller makes it.
    ///
    /// # Errors
    /// See [`FoundationError`].
    pub async fn lay(config: &Config) -> Result<Self, FoundationError> {
        let kek = keys::gather(&config.keys.sources()).await?;
        let store = open(config).await?;
        store.migrate().await?;
        let now = store.now().await?;
        let clock = Arc::new(DatabaseClock::new(now, clock::monotonic()));
        let registry = Registry::new(store.clone(), kek.clone());
        let installed = match registry.installed().await? {
            // Keys are made only when they may be needed.
            Some(installed) => installed,
            None => {
                let (mut seed, mut paging_key) = ([0; 8], Zeroizing::new([0; 32]));
                getrandom::fill(&mut seed)?;
                getrandom::fill(paging_key.as_mut())?;
                let install = InstallId::new(seed);
                let founded = Installed {
                    install: install.as_str().to_owned(),
                    paging_key,
                    authorities: founding::generate(&install, now)?,
                };
                registry.install(&founded).await?
            }
        };
        let Installed {
            install,
            paging_key,
            authorities: rows,
        } = installed;
        let install: InstallId = install.parse()?;
        let authority = match Authority::load(install.clone(), &rows, now) {
            Err(AuthorityError::Missing(AuthorityKind::Issuing)) => {
                // Nobody was up for a whole life of the issuing certificate; the root can make another.
                let roots = rows.iter().filter(|row| row.kind == AuthorityKind::Root);
                let root = roots
                    .max_by_key(|row| row.not_after)
                    .ok_or(AuthorityError::Missing(AuthorityKind::Root))?;
                let issuing = founding::new_issuing(&install, root, now)?;
                registry.add_authority(&issuing).await?;
                Authority::load(install, &[root.clone(), issuing], now)?
            }
            loaded => loaded?,
        };
        Ok(Self {
            store,
            clock,
            registry,
            authority,
            kek,
            paging_key,
        })
    }

    /// The namespace of this name, made with 16 shards if there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure_namespace(
        &self,
        name: &NamespaceName,
    ) -> Result<Namespace, FoundationError> {
        let created = self
            .registry
            .create_namespace(name, SHARDS_DEFAULT, self.clock.now(), None, |_| Vec::new())
            .await?;
        if let Answered::Now(Some(made)) = created {
            return Ok(made);
        }
        self.registry
            .namespace(name.as_str())
            .await
            .map_err(|error| match error {
                NamespaceError::Store(error) => error.into(),
                NamespaceError::NotFound(name) => {
                    StoreError::Unavailable(format!("namespace `{name}` came and went")).into()
                }
            })
    }

    /// A join token for the first operator, or for a development set-up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invite(&self, invitation: Invitation) -> Result<SecretString, FoundationError> {
        Ok(invite::invite(
            &self.registry,
            self.authority.pin(),
            self.clock.now(),
            invitation,
        )
        .await?)
    }
}

/// Shards of a namespace unless said otherwise.
pub const SHARDS_DEFAULT: u16 = 16;
