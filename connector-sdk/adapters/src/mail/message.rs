//! The mail, made of templates.

use std::str::FromStr;

use fulcrum_sdk::Context;
use lettre::Message;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::config::MailConfig;
use crate::config::Problems;
use crate::template::{Escape, Scope, ScopeNames, TemplateError, TextTemplate, TreeTemplate};

/// Most recipients of one mail, visible ones and copies together.
pub(super) const RECIPIENTS_MAX: usize = 50;
const KEY_BYTES_MAX: usize = 64;

/// The templates of a mail.
pub(super) struct MailTemplate {
    to: TreeTemplate,
    cc: Option<TreeTemplate>,
    reply_to: Option<TextTemplate>,
    subject: TextTemplate,
    text: TextTemplate,
    html: Option<TextTemplate>,
}

/// A mail that this input cannot make.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("`{0}` is not the address of a recipient")]
    BadAddress(String),
    #[error("a mail has 1 to {RECIPIENTS_MAX} recipients, this one {0}")]
    Recipients(usize),
    #[error("the subject has a line break in it")]
    BadSubject,
    #[error("cannot write the mail: {0}")]
    Unwritable(#[from] lettre::error::Error),
}

impl MailTemplate {
    /// Parses the templates; what is wrong is noted.
    pub(super) fn parse(config: &MailConfig, problems: &mut Problems) -> Option<Self> {
        let names = ScopeNames::CALL;
        let to = problems.keep(&config.to, TreeTemplate::parse(&config.to.value, names));
        let cc = match &config.cc {
            None => None,
            Some(cc) => Some(problems.keep(cc, TreeTemplate::parse(&cc.value, names))?),
        };
        let mut text = |source: &serde_saphyr::Spanned<String>, escape| {
            problems.keep(source, TextTemplate::parse(&source.value, names, escape))
        };
        let reply_to = match &config.reply_to {
            None => None,
            Some(source) => Some(text(source, Escape::None)?),
        };
        let html = match &config.html {
            None => None,
            Some(source) => Some(text(source, Escape::Html)?),
        };
        let subject = text(&config.subject, Escape::None);
        let body = text(&config.text, Escape::None);
        Some(Self {
            to: to?,
            cc,
            reply_to,
            subject: subject?,
            text: body?,
            html,
        })
    }

    /// The mail of this call.
    pub(super) fn compose(
        &self,
        context: &Context,
        scope: &Scope,
        from: &Mailbox,
    ) -> Result<Message, MessageError> {
        let to = mailboxes(self.to.render(scope)?)?;
        let cc = match &self.cc {
            None => Vec::new(),
            Some(cc) => mailboxes(cc.render(scope)?)?,
        };
        let recipients = to.len() + cc.len();
        if to.is_empty() || recipients > RECIPIENTS_MAX {
            return Err(MessageError::Recipients(recipients));
        }
        let subject = self.subject.render(scope)?;
        if subject.contains(['\r', '\n']) {
            return Err(MessageError::BadSubject);
        }
        let mut builder = Message::builder()
            .from(from.clone())
            .message_id(Some(format!(
                "<{}@{}>",
                key_name(context),
                from.email.domain()
            )))
            .date_now()
            .subject(subject);
        for mailbox in to {
            builder = builder.to(mailbox);
        }
        for mailbox in cc {
            builder = builder.cc(mailbox);
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(mailbox(&reply_to.render(scope)?)?);
        }
        let text = self.text.render(scope)?;
        Ok(match &self.html {
            None => builder.singlepart(SinglePart::plain(text))?,
            Some(html) => {
                let html = html.render(scope)?;
                builder.multipart(MultiPart::alternative_plain_html(text, html))?
            }
        })
    }
}

/// The effect key as a name for files and Message-IDs: itself where it can be, else its digest.
pub(super) fn key_name(context: &Context) -> String {
    let key = context.effect_key();
    let plain = key
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-'));
    match plain && !key.is_empty() && key.len() <= KEY_BYTES_MAX {
        true => key.to_owned(),
        false => hex::encode(Sha256::digest(key)),
    }
}

fn mailboxes(value: Value) -> Result<Vec<Mailbox>, MessageError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![mailbox(&text)?]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => mailbox(&text),
                other => Err(MessageError::BadAddress(other.to_string())),
            })
            .collect(),
        other => Err(MessageError::BadAddress(other.to_string())),
    }
}

fn mailbox(text: &str) -> Result<Mailbox, MessageError> {
    Mailbox::from_str(text).map_err(|_| MessageError::BadAddress(text.to_owned()))
}
