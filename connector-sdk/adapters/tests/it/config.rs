use crate::connector::problems;

fn lines(yaml: &str) -> Vec<(u64, String)> {
    problems(yaml)
        .into_iter()
        .map(|problem| (problem.place.line, problem.message))
        .collect()
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_place() {
    let found = lines("capabilities:\n  - name: a.b\n    efect: read\n");
    let [(line, message)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*line, 3, "{message}");
    assert!(message.contains("efect"), "{message}");
}

#[tokio::test]
async fn text_that_is_not_yaml_is_refused_with_its_place() {
    let found = lines("capabilities:\n  - name: [\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 >= 2, "{found:?}");
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_in_order() {
    let found = lines(
        r#"
endpoints:
  inner: { base_url: "http://127.0.0.1:1" }
  keyed:
    base_url: "https://api.example.com"
    auth:
      bearer: "sk_live_not_a_reference"
capabilities:
  - name: Bad Name
    effect: read
    http: { endpoint: keyed, method: GET, path: / }
  - name: a.unknown_endpoint
    effect: read
    http: { endpoint: nowhere, method: GET, path: / }
  - name: a.bad_template
    effect: read
    http: { endpoint: keyed, method: GET, path: "/{{ inptu.id }}" }
  - name: a.two_adapters
    effect: outward
    http: { endpoint: keyed, method: GET, path: / }
    script: { argv: [/bin/true] }
  - name: a.bad_schema
    effect: read
    input: { type: nonsense }
    script: { argv: [/bin/true] }
"#,
    );
    let expected = [
        (3, "loopback"),
        (7, "never the secret itself"),
        (9, "not the name of a capability"),
        (14, "no endpoint is named `nowhere`"),
        (17, "`inptu`"),
        (18, "names 2 adapters"),
        (24, "not a usable JSON Schema"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((line, message), (expected_line, words)) in found.iter().zip(expected) {
        assert_eq!(*line, expected_line, "{message}");
        assert!(message.contains(words), "{message} should say {words}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_and_a_literal_one_is_not_repeated() {
    let found = lines(
        r#"
endpoints:
  a: { base_url: "https://a.example", auth: { bearer: "secret://a_token" } }
  b: { base_url: "https://b.example", auth: { bearer: "sk_live_1234567" } }
capabilities: []
"#,
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].1.contains("FULCRUM_SECRET_A_TOKEN"), "{found:?}");
    assert!(!found[1].1.contains("sk_live"), "{found:?}");
}

#[tokio::test]
async fn an_effect_class_that_belies_the_adapter_is_refused() {
    let found = lines(
        r#"
databases: { crm: { sqlite: { path: crm.db } } }
mailers: { out: { from: a@b.example, transport: { file: { directory: out } } } }
folders: { f: { path: "." } }
endpoints: { e: { base_url: "https://e.example" } }
capabilities:
  - { name: a.write, effect: read, sql: { database: crm, write: "DELETE FROM a" } }
  - { name: a.read, effect: outward, sql: { database: crm, read: "SELECT 1" } }
  - { name: a.mail, effect: reversible, mail: { mailer: out, to: x@y.example, subject: s, text: t } }
  - { name: a.file, effect: read, files: { write: { folder: f, path: x, content: y } } }
  - { name: a.delete, effect: read, http: { endpoint: e, method: DELETE, path: / } }
"#,
    );
    let places: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(places, [7, 8, 9, 10, 11], "{found:#?}");
}

#[tokio::test]
async fn the_program_checks_a_configuration_and_prints_what_it_offers() {
    let directory = tempfile::tempdir().expect("tempdir");
    let good = directory.path().join("good.yaml");
    std::fs::write(
        &good,
        "capabilities: [{ name: a.b, effect: read, script: { argv: [/bin/true] } }]",
    )
    .expect("write");
    let bad = directory.path().join("bad.yaml");
    std::fs::write(&bad, "capabilities: [{ name: a.b, effect: sideways }]").expect("write");

    let check = |config: std::path::PathBuf| async move {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_fulcrum-connector"))
            .arg("check")
            .arg("--config")
            .arg(config)
            .output()
            .await
            .expect("started")
    };
    let good = check(good).await;
    assert!(good.status.success(), "{good:?}");
    assert!(
        String::from_utf8_lossy(&good.stdout).starts_with("a.b "),
        "{good:?}"
    );
    let bad = check(bad).await;
    assert!(!bad.status.success());
    assert!(
        String::from_utf8_lossy(&bad.stderr).contains("bad.yaml:1:"),
        "{bad:?}"
    );
}
