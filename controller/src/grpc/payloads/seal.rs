//! What a handle says, sealed. It is no secret: its bearer knows the value, or may read it. It must not be made by
//! anybody else, and is worth nothing to anybody else.

use fulcrum_core::ids::NamespaceId;
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::grpc::seal::Seal;
use crate::identity::IdentityId;
use crate::server::Caller;

const SEAL_VERSION: u8 = 1;
/// Apart from what else the installation's key authenticates.
const PURPOSE: &[u8] = b"fulcrum payload handle v1\0";
/// Longer handles are not ours.
const HANDLE_BYTES_MAX: usize = 256;

/// What a handle is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To stand for a value that was uploaded.
    Use,
    /// To read a value that an answer did not carry.
    Read,
}

/// Whom a handle was given to, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// From the certificate.
    pub identity: IdentityId,
    /// The namespace in which it is used.
    pub namespace: NamespaceId,
}

impl Holder {
    /// The caller, in this namespace.
    #[must_use]
    pub fn of(caller: &Caller, namespace: NamespaceId) -> Self {
        Self {
            identity: caller.principal().id,
            namespace,
        }
    }
}

/// What a handle says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// What it is good for.
    pub purpose: Purpose,
    /// Where.
    pub namespace: NamespaceId,
    /// To whom.
    pub holder: uuid::Uuid,
    /// Which value.
    pub payload: PayloadRef,
    /// Until when, by the database's clock.
    pub expires_at: Timestamp,
}

/// Why a handle is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandleRefusal {
    /// It is not one of this holder's for this purpose. What it is instead is not told.
    #[error("this handle was not given to you, in this namespace, for this use")]
    Invalid,
    /// It was one.
    #[error("this handle expired at {0}")]
    Expired(Timestamp),
}

/// Seals and opens handles. All controllers of an installation have the same.
#[derive(Clone)]
pub struct HandleSeal(Seal);

impl HandleSeal {
    /// From the key kept with the installation.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Seal::new(key, SEAL_VERSION, PURPOSE))
    }

    /// The bytes for the holder.
    #[must_use]
    pub fn close(&self, handle: &Handle) -> Vec<u8> {
        let body = postcard::to_allocvec(handle).expect("a handle holds only encodable types");
        self.0.close(&body)
    }

    /// Reads a handle back, if this installation made it for this holder and purpose. Whether it has expired is another
    /// question.
    ///
    /// # Errors
    /// [`HandleRefusal::Invalid`].
    pub fn open(
        &self,
        bytes: &[u8],
        purpose: Purpose,
        holder: Holder,
    ) -> Result<Handle, HandleRefusal> {
        let body = (bytes.len() <= HANDLE_BYTES_MAX).then_some(bytes);
        let body = body.and_then(|bytes| self.0.open(bytes));
        let handle: Handle = body
            .and_then(|body| postcard::from_bytes(body).ok())
            .ok_or(HandleRefusal::Invalid)?;
        let is_theirs = handle.purpose == purpose
            && handle.namespace == holder.namespace
            && handle.holder == holder.identity.0;
        is_theirs.then_some(handle).ok_or(HandleRefusal::Invalid)
    }
}

impl Handle {
    /// The value, if it is not too late.
    ///
    /// # Errors
    /// [`HandleRefusal::Expired`].
    pub fn at(&self, now: Timestamp) -> Result<PayloadRef, HandleRefusal> {
        if now < self.expires_at {
            Ok(self.payload)
        } else {
            Err(HandleRefusal::Expired(self.expires_at))
        }
    }
}

#[cfg(test)]
mod tests {
    use fulcrum_core::ids::{PayloadId, Shard};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn holder(identity: u128, namespace: u128) -> Holder {
        Holder {
            identity: IdentityId(Uuid::from_u128(identity)),
            namespace: NamespaceId(Uuid::from_u128(namespace)),
        }
    }

    fn handle() -> Handle {
        Handle {
            purpose: Purpose::Use,
            namespace: NamespaceId(Uuid::from_u128(2)),
            holder: Uuid::from_u128(1),
            payload: PayloadRef {
                id: PayloadId::staged(NOW, Shard(4095), u64::MAX),
                hash: [0xff; 32],
                bytes: u32::MAX,
            },
            expires_at: Timestamp(i64::MAX),
        }
    }

    #[test]
    fn every_controller_of_an_installation_opens_what_one_sealed_and_no_other() {
        let sealed = HandleSeal::new(&[7; 32]).close(&handle());
        assert!(sealed.len() <= HANDLE_BYTES_MAX, "{}", sealed.len());
        let open = |key, bytes: &[u8]| HandleSeal::new(key).open(bytes, Purpose::Use, holder(1, 2));
        assert_eq!(open(&[7; 32], &sealed), Ok(handle()));
        assert_eq!(open(&[8; 32], &sealed), Err(HandleRefusal::Invalid));
    }

    #[test]
    fn a_handle_is_worth_nothing_to_others_elsewhere_or_for_another_purpose() {
        let seal = HandleSeal::new(&[7; 32]);
        let sealed = seal.close(&handle());
        for (purpose, holder) in [
            (Purpose::Use, holder(9, 2)),
            (Purpose::Use, holder(1, 9)),
            (Purpose::Read, holder(1, 2)),
        ] {
            let opened = seal.open(&sealed, purpose, holder);
            assert_eq!(
                opened,
                Err(HandleRefusal::Invalid),
                "{purpose:?} {holder:?}"
            );
        }
    }

    #[test]
    fn a_changed_or_shortened_handle_is_refused_whatever_was_changed() {
        let seal = HandleSeal::new(&[7; 32]);
        let sealed = seal.close(&handle());
        let open = |bytes: &[u8]| seal.open(bytes, Purpose::Use, holder(1, 2));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed), Err(HandleRefusal::Invalid), "byte {at}");
            assert_eq!(
                open(&sealed[..at]),
                Err(HandleRefusal::Invalid),
                "{at} bytes"
            );
        }
    }

    #[test]
    fn a_handle_expires() {
        let handle = Handle {
            expires_at: NOW,
            ..handle()
        };
        assert_eq!(handle.at(Timestamp(999)), Ok(handle.payload));
        assert_eq!(handle.at(NOW), Err(HandleRefusal::Expired(NOW)));
    }
}
