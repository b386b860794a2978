//! One call of a `sql` capability.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fulcrum_sdk::{Contract, EffectClass, Failure, Idempotency, Sent};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::bind::Bound;
use super::config::{Returns, SqlConfig};
use super::database::Database;
use super::job::{EffectRecord, Job};
use super::statement::{Access, Statement};
use crate::assemble::Parts;
use crate::config::Problems;
use crate::operation::{Call, Operation, Repeat};
use crate::template::{ScopeNames, TreeTemplate};

/// Always there, whatever the input.
const EFFECT_KEY: &str = "effect_key";
/// Kept back from the time of a call.
const SPARE: Duration = Duration::from_millis(250);

struct SqlOperation {
    database: Arc<Database>,
    statement: Arc<Statement>,
    params: BTreeMap<String, TreeTemplate>,
    returns: Returns,
    rows_max: usize,
    repeat: Repeat,
    /// The capability's name, when effects are recorded with their keys.
    keyed: Option<String>,
    title: String,
}

/// Makes the operation of a `sql` entry; what is wrong is noted.
pub(crate) fn build(
    config: &Spanned<SqlConfig>,
    contract: &Contract,
    parts: &Parts,
    problems: &mut Problems,
) -> Option<Box<dyn Operation>> {
    let SqlConfig {
        database,
        read,
        write,
        params: configured,
        returns,
        rows_max,
    } = &config.value;
    let (source, access) = match (read, write) {
        (Some(read), None) => (read, Access::Read),
        (None, Some(write)) => (write, Access::Write),
        (None, None) | (Some(_), Some(_)) => {
            problems.note(config, "write exactly one of `read` and `write`");
            return None;
        }
    };
    match (access, contract.effect) {
        (Access::Write, EffectClass::Read) => {
            problems.note(
                source,
                "a `write` changes something; its effect is not `read`",
            );
        }
        (
            Access::Read,
            EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward,
        ) => {
            problems.note(source, "a `read` changes nothing; its effect is `read`");
        }
        (Access::Write, _) | (Access::Read, EffectClass::Read) => {}
    }
    let database = parts.databases.find(database, problems)?;
    let statement = problems.keep(
        source,
        Statement::parse(&source.value, database.dialect(), access),
    )?;
    let mut params = BTreeMap::new();
    for (name, value) in configured {
        if !statement.names().contains(name.as_str()) {
            problems.note(
                value,
                format_args!("the statement has no parameter `:{name}`"),
            );
        }
        let template = problems.keep(value, TreeTemplate::parse(&value.value, ScopeNames::CALL))?;
        params.insert(name.clone(), template);
    }
    let keyed = matches!(
        (access, contract.idempotency),
        (Access::Write, Idempotency::Keyed)
    );
    Some(Box::new(SqlOperation {
        title: format!("{} on {}", contract.name, database.name),
        database,
        statement: Arc::new(statement),
        params,
        returns: returns.unwrap_or(match access {
            Access::Read => Returns::Rows,
            Access::Write => Returns::Count,
        }),
        rows_max: *rows_max,
        repeat: Repeat::of(contract),
        keyed: keyed.then(|| contract.name.clone()),
    }))
}

#[async_trait]
impl Operation for SqlOperation {
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let job = Job {
            statement: Arc::clone(&self.statement),
            values: self.values(call).map_err(|reason| {
                Failure::fatal("SQL_PARAMETER_INVALID", format!("{}: {reason}", self.title))
                    .sent(Sent::No)
            })?,
            returns: self.returns,
            rows_max: self.rows_max,
            // The database ends a statement itself, while there is still time to hear it say so.
            deadline: call.deadline - SPARE.min(call.remaining() / 10),
            key: self.keyed.as_ref().map(|capability| EffectRecord {
                effect_key: call.context.effect_key().to_owned(),
                capability: capability.clone(),
            }),
        };
        self.database
            .run(job)
            .await
            .map_err(|fault| fault.into_failure(&self.title, self.database.dialect(), self.repeat))
    }
}

impl SqlOperation {
    fn values(&self, call: &Call<'_>) -> Result<Vec<Bound>, String> {
        let scope = call.scope();
        self.statement
            .parameters
            .iter()
            .map(|name| {
                let value = match (self.params.get(name), call.input.get(name)) {
                    (Some(template), _) => template.render(&scope).map_err(|e| e.to_string())?,
                    (None, _) if name == EFFECT_KEY => Value::from(call.context.effect_key()),
                    (None, Some(value)) => value.clone(),
                    (None, None) => return Err(format!("the input has no `{name}`")),
                };
                Bound::of(name, value).map_err(|error| error.to_string())
            })
            .collect()
    }
}
