//! The manual is true today: names that programs may branch on are all explained, and links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fulcrum_layers::workspace::Workspace;

#[test]
fn every_error_reason_has_a_row_in_the_manual() -> Result<()> {
    let root = Workspace::load()?.workspace_root;
    let proto = std::fs::read_to_string(root.join("proto/fulcrum/common/v1/error.proto"))?;
    let reasons: BTreeSet<String> = proto
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ERROR_REASON_")?.split_once(" = "))
        .map(|(reason, _)| reason.to_owned())
        .filter(|reason| reason != "UNSPECIFIED")
        .collect();
    assert_eq!(
        rows(&root, "## Reasons", "## Codes")?,
        reasons,
        "docs/errors/README.md and error.proto"
    );
    Ok(())
}

#[test]
fn every_failure_code_of_the_engine_has_a_row_in_the_manual() -> Result<()> {
    let root = Workspace::load()?.workspace_root;
    let source = std::fs::read_to_string(root.join("controller/core/src/failure.rs"))?;
    let codes: BTreeSet<String> = source
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("pub const ")?
                .split_once(": &str = \"")?
                .1
                .strip_suffix("\";")
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(
        rows(&root, "## Codes", "\u{0}")?,
        codes,
        "docs/errors/README.md and core's failure::code"
    );
    Ok(())
}

/// First cells of the tables between two headings of the errors page.
fn rows(root: &Path, from: &str, to: &str) -> Result<BTreeSet<String>> {
    let page = std::fs::read_to_string(root.join("docs/errors/README.md"))?;
    let section = page.lines().skip_while(|line| !line.starts_with(from));
    let section = section.take_while(|line| !line.starts_with(to));
    let names = section.filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

#[test]
fn every_relative_link_of_the_documents_leads_to_a_file() -> Result<()> {
    let root = Workspace::load()?.workspace_root;
    let mut pages = vec![root.join("README.md")];
    for folder in [
        "docs",
        "examples",
        "proto",
        "controller",
        "connector-sdk",
        "executor",
        "operator",
        "tests",
    ] {
        collect_pages(&root.join(folder), &mut pages)?;
    }
    let mut broken = Vec::new();
    for page in pages.iter().filter(|page| page.exists()) {
        let text = std::fs::read_to_string(page)?;
        let folder = page.parent().unwrap_or(&root);
        let dead = links(&text).filter(|link| !folder.join(link).exists());
        broken.extend(dead.map(|link| format!("{}: {link}", page.display())));
    }
    assert!(
        broken.is_empty(),
        "links that lead nowhere:\n{}",
        broken.join("\n")
    );
    Ok(())
}

fn collect_pages(folder: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "node_modules" && name != "target" {
            collect_pages(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    Ok(())
}

/// Targets of `[text](target)` that are files: no scheme, no anchor of the same page.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target.split('#').next().unwrap_or_default());
    targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
}
