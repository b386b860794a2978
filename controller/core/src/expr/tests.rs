//! What expressions mean, and what they cannot do.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::definition::model::{Expr, Template};
use crate::expr::{
    ErrorKind, Expression, ExpressionError, Expressions, Position, Reference, Scope, evaluate,
    template,
};
use crate::limits::Limits;

fn input() -> Value {
    json!({
        "name": "Ada", "plan": "pro", "n": 3, "price": 10.5, "big": u64::MAX, "none": null, "yes": true,
        "tags": ["b", "a", "b"], "items": [{"id": 1, "ok": true}, {"id": 2, "ok": false}],
        "map": {"b": 2, "a": 1, "c-d": 3}, "at": "2026-01-31T08:00:00Z"
    })
}

fn eval_over(text: &str, limits: &Limits) -> Result<Value, ExpressionError> {
    let (input, draft, run) = (input(), json!({"body": "Dear Ada"}), json!({"id": "run_1"}));
    let (count, index) = (json!(7), json!(2));
    let scope = Scope::new()
        .with(Reference::Input, &input)
        .with(Reference::Step("draft".to_owned()), &draft)
        .with(Reference::Step("my-step".to_owned()), &count)
        .with(Reference::Step("skipped".to_owned()), &Value::Null)
        .with(Reference::Variable("count".to_owned()), &count)
        .with(Reference::Index, &index)
        .with(Reference::Run, &run);
    evaluate(&Expression::parse(text, limits)?, &scope)
}

fn eval(text: &str) -> Value {
    eval_over(text, &Limits::default()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn fails(text: &str) -> ExpressionError {
    eval_over(text, &Limits::default()).expect_err(text)
}

#[test]
fn values_come_out_as_json() {
    let table = [
        ("input.name", json!("Ada")),
        ("steps.draft.output.body", json!("Dear Ada")),
        ("steps['my-step'].output + vars.count", json!(14)),
        ("steps.`my-step`.output", json!(7)),
        ("run.id", json!("run_1")),
        (
            "{'a': [1, 2u, 3.5, null, true, 'x'], 1: 2}",
            json!({"a": [1, 2, 3.5, null, true, "x"], "1": 2}),
        ),
        ("input.items[1].id", json!(2)),
        ("input['map']['c-d']", json!(3)),
        ("index", json!(2)),
        (
            "timestamp(input.at) + duration('1d 30m')",
            json!("2026-02-01T08:30:00Z"),
        ),
        ("duration('90s')", json!("90s")),
        ("duration('1h') - duration('1.5s')", json!("3598.5s")),
        (
            "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z')",
            json!("86400s"),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(eval(text), expected, "{text}");
    }
}

#[test]
fn numbers_mix_and_stay_whole_where_they_can() {
    let table = [
        ("1 + 2 * 3", json!(7)),
        ("7 / 2", json!(3)),
        ("7 / 2.0", json!(3.5)),
        ("-7 % 3", json!(-1)),
        ("input.price * 2", json!(21.0)),
        ("input.big - 1", json!(u64::MAX - 1)),
        ("1 == 1.0 && 1u == 1", json!(true)),
        ("9007199254740993 == 9007199254740992.0", json!(false)),
        ("input.big > 1.5 && -1 < input.big", json!(true)),
        ("int('42') + int(3.9)", json!(45)),
        ("double(1)", json!(1.0)),
        ("string(1.0) + string(2) + string(true)", json!("1.02true")),
    ];
    for (text, expected) in table {
        assert_eq!(eval(text), expected, "{text}");
    }
    for text in [
        "1 / 0",
        "1 % 0",
        "1.0 / 0.0",
        "double('NaN')",
        "double('inf')",
        "1e308 * 10.0",
        "-input.big",
        "9223372036854775807 * 4",
    ] {
        assert_eq!(fails(text).kind, ErrorKind::Evaluation, "{text}");
    }
}

#[test]
fn texts_and_lists_have_the_usual_functions() {
    let table = [
        (
            "input.name.lowerAscii() + ' '.trim() + 'x'.upperAscii()",
            json!("adaX"),
        ),
        ("size('häß') + size([1, 2]) + input.map.size()", json!(8)),
        ("'a,b'.split(',')", json!(["a", "b"])),
        ("'ab'.split('')", json!(["a", "b"])),
        ("input.tags.join('-')", json!("b-a-b")),
        ("input.tags.sort()", json!(["a", "b", "b"])),
        ("input.tags.distinct()", json!(["b", "a"])),
        ("'hello'.replace('l', 'L').substring(1, 4)", json!("eLL")),
        ("'hällo'.indexOf('l')", json!(2)),
        ("'ada@x.org'.matches('^[^@]+@[^@]+$')", json!(true)),
        (
            "'abc'.contains('b') && 'abc'.startsWith('a') && 'abc'.endsWith('c')",
            json!(true),
        ),
        (
            "'b' in input.tags && 'a' in input.map && !(9 in [1, 2])",
            json!(true),
        ),
        (
            "timestamp(input.at).getFullYear() + timestamp(input.at).getMonth()",
            json!(2026),
        ),
        ("timestamp(input.at).getDayOfWeek()", json!(6)),
        ("[1] + [2]", json!([1, 2])),
    ];
    for (text, expected) in table {
        assert_eq!(eval(text), expected, "{text}");
    }
}

#[test]
fn comprehensions_visit_lists_in_order_and_maps_by_key() {
    let table = [
        ("input.items.filter(i, i.ok).map(i, i.id)", json!([1])),
        ("input.items.map(i, i.ok, i.id * 10)", json!([10])),
        (
            "input.items.all(i, i.id > 0) && input.items.exists(i, i.id == 2)",
            json!(true),
        ),
        ("input.items.exists_one(i, i.ok)", json!(true)),
        ("input.map.map(k, k)", json!(["a", "b", "c-d"])),
        (
            "{'z': 1, 'a': 2, 3: 4, true: 5}.map(k, string(k))",
            json!(["true", "3", "a", "z"]),
        ),
        (
            "[1, 2].map(x, [10, 20].map(y, x * y))",
            json!([[10, 20], [20, 40]]),
        ),
        ("[1, 2].map(x, [x].map(x, x + 1))", json!([[2], [3]])),
        ("[0, 2].exists(x, 4 / x == 2)", json!(true)),
        ("[].all(x, x)", json!(true)),
    ];
    for (text, expected) in table {
        for _ in 0..3 {
            assert_eq!(eval(text), expected, "{text}");
        }
    }
}

#[test]
fn logic_absorbs_errors_as_cel_wants() {
    assert_eq!(eval("input.missing == 1 || true"), json!(true));
    assert_eq!(eval("1 / 0 > 0 && false"), json!(false));
    assert_eq!(
        fails("input.missing == 1 && true").kind,
        ErrorKind::Evaluation
    );
    assert_eq!(
        eval("has(input.missing) ? input.missing : 'none'"),
        json!("none")
    );
    assert_eq!(eval("has(steps.skipped.output)"), json!(false));
    assert_eq!(eval("has(steps.skipped.output.body)"), json!(false));
    assert_eq!(
        eval("has(vars.count) && has(steps.draft.output.body)"),
        json!(true)
    );
    assert_eq!(eval("steps.skipped.output == null"), json!(true));
}

#[test]
fn failures_say_what_and_where() {
    assert_eq!(
        fails("input.mising").message,
        "there is no `mising` (in `input.mising`)"
    );
    assert_eq!(
        fails("steps.skipped.output.body").message,
        "null has no `body` (in `steps.skipped.output.body`)"
    );
    assert!(fails("'n: ' + input.n").message.contains("string(x)"));
    assert!(fails("input.tags[3]").message.contains("the list has 3"));
    assert!(fails("item.x").message.contains("`item` has no value here"));
}

#[test]
fn names_are_checked_when_an_expression_is_parsed() {
    let at = |line, column| Some(Position { line, column });
    let table = [
        (
            "inptu.name",
            at(1, 1),
            "`inptu` means nothing here; did you mean `input`?",
        ),
        ("1 +\n  foo", at(2, 3), "`foo` means nothing here"),
        (
            "input.tags.fillter(x, x)",
            at(1, 12),
            "there is no function `fillter`; did you mean `filter`?",
        ),
        ("now()", at(1, 1), "there is no function `now`"),
        ("steps", at(1, 1), "name the step: `steps.<id>.output`"),
        (
            "steps.draft",
            at(1, 1),
            "a step is not a value; its output is: `steps.draft.output`",
        ),
        (
            "1 == steps.draft.result",
            at(1, 6),
            "a step has only an output and a status: `steps.draft.output`",
        ),
        (
            "steps[input.name].output",
            at(1, 1),
            "steps and variables are named",
        ),
        ("'a'.size(1)", at(1, 5), "`size` takes 0 arguments, not 1"),
        (
            "contains('a', 'b')",
            at(1, 1),
            "`contains` is called on a value",
        ),
        (
            "input.tags.map(input, 1)",
            at(1, 1),
            "`input` has a meaning already",
        ),
        (
            "'a'.matches(input.name)",
            at(1, 5),
            "must be written as a text",
        ),
        ("'a'.matches('(')", at(1, 5), "the pattern is not valid"),
        ("Msg{a: 1}", at(1, 1), "there is no type `Msg`"),
    ];
    for (text, position, message) in table {
        let error = Expression::parse(text, &Limits::default()).expect_err(text);
        assert_eq!(
            (error.kind, error.at),
            (ErrorKind::Name, position),
            "{text}: {error}"
        );
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

#[test]
fn syntax_errors_have_a_column_in_characters() {
    let table = [
        ("", 1),
        ("1 +", 4),
        ("'ä' + ) ", 7),
        ("a b", 3),
        ("input.", 7),
        ("'open", 1),
        ("1 & 2", 3),
        ("b'bytes'", 0),
        ("input.?x", 0),
        ("[1, 2", 6),
        ("é", 1),
        ("99999999999999999999", 1),
    ];
    for (text, column) in table {
        let error = Expression::parse(text, &Limits::default()).expect_err(text);
        assert_eq!(error.kind, ErrorKind::Syntax, "{text}: {error}");
        if column > 0 {
            assert_eq!(
                error.at,
                Some(Position { line: 1, column }),
                "{text}: {error}"
            );
        }
    }
}

#[test]
fn references_are_exactly_what_is_read() {
    let of = |text: &str| {
        let parsed = Expression::parse(text, &Limits::default()).unwrap();
        parsed
            .references()
            .iter()
            .map(Reference::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("1 + 2"), Vec::<String>::new());
    assert_eq!(of("input.a.b + input.c"), ["input"]);
    assert_eq!(
        of("steps.x.output.y == steps['a-b'].output"),
        ["steps['a-b'].output", "steps.x.output"]
    );
    assert_eq!(
        of("[item].map(steps2, steps2 + index + vars.v)"),
        ["vars.v", "item", "index"]
    );
    assert_eq!(
        of("has(vars.v) || has(error.code) || run.id == ''"),
        ["vars.v", "run", "error"]
    );
}

#[test]
fn uses_carry_their_fields_and_places() {
    let parsed =
        Expression::parse("1 + input.a['b'][0].c +\n has(input.d)", &Limits::default()).unwrap();
    let uses: Vec<_> = parsed
        .uses()
        .iter()
        .map(|u| (u.fields.join("."), u.at))
        .collect();
    assert_eq!(
        uses,
        [
            ("a.b".to_owned(), Some(Position { line: 1, column: 5 })),
            ("d".to_owned(), Some(Position { line: 2, column: 6 })),
        ]
    );
}

#[test]
fn templates_render_to_values_and_texts() {
    let mut all = Expressions::new(&Limits::default());
    let mut render = |text: &str| {
        let template = template::parse(text).unwrap();
        for expr in template::expressions(&template) {
            all.add(expr).unwrap();
        }
        let input = input();
        all.render(&template, &Scope::new().with(Reference::Input, &input))
    };
    assert_eq!(render("plain").unwrap(), json!("plain"));
    assert_eq!(render("${input.tags}").unwrap(), json!(["b", "a", "b"]));
    assert_eq!(
        render("Hi ${input.name}: ${input.n}, ${input.none}, ${input.map}!").unwrap(),
        json!(r#"Hi Ada: 3, , {"a":1,"b":2,"c-d":3}!"#)
    );
    assert_eq!(render("$${x} ${input.n}").unwrap(), json!("${x} 3"));
    assert_eq!(
        render("a ${input.nope}").unwrap_err().kind,
        ErrorKind::Evaluation
    );
}

#[test]
fn a_condition_must_be_a_bool() {
    let (limits, input) = (Limits::default(), input());
    let scope = Scope::new().with(Reference::Input, &input);
    let mut all = Expressions::new(&limits);
    let (yes, text) = (Expr("input.yes".to_owned()), Expr("input.name".to_owned()));
    all.add(&yes).unwrap();
    all.add(&text).unwrap();
    assert_eq!(all.condition(&yes, &scope), Ok(true));
    assert_eq!(
        all.condition(&text, &scope).unwrap_err().kind,
        ErrorKind::Evaluation
    );
    assert_eq!(
        all.evaluate(&Expr("1".to_owned()), &scope)
            .unwrap_err()
            .kind,
        ErrorKind::Name
    );
    let references = all.template_references(&Template::List(vec![Template::Expr(yes)]));
    assert_eq!(
        references.into_iter().collect::<Vec<_>>(),
        [Reference::Input]
    );
}

/// cel-rust #306: with the ANTLR parser, 125 bytes of this take more than a gigabyte.
#[test]
#[expect(clippy::disallowed_types, reason = "the test measures time")]
fn the_motif_that_exhausts_the_antlr_parser_is_refused_at_once() {
    for (n, size) in [(2, 63), (4, 125), (100, 3_101)] {
        let motif = "!!(!!!!!!(!!!!(((((!!(!!(!!!!((".repeat(n) + "1";
        assert_eq!(motif.len(), size);
        let start = std::time::Instant::now();
        assert!(Expression::parse(&motif, &Limits::default()).is_err());
        assert!(
            start.elapsed().as_millis() < 50,
            "{n} times took {:?}",
            start.elapsed()
        );
    }
}

/// The deepest and longest shapes that get as far as the parser, on a stack a quarter of what threads usually have.
#[test]
#[expect(clippy::disallowed_types, reason = "the test measures time")]
fn no_shape_overflows_a_small_stack_or_takes_long() {
    let mut shapes = Vec::new();
    for n in [16, 60, 64, 65, 500, 4_000] {
        shapes.extend([
            "(".repeat(n) + "1" + &")".repeat(n),
            "[".repeat(n) + "1" + &"]".repeat(n),
            "{1:".repeat(n) + "1" + &"}".repeat(n),
            "-(".repeat(n) + "1" + &")".repeat(n),
            "!".repeat(n) + "true",
            "-!".repeat(n) + "true",
            "size([".repeat(n) + "1" + &"])".repeat(n),
            "input".to_owned() + &".a".repeat(n),
            "input".to_owned() + &"[0]".repeat(n),
            "'a'".to_owned() + &".trim()".repeat(n),
            "1".to_owned() + &"+1".repeat(n),
            "true".to_owned() + &"&&true".repeat(n),
            "true?1:".repeat(n) + "1",
            "true?".repeat(n) + "1" + &":1".repeat(n),
            "1 in [".repeat(n) + &"]".repeat(n),
            "[1].map(x,".repeat(n) + "1" + &")".repeat(n),
            "[1]".to_owned() + &".map(x,x)".repeat(n),
            "a{b:".repeat(n) + "1" + &"}".repeat(n),
            "(".repeat(n),
            "[1,".repeat(n),
            "a.b(".repeat(n),
            "?".repeat(n),
            "1==".repeat(n),
        ]);
    }
    let worker = std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(move || {
            for shape in shapes {
                let start = std::time::Instant::now();
                let outcome = eval_over(&shape, &Limits::default());
                let took = start.elapsed().as_millis();
                assert!(
                    took < 250,
                    "{}… took {took} ms: {outcome:?}",
                    &shape[..shape.len().min(20)]
                );
            }
        });
    worker
        .expect("a thread can be started")
        .join()
        .expect("no shape overflows or panics");
}

#[test]
fn work_and_memory_are_metered() {
    let limits = Limits {
        expression_steps_max: 50_000,
        payload_bytes_max: 64 * 1024,
        ..Limits::default()
    };
    let ten = "[0,1,2,3,4,5,6,7,8,9]";
    let hundred = format!("{ten}.map(a, {ten}.map(b, a * b))");
    assert!(eval_over(&hundred, &limits).is_ok());
    let bombs = [
        format!("{ten}.map(a, {ten}.map(b, {ten}.map(c, ({ten} + {ten} + {ten} + {ten} + {ten} + {ten}).map(d, d))))"),
        format!("{ten}.map(a, {ten}.map(b, {ten}.map(c, '0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123')))"),
        "'aaaaaaaaaaaaaaaaaaaa'.replace('a', 'aaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaa')".to_owned(),
        // Shared while it is built, exponential when it is written out.
        "[[1,1,1,1,1,1,1,1]].map(a,[a,a,a,a,a,a,a,a]).map(b,[b,b,b,b,b,b,b,b]).map(c,[c,c,c,c,c,c,c,c]).map(d,[d,d,d,d,d,d,d,d])".to_owned(),
        "[[1,1,1,1,1,1,1,1]].map(a,[a,a,a,a,a,a,a,a]).map(b,[b,b,b,b,b,b,b,b]).map(c,[c,c,c,c,c,c,c,c]).map(d,[d,d,d,d,d,d,d,d]).map(e,[e,e,e,e,e,e,e,e]).all(f, f == f)".to_owned(),
    ];
    for bomb in bombs {
        let error = eval_over(&bomb, &limits).expect_err(&bomb);
        assert_eq!(error.kind, ErrorKind::Limit, "{error}");
    }
}

#[test]
fn a_text_limit_is_named_in_its_error() {
    let error = Expression::parse(&"1".repeat(4097), &Limits::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("expression_bytes_max"));
}

fn plain(value: &cel::Value) -> Value {
    match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(b) => json!(b),
        cel::Value::Int(i) => json!(i),
        cel::Value::UInt(u) => json!(u),
        cel::Value::Float(f) => json!(f),
        cel::Value::String(text) => json!(text.as_str()),
        cel::Value::List(items) => items.iter().map(plain).collect(),
        other => panic!("{other:?} is not compared"),
    }
}

/// Where the `cel` crate's own evaluator gives a value, ours gives the same: the language is CEL.
#[test]
fn we_agree_with_the_cel_crate() {
    let same = [
        "1 + 2 * 3 - 4 / 2 % 3",
        "-(2 + 3)",
        "7 / 2",
        "-7 / 2",
        "-7 % 3",
        "7.0 / 2.0",
        "1.5 + 2.5",
        "0x10 + 1",
        "1u + 2u",
        "'a' + 'b'",
        "[1] + [2, 3]",
        "'abc' < 'abd'",
        "2 < 10 && 2.5 >= 2.5",
        "true && false || !false",
        "1 == 1.0",
        "1 == 1u",
        "'1' == '2'",
        "[1, 2] == [1, 2]",
        "{'a': 1} == {'a': 1}",
        "{'a': 1} != {'a': 2}",
        "null == null",
        "1 in [1, 2]",
        "'a' in {'a': 1}",
        "[1, 2, 3][1]",
        "{'a': {'b': 2}}.a.b",
        "{'a': 1}['a']",
        "has({'a': 1}.a)",
        "has({'a': 1}.b)",
        "true ? 'y' : 'n'",
        "size([1, 2])",
        "size('häß')",
        "'abc'.size()",
        "'abc'.contains('b')",
        "'abc'.startsWith('ab')",
        "'abc'.endsWith('bc')",
        "[1, 2, 3].all(x, x > 0)",
        "[1, 2, 3].exists(x, x > 2)",
        "[1, 2, 3].exists_one(x, x > 2)",
        "[1, 2, 3].map(x, x * 2)",
        "[1, 2, 3].map(x, x > 1, x * 2)",
        "[1, 2, 3].filter(x, x > 1)",
        "[[1], [2, 3]].map(x, size(x))",
        "int('12') + int(3.9)",
        "string(12) + string(true)",
        "double('1.5')",
        "uint(7)",
        "[1, 2].exists(x, 1 / (x - 1) > 0)",
        "1 / 0 > 0 || true",
        "false && 1 / 0 > 0",
        r"r'a\b' == 'a\\b'",
        r"'\u00e4' == 'ä'",
        r#""a'b""#,
        "'a\"b'",
    ];
    for text in same {
        let tree = cel::parser::PrattParser::new()
            .parse(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"));
        let theirs = cel::Value::resolve(&tree, &cel::Context::default())
            .unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(eval(text), plain(&theirs), "{text}");
    }
}

/// A strategy for texts that are nearly expressions.
fn nearly_cel() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "input",
        ".name",
        ".tags",
        "[0]",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "'a'",
        "\"",
        "'",
        "1",
        "2.5",
        "3u",
        "true",
        "null",
        " && ",
        " || ",
        " ? ",
        " : ",
        " == ",
        " < ",
        " in ",
        " + ",
        " - ",
        " * ",
        " / ",
        "%",
        "!",
        "-",
        ".map(x, x)",
        ".filter(x, x)",
        ".all(x, ",
        ".size()",
        "size(",
        "string(",
        "timestamp(",
        "duration(",
        ",",
        "steps.draft.output",
        "steps",
        "vars.count",
        "has(",
        "x",
        "é",
        "`",
        "\\",
        "//",
        "\n",
        "0x",
        "1e9",
        ".",
        "${",
        "matches('a+')",
        "run",
        "b'",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_parser_or_the_evaluator_panic(text in nearly_cel()) {
        let _ = eval_over(&text, &Limits::default());
        let _ = template::parse(&text);
    }

    #[test]
    fn no_arbitrary_text_makes_the_parser_panic(text in "\\PC{0,80}") {
        let _ = eval_over(&text, &Limits::default());
        let _ = template::parse(&text);
    }

    #[test]
    fn whole_number_arithmetic_agrees_with_rust(a in any::<i64>(), b in any::<i64>()) {
        for (sign, expected) in [('+', a.checked_add(b)), ('-', a.checked_sub(b)), ('*', a.checked_mul(b))] {
            let result = eval_over(&format!("({a}) {sign} ({b})"), &Limits::default());
            if let Some(expected) = expected {
                prop_assert_eq!(result, Ok(json!(expected)));
            }
        }
        prop_assert_eq!(eval_over(&format!("({a}) < ({b})"), &Limits::default()), Ok(json!(a < b)));
    }
}
