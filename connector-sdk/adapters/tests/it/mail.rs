use fulcrum_sdk::{FailureClass, Sent};
use serde_json::{Value, json};

use crate::connector::Connector;
use crate::smtp_server::{Manner, SmtpServer, Tls};

const CAPABILITY: &str = r#"
capabilities:
  - name: mail.send
    effect: outward
    mail:
      mailer: house
      to: "{{ input.to }}"
      subject: "{{ input.subject }}"
      text: "{{ input.text }}"
      html: "<p>{{ input.text }}</p>"
"#;

fn file() -> Connector {
    let mailer = r#"mailers: { house: { from: "Acme <hello@acme.example>", transport: { file: { directory: outbox } } } }"#;
    Connector::new(&format!("{mailer}\n{CAPABILITY}"))
}

fn smtp(server: &SmtpServer, more: &str) -> Connector {
    let (host, port) = (server.address.ip(), server.address.port());
    let mailer = format!(
        r#"mailers: {{ house: {{ from: "hello@acme.example", transport: {{ smtp: {{ host: "{host}", port: {port}, tls: none {more} }} }} }} }}"#
    );
    Connector::new(&format!("{mailer}\n{CAPABILITY}"))
}

/// A mailer that logs in with a password over TLS, and trusts what `authority` says.
fn protected(server: &SmtpServer, tls: &str, authority: &str, password: &str) -> Connector {
    let directory = tempfile::tempdir().expect("tempdir");
    std::fs::write(directory.path().join("ca.pem"), authority).expect("written");
    let (host, port) = (server.address.ip(), server.address.port());
    let mailer = format!(
        r#"mailers: {{ house: {{ from: "hello@acme.example", transport: {{ smtp: {{ host: "{host}", port: {port}, tls: {tls}, ca_file: ca.pem, username: hello, password: "secret://smtp_password" }} }} }} }}"#
    );
    let yaml = format!("{mailer}\n{CAPABILITY}");
    Connector::in_directory(directory, &yaml, &[("smtp_password", password)])
}

fn welcome() -> Value {
    json!({ "to": ["Ada <ada@example.com>", "bob@example.com"], "subject": "Willkommen, Zoë", "text": "Hi <you> & you" })
}

#[tokio::test]
async fn the_outbox_holds_one_file_for_each_effect() {
    let connector = file();
    let first = connector.call("mail.send", welcome()).await.expect("sent");
    let before = std::fs::read_to_string(connector.path("outbox/key-1.eml")).expect("mail");
    let again = connector.call("mail.send", welcome()).await.expect("sent");
    assert_eq!(
        first,
        json!({ "message_id": "<key-1@acme.example>", "file": "key-1.eml" })
    );
    assert_eq!(first, again);
    assert_eq!(
        std::fs::read_to_string(connector.path("outbox/key-1.eml")).expect("mail"),
        before
    );
    connector
        .call_as("another/key", "mail.send", welcome())
        .await
        .expect("sent");
    assert_eq!(
        std::fs::read_dir(connector.path("outbox"))
            .expect("list")
            .count(),
        2
    );

    assert!(
        before.contains("From: Acme <hello@acme.example>")
            || before.contains("From: \"Acme\" <hello@acme.example>"),
        "{before}"
    );
    assert!(
        before.contains("Message-ID: <key-1@acme.example>"),
        "{before}"
    );
    assert!(
        before.contains("<p>Hi &lt;you&gt; &amp; you</p>"),
        "{before}"
    );
}

#[tokio::test]
async fn a_mail_without_a_usable_recipient_or_subject_is_refused() {
    let connector = file();
    for (to, subject) in [
        (json!([]), "s"),
        (json!("not an address"), "s"),
        (json!("a@b.example\r\nBcc: x@y.example"), "s"),
        (json!("a@b.example"), "s\r\nBcc: x@y.example"),
    ] {
        let input = json!({ "to": to, "subject": subject, "text": "t" });
        let failure = connector.refused("mail.send", input).await;
        assert_eq!(
            (failure.code.as_str(), failure.sent),
            ("MAIL_INVALID", Sent::No),
            "{failure}"
        );
    }
    assert_eq!(
        std::fs::read_dir(connector.path("outbox"))
            .expect("list")
            .count(),
        0
    );
}

#[tokio::test]
async fn a_mail_is_handed_to_a_server() {
    let server = SmtpServer::start().await;
    let connector = smtp(&server, "");
    connector.call("mail.send", welcome()).await.expect("sent");
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].from, "hello@acme.example");
    assert_eq!(mails[0].to, ["ada@example.com", "bob@example.com"]);
    assert!(
        mails[0]
            .content
            .contains("Message-ID: <key-1@acme.example>")
    );
}

#[tokio::test]
async fn a_server_that_says_no_is_believed() {
    let server = SmtpServer::start().await;
    let connector = smtp(&server, ", sent_directory: sent");
    for (manner, class, code) in [
        (
            Manner::RefuseRecipient("550 nobody here"),
            FailureClass::Fatal,
            "MAIL_REFUSED",
        ),
        (
            Manner::RefuseRecipient("451 later"),
            FailureClass::Transient,
            "MAIL_NOT_TAKEN",
        ),
        (
            Manner::RefuseMail("554 spam"),
            FailureClass::Fatal,
            "MAIL_REFUSED",
        ),
        (
            Manner::RefuseMail("452 full"),
            FailureClass::Transient,
            "MAIL_NOT_TAKEN",
        ),
    ] {
        server.behave(manner);
        let failure = connector.refused("mail.send", welcome()).await;
        assert_eq!(
            (failure.class, failure.code.as_str(), failure.sent),
            (class, code, Sent::No),
            "{failure}"
        );
    }
    server.behave(Manner::Take);
    connector
        .call("mail.send", welcome())
        .await
        .expect("sent after all");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_repeated_call_sends_nothing_when_the_mailer_keeps_notes() {
    let server = SmtpServer::start().await;
    let connector = smtp(&server, ", sent_directory: sent");
    let first = connector.call("mail.send", welcome()).await.expect("sent");
    let again = connector
        .call("mail.send", welcome())
        .await
        .expect("known to be sent");
    assert_eq!(first, again);
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_stays_so() {
    let server = SmtpServer::start().await;
    let connector = smtp(&server, ", sent_directory: sent");
    server.behave(Manner::HangUpAfterMail);
    for _ in 0..2 {
        let failure = connector.refused("mail.send", welcome()).await;
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::Unknown, "MAIL_OUTCOME_UNKNOWN")
        );
        server.behave(Manner::Take);
    }
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_took_nothing() {
    let mut gone = SmtpServer::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    gone.address = listener.local_addr().expect("address");
    drop(listener);
    let failure = smtp(&gone, "").refused("mail.send", welcome()).await;
    assert_eq!(
        (failure.class, failure.sent),
        (FailureClass::Transient, Sent::No),
        "{failure}"
    );
}

#[tokio::test]
async fn a_mail_and_its_password_go_over_tls_only() {
    for (manner, tls) in [
        (Tls::WhenAsked, "starttls"),
        (Tls::FromTheStart, "implicit"),
    ] {
        let server = SmtpServer::with_tls(manner).await;
        let connector = protected(&server, tls, &server.authority, "hunter2hunter2");
        connector.call("mail.send", welcome()).await.expect("sent");
        let mails = server.mails();
        assert_eq!(mails.len(), 1, "{tls}");
        assert_eq!(mails[0].to, ["ada@example.com", "bob@example.com"]);
        let heard = server.heard();
        let in_clear = heard.iter().filter(|line| !line.starts_with("tls:"));
        let in_clear: Vec<_> = in_clear.map(|line| &line[..4]).collect();
        match manner {
            Tls::WhenAsked => assert_eq!(in_clear, ["EHLO", "STAR"], "{heard:?}"),
            Tls::FromTheStart | Tls::Never => assert!(in_clear.is_empty(), "{heard:?}"),
        }
        assert!(heard.iter().any(|line| line.starts_with("tls:AUTH PLAIN ")));
    }
}

#[tokio::test]
async fn a_wrong_password_is_fatal_and_not_quoted() {
    let server = SmtpServer::with_tls(Tls::FromTheStart).await;
    let connector = protected(&server, "implicit", &server.authority, "wrong-password");
    let failure = connector.refused("mail.send", welcome()).await;
    assert_eq!(
        (failure.class, failure.code.as_str(), failure.sent),
        (FailureClass::Fatal, "MAIL_REFUSED", Sent::No),
        "{failure}"
    );
    assert!(!failure.message.contains("wrong-password"), "{failure}");
}

#[tokio::test]
async fn a_server_of_another_authority_learns_neither_mail_nor_password() {
    let another = SmtpServer::start().await.authority;
    for (manner, tls) in [
        (Tls::WhenAsked, "starttls"),
        (Tls::FromTheStart, "implicit"),
    ] {
        let server = SmtpServer::with_tls(manner).await;
        let connector = protected(&server, tls, &another, "hunter2hunter2");
        let failure = connector.refused("mail.send", welcome()).await;
        assert_eq!(failure.sent, Sent::No, "{failure}");
        assert!(server.mails().is_empty());
        assert!(!server.heard().iter().any(|line| line.contains("AUTH")));
    }
}

#[tokio::test]
async fn a_server_without_starttls_is_refused_when_starttls_is_asked_for() {
    let server = SmtpServer::start().await;
    let (host, port) = (server.address.ip(), server.address.port());
    let mailer = format!(
        r#"mailers: {{ house: {{ from: "hello@acme.example", transport: {{ smtp: {{ host: "{host}", port: {port} }} }} }} }}"#
    );
    let connector = Connector::new(&format!("{mailer}\n{CAPABILITY}"));
    let failure = connector.refused("mail.send", welcome()).await;
    assert_eq!(failure.code, "MAIL_NOT_OFFERED");
    assert!(server.mails().is_empty());
}
