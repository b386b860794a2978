//! Templates that make text.

use minijinja::{Environment, Error, ErrorKind, HtmlEscape};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::engine::{TEMPLATE_BYTES_MAX, TemplateError, environment, printed, reason, shown};
use super::{Scope, ScopeNames};

const NAME: &str = "t";
/// RFC 3986 `unreserved`: everything else in a value is encoded, so a value can never add a segment or a query.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What happens to a value when it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Nothing.
    None,
    /// Percent-encoded as one segment of a URL's path.
    PathSegment,
    /// Escaped as text of an HTML document.
    Html,
}

/// A parsed template that makes text.
pub struct TextTemplate {
    environment: Environment<'static>,
    source: String,
}

impl TextTemplate {
    /// Parses `source`, which may use `names`.
    ///
    /// # Errors
    /// When it is too long, does not parse, or uses another name.
    pub fn parse(source: &str, names: ScopeNames, escape: Escape) -> Result<Self, TemplateError> {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::Invalid {
                shown: shown(source),
                reason: format!("longer than {TEMPLATE_BYTES_MAX} bytes"),
            });
        }
        let mut environment = environment();
        environment.set_formatter(move |out, _state, value| {
            let text = printed(value)?;
            let written = match escape {
                Escape::None => out.write_str(&text),
                Escape::PathSegment => {
                    out.write_fmt(format_args!("{}", utf8_percent_encode(&text, SEGMENT)))
                }
                Escape::Html => out.write_fmt(format_args!("{}", HtmlEscape(&text))),
            };
            written.map_err(|_| Error::from(ErrorKind::WriteFailure))
        });
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError::Invalid {
                shown: shown(source),
                reason: reason(&error),
            })?;
        let used = environment
            .get_template(NAME)
            .map(|template| template.undeclared_variables(false))
            .unwrap_or_default();
        names.check(source, used)?;
        Ok(Self {
            environment,
            source: source.to_owned(),
        })
    }

    /// The text for `scope`.
    ///
    /// # Errors
    /// When a value is missing or null, or the rendering runs out of fuel.
    pub fn render(&self, scope: &Scope) -> Result<String, TemplateError> {
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(scope.value()))
            .map_err(|error| TemplateError::Unrenderable {
                shown: shown(&self.source),
                reason: reason(&error),
            })
    }

    /// The text the template was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(
        source: &str,
        escape: Escape,
        input: serde_json::Value,
    ) -> Result<String, TemplateError> {
        TextTemplate::parse(source, ScopeNames::CALL, escape)?
            .render(&Scope::new(&json!({ "input": input })))
    }

    #[test]
    fn a_missing_value_is_an_error_and_not_an_empty_string() {
        let error = render("Dear {{ input.name }}", Escape::None, json!({})).expect_err("missing");
        assert!(error.to_string().contains("undefined"), "{error}");
    }

    #[test]
    fn null_is_never_printed() {
        let error = render(
            "Dear {{ input.name }}",
            Escape::None,
            json!({ "name": null }),
        )
        .expect_err("null");
        assert!(error.to_string().contains("null"), "{error}");
        let text = render(
            "Dear {{ input.name or 'customer' }}",
            Escape::None,
            json!({ "name": null }),
        );
        assert_eq!(text.expect("default"), "Dear customer");
    }

    #[test]
    fn a_name_that_nothing_provides_is_refused_when_parsed() {
        let error = TextTemplate::parse("{{ inptu.name }}", ScopeNames::CALL, Escape::None)
            .err()
            .expect("unknown name");
        assert!(error.to_string().contains("`inptu`"), "{error}");
    }

    #[test]
    fn a_value_stays_inside_its_path_segment() {
        let path = render(
            "/users/{{ input.id }}/card",
            Escape::PathSegment,
            json!({ "id": "a/../b?c=d" }),
        );
        assert_eq!(path.expect("rendered"), "/users/a%2F..%2Fb%3Fc%3Dd/card");
    }

    #[test]
    fn a_template_that_never_ends_runs_out_of_fuel() {
        let endless =
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        let error = render(endless, Escape::None, json!({})).expect_err("out of fuel");
        assert!(error.to_string().contains("fuel"), "{error}");
    }
}
