//! Runs as they stand in the database, each for itself.

use std::collections::BTreeMap;

use fulcrum_core::ids::RunId;
use fulcrum_core::store::{Folded, Since, Store, StoreError};

/// Runs by id: those that exist, folded, or why one cannot be. A run that is corrupt, or was written by a newer
/// controller, is an entry and nobody else's trouble; the outer error is the database's.
pub async fn load<S: Store>(
    store: &S,
    runs: &[RunId],
) -> Result<BTreeMap<RunId, Result<Folded, StoreError>>, StoreError> {
    let mut folded = BTreeMap::new();
    let again = fold_into(&mut folded, store, runs, Since::Snapshot).await?;
    if !again.is_empty() {
        fold_into(&mut folded, store, &again, Since::Birth).await?;
    }
    Ok(folded)
}

/// Gives back those whose snapshot another version wrote.
async fn fold_into<S: Store>(
    folded: &mut BTreeMap<RunId, Result<Folded, StoreError>>,
    store: &S,
    runs: &[RunId],
    since: Since,
) -> Result<Vec<RunId>, StoreError> {
    let mut again = Vec::new();
    for (run, loaded) in runs.iter().zip(store.load(runs, since).await?) {
        let outcome = match loaded {
            Ok(None) => continue,
            Ok(Some(loaded)) => match loaded.fold() {
                Ok(state) => Ok(state),
                Err(unfolded) => match unfolded.after(*run, since) {
                    Some(error) => Err(error),
                    None => {
                        again.push(*run);
                        continue;
                    }
                },
            },
            Err(error) => Err(error),
        };
        folded.insert(*run, outcome);
    }
    Ok(again)
}
