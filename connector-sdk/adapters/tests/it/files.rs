use fulcrum_sdk::FailureClass;
use serde_json::json;

use crate::connector::Connector;

const YAML: &str = r#"
folders: { reports: { path: reports, create: true, file_bytes_max: 1000 } }
capabilities:
  - name: report.write
    effect: reversible
    idempotency: natural
    files: { write: { folder: reports, path: "{{ input.name }}", content: { title: "{{ input.title }}", n: "{{ input.n }}" } } }
  - name: report.add
    effect: reversible
    idempotency: natural
    files: { write: { folder: reports, path: "{{ input.name }}", content: "{{ input.text }}", existing: keep } }
  - name: report.read
    effect: read
    files: { read: { folder: reports, path: "{{ input.name }}", format: json } }
  - name: report.list
    effect: read
    files: { list: { folder: reports } }
"#;

#[tokio::test]
async fn what_is_written_can_be_listed_and_read() {
    let connector = Connector::new(YAML);
    let input = json!({ "name": "2026/november.json", "title": "Nov", "n": 3 });
    let written = connector
        .call("report.write", input.clone())
        .await
        .expect("written");
    assert_eq!(written["path"], "2026/november.json");
    let read = connector.call("report.read", input).await.expect("read");
    assert_eq!(read["json"], json!({ "title": "Nov", "n": 3 }));
    assert_eq!(read["sha256"], written["sha256"]);
    let list = connector
        .call("report.list", json!({}))
        .await
        .expect("listed");
    assert_eq!(
        list["entries"],
        json!([{ "name": "2026", "kind": "directory", "bytes": null }])
    );
}

#[tokio::test]
async fn a_kept_file_is_written_once_and_repeating_the_same_content_is_fine() {
    let connector = Connector::new(YAML);
    let one = json!({ "name": "a", "text": "one" });
    connector
        .call("report.add", one.clone())
        .await
        .expect("written");
    connector
        .call("report.add", one)
        .await
        .expect("the same again");
    let failure = connector
        .refused("report.add", json!({ "name": "a", "text": "two" }))
        .await;
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Fatal, "FILES_EXISTS")
    );
}

#[tokio::test]
async fn refusals_have_names() {
    let connector = Connector::new(YAML);
    let read = |name: &str| json!({ "name": name });
    assert_eq!(
        connector.refused("report.read", read("none")).await.code,
        "FILES_NOT_FOUND"
    );
    assert_eq!(
        connector
            .refused("report.read", read("../connector.yaml"))
            .await
            .code,
        "FILES_PATH_REFUSED"
    );
    let large = json!({ "name": "a", "text": "x".repeat(1001) });
    assert_eq!(
        connector.refused("report.add", large).await.code,
        "FILES_TOO_LARGE"
    );
}
