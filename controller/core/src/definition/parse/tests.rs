//! Every slip is reported at its place, all of them at once, and nothing makes the reader fall over.

use proptest::prelude::*;
use serde_json::json;

use crate::definition::model::{
    Definition, Expr, OnExpiry, OnFailure, OnItemFailure, OnReject, Retry, StepKind, Template,
    TextPart, Timeouts,
};
use crate::definition::parse::parse;
use crate::limits::Limits;
use crate::time::Millis;

/// The sample of the design, without its agent.
pub(crate) const SAMPLE: &str = r#"workflow: customer-onboarding
input: { type: object, required: [email, name, plan], properties: { email: { type: string }, name: { type: string }, plan: { type: string } } }
steps:
  - id: contact
    call: crm.contact.upsert
    with: { email: "${input.email}", name: "${input.name}" }
  - checkpoint: contact-known
  - id: setup
    parallel:                       # a list; `needs:` between members makes any DAG
      - { id: invoice, call: billing.invoice.create, with: { customer: "${steps.contact.output.id}", plan: "${input.plan}" } }
      - { id: draft, call: text.draft, with: { goal: "Write a welcome note for ${input.name}" } }
  - id: approve
    when: "${input.plan == 'enterprise'}"
    review: { title: "Send this welcome?", show: "${steps.draft.output}", edit: true, expires: 2d, on_expiry: escalate }
  - { id: welcome, call: mail.send, with: { to: "${input.email}", body: "${steps.approve.output}" } }
output: { contact: "${steps.contact.output.id}" }
"#;

/// Every kind of step and every short form.
pub(crate) const EVERY_KIND: &str = r#"
language: 1
workflow: all-kinds
description: Everything once
steps:
  - set: { total: "${1 + 1}", name: plain }
  - { id: nap, sleep: 1h 30m }
  - { id: moment, sleep: 90 }
  - { id: dynamic, sleep: "${input.pause}" }
  - { id: later, until: "2026-01-31T08:00:00Z" }
  - { id: ask, review: Go on? }
  - { id: signalled, wait: approved, timeout: 2d }
  - { id: signalled2, wait: { signal: approved } }
  - id: loop
    foreach: ${ input.items }
    max_parallel: 4
    on_item_failure: continue
    do:
      - { id: work, call: a.b, with: { n: "${item}" } }
    output: ${ steps.work.output }
  - id: choose
    switch:
      - when: ${ input.x > 1 }
        do: [ { id: big, call: a.b } ]
      - default: [ { id: small, call: a.b } ]
  - id: guarded
    try: [ { id: risky, call: a.b, retry: 3, on_failure: continue, priority: -5 } ]
    catch: [ { fail: { code: BROKEN, message: "because ${error.message}" } } ]
    finally: [ { id: tidy, run: clean-up, with: { deep: [1, "${input.x}"] } } ]
  - id: slow
    call: a.b
    when: true
    retry: { max_attempts: 7, initial: 2s, max: 1m, multiplier_percent: 150, non_retryable: [BAD_INPUT] }
    timeout: { start_to_close: 5m, schedule_to_start: 1h, total: 1d }
  - checkpoint: Stage.Two
  - fail: no reason
  - return:
  - return: { a: 1 }
"#;

fn model(text: &str) -> Definition {
    let parsed = parse(text, &Limits::default());
    assert_eq!(parsed.diagnostics, [], "{text}");
    parsed.definition.unwrap()
}

/// `line:column CODE path: message`, one per problem.
fn problems(text: &str) -> Vec<String> {
    let diagnostics = parse(text, &Limits::default()).diagnostics;
    diagnostics
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
    let found = problems(text);
    let same =
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
    assert!(
        same,
        "{text}\nfound:\n{}\nexpected:\n{}",
        found.join("\n"),
        expected.join("\n")
    );
}

/// One step, indented under a workflow; the step's first line is line 3, its first key at column 5.
fn with_step(step: &str) -> String {
    let indented: Vec<String> = step.lines().map(|line| format!("    {line}")).collect();
    format!(
        "workflow: w\nsteps:\n  - {}\n",
        indented.join("\n").trim_start()
    )
}

#[test]
fn the_sample_of_the_design_parses() {
    let definition = model(SAMPLE);
    assert_eq!(definition.workflow, "customer-onboarding");
    let ids: Vec<&str> = definition.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(
        ids,
        ["contact", "contact-known", "setup", "approve", "welcome"]
    );
    let StepKind::Review(review) = &definition.steps[3].kind else {
        panic!()
    };
    assert_eq!(review.expires, Some(Millis(2 * 24 * 3_600_000)));
    assert_eq!(
        (review.on_expiry, review.on_reject, review.edit),
        (OnExpiry::Escalate, OnReject::Fail, true)
    );
    let StepKind::Parallel { steps } = &definition.steps[2].kind else {
        panic!()
    };
    let StepKind::Call {
        with: Template::Object(with),
        ..
    } = &steps[1].kind
    else {
        panic!()
    };
    assert_eq!(
        with["goal"],
        Template::Text(vec![
            TextPart::Text("Write a welcome note for ".to_owned()),
            TextPart::Expr(Expr("input.name".to_owned()))
        ])
    );
}

#[test]
fn every_kind_and_every_short_form_has_its_model() {
    let definition = model(EVERY_KIND);
    let json = serde_json::to_value(&definition).unwrap();
    assert_eq!(json["steps"][0]["id"], json!("set-1"));
    assert_eq!(
        json["steps"][0]["kind"],
        json!({"set": {"vars": {"name": {"literal": "plain"}, "total": {"expr": "1 + 1"}}}})
    );
    assert_eq!(
        json["steps"][5]["kind"]["review"]["title"],
        json!({"literal": "Go on?"})
    );
    assert_eq!(
        json["steps"][6]["kind"],
        json!({"wait": {"signal": "approved"}})
    );
    assert_eq!(
        definition.steps[6].timeout,
        Timeouts {
            total: Some(Millis(172_800_000)),
            ..Timeouts::default()
        }
    );
    assert_eq!(definition.steps[6].kind, definition.steps[7].kind);
    let StepKind::Foreach(foreach) = &definition.steps[8].kind else {
        panic!()
    };
    assert_eq!(
        (foreach.max_parallel, foreach.on_item_failure),
        (4, OnItemFailure::Continue)
    );
    assert_eq!(foreach.items, Expr("input.items".to_owned()));
    let StepKind::Switch { cases, default } = &definition.steps[9].kind else {
        panic!()
    };
    assert_eq!((cases.len(), default.len()), (1, 1));
    let StepKind::Try {
        steps,
        catch,
        finally,
    } = &definition.steps[10].kind
    else {
        panic!()
    };
    assert_eq!(steps[0].retry.as_ref().map(|r| r.max_attempts), Some(3));
    assert_eq!(
        (steps[0].on_failure, steps[0].priority),
        (OnFailure::Continue, -5)
    );
    assert_eq!(
        (catch[0].id.as_str(), finally[0].id.as_str()),
        ("fail-1", "tidy")
    );
    assert_eq!(definition.steps[11].when, Some(Expr("true".to_owned())));
    assert_eq!(
        definition.steps[11].retry,
        Some(Retry {
            max_attempts: 7,
            initial: Millis(2_000),
            max: Millis(60_000),
            multiplier_percent: 150,
            non_retryable: vec!["BAD_INPUT".to_owned()],
        })
    );
    assert_eq!(definition.steps[12].id, "stage-two");
    assert_eq!(definition.steps[13].id, "fail-2");
    assert_eq!(
        definition.steps[14].kind,
        StepKind::Return {
            value: Template::Literal(json!(null))
        }
    );
    assert_eq!(definition.steps[15].id, "return-2");
}

#[test]
fn yaml_and_json_are_one_language() {
    let yaml = "workflow: w\nsteps:\n  - id: a\n    call: x.y\n    with:\n      n: 1\n      t: |\n        two\n        lines\n";
    let json = "{\n\t\"steps\": [{\"with\": {\"t\": \"two\\nlines\\n\", \"n\": 1}, \"call\": \"x.y\", \"id\": \"a\"}],\n\t\"workflow\": \"w\"\n}";
    assert_eq!(model(yaml), model(json));
}

#[test]
fn scalars_follow_yaml_1_2() {
    let definition = model(&with_step(
        "id: a\ncall: x.y\nwith: { i: 12, h: 0x1F, o: 0o17, f: 1.5, e: 1e3, big: 18446744073709551615, yes: yes, n: ~, v: 1.2.3, d: 2d, q: '1', neg: -4, date: 2026-01-31 }",
    ));
    let StepKind::Call {
        with: Template::Literal(with),
        ..
    } = &definition.steps[0].kind
    else {
        panic!()
    };
    assert_eq!(
        with,
        &json!({
            "i": 12, "h": 31, "o": 15, "f": 1.5, "e": 1000.0, "big": u64::MAX, "yes": "yes", "n": null, "v": "1.2.3",
            "d": "2d", "q": "1", "neg": -4, "date": "2026-01-31"
        })
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    assert_problems(
        "workflow: My Flow\nstep: []\nsteps:\n  - id: A\n    call: crm\n    wiht: {}\n  - sleep: soon\n  - cal: x\n    id: b\n",
        &[
            "1:11 INVALID_VALUE workflow: `My Flow` is not allowed here",
            "2:1 UNKNOWN_KEY step: a workflow has no `step`; did you mean `steps`?",
            "4:9 INVALID_VALUE steps[0].id: `A` is not allowed here",
            "6:5 UNKNOWN_KEY steps[0].wiht: a `call` step has no `wiht`; did you mean `with`?",
            "7:5 MISSING_KEY steps[1]: `id` is missing",
            "7:12 INVALID_VALUE steps[1].sleep: this is not a duration",
            "8:5 UNKNOWN_KEY steps[2].cal: a step has no `cal`; did you mean `call`?",
        ],
    );
}

#[test]
fn the_form_of_the_document_is_checked() {
    let table: &[(&str, &[&str])] = &[
        ("", &["1:1 SYNTAX : the definition is empty"]),
        ("# nothing\n", &["1:1 SYNTAX : the definition is empty"]),
        ("a: [1", &["2:1 SYNTAX : this is not YAML"]),
        (
            "workflow: w\n  steps: []\n",
            &["2:8 SYNTAX : this is not YAML"],
        ),
        (
            "workflow: w\nsteps:\n  - return: ${ {'a': 1} }\n",
            &[
                "3:20 SYNTAX : this is not YAML: mapping values are not allowed in this context; in YAML, a text with `${ … }`",
            ],
        ),
        (
            "- a\n",
            &["1:1 WRONG_TYPE : this must be a mapping with `workflow` and `steps`, not a list"],
        ),
        (
            "x: &a 1\ny: *a\n",
            &[
                "1:1 UNKNOWN_KEY x",
                "1:1 MISSING_KEY : `steps` is missing",
                "1:1 MISSING_KEY : `workflow` is missing",
                "1:4 UNSUPPORTED : anchors",
                "2:1 UNKNOWN_KEY y",
                "2:4 UNSUPPORTED : aliases",
            ],
        ),
        (
            "workflow: !x w\nsteps: [{return: 1}]\n",
            &["1:11 UNSUPPORTED : tags"],
        ),
        (
            "workflow: w\nworkflow: v\nsteps: [{return: 1}]\n",
            &["2:1 DUPLICATE_KEY : the key `workflow` is given twice"],
        ),
        (
            "workflow: w\nsteps: [{return: {a: 1, a: 2}}]\n",
            &["2:25 DUPLICATE_KEY : the key `a` is given twice"],
        ),
        (
            "workflow: w\nsteps: [{return: {[1]: 2}}]\n",
            &["2:19 WRONG_TYPE : a key must be a word or a text"],
        ),
        (
            "workflow: w\nsteps: [{return: .nan}]\n",
            &["2:18 INVALID_VALUE : `.nan` has no place in JSON"],
        ),
        (
            "workflow: w\nsteps: [{return: 1}]\n---\nworkflow: v\n",
            &["3:1 UNSUPPORTED : one file holds one workflow"],
        ),
        (
            "workflow: w\nsteps: []\n",
            &["2:8 INVALID_VALUE steps: there must be at least one step here"],
        ),
        (
            "workflow: w\nsteps: [a]\n",
            &["2:9 WRONG_TYPE steps[0]: this must be a step"],
        ),
        (
            "language: 2\nworkflow: w\nsteps: [{return: 1}]\n",
            &["1:11 NOT_AVAILABLE language: this version speaks language 1, not 2"],
        ),
        (
            "workflow: w\ninput: string\nsteps: [{return: 1}]\n",
            &["2:8 WRONG_TYPE input: this must be a JSON Schema"],
        ),
        (
            "workflow: w\nindex: {}\nsubject: x\nsteps: [{return: 1}]\n",
            &[
                "2:1 NOT_AVAILABLE index: `index` is not available in this version",
                "3:1 NOT_AVAILABLE subject: `subject` is not available in this version",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_problems(text, expected);
    }
}

#[test]
fn the_keys_of_steps_are_checked() {
    let table: &[(&str, &[&str])] = &[
        (
            "id: a\nagent: { goal: x }",
            &["4:5 NOT_AVAILABLE steps[0].agent: `agent` is not available in this version"],
        ),
        (
            "id: a\ncall: x.y\ncache: 1h\nconcurrency: k\nundo: u",
            &[
                "5:5 NOT_AVAILABLE steps[0].cache",
                "6:5 NOT_AVAILABLE steps[0].concurrency",
                "7:5 NOT_AVAILABLE steps[0].undo",
            ],
        ),
        (
            "id: a\nwait: { message: m }",
            &["4:13 NOT_AVAILABLE steps[0].wait.message"],
        ),
        (
            "id: a\ncall: x.y\nsleep: 1s",
            &["3:5 STEP_KIND steps[0]: a step does one thing, but this one has `call` and `sleep`"],
        ),
        (
            "id: a",
            &["3:5 STEP_KIND steps[0]: this step does nothing: give it one of `call`, `review`"],
        ),
        (
            "id: a\nsleep: 1s\nwith: {}",
            &["5:5 UNKNOWN_KEY steps[0].with: a `sleep` step has no `with`"],
        ),
        ("id: a\ncall: X", &["4:11 INVALID_VALUE steps[0].call"]),
        ("id: a\ncall: [x]", &["4:11 WRONG_TYPE steps[0].call"]),
        ("id: a\nrun: My_flow", &["4:10 INVALID_VALUE steps[0].run"]),
        (
            "id: a\ncall: x.y\nwith:\n  <<: {}\n  a: 1",
            &["6:7 UNSUPPORTED : merge keys"],
        ),
        (
            "id: a\nreview: { show: x, expire: 2d }",
            &["4:13 MISSING_KEY steps[0].review: `title` is missing"],
        ),
        (
            "id: a\nreview: { title: x, expire: 2d }",
            &[
                "4:25 UNKNOWN_KEY steps[0].review.expire: a review has no `expire`; did you mean `expires`?",
            ],
        ),
        (
            "id: a\nreview: { title: x, on_expiry: escalte, expires: 1d, edit: 1 }",
            &[
                "4:36 INVALID_VALUE steps[0].review.on_expiry: this must be one of `fail`, `approve`, `reject`, `escalate`; did you mean `escalate`?",
                "4:64 WRONG_TYPE steps[0].review.edit: this must be true or false, not a number",
            ],
        ),
        (
            "id: a\nreview: { title: x, on_expiry: approve }",
            &["4:13 INVALID_VALUE steps[0].review: `on_expiry` means nothing without `expires`"],
        ),
        (
            "id: a\nforeach: ${ input.x }",
            &["3:5 MISSING_KEY steps[0]: `do` is missing"],
        ),
        (
            "id: a\nforeach: x ${ input.x }\ndo: [{return: 1}]",
            &["4:14 WRONG_TYPE steps[0].foreach: this must be a list such as"],
        ),
        (
            "id: a\nswitch: []",
            &["4:13 INVALID_VALUE steps[0].switch: a `switch` needs at least one case"],
        ),
        (
            "id: a\nswitch: [{default: [{return: 1}]}, {when: true, do: [{return: 1}]}]",
            &["4:40 INVALID_VALUE steps[0].switch[1]: nothing comes after `default`"],
        ),
        (
            "id: a\nswitch: [{do: [{return: 1}]}]",
            &["4:14 MISSING_KEY steps[0].switch[0]: `when` is missing"],
        ),
        (
            "id: a\ntry: [{return: 1}]",
            &["3:5 MISSING_KEY steps[0]: a `try` needs a `catch` or a `finally`"],
        ),
        (
            "id: a\nsleep: 1s\nretry: 3",
            &["3:5 INVALID_VALUE steps[0]: `retry` is for `call` and `run`"],
        ),
        (
            "id: a\ncall: x.y\nretry: 0",
            &[
                "5:12 INVALID_VALUE steps[0].retry: this must be a whole number from 1 to 1000, not 0",
            ],
        ),
        (
            "id: a\ncall: x.y\nretry: { initial: 1m, max: 1s, max_attempt: 3 }",
            &[
                "5:12 INVALID_VALUE steps[0].retry: `max` is less than `initial`",
                "5:36 UNKNOWN_KEY steps[0].retry.max_attempt: `retry` has no `max_attempt`; did you mean `max_attempts`?",
            ],
        ),
        (
            "id: a\ncall: x.y\nretry: { non_retryable: [bad] }",
            &["5:30 INVALID_VALUE steps[0].retry.non_retryable[0]"],
        ),
        (
            "id: a\nsleep: 1s\ntimeout: { start_to_close: 1s }",
            &[
                "3:5 INVALID_VALUE steps[0]: `start_to_close` and `schedule_to_start` are for `call`",
            ],
        ),
        (
            "checkpoint: x\ntimeout: 1s",
            &["3:5 INVALID_VALUE steps[0]: a `checkpoint` step takes no time"],
        ),
        (
            "id: a\ncall: x.y\ntimeout: 1y",
            &["5:14 INVALID_VALUE steps[0].timeout: this is not a duration"],
        ),
        (
            "id: a\ncall: x.y\ntimeout: 0",
            &["5:14 INVALID_VALUE steps[0].timeout"],
        ),
        (
            "id: a\ncall: x.y\ntimeout: -1s",
            &["5:14 INVALID_VALUE steps[0].timeout"],
        ),
        (
            "id: a\ncall: x.y\npriority: 101\non_failure: ignore\nneeds: b",
            &[
                "5:15 INVALID_VALUE steps[0].priority",
                "6:17 INVALID_VALUE steps[0].on_failure: this must be one of `fail`, `continue`",
                "7:12 WRONG_TYPE steps[0].needs: this must be a list of ids, not a text",
            ],
        ),
        (
            "id: a\nuntil: tomorrow",
            &["4:12 INVALID_VALUE steps[0].until: this is not an instant"],
        ),
        (
            "id: a\ncall: x.y\nwhen: input.x",
            &["5:11 WRONG_TYPE steps[0].when: this must be a condition such as"],
        ),
        (
            "id: a\ncall: x.y\nwhen: '${ input.x '",
            &["5:11 EXPRESSION steps[0].when: this `${` is not closed"],
        ),
        (
            "id: a\ncall: x.y\nwith: { a: ['${}'] }",
            &["5:17 EXPRESSION steps[0].with.a[0]: there is nothing between"],
        ),
        (
            "set: { 1x: 2 }",
            &["3:16 INVALID_VALUE steps[0].set.1x: `1x` is not allowed here"],
        ),
        (
            "fail: { code: bad, message: x }",
            &["3:19 INVALID_VALUE steps[0].fail.code"],
        ),
        (
            "fail: { code: BAD }",
            &["3:11 MISSING_KEY steps[0].fail: `message` is missing"],
        ),
        (
            "checkpoint: a b",
            &["3:17 INVALID_VALUE steps[0].checkpoint"],
        ),
    ];
    for (step, expected) in table {
        assert_problems(&with_step(step), expected);
    }
}

#[test]
fn sizes_are_limited() {
    let small = Limits {
        definition_bytes_max: 50,
        ..Limits::default()
    };
    let long = parse(
        &with_step("return: 11111111111111111111111111111111"),
        &small,
    );
    assert!(long.diagnostics[0].message.contains("definition_bytes_max"));

    let few = Limits {
        definition_steps_max: 2,
        definition_depth_max: 2,
        ..Limits::default()
    };
    let many = parse(
        "workflow: w\nsteps:\n  - return: 1\n  - return: 2\n  - return: 3\n  - return: 4\n",
        &few,
    );
    let shown: Vec<String> = many.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["5:5: the workflow has more than 2 steps (definition_steps_max) [TOO_LARGE]"]
    );

    let deep = "workflow: w\nsteps: [{id: a, parallel: [{id: b, parallel: [{return: 1}]}]}]\n";
    assert!(
        parse(deep, &few).diagnostics[0]
            .message
            .contains("definition_depth_max")
    );

    for bomb in [
        "[", "{a: ", "- ", "? ", "[{", "\"", "'", "|\n ", "&a ", "*a ", "!!", "a: ", "%", "---\n",
    ] {
        let parsed = parse(&bomb.repeat(200_000 / bomb.len()), &Limits::default());
        assert!(!parsed.diagnostics.is_empty(), "{bomb}");
    }
}

/// What a document may nest in all its dimensions, on a stack a quarter of what threads usually have.
#[test]
fn the_deepest_documents_need_little_stack() {
    let nested =
        |n: usize, open: &str, inner: &str, close: &str| open.repeat(n) + inner + &close.repeat(n);
    let steps = nested(
        15,
        "[{id: a, try: ",
        "[{return: 1}]",
        ", finally: [{return: 1}]}]",
    );
    let texts = [
        format!("workflow: w\nsteps: {steps}\n"),
        format!(
            "workflow: w\nsteps: [{{return: {}}}]\n",
            nested(60, "[", "'${input}'", "]")
        ),
        format!(
            "workflow: w\ninput: {}\nsteps: [{{return: 1}}]\n",
            nested(60, "{not: ", "{}", "}")
        ),
        format!(
            "workflow: w\ninput: {}\nsteps: [{{return: 1}}]\n",
            nested(500, "{not: ", "{}", "}")
        ),
    ];
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let worker = small.spawn(move || texts.iter().for_each(|text| compile_everything(text)));
    worker
        .unwrap()
        .join()
        .expect("no document overflows the stack");
}

#[test]
fn a_flood_of_problems_is_cut_short() {
    let keys: String = (0..20_000).map(|n| format!("k{n}: 1\n")).collect();
    assert_eq!(parse(&keys, &Limits::default()).diagnostics.len(), 500);
    let twice = "a: 1\n".repeat(40_000);
    assert_eq!(parse(&twice, &Limits::default()).diagnostics.len(), 500);
    let unknown: String = (0..6_000)
        .map(|n| format!("    - ${{ steps.nobody{n}.output }}\n"))
        .collect();
    let limits = Limits::default();
    let context = crate::definition::CheckContext {
        capabilities: None,
        workflows: None,
        unregistered: crate::definition::Unregistered::Refuse,
        limits: &limits,
    };
    let text = format!("workflow: w\nsteps:\n  - return:\n{unknown}");
    assert_eq!(
        crate::definition::compile(&text, &context)
            .unwrap_err()
            .len(),
        500
    );
}

/// Takes a definition apart and puts it together wrongly.
fn mutated() -> impl Strategy<Value = String> {
    let snippet = prop::sample::select(vec![
        "${", "}", "'", "\"", "[", "]", "{", "}", ": ", "- ", "\n", "\n  ", "|", ">", "&a", "*a",
        "!!str ", "#", "\t", "é", "~", "steps: ", "when: ", "do: ", "%", "---", "<<: ", "1e999",
        "\u{0}", "\u{feff}", "? ", ",",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..20_usize, snippet), 1..6);
    edits.prop_map(|edits| {
        let mut chars: Vec<char> = SAMPLE.chars().collect();
        for (at, cut, snippet) in edits {
            let at = at.index(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, snippet.chars());
        }
        chars.into_iter().collect()
    })
}

fn compile_everything(text: &str) {
    let limits = Limits::default();
    let context = crate::definition::CheckContext {
        capabilities: Some(&std::collections::BTreeMap::new()),
        workflows: None,
        unregistered: crate::definition::Unregistered::Allow,
        limits: &limits,
    };
    if let Err(problems) = crate::definition::compile(text, &context) {
        assert!(!problems.is_empty());
        assert!(
            problems.iter().all(|p| p.line >= 1 && p.column >= 1),
            "{problems:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_mutation_of_a_definition_makes_the_compiler_panic(text in mutated()) {
        compile_everything(&text);
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in "\\PC{0,60}(\n\\PC{0,40}){0,3}") {
        compile_everything(&text);
    }
}
