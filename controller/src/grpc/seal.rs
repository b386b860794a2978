//! Seals: what comes back is what was given out. A seal hides nothing. Each purpose has a version byte and a name of its
//! own, so that nothing sealed for one opens for another.

use aws_lc_rs::{constant_time, hmac};

const TAG_BYTES: usize = 16;

/// Seals and opens for one purpose. All controllers of an installation have the same key.
#[derive(Clone)]
pub(super) struct Seal {
    key: hmac::Key,
    version: u8,
    purpose: &'static [u8],
}

impl Seal {
    /// From the key kept with the installation.
    pub(super) fn new(key: &[u8; 32], version: u8, purpose: &'static [u8]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            version,
            purpose,
        }
    }

    /// Version, tag, body.
    pub(super) fn close(&self, body: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(1 + TAG_BYTES + body.len());
        sealed.push(self.version);
        sealed.extend(self.tag(body));
        sealed.extend(body);
        sealed
    }

    /// The body, if this installation sealed it for this purpose.
    pub(super) fn open<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let (version, rest) = bytes.split_first()?;
        let (tag, body) = rest.split_at_checked(TAG_BYTES)?;
        if *version != self.version {
            return None;
        }
        constant_time::verify_slices_are_equal(tag, &self.tag(body)).ok()?;
        Some(body)
    }

    fn tag(&self, body: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(self.purpose);
        context.update(body);
        let tag = context.sign();
        *tag.as_ref()
            .first_chunk()
            .expect("HMAC-SHA-256 has 32 bytes")
    }
}
