//! Tokens, identities.

use std::collections::HashMap;

use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use fulcrum_store::catalog::{Answered, Once, RequestNote};
use fulcrum_store::identity as rows;
use uuid::Uuid;

use super::handle::Registry;
use super::rows::{identity, identity_row, kind, read, role};
use super::views::{RedeemError, RenewError, Stored};
use crate::identity::name::IdentityId;
use crate::identity::record::IdentityRecord;
use crate::identity::roll::Standing;
use crate::identity::token::{JoinTokenRecord, TokenRefusal};

impl Registry {
    /// Stores a join token. A repeated request stores nothing, and its answer is empty: the secret is not kept.
    pub async fn create_token(
        &self,
        token: &JoinTokenRecord,
        created_by: &str,
        note: Option<RequestNote>,
    ) -> Result<Answered<()>, StoreError> {
        let new = rows::NewJoinToken {
            id: token.id,
            secret_hash: token.secret_hash,
            namespace: token.scope.to_string(),
            kind: kind(token.role),
            name: token.name.to_string(),
            capability_patterns: token.capabilities.iter().map(ToString::to_string).collect(),
            expires_at: token.expires_at,
            created_by: created_by.to_owned(),
        };
        let once = Once::named(note, |()| Some(Vec::new()));
        self.store.join_tokens().create(new, once).await
    }

    /// Gives a token that still admits another secret, in place of the one before.
    pub async fn replace_secret(
        &self,
        token: Uuid,
        secret_hash: [u8; 32],
    ) -> Result<Stored, StoreError> {
        let tokens = self.store.join_tokens();
        Ok(if tokens.replace_secret(token, secret_hash).await? {
            Stored::Now
        } else {
            Stored::TooLate
        })
    }

    /// A join token, used or not.
    pub async fn token(&self, id: Uuid) -> Result<Option<JoinTokenRecord>, StoreError> {
        let Some(rows::JoinTokenRow {
            token,
            used_at,
            used_by,
            revoked_at,
            ..
        }) = self.store.join_tokens().get(id).await?
        else {
            return Ok(None);
        };
        Ok(Some(JoinTokenRecord {
            id: token.id,
            secret_hash: token.secret_hash,
            scope: read(&token.namespace)?,
            role: role(token.kind),
            name: read(&token.name)?,
            capabilities: token
                .capability_patterns
                .iter()
                .map(|p| read(p))
                .collect::<Result<_, _>>()?,
            expires_at: token.expires_at,
            used_at,
            used_by: used_by.map(IdentityId),
            revoked_at,
        }))
    }

    /// Uses a token up and enrols the identity, in one transaction.
    pub async fn redeem(&self, token: Uuid, identity: &IdentityRecord) -> Result<(), RedeemError> {
        self.store
            .join_tokens()
            .redeem(token, identity_row(identity))
            .await?
            .map_err(|refusal| match refusal {
                rows::RedeemRefusal::Unknown => TokenRefusal::Unknown,
                rows::RedeemRefusal::Used => TokenRefusal::Used,
                rows::RedeemRefusal::Revoked => TokenRefusal::Revoked,
                rows::RedeemRefusal::Expired => TokenRefusal::Expired,
            })?;
        Ok(())
    }

    /// An identity.
    pub async fn identity(&self, id: IdentityId) -> Result<Option<IdentityRecord>, StoreError> {
        self.store
            .identities()
            .get(id.0)
            .await?
            .map(identity)
            .transpose()
    }

    /// Notes a newer certificate of an active identity.
    pub async fn renew(
        &self,
        id: IdentityId,
        serial: &str,
        key_fingerprint: [u8; 32],
        not_after: Timestamp,
    ) -> Result<(), RenewError> {
        let renewed = self
            .store
            .identities()
            .renew(id.0, serial, &key_fingerprint, not_after)
            .await?;
        renewed.map_err(|refusal| match refusal {
            rows::RenewRefusal::Unknown | rows::RenewRefusal::Revoked => RenewError::NotActive,
        })
    }

    /// Takes an identity's access away. Again changes nothing; a repeated request has an empty answer.
    pub async fn revoke(
        &self,
        id: IdentityId,
        reason: &str,
        note: Option<RequestNote>,
    ) -> Result<Answered<()>, StoreError> {
        let once = Once::named(note, |_exists| Some(Vec::new()));
        Ok(
            match self.store.identities().revoke(id.0, reason, once).await? {
                Answered::Now(_exists) => Answered::Now(()),
                Answered::Before(answer) => Answered::Before(answer),
                Answered::Reused => Answered::Reused,
            },
        )
    }

    /// Everybody's standing, unless nothing changed since this revision.
    pub async fn standings(
        &self,
        known_revision: i64,
    ) -> Result<Option<(i64, HashMap<IdentityId, Standing>)>, StoreError> {
        let Some(snapshot) = self.store.identities().snapshot(known_revision).await? else {
            return Ok(None);
        };
        let standings = snapshot.standings.into_iter().map(|standing| {
            let is = match standing.status {
                rows::IdentityStatus::Active => Standing::Active {
                    min_issued_at: standing.min_issued_at,
                },
                rows::IdentityStatus::Revoked => Standing::Revoked,
            };
            (IdentityId(standing.id), is)
        });
        Ok(Some((snapshot.revision, standings.collect())))
    }
}
