//! End-to-end tests: real processes, real Postgres, mTLS.
