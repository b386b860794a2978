//! The program itself, as a process.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

const CONFIG: &str = r#"
capabilities:
  - { name: note.list, effect: read, files: { list: { folder: notes } } }
folders: { notes: { path: ., create: false } }
"#;
const PATIENCE: Duration = Duration::from_secs(30);

fn start(
    directory: &std::path::Path,
    arguments: &[&str],
) -> (Child, Lines<BufReader<ChildStderr>>) {
    std::fs::write(directory.join("connector.yaml"), CONFIG).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_fulcrum-connector"))
        .current_dir(directory)
        .args(arguments)
        .env_clear()
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let stderr = child.stderr.take().expect("piped");
    (child, BufReader::new(stderr).lines())
}

#[tokio::test]
async fn a_first_start_before_the_controllers_waits_and_ends_when_asked_to() {
    let directory = tempfile::tempdir().expect("tempdir");
    let token = format!("v1.{}.tok1.s3cret", "ab".repeat(32));
    let nobody = "https://127.0.0.1:1,https://127.0.0.1:2";
    let arguments = ["run", "--enrolment", nobody, "--token", &token];
    let (mut child, mut log) = start(directory.path(), &arguments);
    let waiting = async {
        let mut tries = 0;
        while tries < 2 {
            let line = log.next_line().await.expect("read").expect("it still runs");
            assert!(!line.contains("s3cret"), "{line}");
            tries += usize::from(line.contains("not joined yet; will try again"));
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.expect("it says within 30 s that it waits");

    let pid = i32::try_from(child.id().expect("it runs")).expect("a pid");
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::TERM).expect("asked to end");
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert!(
        ended
            .expect("it ends within 30 s")
            .expect("waited")
            .success()
    );
}

#[tokio::test]
async fn a_start_without_identity_or_token_says_how_to_get_one() {
    let directory = tempfile::tempdir().expect("tempdir");
    let (mut child, mut log) = start(directory.path(), &["run"]);
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert!(
        !ended
            .expect("it ends within 30 s")
            .expect("waited")
            .success()
    );
    let mut said = String::new();
    while let Some(line) = log.next_line().await.expect("read") {
        said = line;
    }
    assert!(said.contains("fulcrum worker add"), "{said}");
}
