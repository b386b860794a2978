//! The README says what the code does.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fulcrum_adapters::secret::SecretSource;
use fulcrum_adapters::{Config, build_with};

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
