//! A database of its own for each test, on the throwaway server of `scripts/pg-test`.

use std::path::Path;
use std::process::Command;

use uuid::Uuid;

/// A database, dropped with this value.
pub(crate) struct Database {
    name: String,
    server: String,
}

impl Database {
    /// An empty one.
    pub(crate) fn create() -> Self {
        let server = std::env::var("FULCRUM_TEST_DATABASE_URL").expect(
            "FULCRUM_TEST_DATABASE_URL names a throwaway server; run the tests with `make test`",
        );
        let mut entropy = [0; 16];
        getrandom::fill(&mut entropy).expect("randomness");
        let name = format!("fulcrum_controller_{}", Uuid::from_bytes(entropy).simple());
        let database = Self { name, server };
        assert!(
            database.admin(&format!("create database {}", database.name)),
            "the database can be created"
        );
        database
    }

    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{}", self.name)
    }

    /// Lets nobody in any more, and throws out who is.
    pub(crate) fn lock(&self) {
        assert!(self.admin(&format!(
            "alter database {} allow_connections false",
            self.name
        )));
        let others = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'",
            self.name
        );
        assert!(self.admin(&others));
    }

    /// Lets everybody in again.
    pub(crate) fn unlock(&self) {
        assert!(self.admin(&format!(
            "alter database {} allow_connections true",
            self.name
        )));
    }

    /// The answer to a question, as text.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let asked = psql()
            .args(["--quiet", "--no-psqlrc", "--tuples-only", "--no-align"])
            .args(["--command", sql, &self.url()])
            .output()
            .expect("psql runs");
        assert!(asked.status.success(), "{asked:?}");
        String::from_utf8(asked.stdout)
            .expect("text")
            .trim()
            .to_owned()
    }

    fn admin(&self, sql: &str) -> bool {
        psql()
            .args(["--quiet", "--no-psqlrc", "--output=/dev/null"])
            .args(["--command", sql, &self.server])
            .status()
            .expect("psql runs")
            .success()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.admin(&format!(
            "drop database if exists {} with (force)",
            self.name
        )) {
            eprintln!("database {} stays behind", self.name);
        }
    }
}

fn psql() -> Command {
    let find = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/pg-bin");
    let found = Command::new(find).output().expect("scripts/pg-bin runs");
    let bin = String::from_utf8(found.stdout).expect("a path");
    Command::new(Path::new(bin.trim()).join("psql"))
}
