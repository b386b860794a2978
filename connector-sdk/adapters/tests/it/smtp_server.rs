//! The server's side of an SMTP conversation, with answers chosen by the test.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the server does with the next mail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Take,
    RefuseRecipient(&'static str),
    RefuseMail(&'static str),
    HangUpAfterMail,
}

/// When the server speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    Never,
    WhenAsked,
    FromTheStart,
}

#[derive(Clone)]
pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    /// Its authority's certificate.
    pub(crate) authority: String,
    tls: Tls,
    acceptor: TlsAcceptor,
    manner: Arc<Mutex<Manner>>,
    mails: Arc<Mutex<Vec<Mail>>>,
    heard: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) content: String,
}

/// Why a conversation paused.
#[derive(PartialEq, Eq)]
enum Pause {
    End,
    StartTls,
}

impl SmtpServer {
    pub(crate) async fn start() -> Self {
        Self::with_tls(Tls::Never).await
    }

    pub(crate) async fn with_tls(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let (authority, config) = certified();
        let server = Self {
            address: listener.local_addr().expect("address"),
            authority,
            tls,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            manner: Arc::new(Mutex::new(Manner::Take)),
            mails: Arc::default(),
            heard: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        server
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("not poisoned") = manner;
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("not poisoned").clone()
    }

    /// Every command so far, those sent over TLS behind a `tls:`.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        match self.tls {
            Tls::FromTheStart => {
                let mut stream = self.acceptor.accept(stream).await?;
                stream.write_all(b"220 test ready\r\n").await?;
                self.converse(&mut stream, "tls:").await?;
            }
            Tls::Never | Tls::WhenAsked => {
                stream.write_all(b"220 test ready\r\n").await?;
                if self.converse(&mut stream, "").await? == Pause::StartTls {
                    let mut stream = self.acceptor.accept(stream).await?;
                    self.converse(&mut stream, "tls:").await?;
                }
            }
        }
        Ok(())
    }

    async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        prefix: &str,
    ) -> io::Result<Pause> {
        let mut stream = BufStream::new(stream);
        let mut mail = Mail::default();
        let mut in_mail = false;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(Pause::End);
            }
            let line = line.trim_end_matches(['\r', '\n']);
            let manner = *self.manner.lock().expect("not poisoned");
            let answer = if in_mail {
                if line != "." {
                    mail.content
                        .push_str(line.strip_prefix('.').unwrap_or(line));
                    mail.content.push('\n');
                    continue;
                }
                in_mail = false;
                match manner {
                    Manner::RefuseMail(answer) => answer,
                    Manner::Take | Manner::HangUpAfterMail | Manner::RefuseRecipient(_) => {
                        let taken = std::mem::take(&mut mail);
                        self.mails.lock().expect("not poisoned").push(taken);
                        if manner == Manner::HangUpAfterMail {
                            return Ok(Pause::End);
                        }
                        "250 taken"
                    }
                }
            } else {
                let heard = format!("{prefix}{line}");
                self.heard.lock().expect("not poisoned").push(heard);
                match line.split([' ', ':']).next().unwrap_or_default() {
                    "EHLO" if self.tls == Tls::WhenAsked && prefix.is_empty() => {
                        "250-test\r\n250-STARTTLS\r\n250 8BITMIME"
                    }
                    "EHLO" => "250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME",
                    "STARTTLS" => {
                        stream.write_all(b"220 go ahead\r\n").await?;
                        stream.flush().await?;
                        return Ok(Pause::StartTls);
                    }
                    // \0hello\0hunter2hunter2
                    "AUTH" if line.ends_with(" AGhlbGxvAGh1bnRlcjJodW50ZXIy") => "235 welcome",
                    "AUTH" => "535 who are you",
                    "MAIL" => {
                        mail.from = address(line);
                        "250 ok"
                    }
                    "RCPT" => match manner {
                        Manner::RefuseRecipient(answer) => answer,
                        Manner::Take | Manner::RefuseMail(_) | Manner::HangUpAfterMail => {
                            mail.to.push(address(line));
                            "250 ok"
                        }
                    },
                    "DATA" => {
                        in_mail = true;
                        "354 go ahead"
                    }
                    "QUIT" => {
                        stream.write_all(b"221 bye\r\n").await?;
                        stream.flush().await?;
                        return Ok(Pause::End);
                    }
                    _ => "502 what",
                }
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
            stream.flush().await?;
        }
    }
}

/// A new authority, and a server on 127.0.0.1 that it vouches for.
fn certified() -> (String, ServerConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key"));
    let authority = authority.expect("authority");
    let key = KeyPair::generate().expect("key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("params");
    let leaf = params.signed_by(&key, &authority).expect("certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("key"),
        )
        .expect("a key and its certificate");
    (authority.pem(), config)
}

fn address(line: &str) -> String {
    let from = line.find('<').map_or(0, |at| at + 1);
    let until = line.find('>').unwrap_or(line.len());
    line[from..until].to_owned()
}
