//! Reading the response: bounded, and Retry-After in both its forms.

use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde_json::{Map, Value};

/// Longest wait a service can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A body that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body broke off: {0}")]
    Broken(#[source] reqwest::Error),
    #[error("the body says it is JSON and is not: {0}")]
    NotJson(#[source] serde_json::Error),
}

/// Reads at most `bytes_max` of the body.
pub(super) async fn read(response: &mut Response, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).unwrap_or(usize::MAX) > bytes_max {
        return Err(BodyError::TooLarge(bytes_max));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(BodyError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The body as a value: JSON when the service says so, null when empty, else text.
pub(super) fn value(headers: &HeaderMap, body: &[u8]) -> Result<Value, BodyError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        })
        .is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"));
    match is_json {
        true => serde_json::from_slice(body).map_err(BodyError::NotJson),
        false => Ok(Value::String(String::from_utf8_lossy(body).into_owned())),
    }
}

/// The headers as a map of lower-case names; of a repeated header the first.
pub(super) fn header_map(headers: &HeaderMap) -> Value {
    let mut map = Map::new();
    for name in headers.keys() {
        if let Some(text) = headers.get(name).and_then(|value| value.to_str().ok()) {
            map.insert(name.as_str().to_owned(), Value::from(text));
        }
    }
    Value::Object(map)
}

/// How long `Retry-After` asks to wait, given in seconds or as a date; at most a day.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn asked(text: &'static str, now: SystemTime) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        retry_after(&headers, now)
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").expect("a date");
        assert_eq!(asked("120", now), Some(Duration::from_secs(120)));
        assert_eq!(
            asked("Wed, 21 Oct 2026 07:28:30 GMT", now),
            Some(Duration::from_secs(30))
        );
    }

    #[test]
    fn a_date_in_the_past_means_now_and_nonsense_means_nothing() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").expect("a date");
        assert_eq!(
            asked("Wed, 21 Oct 2015 07:28:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(asked("soon", now), None);
        assert_eq!(asked("99999999999", now), Some(RETRY_AFTER_MAX));
    }
}
