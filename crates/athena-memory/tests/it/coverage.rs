//! What `docs/coverage.md` says exists, exists; and what exists, it says.

use athena_core::Registry;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns what stands in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn the_founding_documents_are_covered_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(folder.join("../../docs/coverage.md")).unwrap();
    let registry = athena_memory::catalogue(Registry::new());
    let mut named = BTreeSet::new();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|row| !row.contains("| Operation |")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, what, operations, stories, _] = cells[..] else {
            panic!("{row} has other columns");
        };
        if operations == "later" {
            assert_eq!(stories, "", "{what}: what comes later has no story");
            continue;
        }
        assert!(
            quoted(operations).next().is_some(),
            "{what}: nothing answers it"
        );
        for operation in quoted(operations).filter(|name| !name.contains("::")) {
            let exists = registry.get(operation).is_some();
            assert!(exists, "{what}: there is no operation `{operation}`");
            named.insert(operation.to_owned());
        }
        assert!(
            quoted(stories).next().is_some(),
            "{what}: no story shows it"
        );
        for story in quoted(stories) {
            let (file, name) = story.split_once("::").unwrap();
            let path = folder.join(format!("tests/it/{file}.rs"));
            let text = fs::read_to_string(&path).unwrap_or_default();
            let told = format!("async fn {name}(app: TestApp)");
            assert!(text.contains(&told), "{what}: there is no story `{story}`");
        }
    }
    let all = registry.entries().iter().map(|entry| entry.spec.name);
    let unnamed: Vec<&str> = all.filter(|name| !named.contains(*name)).collect();
    assert!(
        unnamed.is_empty(),
        "docs/coverage.md does not name {unnamed:?}"
    );
}
