//! The service as a process that is killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

struct Billing {
    child: Child,
    url: String,
}

impl Billing {
    fn start(ledger: &Path, moods: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_onboarding-billing"))
            .args(["--listen", "127.0.0.1:0", "--ledger"])
            .arg(ledger)
            .args(moods)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut url)
            .expect("an address");
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }

    async fn bill(&self, key: &str, customer: &str) -> Response {
        Client::new()
            .post(format!("{}/invoices", self.url))
            .header("idempotency-key", key)
            .json(&json!({ "customer": customer, "contact": 1, "plan": "enterprise" }))
            .send()
            .await
            .expect("an answer")
    }

    async fn invoices(&self) -> Value {
        let url = format!("{}/invoices", self.url);
        let answer = Client::new().get(url).send().await.expect("an answer");
        answer.json().await.expect("json")
    }
}

impl Drop for Billing {
    fn drop(&mut self) {
        // On Unix this is SIGKILL: no time to write anything.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const GOOD: [&str; 6] = [
    "--busy-every",
    "0",
    "--down-every",
    "0",
    "--lost-every",
    "0",
];

#[tokio::test]
async fn an_acknowledged_invoice_survives_a_kill_and_is_not_made_twice() {
    let directory = tempfile::tempdir().expect("tempdir");
    let ledger = directory.path().join("invoices.jsonl");
    let first: Value = {
        let billing = Billing::start(&ledger, &GOOD);
        let answer = billing.bill("k1", "ada").await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json().await.expect("json")
    };
    let billing = Billing::start(&ledger, &GOOD);
    let again: Value = billing.bill("k1", "ada").await.json().await.expect("json");
    assert_eq!(first, again);
    assert_eq!(first["amount_cents"], 49_900);
    let invoices = billing.invoices().await;
    assert_eq!(
        (&invoices["count"], &invoices["customers"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn moods_come_as_told_and_a_lost_reply_leaves_an_invoice() {
    let directory = tempfile::tempdir().expect("tempdir");
    let moods = [
        "--busy-every",
        "2",
        "--down-every",
        "3",
        "--lost-every",
        "5",
        "--retry-after",
        "4",
    ];
    let billing = Billing::start(&directory.path().join("invoices.jsonl"), &moods);
    let mut seen = Vec::new();
    for number in 1..=5 {
        let answer = billing.bill(&format!("k{number}"), "ada").await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.headers()["retry-after"], "4");
        }
        seen.push(answer.status().as_u16());
    }
    assert_eq!(seen, [201, 429, 503, 429, 503]);
    let invoices = billing.invoices().await;
    assert_eq!(invoices["count"], 2, "the first and the lost one");
    assert_eq!(invoices["customers"], 1, "two keys for one customer show");
}
