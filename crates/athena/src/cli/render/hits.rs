//! Hits of a search: ranked, each with what it is above its text.

use super::record::{Look, Record, choose, look};
use super::table::COLUMN_WIDTH;
use super::{fields, value};
use crate::terminal::{Style, one_line, printable, wrap};
use serde_json::{Map, Value};
use std::fmt::Write;

/// Lines of a hit's text.
const HIT_LINES: usize = 4;
/// What ranks a hit.
const SCORES: &[&str] = &["score", "match", "hybrid_score", "semantic_similarity"];

/// Shows ranked hits, and what else the answer says.
pub(super) fn show(text: &mut String, hits: &[Value], answer: &Map<String, Value>, style: Style) {
    if hits.is_empty() {
        let _ = writeln!(text, "nothing that matches");
    }
    for (index, hit) in hits.iter().filter_map(Value::as_object).enumerate() {
        show_hit(text, index + 1, hit, style);
    }
    let rest: Map<String, Value> = answer
        .iter()
        .filter(|(name, value)| *name != "hits" && value::says_something(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !rest.is_empty() {
        fields::show(text, &rest, 0, style);
    }
}

fn show_hit(text: &mut String, rank: usize, hit: &Map<String, Value>, style: Style) {
    let record = Record::of(hit);
    let chosen = choose(std::slice::from_ref(&record));
    let _ = writeln!(text, "{}", headline(rank, &record, &chosen, style));
    let mut texts = chosen.iter().filter(|name| look(name) == Look::Text);
    let content = record.get("content").map(|_| "content");
    let content = content.or_else(|| texts.next().copied());
    let content = content.map(|name| record.shown(name)).unwrap_or_default();
    let lines = wrap(&content, style.width.saturating_sub(4).max(20));
    for line in lines.iter().take(HIT_LINES) {
        let _ = writeln!(text, "{}", format!("    {line}").trim_end());
    }
    if lines.len() > HIT_LINES {
        let more = format!("… {} more lines", lines.len() - HIT_LINES);
        let _ = writeln!(text, "    {}", style.dim(&more));
    }
    if let Some(explain) = hit.get("explain") {
        let _ = writeln!(text, "    {}", style.dim("why:"));
        match why(explain) {
            Some(lines) => lines.iter().for_each(|line| {
                let _ = writeln!(text, "      {line}");
            }),
            None => fields::show_value(text, explain, 6, style),
        }
    }
}

/// The line above a hit's text: rank, scores, and what it is. Names of things that a person did not
/// give, such as a session's, are left to `get`.
fn headline(rank: usize, record: &Record<'_>, chosen: &[&str], style: Style) -> String {
    let mut parts = vec![style.bold(&format!("{rank:>2}."))];
    for name in SCORES {
        if let Some(score) = record.get(name).and_then(|field| field.value.as_f64()) {
            parts.push(format!("{} {score:.3}", style.dim(&name.replace('_', " "))));
        }
    }
    for name in chosen.iter().filter(|name| !matches!(**name, "id" | "seq")) {
        let part = || one_line(&record.part(name), COLUMN_WIDTH);
        match look(name) {
            Look::Word if name.ends_with("_at") => parts.push(style.dim(&part())),
            Look::Word if *name == "tags" => parts.push(style.cyan(&tags(record))),
            Look::Word => parts.push(style.cyan(&part())),
            Look::Named if matches!(*name, "priority" | "due_at") => parts.push(part()),
            Look::Named | Look::Text | Look::Whole => {}
        }
    }
    let id = record.get("id").map(|_| style.dim(&record.part("id")));
    parts.extend(id);
    parts.join("  ")
}

fn tags(record: &Record<'_>) -> String {
    let tags = record.get("tags").and_then(|field| field.value.as_array());
    let tags = tags.into_iter().flatten().filter_map(Value::as_str);
    tags.map(|tag| format!("#{}", one_line(tag, COLUMN_WIDTH)))
        .collect::<Vec<_>>()
        .join(" ")
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
