//! What a leaf certificate looks like. The server chooses all of it; a request contributes only its key.

use std::net::IpAddr;
use std::time::Duration;

use fulcrum_core::time::{Millis, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};

use super::principal::{BACKDATE, Principal};

/// A name that a server certificate vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerName {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl ServerName {
    /// An IP address if the text is one, else a DNS name.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| ServerName::Dns(text.to_owned()), ServerName::Ip)
    }
}

/// A certificate for a caller: client authentication only, its principal as its only name.
pub(super) fn client(
    principal: &Principal,
    serial: [u8; 16],
    now: Timestamp,
    life: Millis,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = leaf(principal, serial, now, life)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// A certificate for a controller's listeners: server authentication only.
pub(super) fn server(
    principal: &Principal,
    names: &[ServerName],
    serial: [u8; 16],
    now: Timestamp,
    life: Millis,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = leaf(principal, serial, now, life)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        params.subject_alt_names.push(match name {
            ServerName::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            ServerName::Ip(ip) => SanType::IpAddress(*ip),
        });
    }
    Ok(params)
}

fn leaf(
    principal: &Principal,
    serial: [u8; 16],
    now: Timestamp,
    life: Millis,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("{} {}", principal.role, principal.id),
    );
    params.subject_alt_names = vec![SanType::URI(principal.to_string().as_str().try_into()?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial_number(serial));
    params.not_before = rcgen::date_time_ymd(1970, 1, 1)
        + since_epoch(now).saturating_sub(Duration::from_millis(BACKDATE.0));
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch(now.plus(life));
    Ok(params)
}

/// A positive serial number of at most 127 bits.
pub(super) fn serial_number(mut random: [u8; 16]) -> SerialNumber {
    random[0] = (random[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&random)
}

/// The span from the Unix epoch, in whole seconds, as certificates know no finer time.
pub(super) fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(at.as_millis() / 1_000)
}
