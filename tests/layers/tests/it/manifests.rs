//! What every manifest must say.

use anyhow::Result;
use fulcrum_layers::workspace::Workspace;

#[test]
fn every_crate_states_licence_purpose_and_toolchain() -> Result<()> {
    let workspace = Workspace::load()?;
    assert!(
        !workspace.packages.is_empty(),
        "cargo metadata named no crate"
    );
    for package in &workspace.packages {
        let name = &package.name;
        assert_eq!(
            package.license.as_deref(),
            Some("Apache-2.0"),
            "licence of {name}"
        );
        assert!(package.description.is_some(), "{name} has no description");
        assert_eq!(
            package.rust_version.as_deref(),
            Some("1.95"),
            "rust-version of {name}"
        );
        assert_eq!(package.edition, "2024", "edition of {name}");
        assert_eq!(
            package.publish.as_deref(),
            Some(&[][..]),
            "{name} must say publish.workspace = true"
        );
    }
    Ok(())
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() -> Result<()> {
    let workspace = Workspace::load()?;
    let root = std::fs::read_to_string(workspace.workspace_root.join("Cargo.toml"))?;
    let members = root
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    let mut seen = 0;
    for member in members {
        let manifest =
            std::fs::read_to_string(workspace.workspace_root.join(member).join("Cargo.toml"))?;
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{member} sets its own lints"
        );
        seen += 1;
    }
    assert_eq!(
        seen,
        workspace.packages.len(),
        "members read from Cargo.toml"
    );
    Ok(())
}
