//! `fulcrum worker`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use fulcrum_proto::admin::v1::get_worker_request::Worker as Which;
use fulcrum_proto::admin::v1::{
    CreateJoinTokenRequest, GetWorkerRequest, ListWorkersRequest, RevokeWorkerRequest,
};
use fulcrum_proto::common::v1::IdentityKind;

use crate::client::connection::{Connection, address};
use crate::client::request_id;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::token::TokenView;
use crate::view::word::Word as _;
use crate::view::worker::WorkerView;

/// Most items in one page of a listing.
const PAGE: u32 = 1000;

/// Let workers and operators in, and out again
#[derive(Debug, Subcommand)]
pub enum Worker {
    Add(Add),
    List(List),
    Revoke(Revoke),
}

/// Make a token with which one worker or operator can join, once
///
/// The token is shown now and never again. It is bound to the name, and says by itself which controller to trust.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum worker add crm-box --can 'crm.*' --can mail.send
  fulcrum worker add gpu-1 --kind executor --can 'model.*' --ttl 1h
  fulcrum worker add grace --kind operator
  TOKEN=$(fulcrum worker add crm-box --can 'crm.*' -q)")]
pub struct Add {
    /// Name of the worker or operator: lower-case letters, digits and dashes
    name: String,

    /// What it will be
    #[arg(short, long, value_enum, default_value_t)]
    kind: Kind,

    /// Pattern of capabilities it may offer, as often as needed
    #[arg(long, value_name = "PATTERN", default_values_t = ["*".to_owned()])]
    can: Vec<String>,

    /// How long the token lives: 15m, 1h
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = span)]
    ttl: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[default]
    Connector,
    Executor,
    Operator,
}

/// List workers
#[derive(Debug, Args)]
pub struct List {}

/// Take a worker's or operator's access away for good
///
/// Within 2 seconds its calls are refused and its leases lost; its tasks go to others.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum worker revoke crm-box --reason 'laptop stolen'")]
pub struct Revoke {
    /// Name or id
    worker: String,

    /// Why, for the record
    #[arg(short, long, default_value = "revoked by the operator")]
    reason: String,
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a number and a unit: 30s, 15m, 1h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let seconds = match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        _ => None,
    };
    seconds
        .and_then(|seconds| number.checked_mul(seconds))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

impl Worker {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        match self {
            Worker::Add(add) => add.run(session, &connection).await,
            Worker::List(_) => list(session, &connection).await,
            Worker::Revoke(revoke) => revoke.run(session, &connection).await,
        }
    }
}

impl Add {
    async fn run(self, session: &Session, connection: &Connection) -> Result<Exit, CliError> {
        let kind = match self.kind {
            Kind::Connector => IdentityKind::Connector,
            Kind::Executor => IdentityKind::Executor,
            Kind::Operator => IdentityKind::Operator,
        };
        let patterns = if self.kind == Kind::Operator {
            Vec::new()
        } else {
            self.can
        };
        let request = CreateJoinTokenRequest {
            namespace: connection.namespace(),
            name: self.name.clone(),
            kind: kind.into(),
            capability_patterns: patterns,
            ttl: prost_types::Duration::try_from(self.ttl).ok(),
            request_id: request_id::fresh()?,
        };
        let created = connection
            .workers()
            .create_join_token(request)
            .await?
            .into_inner();
        let enrol_at = address(&created.enrolment_endpoint);
        session
            .printer()
            .page(&TokenView::new(&self.name, kind.word(), &created))?;
        session
            .notice()
            .say("The token works once and is not shown again. On the other machine:");
        session.notice().say(&match self.kind {
            Kind::Operator => {
                format!(
                    "  fulcrum context add {} --enrol-at {enrol_at} --token {}",
                    self.name, created.token
                )
            }
            Kind::Connector | Kind::Executor => {
                format!(
                    "  fulcrum-{} run --enrolment {} --token {}",
                    kind.word(),
                    created.enrolment_endpoint,
                    created.token
                )
            }
        });
        Ok(Exit::Ok)
    }
}

async fn list(session: &Session, connection: &Connection) -> Result<Exit, CliError> {
    let mut client = connection.workers();
    let mut workers: Vec<WorkerView> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListWorkersRequest {
            namespace: connection.namespace(),
            page_size: PAGE,
            page_token,
        };
        let page = client.list_workers(request).await?.into_inner();
        workers.extend(
            page.workers
                .iter()
                .map(|worker| WorkerView::from(worker).seen_at(session.now())),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if workers.is_empty() {
        session
            .notice()
            .say("no workers; `fulcrum worker add NAME` makes a token for one");
    }
    session.printer().list(&workers)?;
    Ok(Exit::Ok)
}

impl Revoke {
    async fn run(self, session: &Session, connection: &Connection) -> Result<Exit, CliError> {
        let mut client = connection.workers();
        let is_id = self.worker.starts_with("wrk_") || self.worker.starts_with("opr_");
        let worker_id = if is_id {
            self.worker
        } else {
            let request = GetWorkerRequest {
                namespace: connection.namespace(),
                worker: Some(Which::Name(self.worker)),
            };
            let found = client.get_worker(request).await?.into_inner().worker;
            found
                .ok_or_else(|| CliError::BadAnswer("it names no worker".to_owned()))?
                .worker_id
        };
        let request = RevokeWorkerRequest {
            namespace: connection.namespace(),
            worker_id,
            reason: self.reason,
            request_id: request_id::fresh()?,
        };
        let answer = client.revoke_worker(request).await?.into_inner();
        if let Some(worker) = &answer.worker {
            session
                .printer()
                .page(&WorkerView::from(worker).seen_at(session.now()))?;
        }
        Ok(Exit::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        assert_eq!(span("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(span("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "15", "m", "-1m", "1.5h", "1é", "99999999999999999999h"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
