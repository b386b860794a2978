//! A service: its client, its base address, the headers of every request.

use std::net::IpAddr;
use std::path::Path;

use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_saphyr::Spanned;

use super::address::{AllowedZones, GuardedResolver};
use super::config::{AuthConfig, EndpointConfig};
use crate::config::Problems;
use crate::secret::{SecretName, Vault};

const USER_AGENT: &str = concat!("fulcrum-connector/", env!("CARGO_PKG_VERSION"));

/// A service that requests can be made to.
pub struct Endpoint {
    name: String,
    pub(super) client: Client,
    pub(super) base: Url,
    /// Sent with every request, authentication among them and marked sensitive.
    pub(super) headers: HeaderMap,
}

impl Endpoint {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the client. What is wrong is noted in `problems`; `directory` is where relative paths start.
    pub fn build(
        name: &str,
        config: &Spanned<EndpointConfig>,
        directory: &Path,
        vault: &mut Vault,
        problems: &mut Problems,
    ) -> Option<Self> {
        let EndpointConfig {
            base_url,
            auth,
            headers: configured,
            allow_addresses,
            connect_timeout,
            redirects_max,
            ca_file,
        } = &config.value;
        let allowed = AllowedZones::new(allow_addresses.iter().copied());
        let base = problems.keep(base_url, base_of(&base_url.value, &allowed));

        let mut headers = HeaderMap::new();
        for (header, value) in configured {
            if let Some((header, value)) = header_of(header, value, vault, problems) {
                headers.insert(header, value);
            }
        }
        if let Some(auth) = auth
            && let Some((header, value)) = auth_header(auth, vault, problems)
        {
            headers.insert(header, value);
        }

        let authorities = match ca_file {
            None => Vec::new(),
            Some(file) => {
                let read = std::fs::read(directory.join(&file.value))
                    .map_err(|error| format!("cannot read {}: {error}", file.value.display()))
                    .and_then(|pem| Certificate::from_pem_bundle(&pem).map_err(|e| e.to_string()));
                problems.keep(file, read)?
            }
        };
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .referer(false)
            .redirect(same_origin(usize::from(*redirects_max)))
            .connect_timeout(connect_timeout.duration())
            .dns_resolver(GuardedResolver::new(allowed))
            .tls_certs_merge(authorities)
            .build()
            .map_err(|error| format!("cannot make an HTTP client: {error}"));
        Some(Self {
            name: name.to_owned(),
            client: problems.keep(config, client)?,
            base: base?,
            headers,
        })
    }
}

fn base_of(text: &str, allowed: &AllowedZones) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{text}` is not an http or https URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "`{text}`: write the query under the capability's `query`"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a base_url must not hold a password; use `auth` with a secret reference".to_owned(),
        );
    }
    // An address written as such is never resolved, so it is checked here.
    let host = url.host_str().unwrap_or_default();
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        allowed.check(address).map_err(|error| error.to_string())?;
    }
    Ok(url)
}

fn auth_header(
    auth: &Spanned<AuthConfig>,
    vault: &mut Vault,
    problems: &mut Problems,
) -> Option<(HeaderName, HeaderValue)> {
    match &auth.value {
        AuthConfig::Bearer(token) => {
            let token = reveal(token, vault, problems)?;
            let value = sensitive(&format!("Bearer {}", token.expose_secret()));
            Some((AUTHORIZATION, problems.keep(auth, value)?))
        }
        AuthConfig::Basic(basic) => {
            let password = reveal(&basic.password, vault, problems)?;
            let pair = format!("{}:{}", basic.username, password.expose_secret());
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            let value = sensitive(&format!("Basic {encoded}"));
            Some((AUTHORIZATION, problems.keep(auth, value)?))
        }
        AuthConfig::Header(header) => {
            let name = problems.keep(auth, header_name(&header.name))?;
            let secret = reveal(&header.value, vault, problems)?;
            let value = sensitive(secret.expose_secret());
            Some((name, problems.keep(auth, value)?))
        }
    }
}

fn header_of(
    name: &str,
    value: &Spanned<String>,
    vault: &mut Vault,
    problems: &mut Problems,
) -> Option<(HeaderName, HeaderValue)> {
    let name = problems.keep(value, header_name(name))?;
    let made = match problems.keep(value, SecretName::in_text(&value.value))? {
        Some(_) => sensitive(reveal(value, vault, problems)?.expose_secret()),
        None => HeaderValue::from_str(&value.value)
            .map_err(|_| "a header's value is visible ASCII text".to_owned()),
    };
    Some((name, problems.keep(value, made)?))
}

fn reveal(
    reference: &Spanned<String>,
    vault: &mut Vault,
    problems: &mut Problems,
) -> Option<SecretString> {
    let name = problems.keep(reference, reference.value.parse::<SecretName>())?;
    problems.keep(reference, vault.reveal(&name))
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not the name of a header"))
}

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "the secret has characters that a header cannot carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Follows redirects within one origin only, so that headers that authenticate stay where they belong.
fn same_origin(redirects_max: usize) -> redirect::Policy {
    if redirects_max == 0 {
        return redirect::Policy::none();
    }
    redirect::Policy::custom(move |attempt| {
        let first = attempt.previous().first().map(Url::origin);
        let stays = first == Some(attempt.url().origin());
        if stays && attempt.previous().len() <= redirects_max {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}
