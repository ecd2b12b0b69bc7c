//! What needs no store: the state machine, schedules, patterns of paths, scores.

use super::tasks::{HealthLevel, Phase, TaskStatus, level, order, score, way};
use super::triggers::Schedule;
use crate::glob::matches_path;
use crate::priority::{PriorityName, chosen};
use jiff::Timestamp;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn phases_go_where_the_table_says() {
    use Phase as P;
    let table = [
        (
            P::Planning,
            vec![
                P::PlanReady,
                P::Executing,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
        ),
        (
            P::PlanReady,
            vec![
                P::Planning,
                P::Executing,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
        ),
        (
            P::Executing,
            vec![
                P::Planning,
                P::Verifying,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
        ),
        (
            P::Verifying,
            vec![
                P::Planning,
                P::Executing,
                P::Completed,
                P::Failed,
                P::Abandoned,
            ],
        ),
        (P::Completed, vec![]),
        (P::Failed, vec![]),
        (P::Abandoned, vec![]),
    ];
    for (from, to) in table {
        for next in P::ALL {
            assert_eq!(
                from.next().contains(&next),
                to.contains(&next),
                "{from:?} → {next:?}"
            );
        }
        assert_eq!(from.is_final(), to.is_empty());
        let stored = serde_json::to_value(from).unwrap();
        assert_eq!(stored, from.as_str());
    }
}

#[test]
fn the_status_follows_from_the_phase() {
    assert_eq!(TaskStatus::of(Phase::PlanReady, false), TaskStatus::Pending);
    assert_eq!(TaskStatus::of(Phase::Verifying, false), TaskStatus::Active);
    assert_eq!(TaskStatus::of(Phase::Executing, true), TaskStatus::Blocked);
    assert_eq!(
        TaskStatus::of(Phase::Completed, true),
        TaskStatus::Completed
    );
    assert_eq!(
        TaskStatus::of(Phase::Abandoned, false),
        TaskStatus::Cancelled
    );
}

#[test]
fn a_priority_has_names() {
    for (name, number) in [
        (PriorityName::Low, 3),
        (PriorityName::Medium, 5),
        (PriorityName::High, 7),
        (PriorityName::Critical, 10),
    ] {
        assert_eq!(chosen(None, Some(name)), Some(number));
    }
    assert_eq!(chosen(Some(8), None), Some(8));
    assert_eq!(chosen(None, None), None);
}

#[test]
fn scores_are_those_of_the_formula() {
    let near =
        |score: f64, wanted: f64| assert!((score - wanted).abs() < 1e-12, "{score} {wanted}");
    near(score(None, false, 0, false), 1.0);
    near(score(Some(0.5), false, 0, false), 1.0);
    near(score(Some(2.0), false, 0, false), 0.8);
    near(score(Some(100.0), false, 0, false), 0.7);
    near(score(Some(-0.6), true, 2, false), 1.0);
    near(score(Some(-0.6), false, 2, false), 0.9);
    near(score(Some(9.0), false, 1_000, true), 0.1);
    assert_eq!(level(1.0, 0, true), HealthLevel::Critical);
    assert_eq!(level(0.75, 5, false), HealthLevel::Critical);
    assert_eq!(level(0.9, 2, false), HealthLevel::Warning);
    assert_eq!(level(0.4, 0, false), HealthLevel::Warning);
    assert_eq!(level(0.95, 1, false), HealthLevel::Healthy);
}

#[test]
fn ways_along_dependencies_are_the_shortest() {
    let edges = [(1, 2), (2, 3), (3, 4), (1, 4), (4, 1)];
    assert_eq!(way(&edges, 2, 4), Some(vec![2, 3, 4]));
    assert_eq!(way(&edges, 1, 4), Some(vec![1, 4]));
    assert_eq!(way(&edges, 4, 9), None);
}

#[test]
fn what_is_overdue_comes_before_what_is_urgent() {
    let now = at("2026-03-01T12:00:00Z");
    let key = |id, priority, due: Option<&str>, goal_priority| super::tasks::ReadyKey {
        id,
        due_at: due.map(at),
        priority,
        goal_id: None,
        goal_priority,
    };
    let mut keys = [
        key(1, 10, None, 0),
        key(2, 5, None, 0),
        key(3, 5, None, 9),
        key(4, 5, Some("2026-03-02T00:00:00Z"), 0),
        key(5, 1, Some("2026-02-01T00:00:00Z"), 0),
    ];
    keys.sort_by_key(|key| order(key, now));
    let ids: Vec<i64> = keys.iter().map(|key| key.id).collect();
    assert_eq!(ids, [5, 1, 4, 3, 2]);
}

#[test]
fn schedules_keep_times_of_day_where_clocks_change() {
    let daily = Schedule::parse("daily 09:00", Some("Europe/Berlin")).unwrap();
    // Clocks go forward on 2026-03-29.
    assert_eq!(
        daily.next_after(at("2026-03-28T07:00:00Z")).unwrap(),
        at("2026-03-28T08:00:00Z")
    );
    assert_eq!(
        daily.next_after(at("2026-03-28T08:00:00Z")).unwrap(),
        at("2026-03-29T07:00:00Z")
    );
    // 02:30 does not exist that day.
    let skipped = Schedule::parse("daily 02:30", Some("Europe/Berlin")).unwrap();
    assert_eq!(
        skipped.next_after(at("2026-03-28T12:00:00Z")).unwrap(),
        at("2026-03-29T01:30:00Z")
    );
    // 02:30 comes twice on 2026-10-25.
    assert_eq!(
        skipped.next_after(at("2026-10-24T12:00:00Z")).unwrap(),
        at("2026-10-25T00:30:00Z")
    );
    assert_eq!(
        skipped.next_after(at("2026-10-25T00:30:00Z")).unwrap(),
        at("2026-10-26T01:30:00Z")
    );
}

#[test]
fn schedules_by_the_week_and_by_periods() {
    let weekly = Schedule::parse("weekly mon 08:15", None).unwrap();
    assert_eq!(
        weekly.next_after(at("2026-03-01T12:00:00Z")).unwrap(),
        at("2026-03-02T08:15:00Z")
    );
    assert_eq!(
        weekly.next_after(at("2026-03-02T08:15:00Z")).unwrap(),
        at("2026-03-09T08:15:00Z")
    );
    let every = Schedule::parse("every 15m", None).unwrap();
    let (last, missed, next) = every
        .catch_up(at("2026-03-01T00:00:00Z"), at("2036-03-01T00:07:00Z"))
        .unwrap();
    assert_eq!(
        (last, next),
        (at("2036-03-01T00:00:00Z"), at("2036-03-01T00:15:00Z"))
    );
    assert_eq!(missed, 3_653 * 96);
    for text in [
        "",
        "daily",
        "daily 9:00",
        "daily 24:00",
        "weekly 08:00",
        "weekly xyz 08:00",
        "every 0m",
        "every 400d",
        "every m",
        "every -5m",
        "hourly",
        "every 9999999999999999d",
    ] {
        let error = Schedule::parse(text, None).unwrap_err();
        assert_eq!(error.field(), Some("schedule"), "{text}");
        assert!(error.message().contains("weekly mon 09:00"));
    }
    let error = Schedule::parse("daily 09:00", Some("Moon/Base")).unwrap_err();
    assert_eq!(error.field(), Some("time_zone"));
}

#[test]
fn patterns_of_paths() {
    for (pattern, path, matches) in [
        ("src/auth.rs", "src/auth.rs", true),
        ("src/auth.rs", "~/shop/src/auth.rs", true),
        ("auth.rs", "~/shop/src/auth.rs", true),
        ("uth.rs", "~/shop/src/auth.rs", false),
        ("*.rs", "~/shop/src/auth.rs", true),
        ("src/*.rs", "src/a/auth.rs", false),
        ("src/**/*.rs", "src/a/b/auth.rs", true),
        ("src/**/*.rs", "src/auth.rs", true),
        ("src/**", "src/a/b", true),
        ("~/shop/*.md", "~/shop/README.md", true),
        ("~/shop/*.md", "x/~/shop/README.md", false),
        ("/etc/*", "/etc/hosts", true),
        ("/etc/*", "/x/etc/hosts", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("**", "any/thing", true),
        ("src\\auth.rs", "C:\\shop\\src\\auth.rs", true),
        ("*é*", "naïf/café.txt", true),
    ] {
        assert_eq!(matches_path(pattern, path), matches, "{pattern} on {path}");
    }
    let (pattern, path) = ("*a".repeat(200), "a".repeat(4_000) + "b");
    assert!(!matches_path(&pattern, &path), "and soon");
}
