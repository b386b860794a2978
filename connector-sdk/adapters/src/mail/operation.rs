//! One call of a `mail` capability.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fulcrum_sdk::{Contract, EffectClass, Failure, FailureClass, Sent};
use lettre::Message;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use serde_saphyr::Spanned;

use super::config::{MailConfig, MailerConfig, SmtpConfig, SmtpTls, TransportConfig};
use super::journal::{Known, SentJournal};
use super::message::{MailTemplate, key_name};
use super::outbox::Outbox;
use super::smtp::{SmtpError, SmtpServer};
use crate::assemble::Parts;
use crate::config::Problems;
use crate::operation::{Call, Operation};
use crate::secret::{SecretName, Vault};

/// Kept back from the call's time, so that there is some left to note what happened.
const SPARE: Duration = Duration::from_millis(500);

/// A sender and the way its mail goes.
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

enum Transport {
    File(Outbox),
    Smtp(SmtpServer),
}

struct MailOperation {
    mailer: Arc<Mailer>,
    template: MailTemplate,
    title: String,
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
        credentials,
        journal,
    })
}

/// Makes the operation of a `mail` entry; what is wrong is noted.
pub(crate) fn build(
    config: &Spanned<MailConfig>,
    contract: &Contract,
    parts: &Parts,
    problems: &mut Problems,
) -> Option<Box<dyn Operation>> {
    match contract.effect {
        EffectClass::Outward => {}
        EffectClass::Read | EffectClass::Reversible | EffectClass::Irreversible => {
            problems.note(
                config,
                "a mail speaks for the owner; its effect is `outward`",
            );
        }
    }
    let mailer = parts.mailers.find(&config.value.mailer, problems);
    let template = MailTemplate::parse(&config.value, problems);
    Some(Box::new(MailOperation {
        title: format!("{} by {}", contract.name, config.value.mailer.value),
        mailer: mailer?,
        template: template?,
    }))
}

#[async_trait]
impl Operation for MailOperation {
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure> {
        let mail = self
            .template
            .compose(call.context, &call.scope(), &self.mailer.from)
            .map_err(|error| Failure::fatal("MAIL_INVALID", self.says(&error)).sent(Sent::No))?;
        let key = key_name(call.context);
        let message_id = mail
            .headers()
            .get_raw("Message-ID")
            .unwrap_or_default()
            .to_owned();
        match &self.mailer.transport {
            Transport::File(outbox) => {
                let file = outbox.put(&key, mail.formatted()).await.map_err(|error| {
                    Failure::transient("MAIL_OUTBOX", self.says(&error)).sent(Sent::No)
                })?;
                Ok(json!({ "message_id": message_id, "file": file }))
            }
            Transport::Smtp(server) => {
                self.send(server, &mail, &key, call).await?;
                Ok(json!({ "message_id": message_id }))
            }
        }
    }
}

impl MailOperation {
    fn says(&self, what: &impl std::fmt::Display) -> String {
        format!("{}: {what}", self.title)
    }

    async fn send(
        &self,
        server: &SmtpServer,
        mail: &Message,
        key: &str,
        call: &Call<'_>,
    ) -> Result<(), Failure> {
        let journal_failed = |error: std::io::Error, sent| {
            let message = self.says(&format!("cannot note it in sent_directory: {error}"));
            Failure::new(
                match sent {
                    Sent::No => FailureClass::Transient,
                    Sent::Maybe | Sent::Yes => FailureClass::Unknown,
                },
                "MAIL_JOURNAL",
                message,
            )
            .sent(sent)
        };
        if let Some(journal) = &server.journal {
            match journal
                .begin(key)
                .await
                .map_err(|error| journal_failed(error, Sent::No))?
            {
                Known::Opened => {}
                Known::Sent => return Ok(()),
                Known::Open => {
                    let message = self.says(&"an earlier attempt may have sent this mail");
                    return Err(Failure::unknown("MAIL_OUTCOME_UNKNOWN", message));
                }
            }
        }
        let deadline = call.deadline - SPARE.min(call.remaining() / 4);
        let sent = server.send(mail, deadline).await;
        if let Some(journal) = &server.journal {
            match &sent {
                Ok(_) => journal
                    .settle(key)
                    .await
                    .map_err(|error| journal_failed(error, Sent::Yes))?,
                Err(SmtpError::Lost(_)) => {}
                Err(_) => journal
                    .withdraw(key)
                    .await
                    .map_err(|error| journal_failed(error, Sent::Maybe))?,
            }
        }
        match sent {
            Ok(words) => {
                tracing::debug!(answer = %words, "mail taken");
                Ok(())
            }
            Err(error) => Err(self.not_sent(&error)),
        }
    }

    fn not_sent(&self, error: &SmtpError) -> Failure {
        let message = self.says(error);
        match error {
            SmtpError::Before(reply) | SmtpError::Refused(reply) if reply.is_permanent() => {
                Failure::fatal("MAIL_REFUSED", message).sent(Sent::No)
            }
            SmtpError::Before(_) | SmtpError::Refused(_) | SmtpError::BeforeTimeout => {
                Failure::transient("MAIL_NOT_TAKEN", message).sent(Sent::No)
            }
            SmtpError::NotOffered(_) => Failure::fatal("MAIL_NOT_OFFERED", message).sent(Sent::No),
            SmtpError::Lost(_) => Failure::unknown("MAIL_OUTCOME_UNKNOWN", message),
        }
    }
}
