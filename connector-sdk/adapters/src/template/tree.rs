//! Templates that make JSON.

use minijinja::Environment;
use serde_json::{Map, Value};

use super::engine::{TEMPLATE_BYTES_MAX, TemplateError, environment, reason, shown};
use super::{Escape, Scope, ScopeNames, TextTemplate};

/// A JSON value whose strings are templates. A string that is exactly one `{{ expression }}` becomes the expression's
/// value with its type; any other string becomes text.
pub struct TreeTemplate(Node);

enum Node {
    Literal(Value),
    Text(Box<TextTemplate>),
    Expression(Box<Expression>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

struct Expression {
    environment: Environment<'static>,
    source: String,
}

impl TreeTemplate {
    /// Parses `value`, whose templates may use `names`.
    ///
    /// # Errors
    /// When a string in it is not a template or uses another name.
    pub fn parse(value: &Value, names: ScopeNames) -> Result<Self, TemplateError> {
        Node::parse(value, names).map(Self)
    }

    /// The value for `scope`.
    ///
    /// # Errors
    /// When a template in it does not render.
    pub fn render(&self, scope: &Scope) -> Result<Value, TemplateError> {
        self.0.render(scope)
    }
}

impl Node {
    fn parse(value: &Value, names: ScopeNames) -> Result<Self, TemplateError> {
        match value {
            Value::String(source) => Self::parse_string(source, names),
            Value::Array(items) => items
                .iter()
                .map(|item| Self::parse(item, names))
                .collect::<Result<_, _>>()
                .map(Self::List),
            Value::Object(members) => members
                .iter()
                .map(|(key, member)| Ok((key.clone(), Self::parse(member, names)?)))
                .collect::<Result<_, _>>()
                .map(Self::Map),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Self::Literal(value.clone())),
        }
    }

    fn parse_string(source: &str, names: ScopeNames) -> Result<Self, TemplateError> {
        if !source.contains("{{") && !source.contains("{%") && !source.contains("{#") {
            return Ok(Self::Literal(Value::from(source)));
        }
        match Expression::parse(source, names)? {
            Some(expression) => Ok(Self::Expression(Box::new(expression))),
            None => TextTemplate::parse(source, names, Escape::None)
                .map(|text| Self::Text(Box::new(text))),
        }
    }

    fn render(&self, scope: &Scope) -> Result<Value, TemplateError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Text(text) => text.render(scope).map(Value::String),
            Self::Expression(expression) => expression.value(scope),
            Self::List(nodes) => nodes
                .iter()
                .map(|node| node.render(scope))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Self::Map(nodes) => {
                let mut members = Map::new();
                for (key, node) in nodes {
                    members.insert(key.clone(), node.render(scope)?);
                }
                Ok(Value::Object(members))
            }
        }
    }
}

impl Expression {
    /// `None` when `source` is not one whole expression but text around or between several.
    fn parse(source: &str, names: ScopeNames) -> Result<Option<Self>, TemplateError> {
        let inner = source
            .trim()
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"));
        let Some(inner) = inner.filter(|inner| inner.len() <= TEMPLATE_BYTES_MAX) else {
            return Ok(None);
        };
        let environment = environment();
        let used = match environment.compile_expression(inner) {
            Ok(expression) => expression.undeclared_variables(false),
            // `{{ a }} and {{ b }}` also begins and ends like an expression; as text it parses or says why not.
            Err(_) => return Ok(None),
        };
        names.check(source, used)?;
        Ok(Some(Self {
            environment,
            source: inner.to_owned(),
        }))
    }

    fn value(&self, scope: &Scope) -> Result<Value, TemplateError> {
        let unrenderable = |reason: String| TemplateError::Unrenderable {
            shown: shown(&self.source),
            reason,
        };
        let value = self
            .environment
            .compile_expression(&self.source)
            .and_then(|expression| expression.eval(scope.value()))
            .map_err(|error| unrenderable(reason(&error)))?;
        if value.is_undefined() {
            return Err(unrenderable("the value is undefined".to_owned()));
        }
        serde_json::to_value(&value).map_err(|error| unrenderable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: Value, input: Value) -> Result<Value, TemplateError> {
        TreeTemplate::parse(&template, ScopeNames::CALL)?
            .render(&Scope::new(&json!({ "input": input })))
    }

    #[test]
    fn a_whole_expression_keeps_its_type_and_text_stays_text() {
        let out = render(
            json!({ "n": "{{ input.n }}", "o": "{{ input.o }}", "t": "n={{ input.n }}", "k": [1, null, true] }),
            json!({ "n": 7, "o": { "a": [1.5] } }),
        );
        assert_eq!(
            out.expect("rendered"),
            json!({ "n": 7, "o": { "a": [1.5] }, "t": "n=7", "k": [1, null, true] })
        );
    }

    #[test]
    fn two_expressions_are_text() {
        let out = render(
            json!("{{ input.a }} and {{ input.b }}"),
            json!({ "a": 1, "b": 2 }),
        );
        assert_eq!(out.expect("rendered"), json!("1 and 2"));
    }

    #[test]
    fn null_passes_through_as_null_and_undefined_does_not() {
        assert_eq!(
            render(json!("{{ input.a }}"), json!({ "a": null })).expect("null"),
            json!(null)
        );
        assert!(render(json!("{{ input.b }}"), json!({ "a": null })).is_err());
    }

    #[test]
    fn a_value_that_looks_like_a_template_is_not_rendered_again() {
        let out = render(
            json!({ "x": "{{ input.a }}" }),
            json!({ "a": "{{ effect_key }}" }),
        );
        assert_eq!(out.expect("rendered"), json!({ "x": "{{ effect_key }}" }));
    }

    #[test]
    fn a_broken_template_is_refused_when_parsed() {
        assert!(TreeTemplate::parse(&json!(["{{ input. }}"]), ScopeNames::CALL).is_err());
    }
}
