//! `--print-config`: the configuration in effect, with secrets masked.

use figment::value::{Dict, Value};

use super::load::{ConfigError, Sources, figment};

/// Keys whose values are never printed.
const SECRETS: [(&str, &str); 2] = [("database", "url"), ("blobs", "secret_access_key")];

/// The configuration in effect as TOML.
///
/// # Errors
/// When a source cannot be read.
pub fn print(sources: &Sources) -> Result<String, ConfigError> {
    // What would not start is not printed as if it would.
    super::load(sources)?;
    let mut dict: Dict = figment(sources)?
        .extract()
        .map_err(|error| ConfigError::Unreadable(vec![error.to_string()]))?;
    for (section, key) in SECRETS {
        if let Some(Value::Dict(_, section)) = dict.get_mut(section)
            && let Some(secret) = section.get_mut(key)
        {
            *secret = Value::from("********");
        }
    }
    toml::to_string(&dict).map_err(|error| ConfigError::Unreadable(vec![error.to_string()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        let mut sources = Sources::default();
        sources.flags.push((
            "database.url".to_owned(),
            "postgres://u:hunter2@h/d".to_owned(),
        ));
        sources
            .flags
            .push(("blobs.secret_access_key".to_owned(), "hunter2".to_owned()));
        let printed = print(&sources).expect("prints");
        assert!(printed.contains("url = \"********\""), "{printed}");
        assert!(!printed.contains("hunter2"));
    }
}
