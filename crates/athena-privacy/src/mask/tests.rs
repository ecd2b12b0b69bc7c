use super::*;
use crate::Secret;
use serde_json::json;

fn replaced() -> Replaced {
    let secret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    Replaced::with(Arc::new(Keys::of(&Secret::parse(secret).unwrap())))
}

/// Masks arguments as an operation's would be, whose schema describes `content` and `project`.
fn masked(policy: Policy, mut arguments: Value) -> (Value, Replaced) {
    let schema = json!({"type": "object", "properties": {
        "content": {"type": "string"},
        "short": {"type": "string", "maxLength": 50},
        "type": {"type": "string", "enum": ["a@corp.io"]},
        "path": {"type": "string", "x-text": "path"},
        "text": {"type": "string", "x-text": "raw"},
        "project": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": true},
        "items": {"type": "array", "items": {"type": "object", "properties": {
            "content": {"type": "string"},
            "project": {"type": "string"},
        }}},
    }});
    let masking = Masking::new(Detector::default(), policy);
    let components = Components::new();
    let mut replaced = replaced();
    masking
        .plan(&schema, &components, &mut arguments)
        .unwrap()
        .apply(&mut replaced, &schema, &components, &mut arguments, "home");
    (arguments, replaced)
}

fn standard(arguments: Value) -> Value {
    masked(Policy::Standard, arguments).0
}

const ADDRESS: &str = "[email:";

#[test]
fn an_address_has_one_token_in_every_field_and_its_domain_another() {
    let masked = standard(json!({
        "content": "Ask Ann@Corp.io.",
        "metadata": {"git_author": "ann@corp.io", "ann@corp.io": [{"deep": "ann@corp.io"}]},
    }));
    let content = masked["content"].as_str().unwrap();
    let token = &content[4..content.len() - 1];
    assert!(
        token.starts_with(ADDRESS) && token.contains("][domain:"),
        "{content}"
    );
    assert_eq!(masked["metadata"]["git_author"], token);
    assert_eq!(masked["metadata"][token][0]["deep"], token);
}

#[test]
fn projects_have_tokens_of_their_own() {
    let masked = standard(json!({"content": "ann@corp.io", "items": [
        {"content": "ann@corp.io"},
        {"content": "ann@corp.io", "project": "other"},
    ]}));
    assert_eq!(masked["content"], masked["items"][0]["content"]);
    assert_ne!(masked["content"], masked["items"][1]["content"]);
}

#[test]
fn masking_twice_changes_nothing() {
    let once = standard(json!({
        "content": "ann@corp.io",
        "metadata": {"git_author": "Ann Lee <ann@corp.io>", "diff": "- a", "cwd": "/home/ann/x"},
    }));
    assert_eq!(standard(once.clone()), once);
}

#[test]
fn what_is_closed_or_only_looked_at_stays() {
    let arguments = json!({"type": "a@corp.io", "text": "ann@corp.io", "content": "nothing"});
    assert_eq!(standard(arguments.clone()), arguments);
}

#[test]
fn a_value_that_grows_too_long_for_its_field_is_one_token() {
    let masked = standard(json!({"short": "a@corp.io, b@corp.io"}));
    let short = masked["short"].as_str().unwrap();
    assert!(short.starts_with("[text:") && short.len() == 23, "{short}");
}

#[test]
fn policies_apply_to_fields_whatever_is_found_in_them() {
    let metadata = json!({
        "diff": "-a\n+b",
        "git_author": "Ann Lee",
        "stack_trace": "at ann@corp.io",
        "file_path": "/home/ann/src/auth.py",
        "context": {"cwd": "/home/ann/src", "files": ["/home/ann/a.rs", "/etc/hosts"], "task": "x"},
    });
    let policy = |policy| masked(policy, json!({"metadata": metadata})).0["metadata"].clone();
    let standard = policy(Policy::Standard);
    assert_eq!(standard["diff"], "[diff redacted]");
    assert!(
        standard["git_author"]
            .as_str()
            .unwrap()
            .starts_with("[name:")
    );
    assert!(
        standard["stack_trace"]
            .as_str()
            .unwrap()
            .starts_with("at [email:")
    );
    assert_eq!(standard["file_path"], "~/src/auth.py");
    assert_eq!(standard["context"]["cwd"], "~/src");
    assert_eq!(
        standard["context"]["files"],
        json!(["~/a.rs", "/etc/hosts"])
    );
    let compliance = policy(Policy::Compliance);
    assert_eq!(compliance["stack_trace"], "[stack_trace redacted]");
    assert_eq!(compliance["context"]["cwd"], "[cwd redacted]");
    let debug = policy(Policy::Debug);
    for passed in ["diff", "git_author", "stack_trace", "file_path", "context"] {
        assert_eq!(debug[passed], metadata[passed], "{passed}");
    }
}

#[test]
fn what_was_replaced_is_counted_and_kept_for_the_vault() {
    let (_, replaced) = masked(
        Policy::Standard,
        json!({"content": "ann@corp.io and bob@corp.io and Ann@corp.io"}),
    );
    assert_eq!(replaced.counts(), &BTreeMap::from([("email".into(), 3)]));
    let mut values: Vec<(&str, &str)> = replaced
        .values()
        .map(|each| (each.kind, each.value))
        .collect();
    values.sort_unstable();
    assert_eq!(
        values,
        [
            ("domain", "corp.io"),
            ("email", "ann@corp.io"),
            ("email", "bob@corp.io")
        ]
    );
}

#[test]
fn a_question_is_respelt_for_another_project() {
    let (home, replaced) = masked(Policy::Standard, json!({"content": "who is ann@corp.io?"}));
    let (there, _) = masked(
        Policy::Standard,
        json!({"content": "who is ann@corp.io?", "project": "other"}),
    );
    let home = home["content"].as_str().unwrap();
    assert_eq!(
        replaced.respelt(home, "home", "other"),
        there["content"].as_str().unwrap()
    );
    assert_eq!(
        replaced.respelt("no [email:zz]", "home", "other"),
        "no [email:zz]"
    );
}

#[test]
fn names_of_projects_are_refused_and_not_changed() {
    let schema = json!({"type": "object", "properties": {"project": {"type": "string"}}});
    let refused = Masking::default().plan(
        &schema,
        &Components::new(),
        &mut json!({"project": "ann@corp.io"}),
    );
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.field.as_str(), refused.kind),
        ("project", Kind::Email)
    );
}
