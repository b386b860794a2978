//! The configuration of the `mail` adapter.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

/// A way to send mail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailerConfig {
    /// The sender, as in `Acme <hello@acme.example>`.
    pub from: Spanned<String>,
    /// Where mail goes.
    pub transport: TransportConfig,
}

/// Where mail goes: exactly one of the two.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TransportConfig {
    /// Into a directory, one `.eml` file for each effect.
    File(FileMailerConfig),
    /// To a mail server.
    Smtp(Box<SmtpConfig>),
}

/// A directory of mails.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMailerConfig {
    /// The directory; made when it is not there.
    pub directory: PathBuf,
}

/// A mail server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Its name or address.
    pub host: Spanned<String>,
    /// Its port; 465 with `tls: implicit`, else 587.
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: SmtpTls,
    /// A PEM file of certificate authorities to trust besides the system's.
    pub ca_file: Option<Spanned<PathBuf>>,
    /// The user name, if the server wants one.
    pub username: Option<String>,
    /// Its password, a secret reference.
    pub password: Option<Spanned<String>>,
    /// Where the mailer notes what it handed over, so that a repeated call sends nothing. Without it a call whose
    /// reply was lost is *unknown*.
    pub sent_directory: Option<PathBuf>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// Upgraded by STARTTLS; a server that does not offer it is refused.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// Not at all; only for a relay on this machine.
    None,
}

/// One mail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The name of the mailer.
    pub mailer: Spanned<String>,
    /// Recipients: a template or a list of templates; a template that is one whole expression may give a list.
    pub to: Spanned<Value>,
    /// Further visible recipients.
    pub cc: Option<Spanned<Value>>,
    /// Where answers go.
    pub reply_to: Option<Spanned<String>>,
    /// The subject, a template.
    pub subject: Spanned<String>,
    /// The text, a template.
    pub text: Spanned<String>,
    /// The same as HTML, a template; values in it are escaped.
    pub html: Option<Spanned<String>>,
}
