//! From the text that an author writes to the value that comes out.

use fulcrum_core::definition::model::Definition;
use fulcrum_core::definition::{CheckContext, Unregistered, compile};
use fulcrum_core::limits::Limits;
use fulcrum_core::store::RunStatus;
use serde_json::{Value, json};

use crate::world::World;

fn definition(text: &str) -> Definition {
    let limits = Limits::default();
    let context = CheckContext {
        capabilities: None,
        workflows: None,
        unregistered: Unregistered::Refuse,
        limits: &limits,
    };
    let compiled = compile(text, &context);
    compiled
        .unwrap_or_else(|problems| panic!("{}", problems[0]))
        .0
}

/// The output of a workflow that needs no worker.
fn output(steps: &str, input: Value) -> Value {
    let mut world = World::new(definition(&format!("workflow: test\nsteps:\n{steps}")));
    let run = world.start(input).expect("the input fits");
    assert_eq!(world.runs[&run].status, RunStatus::Completed, "{steps}");
    world.value(world.runs[&run].output)
}

#[test]
fn the_variables_of_one_set_do_not_see_each_other() {
    let steps = "
  - set: { a: 1, b: 2 }
  - set: { a: '${ vars.b }', b: '${ vars.a }' }
  - return: '${vars.a} ${vars.b}'
";
    assert_eq!(output(steps, json!({})), json!("2 1"));
}

#[test]
fn texts_and_values_come_out_as_they_are_written() {
    let steps = "
  - set:
      line: '${input.name} pays ${input.price * 1.5} $${net}'
      urgent: ${ input.tags.exists(t, t == 'urgent') }
      known_as: \"${ has(input.nick) ? input.nick : input.name }\"
  - return: { line: '${vars.line}', urgent: '${vars.urgent}', who: '${vars.known_as}', list: [1, '${input.tags}'] }
";
    let input = json!({ "name": "Ada", "price": 10, "tags": ["new", "urgent"] });
    let expected = json!({
        "line": "Ada pays 15.0 ${net}", "urgent": true, "who": "Ada", "list": [1, ["new", "urgent"]]
    });
    assert_eq!(output(steps, input), expected);
}

#[test]
fn branches_and_failures_read_as_written() {
    let steps = "
  - id: guarded
    try:
      - id: route
        switch:
          - when: ${ input.amount > 1000 }
            do: [ { fail: { code: TOO_MUCH, message: 'not ${input.amount}' } } ]
          - default: [ { set: { small: true } } ]
    catch:
      - return: '${error.code} in ${error.step}: ${error.message}'
  - return: small
";
    assert_eq!(output(steps, json!({ "amount": 5 })), json!("small"));
    let expected = json!("TOO_MUCH in fail-1: not 5000");
    assert_eq!(output(steps, json!({ "amount": 5000 })), expected);
}

#[test]
fn a_definition_survives_being_stored_as_canonical_json() {
    use fulcrum_core::definition::hash::{canonical_json, definition_hash};
    let guide = include_str!("../../../../docs/guides/workflow-language.md");
    for example in guide.split("```yaml\n").skip(1) {
        let definition = definition(example.split("```").next().unwrap());
        let stored = canonical_json(&serde_json::to_value(&definition).unwrap());
        let read: Definition = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, definition);
        assert_eq!(definition_hash(&read), definition_hash(&definition));
    }
}

#[test]
fn what_is_put_together_again_as_it_came_is_not_stored_again() {
    let steps = "
  - set: { same: { n: '${input.n}', text: '${input.text}' }, other: { n: '${input.n}' } }
";
    let mut world = World::new(definition(&format!("workflow: test\nsteps:\n{steps}")));
    let run = world
        .start(json!({ "text": "ada", "n": 1 }))
        .expect("the input fits");
    let run = &world.runs[&run];
    assert_eq!(run.vars.get("same"), run.origin.input.as_ref());
    assert_ne!(run.vars.get("other"), run.origin.input.as_ref());
}
