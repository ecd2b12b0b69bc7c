//! Tables of records: the columns that tell most, within the width of the terminal.

use super::record::{Look, Record, choose, look};
use crate::terminal::{Style, columns, one_line, pad};
use serde_json::{Map, Value};

/// Widest column that is no prose.
pub(super) const COLUMN_WIDTH: usize = 28;
const MOST_COLUMNS: usize = 8;
/// What a text gets before others are shown beside it, if that is not more than half.
const TEXT_LEAST: usize = 44;
/// What each of several texts gets.
const TEXTS_LEAST: usize = 20;
/// What a text gets that the answer says of a record beside the record's own.
const ANSWERS_LEAST: usize = 24;

/// A column.
#[derive(Debug)]
struct Column<'a> {
    name: &'a str,
    cells: Vec<String>,
    /// Whether it is of the record in the record, in all rows.
    is_inner: bool,
}

/// Returns a table as lines: the headings, then a line for each record. No lines for records that
/// have nothing to show.
pub(super) fn lines(objects: &[&Map<String, Value>], room: usize, style: Style) -> Vec<String> {
    let mut columns = columns_of(objects);
    if columns.is_empty() {
        return Vec::new();
    }
    let widths = fit(&mut columns, room);
    let line = |cells: Vec<String>| cells.join("  ").trim_end().to_owned();
    let sized = || columns.iter().zip(&widths);
    let headings = sized()
        .map(|(column, width)| style.bold(&pad(&one_line(&column.heading(), *width), *width)));
    let mut lines = vec![line(headings.collect())];
    for row in 0..objects.len() {
        let cells =
            sized().map(|(column, width)| pad(&one_line(&column.cells[row], *width), *width));
        lines.push(line(cells.collect()));
    }
    lines
}

fn columns_of<'a>(objects: &[&'a Map<String, Value>]) -> Vec<Column<'a>> {
    let records: Vec<Record<'a>> = objects.iter().map(|object| Record::of(object)).collect();
    let column = |name: &'a str| Column {
        name,
        cells: records.iter().map(|record| record.shown(name)).collect(),
        is_inner: records
            .iter()
            .filter_map(|record| record.get(name))
            .all(|field| field.is_inner),
    };
    choose(&records).into_iter().map(column).collect()
}

impl Column<'_> {
    fn heading(&self) -> String {
        self.name.replace('_', " ").to_uppercase()
    }

    fn is_text(&self) -> bool {
        look(self.name) == Look::Text
    }

    /// Whether it says which record it is.
    fn is_identity(&self) -> bool {
        matches!(self.name, "id" | "seq")
    }

    /// Whether it says the same of each of several records.
    fn is_constant(&self) -> bool {
        self.cells.len() > 1 && self.cells.iter().all(|cell| *cell == self.cells[0])
    }

    fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.is_empty()).count()
    }

    /// Returns the width that it would have if there were room enough.
    fn wanted(&self) -> usize {
        let cells = self.cells.iter().map(|cell| columns(cell.trim_end()));
        let widest = cells.max().unwrap_or(0).max(columns(&self.heading()));
        match look(self.name) {
            Look::Text | Look::Whole => widest,
            Look::Word | Look::Named => widest.min(COLUMN_WIDTH),
        }
    }
}

/// Leaves out columns until the rest fits, and returns the widths.
fn fit(columns: &mut Vec<Column<'_>>, room: usize) -> Vec<usize> {
    loop {
        let widths = widths(columns, room);
        if columns.len() <= MOST_COLUMNS && fits(&widths, room) {
            return widths;
        }
        match least_telling(columns) {
            Some(place) => columns.remove(place),
            None => return widths,
        };
    }
}

/// Gives every column what it wants. Of what is left, each text gets what it needs to be read, and
/// then an equal share of the rest.
fn widths(columns: &[Column<'_>], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(Column::wanted).collect();
    let least = leasts(columns, room);
    let mut texts: Vec<usize> = (0..columns.len())
        .filter(|place| columns[*place].is_text())
        .collect();
    let gaps = 2 * columns.len().saturating_sub(1);
    let shorter = (0..columns.len()).filter(|place| !texts.contains(place));
    let others: usize = shorter.map(|place| widths[place]).sum();
    let needed: usize = texts.iter().map(|place| least[*place]).sum();
    let mut left = room.saturating_sub(others + gaps + needed);
    // Those that want least come first: what they leave goes to the others.
    texts.sort_by_key(|place| widths[*place] - least[*place]);
    let count = texts.len();
    for (index, place) in texts.into_iter().enumerate() {
        let more = (widths[place] - least[place]).min(left / (count - index));
        widths[place] = least[place] + more;
        left -= more;
    }
    widths
}

/// Returns what each column needs to be of use: all that it wants, but for texts.
fn leasts(columns: &[Column<'_>], room: usize) -> Vec<usize> {
    let count = columns.iter().filter(|column| column.is_text()).count();
    let about_records = columns.iter().any(|column| column.is_inner);
    let least = |column: &Column<'_>| {
        let is_answers = about_records && !column.is_inner;
        column.wanted().min(match column.is_text() {
            false => usize::MAX,
            true if is_answers => ANSWERS_LEAST,
            true if count > 1 => TEXTS_LEAST,
            true => TEXT_LEAST.min(room / 2),
        })
    };
    columns.iter().map(least).collect()
}

fn fits(widths: &[usize], room: usize) -> bool {
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) <= room
}

/// Returns the column to leave out for want of room: the last of those that say the same in every
/// row, else the text that fewest rows have, else the last.
///
/// What says which record it is stays, the text that most rows have stays, and so does what the
/// answer says of a record beside what is in it, such as why a task is due.
fn least_telling(columns: &[Column<'_>]) -> Option<usize> {
    let about_records = columns.iter().any(|column| column.is_inner);
    let places = |of_texts: bool| {
        (1..columns.len()).filter(move |place| {
            let column = &columns[*place];
            let may_go = !column.is_identity() && (column.is_inner || !about_records);
            may_go && column.is_text() == of_texts
        })
    };
    let filled = |place: &usize| columns[*place].filled();
    let texts = (0..columns.len()).filter(|place| columns[*place].is_text());
    let main = texts.rev().max_by_key(filled);
    let constant = places(false)
        .rev()
        .find(|place| columns[*place].is_constant());
    constant
        .or_else(|| {
            let others = places(true).filter(|place| Some(*place) != main);
            others.rev().min_by_key(filled)
        })
        .or_else(|| places(false).next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shown(records: &Value, room: usize) -> Vec<String> {
        let objects: Vec<&Map<String, Value>> = records
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record.as_object().unwrap())
            .collect();
        lines(&objects, room, Style::plain())
    }

    #[test]
    fn what_is_the_same_in_every_row_goes_first_and_the_text_stays() {
        let long = "a long title that says what is to be done, and why it is";
        let tasks = json!([
            {"id": 1, "title": long, "status": "pending", "priority": 8, "due_at": "2026-12-01T17:00:00Z"},
            {"id": 2, "title": "short", "status": "pending", "priority": 3},
        ]);
        let headings = |room| {
            shown(&tasks, room)
                .remove(0)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(headings(120), "ID TITLE STATUS PRIORITY DUE AT");
        assert_eq!(headings(80), "ID TITLE PRIORITY DUE AT");
        assert_eq!(headings(60), "ID TITLE PRIORITY");
        assert_eq!(headings(40), "ID TITLE PRIORITY");
        let lines = shown(&tasks, 40);
        assert!(lines.iter().all(|line| columns(line) <= 40), "{lines:?}");
        assert!(lines[1].ends_with("…  8"), "{lines:?}");
    }

    #[test]
    fn texts_share_the_room_and_the_one_that_few_rows_have_goes_first() {
        let text = |letter: &str| format!("{letter} ").repeat(60);
        let events = json!([
            {"id": 1, "event_type": "error", "content": text("c"), "learned": text("l")},
            {"id": 2, "event_type": "success", "content": text("c")},
        ]);
        assert_eq!(
            shown(&events, 100)[0]
                .split_whitespace()
                .collect::<Vec<_>>(),
            ["ID", "EVENT", "TYPE", "LEARNED", "CONTENT"]
        );
        assert_eq!(
            shown(&events, 50)[0].split_whitespace().collect::<Vec<_>>(),
            ["ID", "EVENT", "TYPE", "CONTENT"]
        );
        let both = json!([events[0]]);
        assert_eq!(
            shown(&both, 50)[0].split_whitespace().collect::<Vec<_>>(),
            ["ID", "EVENT", "TYPE", "LEARNED"]
        );
    }

    #[test]
    fn what_the_answer_says_of_a_record_is_not_cut_for_what_is_in_it() {
        let title = "a long title ".repeat(8);
        let due = json!([{"reasons": ["it is overdue by 20d 18h"], "reminders": [3], "overdue": true, "task": {
            "id": 2, "title": title, "status": "pending", "priority": 3, "due_at": "2026-11-01T17:00:00Z",
            "phase": "planning", "created_at": "2026-11-01T17:00:00Z",
        }}]);
        let lines = shown(&due, 100);
        assert!(lines[1].contains("it is overdue by 20d 18h"), "{lines:?}");
        assert!(
            lines[0].contains("TITLE") && lines[0].contains("DUE AT"),
            "{lines:?}"
        );
        assert!(lines[0].ends_with("REMINDERS"), "{lines:?}");
    }
}
