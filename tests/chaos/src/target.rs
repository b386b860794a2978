//! The outside world: a service that does what it is asked once for each effect key, and writes down every call.
//!
//! Its ledger is the only witness that no part of Fulcrum can influence.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use fulcrum_e2e::wait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What is done, for whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// What the client calls the work: the idempotency key of its run.
    pub item: String,
    /// Which step of the work.
    pub step: String,
}

/// One call, as the target saw it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The effect key it came with.
    pub key: String,
    /// What was asked.
    pub order: Order,
    /// Whether this call was the one that had the effect.
    pub applied: bool,
    /// When it came.
    pub began: Instant,
    /// When it was answered or given up by the caller.
    pub ended: Option<Instant>,
}

/// How the target answers from now on. It always acts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    Prompt,
    /// After this long.
    Slow(Duration),
    /// Not before the manner changes.
    Silent,
}

/// A target on loopback. Ends with the value.
pub struct Target {
    address: SocketAddr,
    state: Arc<Ledger>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

struct Ledger {
    calls: Mutex<Vec<Call>>,
    manner: watch::Sender<Manner>,
}

impl Target {
    /// Opens it; it answers promptly.
    pub async fn open() -> anyhow::Result<Self> {
        let state = Arc::new(Ledger {
            calls: Mutex::default(),
            manner: watch::Sender::new(Manner::Prompt),
        });
        let listener = TcpListener::bind(fulcrum_e2e::ports::free()?).await?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/apply", post(apply))
            .with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            address,
            state,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it answers from now on; calls that wait are answered in the new manner.
    pub fn answer(&self, manner: Manner) {
        self.state.manner.send_replace(manner);
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().clone()
    }

    /// Waits until so many calls have come.
    pub async fn called(&self, at_least: usize) {
        wait::until(&format!("{at_least} calls at the target"), || async {
            let calls = self.state.lock().len();
            anyhow::ensure!(calls >= at_least, "{calls} calls came");
            Ok(())
        })
        .await;
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        // Each critical section leaves a valid list behind.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts, unless it did so before under this key.
    fn act(&self, key: String, order: Order) -> usize {
        let mut calls = self.lock();
        let applied = !calls.iter().any(|call| call.applied && call.key == key);
        calls.push(Call {
            key,
            order,
            applied,
            began: Instant::now(),
            ended: None,
        });
        calls.len() - 1
    }
}

/// Notes the end of a call, whoever ends it.
struct Ending<'a> {
    ledger: &'a Ledger,
    call: usize,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.ledger.lock()[self.call].ended = Some(Instant::now());
    }
}

async fn apply(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Json<Value> {
    let key = headers.get("idempotency-key");
    let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
    let call = ledger.act(key.to_owned(), order);
    let _ending = Ending {
        ledger: &ledger,
        call,
    };
    let mut manner = ledger.manner.subscribe();
    let answers = manner.wait_for(|manner| *manner != Manner::Silent).await;
    let pause = match answers.map(|manner| *manner) {
        Ok(Manner::Slow(pause)) => pause,
        Ok(Manner::Prompt | Manner::Silent) | Err(_) => Duration::ZERO,
    };
    tokio::time::sleep(pause).await;
    Json(json!({ "receipt": key }))
}
