//! The loops of identity: keeping the roll current, and this controller's own certificate young.

use std::sync::Arc;

use fulcrum_core::time::{Millis, Timestamp};

use super::authority::{self, Authority, AuthorityKind};
use super::founding;
use super::issuance::Issuance;
use super::name::InstallId;
use super::principal::Principal;
use super::registry::Registry;
use super::roll::Roll;
use super::template::ServerName;
use crate::clock::{self, DatabaseClock};
use crate::loops::{Loop, Progress, TickError};
use crate::server::connection::Connections;
use crate::server::tls::{ClientCertificates, LiveTls, server_config};

/// Refreshes the roll when a tick has seen a change, and cuts the connections of those who are out.
pub struct KeepRoll {
    /// Where identities rest.
    pub registry: Registry,
    /// The roll.
    pub roll: Arc<Roll>,
    /// The connections of the main listener.
    pub connections: Arc<Connections>,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
}

impl Loop for KeepRoll {
    const NAME: &'static str = "identity_roll";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let asked_at = clock::monotonic();
        let Some((revision, standings)) = self.registry.standings(self.roll.revision()).await?
        else {
            self.roll.confirm(asked_at);
            return Ok(Progress::done(0));
        };
        self.roll.replace(revision, standings, asked_at);
        let now = self.clock.now();
        let cut = self.connections.cut(|peer| {
            peer.certificate
                .as_ref()
                .is_some_and(|certificate| self.roll.check(certificate, now, asked_at).is_err())
        });
        if cut > 0 {
            tracing::info!(
                connections = cut,
                "connections of identities in no good standing were cut"
            );
        }
        Ok(Progress::done(1))
    }
}

/// Keeps this controller's certificate and the issuing certificate from running out.
pub struct KeepCertificates {
    /// Where the authority rests.
    pub registry: Registry,
    /// The authority at work.
    pub issuance: Issuance,
    /// The listeners' configurations, with what they ask of clients.
    pub listeners: Vec<(LiveTls, ClientCertificates)>,
    /// This controller.
    pub me: Principal,
    /// The names it answers to.
    pub names: Vec<ServerName>,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// Life of this controller's certificate.
    pub life: Millis,
    /// When the current one is due for replacement.
    pub renew_at: Timestamp,
}

impl KeepCertificates {
    /// Replaces the certificate of all listeners.
    ///
    /// # Errors
    /// When signing fails; the listeners go on with what they have.
    pub fn renew(&mut self) -> Result<(), TickError> {
        let now = self.clock.now();
        let own = self
            .issuance
            .authority()
            .issue_server(&self.me, &self.names, now, self.life)?;
        for (tls, clients) in &self.listeners {
            tls.replace(server_config(&own, clients)?);
        }
        self.renew_at = now.plus(Millis(own.not_after.since(now).0 / 2));
        Ok(())
    }
}

impl Loop for KeepCertificates {
    const NAME: &'static str = "certificates";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let now = self.clock.now();
        let mut renewed = 0;
        if self.issuance.authority().wants_new_issuing(now) {
            self.issuance.replace(
                renew_issuing(&self.registry, self.issuance.authority().install(), now).await?,
            );
            renewed += 1;
        }
        if now >= self.renew_at || renewed > 0 {
            self.renew()?;
            renewed += 1;
        }
        Ok(Progress::done(renewed))
    }
}

/// Another issuing certificate, unless another controller was first.
async fn renew_issuing(
    registry: &Registry,
    install: &InstallId,
    now: Timestamp,
) -> Result<Authority, TickError> {
    let mut rows = registry.authorities().await?;
    let stored = Authority::load(install.clone(), &rows, now)?;
    if stored.wants_new_issuing(now) {
        let newest_root = rows
            .iter()
            .filter(|row| row.kind == AuthorityKind::Root)
            .max_by_key(|row| row.not_after);
        let root = newest_root.ok_or(authority::AuthorityError::Missing(AuthorityKind::Root))?;
        let issuing = founding::new_issuing(install, root, now)?;
        registry.add_authority(&issuing).await?;
        rows.push(issuing);
    }
    Ok(Authority::load(install.clone(), &rows, now)?)
}
