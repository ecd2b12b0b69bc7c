//! Compares the tables that should be with the tables that are.

use std::fmt;

use serde::Serialize;

use super::model::{Column, DefaultValue, ForeignKey, Generated, Index, IndexKey, Table};

/// Something about a table that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The part of it: "column `a`", "index `i`", "the primary key"; `None` for the table itself.
    pub part: Option<String>,
    /// What should be; `None` if it should not exist.
    pub expected: Option<String>,
    /// What is; `None` if it does not exist.
    pub found: Option<String>,
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Both come from the same backend: expressions are compared as well.
    Exact,
    /// They come from different backends, which write expressions in their own ways: it is
    /// compared whether there are any.
    Portable,
    /// As `Portable`, and what is there beyond what should be is no difference.
    AtLeast,
}

/// Lists the differences between one table as it should be and as it is.
///
/// Names that backends make up for constraints do not matter, nor does the order of columns.
#[must_use]
pub fn differences(expected: &Table, found: &Table, scope: Scope) -> Vec<Difference> {
    let pairs = [
        pair(&expected.columns, &found.columns, |column| {
            (
                format!("column `{}`", column.name),
                describe_column(column, scope),
            )
        }),
        pair(&expected.unique, &found.unique, |key| {
            (
                format!("unique ({})", key.columns.join(", ")),
                "unique".to_owned(),
            )
        }),
        pair(&expected.foreign_keys, &found.foreign_keys, |key| {
            (
                format!("foreign key ({})", key.columns.join(", ")),
                describe_key(key),
            )
        }),
        pair(&expected.indexes, &found.indexes, |index| {
            (
                format!("index `{}`", index.name),
                describe_index(index, scope),
            )
        }),
        pair(&[expected], &[found], |table| {
            (
                "the primary key".to_owned(),
                format!("({})", table.primary_key().join(", ")),
            )
        }),
        checks(expected, found, scope),
    ];
    pairs
        .into_iter()
        .flatten()
        .filter(|pair| scope != Scope::AtLeast || pair.expected.is_some())
        .map(|pair| Difference {
            table: expected.name.clone(),
            part: Some(pair.part),
            expected: pair.expected,
            found: pair.found,
        })
        .collect()
}

struct Pair {
    part: String,
    expected: Option<String>,
    found: Option<String>,
}

/// Puts parts of the same name side by side and keeps those that differ.
fn pair<T>(expected: &[T], found: &[T], describe: impl Fn(&T) -> (String, String)) -> Vec<Pair> {
    let found: Vec<(String, String)> = found.iter().map(&describe).collect();
    let mut pairs: Vec<Pair> = Vec::new();
    for (part, text) in expected.iter().map(&describe) {
        let other = found.iter().find(|(name, _)| *name == part);
        pairs.push(Pair {
            found: other.map(|(_, text)| text.clone()),
            expected: Some(text),
            part,
        });
    }
    for (part, text) in found {
        if !pairs.iter().any(|pair| pair.part == part) {
            pairs.push(Pair {
                part,
                expected: None,
                found: Some(text),
            });
        }
    }
    pairs.retain(|pair| pair.expected != pair.found);
    pairs
}

/// Checks have no names to go by, and their texts compare on one backend only.
fn checks(expected: &Table, found: &Table, scope: Scope) -> Vec<Pair> {
    if scope == Scope::Exact {
        let by_text = |table: &Table| -> Vec<String> {
            let texts = table.checks.iter().map(|check| check.expression.clone());
            texts.collect()
        };
        return pair(&by_text(expected), &by_text(found), |text| {
            (format!("check ({text})"), "checked".to_owned())
        });
    }
    let (expected, found) = (expected.checks.len(), found.checks.len());
    let enough = expected == found || (scope == Scope::AtLeast && found > expected);
    let pair = Pair {
        part: "the checks".to_owned(),
        expected: Some(format!("{expected} of them")),
        found: Some(format!("{found} of them")),
    };
    if enough { Vec::new() } else { vec![pair] }
}

fn describe_column(column: &Column, scope: Scope) -> String {
    let kind = column
        .kind
        .map_or_else(|| column.raw_type.clone(), |kind| kind.to_string());
    let expression = |text: &str| match scope {
        Scope::Exact => format!("({text})"),
        Scope::Portable | Scope::AtLeast => "(...)".to_owned(),
    };
    let mut text = kind;
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    match &column.default {
        None => {}
        Some(DefaultValue::Literal(value)) => text.push_str(&format!(" DEFAULT {value}")),
        Some(DefaultValue::CurrentTimestamp) => text.push_str(" DEFAULT CURRENT_TIMESTAMP"),
        Some(DefaultValue::CurrentDate) => text.push_str(" DEFAULT CURRENT_DATE"),
        Some(DefaultValue::Expression(value)) => {
            text.push_str(&format!(" DEFAULT {}", expression(value)));
        }
    }
    match &column.generated {
        None => {}
        Some(Generated::Identity) => text.push_str(" numbered by the database"),
        Some(Generated::Expression(value)) => {
            text.push_str(&format!(" GENERATED ALWAYS AS {}", expression(value)));
        }
    }
    text
}

fn describe_key(key: &ForeignKey) -> String {
    let action = format!("{:?}", key.on_delete).to_lowercase();
    let references = key.references.join(", ");
    format!("to `{}` ({references}), on delete {action}", key.table)
}

fn describe_index(index: &Index, scope: Scope) -> String {
    let expression = |text: &str| match scope {
        Scope::Exact => format!("({text})"),
        Scope::Portable | Scope::AtLeast => "(...)".to_owned(),
    };
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|key| {
            let (name, descending) = match key {
                IndexKey::Column { name, descending } => (name.clone(), descending),
                IndexKey::Expression { text, descending } => (expression(text), descending),
            };
            if *descending {
                format!("{name} DESC")
            } else {
                name
            }
        })
        .collect();
    let unique = if index.unique { "unique " } else { "" };
    let condition = index
        .condition
        .as_deref()
        .map_or(String::new(), |text| format!(" WHERE {}", expression(text)));
    format!("{unique}({}){condition}", keys.join(", "))
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "table `{}`", self.table)?;
        if let Some(part) = &self.part {
            write!(formatter, ": {part}")?;
        }
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => {
                write!(formatter, " should be {expected} and is {found}")
            }
            (Some(_), None) => formatter.write_str(" is missing"),
            (None, _) => formatter.write_str(" is there and no migration made it"),
        }
    }
}
