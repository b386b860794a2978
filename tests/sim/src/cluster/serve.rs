//! A call meets the engine, as `grpc/` would have it meet.

use fulcrum_controller::engine::handle::{Addressed, ClientRequest, Decided, EngineError};
use fulcrum_controller::engine::starting::{StartRequest, Started};
use fulcrum_controller::engine::token::LeaseToken;
use fulcrum_controller::engine::working::LeaseCall;
use fulcrum_core::decide::command::{Operation, OperationRequest, ReportOutcome};
use fulcrum_core::event::Actor;
use fulcrum_core::ids::{RunId, WorkerId};
use fulcrum_core::payload::Payload;
use fulcrum_core::time::Millis;
use futures_util::future::join_all;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::call::{Answer, Call, Outcome, Refusal, Said, Verdict, Wanted};
use super::host::SimEngine;
use crate::edge::bench::CAPABILITIES;
use crate::workflows::NAMESPACE;

/// Shards of the one namespace.
const SHARDS: u16 = 4;

/// Serves a call.
pub async fn serve(engine: &SimEngine, call: Call) -> Answer {
    match call {
        Call::Lease {
            worker,
            slots,
            wait,
            call_id,
        } => {
            let call = LeaseCall {
                worker,
                namespace: NAMESPACE,
                capabilities: CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
                slots,
                wait,
                call_id,
                whole_bytes_max: None,
            };
            Ok(Said::Tasks(engine.lease(call).await?))
        }
        Call::Beat { worker, leases } => {
            let tokens: Vec<LeaseToken> = leases.iter().filter_map(decode).collect();
            Ok(Said::Standings(engine.heartbeat(worker, &tokens).await?))
        }
        Call::Report { worker, reports } => {
            let taken = reports
                .into_iter()
                .map(|(lease, outcome)| report(engine, worker, lease, outcome));
            Ok(Said::Reports(join_all(taken).await))
        }
        Call::Append {
            worker,
            lease,
            name,
            output,
        } => {
            let token = decode(&lease).ok_or(Refusal::LeaseLost)?;
            let output = engine.namer(token.run)?.name(Payload::json(&output))?;
            let operations = vec![(name.clone(), digest(&name), output)];
            engine
                .append_journal(worker, token, operations, None)
                .await?;
            Ok(Said::Done)
        }
        Call::Start {
            request,
            key,
            workflow,
            input,
        } => start(engine, request, key, workflow, &input).await,
        Call::Signal {
            request,
            run,
            name,
            payload,
        } => {
            let to = addressed(request, run);
            engine
                .signal(to, name.to_owned(), Some(Payload::json(&payload)))
                .await?;
            Ok(Said::Done)
        }
        Call::Decide {
            request,
            run,
            review,
            shown,
            verdict,
        } => {
            let to = addressed(request, run);
            let verdict = match verdict {
                Verdict::Yes => Decided::Approved { edited: None },
                Verdict::No => Decided::Rejected,
            };
            engine
                .decide_review(to, review, verdict, shown, None)
                .await?;
            Ok(Said::Done)
        }
        Call::Cancel { request, run } => {
            engine
                .cancel(addressed(request, run), "enough".to_owned())
                .await?;
            Ok(Said::Done)
        }
    }
}

async fn start(
    engine: &SimEngine,
    request: String,
    key: Option<String>,
    workflow: &'static str,
    input: &Value,
) -> Answer {
    let newest = engine.catalog.newest(NAMESPACE, workflow).await;
    let definition = newest
        .map_err(EngineError::from)?
        .ok_or_else(|| Refusal::Never(format!("no workflow `{workflow}`")))?;
    let digest = Sha256::digest(format!("{workflow}\0{input}")).into();
    let started = engine
        .start(StartRequest {
            actor: Actor::Client("sim".to_owned()),
            namespace: NAMESPACE,
            shards: SHARDS,
            workflow: workflow.to_owned(),
            definition,
            input: Some(Payload::json(input)),
            idempotency_key: key,
            request: Some(ClientRequest {
                id: request,
                digest,
            }),
            trace: None,
        })
        .await?;
    Ok(match started {
        Started::Now(run) | Started::Earlier(run) => Said::Started(run),
    })
}

async fn report(
    engine: &SimEngine,
    worker: WorkerId,
    lease: bytes::Bytes,
    outcome: Outcome,
) -> Result<(), Refusal> {
    let token = decode(&lease).ok_or(Refusal::LeaseLost)?;
    let mut namer = engine.namer(token.run)?;
    let outcome = match outcome {
        Outcome::Completed(output) => ReportOutcome::Completed {
            output: namer.name(Payload::json(&output))?,
        },
        Outcome::Failed(failure) => ReportOutcome::Failed {
            failure,
            details: None,
        },
        Outcome::Parked(wanted) => {
            let mut operations = Vec::new();
            for wanted in wanted {
                let (name, request) = match wanted {
                    Wanted::Call {
                        name,
                        capability,
                        input,
                    } => {
                        let input = namer.name(Payload::json(&input))?;
                        let capability = capability.to_owned();
                        (name, OperationRequest::Call { capability, input })
                    }
                    Wanted::Sleep { name, span_ms } => {
                        let span = Millis(span_ms);
                        (name, OperationRequest::Sleep { span })
                    }
                };
                operations.push(Operation {
                    input_digest: digest(&name),
                    name,
                    request,
                });
            }
            ReportOutcome::Parked { operations }
        }
    };
    Ok(engine.report(worker, token, outcome, None).await?)
}

fn decode(lease: &bytes::Bytes) -> Option<LeaseToken> {
    LeaseToken::decode(lease).ok()
}

fn digest(name: &str) -> [u8; 32] {
    Sha256::digest(name).into()
}

fn addressed(request: String, run: RunId) -> Addressed {
    Addressed {
        actor: Actor::Operator("founder".to_owned()),
        namespace: NAMESPACE,
        run,
        request: Some(ClientRequest {
            digest: Sha256::digest(&request).into(),
            id: request,
        }),
        trace: None,
    }
}
