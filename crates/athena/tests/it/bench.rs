//! `athena bench`: what it measures is right wherever it can be, whatever the machine does.

use crate::athena::Athena;
use serde_json::Value;
use std::collections::HashMap;

#[test]
fn searching_is_measured_and_leaves_nothing_behind() {
    let athena = Athena::new();
    let answer = athena.json(&["bench", "search", "--rows", "500", "--questions", "20"]);
    assert_eq!(answer["rows"], 500);
    assert_eq!(answer["questions"], 20);
    let items = answer["items"].as_array().unwrap();
    let by_id: HashMap<&str, &Value> = items
        .iter()
        .map(|item| (item["id"].as_str().unwrap(), item))
        .collect();
    assert_eq!(by_id.len(), items.len(), "an id stands for two measures");
    for (id, least) in [
        ("semantic.recall", 0.99),
        ("semantic.index_recall", 0.99),
        ("filter_half.recall", 0.99),
        ("filter_thousandth.recall", 0.99),
        ("keyword.exact", 1.0),
        ("remember.found_at_once", 1.0),
    ] {
        assert!(by_id[id]["value"].as_f64().unwrap() >= least, "{id}");
        assert_eq!(by_id[id]["met"], true, "{id}");
    }
    for label in ["half", "tenth", "hundredth", "thousandth"] {
        let id = format!("filter_{label}.missing_rows");
        assert_eq!(by_id[id.as_str()]["value"], 0.0, "{id}");
    }
    for item in items {
        assert!(item["value"].as_f64().unwrap() >= 0.0, "{item}");
        assert_eq!(item["target"].is_null(), item["met"].is_null(), "{item}");
    }
    for id in [
        "open.cpu_ms",
        "disk.mb",
        "hybrid.qps_2",
        "writing.p99_ratio",
        "ingest.rows_per_s",
    ] {
        assert!(by_id[id]["value"].as_f64().unwrap() > 0.0, "{id}");
    }
    assert!(!athena.home().exists(), "nothing is left");
}

#[test]
fn every_operation_that_reads_is_measured_and_nothing_is_left_behind() {
    let athena = Athena::new();
    let answer = athena.json(&["bench", "memory", "--quick"]);
    assert_eq!(answer["memories"], 1_000);
    for read in answer["reads"].as_array().unwrap() {
        assert!(read["cpu_ms"].as_f64().unwrap() > 0.0, "{read}");
    }
    assert!(answer["reads"].as_array().unwrap().len() > 50);
    for line in answer["founding"].as_array().unwrap() {
        assert!(line["met"].is_boolean(), "{line}");
    }
    let items = answer["items"].as_array().unwrap();
    for id in [
        "events.per_s",
        "record_16.of_fdatasync",
        "brief.cpu_ms",
        "post_tool_alone.wall_ms",
        "user_prompt_owned.wall_ms",
    ] {
        let item = items.iter().find(|item| item["id"] == id);
        let value = item.unwrap_or_else(|| panic!("`{id}` is missing"))["value"].as_f64();
        assert!(value.unwrap() > 0.0, "{id}");
    }
    assert!(!athena.home().exists(), "nothing is left");
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_way_out() {
    let athena = Athena::new();
    for (rows, said) in [("0", "200"), ("1000001", "1000000"), ("many", "many")] {
        let ran = athena.run(&["bench", "search", "--rows", rows]);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(
            ran.err.contains("--rows") && ran.err.contains(said),
            "{ran:?}"
        );
    }
    let file = athena.file("file", "");
    let ran = athena.run(&["bench", "search", "--folder", &file]);
    assert_ne!(ran.status, 0);
    assert!(
        ran.err.contains(&file) && ran.err.contains("--folder"),
        "{ran:?}"
    );

    athena.json(&["remember", "The cat sleeps."]);
    let url = format!("sqlite:{}", athena.home().join("athena.db").display());
    let ran = athena.run(&["bench", "search", "--url", &url]);
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.err.contains("empty database"), "{ran:?}");
}
