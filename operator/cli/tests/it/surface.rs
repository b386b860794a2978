//! What a person or script meets first.

use std::fs;

use crate::program::Program;

#[test]
fn help_goes_to_stdout_and_lists_every_command() {
    let ended = Program::new().run(&["--help"]);
    assert_eq!(ended.code, 0);
    for command in ["apply", "run", "review", "worker", "context", "completions"] {
        assert!(
            ended.stdout.contains(&format!("\n  {command} ")),
            "{command} is missing:\n{}",
            ended.stdout
        );
    }
    assert!(ended.stdout.contains("Exit codes:"));
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_mistyped_command_is_a_usage_error_with_a_suggestion() {
    let ended = Program::new().run(&["aply"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("'apply'"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn without_a_context_the_way_out_is_named() {
    let ended = Program::new().run(&["run", "list"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended
            .stderr
            .starts_with("error: nothing says which controller to use"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("fix: `fulcrum dev`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_missing_identity_is_not_found() {
    let program = Program::new();
    let ended = program.run(&[
        "--address",
        "127.0.0.1:1",
        "--identity",
        "nowhere",
        "whoami",
    ]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("fulcrum context add"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unknown_context_is_not_found() {
    let ended = Program::new().run(&["--context", "moon", "run", "list"]);
    assert_eq!(ended.code, 3);
    assert!(
        ended.stderr.contains("there is no context `moon`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_context_is_used_listed_and_shown() {
    let program = Program::new();
    let config = "current = \"dev\"\n\n[contexts.dev]\naddress = \"127.0.0.1:7400\"\nidentity = \"/id/dev\"\nnamespace = \"default\"\n\n[contexts.prod]\naddress = \"fulcrum.example:7400\"\nidentity = \"/id/prod\"\nnamespace = \"acme\"\n";
    fs::create_dir(program.path("config")).expect("made");
    fs::write(program.path("config/contexts.toml"), config).expect("written");

    let used = program.run(&["context", "use", "prod"]);
    assert_eq!(
        (used.code, used.stdout.as_str()),
        (0, ""),
        "{}",
        used.stderr
    );
    let shown = program.run(&["context", "show", "-o", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(
        (&shown["name"], &shown["namespace"]),
        (&"prod".into(), &"acme".into())
    );
    let listed = program.run(&["context", "list"]);
    insta::assert_snapshot!(listed.stdout);
    assert_eq!(
        program.run(&["context", "list", "-q"]).stdout,
        "dev\nprod\n"
    );
    assert_eq!(program.run(&["context", "use", "moon"]).code, 3);
}

#[test]
fn a_token_that_is_none_is_refused_before_anything_is_sent() {
    let program = Program::new();
    let ended = program.run(&[
        "context",
        "add",
        "prod",
        "--enrol-at",
        "127.0.0.1:1",
        "--token",
        "hello",
    ]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(!program.path("config/contexts.toml").exists());
}

#[test]
fn nobody_listening_is_unavailable() {
    let program = Program::new();
    let token = format!("v1.{}.0193.c2VjcmV0", "ab".repeat(32));
    let ended = program.run(&[
        "context",
        "add",
        "prod",
        "--enrol-at",
        "127.0.0.1:1",
        "--token",
        &token,
    ]);
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("code: UNREACHABLE"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_starter_workflow_is_written_once() {
    let program = Program::new();
    let first = program.run(&["init"]);
    assert_eq!((first.code, first.stdout.as_str()), (0, "hello.yaml\n"));
    assert!(
        fs::read_to_string(program.path("hello.yaml"))
            .expect("written")
            .contains("workflow: hello")
    );
    let second = program.run(&["init"]);
    assert_eq!(second.code, 6);
    assert!(second.stderr.contains("--force"), "{}", second.stderr);
    assert_eq!(program.run(&["init", "--force", "-q"]).stderr, "");
}

#[test]
fn completions_are_printed_for_each_shell() {
    let program = Program::new();
    for shell in ["bash", "zsh", "fish"] {
        let ended = program.run(&["completions", shell]);
        assert_eq!(ended.code, 0);
        assert!(ended.stdout.contains("fulcrum"), "{shell}");
    }
}

#[test]
fn an_input_that_is_not_json_is_told_with_its_place() {
    let ended = Program::new().run(&["run", "start", "x", "--input", "{oops"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("--input is not JSON"),
        "{}",
        ended.stderr
    );
}
