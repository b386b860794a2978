//! A sender and the way its mail goes, made from the configuration.

use std::path::Path;
use std::str::FromStr;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::Certificate;
use secrecy::ExposeSecret;
use serde_saphyr::Spanned;

use super::config::{MailerConfig, SmtpConfig, SmtpTls, TransportConfig};
use super::journal::SentJournal;
use super::outbox::Outbox;
use super::smtp::SmtpServer;
use crate::config::Problems;
use crate::secret::{SecretName, Vault};

/// A sender and the way its mail goes.
pub struct Mailer {
    pub(super) from: Mailbox,
    pub(super) transport: Transport,
}

/// The way.
pub(super) enum Transport {
    File(Outbox),
    Smtp(SmtpServer),
}

impl Mailer {
    /// Makes the mailer. What is wrong is noted in `problems`.
    pub(crate) fn build(
        config: &Spanned<MailerConfig>,
        directory: &Path,
        vault: &mut Vault,
        problems: &mut Problems,
    ) -> Option<Self> {
        let MailerConfig { from, transport } = &config.value;
        let sender = Mailbox::from_str(&from.value)
            .map_err(|error| format!("`{}` is not an address: {error}", from.value));
        let sender = problems.keep(from, sender);
        let transport = match transport {
            TransportConfig::File(file) => {
                let path = directory.join(&file.directory);
                let opened = Outbox::open(&path).map_err(|error| {
                    format!("cannot use the directory {}: {error}", path.display())
                });
                Transport::File(problems.keep(config, opened)?)
            }
            TransportConfig::Smtp(smtp) => {
                Transport::Smtp(server(smtp, directory, vault, problems)?)
            }
        };
        Some(Self {
            from: sender?,
            transport,
        })
    }
}

fn server(
    config: &SmtpConfig,
    directory: &Path,
    vault: &mut Vault,
    problems: &mut Problems,
) -> Option<SmtpServer> {
    let credentials = match (&config.username, &config.password) {
        (None, None) => None,
        (Some(username), Some(password)) => {
            let name = problems.keep(password, password.value.parse::<SecretName>())?;
            let value = problems.keep(password, vault.reveal(&name))?;
            if config.tls == SmtpTls::None {
                problems.note(password, "a password is never sent without TLS; set `tls`");
            }
            Some(Credentials::new(
                username.clone(),
                value.expose_secret().to_owned(),
            ))
        }
        (Some(_), None) | (None, Some(_)) => {
            problems.note(&config.host, "`username` and `password` come together");
            return None;
        }
    };
    let authorities = match &config.ca_file {
        None => None,
        Some(file) => {
            let read = std::fs::read(directory.join(&file.value))
                .map_err(|error| format!("cannot read {}: {error}", file.value.display()))
                .and_then(|pem| Certificate::from_pem(&pem).map_err(|error| error.to_string()));
            Some(problems.keep(file, read)?)
        }
    };
    let journal = match &config.sent_directory {
        None => None,
        Some(path) => {
            let path = directory.join(path);
            let opened = SentJournal::open(path.clone())
                .map_err(|error| format!("cannot use sent_directory {}: {error}", path.display()));
            Some(problems.keep(&config.host, opened)?)
        }
    };
    Some(SmtpServer {
        host: config.host.value.clone(),
        port: config.port.unwrap_or(match config.tls {
            SmtpTls::Implicit => 465,
            SmtpTls::Starttls | SmtpTls::None => 587,
        }),
        tls: config.tls,
        authorities,
        credentials,
        journal,
    })
}
