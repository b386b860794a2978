//! One call of a `mail` capability.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fulcrum_sdk::{Contract, EffectClass, Failure, FailureClass, Sent};
use lettre::Message;
use serde_json::{Value, json};
use serde_saphyr::Spanned;

use super::config::MailConfig;
use super::journal::Known;
use super::mailer::{Mailer, Transport};
use super::message::{MailTemplate, key_name};
use super::smtp::{SmtpError, SmtpServer};
use crate::assemble::Parts;
use crate::config::Problems;
use crate::operation::{Call, Operation};

/// Kept back from the call's time, so that there is some left to note what happened.
const SPARE: Duration = Duration::from_millis(500);

struct MailOperation {
    mailer: Arc<Mailer>,
    template: MailTemplate,
    title: String,
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
