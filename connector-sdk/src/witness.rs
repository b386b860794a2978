//! Remembering the signed heads of the installation log.
//!
//! Beside an identity rests the largest head that it has seen, with the key that signed the first one. Whoever looks
//! again learns whether the log only grew since then: that its database was taken back to an earlier state, or its history
//! written anew, is noticed here, where whoever did so has no hand.

use std::io;
use std::time::Duration;

use fulcrum_audit::{Alarm, Head, NodeHash, Verifier, Witness};
use fulcrum_proto::audit::v1::GetSignedHeadRequest;
use fulcrum_proto::audit::v1::audit_service_client::AuditServiceClient;
use fulcrum_proto::common::v1::ErrorReason;
use serde::{Deserialize, Serialize};
use tonic::codegen::{Body, Bytes, StdError};

use crate::identity::{IdentityDir, IdentityError};
use crate::refusal::Refusal;

const FILE: &str = "witness.json";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a look at the log did not end well.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The log is not what was seen.
    #[error("{0}")]
    Alarm(#[from] Alarm),
    /// Another key signs now.
    #[error(
        "the installation log is signed by another key ({offered}) than the one first seen ({pinned})"
    )]
    OtherKey {
        /// The key that was seen first.
        pinned: String,
        /// The key of now.
        offered: String,
    },
    /// What was seen is older than what the log can prove.
    #[error(
        "the head seen last, of {seen} entries, is older than what the log still keeps: it cannot be shown that nothing before it was changed"
    )]
    TooOld {
        /// Entries seen.
        seen: u64,
    },
    /// What is remembered cannot be read or written.
    #[error(transparent)]
    Memory(#[from] IdentityError),
    /// The answer makes no sense.
    #[error("the controller's answer about the installation log makes no sense")]
    BadAnswer,
    /// The controller refused, or cannot be reached.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl WitnessError {
    /// True if somebody must look into it: the record itself is in doubt.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        match self {
            Self::Alarm(_) | Self::OtherKey { .. } | Self::TooOld { .. } => true,
            Self::Memory(_) | Self::BadAnswer | Self::Refused(_) => false,
        }
    }
}

/// What was seen, and where the log begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The signed head.
    pub note: String,
    /// What it says.
    pub head: Head,
    /// What checks it.
    pub verifier: Verifier,
    /// The first entry that is still kept.
    pub first_place: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    verifier: String,
    note: String,
}

/// What this identity has seen last, if anything.
///
/// # Errors
/// The file cannot be read, or is damaged.
pub fn remembered(dir: &IdentityDir) -> Result<Option<(Verifier, Head)>, IdentityError> {
    let text = match dir.read(FILE) {
        Ok(text) => text,
        Err(IdentityError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let memory: Memory = serde_json::from_slice(&text).map_err(|error| dir.damaged(FILE, error))?;
    let verifier: Verifier = memory
        .verifier
        .parse()
        .map_err(|error| dir.damaged(FILE, error))?;
    let head = verifier
        .open(&memory.note)
        .map_err(|error| dir.damaged(FILE, error))?;
    Ok(Some((verifier, head)))
}

/// Looks at the log's newest head: holds it against what this identity has seen before, and remembers it.
///
/// # Errors
/// See [`WitnessError`]; what was seen before is still remembered then.
pub async fn look<C>(
    client: &mut AuditServiceClient<C>,
    dir: &IdentityDir,
) -> Result<Seen, WitnessError>
where
    C: tonic::client::GrpcService<tonic::body::Body>,
    C::Error: Into<StdError>,
    C::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    let before = remembered(dir)?;
    let known_size = before.as_ref().map_or(0, |(_, head)| head.size);
    let mut request = tonic::Request::new(GetSignedHeadRequest { known_size });
    request.set_timeout(ANSWER_TIMEOUT);
    let answer = match client.get_signed_head(request).await.map_err(Refusal::from) {
        Ok(answer) => answer.into_inner(),
        // What was signed once does not become unsigned.
        Err(refusal) if known_size > 0 && refusal.reason == Some(ErrorReason::NothingSigned) => {
            let (seen, offered) = (known_size, 0);
            return Err(Alarm::Regression { seen, offered }.into());
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let offered: Verifier = answer
        .verifier
        .parse()
        .map_err(|_| WitnessError::BadAnswer)?;
    let (verifier, seen) = match before {
        Some((pinned, head)) => (pinned, Some(head)),
        None => (offered.clone(), None),
    };
    if verifier != offered {
        return Err(WitnessError::OtherKey {
            pinned: verifier.to_string(),
            offered: offered.to_string(),
        });
    }
    if answer.known_size_left {
        return Err(WitnessError::TooOld { seen: known_size });
    }
    let proof: Vec<NodeHash> = answer
        .consistency
        .iter()
        .map(|hash| hash.as_ref().try_into().map(NodeHash))
        .collect::<Result<_, _>>()
        .map_err(|_| WitnessError::BadAnswer)?;
    let mut witness = Witness::new(verifier.clone(), seen);
    let head = witness.look(&answer.note, &proof)?;
    if seen != Some(head) {
        let memory = Memory {
            verifier: verifier.to_string(),
            note: answer.note.clone(),
        };
        let text = serde_json::to_vec_pretty(&memory).map_err(|_| WitnessError::BadAnswer)?;
        dir.write(FILE, &text)?;
    }
    Ok(Seen {
        note: answer.note,
        head,
        verifier,
        first_place: answer.first_place,
    })
}
