//! The key that signs heads. The first controller that finds the log switched on makes it.

use fulcrum_audit::{Leaf, Notice, Signer};
use fulcrum_core::time::Timestamp;
use fulcrum_store::audit::{AuditLog, StoredKey};

use super::AuditError;
use crate::identity::InstallId;
use crate::identity::registry::log_key;
use crate::keys::Kek;

/// The installation's signer, made with the log if there is none.
pub(super) async fn take_up(
    log: &AuditLog,
    kek: &Kek,
    install: &InstallId,
    now: Timestamp,
) -> Result<Signer, AuditError> {
    let name = format!("fulcrum/{install}");
    let mut keys = log.keys().await?;
    if keys.is_empty() {
        // A log without its key is not one that begins.
        if log.head(0).await?.is_some() {
            return Err(AuditError::Damaged);
        }
        let key = Signer::new_key().map_err(|_| AuditError::Damaged)?;
        let signer = Signer::new(&name, &key).map_err(|_| AuditError::Damaged)?;
        let verifier = signer.verifier().to_string();
        let sealed = kek.seal(&log_key(&verifier).context(), &key)?;
        let began = Notice::Began {
            install: install.to_string(),
            at_us: now.0,
        };
        let key = StoredKey { verifier, sealed };
        log.begin(key, Leaf::notice(&began)).await?;
        // Another controller may have been first.
        keys = log.keys().await?;
    }
    let newest = keys.pop().ok_or(AuditError::Damaged)?;
    let key = kek.open(&log_key(&newest.verifier).context(), &newest.sealed)?;
    let signer = Signer::new(&name, &key).map_err(|_| AuditError::Damaged)?;
    if signer.verifier().to_string() == newest.verifier {
        Ok(signer)
    } else {
        Err(AuditError::Damaged)
    }
}
