//! Mail to a server, one conversation for each, so that it is known how far it got.

use std::net::Ipv4Addr;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::{Error, response::Response};
use tokio::time::Instant;

use super::config::SmtpTls;
use super::journal::SentJournal;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

/// A mail server.
pub(super) struct SmtpServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: SmtpTls,
    /// Trusted besides the system's.
    pub(super) authorities: Option<Certificate>,
    pub(super) credentials: Option<Credentials>,
    pub(super) journal: Option<SentJournal>,
}

/// A mail that was not taken, by how far it got.
#[derive(Debug, thiserror::Error)]
pub(super) enum SmtpError {
    /// Nothing was handed over.
    #[error("{0}")]
    Before(#[source] Error),
    /// Nothing was handed over.
    #[error("the server did not answer in time")]
    BeforeTimeout,
    /// The server does not offer what was asked for.
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    /// The server has seen the mail and said no.
    #[error("{0}")]
    Refused(#[source] Error),
    /// The mail was handed over and the answer was lost.
    #[error("the mail was handed over and the answer was lost: {0}")]
    Lost(String),
}

impl SmtpServer {
    /// Hands `mail` over; when it returns the server is responsible for it.
    pub(super) async fn send(
        &self,
        mail: &Message,
        deadline: Instant,
    ) -> Result<String, SmtpError> {
        let mut connection = tokio::time::timeout_at(deadline, self.open(mail))
            .await
            .map_err(|_| SmtpError::BeforeTimeout)??;
        // From here on the server may hold the mail, whatever we hear.
        let bytes = mail.formatted();
        let handed_over = connection.message(&bytes);
        let answer = match tokio::time::timeout_at(deadline, handed_over).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_permanent() || error.is_transient() => {
                return Err(SmtpError::Refused(error));
            }
            Ok(Err(error)) => return Err(SmtpError::Lost(error.to_string())),
            Err(_) => return Err(SmtpError::Lost("no answer in time".to_owned())),
        };
        // The mail is taken; how the conversation ends does not matter.
        let _ = tokio::time::timeout(Duration::from_secs(1), connection.quit()).await;
        Ok(words(&answer))
    }

    /// Everything up to the server's "go ahead" for the mail itself.
    async fn open(&self, mail: &Message) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::Ipv4(Ipv4Addr::LOCALHOST);
        let implicit = match self.tls {
            SmtpTls::Implicit => Some(self.tls_parameters()?),
            SmtpTls::Starttls | SmtpTls::None => None,
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (self.host.as_str(), self.port),
            Some(CONNECT_TIMEOUT),
            &hello,
            implicit,
            None,
        )
        .await
        .map_err(SmtpError::Before)?;
        if self.tls == SmtpTls::Starttls {
            if !connection.can_starttls() {
                return Err(SmtpError::NotOffered("STARTTLS"));
            }
            connection
                .starttls(self.tls_parameters()?, &hello)
                .await
                .map_err(SmtpError::Before)?;
        }
        if let Some(credentials) = &self.credentials {
            connection
                .auth(MECHANISMS, credentials)
                .await
                .map_err(SmtpError::Before)?;
        }
        let envelope = mail.envelope();
        let mut options = Vec::new();
        let mut addresses = envelope.to().iter().chain(envelope.from());
        if addresses.any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection
                .server_info()
                .supports_feature(Extension::SmtpUtfEight)
            {
                return Err(SmtpError::NotOffered(
                    "SMTPUTF8, which this recipient's address needs",
                ));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        connection
            .command(Mail::new(envelope.from().cloned(), options))
            .await
            .map_err(SmtpError::Before)?;
        for recipient in envelope.to() {
            // One refused recipient refuses the mail: half of a mail is nobody's intent.
            connection
                .command(Rcpt::new(recipient.clone(), Vec::new()))
                .await
                .map_err(SmtpError::Before)?;
        }
        connection.command(Data).await.map_err(SmtpError::Before)?;
        Ok(connection)
    }

    fn tls_parameters(&self) -> Result<TlsParameters, SmtpError> {
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(authorities) = &self.authorities {
            parameters = parameters.add_root_certificate(authorities.clone());
        }
        parameters.build().map_err(SmtpError::Before)
    }
}

fn words(response: &Response) -> String {
    response.message().collect::<Vec<_>>().join(" ")
}
