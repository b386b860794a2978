//! The README says what the code does.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::CommandFactory as _;
use fulcrum_adapters::connector::Cli;
use fulcrum_adapters::secret::SecretSource;
use fulcrum_adapters::{Config, build_with};

use crate::reference;

const README: &str = include_str!("../../README.md");

#[tokio::test]
async fn every_configuration_in_the_manual_can_be_used() {
    let directory = tempfile::tempdir().expect("tempdir");
    let script = directory.path().join("thumbnail");
    std::fs::write(&script, "#!/bin/sh\n").expect("write");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let secrets = [
        ("billing_token", "tok-0123456789"),
        ("erp_url", "postgres://crm:hunter2hunter2@db.internal/erp"),
        ("smtp_password", "hunter2hunter2"),
    ];
    let mut built = 0;
    for yaml in README.split("```yaml\n").skip(1) {
        let yaml = yaml.split("```").next().expect("the block ends");
        let path = directory.path().join("connector.yaml");
        let config = Config::parse(yaml, &path).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        build_with(&config, SecretSource::given(secrets))
            .unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        built += 1;
    }
    assert_eq!(built, 6, "one for each adapter, and the first");
}

#[test]
fn the_reference_is_made_of_what_the_program_reads() {
    let command = Cli::command();
    let run = command.find_subcommand("run").expect("it runs");
    let sources = [
        include_str!("../../src/config/file.rs"),
        include_str!("../../src/config/capability.rs"),
        include_str!("../../src/http/config.rs"),
        include_str!("../../src/http/address.rs"),
        include_str!("../../src/http/status.rs"),
        include_str!("../../src/sql/config.rs"),
        include_str!("../../src/script/config.rs"),
        include_str!("../../src/mail/config.rs"),
        include_str!("../../src/files/config.rs"),
    ];
    let page = format!(
        "# The connector: command line and configuration

Made of the program's own types by a test; do not edit by hand. What the adapters do, with an example of each, is in
[their manual](../connector-sdk/adapters/README.md); a first connector in ten minutes is a
[guide](guides/first-connector.md).

## Command line

`fulcrum-connector run` serves a controller until SIGTERM or Ctrl-C. A controller that cannot be reached is waited for,
at the first start too. `fulcrum-connector check` takes `--config` and `--data-dir`, says everything that is wrong
with the configuration, and connects to nothing.

{}
`FULCRUM_LOG` filters the log (`info` by default; `info,fulcrum_sdk=debug`). It goes to standard error.

## Configuration

One YAML file, 1 MiB at most; keys that are not listed here are refused. A path starts at the file's directory or at
`--data-dir`. A time is written `500ms`, `30s`, `1m 30s`, `2h` or `90d`. A secret reference is `secret://name`.

{}",
        reference::flags(run),
        reference::types(&sources, &[]),
    );
    reference::holds("docs/connector.md", &page);
}

#[test]
fn every_code_is_in_the_manual_and_no_other() {
    let written = codes(README, '`');
    let mut used = BTreeSet::new();
    collect(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut used,
    );
    assert_eq!(
        used.difference(&written).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "codes that the manual does not explain"
    );
    assert_eq!(
        written.difference(&used).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "codes that nothing reports"
    );
}

fn collect(directory: &Path, codes_used: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, codes_used);
        } else {
            let text = std::fs::read_to_string(&path).expect("text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            codes_used.extend(codes(code, '"'));
        }
    }
}

/// Words like `SQL_TIMEOUT` between two of `quote`, of the families that are reported as codes.
fn codes(text: &str, quote: char) -> BTreeSet<String> {
    const FAMILIES: [&str; 8] = [
        "INPUT_", "OUTPUT_", "CALL_", "HTTP_", "SQL_", "SCRIPT_", "MAIL_", "FILES_",
    ];
    text.split(quote)
        .filter(|word| FAMILIES.iter().any(|family| word.starts_with(family)))
        .filter(|word| word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .filter(|word| !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}
