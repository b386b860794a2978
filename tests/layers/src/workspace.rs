//! The crates of this workspace and the dependencies their manifests declare.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What `cargo metadata --no-deps` says; it reads manifests only, so it works without a network.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    pub packages: Vec<Package>,
    pub workspace_root: PathBuf,
}

/// One crate of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub license: Option<String>,
    pub description: Option<String>,
    pub rust_version: Option<String>,
    pub edition: String,
    /// `Some([])` when the crate is never published.
    pub publish: Option<Vec<String>>,
    pub dependencies: Vec<Dependency>,
}

/// One line of a `[dependencies]` table.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// None for `[dependencies]`, else `dev` or `build`.
    pub kind: Option<String>,
}

impl Workspace {
    /// Asks the cargo that runs this test.
    pub fn load() -> Result<Self> {
        let out = cargo()
            .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
            .output()
            .context("cargo did not start")?;
        ensure!(
            out.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_slice(&out.stdout)
            .context("cargo metadata in a form this test does not know")
    }

    /// Names of all crates of the workspace.
    pub fn names(&self) -> Vec<&str> {
        self.packages
            .iter()
            .map(|package| package.name.as_str())
            .collect()
    }
}

impl Package {
    /// What the crate needs to be built and run; what only its tests need is left out.
    pub fn shipped_dependencies(&self) -> impl Iterator<Item = &str> {
        let shipped = |dep: &&Dependency| dep.kind.as_deref() != Some("dev");
        self.dependencies
            .iter()
            .filter(shipped)
            .map(|dep| dep.name.as_str())
    }
}

/// The cargo that runs this test, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command
}
