//! The installation and its authority, keys opened.

use fulcrum_store::identity as rows;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::handle::Registry;
use super::sealed::{StoredKeyError, authority_key, paging_key};
use crate::identity::authority::{AuthorityKind, AuthorityRow};

/// What the first controller made.
#[derive(Clone)]
pub struct Installed {
    /// The installation's id.
    pub install: String,
    /// Key of page tokens.
    pub paging_key: Zeroizing<[u8; 32]>,
    /// The authority's certificates, oldest first.
    pub authorities: Vec<AuthorityRow>,
}

impl Registry {
    /// What is stored; `None` if no controller ever started.
    pub async fn installed(&self) -> Result<Option<Installed>, StoredKeyError> {
        let installation = self.store.installation();
        let Some(row) = installation.get().await? else {
            return Ok(None);
        };
        // Written in one transaction with the row.
        let authorities = installation.authorities().await?;
        self.read(row, authorities).map(Some)
    }

    /// Writes this down unless somebody was first, and gives what is stored.
    pub async fn install(&self, new: &Installed) -> Result<Installed, StoredKeyError> {
        let key = self
            .to_rest(paging_key(&new.install), new.paging_key.as_ref())
            .await?;
        let row = rows::InstallationRow {
            install_id: new.install.clone(),
            paging_key: key,
        };
        let mut authorities = Vec::with_capacity(new.authorities.len());
        for authority in &new.authorities {
            authorities.push(self.authority_row(authority).await?);
        }
        let (row, authorities) = self.store.installation().init(row, authorities).await?;
        self.read(row, authorities)
    }

    /// The authority's certificates.
    pub async fn authorities(&self) -> Result<Vec<AuthorityRow>, StoredKeyError> {
        let rows = self.store.installation().authorities().await?;
        rows.into_iter().map(|row| self.authority(row)).collect()
    }

    /// Adds a certificate to the authority.
    pub async fn add_authority(&self, row: &AuthorityRow) -> Result<(), StoredKeyError> {
        let row = self.authority_row(row).await?;
        Ok(self.store.installation().add_authority(row).await?)
    }

    fn read(
        &self,
        row: rows::InstallationRow,
        authorities: Vec<rows::AuthorityRow>,
    ) -> Result<Installed, StoredKeyError> {
        let place = paging_key(&row.install_id);
        let key = self.opened(place, &row.paging_key)?;
        let mut bytes = Zeroizing::new([0; 32]);
        if key.len() != bytes.len() {
            return Err(StoredKeyError::Damaged {
                place: place.to_string(),
            });
        }
        bytes.copy_from_slice(&key);
        let authorities = authorities.into_iter().map(|row| self.authority(row));
        Ok(Installed {
            authorities: authorities.collect::<Result<_, _>>()?,
            install: row.install_id,
            paging_key: bytes,
        })
    }

    async fn authority_row(
        &self,
        row: &AuthorityRow,
    ) -> Result<rows::AuthorityRow, StoredKeyError> {
        let key = row.key_pem.expose_secret().as_bytes();
        Ok(rows::AuthorityRow {
            serial: row.serial.clone(),
            kind: match row.kind {
                AuthorityKind::Root => rows::AuthorityKind::Root,
                AuthorityKind::Issuing => rows::AuthorityKind::Issuing,
            },
            cert_pem: row.certificate_pem.clone(),
            key_pem: self.to_rest(authority_key(&row.serial), key).await?,
            not_after: row.not_after,
        })
    }

    fn authority(&self, row: rows::AuthorityRow) -> Result<AuthorityRow, StoredKeyError> {
        let place = authority_key(&row.serial);
        let key = self.opened(place, &row.key_pem)?;
        let text = std::str::from_utf8(&key).map_err(|_| StoredKeyError::Damaged {
            place: place.to_string(),
        })?;
        Ok(AuthorityRow {
            kind: match row.kind {
                rows::AuthorityKind::Root => AuthorityKind::Root,
                rows::AuthorityKind::Issuing => AuthorityKind::Issuing,
            },
            key_pem: text.into(),
            serial: row.serial,
            certificate_pem: row.cert_pem,
            not_after: row.not_after,
        })
    }
}
