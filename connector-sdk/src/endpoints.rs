//! Where controllers are.

use std::str::FromStr;

use http::Uri;

use crate::channel::ConnectError;

/// Addresses of controllers, any of which may serve any call: at least one. Read from `https://host:port`, or
/// several of these with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints(Vec<Uri>);

impl Endpoints {
    pub(crate) fn as_slice(&self) -> &[Uri] {
        &self.0
    }
}

impl FromStr for Endpoints {
    type Err = ConnectError;

    fn from_str(text: &str) -> Result<Self, ConnectError> {
        let endpoints = text.split(',').map(|part| endpoint(part.trim()));
        endpoints.collect::<Result<_, _>>().map(Self)
    }
}

fn endpoint(text: &str) -> Result<Uri, ConnectError> {
    let wrong = || ConnectError::Endpoint {
        endpoint: text.to_owned(),
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    if uri.scheme_str() != Some("https") || uri.host().is_none() {
        return Err(wrong());
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_addresses_are_accepted() {
        let count = |text: &str| text.parse::<Endpoints>().map(|read| read.0.len()).ok();
        assert_eq!(count("https://localhost:7443"), Some(1));
        assert_eq!(count("https://[::1]:7443"), Some(1));
        assert_eq!(count("https://a:7443, https://b:7443"), Some(2));
        for wrong in [
            "localhost:7443",
            "http://localhost:7443",
            "",
            "https://",
            "https://a:7443,",
            "https://a:7443 https://b:7443",
        ] {
            assert_eq!(count(wrong), None, "{wrong}");
        }
    }
}
