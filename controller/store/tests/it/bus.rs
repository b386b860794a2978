//! News between stores on one database.

use std::time::Duration;

use fulcrum_store::bus::{Ears, Heard};
use sqlx::Executor;

use crate::database::Database;

/// Longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

async fn next(ears: &mut Ears) -> Option<Heard> {
    let next = tokio::time::timeout(PATIENCE, ears.next()).await;
    next.expect("something is heard").ok()
}

#[tokio::test]
async fn what_is_told_is_heard_by_whoever_listens_on_this_database() {
    let (here, elsewhere) = (Database::new().await, Database::new().await);
    let bus = here.store.bus().expect("sessions are ours");
    let mut ears = bus.listen().await.unwrap();
    let other = elsewhere.store.bus().expect("sessions are ours");
    other.tell("not for us").await.unwrap();
    let long = "x".repeat(7_900);
    for text in ["one", &long] {
        bus.tell(text).await.unwrap();
        assert_eq!(next(&mut ears).await, Some(Heard::Text(text.to_owned())));
    }
}

#[tokio::test]
async fn a_listener_that_was_cut_off_says_so_and_hears_again() {
    let database = Database::new().await;
    let bus = database.store.bus().expect("sessions are ours");
    let mut ears = bus.listen().await.unwrap();
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and query like 'LISTEN%'";
    database.raw().await.execute(cut).await.unwrap();
    // Either it has a new connection by itself, or it must be made anew: both are told.
    match next(&mut ears).await {
        Some(heard) => assert_eq!(heard, Heard::Gap),
        None => ears = bus.listen().await.unwrap(),
    }
    bus.tell("after all").await.unwrap();
    let heard = next(&mut ears).await;
    assert_eq!(heard, Some(Heard::Text("after all".to_owned())));
}
