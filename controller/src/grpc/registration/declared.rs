//! What a worker declares of itself, checked before anything is kept.

use std::collections::{BTreeMap, HashMap};

use fulcrum_core::contract::Contract;
use fulcrum_proto::common::v1::{CapabilityContract, ErrorReason};
use tonic::Code;

use crate::grpc::convert::contract;
use crate::identity::IdentityRecord;
use crate::server::Fault;

/// Contracts in one registration.
const CONTRACTS_MAX: usize = 1_000;
/// Labels of one worker.
const LABELS_MAX: usize = 32;
/// Bytes of a label's key or value.
const LABEL_BYTES_MAX: usize = 63;
/// Tasks that one worker runs at once.
const SLOTS_MAX: u32 = 1_000;

/// What the worker declares, by name.
pub(super) fn contracts(
    values: Vec<CapabilityContract>,
) -> Result<BTreeMap<String, Contract>, Fault> {
    if values.len() > CONTRACTS_MAX {
        let message = format!(
            "contracts: at most {CONTRACTS_MAX} a worker, got {}",
            values.len()
        );
        return Err(Fault::new(
            Code::InvalidArgument,
            ErrorReason::BatchTooLarge,
            message,
        ));
    }
    let mut contracts = BTreeMap::new();
    for value in values {
        let contract = contract::to_contract(value)?;
        if let Some(twice) = contracts.insert(contract.name.clone(), contract) {
            return Err(Fault::field(
                "contracts",
                format!("`{}` is declared twice", twice.name),
            ));
        }
    }
    Ok(contracts)
}

/// Refuses, as a whole, what names a capability beyond the identity's patterns.
pub(super) fn granted(
    identity: &IdentityRecord,
    contracts: &BTreeMap<String, Contract>,
) -> Result<(), Fault> {
    let denied: Vec<&str> = contracts
        .keys()
        .filter(|name| {
            !identity
                .capabilities
                .iter()
                .any(|pattern| pattern.covers(name))
        })
        .map(String::as_str)
        .collect();
    if denied.is_empty() {
        return Ok(());
    }
    let may: Vec<&str> = identity
        .capabilities
        .iter()
        .map(|pattern| pattern.as_str())
        .collect();
    let message = format!(
        "`{}` may offer {}; not {}",
        identity.name,
        may.join(", "),
        denied.join(", ")
    );
    Err(Fault::new(
        Code::PermissionDenied,
        ErrorReason::PermissionDenied,
        message,
    ))
}

/// A contract is immutable: what changed must carry another version.
pub(super) fn unchanged(
    in_force: &[Contract],
    declared: &BTreeMap<String, Contract>,
) -> Result<(), Fault> {
    let changed = in_force.iter().find(|known| {
        declared
            .get(&known.name)
            .is_some_and(|now| now.version == known.version && now.hash() != known.hash())
    });
    match changed {
        None => Ok(()),
        Some(known) => {
            let message = format!(
                "`{}` version {} is registered with another content; raise its version",
                known.name, known.version
            );
            Err(Fault::new(
                Code::AlreadyExists,
                ErrorReason::ContractChanged,
                message,
            ))
        }
    }
}

/// Labels of bounded number and size.
pub(super) fn labels(labels: HashMap<String, String>) -> Result<BTreeMap<String, String>, Fault> {
    if labels.len() > LABELS_MAX {
        return Err(Fault::field(
            "labels",
            format!("at most {LABELS_MAX} are kept, got {}", labels.len()),
        ));
    }
    let fits = |text: &String| text.len() <= LABEL_BYTES_MAX;
    match labels
        .iter()
        .find(|(key, value)| key.is_empty() || !fits(key) || !fits(value))
    {
        Some((key, _)) => {
            let key: String = key.chars().take(LABEL_BYTES_MAX).collect();
            Err(Fault::field(
                "labels",
                format!("`{key}`: keys and values have at most {LABEL_BYTES_MAX} bytes"),
            ))
        }
        None => Ok(labels.into_iter().collect()),
    }
}

/// Tasks at once, from one on.
pub(super) fn slots(slots: u32) -> Result<u32, Fault> {
    if (1..=SLOTS_MAX).contains(&slots) {
        Ok(slots)
    } else {
        Err(Fault::field(
            "slots",
            format!("is {slots}; must be 1 to {SLOTS_MAX}"),
        ))
    }
}

/// A text of bounded size.
pub(super) fn bounded(field: &str, text: String, bytes_max: usize) -> Result<String, Fault> {
    if text.len() > bytes_max {
        return Err(Fault::field(
            field,
            format!("must have at most {bytes_max} bytes"),
        ));
    }
    Ok(text)
}
