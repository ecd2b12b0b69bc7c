//! What needs no database: times, surprise, links, activation, and what `git log` says.

use super::activation::activation;
use super::links::{in_time, links};
use super::ops::{EventMoment, Relation, compared};
use super::surprise::{Window, Words};
use super::when::length_text;
use super::*;
use uuid::Uuid;

fn event(id: i64, event_type: EventType, at: &str) -> Event {
    Event {
        id: EventId(id),
        project_id: ProjectId(1),
        uid: Uuid::nil(),
        event_type,
        content: "something".to_owned(),
        outcome: None,
        occurred_at: at.parse().unwrap(),
        precision: Precision::Exact,
        duration_ms: None,
        session: Some("s".to_owned()),
        agent: None,
        source: None,
        idempotency_key: None,
        context_cwd: None,
        context_files: Vec::new(),
        context_task: None,
        context_phase: None,
        context_branch: None,
        files_changed: None,
        lines_added: None,
        lines_deleted: None,
        file_path: None,
        symbol: None,
        language: None,
        diff: None,
        git_commit: None,
        git_author: None,
        test_name: None,
        test_passed: None,
        error_type: None,
        stack_trace: None,
        metrics: BTreeMap::new(),
        learned: None,
        tags: Vec::new(),
        metadata: None,
        surprise: None,
        confidence: 1.0,
        evidence_type: Evidence::Observed,
        evidence_quality: None,
        importance: 0.5,
        actionable: false,
        uses: 0,
        last_used_at: None,
        caused_by: None,
        consolidation_status: ConsolidationStatus::Unconsolidated,
        consolidated_at: None,
        memory_id: None,
        principal: "test".to_owned(),
        created_at: at.parse().unwrap(),
        removed_at: None,
    }
}

#[test]
fn times_are_read_as_exactly_as_they_are_known() {
    for (text, at, end, precision) in [
        (
            "2026",
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
            Precision::Year,
        ),
        (
            "2026-12",
            "2026-12-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
            Precision::Month,
        ),
        (
            "2024-02-29",
            "2024-02-29T00:00:00Z",
            "2024-03-01T00:00:00Z",
            Precision::Day,
        ),
        (
            "2026-03-05T10:00:00.1234567+02:00",
            "2026-03-05T08:00:00.123456Z",
            "2026-03-05T08:00:00.123456Z",
            Precision::Exact,
        ),
    ] {
        let when = When::parse(text).unwrap();
        assert_eq!(
            (when.at.to_string(), when.end().to_string()),
            (at.to_owned(), end.to_owned())
        );
        assert_eq!(when.precision, precision, "{text}");
        assert_eq!(When::parse(&when.to_string()), Some(when), "{text}");
    }
}

#[test]
fn other_texts_are_no_times() {
    for text in [
        "",
        "yesterday",
        "2026-13",
        "2026-02-30",
        "26",
        "20260305",
        "2026-3",
        "2026/03",
        "----",
        "-2026-01-01T00:00:00Z",
        "+012026-01-01T00:00:00Z",
        "2026-03-05T10:00:00",
    ] {
        assert_eq!(When::parse(text), None, "{text}");
    }
}

#[test]
fn lengths_of_time_have_two_units() {
    for (milliseconds, text) in [
        (0, "0s"),
        (340, "340ms"),
        (12_000, "12s"),
        (312_000, "5m 12s"),
        (3_600_000, "1h"),
        (183_600_000, "2d 3h"),
        (86_400_001, "1d"),
        (-3_600_000, "1h"),
    ] {
        assert_eq!(length_text(milliseconds), text);
    }
}

#[test]
fn a_break_with_a_session_surprises_and_its_usual_course_does_not() {
    let words = |text: &str| Words::new(EventType::Action, None, text);
    let mut window = Window::default();
    let usual = "ran the unit tests of the parser module, all passed";
    assert_eq!(window.next(words(usual)), None, "nothing came before");
    assert_eq!(
        window.next(words(usual)),
        None,
        "one is too few to expect anything"
    );
    let again = window.next(words(usual)).unwrap();
    assert!(again < 2.0, "{again}");
    window.next(words(usual));
    let odd = Words::new(
        EventType::Error,
        Some(Outcome::Failure),
        "Disk volume vanished during nightly backup",
    );
    let surprise = window.next(odd).unwrap();
    assert!((SURPRISING..=5.0).contains(&surprise), "{surprise}");
}

#[test]
fn where_everything_is_new_one_more_new_thing_is_no_surprise() {
    let mut window = Window::default();
    for text in [
        "alpha beta gamma",
        "delta epsilon zeta",
        "eta theta iota",
        "kappa lambda mu",
    ] {
        window.next(Words::new(EventType::Action, None, text));
    }
    let next = Words::new(EventType::Action, None, "nu xi omicron");
    let surprise = window.clone().next(next.clone()).unwrap();
    assert!(surprise < SURPRISING, "{surprise}");
    assert_eq!(window.next(next), Some(surprise), "the same again");
}

#[test]
fn links_in_time_weaken() {
    assert_eq!(in_time(59.9), ("immediately_after", 0.9));
    assert_eq!(in_time(60.0), ("shortly_after", 0.7));
    let (relation, strength) = in_time(43_200.0);
    assert_eq!(relation, "later_after");
    assert!((strength - 0.4).abs() < 1e-12);
    assert_eq!(in_time(1e9).1, 0.3);
}

#[test]
fn kinds_and_files_make_causes() {
    let with = |id, event_type, minute: u32| {
        event(id, event_type, &format!("2026-03-01T12:{minute:02}:00Z"))
    };
    let inferred = |earlier: &Event, later: &Event| {
        let links = links(earlier, later).into_iter();
        let mut inferred = links.filter(|link| link.kind == LinkKind::Inferred);
        inferred.next().map(|link| (link.relation, link.strength))
    };
    let mut error = with(1, EventType::Error, 0);
    error.context_files = vec!["a.rs".to_owned(), "b.rs".to_owned()];
    let mut fix = with(2, EventType::CodeEdit, 30);
    fix.file_path = Some("a.rs".to_owned());
    let (relation, strength) = inferred(&error, &fix).unwrap();
    assert_eq!(relation, "fixes");
    assert!(
        (strength - (0.5 + 0.1 + 0.1 + 0.1)).abs() < 1e-12,
        "{strength}"
    );

    fix.file_path = Some("c.rs".to_owned());
    assert_eq!(inferred(&error, &fix).unwrap().0, "reacts_to");
    let mut run = with(3, EventType::TestRun, 31);
    run.test_passed = Some(true);
    assert_eq!(inferred(&fix, &run).unwrap().0, "makes_pass");
    let decision = with(4, EventType::Decision, 0);
    assert_eq!(
        inferred(&decision, &with(5, EventType::Deployment, 1))
            .unwrap()
            .0,
        "carries_out"
    );
    let mut success = with(6, EventType::Success, 10);
    assert_eq!(
        inferred(&with(7, EventType::Debugging, 0), &success)
            .unwrap()
            .0,
        "resolves"
    );
    success.session = Some("another".to_owned());
    assert_eq!(inferred(&with(7, EventType::Debugging, 0), &success), None);

    run.caused_by = Some(fix.id);
    assert!(
        links(&fix, &run)
            .iter()
            .any(|link| link.kind == LinkKind::Told)
    );
}

#[test]
fn activation_fades_and_suggests() {
    let now = "2026-03-31T12:00:00Z".parse().unwrap();
    let mut old = event(1, EventType::Action, "2026-03-01T12:00:00Z");
    let faded = activation(&old, now);
    assert!((faded.activation - (-0.5 * 720_f64.ln())).abs() < 1e-12);
    assert_eq!(faded.suggestion, None);
    old.uses = 3;
    old.last_used_at = Some(now);
    old.importance = 0.8;
    old.actionable = true;
    old.outcome = Some(Outcome::Success);
    let used = activation(&old, now);
    let wanted = -0.5 * 0.1_f64.ln() + 0.1 * 3_f64.ln() + 1.5 + 1.0 + 0.5;
    assert!((used.activation - wanted).abs() < 1e-12);
    assert_eq!(used.suggestion, Some(Suggestion::Consolidate));
    old.consolidation_status = ConsolidationStatus::Consolidated;
    assert_eq!(activation(&old, now).suggestion, None);
    old.importance = 0.1;
    assert_eq!(activation(&old, now).suggestion, None, "used just now");
    old.last_used_at = Some("2026-03-20T12:00:00Z".parse().unwrap());
    assert_eq!(activation(&old, now).suggestion, Some(Suggestion::Archive));
}

#[test]
fn order_is_not_guessed() {
    let moment = |text: &str| {
        let when = When::parse(text).unwrap();
        EventMoment {
            id: EventId(1),
            occurred_at: when.at,
            precision: when.precision,
        }
    };
    let check = |first: &str, second: &str, relation: Relation, least: i64, most: i64| {
        let compared = compared(moment(first), moment(second));
        assert_eq!(compared.relation, relation, "{first} {second}");
        assert_eq!(
            (compared.gap_ms, compared.gap_at_most_ms),
            (least, most),
            "{first} {second}"
        );
    };
    let day = 86_400_000;
    check(
        "2026-03-05T10:00:00Z",
        "2026-03-05T11:00:00Z",
        Relation::Before,
        3_600_000,
        3_600_000,
    );
    check(
        "2026-03-05T11:00:00Z",
        "2026-03-05T10:00:00Z",
        Relation::After,
        3_600_000,
        3_600_000,
    );
    check(
        "2026-03-05T11:00:00Z",
        "2026-03-05T11:00:00Z",
        Relation::SameTime,
        0,
        0,
    );
    check("2026-03-05", "2026-03-05", Relation::Undetermined, 0, day);
    check(
        "2026-03",
        "2026-03-05T11:00:00Z",
        Relation::Undetermined,
        0,
        27 * day - 39_600_000,
    );
    check("2026-03-04", "2026-03-05", Relation::Before, 0, 2 * day);
    check("2026-03-07", "2026-03-05", Relation::After, day, 3 * day);
}

/// What `git` said of two commits, the first of which changed code and a picture.
const LOG: &str = "commit dbb0a89dee6d7cec6a003dd18e19c59c5203bcc8\0ada@example.org\0\
    2026-03-05T10:00:00+01:00\0Keep closed lists by one macro\n\0\0\n\
    10\t3\tsrc/items.rs\x001\t0\tsrc/a b.rs\0-\t-\tpicture.png\0\
    commit acd1b06ad3f7411fe381de59d29ad490c4b58b0c\0bob@example.org\0\
    2026-03-04T10:00:00Z\0\0\0";

#[test]
fn commits_are_events() {
    let records = parse(LOG).unwrap();
    assert_eq!(records.len(), 2);
    let first = &records[0];
    assert_eq!(first.content, "Keep closed lists by one macro");
    assert_eq!(first.event_type, EventType::CodeEdit);
    assert_eq!(
        first.idempotency_key.as_deref(),
        Some("dbb0a89dee6d7cec6a003dd18e19c59c5203bcc8")
    );
    assert_eq!(first.git_author.as_deref(), Some("ada@example.org"));
    assert_eq!(first.occurred_at, When::parse("2026-03-05T09:00:00Z"));
    assert_eq!(
        first.context_files,
        ["src/items.rs", "src/a b.rs", "picture.png"]
    );
    assert_eq!(first.language.as_deref(), Some("rust"));
    let counts = (first.files_changed, first.lines_added, first.lines_deleted);
    assert_eq!(counts, (Some(3), Some(11), Some(3)));
    let second = &records[1];
    assert_eq!(
        second.event_type,
        EventType::FileChange,
        "nothing is listed of it"
    );
    assert_eq!(second.content, "(a commit without a message)");
}

#[test]
fn a_message_cannot_pass_for_a_commit() {
    let evil = "commit dbb0a89dee6d7cec6a003dd18e19c59c5203bcc8\0a@b.c\x002026-03-05T10:00:00Z\0\
        commit acd1b06ad3f7411fe381de59d29ad490c4b58b0c\n\0\0\n1\t1\tcommit acd1b06\0";
    let records = parse(evil).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].context_files, ["commit acd1b06"]);
}

#[test]
fn other_output_is_refused() {
    assert_eq!(parse("").unwrap().len(), 0);
    for text in [
        "fatal: not a git repository",
        "commit abc\0",
        &LOG[..70],
        &LOG.replace('\t', " "),
    ] {
        assert_eq!(
            parse(text).unwrap_err().code(),
            athena_core::Code::InvalidInput,
            "{text}"
        );
    }
}
