//! The reference to a secret: `secret://name`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

const SCHEME: &str = "secret://";

/// Longest name of a secret, in bytes.
const SECRET_NAME_BYTES_MAX: usize = 64;

/// The name of a secret, written in a configuration as `secret://name`.
///
/// Names are lower-case ASCII letters, digits, `_`, `-` and `.`, and begin with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretName(String);

/// A string that should have been a secret reference and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretNameError {
    /// The `secret://` prefix is missing: most likely the secret itself was written into the file.
    #[error("write a reference like `secret://name` here, never the secret itself")]
    NotAReference,
    /// The name has characters that cannot be a file name and an environment variable alike.
    #[error(
        "a secret's name is 1 to {SECRET_NAME_BYTES_MAX} of a-z, 0-9, `_`, `-`, `.` and begins with a letter or digit"
    )]
    BadName,
}

impl SecretName {
    /// The bare name, without the scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The environment variable that may hold this secret: `FULCRUM_SECRET_` and the name in capitals, with `_` for
    /// `-` and `.`.
    pub fn variable(&self) -> String {
        let mut variable = String::from(super::vault::VARIABLE_PREFIX);
        variable.extend(self.0.chars().map(|c| match c {
            '-' | '.' => '_',
            other => other.to_ascii_uppercase(),
        }));
        variable
    }

    /// Reads `text` as a reference, or says that it is ordinary text.
    ///
    /// # Errors
    /// When `text` has the `secret://` prefix and a name that is not allowed.
    pub fn in_text(text: &str) -> Result<Option<Self>, SecretNameError> {
        match text.starts_with(SCHEME) {
            true => text.parse().map(Some),
            false => Ok(None),
        }
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let name = text
            .strip_prefix(SCHEME)
            .ok_or(SecretNameError::NotAReference)?;
        let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let made_well = name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'));
        if begins_well && made_well && name.len() <= SECRET_NAME_BYTES_MAX {
            Ok(Self(name.to_owned()))
        } else {
            Err(SecretNameError::BadName)
        }
    }
}

impl TryFrom<String> for SecretName {
    type Error = SecretNameError;

    fn try_from(text: String) -> Result<Self, SecretNameError> {
        text.parse()
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_its_variable() {
        let name: SecretName = "secret://crm.api-token".parse().expect("valid");
        assert_eq!(name.variable(), "FULCRUM_SECRET_CRM_API_TOKEN");
    }

    #[test]
    fn a_literal_secret_in_the_file_is_refused() {
        assert_eq!(
            "sk_live_123".parse::<SecretName>(),
            Err(SecretNameError::NotAReference)
        );
    }

    #[test]
    fn a_name_cannot_leave_the_secrets_directory() {
        for bad in [
            "secret://../etc/passwd",
            "secret://.hidden",
            "secret://a/b",
            "secret://",
        ] {
            assert_eq!(
                bad.parse::<SecretName>(),
                Err(SecretNameError::BadName),
                "{bad}"
            );
        }
    }
}
