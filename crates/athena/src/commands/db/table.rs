//! Tables for people: columns as wide as they need to be and no wider than the terminal.

use crate::terminal::{Style, columns, one_line, pad};
use std::fmt::Write;

/// Narrowest column that is cut to fit the terminal.
const LEAST_WIDTH: usize = 12;

/// What stands between two columns.
const GAP: &str = "  ";

/// What stands in one place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) enum Cell {
    /// Text, at the left.
    Text(String),
    /// A number, at the right.
    Number(String),
    /// No value.
    Null,
}

/// Headings and rows.
#[derive(Debug, Default)]
pub(in crate::commands) struct Table {
    pub(in crate::commands) headings: Vec<String>,
    pub(in crate::commands) rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(in crate::commands) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self {
            headings: headings.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }

    /// Returns the table as lines.
    pub(in crate::commands) fn text(&self, style: Style) -> String {
        let widths = self.widths(style.width);
        let mut text = String::new();
        let headings = self
            .headings
            .iter()
            .zip(&widths)
            .map(|(heading, width)| style.bold(&pad(&one_line(heading, *width), *width)));
        push_line(&mut text, headings);
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| cell.shown(*width, style));
            push_line(&mut text, cells);
        }
        text
    }

    /// Lets every column be as wide as its widest cell, unless that is too much altogether: then
    /// the widest ones are cut.
    fn widths(&self, room: usize) -> Vec<usize> {
        let wanted: Vec<usize> = self
            .headings
            .iter()
            .enumerate()
            .map(|(place, heading)| {
                let cells = self.rows.iter().filter_map(|row| row.get(place));
                let widest = cells.map(Cell::columns).max().unwrap_or(0);
                widest.max(columns(heading))
            })
            .collect();
        let room = room.saturating_sub(GAP.len() * wanted.len().saturating_sub(1));
        let total = |most: usize| wanted.iter().map(|width| (*width).min(most)).sum::<usize>();
        let widest = wanted.iter().copied().max().unwrap_or(0);
        let most = (LEAST_WIDTH..=widest.max(LEAST_WIDTH))
            .rev()
            .find(|most| total(*most) <= room)
            .unwrap_or(LEAST_WIDTH);
        wanted.iter().map(|width| (*width).min(most)).collect()
    }
}

fn push_line(text: &mut String, cells: impl Iterator<Item = String>) {
    let line = cells.collect::<Vec<_>>().join(GAP);
    let _ = writeln!(text, "{}", line.trim_end());
}

impl Cell {
    /// Makes the cell of a text; one that reads as no value is quoted.
    pub(in crate::commands) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Text(if text == NULL {
            format!("'{text}'")
        } else {
            text
        })
    }

    fn columns(&self) -> usize {
        match self {
            // As it will be shown: on one line, its blanks joined.
            Self::Text(text) => columns(&one_line(text, usize::MAX)),
            Self::Number(text) => columns(text),
            Self::Null => NULL.len(),
        }
    }

    fn shown(&self, width: usize, style: Style) -> String {
        match self {
            Self::Text(text) => pad(&one_line(text, width), width),
            Self::Number(text) => {
                let text = one_line(text, width);
                format!("{}{text}", " ".repeat(width - columns(&text).min(width)))
            }
            Self::Null => style.dim(&pad(NULL, width)),
        }
    }
}

/// How the absence of a value is shown.
const NULL: &str = "NULL";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: Vec<Vec<Cell>>, width: usize, expected: &str) {
        let mut table = Table::new(["id", "content"]);
        table.rows = rows;
        let style = Style {
            colour: false,
            width,
        };
        assert_eq!(table.text(style), expected);
    }

    #[test]
    fn columns_are_aligned_whatever_the_script() {
        check(
            vec![
                vec![Cell::Number("7".into()), Cell::text("日本語")],
                vec![Cell::Number("1234".into()), Cell::Null],
                vec![Cell::Null, Cell::text("NULL")],
            ],
            80,
            "id    content\n   7  日本語\n1234  NULL\nNULL  'NULL'\n",
        );
    }

    #[test]
    fn long_cells_are_cut_and_short_ones_stay() {
        check(
            vec![vec![
                Cell::Number("7".into()),
                Cell::text("one two three four five six"),
            ]],
            24,
            "id  content\n 7  one two three four…\n",
        );
    }

    #[test]
    fn a_cell_is_one_line_without_control_characters() {
        check(
            vec![vec![Cell::Null, Cell::text("a\n\u{1b}[2Jb")]],
            80,
            "id    content\nNULL  a \u{fffd}[2Jb\n",
        );
    }
}
