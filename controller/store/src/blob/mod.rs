//! Payloads above the inline limit.
//!
//! A commit holds locks, and the rows that it writes are read again and again: megabytes have no place in it. What is
//! larger than the limit is a *blob*, in a table of its own, and goes [ahead](write) of the commit. Its id is derived from
//! what made it, so writing it twice is writing it once. If the commit then fails, nobody knows of the blob, and it leaves
//! with the day on which it was born, like everything else.
//!
//! The bytes are in the row, or in [object storage](objects) if there is one; then the row says where. An object is written
//! before its row and deleted before its day's table is dropped, so that the table is the note of what is left to delete.
//!
//! The limit may be changed at any time: whoever [reads](read) looks where a payload of its size belongs by now, and then
//! in the other place. Whoever sends a blob on in pieces reads [a part](part) at a time.

pub(crate) mod objects;
pub(crate) mod part;
pub(crate) mod read;
pub(crate) mod write;

use fulcrum_core::payload::PayloadRef;

use crate::connect::ConnectError;
use crate::options::BlobOptions;
use crate::versions::FeatureLevel;
use objects::Objects;

/// Where payloads go.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    limit: Inline,
    pub(crate) objects: Option<Objects>,
}

/// The bytes of the largest payload that is no blob.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inline(u32);

impl Blobs {
    pub(crate) fn open(options: &BlobOptions) -> Result<Self, ConnectError> {
        Ok(Self {
            limit: Inline(options.inline_bytes_max),
            objects: options.objects.as_ref().map(Objects::open).transpose()?,
        })
    }

    /// The limit for what is written now. Nothing is above it while a build may be here that knows of no blobs. A flush
    /// asks once: what changes its mind half way belongs nowhere.
    pub(crate) fn inline(&self, level: FeatureLevel) -> Inline {
        if level >= FeatureLevel::BLOBS {
            self.limit
        } else {
            Inline(u32::MAX)
        }
    }
}

impl Inline {
    pub(crate) fn holds(self, reference: &PayloadRef) -> bool {
        reference.bytes <= self.0
    }
}
