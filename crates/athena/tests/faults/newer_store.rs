//! A store that a newer version has migrated is left alone.

use crate::place::Place;
use crate::process::{failure, stderr};

/// What a newer version does first.
const MIGRATED: &str = "INSERT INTO athena_migrations
    (set_name, version, name, checksum, dialect, statements_done, started_at, finished_at)
    SELECT set_name, 9000, 'from_the_future', checksum, dialect, statements_done, started_at, finished_at
    FROM athena_migrations
    WHERE set_name = 'memory' AND version = 1";

#[test]
fn a_newer_store_is_not_opened() {
    for place in Place::everywhere() {
        place.answer(&["remember", "written by this version"]);
        place.execute(MIGRATED);
        for arguments in [
            ["remember", "written to a newer store"],
            ["recall", "version"],
            ["serve", "--port=0"],
            ["mcp", "--project=faults"],
        ] {
            let output = place.run(&arguments);
            assert_eq!(
                output.status.code(),
                Some(6),
                "{arguments:?}: {}",
                stderr(&output)
            );
            assert_eq!(failure(&output), "newer_store");
            assert!(stderr(&output).contains("9000"), "{}", stderr(&output));
        }
        place.execute("DELETE FROM athena_migrations WHERE version = 9000");
        assert_eq!(
            place.answer(&["list"])["items"].as_array().unwrap().len(),
            1
        );
    }
}

#[test]
fn a_running_process_stops_writing_to_a_store_that_becomes_newer() {
    for place in Place::everywhere() {
        let server = place.serve();
        let mut client = server.client();
        assert_eq!(client.remember("still allowed", None).unwrap().status, 201);
        place.execute(MIGRATED);
        let refused = client.remember("no longer allowed", None).unwrap();
        assert_eq!(refused.code(), "newer_store", "{}", refused.body);
        let recalled = client.recall("allowed").unwrap();
        assert_eq!(recalled.body["hits"].as_array().unwrap().len(), 1);
        place.execute("DELETE FROM athena_migrations WHERE version = 9000");
        assert_eq!(client.remember("allowed again", None).unwrap().status, 201);
    }
}
