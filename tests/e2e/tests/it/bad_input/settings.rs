//! Configurations with mistakes: the program does not start, and says which key.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use fulcrum_e2e::program::Program;

fn run(binary: &str, args: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let dir = tempfile::tempdir()?;
    let program = Program::new("bad", dir.path(), binary)?.args(args.iter().copied());
    let mut command: Command = program.command();
    let Output { status, stderr, .. } = command.output()?;
    Ok((status.code(), String::from_utf8(stderr)?))
}

#[test]
fn a_controller_names_every_key_it_does_not_know() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("controller.toml");
    std::fs::write(&file, "[lease]\nttl_mss = 5\n")?;
    let file = file.to_str().expect("a path");

    let (code, said) = run("fulcrum-controller", &["--config", file, "run"])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("`lease.ttl_mss`") && said.contains("controller.toml"),
        "{said}"
    );
    assert!(said.contains("ttl_ms"), "it says what is known: {said}");

    let (code, said) = run("fulcrum-controller", &["--set", "leese.ttl_ms=5", "run"])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`leese`"), "{said}");

    let (code, said) = run("fulcrum-controller", &["--set", "lease.ttl_ms=soon", "run"])?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`lease.ttl_ms`"), "{said}");

    let shorter = [
        "--set",
        "lease.ttl_ms=1000",
        "--set",
        "lease.heartbeat_ms=1000",
        "run",
    ];
    let (code, said) = run("fulcrum-controller", &shorter)?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("lease."), "{said}");
    Ok(())
}

#[test]
fn a_controller_without_a_usable_key_says_what_to_do() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("kek");
    let path = file.to_str().expect("a path");
    let with = |source: &str| {
        let sources = format!("keys.sources={source}");
        let nowhere = "database.url=postgres://nobody@127.0.0.1:1/none";
        run("fulcrum-controller", &["--set", nowhere, "--set", &sources])
    };
    let (code, said) = with("[]")?;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("fulcrum-controller keys generate FILE"),
        "{said}"
    );

    let (code, said) = run("fulcrum-controller", &["keys", "generate", path])?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Keep a copy"), "{said}");
    let key = std::fs::read_to_string(&file)?;
    let (code, said) = run("fulcrum-controller", &["keys", "generate", path])?;
    assert_eq!(code, Some(1), "it is there: {said}");
    assert_eq!(std::fs::read_to_string(&file)?, key);
    assert!(!said.contains(key.trim()), "a key is not printed");

    let source = format!("[{{ file = {path:?} }}]");
    let (code, said) = with(&source)?;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("database") && !said.contains("key-encryption"),
        "with a key it gets as far as the database: {said}"
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640))?;
    let (code, said) = with(&source)?;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("0640") && said.contains("chmod 600"),
        "{said}"
    );
    Ok(())
}

#[test]
fn workers_name_line_and_column_of_what_they_do_not_know() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("worker.yaml");
    let path = file.to_str().expect("a path");
    let check = |binary: &str, text: &str| {
        std::fs::write(&file, text)?;
        run(binary, &["check", "--config", path])
    };
    let (code, said) = check("fulcrum-connector", "capabilities: []\ncolour: blue\n")?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("colour") && said.contains("2"), "{said}");
    let (code, said) = check(
        "fulcrum-executor",
        "models:\n  default: { endpoint: nowhere, model: m }\n",
    )?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nowhere") && said.contains("2"), "{said}");
    Ok(())
}
