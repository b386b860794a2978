//! Files in the repository that must say what the code does. `UPDATE_DOCS=1` writes them.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the repository; the core does not"
)]

/// The file as it stands, after writing it if that is asked for. Empty if there is none.
pub(crate) fn on_file(path: &str, text: &str) -> String {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, text).unwrap();
    }
    std::fs::read_to_string(path).unwrap_or_default()
}
