//! Everything that is compiled into a crate, as cargo resolves it for this machine.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::workspace::cargo;

/// Crate name → its versions in the graph.
pub type Versions = BTreeMap<String, BTreeSet<String>>;

/// Whose graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// All crates of ours.
    Workspace,
    /// One crate with its default features.
    Package(&'a str),
    /// One crate with no feature.
    BarePackage(&'a str),
}

/// All crates that a part compiles; what only tests need is left out.
pub fn compiled_into(part: Part<'_>) -> Result<Versions> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--locked",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]);
    match part {
        Part::Workspace => tree.arg("--workspace"),
        Part::Package(name) => tree.args(["--package", name]),
        Part::BarePackage(name) => tree.args(["--no-default-features", "--package", name]),
    };
    let out = tree.output().context("cargo did not start")?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "cargo tree: {said}");
    Ok(parse(&String::from_utf8_lossy(&out.stdout)))
}

/// Lines are `name v1.2.3 (path or marks)`; blank lines part the crates of the workspace.
fn parse(tree: &str) -> Versions {
    let mut versions = Versions::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions
                .entry(name.to_owned())
                .or_default()
                .insert(version.to_owned());
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn two_versions_of_a_crate_are_both_kept() {
        let tree = "a v1.0.0 (/src/a)\nbit-set v0.8.0\nbit-set v0.11.1 (*)\n\nb v0.1.0\n";
        let versions = parse(tree);
        assert_eq!(versions["bit-set"].len(), 2);
        assert_eq!(versions.len(), 3);
    }
}
