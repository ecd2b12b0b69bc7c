//! The way back from a rewritten statement to the text it came from, for errors that the server places.

use std::ops::Range;

/// Where a rewritten text differs from its source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceMap {
    /// In order of their places.
    edits: Vec<Edit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    source: Range<usize>,
    output: Range<usize>,
}

impl SourceMap {
    /// Returns the byte of the source that a byte of the rewritten text came from.
    ///
    /// Whatever was written for a parameter (or for the `IN` before a list) leads to where that starts.
    #[must_use]
    pub fn source_offset(&self, output: usize) -> usize {
        let begun = self
            .edits
            .partition_point(|edit| edit.output.start <= output);
        match self.edits[..begun].last() {
            None => output,
            Some(edit) if edit.output.contains(&output) => edit.source.start,
            Some(edit) => edit.source.end + (output - edit.output.end),
        }
    }

    /// Returns the pieces that differ, each as its place in the source and its place in the output.
    #[cfg(test)]
    pub(super) fn edits(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        self.edits
            .iter()
            .map(|edit| (edit.source.clone(), edit.output.clone()))
    }

    /// Notes that a piece of the output stands for a piece of the source, behind all that were noted before.
    pub(super) fn note(&mut self, source: Range<usize>, output: Range<usize>) {
        self.edits.push(Edit { source, output });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

    use crate::Dialect::{self, MySql, Postgres, Sqlite};
    use crate::sql::rewrite;

    /// Checks that a piece of the rewritten text leads to a piece of the source; each occurs once.
    #[track_caller]
    fn check(dialect: Dialect, sql: &str, output: &str, source: &str) {
        let rewritten = rewrite(dialect, sql).unwrap();
        let found = rewritten.text.find(output).unwrap();
        assert_eq!(
            rewritten.map.source_offset(found),
            sql.find(source).unwrap(),
            "{dialect}: {}",
            rewritten.text
        );
    }

    #[test]
    fn every_place_leads_back() {
        let sql = "SELECT :größe, tpyo FROM t WHERE x NOT /* */ IN :ids AND y=:größe AND zz";
        for dialect in [Postgres, Sqlite, MySql] {
            for piece in ["SELECT", "tpyo", "WHERE", "/* */", " AND y", "zz"] {
                check(dialect, sql, piece, piece);
            }
        }
        check(Postgres, sql, "$1, ", ":größe, ");
        check(Postgres, sql, "<>", "NOT");
        check(Postgres, sql, "ALL", "IN");
        check(Postgres, sql, "($2)", ":ids");
        check(Postgres, sql, "2)", ":ids");
        check(Sqlite, sql, "json_each", ":ids");
        check(MySql, "LIMIT :n OFFSET m", "?", ":n");
        check(Postgres, "LIMIT:n OFFSET m", " $1", ":n");
    }

    #[test]
    fn the_end_and_what_lies_behind_it_lead_to_the_end() {
        let rewritten = rewrite(Postgres, "SELECT :name").unwrap();
        assert_eq!(rewritten.text, "SELECT $1");
        assert_eq!(rewritten.map.source_offset(9), 12);
        let rewritten = rewrite(Postgres, "SELECT").unwrap();
        assert_eq!(rewritten.map.source_offset(6), 6);
    }
}
