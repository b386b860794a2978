//! The JSON Schema of the language, for editors: completion, hovers and squiggles while a definition is written.
//!
//! It says what a key is and where it belongs. What it cannot say (whether a step exists, whether an expression
//! parses) is [`check`](crate::definition::check)'s. A test keeps `docs/schema/workflow.schema.json` the same as this,
//! another keeps its keys the same as the parser's, and whatever the parser accepts in tests must be valid here.

use serde_json::{Value, json};

/// Where editors find it.
pub const SCHEMA_ID: &str = "https://fulcrum-os.github.io/fulcrum/schema/workflow.schema.json";

/// The schema, in JSON Schema 2020-12.
#[must_use]
pub fn workflow_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Fulcrum workflow",
        "description": "A workflow definition. Texts may hold CEL expressions in ${ … }.",
        "type": "object",
        "required": ["workflow", "steps"],
        "additionalProperties": false,
        "properties": {
            "language": { "const": 1, "description": "Language version." },
            "workflow": {
                "type": "string", "maxLength": 128, "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
                "description": "The workflow's name: lower-case words joined by `-`."
            },
            "description": { "type": "string", "description": "For people." },
            "input": {
                "$ref": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "description": "JSON Schema of the input. Anything goes when absent."
            },
            "steps": { "$ref": "#/$defs/steps", "description": "The body, one step after the other." },
            "output": { "description": "The run's output, computed when the body has completed; null when absent." }
        },
        "$defs": defs()
    })
}

fn defs() -> Value {
    json!({
        "steps": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/step" } },
        "step": step(),
        "expression": { "type": "string", "pattern": EXPRESSION },
        "condition": { "anyOf": [{ "type": "boolean" }, { "$ref": "#/$defs/expression" }] },
        "duration": {
            "description": "Such as `90s`, `1h 30m`, `2d` (24-hour days), or whole seconds.",
            "anyOf": [{ "type": "string", "pattern": "[0-9]" }, { "type": "integer", "minimum": 1 }]
        },
        "label": { "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$" },
        "code": { "type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,63}$" },
        "retry": {
            "anyOf": [
                { "type": "integer", "minimum": 1, "description": "Attempts in all." },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "max_attempts": { "type": "integer", "minimum": 1, "description": "Attempts in all, the first included; 5 unless said otherwise." },
                        "initial": { "$ref": "#/$defs/duration", "description": "Ceiling of the first delay; 1s unless said otherwise." },
                        "max": { "$ref": "#/$defs/duration", "description": "Ceiling of any delay; 1m unless said otherwise." },
                        "multiplier_percent": { "type": "integer", "minimum": 100, "maximum": 1000, "description": "Growth of the ceiling; 200 doubles it." },
                        "non_retryable": { "type": "array", "items": { "$ref": "#/$defs/code" }, "description": "Failure codes that are never retried." }
                    }
                }
            ]
        },
        "timeout": {
            "anyOf": [
                { "$ref": "#/$defs/duration" },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "start_to_close": { "$ref": "#/$defs/duration", "description": "One attempt, from its grant to its report." },
                        "schedule_to_start": { "$ref": "#/$defs/duration", "description": "From ready to granted." },
                        "total": { "$ref": "#/$defs/duration", "description": "The whole step, over all attempts." }
                    }
                }
            ]
        },
        "review": {
            "anyOf": [
                { "type": "string", "description": "What is asked." },
                {
                    "type": "object",
                    "required": ["title"],
                    "additionalProperties": false,
                    "properties": {
                        "title": { "type": "string", "description": "What is asked, in one line." },
                        "show": { "description": "What the decision is about; the step's output when approved." },
                        "edit": { "type": "boolean", "description": "May the person edit what is shown?" },
                        "expires": { "$ref": "#/$defs/duration", "description": "How long the question stands." },
                        "on_expiry": { "enum": ["fail", "approve", "reject", "escalate"] },
                        "on_reject": { "enum": ["fail", "continue"] }
                    }
                }
            ]
        },
        "case": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "when": { "$ref": "#/$defs/condition" },
                "do": { "$ref": "#/$defs/steps" },
                "default": { "$ref": "#/$defs/steps" }
            },
            "oneOf": [{ "required": ["when", "do"] }, { "required": ["default"], "maxProperties": 1 }]
        }
    })
}

/// One `${ … }` and nothing around it.
const EXPRESSION: &str = r"^\$\{[\s\S]+\}\s*$";

fn step() -> Value {
    let mut properties = common();
    let mut kinds = Vec::new();
    let mut belongs = serde_json::Map::new();
    for (kind, keys) in kinds_and_keys() {
        kinds.push(json!({ "required": [kind] }));
        for (key, schema) in keys {
            properties.insert(key.to_owned(), schema);
            if key != kind {
                let owners = belongs.entry(key).or_insert_with(|| json!({ "anyOf": [] }));
                if let Some(Value::Array(owners)) = owners.get_mut("anyOf") {
                    owners.push(json!({ "required": [kind] }));
                }
            }
        }
    }
    let workers = json!({ "anyOf": [{ "required": ["call"] }, { "required": ["run"] }] });
    belongs.insert("retry".to_owned(), workers);
    json!({
        "type": "object",
        "description": "A step: an id, one kind, and what applies to every step.",
        "additionalProperties": false,
        "properties": properties,
        "oneOf": kinds,
        "dependentSchemas": belongs
    })
}

fn common() -> serde_json::Map<String, Value> {
    let common = json!({
        "id": { "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$", "description": "Unique in the workflow; `steps.<id>.output` reads what came out." },
        "when": { "$ref": "#/$defs/condition", "description": "Skipped unless this is true. A skipped step's output is null." },
        "needs": { "type": "array", "items": { "type": "string" }, "description": "For members of a `parallel`: siblings that must close first." },
        "retry": { "$ref": "#/$defs/retry", "description": "How failed attempts are retried; `call` and `run` only." },
        "timeout": { "$ref": "#/$defs/timeout", "description": "Limit of the whole step, or a mapping of limits." },
        "on_failure": { "enum": ["fail", "continue"], "description": "`continue`: the output is null and the block goes on." },
        "priority": { "type": "integer", "minimum": -100, "maximum": 100, "description": "Higher is sooner." }
    });
    match common {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            serde_json::Map::new()
        }
    }
}

/// Each kind with its keys, the kind's own first.
fn kinds_and_keys() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let with = json!({ "description": "The input: any value, usually a mapping, with expressions in its texts." });
    let steps = |what: &str| json!({ "$ref": "#/$defs/steps", "description": what });
    vec![
        (
            "call",
            vec![
                (
                    "call",
                    json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]*(\\.[a-z][a-z0-9_-]*)*$", "maxLength": 128, "description": "Calls a capability on a worker." }),
                ),
                ("with", with.clone()),
            ],
        ),
        (
            "review",
            vec![(
                "review",
                json!({ "$ref": "#/$defs/review", "description": "Asks a person." }),
            )],
        ),
        (
            "sleep",
            vec![(
                "sleep",
                json!({
                    "description": "Waits for a span.",
                    "anyOf": [{ "$ref": "#/$defs/duration" }, { "$ref": "#/$defs/expression" }, { "type": "string", "pattern": "\\$\\{" }]
                }),
            )],
        ),
        (
            "until",
            vec![(
                "until",
                json!({ "type": "string", "description": "Waits for an instant (RFC 3339)." }),
            )],
        ),
        (
            "wait",
            vec![(
                "wait",
                json!({
                    "description": "Waits for a signal to this run; the output is its payload.",
                    "anyOf": [
                        { "$ref": "#/$defs/label" },
                        { "type": "object", "required": ["signal"], "additionalProperties": false, "properties": { "signal": { "$ref": "#/$defs/label" } } }
                    ]
                }),
            )],
        ),
        (
            "parallel",
            vec![(
                "parallel",
                steps("Runs members side by side; `needs` between them makes any graph."),
            )],
        ),
        (
            "foreach",
            vec![
                (
                    "foreach",
                    json!({ "$ref": "#/$defs/expression", "description": "A list; the body runs once per item." }),
                ),
                (
                    "do",
                    steps("The body of one item; sees `item` and `index`."),
                ),
                (
                    "max_parallel",
                    json!({ "type": "integer", "minimum": 0, "maximum": 100_000, "description": "How many items run at once; 0 means all." }),
                ),
                (
                    "on_item_failure",
                    json!({ "enum": ["fail", "continue"], "description": "`continue`: a failed item's output is null." }),
                ),
                (
                    "output",
                    json!({ "description": "The item's output; the last step's output when absent." }),
                ),
            ],
        ),
        (
            "switch",
            vec![(
                "switch",
                json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/case" }, "description": "Runs the first case whose `when` holds, else the `default`." }),
            )],
        ),
        (
            "try",
            vec![
                ("try", steps("The body.")),
                ("catch", steps("Runs when the body fails; sees `error`.")),
                ("finally", steps("Runs in any case, cancellation included.")),
            ],
        ),
        (
            "run",
            vec![
                (
                    "run",
                    json!({ "type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": 128, "description": "Runs another workflow as a child." }),
                ),
                ("with", with),
            ],
        ),
        (
            "checkpoint",
            vec![(
                "checkpoint",
                json!({ "$ref": "#/$defs/label", "description": "Names this position of the run." }),
            )],
        ),
        (
            "set",
            vec![(
                "set",
                json!({
                    "type": "object", "minProperties": 1, "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$" },
                    "description": "Sets variables, read as `vars.<name>` from here on."
                }),
            )],
        ),
        (
            "return",
            vec![(
                "return",
                json!({ "description": "Ends the run (or the item) with this output." }),
            )],
        ),
        (
            "fail",
            vec![(
                "fail",
                json!({
                    "description": "Fails here.",
                    "anyOf": [
                        { "type": "string" },
                        {
                            "type": "object", "required": ["message"], "additionalProperties": false,
                            "properties": { "code": { "$ref": "#/$defs/code" }, "message": { "type": "string" } }
                        }
                    ]
                }),
            )],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::parse::tests::{EVERY_KIND, SAMPLE};
    use crate::definition::parse::{kind_keys, parse};
    use crate::definition::source;
    use crate::limits::Limits;

    /// The meta-schema of `input` is built into the validator; nothing is fetched.
    fn editor() -> jsonschema::Validator {
        jsonschema::validator_for(&workflow_schema()).unwrap()
    }

    fn value(text: &str) -> Value {
        source::read(text, &Limits::default()).0.unwrap().to_value()
    }

    #[test]
    fn what_the_parser_takes_is_valid_for_editors() {
        let editor = editor();
        for text in [SAMPLE, EVERY_KIND] {
            let complaints: Vec<String> = editor
                .iter_errors(&value(text))
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert_eq!(complaints, Vec::<String>::new());
            assert_eq!(parse(text, &Limits::default()).diagnostics, []);
        }
    }

    #[test]
    fn the_examples_of_the_guide_are_valid_for_editors() {
        let guide = include_str!("../../../../docs/guides/workflow-language.md");
        let editor = editor();
        for example in guide.split("```yaml\n").skip(1) {
            let example = example.split("```").next().unwrap();
            let complaints: Vec<String> = editor
                .iter_errors(&value(example))
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert_eq!(complaints, Vec::<String>::new(), "{example}");
        }
    }

    #[test]
    fn slips_are_seen_while_typing() {
        let editor = editor();
        for step in [
            "{ id: a, call: x.y, wiht: {} }",
            "{ id: a }",
            "{ id: a, call: x.y, sleep: 1s }",
            "{ id: A, call: x.y }",
            "{ id: a, sleep: 1s, with: {} }",
            "{ id: a, sleep: 1s, retry: 2 }",
            "{ id: a, foreach: '${x}', do: [] }",
            "{ id: a, foreach: 'x', do: [{ return: 1 }] }",
            "{ id: a, switch: [{ when: true }] }",
            "{ id: a, review: { title: x, expire: 2d } }",
            "{ id: a, call: x.y, priority: 1000 }",
        ] {
            let text = format!("workflow: w\nsteps: [{step}]\n");
            assert!(!editor.is_valid(&value(&text)), "{step}");
        }
        assert!(!editor.is_valid(
            &json!({ "workflow": "w", "steps": [{ "return": 1 }], "input": { "type": "strng" } })
        ));
    }

    #[test]
    fn editors_and_the_parser_know_the_same_keys() {
        let ours: Vec<(&str, Vec<&str>)> = kinds_and_keys()
            .into_iter()
            .map(|(kind, keys)| (kind, keys.into_iter().map(|(key, _)| key).collect()))
            .collect();
        let parsers: Vec<(&str, Vec<&str>)> = kind_keys()
            .map(|(kind, keys)| (kind, keys.to_vec()))
            .collect();
        assert_eq!(ours, parsers);
        for key in common().keys() {
            let text = format!("workflow: w\nsteps: [{{ call: x.y, {key}: null }}]\n");
            let found = parse(&text, &Limits::default()).diagnostics;
            assert!(
                !found.iter().any(|d| d.message.contains("has no")),
                "{key}: {found:?}"
            );
        }
    }
}
