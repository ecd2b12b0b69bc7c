//! Tests of what needs no database.

use super::ops::resource;
use super::*;

#[test]
fn success_is_the_share_of_what_was_completed() {
    assert!((success_rate(0, 0) - 1.0).abs() < f64::EPSILON);
    assert!((success_rate(3, 1) - 0.75).abs() < f64::EPSILON);
    assert!(success_rate(0, 5).abs() < f64::EPSILON);
}

#[test]
fn pauses_double_up_to_ten_minutes() {
    let seconds: Vec<i64> = [1, 2, 3, 9, 10, 1_000]
        .map(|attempts| pause(attempts).as_secs())
        .to_vec();
    assert_eq!(seconds, [2, 4, 8, 512, 600, 600]);
}

#[test]
fn a_resource_is_a_kind_and_a_name() {
    assert_eq!(resource("task:17").unwrap(), ("task", "17"));
    assert_eq!(
        resource("url:https://x.io/a").unwrap(),
        ("url", "https://x.io/a")
    );
    for wrong in ["task", ":17", "task:", "queue:17", "a b:1", " :x"] {
        assert_eq!(
            resource(wrong).unwrap_err().field(),
            Some("resource"),
            "{wrong}"
        );
    }
}
