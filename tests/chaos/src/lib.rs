//! Faults, injected on purpose into real processes and a real database, and the oracle that judges what came of them.
//!
//! A test of `tests/it` stages one fault on a [`field::Field`]: controllers, a private PostgreSQL cluster, connectors
//! and a [`target::Target`], the outside world whose ledger knows what was really done. [`wire::Wire`] stands on a TCP
//! connection and [`proxy::Proxy`] between a worker and its controller, where it knows each call by its method.
//! [`hand::Hand`] is a worker moved by the test, call by call. When the fault is over and everything has come to rest,
//! [`oracle`] reads the client's log, the database and the target's ledger and checks every invariant that has its
//! feature yet.
//!
//! A fault has two sizes ([`scale::Scale`]): a short one that `make test` can afford, and the full one of `make chaos`.

pub mod field;
pub mod hand;
pub mod load;
pub mod machine;
pub mod oracle;
pub mod past;
pub mod proxy;
pub mod scale;
pub mod target;
pub mod wire;
