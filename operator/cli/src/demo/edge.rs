//! The edge of the demonstration: the connector's configuration, and what it left on disk.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// Where the example expects its billing service.
const BILLING_EXAMPLE: &str = "127.0.0.1:7410";

/// The directory of the connector: its configuration, the CRM's file, the outbox.
#[derive(Debug, Clone)]
pub struct Edge {
    dir: PathBuf,
}

impl Edge {
    /// Makes the directory with a copy of the example's configuration, which starts its relative paths there, and which
    /// finds the billing service where it really is.
    ///
    /// # Errors
    /// When the configuration cannot be read or does not name the service.
    pub fn prepare(dir: PathBuf, example: &Path, billing: SocketAddr) -> Result<Self, CliError> {
        let text = fs::read_to_string(example)
            .map_err(|source| CliError::file("read", example, source))?;
        if text.matches(BILLING_EXAMPLE).count() != 1 {
            return Err(CliError::usage(
                format!(
                    "{} does not name the billing service at {BILLING_EXAMPLE}",
                    example.display()
                ),
                "restore the file",
            ));
        }
        fs::create_dir_all(&dir).map_err(|source| CliError::file("create", &dir, source))?;
        let edge = Self { dir };
        let config = edge.config();
        fs::write(&config, text.replace(BILLING_EXAMPLE, &billing.to_string()))
            .map_err(|source| CliError::file("write", config, source))?;
        Ok(edge)
    }

    /// The connector's configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.join("connector.yaml")
    }

    /// The outbox.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.dir.join("outbox")
    }

    /// How many mails there are, and to how many recipients.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub fn mails(&self) -> Result<(u64, u64), CliError> {
        let outbox = self.outbox();
        let broken = |source| CliError::file("read", &outbox, source);
        let mut mails = 0;
        let mut recipients = BTreeSet::new();
        for entry in fs::read_dir(&outbox).map_err(broken)? {
            let path = entry.map_err(broken)?.path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                mails += 1;
                let mail =
                    fs::read(&path).map_err(|source| CliError::file("read", &path, source))?;
                recipients.extend(recipient(&String::from_utf8_lossy(&mail)).map(str::to_owned));
            }
        }
        Ok((mails, recipients.len() as u64))
    }
}

/// The address in the `To:` header.
fn recipient(mail: &str) -> Option<&str> {
    let header = mail.lines().take_while(|line| !line.is_empty());
    let to = header.filter_map(|line| line.strip_prefix("To: ")).next()?;
    Some(
        to.trim()
            .rsplit('<')
            .next()
            .unwrap_or(to)
            .trim_end_matches('>'),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipient_is_read_from_the_header_only() {
        assert_eq!(
            recipient("From: a\r\nTo: Ada <ada@x.org>\r\n\r\nTo: eve@x.org"),
            Some("ada@x.org")
        );
        assert_eq!(recipient("To: ada@x.org\n\nhi"), Some("ada@x.org"));
        assert_eq!(recipient("From: a\n\nTo: eve@x.org"), None);
    }

    #[test]
    fn the_configuration_finds_the_service_where_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let example = dir.path().join("example.yaml");
        fs::write(&example, "base_url: http://127.0.0.1:7410\n").expect("written");
        let edge = Edge::prepare(
            dir.path().join("edge"),
            &example,
            ([127, 0, 0, 1], 9).into(),
        )
        .expect("prepared");
        assert_eq!(
            fs::read_to_string(edge.config()).expect("there"),
            "base_url: http://127.0.0.1:9\n"
        );
        fs::write(&example, "nothing\n").expect("written");
        assert!(
            Edge::prepare(
                dir.path().join("edge"),
                &example,
                ([127, 0, 0, 1], 9).into()
            )
            .is_err()
        );
    }
}
