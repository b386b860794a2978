//! Enums in Rust and in Postgres.

use crate::database::Database;

#[tokio::test]
async fn every_enum_has_the_same_labels_on_both_sides() {
    let database = Database::new().await;
    let stored: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select t.typname::text, array_agg(e.enumlabel::text order by e.enumsortorder)
         from pg_type t join pg_enum e on e.enumtypid = t.oid group by 1 order by 1",
    )
    .fetch_all(&mut database.raw().await)
    .await
    .unwrap();
    let mut known: Vec<(String, Vec<String>)> = fulcrum_store::state_labels()
        .into_iter()
        .map(|(name, labels)| {
            (
                name.to_owned(),
                labels.iter().map(|label| (*label).to_owned()).collect(),
            )
        })
        .collect();
    known.sort();
    assert_eq!(stored, known);
}
