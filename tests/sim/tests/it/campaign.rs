//! Two hundred seeds, each walked twice.

use std::path::Path;

use fulcrum_sim::campaign;
use fulcrum_sim::stage::sometimes::Sometimes;

const SEEDS: u64 = 200;

#[test]
fn two_hundred_worlds_hold_and_meet_every_fault() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/sim");
    let verdict = campaign::run(0..SEEDS, &folder);
    assert!(verdict.held(), "{verdict}");
    assert_eq!(
        verdict.never(),
        Vec::<Sometimes>::new(),
        "{}",
        verdict.tally
    );
}
