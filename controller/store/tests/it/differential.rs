//! Both stores, the same random operations, the same answers.
//!
//! Instants are far in the past or the future, and leases last an hour or nothing, so that the one store's manual clock
//! and the other's real one agree on what is due. Nonces differ; grants are told apart by their order instead.

mod answers;
mod operations;
mod values;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

use self::operations::operation;
use self::world::World;
use crate::database::Database;

#[test]
fn both_stores_give_the_same_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let database = runtime.block_on(Database::new());
    let regressions = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/differential/regressions.txt"
    );
    let config = ProptestConfig {
        cases: 48,
        max_shrink_iters: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..ProptestConfig::default()
    };
    let result =
        TestRunner::new(config).run(&prop::collection::vec(operation(), 1..40), |operations| {
            runtime.block_on(async {
                let mut world = World::new(&database).await;
                for (position, operation) in operations.iter().enumerate() {
                    let (expected, actual) = world.apply(operation).await;
                    prop_assert_eq!(expected, actual, "operation {}: {:?}", position, operation);
                    if position % 5 == 4 || position + 1 == operations.len() {
                        let (expected, actual) = world.everything().await;
                        prop_assert_eq!(
                            expected,
                            actual,
                            "state after operation {}: {:?}",
                            position,
                            operation
                        );
                    }
                }
                Ok(())
            })
        });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
