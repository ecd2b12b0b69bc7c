//! What was measured, beside what is aimed at.

use crate::commands::db::table::{Cell, Table};
use crate::terminal::Style;
use serde_json::{Value, json};

/// What a measure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// Measures in the order in which they were taken.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Item>);

/// One measure.
#[derive(Debug)]
struct Item {
    id: String,
    what: String,
    value: f64,
    unit: &'static str,
    target: Option<Target>,
}

impl Report {
    /// Adds a measure; `id` names it for programs, `what` for people.
    pub(super) fn push(
        &mut self,
        id: impl Into<String>,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) {
        self.0.push(Item {
            id: id.into(),
            what: what.into(),
            value,
            unit,
            target,
        });
    }

    /// Returns the value of a measure, if it was taken.
    pub(super) fn value(&self, id: &str) -> Option<f64> {
        let found = self.0.iter().find(|item| item.id == id);
        found.map(|item| item.value)
    }

    /// Returns the form for programs.
    pub(super) fn to_json(&self) -> Value {
        self.0.iter().map(Item::to_json).collect()
    }

    /// Returns the form for people: a table, and how many targets were missed.
    pub(super) fn text(&self, style: Style) -> String {
        let mut table = Table::new(["", "measured", "unit", "target", ""]);
        table.rows = self.0.iter().map(Item::cells).collect();
        let judged = self.0.iter().filter_map(Item::met);
        let (met, all) = judged.fold((0, 0), |(met, all), it| (met + u32::from(it), all + 1));
        format!("{}{met} of {all} targets met\n", table.text(style))
    }
}

impl Item {
    fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtMost(bound) => self.value <= bound,
            Target::AtLeast(bound) => self.value >= bound,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "target": self.target.map(Target::text),
            "met": self.met(),
        })
    }

    fn cells(&self) -> Vec<Cell> {
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        vec![
            Cell::text(&self.what),
            Cell::Number(short(self.value)),
            Cell::text(self.unit),
            Cell::text(self.target.map_or_else(String::new, Target::text)),
            Cell::text(verdict),
        ]
    }
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::AtLeast(bound) => format!("≥ {bound}"),
        }
    }
}

/// Shows a number with the digits that mean something.
fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{number:.3}"),
        _ => format!("{number:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Target::{AtLeast, AtMost};
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.push("a.cpu_ms", "a: CPU", 0.4, "ms", Some(AtMost(0.5)));
        report.push(
            "a.qps",
            "a: one client",
            1_234.5,
            "queries/s",
            Some(AtLeast(1_500.0)),
        );
        report.push("a.p50", "a: p50", 12.34, "ms", None);
        report
    }

    #[test]
    fn people_see_a_table() {
        let expected = "               measured  unit       target        \n";
        let text = report().text(Style::plain());
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.starts_with(expected.trim_end()), "{text}");
        assert!(
            text.contains("a: CPU            0.400  ms         ≤ 0.5   met\n"),
            "{text}"
        );
        assert!(
            text.contains("a: one client      1234  queries/s  ≥ 1500  missed\n"),
            "{text}"
        );
        assert!(text.ends_with("1 of 2 targets met\n"), "{text}");
    }

    #[test]
    fn programs_see_every_digit() {
        assert_eq!(
            report().to_json()[0],
            json!({"id": "a.cpu_ms", "what": "a: CPU", "value": 0.4, "unit": "ms", "target": "≤ 0.5", "met": true})
        );
        assert_eq!(report().to_json()[2]["met"], Value::Null);
    }
}
