//! Making the authority's own certificates: a root at the beginning, and an issuing certificate now and then.

use fulcrum_core::time::{Millis, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use secrecy::ExposeSecret;

use super::authority::{AuthorityError, AuthorityKind, AuthorityRow, random, serial_hex};
use super::name::InstallId;
use super::template::{serial_number, since_epoch};

/// Life of the root certificate.
pub const ROOT_LIFE: Millis = Millis::from_secs(10 * 365 * 86_400);
/// Life of an issuing certificate.
pub const ISSUING_LIFE: Millis = Millis::from_secs(90 * 86_400);
/// An issuing certificate this close to its end is replaced.
pub const ISSUING_RENEW_BEFORE: Millis = Millis::from_secs(30 * 86_400);

/// A new root and its first issuing certificate.
///
/// # Errors
/// When no key can be generated.
pub fn generate(install: &InstallId, now: Timestamp) -> Result<Vec<AuthorityRow>, AuthorityError> {
    let key = KeyPair::generate()?;
    let serial = random()?;
    let params = authority_params(install, AuthorityKind::Root, serial, now);
    let certificate = params.self_signed(&key)?;
    let root = AuthorityRow {
        kind: AuthorityKind::Root,
        serial: serial_hex(serial),
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem().into(),
        not_after: now.plus(ROOT_LIFE),
    };
    let issuing = new_issuing(install, &root, now)?;
    Ok(vec![root, issuing])
}

/// Another issuing certificate under the same root.
///
/// # Errors
/// When the root cannot be read or no key can be generated.
pub fn new_issuing(
    install: &InstallId,
    root: &AuthorityRow,
    now: Timestamp,
) -> Result<AuthorityRow, AuthorityError> {
    let root_key = KeyPair::from_pem(root.key_pem.expose_secret())?;
    let issuer = Issuer::from_ca_cert_pem(&root.certificate_pem, root_key)?;
    let key = KeyPair::generate()?;
    let serial = random()?;
    let certificate =
        authority_params(install, AuthorityKind::Issuing, serial, now).signed_by(&key, &issuer)?;
    Ok(AuthorityRow {
        kind: AuthorityKind::Issuing,
        serial: serial_hex(serial),
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem().into(),
        not_after: now.plus(ISSUING_LIFE),
    })
}

fn authority_params(
    install: &InstallId,
    kind: AuthorityKind,
    serial: [u8; 16],
    now: Timestamp,
) -> CertificateParams {
    let (title, depth, life) = match kind {
        AuthorityKind::Root => ("root", 1, ROOT_LIFE),
        AuthorityKind::Issuing => ("issuing", 0, ISSUING_LIFE),
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Fulcrum");
    params.distinguished_name.push(
        DnType::CommonName,
        format!("{install} {title} {}", &serial_hex(serial)[..8]),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial_number(serial));
    let backdated = since_epoch(now).saturating_sub(std::time::Duration::from_secs(300));
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + backdated;
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(now.plus(life));
    params
}
