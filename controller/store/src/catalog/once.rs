//! A mutation that is done once however often it is asked for: its request id, the digest of its call and its answer
//! are stored in the transaction that does it.
//!
//! Mutations of runs have the same in their flush; this is for what is about no run.

use fulcrum_core::ids::NamespaceId;
use fulcrum_core::store::StoreError;
use sqlx::{PgConnection, PgPool};

use crate::problem::Problem;
use crate::work::Prelude;

/// A caller's name for its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestNote {
    /// Where the id is unique.
    pub namespace: NamespaceId,
    /// The id.
    pub id: String,
    /// SHA-256 of method and body.
    pub digest: [u8; 32],
}

/// Makes the answer that is kept, if the outcome is worth keeping.
type MakeAnswer<T> = Box<dyn FnOnce(&T) -> Option<Vec<u8>> + Send>;

/// How to do a mutation once.
pub struct Once<T> {
    note: Option<RequestNote>,
    answer: MakeAnswer<T>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered<T> {
    /// It was done now.
    Now(T),
    /// The same call was done before, with this answer.
    Before(Vec<u8>),
    /// The request id stands for another call.
    Reused,
}

impl<T> Once<T> {
    /// Done each time that it is asked for.
    #[must_use]
    pub fn unnamed() -> Self {
        Self {
            note: None,
            answer: Box::new(|_| Some(Vec::new())),
        }
    }

    /// Done once under this name, if there is one; a repeated call gets what `answer` made of the outcome. `None` is for
    /// an outcome that changed nothing: it is not kept, and a repeated call looks again.
    #[must_use]
    pub fn named(
        note: Option<RequestNote>,
        answer: impl FnOnce(&T) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        Self {
            note,
            answer: Box::new(answer),
        }
    }

    /// Runs `work` in a transaction, unless the call was answered before.
    pub(crate) async fn run(
        self,
        pool: &PgPool,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Problem>,
    ) -> Result<Answered<T>, Problem> {
        let mut tx = Prelude::Catalog.begin(pool).await?;
        let Some(note) = self.note else {
            let outcome = work(&mut tx).await?;
            crate::work::committing(tx.commit()).await?;
            return Ok(Answered::Now(outcome));
        };
        let (namespace, digest) = (note.namespace.0, note.digest.as_slice());
        let claimed = sqlx::query_file!(
            "queries/catalog/claim_request.sql",
            namespace,
            note.id,
            digest
        )
        .execute(&mut *tx)
        .await?;
        if claimed.rows_affected() == 0 {
            let known = sqlx::query_file!("queries/load/request.sql", 0_i16, namespace, note.id)
                .fetch_optional(&mut *tx)
                .await?;
            tx.rollback().await?;
            return Ok(match known {
                Some(known) if known.digest == digest => Answered::Before(known.answer),
                Some(_) => Answered::Reused,
                // It was forgotten between the two statements: its day is over.
                None => return Err(StoreError::Retry("a request id expired".to_owned()).into()),
            });
        }
        let outcome = work(&mut tx).await?;
        let Some(answer) = (self.answer)(&outcome) else {
            tx.rollback().await?;
            return Ok(Answered::Now(outcome));
        };
        sqlx::query_file!(
            "queries/catalog/answer_request.sql",
            namespace,
            note.id,
            answer
        )
        .execute(&mut *tx)
        .await?;
        crate::work::committing(tx.commit()).await?;
        Ok(Answered::Now(outcome))
    }
}
