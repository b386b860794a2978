//! The manual is true: every example in the guide compiles, every code is explained, and the published schema is ours.

use std::path::PathBuf;

use fulcrum_core::definition::diagnostic::Code;
use fulcrum_core::definition::schema::workflow_schema;
use fulcrum_core::definition::{CheckContext, Unregistered, compile};
use fulcrum_core::limits::Limits;

fn path(of: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(of)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test reads the documents that it checks"
)]
fn read(of: &str) -> String {
    std::fs::read_to_string(path(of)).unwrap_or_else(|e| panic!("{of}: {e}"))
}

/// The ```yaml blocks of a page.
fn examples(page: &str) -> Vec<&str> {
    page.split("```yaml\n")
        .skip(1)
        .map(|rest| {
            rest.split("```")
                .next()
                .expect("split gives one part at least")
        })
        .collect()
}

#[test]
fn every_example_of_the_guide_compiles() {
    let limits = Limits::default();
    let context = CheckContext {
        capabilities: None,
        workflows: None,
        unregistered: Unregistered::Refuse,
        limits: &limits,
    };
    let page = read("guides/workflow-language.md");
    let examples = examples(&page);
    assert!(examples.len() >= 15, "{} examples", examples.len());
    for example in examples {
        if let Err(problems) = compile(example, &context) {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{example}\n{}", problems.join("\n"));
        }
    }
}

#[test]
fn every_diagnostic_code_is_in_the_guide() {
    let page = read("guides/workflow-language.md");
    for code in Code::ALL {
        assert!(
            page.contains(&format!("| `{code}` |")),
            "{code} is not explained"
        );
    }
}

/// `UPDATE_DOCS=1 cargo test -p fulcrum-core` writes it anew.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test keeps a file of the documentation in step"
)]
fn the_published_schema_is_the_one_in_the_code() {
    let sorted = fulcrum_core::definition::hash::canonical_json(&workflow_schema());
    let value: serde_json::Value = serde_json::from_str(&sorted).unwrap();
    let ours = format!("{value:#}\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path("schema/workflow.schema.json"), &ours).unwrap();
    }
    assert_eq!(
        read("schema/workflow.schema.json"),
        ours,
        "run UPDATE_DOCS=1 cargo test -p fulcrum-core"
    );
}
