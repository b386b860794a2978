//! `mail`: mail by SMTP, or into a directory for machines that have no mail server.
//!
//! The Message-ID is made of the effect key, so every copy of one mail is recognisable as the same. The file outbox
//! writes one file for each effect key and never a second. SMTP has no idempotency; with `sent_directory` the mailer
//! notes on disk that it is about to hand a mail over and that it was taken, which makes a repeated call a no-op and
//! the gap between the two an *unknown* outcome instead of a second mail.

mod config;
mod journal;
mod mailer;
mod message;
mod operation;
mod outbox;
mod smtp;

pub use config::{
    FileMailerConfig, MailConfig, MailerConfig, SmtpConfig, SmtpTls, TransportConfig,
};
pub use mailer::Mailer;
pub(crate) use operation::build;
