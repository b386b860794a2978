//! The configuration of the `http` adapter.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::address::Zone;
use super::status::Outcome;
use crate::config::Period;

/// Largest response body by default, in bytes.
const RESPONSE_BYTES_MAX_DEFAULT: usize = 1024 * 1024;
const CONNECT_TIMEOUT_DEFAULT: Period = Period::seconds(5);

/// An HTTP service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Scheme, host, port and an optional path prefix, as in `https://api.example.com/v2`.
    pub base_url: Spanned<String>,
    /// How to authenticate.
    pub auth: Option<Spanned<AuthConfig>>,
    /// Headers of every request; a value may be a secret reference.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// Zones this endpoint may lie in besides the public internet.
    #[serde(default)]
    pub allow_addresses: Vec<Zone>,
    /// How long connecting may take, TLS included.
    #[serde(default = "connect_timeout_default")]
    pub connect_timeout: Period,
    /// Redirects to follow, only within the same origin; none unless said.
    #[serde(default)]
    pub redirects_max: u8,
    /// A PEM file of certificate authorities to trust besides the system's.
    pub ca_file: Option<Spanned<PathBuf>>,
}

/// How to authenticate: exactly one of the three.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthConfig {
    /// `Authorization: Bearer …`.
    Bearer(Spanned<String>),
    /// `Authorization: Basic …`.
    Basic(BasicConfig),
    /// A header of its own.
    Header(HeaderConfig),
}

/// User name and password.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicConfig {
    /// The user name, in clear.
    pub username: String,
    /// A secret reference.
    pub password: Spanned<String>,
}

/// A header that authenticates, such as `X-Api-Key`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderConfig {
    /// Its name.
    pub name: String,
    /// A secret reference.
    pub value: Spanned<String>,
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The name of the endpoint.
    pub endpoint: Spanned<String>,
    /// The method.
    pub method: MethodName,
    /// A template appended to the endpoint's path; values are encoded as path segments.
    pub path: Spanned<String>,
    /// Query parameters; a value that is null is left out, a list repeats the parameter.
    #[serde(default)]
    pub query: BTreeMap<String, Spanned<Value>>,
    /// Header templates.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// A JSON body, its strings templates.
    pub json: Option<Spanned<Value>>,
    /// A form body, its strings templates.
    pub form: Option<Spanned<BTreeMap<String, Value>>>,
    /// What a status means, by number (`"409"`) or group (`"4xx"`), before the defaults.
    #[serde(default)]
    pub statuses: BTreeMap<String, Spanned<Outcome>>,
    /// The header that carries the effect key when the idempotency is `keyed`.
    /// `Idempotency-Key` when absent.
    pub idempotency_header: Option<Spanned<String>>,
    /// The output, its strings templates over `status`, `headers`, `body` and `input`; the body when absent.
    pub output: Option<Spanned<Value>>,
    /// Largest response body, in bytes.
    #[serde(default = "response_bytes_max_default")]
    pub response_bytes_max: usize,
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MethodName {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl From<MethodName> for reqwest::Method {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::Get => Self::GET,
            MethodName::Head => Self::HEAD,
            MethodName::Post => Self::POST,
            MethodName::Put => Self::PUT,
            MethodName::Patch => Self::PATCH,
            MethodName::Delete => Self::DELETE,
        }
    }
}

fn connect_timeout_default() -> Period {
    CONNECT_TIMEOUT_DEFAULT
}

fn response_bytes_max_default() -> usize {
    RESPONSE_BYTES_MAX_DEFAULT
}
