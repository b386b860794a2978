//! Making the request from the templates.

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::config::HttpConfig;
use super::endpoint::{Endpoint, header_name};
use crate::config::Problems;
use crate::template::{Escape, Scope, ScopeNames, TemplateError, TextTemplate, TreeTemplate};

/// The templates of a request.
pub(super) struct RequestTemplate {
    method: Method,
    path: TextTemplate,
    query: Vec<(String, TreeTemplate)>,
    headers: Vec<(HeaderName, TextTemplate)>,
    body: Body,
}

enum Body {
    None,
    Json(TreeTemplate),
    Form(Vec<(String, TreeTemplate)>),
}

/// A request that this input cannot make.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the path `{0}` would leave the endpoint: a segment of it is `.` or `..`")]
    LeavesEndpoint(String),
    #[error("header {0} would hold characters that a header cannot carry")]
    BadHeader(HeaderName),
    #[error(
        "parameter `{0}` is a map; a parameter is text, a number, a boolean, null or a list of those"
    )]
    BadParameter(String),
}

impl RequestTemplate {
    /// Parses the templates of `config`; what is wrong is noted.
    pub(super) fn parse(config: &HttpConfig, problems: &mut Problems) -> Option<Self> {
        let names = ScopeNames::CALL;
        let path = problems.keep(
            &config.path,
            TextTemplate::parse(&config.path.value, names, Escape::PathSegment),
        );
        if config.path.value.contains(['?', '#']) {
            problems.note(
                &config.path,
                "write the query under `query`, so that its values are encoded",
            );
        }
        let mut query = Vec::new();
        for (name, value) in &config.query {
            let parsed = problems.keep(value, TreeTemplate::parse(&value.value, names))?;
            query.push((name.clone(), parsed));
        }
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let name = problems.keep(value, header_name(name))?;
            let parsed = TextTemplate::parse(&value.value, names, Escape::None);
            headers.push((name, problems.keep(value, parsed)?));
        }
        let body = match (&config.json, &config.form) {
            (None, None) => Body::None,
            (Some(json), None) => {
                Body::Json(problems.keep(json, TreeTemplate::parse(&json.value, names))?)
            }
            (None, Some(form)) => {
                let mut fields = Vec::new();
                for (name, value) in &form.value {
                    let parsed = problems.keep(form, TreeTemplate::parse(value, names))?;
                    fields.push((name.clone(), parsed));
                }
                Body::Form(fields)
            }
            (Some(_), Some(form)) => {
                problems.note(form, "a request has one body: `json` or `form`");
                return None;
            }
        };
        Some(Self {
            method: config.method.into(),
            path: path?,
            query,
            headers,
            body,
        })
    }

    /// The request to `endpoint` for `scope`.
    pub(super) fn render(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
    ) -> Result<Request, RequestError> {
        let mut url = endpoint.base.clone();
        let path = join(endpoint.base.path(), &self.path.render(scope)?)?;
        url.set_path(&path);
        add_parameters(&mut url, &self.query, scope)?;

        let mut request = Request::new(self.method.clone(), url);
        *request.headers_mut() = endpoint.headers.clone();
        for (name, template) in &self.headers {
            let value = HeaderValue::from_str(&template.render(scope)?)
                .map_err(|_| RequestError::BadHeader(name.clone()))?;
            request.headers_mut().insert(name.clone(), value);
        }
        let (content_type, body) = match &self.body {
            Body::None => return Ok(request),
            Body::Json(template) => ("application/json", template.render(scope)?.to_string()),
            Body::Form(fields) => ("application/x-www-form-urlencoded", form(fields, scope)?),
        };
        request
            .headers_mut()
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(content_type));
        *request.body_mut() = Some(body.into());
        Ok(request)
    }
}

/// Joins the endpoint's prefix and the rendered path. Dot segments, plain or encoded, are refused: a URL parser would
/// resolve them and leave the prefix.
pub(super) fn join(prefix: &str, path: &str) -> Result<String, RequestError> {
    let dotted = path.split('/').any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    });
    if dotted || path.contains('\\') {
        return Err(RequestError::LeavesEndpoint(path.to_owned()));
    }
    let prefix = prefix.trim_end_matches('/');
    Ok(match path.strip_prefix('/') {
        Some(rest) => format!("{prefix}/{rest}"),
        None if path.is_empty() => prefix.to_owned(),
        None => format!("{prefix}/{path}"),
    })
}

fn form(fields: &[(String, TreeTemplate)], scope: &Scope) -> Result<String, RequestError> {
    // A form is written like a query, and the URL type knows how to write one.
    let mut url = Url::parse("form:").expect("`form:` is a URL");
    add_parameters(&mut url, fields, scope)?;
    Ok(url.query().unwrap_or_default().to_owned())
}

fn add_parameters(
    url: &mut Url,
    parameters: &[(String, TreeTemplate)],
    scope: &Scope,
) -> Result<(), RequestError> {
    let mut pairs = Vec::new();
    for (name, template) in parameters {
        match template.render(scope)? {
            Value::Array(items) => {
                for item in items {
                    push(&mut pairs, name, item)?;
                }
            }
            single => push(&mut pairs, name, single)?,
        }
    }
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(())
}

fn push(pairs: &mut Vec<(String, String)>, name: &str, value: Value) -> Result<(), RequestError> {
    let text = match value {
        Value::Null => return Ok(()),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text,
        Value::Array(_) | Value::Object(_) => {
            return Err(RequestError::BadParameter(name.to_owned()));
        }
    };
    pairs.push((name.to_owned(), text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_and_path_are_joined_with_one_slash() {
        for (prefix, path, joined) in [
            ("/", "/invoices", "/invoices"),
            ("/v2", "invoices", "/v2/invoices"),
            ("/v2/", "/invoices", "/v2/invoices"),
            ("/v2", "", "/v2"),
        ] {
            assert_eq!(join(prefix, path).expect("joined"), joined);
        }
    }

    #[test]
    fn a_dot_segment_is_refused_in_any_spelling() {
        for path in ["/a/../b", "/a/%2e%2E", "..", "/./a", "/a\\..\\b"] {
            assert!(join("/v2", path).is_err(), "{path}");
        }
    }
}
