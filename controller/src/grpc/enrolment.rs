//! `EnrolmentService`: a join token becomes a certificate. Served on the enrolment listener, to strangers.

use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_proto::common::v1::{ErrorReason, IdentityKind};
use fulcrum_proto::worker::v1 as wire;
use fulcrum_proto::worker::v1::enrolment_service_server::EnrolmentService;
use tonic::{Code, Request, Response, Status};

use super::convert::{role, time};
use crate::clock::{self, DatabaseClock};
use crate::engine::herald::Herald;
use crate::identity::authority::{AuthorityError, IssuedCertificate};
use crate::identity::csr::{CsrError, RequestedKey};
use crate::identity::registry::{RedeemError, Registry, RenewError};
use crate::identity::token::{JoinToken, JoinTokenRecord, TokenRefusal};
use crate::identity::{IdentityId, IdentityRecord, Issuance, Roll};
use crate::server::Fault;

/// The service.
pub struct Enrolment {
    /// Where tokens and identities rest.
    pub registry: Registry,
    /// Who signs.
    pub issuance: Issuance,
    /// Who is let in; brought up to date before the newcomer is answered.
    pub roll: std::sync::Arc<Roll>,
    /// Tells other controllers.
    pub herald: Herald,
    /// The database's clock.
    pub clock: std::sync::Arc<DatabaseClock>,
    /// Where newcomers connect afterwards.
    pub endpoint: String,
}

#[tonic::async_trait]
impl EnrolmentService for Enrolment {
    async fn enrol(
        &self,
        request: Request<wire::EnrolRequest>,
    ) -> Result<Response<wire::EnrolResponse>, Status> {
        let request = request.into_inner();
        let kind = request.kind();
        let presented =
            JoinToken::parse(&request.token).map_err(|_| refused(TokenRefusal::Unknown))?;
        let key = RequestedKey::from_der(&request.csr_der).map_err(csr)?;
        Ok(Response::new(
            self.join(&presented, &key, &request.name, kind).await?,
        ))
    }
}

impl Enrolment {
    async fn join(
        &self,
        presented: &JoinToken,
        key: &RequestedKey,
        name: &str,
        kind: IdentityKind,
    ) -> Result<wire::EnrolResponse, Fault> {
        let token = self.token(presented).await?;
        let now = self.clock.now();
        match token.check(presented, now) {
            Ok(()) => {}
            Err(TokenRefusal::Used) => return self.join_again(&token, key, now, name, kind).await,
            Err(refusal) => return Err(refused(refusal)),
        }
        bound(&token, name, kind)?;
        let id = IdentityId(Registry::new_id(now)?);
        let mut identity = IdentityRecord::pending(&token, id, key.fingerprint, now);
        let certificate = self.certificate(key, &identity)?;
        identity.serial.clone_from(&certificate.serial);
        identity.not_after = certificate.not_after;
        match self.registry.redeem(presented.id, &identity).await {
            Ok(()) => {}
            // An earlier try of the same call got there first.
            Err(RedeemError::Refused(TokenRefusal::Used)) => {
                let token = self.token(presented).await?;
                return self.join_again(&token, key, now, name, kind).await;
            }
            Err(RedeemError::Refused(refusal)) => return Err(refused(refusal)),
            Err(RedeemError::Store(error)) => return Err(error.into()),
        }
        self.herald.changed();
        self.roll.refreshed(clock::monotonic()).await;
        tracing::info!(identity = %identity.id.type_id(identity.role), name = %identity.name, role = %identity.role, "enrolled");
        Ok(self.answer(&identity, &certificate))
    }

    /// The answer to an enrolment may get lost, and its token is spent. Whoever holds the key that it was spent on gets
    /// another certificate of the same identity while the token lasts; everybody else is told what they always were.
    async fn join_again(
        &self,
        token: &JoinTokenRecord,
        key: &RequestedKey,
        now: Timestamp,
        name: &str,
        kind: IdentityKind,
    ) -> Result<wire::EnrolResponse, Fault> {
        bound(token, name, kind)?;
        let spent_on = match token.spent_on(now).map_err(refused)? {
            Some(id) => self.registry.identity(id).await?,
            None => None,
        };
        // A certificate that was renewed has another key: then the first answer has arrived.
        let mut identity = spent_on
            .filter(|identity| identity.admits_again(key.fingerprint))
            .ok_or_else(|| refused(TokenRefusal::Used))?;
        let certificate = self.certificate(key, &identity)?;
        let renewal = self.registry.renew(
            identity.id,
            &certificate.serial,
            key.fingerprint,
            certificate.not_after,
        );
        renewal.await.map_err(|error| match error {
            RenewError::NotActive => refused(TokenRefusal::Revoked),
            RenewError::Store(error) => error.into(),
        })?;
        identity.serial.clone_from(&certificate.serial);
        identity.not_after = certificate.not_after;
        self.roll.refreshed(clock::monotonic()).await;
        tracing::info!(identity = %identity.id.type_id(identity.role), name = %identity.name, role = %identity.role, "enrolled again, with the same key");
        Ok(self.answer(&identity, &certificate))
    }

    async fn token(&self, presented: &JoinToken) -> Result<JoinTokenRecord, Fault> {
        let token = self.registry.token(presented.id).await?;
        token.ok_or_else(|| refused(TokenRefusal::Unknown))
    }

    fn certificate(
        &self,
        key: &RequestedKey,
        identity: &IdentityRecord,
    ) -> Result<IssuedCertificate, Fault> {
        let principal = identity.principal(self.issuance.authority().install());
        self.issuance.issue(key, &principal).map_err(issue)
    }

    fn answer(
        &self,
        identity: &IdentityRecord,
        certificate: &IssuedCertificate,
    ) -> wire::EnrolResponse {
        wire::EnrolResponse {
            certificate_chain_pem: certificate.chain_pem(),
            ca_bundle_pem: self.issuance.authority().bundle_pem(),
            worker_id: identity.id.type_id(identity.role),
            endpoint: self.endpoint.clone(),
            expires_at: Some(time::instant(certificate.not_after)),
            name: identity.name.to_string(),
            kind: role::kind(identity.role).into(),
            namespace: identity.scope.to_string(),
        }
    }
}

/// A token is for one name and one kind; a caller that believes otherwise has the wrong token.
fn bound(token: &JoinTokenRecord, name: &str, kind: IdentityKind) -> Result<(), Fault> {
    let name_fits = name.is_empty() || name == token.name.as_str();
    let kind_fits = role::role(kind).is_none_or(|role| role == token.role);
    if name_fits && kind_fits {
        Ok(())
    } else {
        Err(refused(TokenRefusal::Unknown))
    }
}

/// The same answer for every reason; the log has it.
fn refused(refusal: TokenRefusal) -> Fault {
    tracing::warn!(%refusal, "enrolment refused");
    let message = "the join token does not admit: it is unknown, used, expired or for another name";
    Fault::new(Code::Unauthenticated, ErrorReason::TokenInvalid, message)
}

/// A signing request that cannot be granted.
pub(super) fn csr(error: CsrError) -> Fault {
    Fault::new(
        Code::InvalidArgument,
        ErrorReason::CsrInvalid,
        error.to_string(),
    )
}

/// A signature that could not be made.
pub(super) fn issue(error: AuthorityError) -> Fault {
    Fault::internal(&error)
}

/// The longest life that may be asked for a join token.
pub(super) const TOKEN_LIFE_MAX: Millis = Millis::from_secs(24 * 3_600);
