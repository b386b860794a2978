//! The server's side of an SMTP conversation, with answers chosen by the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with the next mail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Take,
    RefuseRecipient(&'static str),
    RefuseMail(&'static str),
    HangUpAfterMail,
}

#[derive(Clone)]
pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    mails: Arc<Mutex<Vec<Mail>>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) content: String,
}

impl SmtpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let server = Self {
            address: listener.local_addr().expect("address"),
            manner: Arc::new(Mutex::new(Manner::Take)),
            mails: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.converse(stream).await });
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

    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut mail = Mail::default();
        let mut in_mail = false;
        write.write_all(b"220 test ready\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let manner = *self.manner.lock().expect("not poisoned");
            let answer = if in_mail {
                if line != "." {
                    mail.content
                        .push_str(line.strip_prefix('.').unwrap_or(&line));
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
                            return Ok(());
                        }
                        "250 taken"
                    }
                }
            } else {
                match line.split([' ', ':']).next().unwrap_or_default() {
                    "EHLO" => "250-test\r\n250 8BITMIME",
                    "MAIL" => {
                        mail.from = address(&line);
                        "250 ok"
                    }
                    "RCPT" => match manner {
                        Manner::RefuseRecipient(answer) => answer,
                        Manner::Take | Manner::RefuseMail(_) | Manner::HangUpAfterMail => {
                            mail.to.push(address(&line));
                            "250 ok"
                        }
                    },
                    "DATA" => {
                        in_mail = true;
                        "354 go ahead"
                    }
                    "QUIT" => {
                        write.write_all(b"221 bye\r\n").await?;
                        return Ok(());
                    }
                    _ => "502 what",
                }
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }
}

fn address(line: &str) -> String {
    let from = line.find('<').map_or(0, |at| at + 1);
    let until = line.find('>').unwrap_or(line.len());
    line[from..until].to_owned()
}
