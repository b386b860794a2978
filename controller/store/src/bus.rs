//! A way for controllers to tell each other things that are worth nothing a second later.
//!
//! Notifications go outside of business transactions: the database takes one lock for all that notify, until their
//! commit is on disk. Telling uses the tick's connection; listening has one of its own. Behind a pooler in transaction
//! mode a session is nobody's, and there is no bus.

use std::time::Duration;

use fulcrum_core::store::StoreError;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Executor, PgPool};

use crate::PgStore;
use crate::problem::Problem;
use crate::work::unit;
use crate::writer::Writer;

/// The channel. Channels belong to a database.
const CHANNEL: &str = "fulcrum";
/// After so much silence the connection is looked at: nobody may be at the other end.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The bus. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    watch: PgPool,
    ears: EarsOptions,
}

/// How a listening connection is made.
#[derive(Debug, Clone)]
pub(crate) struct EarsOptions {
    pub(crate) pool: PgPoolOptions,
    pub(crate) connect: PgConnectOptions,
}

/// Somebody who listens. What was told before it was made is not heard.
#[derive(Debug)]
pub struct Ears {
    listener: PgListener,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// This.
    Text(String),
    /// The connection was lost and is there again; what was told meanwhile is not known.
    Gap,
}

impl PgStore {
    /// The bus, if sessions are ours.
    #[must_use]
    pub fn bus(&self) -> Option<Bus> {
        self.pools.ears.clone().map(|ears| Bus {
            watch: self.pools.watch.clone(),
            ears,
        })
    }
}

impl Bus {
    /// Tells everybody who listens now, at most 7,999 bytes.
    pub async fn tell(&self, text: &str) -> Result<(), StoreError> {
        let (pool, text) = (self.watch.clone(), text.to_owned());
        unit(async move {
            let mut writer = Writer::take(&pool).await?;
            sqlx::query_file!("queries/connect/notify.sql", CHANNEL, text)
                .execute(writer.connection())
                .await?;
            writer.rest();
            Ok(())
        })
        .await
    }

    /// Begins to listen, on a new connection.
    pub async fn listen(&self) -> Result<Ears, StoreError> {
        // A pool of one and its own: whoever gives up on a silent connection does not wait for it.
        let options = self.ears.pool.clone();
        let pool = options.connect_lazy_with(self.ears.connect.clone());
        let listener = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let listener = listener.await.map_err(problem)?;
        Ok(Ears { listener })
    }
}

impl Ears {
    /// Waits for the next thing that is told. An error means that nobody is there any more: listen anew.
    pub async fn next(&mut self) -> Result<Heard, StoreError> {
        loop {
            match tokio::time::timeout(SILENCE_MAX, self.listener.try_recv()).await {
                Ok(Ok(Some(told))) => return Ok(Heard::Text(told.payload().to_owned())),
                Ok(Ok(None)) => return Ok(Heard::Gap),
                Ok(Err(error)) => return Err(problem(error)),
                Err(_silence) => {
                    let look = (&mut self.listener).execute("select 1");
                    match tokio::time::timeout(LOOK_TIMEOUT, look).await {
                        Ok(answered) => {
                            answered.map_err(problem)?;
                        }
                        Err(_elapsed) => {
                            let what = "the connection that listens fell silent".to_owned();
                            return Err(StoreError::Unavailable(what));
                        }
                    }
                }
            }
        }
    }
}

fn problem(error: sqlx::Error) -> StoreError {
    StoreError::from(Problem::from(error))
}
