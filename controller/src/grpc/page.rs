//! Pages of listings. Tokens are opaque to clients, authenticated by the installation's key, and good for one listing
//! only. A page is bounded in rows and in bytes: one that is full closes early, with a token of the next.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_store::catalog::Rest;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Code;

use crate::server::Fault;

const DEFAULT_ROWS: u32 = 100;
/// Bytes of the items of one answer: below `server.message_out_bytes_max`, with room for one more item's envelope.
pub(super) const ANSWER_BYTES_MAX: usize = 7 << 20;
/// Bytes of stored rows that are read for one answer.
pub(super) const READ_BYTES_MAX: u64 = 8 << 20;
const TAG_BYTES: usize = 16;
const TOKEN_BYTES_MAX: usize = 1_024;

/// The installation's key for page tokens.
pub struct PageKey {
    key: hmac::Key,
}

/// A listing with its filters: a token of one does not open another.
pub(super) struct Listing<'a> {
    /// The key.
    pub(super) key: &'a PageKey,
    /// The method.
    pub(super) method: &'static str,
    /// Namespace and filters, as asked.
    pub(super) filter: &'a [&'a str],
}

impl PageKey {
    /// From the key kept with the installation.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }
}

impl Listing<'_> {
    /// The token of the page that begins after this place.
    pub(super) fn token<C: Serialize>(&self, after: &C) -> String {
        let cursor = serde_json::to_vec(after).expect("cursors hold only plain values");
        let mut bytes = self.tag(&cursor)[..TAG_BYTES].to_vec();
        bytes.extend(cursor);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token of the next page, which begins after the last item of this one; empty if this is the last page.
    pub(super) fn next<C: Serialize>(&self, more: More, last: Option<C>) -> String {
        match (more, last) {
            (More::Yes, Some(last)) => self.token(&last),
            (More::Yes | More::No, _) => String::new(),
        }
    }

    /// The place after which the page of this token begins; `None` for the first page.
    pub(super) fn cursor<C: DeserializeOwned>(&self, token: &str) -> Result<Option<C>, Fault> {
        if token.is_empty() {
            return Ok(None);
        }
        let read = || {
            let bytes = URL_SAFE_NO_PAD
                .decode((token.len() <= TOKEN_BYTES_MAX).then_some(token)?)
                .ok()?;
            let (tag, cursor) = bytes.split_at_checked(TAG_BYTES)?;
            let expected = self.tag(cursor);
            aws_lc_rs::constant_time::verify_slices_are_equal(tag, &expected[..TAG_BYTES]).ok()?;
            serde_json::from_slice(cursor).ok()
        };
        read().map(Some).ok_or_else(|| {
            let message =
                "the page token is not one that this listing gave out; begin with the first page";
            Fault::new(
                Code::InvalidArgument,
                ErrorReason::PageTokenInvalid,
                message,
            )
        })
    }

    fn tag(&self, cursor: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key.key);
        for part in std::iter::once(&self.method).chain(self.filter) {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.update(cursor);
        context
            .sign()
            .as_ref()
            .try_into()
            .expect("HMAC-SHA-256 has 32 bytes")
    }
}

/// How many rows a page shall have.
pub(super) fn rows(asked: u32, page_rows_max: u32) -> Result<u32, Fault> {
    match asked {
        0 => Ok(DEFAULT_ROWS.min(page_rows_max)),
        asked if asked <= page_rows_max => Ok(asked),
        asked => Err(Fault::field(
            "page_size",
            format!("is {asked}; at most {page_rows_max} are given"),
        )),
    }
}

/// Cuts a page that was read with one row too many, and tells whether there are more.
pub(super) fn cut<T>(mut read: Vec<T>, rows: u32) -> (Vec<T>, More) {
    let rows = rows as usize;
    let more = if read.len() > rows {
        More::Yes
    } else {
        More::No
    };
    read.truncate(rows);
    (read, more)
}

/// Keeps as many messages as an answer has room for, and at least one; what is left over is for the next page.
pub(super) fn fit<M: Message>(mut messages: Vec<M>, more: More) -> (Vec<M>, More) {
    let mut bytes = 0;
    let mut fits = |message: &M| {
        bytes += message.encoded_len();
        bytes <= ANSWER_BYTES_MAX
    };
    let fitting = messages.iter().take_while(|message| fits(message)).count();
    if fitting == messages.len() {
        return (messages, more);
    }
    messages.truncate(fitting.max(1));
    (messages, More::Yes)
}

/// Whether there is a next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// There is.
    Yes,
    /// This was the last.
    No,
}

impl From<Rest> for More {
    fn from(rest: Rest) -> Self {
        match rest {
            Rest::More => More::Yes,
            Rest::Nothing => More::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_own_listing_only() {
        let key = PageKey::new(&[7; 32]);
        let listing = Listing {
            key: &key,
            method: "ListRuns",
            filter: &["acme", ""],
        };
        let token = listing.token(&42_u64);
        assert_eq!(listing.cursor(&token), Ok(Some(42_u64)));
        assert_eq!(listing.cursor::<u64>(""), Ok(None));
        let others = [
            Listing {
                key: &key,
                method: "ListRuns",
                filter: &["other", ""],
            },
            Listing {
                key: &key,
                method: "ListWorkers",
                filter: &["acme", ""],
            },
            Listing {
                key: &PageKey::new(&[8; 32]),
                method: "ListRuns",
                filter: &["acme", ""],
            },
        ];
        for other in others {
            assert!(other.cursor::<u64>(&token).is_err());
        }
        assert!(listing.cursor::<u64>("AAAA").is_err());
    }

    #[test]
    fn a_page_closes_before_it_is_too_large_and_is_never_empty() {
        let message = |megabytes: usize| prost_types::Any {
            value: vec![0; megabytes << 20],
            ..prost_types::Any::default()
        };
        let fitting = |sizes: &[usize], more| {
            let messages = sizes.iter().copied().map(message).collect();
            let (kept, more) = fit(messages, more);
            (kept.len(), more)
        };
        assert_eq!(fitting(&[1, 2, 3], More::No), (3, More::No));
        assert_eq!(fitting(&[1, 2, 3], More::Yes), (3, More::Yes));
        assert_eq!(fitting(&[4, 2, 3, 1], More::No), (2, More::Yes));
        assert_eq!(fitting(&[9, 1], More::No), (1, More::Yes));
        assert_eq!(fitting(&[], More::No), (0, More::No));
    }
}
