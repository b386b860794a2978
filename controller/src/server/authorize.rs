//! Whether a call may go on: the method table, the peer's certificate and the roll, in that order.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_proto::common::v1::ErrorReason;
use tonic::Code;

use super::connection::Peer;
use super::fault::Fault;
use crate::clock::{self, DatabaseClock};
use crate::identity::roll::RollRefusal;
use crate::identity::{Method, MethodTable, PeerCertificate, Principal, Roll};

/// The caller of an authorised call, found among the request's extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    certificate: Arc<PeerCertificate>,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.certificate.principal
    }

    /// The certificate it showed.
    #[must_use]
    pub fn certificate(&self) -> &PeerCertificate {
        &self.certificate
    }

    /// Refuses a namespace that the caller does not reach.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn reach(&self, namespace: &str) -> Result<(), Fault> {
        if self.principal().scope.reaches(namespace) {
            return Ok(());
        }
        let message = format!(
            "{} does not reach namespace `{namespace}`",
            self.principal()
        );
        Err(Fault::new(
            Code::PermissionDenied,
            ErrorReason::PermissionDenied,
            message,
        ))
    }
}

/// Which listener a call came through.
#[derive(Clone)]
pub enum Door {
    /// The main listener: a verified certificate of an identity in good standing.
    Main {
        /// Identities in good standing.
        roll: Arc<Roll>,
        /// For the end of certificates.
        clock: Arc<DatabaseClock>,
    },
    /// The enrolment listener: nobody has a certificate yet, and only methods without roles are answered.
    Enrolment,
}

impl Door {
    /// The row of the method, and the caller behind the main door.
    pub(super) async fn authorize<'t>(
        &self,
        path: &str,
        peer: Option<&Peer>,
        table: &'t MethodTable,
    ) -> Result<(&'t Method, Option<Caller>), Fault> {
        let denied = || {
            let message = format!("`{path}` is not served to you here");
            Fault::new(
                Code::PermissionDenied,
                ErrorReason::PermissionDenied,
                message,
            )
        };
        let method = table.get(path).ok_or_else(denied)?;
        match self {
            Door::Enrolment => method
                .roles
                .is_empty()
                .then_some((method, None))
                .ok_or_else(denied),
            Door::Main { roll, clock } => {
                let certificate =
                    peer.and_then(|peer| peer.certificate.as_ref())
                        .ok_or_else(|| {
                            Fault::new(
                                Code::Unauthenticated,
                                ErrorReason::Unauthenticated,
                                "a client certificate is required",
                            )
                        })?;
                check(roll, certificate, clock).await.map_err(refusal)?;
                if !method.roles.contains(&certificate.principal.role) {
                    return Err(denied());
                }
                Ok((
                    method,
                    Some(Caller {
                        certificate: Arc::clone(certificate),
                    }),
                ))
            }
        }
    }
}

/// Somebody so new that the roll may be behind is looked for once more.
async fn check(
    roll: &Roll,
    certificate: &PeerCertificate,
    clock: &DatabaseClock,
) -> Result<(), RollRefusal> {
    match roll.check(certificate, clock.now(), clock::monotonic()) {
        Err(RollRefusal::TooNew) => {
            roll.refreshed(clock::monotonic()).await;
            roll.check(certificate, clock.now(), clock::monotonic())
        }
        known => known,
    }
}

fn refusal(refusal: RollRefusal) -> Fault {
    let message = refusal.to_string();
    match refusal {
        RollRefusal::Unknown
        | RollRefusal::Revoked
        | RollRefusal::Replaced
        | RollRefusal::Expired => {
            Fault::new(Code::Unauthenticated, ErrorReason::Unauthenticated, message)
        }
        RollRefusal::TooNew | RollRefusal::Stale => Fault::unavailable(
            ErrorReason::StoreUnavailable,
            message,
            Duration::from_secs(1),
        ),
    }
}
