//! Each problem of meaning, at its place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::definition::parse::tests::SAMPLE;
use crate::definition::{CheckContext, Unregistered, compile};
use crate::limits::Limits;

fn capabilities() -> BTreeMap<String, Value> {
    let open = json!({"type": "object"});
    let mail = json!({
        "type": "object",
        "required": ["to", "body"],
        "additionalProperties": false,
        "properties": {
            "to": {"type": "string"},
            "body": {"type": "string", "maxLength": 10},
            "cc": {"type": "array", "items": {"type": "string"}},
            "style": {"$ref": "#/$defs/style"}
        },
        "$defs": {"style": {"enum": ["plain", "rich"]}}
    });
    [
        ("crm.contact.upsert", &open),
        ("billing.invoice.create", &open),
        ("text.draft", &open),
        ("a.b", &open),
        ("mail.send", &mail),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema.clone()))
    .collect()
}

fn problems(text: &str, unregistered: Unregistered) -> Vec<String> {
    let (limits, capabilities) = (Limits::default(), capabilities());
    let workflows = BTreeSet::from(["clean-up".to_owned()]);
    let context = CheckContext {
        capabilities: Some(&capabilities),
        workflows: Some(&workflows),
        unregistered,
        limits: &limits,
    };
    let found = compile(text, &context).err().unwrap_or_default();
    found
        .iter()
        .map(|d| {
            format!(
                "{}:{} {} {}: {}",
                d.line, d.column, d.code, d.path, d.message
            )
        })
        .collect()
}

/// Exactly these problems; the messages only have to begin like this.
#[track_caller]
fn assert_problems(text: &str, expected: &[&str]) {
    let found = problems(text, Unregistered::Refuse);
    let same =
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
    assert!(
        same,
        "{text}\nfound:\n{}\nexpected:\n{}",
        found.join("\n"),
        expected.join("\n")
    );
}

/// Steps under a workflow; the first step's first line is line 3.
fn steps(steps: &str) -> String {
    let indented: Vec<String> = steps.lines().map(|line| format!("  {line}\n")).collect();
    format!("workflow: w\nsteps:\n{}", indented.concat())
}

#[test]
fn the_sample_of_the_design_is_without_fault() {
    assert_problems(SAMPLE, &[]);
}

#[test]
fn ids_are_unique_in_the_whole_workflow() {
    assert_problems(
        &steps(
            "- { id: a, call: a.b }\n- id: p\n  parallel:\n    - { id: a, call: a.b }\n    - { id: set-1, call: a.b }\n- set: { x: 1 }",
        ),
        &[
            "6:15 DUPLICATE_ID steps[1].parallel[0].id: there is another step with the id `a`",
            "8:5 DUPLICATE_ID steps[2].id: there is another step with the id `set-1`",
        ],
    );
}

#[test]
fn only_what_can_have_closed_can_be_read() {
    let table: &[(&str, &[&str])] = &[
        (
            "- { id: a, call: a.b }\n- { id: b, call: a.b, with: { x: '${steps.a.output}' } }",
            &[],
        ),
        (
            "- { id: a, call: a.b, with: { x: '${steps.b.output}' } }\n- { id: b, call: a.b }",
            &[
                "3:39 STEP_NOT_READY steps[0].with.x: `b` has no output here; it cannot have closed when this is evaluated",
            ],
        ),
        (
            "- { id: a, call: a.b, when: '${ steps.a.output == 1 }' }",
            &["3:35 STEP_NOT_READY steps[0].when: `a` has no output here"],
        ),
        (
            "- { id: first, call: a.b }\n- { id: b, call: a.b, with: { x: '${steps.frist.output}' } }",
            &["4:39 UNKNOWN_STEP steps[1].with.x: there is no step `frist`; did you mean `first`?"],
        ),
        (
            "- { id: my-step, call: a.b }\n- { id: b, call: a.b, with: { x: '${steps.my-step.output}' } }",
            &["4:39 UNKNOWN_NAME steps[1].with.x: a step is not a value"],
        ),
        (
            "- id: p\n  parallel:\n    - { id: a, call: a.b }\n    - { id: b, call: a.b, with: { x: '${steps.a.output}' } }",
            &["6:43 STEP_NOT_READY steps[0].parallel[1].with.x: `a` has no output here"],
        ),
        (
            "- id: p\n  parallel:\n    - { id: b, call: a.b, needs: [m], with: { x: '${steps.a.output}' } }\n    - { id: m, call: a.b, needs: [a] }\n    - { id: a, call: a.b }\n- return: '${steps.b.output}${steps.p.output}'",
            &[],
        ),
        (
            "- id: s\n  switch:\n    - { when: '${steps.x.output == 1}', do: [ { id: x, call: a.b } ] }\n    - { when: true, do: [ { id: y, call: a.b, with: { v: '${steps.x.output}' } } ] }\n- return: '${steps.x.output}'",
            &[
                "5:20 STEP_NOT_READY steps[0].switch[0].when: `x`",
                "6:63 STEP_NOT_READY steps[0].switch[1].do[0].with.v: `x`",
            ],
        ),
        (
            "- id: t\n  try: [ { id: x, call: a.b } ]\n  catch: [ { id: c, call: a.b, with: { v: '${steps.x.output}${error.code}' } } ]\n  finally: [ { id: f, call: a.b, with: { v: '${steps.c.output}', w: '${error}' } } ]\n- return: '${error.message}'",
            &[
                "6:74 UNKNOWN_NAME steps[0].finally[0].with.w: `error` exists only inside a `catch`",
                "7:16 UNKNOWN_NAME steps[1].return: `error` exists only inside a `catch`",
            ],
        ),
        (
            "- id: l\n  foreach: ${ input.x }\n  do:\n    - { id: w, call: a.b, with: { i: '${item}', n: '${index}' } }\n  output: ${ steps.w.output + item.x }\n- return: '${ steps.w.output }${ item }${ steps.l.output }'",
            &[
                "8:17 STEP_NOT_READY steps[1].return: `w` has no output here; it runs once per item; the outputs of all items are in `steps.l.output`",
                "8:36 UNKNOWN_NAME steps[1].return: `item` exists only inside the `do` of a `foreach`",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_problems(&steps(text), expected);
    }
}

#[test]
fn needs_stay_among_siblings_and_have_no_cycles() {
    assert_problems(
        &steps(
            "- { id: x, call: a.b }\n- { id: y, call: a.b, needs: [x] }\n- id: p\n  parallel:\n    - { id: first, call: a.b, needs: [x] }\n    - { id: b, call: a.b, needs: [c, frst] }\n    - { id: c, call: a.b, needs: [b] }",
        ),
        &[
            "4:32 INVALID_VALUE steps[1].needs: `needs` is for members of a `parallel`",
            "7:41 UNKNOWN_STEP steps[2].parallel[0].needs[0]: there is no `x` in this `parallel`",
            "8:36 NEEDS_CYCLE steps[2].parallel[1].needs: `b` needs itself, by way of `b`, `c`",
            "8:40 UNKNOWN_STEP steps[2].parallel[1].needs[1]: there is no `frst` in this `parallel`; did you mean `first`?",
            "9:36 NEEDS_CYCLE steps[2].parallel[2].needs: `c` needs itself",
        ],
    );
}

#[test]
fn expressions_are_checked_to_the_column() {
    assert_problems(
        "workflow: w
steps:
  - id: a
    call: a.b
    with:
      plain: ${ inptu.x }
      quoted: \"say \\\"hi\\\" to ${ nobody } and ${ size(1, 2) }\"
      single: 'it''s ${ 1 + }'
      block: |
        first line
        then ${ input.x +
          nobody } and ${ nix }
      list: [ 1, '${ vars.count }', { deep: '${ run.nmae }' } ]
  - set: { counter: 1 }
  - return: >-
      folded ${ nothing }
",
        &[
            "6:17 UNKNOWN_NAME steps[0].with.plain: `inptu` means nothing here; did you mean `input`?",
            "7:33 UNKNOWN_NAME steps[0].with.quoted: `nobody` means nothing here",
            "7:49 UNKNOWN_NAME steps[0].with.quoted: `size` takes 1 arguments, not 2",
            "8:28 EXPRESSION steps[0].with.single: mismatched input",
            "12:11 UNKNOWN_NAME steps[0].with.block: `nobody` means nothing here",
            "12:27 UNKNOWN_NAME steps[0].with.block: `nix` means nothing here",
            "13:22 UNKNOWN_NAME steps[0].with.list[1]: no `set` step gives `vars.count` a value",
            "13:49 UNKNOWN_NAME steps[0].with.list[2].deep: `run` has no `nmae`, only `id`, `root`, `workflow`, `started_at`",
            "16:17 UNKNOWN_NAME steps[2].return: `nothing` means nothing here",
        ],
    );
}

#[test]
fn the_input_is_what_its_schema_says() {
    let with_schema = |schema: &str, expr: &str| {
        format!("workflow: w\ninput: {schema}\nsteps:\n  - return: \"${{ {expr} }}\"\n")
    };
    let closed = "{ type: object, properties: { email: { type: string }, who: { properties: { name: {} } }, any: {} } }";
    assert_problems(
        &with_schema(
            closed,
            "input.email + input.who.name + input.any.thing + input.any['x']",
        ),
        &[],
    );
    assert_problems(
        &with_schema(closed, "1 + input.emial"),
        &[
            "4:21 UNKNOWN_NAME steps[0].return: the input schema has no `input.emial`; did you mean `email`?",
        ],
    );
    assert_problems(
        &with_schema(closed, "has(input.who.age)"),
        &["4:21 UNKNOWN_NAME steps[0].return: the input schema has no `input.who.age`"],
    );
    assert_problems(
        &with_schema("{ type: object, additionalProperties: false }", "input.x"),
        &["4:17 UNKNOWN_NAME steps[0].return: the input schema has no `input.x`"],
    );
    for open in [
        "{ type: object }",
        "{ properties: { a: {} }, additionalProperties: true }",
        "{ properties: {}, anyOf: [{}] }",
    ] {
        assert_problems(&with_schema(open, "input.x"), &[]);
    }
    assert_problems(
        &with_schema("{ properties: { a: { type: strng } } }", "1"),
        &["2:35 SCHEMA input.properties.a.type: this is not a JSON Schema"],
    );
    assert_problems(
        &with_schema("{ $ref: 'file:///etc/passwd' }", "1"),
        &["2:16 SCHEMA input.$ref: `file:///etc/passwd` is outside this schema"],
    );
}

#[test]
fn calls_are_checked_against_what_is_registered() {
    let table: &[(&str, &[&str])] = &[
        (
            "- { id: a, call: mail.sned }",
            &[
                "3:20 UNKNOWN_CAPABILITY steps[0].call: no worker has registered `mail.sned`; did you mean `mail.send`?",
            ],
        ),
        (
            "- { id: a, run: clean-upp }\n- { id: b, run: w }",
            &[
                "3:19 UNKNOWN_WORKFLOW steps[0].run: there is no workflow `clean-upp`; did you mean `clean-up`?",
            ],
        ),
        (
            "- { id: a, call: mail.send, with: { to: '${input.to}', body: hello, style: rich, cc: ['${input.cc}'] } }",
            &[],
        ),
        ("- { id: a, call: mail.send, with: '${input}' }", &[]),
        (
            "- { id: a, call: mail.send }",
            &[
                "3:5 CONTRACT_MISMATCH steps[0].with: `mail.send` does not take this: \"body\" is a required property",
                "3:5 CONTRACT_MISMATCH steps[0].with: `mail.send` does not take this: \"to\" is a required property",
            ],
        ),
        (
            "- { id: a, call: mail.send, with: { too: '${input.to}', body: more than ten } }",
            &[
                "3:37 CONTRACT_MISMATCH steps[0].with: `mail.send` requires `to`",
                "3:44 CONTRACT_MISMATCH steps[0].with.too: `mail.send` takes no `too`; did you mean `to`?",
                "3:65 CONTRACT_MISMATCH steps[0].with.body: `mail.send` does not take this",
            ],
        ),
        (
            "- { id: a, call: mail.send, with: { to: x, body: y, cc: [a, 1], style: odd } }",
            &[
                "3:63 CONTRACT_MISMATCH steps[0].with.cc[1]: `mail.send` does not take this: 1 is not of type \"string\"",
                "3:74 CONTRACT_MISMATCH steps[0].with.style",
            ],
        ),
        (
            "- { id: a, call: mail.send, with: 'to ${input.x}' }",
            &["3:37 CONTRACT_MISMATCH steps[0].with: `mail.send` takes an object"],
        ),
    ];
    for (text, expected) in table {
        assert_problems(&steps(text), expected);
    }
    let unknown = steps("- { id: a, call: not.yet }\n- { id: b, run: not-yet }");
    assert_eq!(
        problems(&unknown, Unregistered::Allow),
        Vec::<String>::new()
    );
    assert_eq!(problems(&unknown, Unregistered::Refuse).len(), 2);
}

#[test]
fn a_broken_step_does_not_make_references_to_it_unknown() {
    assert_problems(
        &steps("- { id: a, call: NOT, wiht: 1 }\n- return: ${ steps.a.output }"),
        &[
            "3:20 INVALID_VALUE steps[0].call",
            "3:25 UNKNOWN_KEY steps[0].wiht",
        ],
    );
}
