//! The rows: 20,000 of about 290 bytes, each a function of its number alone.

use std::sync::LazyLock;

/// Rows in `bench_items`.
pub const ROWS: u64 = 20_000;

/// The columns of `bench_items`, in order; `bench_inserts` has the same and makes its own `id`.
pub const COLUMNS: [&str; 6] = ["id", "project", "kind", "content", "score", "created_at"];

/// A row, as every contestant must hand it to its caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub id: i64,
    pub project: i64,
    pub kind: String,
    pub content: String,
    pub score: f64,
    pub created_at: i64,
}

const KINDS: [&str; 3] = ["fact", "decision", "procedure"];

/// Returns the row of a number.
#[must_use]
pub fn item(number: u64) -> Item {
    let id = i64::try_from(number).unwrap_or(i64::MAX);
    Item {
        id,
        project: id % 97,
        kind: KINDS[usize::try_from(number % 3).unwrap_or(0)].to_owned(),
        content: content(number).to_owned(),
        score: f64::from(u32::try_from(number % 1_000).unwrap_or(0)) / 1_000.0,
        created_at: 1_700_000_000_000_000 + id,
    }
}

/// Returns the text of a row's content: 230 bytes.
#[must_use]
pub fn content(number: u64) -> &'static str {
    static CONTENTS: LazyLock<Vec<String>> = LazyLock::new(|| (0..64).map(sentence).collect());
    &CONTENTS[usize::try_from(number % 64).unwrap_or(0)]
}

fn sentence(number: usize) -> String {
    let mut text =
        format!("Memory {number:02}: the deploy of the billing service waits for its migration; ");
    while text.len() < 230 {
        text.push_str("the caller retries with jitter, ");
    }
    text.truncate(230);
    text
}
