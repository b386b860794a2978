//! `text.render`: text from a template and values.

use std::time::Duration;

use fulcrum_adapters::template::{Escape, Scope, ScopeNames, TextTemplate};
use fulcrum_sdk::{Capability, Context, Contract, EffectClass, Failure, Sent, capability};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const TIMEOUT: Duration = Duration::from_secs(10);

/// What `text.render` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenderInput {
    /// A minijinja template, at most 256 KiB. A value that is missing or null is an error, never an empty string.
    pub template: String,
    /// The names the template uses, and their values.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// What happens to values in the text.
    #[serde(default)]
    pub escape: Escaping,
}

/// What happens to values in the text.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Escaping {
    /// Nothing.
    #[default]
    None,
    /// They are escaped as text of an HTML document.
    Html,
}

/// What `text.render` gives.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RenderOutput {
    /// The text.
    pub text: String,
}

/// The capability.
pub fn text_render() -> impl Capability {
    let contract = Contract::new("text.render", EffectClass::Read)
        .description("Renders a template with values to text.")
        .timeout(TIMEOUT);
    capability(contract, render)
}

async fn render(_ctx: Context, input: RenderInput) -> Result<RenderOutput, Failure> {
    // Fuel bounds it, but even so it may take longer than a thread that serves others should be held.
    let rendered = tokio::task::spawn_blocking(move || {
        let escape = match input.escape {
            Escaping::None => Escape::None,
            Escaping::Html => Escape::Html,
        };
        TextTemplate::parse(&input.template, ScopeNames::ANY, escape)?
            .render(&Scope::new(&input.values))
    });
    match rendered.await {
        Ok(Ok(text)) => Ok(RenderOutput { text }),
        Ok(Err(error)) => Err(Failure::fatal("TEMPLATE_INVALID", error.to_string()).sent(Sent::No)),
        Err(broken) => {
            let message = format!("the rendering broke off: {broken}");
            Err(Failure::transient("RENDER_BROKEN", message).sent(Sent::No))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn call(input: Value) -> Result<Value, Failure> {
        text_render().call(&Context::detached("key"), input).await
    }

    #[tokio::test]
    async fn a_template_is_rendered_with_its_values() {
        let output = call(json!({
            "template": "Dear {{ name }},{% for p in plans %} {{ p }}{% endfor %}",
            "values": { "name": "Ada & Co", "plans": ["a", 2] }
        }));
        assert_eq!(output.await, Ok(json!({ "text": "Dear Ada & Co, a 2" })));
        let html =
            json!({ "template": "<b>{{ n }}</b>", "values": { "n": "A & <B>" }, "escape": "html" });
        assert_eq!(
            call(html).await,
            Ok(json!({ "text": "<b>A &amp; &lt;B&gt;</b>" }))
        );
    }

    #[tokio::test]
    async fn a_missing_value_a_broken_template_and_an_endless_one_are_fatal() {
        for template in [
            "{{ missing }}",
            "{% if %}",
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
            "{% include 'secret' %}",
        ] {
            let failure = call(json!({ "template": template }))
                .await
                .expect_err(template);
            assert_eq!(failure.code, "TEMPLATE_INVALID", "{template}");
            assert_eq!(failure.sent, Sent::No);
        }
    }

    #[tokio::test]
    async fn an_unknown_field_is_refused() {
        let failure = call(json!({ "template": "x", "vals": {} })).await;
        assert_eq!(failure.expect_err("refused").code, "INPUT_INVALID");
    }
}
