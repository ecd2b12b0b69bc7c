//! Tests of what needs no database.

use super::context::window;
use super::resume::asks_to_resume;
use super::summary::{extended, sentences};
use super::*;

fn message(seq: i64, role: Role, content: &str) -> Message {
    Message {
        id: MessageId(seq),
        uid: Uuid::nil(),
        thread: ThreadId(1),
        seq,
        role,
        content: content.to_owned(),
        name: None,
        tool_call_id: None,
        tool_calls: None,
        model: None,
        tokens: estimated_tokens(content),
        user: None,
        metadata: None,
        occurred_at: Timestamp::UNIX_EPOCH,
        principal: String::new(),
        created_at: Timestamp::UNIX_EPOCH,
        project: ProjectId(1),
    }
}

#[test]
fn tokens_are_a_quarter_of_the_bytes() {
    let estimates = ["", "a", "four", "fives", "日本"].map(estimated_tokens);
    assert_eq!(estimates, [0, 1, 1, 2, 2]);
}

#[test]
fn phrases_that_ask_to_resume() {
    for text in [
        "Where did we leave off?",
        "so... WHERE WERE WE",
        "Let's continue!",
        "please pick up where you stopped",
        "What were we working on yesterday?",
        "continue",
    ] {
        assert!(asks_to_resume(text), "{text}");
    }
    for text in [
        "",
        "Continue the loop until x is 3",
        "somewhere were wells",
        "Resume parsing after an error",
        "nowhere were we lost",
    ] {
        assert!(!asks_to_resume(text), "{text}");
    }
}

#[test]
fn a_window_never_has_more_than_its_budget() {
    let summary = "user: We ship on Fridays.\nassistant: The cache is too small.";
    for size in 0..30_i64 {
        let newest = (0..size).zip((1..=7).cycle());
        let mut newest: Vec<Message> = newest
            .map(|(place, words)| message(place + 1, Role::User, &"word ".repeat(words)))
            .collect();
        newest.reverse();
        for budget in 0..200 {
            let window = window(newest.clone(), true, Some(summary), budget);
            assert!(window.tokens <= budget, "{size} {budget}");
            let seqs: Vec<i64> = window.messages.iter().map(|it| it.seq).collect();
            assert!(seqs.is_sorted());
            if window.messages.len() == newest.len() {
                continue;
            }
            let next = &newest[window.messages.len()];
            let summarised = window.summary.as_deref().map_or(0, estimated_tokens);
            let said = window.tokens - summarised;
            assert!(
                said + next.tokens + summarised > budget,
                "one more would fit"
            );
        }
    }
}

#[test]
fn answers_of_tools_stand_with_their_calls() {
    let mut call = message(2, Role::Assistant, "");
    call.tool_calls = serde_json::from_str(r#"[{"id": "c1", "function": {"name": "grep"}}]"#).ok();
    call.tokens = 10;
    let mut answer = message(3, Role::Tool, "found it");
    answer.tool_call_id = Some("c1".to_owned());
    let mut orphan = message(4, Role::Tool, "nobody asked");
    orphan.tool_call_id = Some("c9".to_owned());
    let mut named = message(5, Role::Function, "found it too");
    named.name = Some("grep".to_owned());
    let last = message(6, Role::User, "good");
    let newest = vec![
        last,
        named,
        orphan,
        answer,
        call,
        message(1, Role::User, "look"),
    ];
    let seqs = |budget| -> Vec<i64> {
        let window = window(newest.clone(), true, None, budget);
        window.messages.iter().map(|it| it.seq).collect()
    };
    assert_eq!(seqs(100), [1, 2, 3, 5, 6]);
    assert_eq!(
        seqs(9),
        [6],
        "the call does not fit, so its answers are not shown"
    );
    assert_eq!(seqs(0), [0_i64; 0]);
}

#[test]
fn sentences_end_where_they_should() {
    let text = "Use v1.2 now. Really?! Yes\nこんにちは。世界！ ";
    let expected = ["Use v1.2 now.", "Really?!", "Yes", "こんにちは。", "世界！"];
    assert_eq!(sentences(text), expected);
    assert_eq!(sentences(&"日".repeat(1_000))[0].chars().count(), 301);
}

#[test]
fn a_summary_fits_keeps_the_order_and_says_nothing_twice() {
    let messages = [
        message(
            1,
            Role::User,
            "The deploy fails on the database migration. Thanks!",
        ),
        message(
            2,
            Role::Assistant,
            "The database migration needs a lock timeout. Hm.",
        ),
        message(3, Role::Tool, "database database database migration"),
        message(
            4,
            Role::User,
            "The deploy fails on the database migration again.",
        ),
        message(
            5,
            Role::Assistant,
            "I set the lock timeout of the migration to 5 s.",
        ),
    ];
    let summary = extended(None, &messages, 60);
    assert!(estimated_tokens(&summary) <= 60);
    assert!(summary.starts_with("user: The deploy fails on the database migration"));
    assert_eq!(summary.matches("deploy fails").count(), 1, "{summary}");
    assert!(
        !summary.contains("database database"),
        "tools are not quoted"
    );
    assert_eq!(summary, extended(None, &messages, 60), "the same again");
    let more = [message(
        6,
        Role::User,
        "Next is the billing report for March.",
    )];
    let longer = extended(Some(&summary), &more, 100);
    assert!(
        longer.contains("billing report") && longer.contains("lock timeout"),
        "{longer}"
    );
    assert_eq!(extended(None, &messages, 1), "");
}
