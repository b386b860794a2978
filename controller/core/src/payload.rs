//! Payloads are bytes with an encoding. Runs hold references; the bytes live in their own table.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ids::{PayloadId, RunId};

/// A reference to a stored payload, bound to its content by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PayloadRef {
    /// Where the bytes are.
    pub id: PayloadId,
    /// SHA-256 of the clear bytes.
    pub hash: [u8; 32],
    /// Length of the clear bytes.
    pub bytes: u32,
}

/// Bytes with their encoding; the encoding is `json` unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// For example `json`.
    pub encoding: String,
    /// The clear bytes.
    pub data: Vec<u8>,
}

/// A payload that a decision wants stored together with its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayload {
    /// The reference under which events name it.
    pub reference: PayloadRef,
    /// The content.
    pub payload: Payload,
    /// The content, parsed at first use.
    parsed: Parsed,
}

/// What is derived from a payload once and kept. It never makes two of them differ.
#[derive(Debug, Clone, Default)]
struct Parsed(OnceLock<Arc<Value>>);

impl PartialEq for Parsed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Parsed {}

impl NewPayload {
    /// A payload under a reference that says what it is.
    #[must_use]
    pub fn new(reference: PayloadRef, payload: Payload) -> Self {
        Self {
            reference,
            payload,
            parsed: Parsed::default(),
        }
    }

    /// The payload as a JSON value, if it is JSON. Clones made after that have it, too.
    pub fn value(&self) -> Result<Arc<Value>, serde_json::Error> {
        if let Some(value) = self.parsed.0.get() {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(self.payload.to_value()?);
        Ok(Arc::clone(self.parsed.0.get_or_init(|| value)))
    }
}

impl Payload {
    /// A JSON payload. Object keys are sorted, so equal values have equal bytes.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self {
            encoding: "json".to_owned(),
            data: value.to_string().into_bytes(),
        }
    }

    /// The payload as a JSON value, if it is JSON.
    pub fn to_value(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_slice(&self.data)
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.data).into()
    }

    /// Names this payload as the `n`th one that a command brings in from outside (an input, an output).
    #[must_use]
    pub fn named(self, run: RunId, entropy: &[u8; 32], n: u32) -> NewPayload {
        let reference = PayloadRef {
            id: PayloadId::derived(run, entropy, n),
            hash: self.hash(),
            bytes: u32::try_from(self.data.len()).unwrap_or(u32::MAX),
        };
        NewPayload::new(reference, self)
    }
}
