//! `InstallationService`.

use std::sync::Arc;

use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_proto::admin::v1 as wire;
use fulcrum_proto::admin::v1::installation_service_server::InstallationService;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_store::PgStore;
use fulcrum_store::examine::ControllerState;
use fulcrum_store::versions::{FeatureLevel, Raised};
use tonic::{Code, Request, Response, Status};

use super::caller::caller;
use super::convert::time;
use crate::clock;
use crate::loops::Board;
use crate::server::Fault;
use crate::upkeep::examine::{Finding, Verdict, judge};

/// The service.
pub struct Installations {
    /// The database.
    pub store: PgStore,
    /// What the loops did last.
    pub board: Arc<Board>,
    /// `retention.days`.
    pub keep_days: u32,
    /// A worker not seen for this long counts as disconnected.
    pub silence_max: Millis,
}

#[tonic::async_trait]
impl InstallationService for Installations {
    async fn examine_installation(
        &self,
        request: Request<wire::ExamineInstallationRequest>,
    ) -> Result<Response<wire::ExamineInstallationResponse>, Status> {
        let caller = caller(&request)?;
        let seen = self
            .store
            .examine(self.silence_max)
            .await
            .map_err(Fault::from)?;
        let wall = clock::wall();
        let findings = judge(&seen, wall, self.keep_days, &self.board.read());
        Ok(Response::new(wire::ExamineInstallationResponse {
            findings: findings.into_iter().map(message).collect(),
            installation_id: caller.principal().install.to_string(),
            feature_level: number(seen.versions.level.0.into()),
            schema: number(seen.versions.schema),
            controllers: seen
                .controllers
                .iter()
                .map(|controller| status(controller, seen.server.now))
                .collect(),
            database_time: Some(time::instant(seen.server.now)),
            controller_time: Some(time::instant(wall)),
        }))
    }

    async fn raise_feature_level(
        &self,
        request: Request<wire::RaiseFeatureLevelRequest>,
    ) -> Result<Response<wire::RaiseFeatureLevelResponse>, Status> {
        let caller = caller(&request)?;
        let asked = request.into_inner().feature_level;
        let level = i32::try_from(asked)
            .ok()
            .filter(|level| *level > 0)
            .ok_or_else(|| Fault::field("feature_level", "must be at least 1"))?;
        let raised = self
            .store
            .versions()
            .raise(FeatureLevel(level))
            .await
            .map_err(Fault::from)?;
        match raised {
            Raised::InForce(level) => {
                tracing::info!(level = level.0, by = %caller.principal().id.0, "feature level in force");
                Ok(Response::new(wire::RaiseFeatureLevelResponse {
                    feature_level: number(level.0.into()),
                }))
            }
            Raised::Unknown { common, build } => Err(Fault::new(
                Code::FailedPrecondition,
                ErrorReason::VersionUnsupported,
                format!(
                    "a live controller (build {build}) knows feature levels up to {}; replace it first",
                    common.0
                ),
            )
            .fact("feature_level_max", common.0.to_string())
            .into()),
        }
    }
}

fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn message(finding: Finding) -> wire::Finding {
    wire::Finding {
        check: finding.check.to_owned(),
        verdict: match finding.verdict {
            Verdict::Ok => wire::Verdict::Ok,
            Verdict::Warn => wire::Verdict::Warn,
            Verdict::Bad => wire::Verdict::Bad,
        }
        .into(),
        found: finding.found,
        advice: finding.advice.to_owned(),
    }
}

fn status(controller: &ControllerState, now: Timestamp) -> wire::ControllerStatus {
    let micros = i64::try_from(controller.silent.0.saturating_mul(1_000)).unwrap_or(i64::MAX);
    wire::ControllerStatus {
        controller_id: controller.id.to_string(),
        build: controller.build.clone(),
        schema: number(controller.schema),
        feature_level_max: number(controller.level_max.0.into()),
        last_seen_at: Some(time::instant(Timestamp(now.0.saturating_sub(micros)))),
        live: controller.is_live(),
    }
}
