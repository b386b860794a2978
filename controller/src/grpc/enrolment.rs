//! `EnrolmentService`: a join token becomes a certificate. Served on the enrolment listener, to strangers.

use fulcrum_core::time::Millis;
use fulcrum_proto::common::v1::{ErrorReason, IdentityKind};
use fulcrum_proto::worker::v1 as wire;
use fulcrum_proto::worker::v1::enrolment_service_server::EnrolmentService;
use tonic::{Code, Request, Response, Status};

use super::convert::{role, time};
use crate::clock::{self, DatabaseClock};
use crate::identity::authority::AuthorityError;
use crate::identity::csr::{CsrError, RequestedKey};
use crate::identity::registry::{RedeemError, Registry};
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
        let token = self
            .registry
            .token(presented.id)
            .await?
            .ok_or_else(|| refused(TokenRefusal::Unknown))?;
        let now = self.clock.now();
        token.check(presented, now).map_err(refused)?;
        bound(&token, name, kind)?;
        let id = IdentityId(Registry::new_id(now)?);
        let authority = self.issuance.authority();
        let mut identity = IdentityRecord::pending(&token, id, key.fingerprint, now);
        let certificate = self
            .issuance
            .issue(key, &identity.principal(authority.install()))
            .map_err(issue)?;
        identity.serial.clone_from(&certificate.serial);
        identity.not_after = certificate.not_after;
        self.registry
            .redeem(presented.id, &identity)
            .await
            .map_err(|error| match error {
                RedeemError::Refused(refusal) => refused(refusal),
                RedeemError::Store(error) => error.into(),
            })?;
        self.roll.refreshed(clock::monotonic()).await;
        tracing::info!(identity = %identity.id.type_id(identity.role), name = %identity.name, role = %identity.role, "enrolled");
        Ok(wire::EnrolResponse {
            certificate_chain_pem: certificate.chain_pem(),
            ca_bundle_pem: authority.bundle_pem(),
            worker_id: identity.id.type_id(identity.role),
            endpoint: self.endpoint.clone(),
            expires_at: Some(time::instant(certificate.not_after)),
            name: identity.name.to_string(),
            kind: role::kind(identity.role).into(),
            namespace: identity.scope.to_string(),
        })
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
