//! Pages of Markdown with a place for results: what is around it stays.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Makes sure that a page has a place for the results of a benchmark, before minutes are spent on them.
///
/// # Errors
///
/// Fails when the page cannot be read, or has no place for them.
pub(super) fn check(path: &Path, bench: &str) -> Result<()> {
    with_results(path, bench, "").map(drop)
}

/// Puts the results of a benchmark into a page, in place of the ones before.
///
/// # Errors
///
/// Fails when the page cannot be read or written, or has no place for them.
pub(super) fn write(path: &Path, bench: &str, results: &str) -> Result<()> {
    Ok(fs::write(path, with_results(path, bench, results)?)?)
}

fn with_results(path: &Path, bench: &str, results: &str) -> Result<String> {
    let page =
        fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    replace(&page, bench, results).with_context(|| {
        let (begin, end) = marks(bench);
        format!(
            "`{}` has no place for results: {begin} and {end}",
            path.display()
        )
    })
}

fn marks(bench: &str) -> (String, String) {
    let mark = |side: &str| format!("<!-- {side}: cargo xtask bench {bench} -->");
    (mark("begin"), mark("end"))
}

fn replace(page: &str, bench: &str, results: &str) -> Option<String> {
    let (begin, end) = marks(bench);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{results}{end}{after}"))
}

/// A table of Markdown.
pub(super) struct Table {
    pub(super) text: String,
}

impl Table {
    pub(super) fn new(columns: &[&str], more: &[&str]) -> Table {
        let columns = [columns, more].concat();
        let text = format!(
            "| {} |\n|{}\n",
            columns.join(" | "),
            "---|".repeat(columns.len())
        );
        Table { text }
    }

    pub(super) fn add(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

/// Shows three digits of a number.
pub(super) fn short(number: f64) -> String {
    match number {
        number if number >= 99_950.0 => format!("{:.0} k", number / 1e3),
        number if number >= 9_995.0 => format!("{:.1} k", number / 1e3),
        number if number >= 99.95 => format!("{number:.0}"),
        number if number >= 9.995 => format!("{number:.1}"),
        number if number >= 0.9995 => format!("{number:.2}"),
        number => format!("{number:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, replace, short};

    #[test]
    fn results_take_the_place_of_the_ones_before() {
        let place = |bench, old| {
            format!(
                "<!-- begin: cargo xtask bench {bench} -->\n{old}<!-- end: cargo xtask bench {bench} -->"
            )
        };
        let page = |one, other| {
            format!(
                "before\n{}\nbetween\n{}\nafter\n",
                place("a", one),
                place("b", other)
            )
        };
        let written = replace(&page("old\n", "other\n"), "a", "new\n");
        assert_eq!(written, Some(page("new\n", "other\n")));
        assert_eq!(replace("a page without marks", "a", "new\n"), None);
    }

    #[test]
    fn tables_have_a_line_for_each_row() {
        let mut table = Table::new(&["a", "b"], &["c"]);
        table.add(&["1".to_owned(), String::new(), "3".to_owned()]);
        assert_eq!(table.text, "| a | b | c |\n|---|---|---|\n| 1 |  | 3 |\n");
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0314, 1.234, 12.34, 123.4, 1_234.0, 12_340.0, 123_400.0].map(short);
        assert_eq!(
            shown,
            ["0.031", "1.23", "12.3", "123", "1234", "12.3 k", "123 k"]
        );
    }
}
