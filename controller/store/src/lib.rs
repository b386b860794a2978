//! Fulcrum's state in Postgres: migrations, queries and group commit.
