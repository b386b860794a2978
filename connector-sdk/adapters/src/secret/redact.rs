//! Taking secrets out of whatever leaves the worker.
//!
//! A service may echo a token back in an error, a script may print its environment, a URL may carry a key. Each known
//! secret is therefore looked for as it is and as base64 (both alphabets, at each of the three alignments it can have
//! inside a longer encoded text such as `user:secret`), hexadecimal, percent-encoded and JSON-escaped. This is a net
//! below careful code, not a substitute for it: a service that encrypts or splits a secret gets past it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::zeroize::Zeroizing;
use serde_json::Value;

use super::SecretName;

/// What browsers leave alone in a query, so that a half-encoded secret is recognised too.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
/// Encoded pieces shorter than this would match ordinary text.
const NEEDLE_BYTES_MIN: usize = 5;

/// Replaces known secrets by `[secret NAME]` in text and JSON.
#[derive(Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another is replaced whole.
    needles: Vec<Needle>,
}

struct Needle {
    text: Zeroizing<String>,
    shown_as: String,
}

impl Redactor {
    /// A redactor of the given values.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a SecretName, &'a str)>) -> Self {
        let mut needles = Vec::new();
        for (name, value) in secrets {
            let shown_as = format!("[secret {}]", name.as_str());
            needles.extend(forms(value).into_iter().map(|text| Needle {
                text: Zeroizing::new(text),
                shown_as: shown_as.clone(),
            }));
        }
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.text.len()));
        Self { needles }
    }

    /// `text` without secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        for needle in &self.needles {
            if out.contains(needle.text.as_str()) {
                out = Cow::Owned(out.replace(needle.text.as_str(), &needle.shown_as));
            }
        }
        out
    }

    /// `value` with every string and key in it without secrets.
    pub fn value(&self, value: Value) -> Value {
        if self.needles.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text).into_owned()),
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.value(item)).collect())
            }
            Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(key, member)| (self.text(&key).into_owned(), self.value(member)))
                    .collect(),
            ),
            // A secret of digits only may come back as a number.
            Value::Number(number) => {
                let text = number.to_string();
                match self.text(&text) {
                    Cow::Borrowed(_) => Value::Number(number),
                    Cow::Owned(redacted) => Value::String(redacted),
                }
            }
            Value::Null | Value::Bool(_) => value,
        }
    }
}

fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([
        hex::encode(secret),
        hex::encode_upper(secret),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(secret, QUERY).to_string(),
        secret.replace(' ', "+"),
    ]);
    let quoted = Value::from(secret).to_string();
    forms.insert(quoted[1..quoted.len() - 1].to_owned());
    for offset in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let mut shifted = vec![0_u8; offset];
            shifted.extend_from_slice(secret.as_bytes());
            let encoded = engine.encode(&shifted);
            // The first characters hold bits of what stands before, the last may hold bits of what follows.
            let from = [0, 2, 3][offset];
            let until = encoded.len() - usize::from(shifted.len() % 3 != 0);
            forms.insert(encoded[from..until].to_owned());
        }
    }
    forms.retain(|form| form.len() >= NEEDLE_BYTES_MIN);
    forms.insert(secret.to_owned());
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "s3cr3t/+ \"key\"";

    fn redactor() -> Redactor {
        let name: SecretName = "secret://billing".parse().expect("valid");
        Redactor::new([(&name, SECRET)])
    }

    #[test]
    fn every_plausible_form_is_removed() {
        let padded = base64::engine::general_purpose::STANDARD;
        let mut seen = vec![
            SECRET.to_owned(),
            padded.encode(SECRET),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
            utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string(),
            json!({ "echo": SECRET }).to_string(),
        ];
        for prefix in ["", "u", "us", "use", "user:"] {
            for suffix in ["", "!", "?!"] {
                seen.push(padded.encode(format!("{prefix}{SECRET}{suffix}")));
                seen.push(URL_SAFE_NO_PAD.encode(format!("{prefix}{SECRET}{suffix}")));
            }
        }
        for text in seen {
            let out = redactor().text(&text).into_owned();
            assert!(out.contains("[secret billing]"), "{text} became {out}");
        }
    }

    #[test]
    fn json_is_redacted_in_keys_and_values_and_keeps_its_shape() {
        let out = redactor().value(json!({ "a": [1, true, SECRET], (SECRET): null }));
        assert_eq!(
            out,
            json!({ "a": [1, true, "[secret billing]"], "[secret billing]": null })
        );
    }

    #[test]
    fn a_number_that_is_a_secret_is_removed() {
        let name: SecretName = "secret://pin".parse().expect("valid");
        let out = Redactor::new([(&name, "12345678")]).value(json!([12_345_678, 1]));
        assert_eq!(out, json!(["[secret pin]", 1]));
    }

    #[test]
    fn ordinary_text_is_untouched() {
        assert!(matches!(
            redactor().text("Invoice 17 created"),
            Cow::Borrowed(_)
        ));
    }
}
