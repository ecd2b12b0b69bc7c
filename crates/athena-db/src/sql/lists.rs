//! Lists on MySQL, which has no parameter for a whole list: each `?` of one is repeated for its values.

use super::Slot;

/// The most placeholders that a prepared statement of MySQL can have.
const MAX_PLACEHOLDERS: usize = 65_535;

/// What takes the place of an empty list. Nothing is in it and everything, NULL included, is not in it; the
/// table `DUAL` is there because MariaDB takes no `WHERE` without a `FROM`.
const EMPTY: &str = "SELECT NULL FROM DUAL WHERE FALSE";

/// A statement for MySQL in which every list has as many placeholders as will be bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The text for the driver.
    pub text: String,
    /// How many values to bind for each slot: 1 for a single value, 0 for an empty list, and otherwise at
    /// least as many as the list has. Where it is more the list's last value is repeated.
    pub counts: Vec<usize>,
}

/// Repeats the placeholders of lists in a statement that was rewritten for MySQL.
///
/// `lengths` has the length of the list for each slot; what it says of single values does not matter. Lengths
/// are rounded up to powers of two, so that statements differ little and a cache of them is of use, unless that
/// would take more placeholders than the server allows. `IN` of an empty list is false and `NOT IN` is true.
///
/// # Panics
///
/// The slots belong to another text.
#[must_use]
pub fn expand_lists(text: &str, slots: &[Slot], lengths: &[usize]) -> Expanded {
    let counts = counts(slots, lengths);
    let mut expanded = String::with_capacity(text.len() + 3 * counts.iter().sum::<usize>());
    let mut copied = 0;
    for (slot, &count) in slots.iter().zip(&counts).filter(|(slot, _)| slot.list) {
        expanded.push_str(&text[copied..slot.at]);
        push_list(&mut expanded, count);
        copied = slot.at + "?".len();
    }
    expanded.push_str(&text[copied..]);
    Expanded {
        text: expanded,
        counts,
    }
}

fn counts(slots: &[Slot], lengths: &[usize]) -> Vec<usize> {
    let count = |list: fn(usize) -> usize| -> Vec<usize> {
        let count = |(slot, &length): (&Slot, &usize)| if slot.list { list(length) } else { 1 };
        slots.iter().zip(lengths).map(count).collect()
    };
    let padded = count(|length| match length {
        0 => 0,
        length => length.next_power_of_two(),
    });
    if padded.iter().sum::<usize>() <= MAX_PLACEHOLDERS {
        padded
    } else {
        count(|length| length)
    }
}

fn push_list(text: &mut String, count: usize) {
    match count {
        0 => text.push_str(EMPTY),
        count => {
            text.push('?');
            (1..count).for_each(|_| text.push_str(", ?"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

    use super::{Expanded, MAX_PLACEHOLDERS, expand_lists};
    use crate::Dialect::MySql;
    use crate::sql::rewrite;

    fn expand(sql: &str, lengths: &[usize]) -> Expanded {
        let rewritten = rewrite(MySql, sql).unwrap();
        expand_lists(&rewritten.text, &rewritten.slots, lengths)
    }

    #[track_caller]
    fn check(sql: &str, lengths: &[usize], text: &str, counts: &[usize]) {
        let expanded = expand(sql, lengths);
        assert_eq!(
            (expanded.text.as_str(), expanded.counts.as_slice()),
            (text, counts)
        );
    }

    #[test]
    fn a_list_has_as_many_placeholders_as_the_next_power_of_two() {
        check("a IN :ids", &[1], "a IN (?)", &[1]);
        check("a IN (:ids)", &[2], "a IN (?, ?)", &[2]);
        check("a NOT IN :ids", &[3], "a NOT IN (?, ?, ?, ?)", &[4]);
        check(
            "a = :a AND b IN (:ids) AND c IN :more LIMIT :n",
            &[1, 2, 1, 1],
            "a = ? AND b IN (?, ?) AND c IN (?) LIMIT ?",
            &[1, 2, 1, 1],
        );
        check(
            "'?' <> :größe OR a IN :größe",
            &[9, 1],
            "'?' <> ? OR a IN (?)",
            &[1, 1],
        );
    }

    #[test]
    fn an_empty_list_is_a_query_without_rows() {
        check(
            "a IN :ids AND b NOT IN (:ids)",
            &[0, 0],
            "a IN (SELECT NULL FROM DUAL WHERE FALSE) AND b NOT IN (SELECT NULL FROM DUAL WHERE FALSE)",
            &[0, 0],
        );
    }

    #[test]
    fn padding_stays_within_what_the_server_takes() {
        assert_eq!(expand("a IN :ids", &[32_768]).counts, [32_768]);
        assert_eq!(expand("a IN :ids", &[32_769]).counts, [32_769]);
        assert_eq!(
            expand("a IN :ids OR b IN :names", &[20_000, 30_000]).counts,
            [20_000, 30_000]
        );
        let text = expand("a IN :ids", &[MAX_PLACEHOLDERS]).text;
        assert_eq!(text.matches('?').count(), MAX_PLACEHOLDERS);
    }

    #[test]
    fn a_statement_without_lists_stays() {
        check("a = :a", &[1], "a = ?", &[1]);
        check("SELECT 1", &[], "SELECT 1", &[]);
    }
}
