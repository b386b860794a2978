//! Two versions of a protocol crate do not talk to each other, and two crypto providers panic at start.

use anyhow::Result;
use fulcrum_layers::graph::{Part, compiled_into};

const ONE_VERSION: &[&str] = &[
    "aws-lc-rs",
    "h2",
    "http",
    "hyper",
    "opentelemetry",
    "prost",
    "prost-types",
    "rustls",
    "serde",
    "sqlx",
    "tokio",
    "tokio-rustls",
    "tonic",
    "tower",
    "uuid",
];

/// Other TLS stacks, and a second provider beside aws-lc-rs.
const NEVER: &[&str] = &["native-tls", "openssl", "openssl-sys", "ring"];

#[test]
fn the_crates_that_must_agree_are_there_once() -> Result<()> {
    let compiled = compiled_into(Part::Workspace)?;
    for name in ONE_VERSION {
        let versions = compiled
            .get(*name)
            .map(|versions| versions.iter().cloned().collect::<Vec<_>>());
        let count = versions.as_ref().map_or(0, Vec::len);
        assert!(
            count <= 1,
            "{name} is there {count} times: {versions:?}; see cargo tree -d"
        );
    }
    assert!(compiled.contains_key("tonic"), "the graph was not read");
    Ok(())
}

#[test]
fn there_is_one_tls_stack_with_one_crypto_provider() -> Result<()> {
    let compiled = compiled_into(Part::Workspace)?;
    let found: Vec<_> = NEVER
        .iter()
        .filter(|name| compiled.contains_key(**name))
        .collect();
    assert!(
        found.is_empty(),
        "{found:?} came in; see cargo tree -i <crate>"
    );
    Ok(())
}
