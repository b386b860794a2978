//! The HTTP interface: `POST /invoices` and `GET /invoices`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::ledger::{Ledger, LedgerError, Order};
use crate::mood::{Mood, Moods, Requests};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Clone)]
struct Service(Arc<Inner>);

struct Inner {
    ledger: Mutex<Ledger>,
    moods: Moods,
    requests: Requests,
}

pub(crate) fn router(ledger: Ledger, moods: Moods) -> Router {
    let service = Service(Arc::new(Inner {
        ledger: Mutex::new(ledger),
        moods,
        requests: Requests::default(),
    }));
    Router::new()
        .route("/invoices", get(list).post(create))
        .with_state(service)
}

/// What there is, for whoever wants to check the example.
async fn list(State(Service(service)): State<Service>) -> Response {
    let ledger = service
        .ledger
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Json(json!({
        "count": ledger.invoices().len(),
        "customers": ledger.customers(),
        "requests": service.requests.so_far(),
        "invoices": ledger.invoices(),
    }))
    .into_response()
}

async fn create(
    State(Service(service)): State<Service>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Response {
    let mood = service.moods.at(service.requests.next());
    match mood {
        Mood::Busy => {
            let wait = [("retry-after", service.moods.retry_after.to_string())];
            return (StatusCode::TOO_MANY_REQUESTS, wait, "too many requests").into_response();
        }
        Mood::Down => {
            return (StatusCode::SERVICE_UNAVAILABLE, "down for a moment").into_response();
        }
        Mood::Good | Mood::Lost => {}
    }
    let Some(key) = headers
        .get(IDEMPOTENCY_KEY)
        .and_then(|key| key.to_str().ok())
    else {
        return (StatusCode::BAD_REQUEST, "send an Idempotency-Key").into_response();
    };
    let key = key.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let mut ledger = service
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ledger.bill(&key, order)
    });
    match work.await {
        Ok(Ok(_)) if mood == Mood::Lost => {
            (StatusCode::SERVICE_UNAVAILABLE, "lost the thread").into_response()
        }
        Ok(Ok(invoice)) => (StatusCode::CREATED, Json(invoice)).into_response(),
        Ok(Err(error @ LedgerError::KeyReused)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response()
        }
        Ok(Err(error @ LedgerError::Io(_))) => {
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
