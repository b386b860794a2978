//! The manual names tests; each must be there.

use std::collections::BTreeSet;
use std::path::Path;

use fulcrum_e2e::process;

/// Names in backquotes that look like a test's: words joined by underscores, and a lot of them.
fn named(page: &str) -> BTreeSet<String> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.matches('_').count() >= 3
            && text.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
            })
    };
    quoted.filter(is_name).map(str::to_owned).collect()
}

/// Removes from `missing` every function that the sources under `dir` define.
fn find(dir: &Path, missing: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, missing)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path)?;
            missing.retain(|name| !source.contains(&format!("fn {name}(")));
        }
    }
    Ok(())
}

#[test]
fn every_test_that_the_manual_names_is_there() -> anyhow::Result<()> {
    let repository = process::repository();
    for page in ["promises.md", "robustness.md"] {
        let text = std::fs::read_to_string(repository.join("docs").join(page))?;
        let mut missing = named(&text);
        assert!(missing.len() > 20, "{page} names {} tests", missing.len());
        for dir in [
            "tests",
            "controller",
            "connector-sdk",
            "executor",
            "operator",
            "proto",
        ] {
            find(&repository.join(dir), &mut missing)?;
        }
        assert!(missing.is_empty(), "{page} names {missing:?}");
    }
    Ok(())
}

#[test]
fn every_fault_that_is_staged_is_in_the_manual() -> anyhow::Result<()> {
    let repository = process::repository();
    let page = std::fs::read_to_string(repository.join("docs/robustness.md"))?;
    for entry in std::fs::read_dir(repository.join("tests/chaos/tests/it"))? {
        let source = std::fs::read_to_string(entry?.path())?;
        for rest in source.split("\nasync fn fault_").skip(1) {
            let name = rest.split('(').next().unwrap_or_default();
            assert!(
                page.contains(&format!("`fault_{name}`")),
                "fault_{name} has no row"
            );
        }
    }
    Ok(())
}
