//! Putting in and taking out, over texts of many shapes.

use super::entries::{Content, Launch};
use super::json_text::{Json, JsonText, Step};
use super::ledger::Traces;
use crate::commands::hook::Event;
use proptest::prelude::*;
use serde_json::Value;

fn launch() -> Launch {
    Launch {
        program: "/opt/my tools/athena".into(),
        options: vec!["--home".into(), "/h".into()],
    }
}

fn contents() -> [Content; 3] {
    let below = vec!["projects".to_owned(), "/src/shop".to_owned()];
    [
        Content::Hooks,
        Content::Server(Vec::new()),
        Content::Server(below),
    ]
}

/// Puts everything in and takes it out again; returns the text in between.
#[track_caller]
fn check(content: &Content, before: &str) -> String {
    let (installed, traces) = content.put(before, &launch()).unwrap();
    assert_ne!(installed, before);
    let plain = |text: &str| -> Value {
        serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
    };
    plain(&installed);
    let (again, more) = content.put(&installed, &launch()).unwrap();
    assert_eq!(again, installed, "put in twice");
    assert_eq!(more, Traces::default());
    assert_eq!(
        content.take_out(&installed, Some(&traces)).unwrap(),
        before,
        "taken out of {installed}"
    );
    // Somebody who knows nothing of what was made leaves nothing of Athena's either.
    let rest = content.take_out(&installed, None).unwrap();
    assert!(!rest.contains("athena hook"), "{rest}");
    assert!(!rest.contains(r#""athena": {"#), "{rest}");
    plain(&rest);
    installed
}

#[test]
fn what_was_put_in_comes_out_without_a_trace() {
    for content in contents() {
        for before in [
            "{}",
            "{}\n",
            "{ }",
            "{\n}\n",
            " \n {\n\n } \n",
            "\u{feff}{\"a\": 1}",
            "{\"a\":1}",
            "{\"a\":1,\"b\":[1,2]}\n",
            "{ \"a\": 1, \"b\": {} }",
            "{\n  \"a\": 1\n}\n",
            "{\n    \"a\": {\n        \"b\": []\n    }\n}",
            "{\n\t\"é\\u00e9🧊\": \"\\\"}{\",\n\t\"z\": null\n}\n",
            "{\r\n  \"a\": true,\r\n  \"b\": -1.5e3\r\n}\r\n",
            "{\n\"a\": 1,\n\n\n\"b\": 2\n\n}\n",
            "{\n  \"a\" :\n    1\n  , \"b\": 2\n}\n",
            "{\"hooks\":{},\"mcpServers\":{},\"projects\":{}}",
            "{\n  \"hooks\": { },\n  \"mcpServers\": {\n  },\n  \"projects\": {\"/src/shop\": {}}\n}",
            "{\n  \"hooks\": {\n    \"PostToolUse\": []\n  },\n  \"mcpServers\": {\"x\": {}}\n}",
            "{\"hooks\":{\"Stop\":[{\"hooks\":[]}],\"SessionEnd\":[{\"matcher\":\"*\",\"hooks\":[{\"type\":\"command\",\"command\":\"say bye\"}]}]}}",
        ] {
            check(&content, before);
        }
    }
}

#[test]
fn an_empty_file_becomes_one_that_a_person_would_write() {
    let installed = check(&Content::Server(Vec::new()), "{}\n");
    assert_eq!(
        installed,
        "{\n  \"mcpServers\": {\n    \"athena\": {\n      \"command\": \"/opt/my tools/athena\",\n      \
         \"args\": [\n        \"mcp\",\n        \"--home\",\n        \"/h\"\n      ]\n    }\n  }\n}\n"
    );
    let hooks: Value = serde_json::from_str(&check(&Content::Hooks, "{}\n")).unwrap();
    for event in Event::ALL {
        let hook = &hooks["hooks"][event.client_name()][0]["hooks"][0];
        let line = format!("'/opt/my tools/athena' hook {} --home /h", event.name());
        assert_eq!(hook["command"], line.as_str());
        assert_eq!(hook["type"], "command");
    }
    assert_eq!(hooks["hooks"]["PostToolUse"][0]["matcher"], "*");
}

#[test]
fn one_line_stays_one_line() {
    let installed = check(&Content::Hooks, "{\"a\":1}");
    assert!(!installed.contains('\n'), "{installed}");
    assert!(!installed.contains(": "), "{installed}");
    let installed = check(&Content::Hooks, "{\"a\": 1}");
    assert!(installed.contains("\"timeout\": 5}"), "{installed}");
}

#[test]
fn what_others_added_since_stays() {
    let before = "{\n  \"a\": 1\n}\n";
    let (installed, traces) = Content::Hooks.put(before, &launch()).unwrap();
    let others = r#"{"hooks":[{"type":"command","command":"say done"}]}"#;
    let changed = installed.replace("\"SessionEnd\": [", &format!("\"SessionEnd\": [{others},"));
    let rest = Content::Hooks.take_out(&changed, Some(&traces)).unwrap();
    let rest: Value = serde_json::from_str(&rest).unwrap();
    let expected = format!(r#"{{"a":1,"hooks":{{"SessionEnd":[{others}]}}}}"#);
    assert_eq!(rest, serde_json::from_str::<Value>(&expected).unwrap());
}

#[test]
fn lines_of_others_are_not_ours() {
    for line in [
        "/opt/athenaeum/athena-ctl hook session-start --foo",
        "cd /srv && ATHENA_HOME=/srv/a athena hook session-start",
        "athena hook session-start || true",
        "\"$HOME/athena\" hook session-start",
    ] {
        let before = serde_json::json!({"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": line}]}]}});
        let before = format!("{before:#}");
        let (installed, traces) = Content::Hooks.put(&before, &launch()).unwrap();
        assert_eq!(
            Content::Hooks.take_out(&installed, Some(&traces)).unwrap(),
            before
        );
        assert!(
            installed.contains(&serde_json::to_string(line).unwrap()),
            "{installed}"
        );
        assert_eq!(Content::Hooks.take_out(&before, None).unwrap(), before);
    }
}

#[test]
fn a_server_that_only_looks_like_ours_is_refused() {
    let before = r#"{"mcpServers": {"athena": {"command": "athena-proxy", "args": ["mcp"]}}}"#;
    let error = Content::Server(Vec::new())
        .put(before, &launch())
        .unwrap_err();
    assert!(
        error.message.contains("rename or remove it"),
        "{}",
        error.message
    );
}

#[test]
fn another_home_takes_the_place_of_one() {
    let other = Launch {
        program: "athena".into(),
        options: vec!["--home".into(), "/other".into()],
    };
    for content in contents() {
        let (installed, _) = content.put("{}\n", &launch()).unwrap();
        let (moved, traces) = content.put(&installed, &other).unwrap();
        assert!(
            moved.contains("/other") && !moved.contains("my tools"),
            "{moved}"
        );
        let rest = content.take_out(&moved, Some(&traces)).unwrap();
        assert!(!rest.contains("/other"), "{rest}");
    }
}

#[test]
fn what_was_there_before_is_not_taken_out() {
    let own = r#"{"hooks":{"SessionEnd":[{"hooks":[{"type":"command","command":"athena hook session-end"}]}]}}"#;
    let launch = Launch {
        program: "athena".into(),
        options: Vec::new(),
    };
    let (installed, traces) = Content::Hooks.put(own, &launch).unwrap();
    assert!(installed.contains("session-start"));
    assert_eq!(installed.matches("session-end").count(), 1);
    let rest = Content::Hooks.take_out(&installed, Some(&traces)).unwrap();
    assert_eq!(rest, own);
    assert_eq!(Content::Hooks.take_out(own, None).unwrap(), "{}");
}

#[test]
fn a_program_that_moved_is_followed() {
    let (installed, _) = Content::Hooks.put("{}", &launch()).unwrap();
    let moved = Launch {
        program: "athena".into(),
        options: Vec::new(),
    };
    let (after, traces) = Content::Hooks.put(&installed, &moved).unwrap();
    assert_eq!(after, Content::Hooks.put("{}", &moved).unwrap().0);
    // They are this one's from now on, and what is around them stays.
    assert_eq!(traces.entries.len(), Event::ALL.len());
    assert_eq!(traces.containers, Vec::<Vec<String>>::new());
}

#[test]
fn what_stands_in_the_way_is_named_with_its_line() {
    let refused = |content: &Content, text: &str| {
        let problem = content.put(text, &launch()).unwrap_err();
        format!("{}: {}", problem.line, problem.message)
    };
    let [hooks, server, _] = contents();
    for (content, text, expected) in [
        (&hooks, "", "1: is no JSON: EOF while parsing a value"),
        (
            &hooks,
            "{\n  // mine\n}",
            "2: is no JSON: key must be a string",
        ),
        (&hooks, "{\n\"a\": 1,\n}", "3: is no JSON: trailing comma"),
        (&hooks, "[]", "1: must hold an object, holds an array"),
        (
            &hooks,
            "{\n\"hooks\": []}",
            "2: `hooks` must be an object, is an array",
        ),
        (
            &hooks,
            "{\"hooks\":\n{\"SessionStart\":\n{}}}",
            "3: `hooks.SessionStart` must be an array, is an object",
        ),
        (
            &hooks,
            "{\"hooks\":{},\n\"hooks\":{}}",
            "2: holds `hooks` twice; remove one",
        ),
        (
            &server,
            "{\"mcpServers\": 1}",
            "1: `mcpServers` must be an object, is neither an object nor an array",
        ),
        (
            &server,
            "{\"mcpServers\": {\"athena\": {\"command\": \"goddess\"}}}",
            "1: `mcpServers.athena` must be a server that runs `athena mcp`; rename or remove it, is an object",
        ),
    ] {
        assert_eq!(refused(content, text), expected);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(&hooks, &deep).contains("recursion limit"));
}

#[test]
fn odd_groups_of_others_are_left_alone() {
    for groups in [
        "[1,\"x\",null]",
        "[{\"hooks\":7}]",
        "[{\"hooks\":[{\"command\":5},\"athena\"]}]",
    ] {
        check(
            &Content::Hooks,
            &format!("{{\"hooks\":{{\"SessionEnd\":{groups}}}}}"),
        );
    }
}

/// How a generated text is laid out.
#[derive(Debug, Clone, Copy)]
struct Shape {
    line_break: &'static str,
    unit: &'static str,
    colon: &'static str,
    comma: &'static str,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let lines = (
        "\n",
        prop::sample::select(vec!["  ", "    ", "\t", ""]),
        ": ",
        ",",
    );
    let lines = (
        prop::sample::select(vec![lines.0, "\r\n", "\n\n"]),
        lines.1,
        prop::sample::select(vec![lines.2, ":", " : "]),
        Just(lines.3),
    );
    let line = (
        Just(""),
        Just(""),
        prop::sample::select(vec![": ", ":"]),
        prop::sample::select(vec![", ", ",", " , "]),
    );
    prop_oneof![lines, line].prop_map(|(line_break, unit, colon, comma)| Shape {
        line_break,
        unit,
        colon,
        comma,
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(Value::from("athena hook post-tool")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let names = prop_oneof!["[a-zé\"\\\\ ]{0,6}", "hooks|matcher|command"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Settings with hooks and servers of others.
fn settings() -> impl Strategy<Value = Value> {
    let events = prop::sample::select(vec!["SessionStart", "PostToolUse", "SessionEnd", "Stop"]);
    let hooks = prop::collection::btree_map(
        events.prop_map(str::to_owned),
        prop::collection::vec(values().prop_filter("is nobody else's", is_other), 0..3)
            .prop_map(Value::from),
        0..4,
    );
    let servers = prop::collection::btree_map("[a-f]{1,4}", values(), 0..3);
    let rest = prop::collection::btree_map("[a-z]{1,3}", values(), 0..3);
    (prop::option::of(hooks), prop::option::of(servers), rest).prop_map(|(hooks, servers, rest)| {
        let mut all: serde_json::Map<String, Value> = rest.into_iter().collect();
        let object = |map: std::collections::BTreeMap<String, Value>| {
            Value::Object(map.into_iter().collect())
        };
        all.extend(hooks.map(|hooks| ("hooks".to_owned(), object(hooks))));
        all.extend(servers.map(|servers| ("mcpServers".to_owned(), object(servers))));
        Value::Object(all)
    })
}

/// A group that holds a hook of Athena's by chance is no group of others.
fn is_other(group: &Value) -> bool {
    !group.to_string().contains("athena hook")
}

fn written(value: &Value, shape: Shape, depth: usize) -> String {
    let inner = format!("{}{}", shape.line_break, shape.unit.repeat(depth + 1));
    let outer = format!("{}{}", shape.line_break, shape.unit.repeat(depth));
    let (open, close, entries): (_, _, Vec<String>) = match value {
        Value::Array(elements) => (
            '[',
            ']',
            elements
                .iter()
                .map(|element| written(element, shape, depth + 1))
                .collect(),
        ),
        Value::Object(members) => (
            '{',
            '}',
            members
                .iter()
                .map(|(name, value)| {
                    let name = Value::from(name.as_str());
                    format!("{name}{}{}", shape.colon, written(value, shape, depth + 1))
                })
                .collect(),
        ),
        leaf => return leaf.to_string(),
    };
    let separator = if shape.line_break.is_empty() {
        shape.comma.to_owned()
    } else {
        format!(",{inner}")
    };
    match entries.is_empty() {
        true => format!("{open}{close}"),
        false => format!("{open}{inner}{}{outer}{close}", entries.join(&separator)),
    }
}

proptest! {
    #[test]
    fn settings_of_any_shape_come_back_byte_for_byte(
        value in settings(),
        shape in shapes(),
        mark in prop::sample::select(vec!["", "\u{feff}"]),
        end in prop::sample::select(vec!["", "\n", "\r\n", " \n\n"]),
    ) {
        let before = format!("{mark}{}{end}", written(&value, shape, 0));
        for content in contents() {
            let (installed, traces) = content.put(&before, &launch()).unwrap();
            let (again, _) = content.put(&installed, &launch()).unwrap();
            prop_assert_eq!(&again, &installed);
            prop_assert_eq!(content.take_out(&installed, Some(&traces)).unwrap(), before.clone());
            // What is read from the text with the entries is what was there, and the entries.
            let json = installed.trim_start_matches('\u{feff}');
            prop_assert!(serde_json::from_str::<Value>(json).is_ok(), "{}", installed);
        }
    }

    #[test]
    fn everything_is_found_where_it_stands(value in settings(), shape in shapes()) {
        let text = written(&value, shape, 0);
        let json = JsonText::parse(&text).unwrap();
        for (name, value) in value.as_object().unwrap() {
            let node = json.at(&[Step::Name(name)]).unwrap();
            let marked = json.with_text(node, "here");
            let mut expected: Value = serde_json::from_str(&text).unwrap();
            expected[name] = "here".into();
            prop_assert_eq!(serde_json::from_str::<Value>(&marked).unwrap(), expected);
            prop_assert_eq!(node.text(), value.as_str());
        }
        let added = json.with(json.at(&[]).unwrap(), Some("new \"one\""), &Json::Number(7));
        let mut expected = value;
        expected["new \"one\""] = 7.into();
        prop_assert_eq!(serde_json::from_str::<Value>(&added).unwrap(), expected);
    }
}
