//! Which of our crates may use which, and what the pure core may not even touch through others.

use anyhow::Result;
use fulcrum_layers::graph::{Part, compiled_into};
use fulcrum_layers::workspace::Workspace;

/// Crate → the crates of ours that its shipped code may name. Tests may use more.
const ALLOWED: &[(&str, &[&str])] = &[
    ("fulcrum-proto", &[]),
    ("fulcrum-audit", &[]),
    ("fulcrum-core", &[]),
    ("fulcrum-store", &["fulcrum-audit", "fulcrum-core"]),
    (
        "fulcrum-controller",
        &[
            "fulcrum-audit",
            "fulcrum-core",
            "fulcrum-store",
            "fulcrum-proto",
        ],
    ),
    ("fulcrum-sdk", &["fulcrum-audit", "fulcrum-proto"]),
    ("fulcrum-adapters", &["fulcrum-sdk"]),
    ("fulcrum-executor", &["fulcrum-sdk", "fulcrum-adapters"]),
    // Its commands use the contract; `fulcrum dev` alone links the servers it starts, and `fulcrum validate` their checker.
    (
        "fulcrum",
        &[
            "fulcrum-audit",
            "fulcrum-proto",
            "fulcrum-core",
            "fulcrum-sdk",
            "fulcrum-controller",
            "fulcrum-adapters",
            "fulcrum-executor",
        ],
    ),
    // A stand-in for somebody else's service: it knows nothing of Fulcrum.
    ("onboarding-billing", &[]),
    ("fulcrum-e2e", &["fulcrum-proto", "fulcrum-sdk"]),
    // Strikes the processes of the end-to-end tests.
    (
        "fulcrum-chaos",
        &["fulcrum-e2e", "fulcrum-proto", "fulcrum-sdk"],
    ),
    // Starts its processes the way the end-to-end tests do.
    (
        "fulcrum-load",
        &["fulcrum-e2e", "fulcrum-proto", "fulcrum-sdk"],
    ),
    // Drives the engine and the lease machine themselves, with nothing in between.
    (
        "fulcrum-sim",
        &["fulcrum-controller", "fulcrum-core", "fulcrum-sdk"],
    ),
    ("fulcrum-layers", &[]),
];

/// The core decides; it does not wait, store, send or speak a wire format.
const NOT_IN_CORE: &[&str] = &[
    "axum",
    "hyper",
    "mio",
    "prost",
    "reqwest",
    "rustls",
    "sqlx",
    "sqlx-core",
    "tokio",
    "tonic",
];

/// The core draws no random number and reads no clock, so it names no crate that does.
const NOT_NAMED_BY_CORE: &[&str] = &["chrono", "fastrand", "getrandom", "rand", "time"];

/// The store, and the edge's `sql` adapter (docs/adr/0003-sqlx-at-the-edge.md).
const MAY_USE_SQLX: &[&str] = &["fulcrum-store", "fulcrum-adapters"];

#[test]
fn each_crate_uses_only_the_layers_below_it() -> Result<()> {
    let workspace = Workspace::load()?;
    let ours = workspace.names();
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let allowed = ALLOWED
            .iter()
            .find(|(name, _)| *name == package.name)
            .map(|(_, uses)| *uses);
        let Some(allowed) = allowed else {
            wrong.push(format!(
                "{} is in no layer: add it to ALLOWED",
                package.name
            ));
            continue;
        };
        let uses = package
            .shipped_dependencies()
            .filter(|dep| ours.contains(dep));
        wrong.extend(
            uses.filter(|dep| !allowed.contains(dep))
                .map(|dep| format!("{} must not depend on {dep}", package.name)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_core_has_no_door() -> Result<()> {
    let compiled = compiled_into(Part::Package("fulcrum-core"))?;
    let found: Vec<_> = NOT_IN_CORE
        .iter()
        .filter(|name| compiled.contains_key(**name))
        .collect();
    assert!(
        found.is_empty(),
        "fulcrum-core compiles {found:?}; see cargo tree -p fulcrum-core -i <crate>"
    );

    let workspace = Workspace::load()?;
    let core = workspace
        .packages
        .iter()
        .find(|package| package.name == "fulcrum-core");
    let core = core.expect("fulcrum-core is a member of the workspace");
    let named: Vec<_> = core
        .shipped_dependencies()
        .filter(|dep| NOT_NAMED_BY_CORE.contains(dep))
        .collect();
    assert!(
        named.is_empty(),
        "fulcrum-core names {named:?}; pass time and entropy in as arguments"
    );
    Ok(())
}

/// The command line is a client; the servers come in with `fulcrum dev` and `fulcrum demo` alone.
#[test]
fn without_its_dev_commands_the_command_line_is_a_client() -> Result<()> {
    let compiled = compiled_into(Part::BarePackage("fulcrum"))?;
    let servers = [
        "fulcrum-controller",
        "fulcrum-core",
        "fulcrum-store",
        "fulcrum-adapters",
        "fulcrum-executor",
    ];
    let found: Vec<_> = servers
        .iter()
        .filter(|name| compiled.contains_key(**name))
        .collect();
    assert!(
        found.is_empty(),
        "{found:?} belong behind the feature `dev`"
    );
    Ok(())
}

#[test]
fn only_the_store_and_the_edge_speak_sql() -> Result<()> {
    let workspace = Workspace::load()?;
    let speakers: Vec<_> = workspace
        .packages
        .iter()
        .filter(|package| package.shipped_dependencies().any(|dep| dep == "sqlx"))
        .map(|package| package.name.as_str())
        .filter(|name| !MAY_USE_SQLX.contains(name))
        .collect();
    assert!(
        speakers.is_empty(),
        "{speakers:?} must go through fulcrum-store instead of sqlx"
    );
    Ok(())
}
