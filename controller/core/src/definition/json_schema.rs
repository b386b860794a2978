//! JSON Schemas from outside: compiled without reaching beyond the document, with patterns that cannot run away.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// What is wrong with a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaProblem {
    /// Where in the schema, in the form of definition paths: `properties.email.type`; empty for the whole.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Nesting of a schema; validators are built recursively.
const SCHEMA_DEPTH_MAX: u32 = 64;
/// Memory of one compiled `pattern`, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Compiles a schema.
///
/// # Errors
/// It is not a JSON Schema, it is nested too deeply, a `$ref` leads out of the document (`file:`, `http:`: nothing is
/// ever fetched), or a `pattern` needs look-around or back-references, which take exponential time.
pub fn validator(schema: &Value) -> Result<Validator, SchemaProblem> {
    local(schema, "", SCHEMA_DEPTH_MAX)?;
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX);
    jsonschema::options()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| SchemaProblem {
            path: dotted(error.instance_path().as_str()),
            message: format!("this is not a JSON Schema: {error}"),
        })
}

/// Every `$ref` must stay inside: `#…`.
fn local(schema: &Value, path: &str, depth: u32) -> Result<(), SchemaProblem> {
    let problem = |message: String| {
        Err(SchemaProblem {
            path: path.to_owned(),
            message,
        })
    };
    let Some(depth) = depth.checked_sub(1) else {
        return problem(format!("the schema nests deeper than {SCHEMA_DEPTH_MAX}"));
    };
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                let inner = crate::definition::source::join(path, key);
                if matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef")
                    && let Some(target) = value.as_str()
                    && !target.starts_with('#')
                {
                    let message =
                        format!("`{target}` is outside this schema; only `#/…` can be referred to");
                    return Err(SchemaProblem {
                        path: inner,
                        message,
                    });
                }
                local(value, &inner, depth)?;
            }
            Ok(())
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| local(item, &format!("{path}[{i}]"), depth)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// A JSON pointer as a definition path: `/a/0/b` is `a[0].b`.
pub(crate) fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
            path = format!("{path}[{part}]");
        } else {
            path = crate::definition::source::join(&path, &part);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(schema: &Value) -> SchemaProblem {
        validator(schema).err().unwrap()
    }

    #[test]
    fn a_schema_cannot_reach_outside() {
        let file = json!({"properties": {"x": {"$ref": "file:///etc/passwd"}}});
        assert_eq!(problem(&file).path, "properties.x.$ref");
        assert!(validator(&json!({"$ref": "http://example.org/schema"})).is_err());
        assert!(validator(&json!({"$ref": "other.json"})).is_err());
        assert!(
            validator(&json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})).is_ok()
        );
    }

    #[test]
    fn patterns_run_in_linear_time_or_not_at_all() {
        assert!(validator(&json!({"pattern": "(a+)+$"})).is_ok());
        assert!(validator(&json!({"pattern": "(?=a)b"})).is_err());
        assert!(validator(&json!({"pattern": "(a)\\1"})).is_err());
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        assert_eq!(problem(&json!({"type": "strng"})).path, "type");
        assert_eq!(
            problem(&json!({"properties": {"x": {"minimum": "a"}}})).path,
            "properties.x.minimum"
        );
        let deep = (0..100).fold(json!({}), |inner, _| json!({"not": inner}));
        assert!(problem(&deep).message.contains("deeper"));
    }

    #[test]
    fn pointers_become_paths() {
        assert_eq!(dotted(""), "");
        assert_eq!(dotted("/a/0/b~1c"), "a[0].b/c");
    }
}
