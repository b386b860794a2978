use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use fulcrum_adapters::secret::SecretSource;
use fulcrum_executor::{Config, build_with};
use fulcrum_sdk::{Capability, Context, Failure, FailureClass};
use serde_json::{Value, json};

const KEY: &str = "sk-local-0123456789";

/// A service with an OpenAI-compatible interface: it answers what the last message asks for.
async fn service() -> (SocketAddr, Arc<Mutex<Vec<Value>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

async fn complete(
    State(seen): State<Arc<Mutex<Vec<Value>>>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    seen.lock().expect("not poisoned").push(body.clone());
    if headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        != Some(&format!("Bearer {KEY}"))
    {
        return (StatusCode::UNAUTHORIZED, "who are you").into_response();
    }
    let asked = body["messages"]
        .as_array()
        .and_then(|messages| messages.last());
    let asked = asked
        .and_then(|message| message["content"].as_str())
        .unwrap_or_default();
    let message = match asked {
        "be busy" => {
            return (
                StatusCode::TOO_MANY_REQUESTS,
                [("retry-after", "3")],
                "busy",
            )
                .into_response();
        }
        "break" => return (StatusCode::BAD_GATEWAY, "broken").into_response(),
        "be silent" => std::future::pending().await,
        "be empty" => return Json(json!({ "choices": [] })).into_response(),
        "be strange" => return Json(json!({ "hello": 1 })).into_response(),
        "refuse" => {
            json!({ "role": "assistant", "content": null, "refusal": "I would rather not" })
        }
        "leak" => json!({ "role": "assistant", "content": format!("the key is {KEY}") }),
        asked => json!({ "role": "assistant", "content": asked }),
    };
    Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "tiny-2026",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16,
                   "prompt_tokens_details": { "cached_tokens": 4 } }
    }))
    .into_response()
}

async fn ask(address: SocketAddr, input: Value) -> Result<Value, Failure> {
    let yaml = format!(
        r#"
endpoints:
  local: {{ base_url: "http://{address}/v1", auth: {{ bearer: "secret://model_key" }}, allow_addresses: [loopback] }}
models:
  default: {{ endpoint: local, model: tiny, timeout: 400ms, output_tokens_max: 100 }}
"#
    );
    let config = Config::parse(&yaml, Path::new("executor.yaml")).expect("a configuration");
    let source = SecretSource::given([("model_key", KEY)]);
    let built = build_with(&config, source).expect("built");
    let chat: &Arc<dyn Capability> = built
        .capabilities
        .iter()
        .find(|capability| capability.contract().name == "model.chat")
        .expect("model.chat is offered");
    chat.call(&Context::detached("key"), input).await
}

fn say(content: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": content }] })
}

#[tokio::test]
async fn an_answer_comes_with_what_it_used() {
    let (address, seen) = service().await;
    let input = json!({
        "messages": [{ "role": "system", "content": "be kind" }, { "role": "user", "content": "hello" }],
        "temperature": 0.2, "output_tokens_max": 500, "stop": ["\n"], "seed": 7
    });
    let output = ask(address, input).await.expect("an answer");
    assert_eq!(
        output,
        json!({
            "text": "hello", "finish_reason": "stop", "model": "default", "served_by": "tiny-2026",
            "answer_id": "chatcmpl-1",
            "usage": { "input_tokens": 11, "cached_input_tokens": 4, "output_tokens": 5, "total_tokens": 16 }
        })
    );
    let seen = seen.lock().expect("not poisoned");
    assert_eq!(seen[0]["model"], "tiny");
    assert_eq!(
        seen[0]["max_tokens"], 100,
        "the configured limit is the lower one"
    );
    assert_eq!(seen[0]["stop"], json!(["\n"]));
    assert_eq!(seen[0]["messages"][0]["role"], "system");
}

#[tokio::test]
async fn failures_of_a_service_have_classes() {
    let (address, _) = service().await;
    for (asked, class, code) in [
        ("be busy", FailureClass::Transient, "HTTP_429"),
        ("break", FailureClass::Transient, "HTTP_502"),
        ("be silent", FailureClass::Transient, "HTTP_TIMEOUT"),
        ("be empty", FailureClass::Transient, "MODEL_RESPONSE_EMPTY"),
        ("be strange", FailureClass::Fatal, "MODEL_RESPONSE_INVALID"),
        ("refuse", FailureClass::Recoverable, "MODEL_REFUSED"),
    ] {
        let failure = ask(address, say(asked)).await.expect_err(asked);
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (class, code),
            "{failure}"
        );
    }
    let busy = ask(address, say("be busy")).await.expect_err("busy");
    assert_eq!(busy.retry_after, Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn an_answer_must_fit_the_schema_that_was_asked_for() {
    let (address, _) = service().await;
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let with_schema = |content: &str| {
        let mut input = say(content);
        input["json_schema"] = schema.clone();
        input
    };
    let output = ask(address, with_schema(r#"{"n": 3}"#))
        .await
        .expect("fits");
    assert_eq!(output["json"], json!({ "n": 3 }));
    for answer in [r#"{"n": "three"}"#, "three"] {
        let failure = ask(address, with_schema(answer))
            .await
            .expect_err("does not fit");
        assert_eq!(
            (failure.class, failure.code.as_str()),
            (FailureClass::Transient, "MODEL_OUTPUT_INVALID")
        );
    }
}

#[tokio::test]
async fn a_model_that_is_not_configured_and_input_that_does_not_fit_are_refused() {
    let (address, seen) = service().await;
    let mut input = say("hello");
    input["model"] = json!("huge");
    assert_eq!(
        ask(address, input).await.expect_err("unknown").code,
        "MODEL_UNKNOWN"
    );
    let failure = ask(address, json!({ "messages": [] }))
        .await
        .expect_err("empty");
    assert_eq!(failure.code, "INPUT_INVALID");
    assert!(seen.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn the_key_does_not_come_back_in_an_answer() {
    let (address, _) = service().await;
    let output = ask(address, say("leak")).await.expect("an answer");
    assert_eq!(output["text"], "the key is [secret model_key]");
}

#[tokio::test]
async fn without_models_only_text_is_rendered() {
    let built = build_with(&Config::default(), SecretSource::default()).expect("built");
    let names: Vec<&str> = built
        .capabilities
        .iter()
        .map(|c| c.contract().name.as_str())
        .collect();
    assert_eq!(names, ["text.render"]);
}

#[tokio::test]
async fn a_model_at_an_unknown_endpoint_is_refused_with_its_place() {
    let yaml = "models:\n  default: { endpoint: nowhere, model: m }\n";
    let config = Config::parse(yaml, Path::new("executor.yaml")).expect("parsed");
    let error = build_with(&config, SecretSource::default())
        .err()
        .expect("refused");
    assert_eq!(
        error.to_string(),
        "executor.yaml:2:24: no endpoint is named `nowhere`"
    );
}
