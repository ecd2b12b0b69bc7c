//! Who searches: what the setting says, and what `doctor` says of it.

use crate::athena::{Athena, Ran};

const NATIVE: (&str, &str) = ("ATHENA_SEARCH_MODE", "native");

#[test]
fn native_is_refused_where_the_store_is_not_on_postgresql() {
    let athena = Athena::new();
    athena.json(&["remember", "The pool holds ten connections."]);
    let run = |arguments: &[&str]| {
        let mut command = athena.command(arguments);
        Ran::from(command.env(NATIVE.0, NATIVE.1).output().unwrap())
    };
    let ran = run(&["recall", "pool"]);
    assert_eq!(ran.status, 8);
    assert!(
        ran.err.contains(
            "`search.mode` is `native`, which only PostgreSQL can do, and this store is on SQLite; \
             set it to `memory`"
        ),
        "{ran:?}"
    );
    let ran = run(&["doctor"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("FAILED   search"), "{ran:?}");
    assert!(ran.out.contains("→ set it to `memory`"), "{ran:?}");
    let found = athena.json(&["recall", "pool"]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 1);
}

#[test]
fn a_mode_that_does_not_exist_is_named() {
    let athena = Athena::new();
    let mut command = athena.command(&["recall", "pool"]);
    let ran = Ran::from(command.env(NATIVE.0, "fast").output().unwrap());
    assert_eq!(ran.status, 2);
    assert!(
        ran.err
            .contains("`search.mode` is `fast`; allowed: `memory`, `native`"),
        "{ran:?}"
    );
}
