//! The store against a real Postgres. Each test has a database of its own, made from a migrated template on the
//! server that `FULCRUM_TEST_DATABASE_URL` names (`scripts/pg-test run cargo test -p fulcrum-store`).

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod audit;
mod blobs;
mod bucket;
mod bus;
mod cancel;
mod catalog;
mod commits;
mod database;
mod differential;
mod identity;
mod isolation;
mod lost_answer;
mod migrate;
mod migrate_killed;
mod objects;
mod plans;
mod plateau;
mod pooler;
mod pools;
mod proxy;
mod sample;
mod states;
mod tasks;
mod tick;
mod timelines;
mod transfer;
mod upkeep;
mod versions;
