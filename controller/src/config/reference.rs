//! The reference page, made from `default.toml`: comments are descriptions.

use std::fmt::Write;

use super::load::DEFAULTS;

/// `docs/config.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Controller configuration\n\n\
         Generated from `controller/src/config/default.toml`; do not edit by hand.\n\n\
         Sources, weakest first: these defaults, the file given by `--config`, environment variables \
         (`lease.ttl_ms` is `FULCRUM_LEASE__TTL_MS`), `--set key=value`. Unknown keys are refused. \
         `fulcrum-controller --print-config` prints what is in effect, secrets masked.\n",
    );
    let mut description = String::new();
    let mut section = String::new();
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            description = format!("{description} {text}");
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            name.clone_into(&mut section);
            push(
                &mut page,
                format_args!(
                    "\n## `{section}`\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n",
                    description.trim()
                ),
            );
            description.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            push(
                &mut page,
                format_args!(
                    "| `{section}.{key}` | `{value}` | {} |\n",
                    description.trim()
                ),
            );
            description.clear();
        }
    }
    page
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text)
        .expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p fulcrum-controller` writes the page anew.
    #[test]
    fn the_reference_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, reference()).expect("the page can be written");
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == reference(),
            "docs/config.md is behind default.toml; run the test with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn every_key_has_a_description() {
        let bare: Vec<_> = reference()
            .lines()
            .filter(|l| l.starts_with('|') && l.ends_with("|  |"))
            .map(str::to_owned)
            .collect();
        assert!(bare.is_empty(), "{bare:?}");
    }
}
