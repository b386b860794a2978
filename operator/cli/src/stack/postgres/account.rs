//! Who runs PostgreSQL. It refuses root; root therefore runs it as a system user.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::stack::error::StackError;

/// System users that will do, in order.
const NAMES: [&str; 2] = ["postgres", "fulcrum-pg"];

/// A user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Account {
    /// The account to run servers as; `None` means as ourselves.
    ///
    /// # Errors
    /// [`StackError::NoServerAccount`] if we are root and there is no such user.
    pub fn for_servers() -> Result<Option<Self>, StackError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd")
            .map_err(|error| StackError::file("read", "/etc/passwd", error))?;
        let found = NAMES.iter().find_map(|name| find(&users, name));
        found.map(Some).ok_or(StackError::NoServerAccount)
    }

    /// Whether this account can pass through a directory.
    #[must_use]
    pub fn can_enter(&self, dir: &Path) -> bool {
        let mut command = Command::new("test");
        command
            .arg("-x")
            .arg(dir)
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        std::os::unix::process::CommandExt::uid(&mut command, self.uid);
        std::os::unix::process::CommandExt::gid(&mut command, self.gid);
        command.status().is_ok_and(|status| status.success())
    }
}

fn find(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next()? == name;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        is_it.then_some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgresql:x:1:1::/:/bin/sh\npostgres:x:105:112:PG:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(
            find(users, "postgres"),
            Some(Account { uid: 105, gid: 112 })
        );
        assert_eq!(find(users, "fulcrum-pg"), None);
    }
}
