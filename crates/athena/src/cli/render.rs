//! Shows answers to people: tables, ranked hits, and fields one to a line.
//!
//! The form follows from the answer's shape alone (a page has `items`, a search has `hits`), so a
//! new operation is shown well without a line here. Machines ask for `--json`.

use crate::terminal::{Style, columns, one_line, pad, printable, wrap};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Fields that a table shows first, in this order; further ones follow while there is room.
const FIRST_COLUMNS: &[&str] = &[
    "id",
    "name",
    "version",
    "memory_type",
    "type",
    "consolidation_state",
    "state",
    "memory_count",
    "tags",
    "occurred_at",
    "created_at",
    "last_accessed",
    "path",
    "description",
    "content",
];
/// Fields that are worth a column only when nothing better is there.
const NO_COLUMNS: &[&str] = &["uid", "project", "lineage", "principal", "quality_score"];
/// The column that gets the room that is left.
const WIDE_COLUMNS: &[&str] = &["content", "description", "text"];
/// Widest other column.
const COLUMN_WIDTH: usize = 28;
const MOST_COLUMNS: usize = 7;
/// Columns that the wide one gets before others are shown.
const WIDE_LEAST: usize = 44;
/// Lines of a hit's content.
const HIT_LINES: usize = 4;

/// Returns an answer as text that ends with a line break.
pub(crate) fn answer(value: &Value, style: Style) -> String {
    let mut text = String::new();
    match value {
        Value::Object(object) => {
            if let Some(brief) = object.get("text").and_then(Value::as_str)
                && object.contains_key("left_out")
            {
                show_brief(&mut text, brief, object, style);
            } else if let Some(hits) = object.get("hits").and_then(Value::as_array) {
                show_hits(&mut text, hits, object, style);
            } else if let Some(items) = object.get("items").and_then(Value::as_array) {
                show_page(&mut text, items, object, style);
            } else {
                show_fields(&mut text, object, 0, style);
            }
        }
        other => {
            let _ = writeln!(text, "{}", scalar("", other));
        }
    }
    if text.is_empty() {
        "nothing here\n".into()
    } else {
        text
    }
}

/// A text that was made to be read, and how many things found no room in it.
fn show_brief(text: &mut String, brief: &str, answer: &Map<String, Value>, style: Style) {
    let unchanged = answer.get("unchanged") == Some(&Value::Bool(true));
    match brief.trim_end() {
        "" if unchanged => text.push_str("nothing new\n"),
        "" => {}
        brief => brief.lines().for_each(|line| {
            let _ = writeln!(text, "{}", printable(line));
        }),
    }
    let left_out = answer.get("left_out").and_then(Value::as_array);
    if let Some(count) = left_out.map(Vec::len).filter(|count| *count > 0) {
        let more = format!("{count} more found no room; raise --budget-tokens");
        let _ = writeln!(text, "{}", style.dim(&more));
    }
}

fn show_hits(text: &mut String, hits: &[Value], answer: &Map<String, Value>, style: Style) {
    if hits.is_empty() {
        let _ = writeln!(text, "nothing that matches");
    }
    for (index, hit) in hits.iter().enumerate() {
        let _ = writeln!(text, "{}", headline(index + 1, hit, style));
        let content = hit
            .get("content")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let lines = wrap(content, style.width.saturating_sub(4).max(20));
        for line in lines.iter().take(HIT_LINES) {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
        }
        if lines.len() > HIT_LINES {
            let _ = writeln!(
                text,
                "    {}",
                style.dim(&format!("… {} more lines", lines.len() - HIT_LINES))
            );
        }
        if let Some(explain) = hit.get("explain") {
            let _ = writeln!(text, "    {}", style.dim("why:"));
            match why(explain) {
                Some(lines) => lines.iter().for_each(|line| {
                    let _ = writeln!(text, "      {line}");
                }),
                None => show_value(text, explain, 6, style),
            }
        }
    }
    let rest: Map<String, Value> = answer
        .iter()
        .filter(|(name, value)| *name != "hits" && worth_a_line(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !rest.is_empty() {
        show_fields(text, &rest, 0, style);
    }
}

/// How a hit came by its score, in a few lines; `None` for another form.
fn why(explain: &Value) -> Option<Vec<String>> {
    let number = |value: &Value, name: &str| value[name].as_f64().unwrap_or_default();
    let parts: Vec<String> = explain["parts"]
        .as_array()?
        .iter()
        .map(|part| {
            let name = part["part"].as_str().unwrap_or_default();
            format!("{name} {:.3}", number(part, "contribution"))
        })
        .collect();
    let mut lines = vec![format!(
        "{:.3} = {}",
        number(explain, "score"),
        parts.join(" + ")
    )];
    let terms: Vec<String> = explain["terms"]
        .as_array()?
        .iter()
        .map(|term| {
            let times = match term["tf"].as_u64() {
                Some(0 | 1) | None => String::new(),
                Some(times) => format!(" ×{times}"),
            };
            let name = printable(term["term"].as_str().unwrap_or_default());
            format!("{name}{times} {:.2}", number(term, "contribution"))
        })
        .collect();
    if !terms.is_empty() {
        lines.push(format!("words: {}", terms.join(", ")));
    }
    let found_by = explain["found_by"].as_array().into_iter().flatten();
    let found_by: Vec<&str> = found_by.filter_map(Value::as_str).collect();
    let vector = match (explain["cosine"].as_f64(), explain["vector"].as_str()) {
        (Some(cosine), _) => format!("; cosine {cosine:.3}"),
        (None, Some("pending")) => "; vector pending".to_owned(),
        _ => String::new(),
    };
    lines.push(format!("found by: {}{vector}", found_by.join(", ")));
    Some(lines)
}

/// The line above a hit's content: rank, scores, and what the memory is.
fn headline(rank: usize, hit: &Value, style: Style) -> String {
    let mut parts = vec![style.bold(&format!("{rank:>2}."))];
    for name in ["score", "match"] {
        if let Some(number) = hit.get(name).and_then(Value::as_f64) {
            parts.push(format!("{} {number:.3}", style.dim(name)));
        }
    }
    let kind = hit
        .get("memory_type")
        .or_else(|| hit.get("type"))
        .and_then(Value::as_str);
    parts.extend(kind.map(|kind| style.cyan(kind)));
    if let Some(tags) = hit.get("tags").and_then(Value::as_array) {
        let tags: Vec<String> = tags
            .iter()
            .filter_map(Value::as_str)
            .map(|tag| format!("#{}", one_line(tag, COLUMN_WIDTH)))
            .collect();
        parts.extend((!tags.is_empty()).then(|| style.cyan(&tags.join(" "))));
    }
    parts.extend(
        hit.get("speaker")
            .and_then(Value::as_str)
            .map(|speaker| one_line(speaker, COLUMN_WIDTH)),
    );
    let date = hit.get("occurred_at").or_else(|| hit.get("created_at"));
    parts.extend(date.map(|date| style.dim(&scalar("occurred_at", date))));
    parts.extend(hit.get("id").map(|id| style.dim(&format!("id {id}"))));
    parts.join("  ")
}

fn show_page(text: &mut String, items: &[Value], answer: &Map<String, Value>, style: Style) {
    if items.is_empty() {
        let _ = writeln!(text, "nothing here");
    } else if items.iter().all(Value::is_object) {
        show_table(text, items, style);
    } else {
        items.iter().for_each(|item| {
            let _ = writeln!(text, "{}", scalar("", item));
        });
    }
    if let Some(cursor) = answer.get("next_cursor").and_then(Value::as_str) {
        let _ = writeln!(text, "{}", style.dim(&format!("more: --cursor {cursor}")));
    }
}

fn show_table(text: &mut String, items: &[Value], style: Style) {
    let mut names = table_columns(items);
    let mut rows = table_rows(items, &names);
    let mut widths = column_widths(&names, &rows, style.width);
    while let Some(place) = least_telling(&names, &rows, &widths) {
        names.remove(place);
        rows = table_rows(items, &names);
        widths = column_widths(&names, &rows, style.width);
    }
    let line = |cells: Vec<String>| cells.join("  ").trim_end().to_owned();
    let headings = names.iter().zip(&widths).map(|(name, width)| {
        style.bold(&pad(
            &one_line(&name.replace('_', " ").to_uppercase(), *width),
            *width,
        ))
    });
    let _ = writeln!(text, "{}", line(headings.collect()));
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| pad(&one_line(cell, *width), *width));
        let _ = writeln!(text, "{}", line(cells.collect()));
    }
}

fn table_rows(items: &[Value], names: &[&str]) -> Vec<Vec<String>> {
    let row = |item: &Value| {
        names
            .iter()
            .map(|name| cell(name, item.get(name).unwrap_or(&Value::Null)))
            .collect()
    };
    items.iter().map(row).collect()
}

/// Returns the column to leave out when the wide one has too little room: the last of those that
/// say the same in every row, else the last of all. The first two columns always stay.
fn least_telling(names: &[&str], rows: &[Vec<String>], widths: &[usize]) -> Option<usize> {
    let wide = names
        .len()
        .checked_sub(1)
        .filter(|last| WIDE_COLUMNS.contains(&names[*last]))?;
    let needed = rows
        .iter()
        .map(|row| columns(&row[wide]))
        .max()
        .unwrap_or(0);
    if widths[wide] >= needed.min(WIDE_LEAST) || wide <= 2 {
        return None;
    }
    let is_constant =
        |place: &usize| rows.len() > 1 && rows.iter().all(|row| row[*place] == rows[0][*place]);
    (2..wide).rev().find(is_constant).or(Some(wide - 1))
}

/// Picks the columns: those that hold something short for some item.
fn table_columns(items: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in items.iter().filter_map(Value::as_object).flatten() {
        let shown =
            worth_a_line(value) && fits_a_cell(value) && !NO_COLUMNS.contains(&name.as_str());
        if shown && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let rank = |name: &str| {
        FIRST_COLUMNS
            .iter()
            .position(|known| *known == name)
            .unwrap_or(FIRST_COLUMNS.len())
    };
    names.sort_by_key(|name| (rank(name), *name));
    if names.contains(&"occurred_at") {
        names.retain(|name| *name != "created_at");
    }
    if names.contains(&"content") {
        names.retain(|name| *name != "last_accessed");
    }
    let known = names
        .iter()
        .filter(|name| FIRST_COLUMNS.contains(name))
        .count();
    names.truncate(if known >= 3 {
        known.min(MOST_COLUMNS + 1)
    } else {
        MOST_COLUMNS
    });
    // The column that takes the rest stands last.
    names.sort_by_key(|name| WIDE_COLUMNS.contains(name));
    names
}

fn column_widths(names: &[&str], rows: &[Vec<String>], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let widest = rows
                .iter()
                .map(|row| columns(&row[index]))
                .max()
                .unwrap_or(0);
            widest.max(name.len()).min(if WIDE_COLUMNS.contains(name) {
                usize::MAX
            } else {
                COLUMN_WIDTH
            })
        })
        .collect();
    let others: usize =
        widths.iter().rev().skip(1).sum::<usize>() + 2 * widths.len().saturating_sub(1);
    if let Some(last) = widths.last_mut() {
        *last = (*last).min(room.saturating_sub(others).max(12));
    }
    widths
}

fn fits_a_cell(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => items
            .iter()
            .all(|item| !item.is_object() && !item.is_array()),
        _ => true,
    }
}

fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(items) => items
            .iter()
            .map(|item| scalar(name, item))
            .collect::<Vec<_>>()
            .join(", "),
        other => scalar(name, other),
    }
}

/// Whether a value says something.
fn worth_a_line(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn show_fields(text: &mut String, fields: &Map<String, Value>, indent: usize, style: Style) {
    let mut shown: Vec<(&String, &Value)> = fields
        .iter()
        .filter(|(_, value)| worth_a_line(value))
        .collect();
    let rank = |name: &str| {
        FIRST_COLUMNS
            .iter()
            .position(|known| *known == name)
            .unwrap_or(FIRST_COLUMNS.len())
    };
    shown.sort_by_key(|(name, _)| rank(name));
    let widest = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let margin = " ".repeat(indent);
    for (name, value) in shown {
        let label = style.dim(&format!("{}:", name.replace('_', " ")));
        let gap = " ".repeat(widest - name.len() + 1);
        match value {
            Value::Object(_) => {
                let _ = writeln!(text, "{margin}{label}");
                show_value(text, value, indent + 2, style);
            }
            Value::Array(items) if !fits_a_cell(value) || items.iter().any(is_long) => {
                let _ = writeln!(text, "{margin}{label}");
                show_value(text, value, indent + 2, style);
            }
            value => {
                let shown = cell(name, value);
                let start = indent + widest + 2;
                let lines = wrap(&shown, style.width.saturating_sub(start).max(20));
                let joined = lines.join(&format!("\n{}", " ".repeat(start)));
                let _ = writeln!(text, "{margin}{label}{gap}{joined}");
            }
        }
    }
}

fn is_long(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() > COLUMN_WIDTH)
}

/// Shows any value below a heading.
fn show_value(text: &mut String, value: &Value, indent: usize, style: Style) {
    match value {
        Value::Object(fields) => show_fields(text, fields, indent, style),
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(fields) if fields.values().all(fits_a_cell) => {
                        let margin = " ".repeat(indent);
                        let mut fields: Vec<_> = fields
                            .iter()
                            .filter(|(_, value)| worth_a_line(value))
                            .collect();
                        // What it is comes before how much.
                        fields.sort_by_key(|(_, value)| !value.is_string());
                        let parts: Vec<String> = fields
                            .into_iter()
                            .map(|(name, value)| {
                                format!("{} {}", style.dim(name), cell(name, value))
                            })
                            .collect();
                        let _ = writeln!(text, "{margin}- {}", parts.join("  "));
                    }
                    item => show_value(text, item, indent, style),
                }
            }
        }
        other => {
            let margin = " ".repeat(indent);
            for line in wrap(
                &scalar("", other),
                style.width.saturating_sub(indent).max(20),
            ) {
                let _ = writeln!(text, "{margin}{line}");
            }
        }
    }
}

/// Shows one value; times in the reader's zone, numbers short.
fn scalar(name: &str, value: &Value) -> String {
    match value {
        Value::String(text)
            if name.ends_with("_at")
                || name.ends_with("accessed")
                || name.starts_with("valid_") =>
        {
            text.parse::<Timestamp>().map_or_else(
                |_| printable(text).into_owned(),
                |time| local(time, &TimeZone::system()),
            )
        }
        Value::String(text) => printable(text).into_owned(),
        Value::Number(number) if number.is_f64() => {
            let rounded = format!("{:.4}", number.as_f64().unwrap_or_default());
            rounded
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        }
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}

fn local(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: Value) -> String {
        answer(&value, Style::plain())
    }

    #[test]
    fn hits_are_a_ranked_list() {
        let text = shown(json!({"hits": [{
            "id": 42, "content": "We use SQLite.\nIt is enough.", "memory_type": "decision", "tags": ["db"],
            "score": 0.91234, "match": 0.5, "explain": {"keyword": 0.6, "vector": {"state": "pending"}},
        }]}));
        assert_eq!(
            text,
            " 1.  score 0.912  match 0.500  decision  #db  id 42\n    We use SQLite.\n    It is enough.\n    why:\n      \
             keyword: 0.6\n      vector:\n        state: pending\n"
        );
        assert_eq!(shown(json!({"hits": []})), "nothing that matches\n");
    }

    #[test]
    fn a_hits_score_is_explained_in_three_lines() {
        let text = shown(json!({"hits": [{
            "id": 42, "content": "We use SQLite.", "score": 0.75, "explain": {
                "score": 0.75, "cosine": 0.5, "vector": "scored", "found_by": ["keyword", "builtin"],
                "parts": [
                    {"part": "builtin", "weight": 0.4, "value": 0.5, "contribution": 0.2},
                    {"part": "keyword", "weight": 0.6, "value": 0.91667, "contribution": 0.55},
                ],
                "terms": [{"term": "sqlite", "tf": 2, "contribution": 1.25}, {"term": "use", "tf": 1, "contribution": 0.5}],
            },
        }]}));
        assert_eq!(
            text,
            " 1.  score 0.750  id 42\n    We use SQLite.\n    why:\n      0.750 = builtin 0.200 + keyword 0.550\n      \
             words: sqlite ×2 1.25, use 0.50\n      found by: keyword, builtin; cosine 0.500\n"
        );
    }

    #[test]
    fn pages_are_tables() {
        let text = shown(json!({
            "items": [
                {"id": 7, "memory_type": "fact", "tags": ["a", "b"], "content": "short", "metadata": {"x": 1}},
                {"id": 12, "memory_type": "decision", "tags": [], "content": format!("long {}", "word ".repeat(40))},
            ],
            "next_cursor": "c1.z",
        }));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ID  MEMORY TYPE  TAGS  CONTENT");
        assert_eq!(lines[1], "7   fact         a, b  short");
        assert!(
            lines[2].starts_with("12  decision           long word") && lines[2].ends_with('…'),
            "{}",
            lines[2]
        );
        assert!(columns(lines[2]) <= Style::plain().width);
        assert_eq!(lines[3], "more: --cursor c1.z");
        assert_eq!(shown(json!({"items": []})), "nothing here\n");
        assert_eq!(shown(json!({"memories": []})), "nothing here\n");
    }

    #[test]
    fn objects_are_fields_one_to_a_line() {
        let text =
            shown(json!({"uid": "u", "id": 1, "duplicate": false, "tags": [], "score": 0.5}));
        assert_eq!(
            text,
            "id:        1\nduplicate: no\nscore:     0.5\nuid:       u\n"
        );
    }

    #[test]
    fn hostile_content_cannot_move_the_cursor() {
        let text =
            shown(json!({"items": [{"id": 1, "content": "a\u{1b}[2J\u{7}b", "name": "x\u{1b}c"}]}));
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text:?}"
        );
    }

    #[test]
    fn times_are_shown_in_the_readers_zone() {
        let time: Timestamp = "2024-03-15T23:30:00Z".parse().unwrap();
        assert_eq!(
            local(time, &TimeZone::fixed(jiff::tz::offset(1))),
            "2024-03-16 00:30"
        );
    }
}
