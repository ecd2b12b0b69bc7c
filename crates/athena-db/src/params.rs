//! Parameters by name, and their way into the slots of a statement.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;
use crate::value::Value;

/// The named parameters of one statement; [`params!`](crate::params) makes them.
#[derive(Debug, Clone)]
pub struct Params {
    names: Names,
    /// One for each name.
    values: Vec<Value>,
}

#[derive(Debug, Clone)]
enum Names {
    /// Of a `params!` in the programme, which costs no memory and is known by its address.
    Static(&'static [&'static str]),
    Built(Vec<Cow<'static, str>>),
}

/// Makes [`Params`]: `params! { id: 7, name: &name }`; `params! {}` is empty.
#[macro_export]
macro_rules! params {
    () => { $crate::Params::new() };
    ($($name:ident : $value:expr),+ $(,)?) => {
        $crate::Params::of(
            const { &[$(stringify!($name)),+] },
            [$(::core::convert::Into::<$crate::Value>::into($value)),+],
        )
    };
}

impl Params {
    /// Makes an empty set of parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            names: Names::Static(&[]),
            values: Vec::new(),
        }
    }

    /// Makes what [`params!`](crate::params) stands for.
    #[doc(hidden)]
    #[must_use]
    pub fn of<const N: usize>(names: &'static [&'static str; N], values: [Value; N]) -> Self {
        Self {
            names: Names::Static(names),
            values: values.into(),
        }
    }

    /// Adds a parameter; the name without its colon.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a parameter in place, for statements that are built at run time.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.names.push(name.into());
        self.values.push(value.into());
    }

    /// Lists the names in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.values.len()).map(|index| self.names.at(index))
    }

    /// Puts the values into the order of the statement's slots.
    pub(crate) fn bind(self, plan: &Plan) -> Result<Vec<Value>> {
        if self.is_in_order(plan) {
            check_all(plan, &self.values)?;
            return Ok(self.values);
        }
        self.check_names(plan)?;
        let Self { names, mut values } = self;
        let ordered = plan.slots.iter().enumerate().map(|(index, slot)| {
            let given = (0..values.len()).find(|given| names.at(*given) == slot.name);
            let mut rest = plan.slots[index + 1..].iter();
            let is_last = !rest.any(|later| later.name == slot.name);
            match given.map(|given| &mut values[given]) {
                Some(value) if is_last => std::mem::replace(value, Value::Null),
                Some(value) => value.clone(),
                None => Value::Null,
            }
        });
        let ordered: Vec<Value> = ordered.collect();
        check_all(plan, &ordered)?;
        Ok(ordered)
    }

    /// Whether the names are just those of the slots, one by one: the usual case.
    fn is_in_order(&self, plan: &Plan) -> bool {
        plan.names_once
            && self.values.len() == plan.slots.len()
            && match self.names {
                Names::Static(names) => plan.has_names(names),
                Names::Built(_) => plan.slot_names().eq(self.names()),
            }
    }

    fn check_names(&self, plan: &Plan) -> Result<()> {
        for slot in &plan.slots {
            if !self.names().any(|name| name == slot.name) {
                return Err(missing(&slot.name, nearest(&slot.name, self.names())));
            }
        }
        for (index, name) in self.names().enumerate() {
            if !plan.slots.iter().any(|slot| slot.name == name) {
                return Err(unused(
                    name,
                    nearest(name, plan.slots.iter().map(|slot| slot.name.as_str())),
                ));
            }
            if self.names().take(index).any(|earlier| earlier == name) {
                let message = format!("the parameter `{name}` was given twice");
                return Err(Error::new(ErrorKind::UnusedParam(name.to_owned()), message));
            }
        }
        Ok(())
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::new()
    }
}

/// The same names and values in the same order, wherever the names are kept.
impl PartialEq for Params {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values && self.names().eq(other.names())
    }
}

impl Names {
    fn at(&self, index: usize) -> &str {
        match self {
            Self::Static(names) => names[index],
            Self::Built(names) => &names[index],
        }
    }

    fn push(&mut self, name: Cow<'static, str>) {
        if let Self::Static(names) = self {
            *self = Self::Built(names.iter().copied().map(Cow::Borrowed).collect());
        }
        if let Self::Built(names) = self {
            names.push(name);
        }
    }
}

fn check_all(plan: &Plan, values: &[Value]) -> Result<()> {
    let mut pairs = plan.slots.iter().zip(values);
    pairs.try_for_each(|(slot, value)| check_value(&slot.name, slot.list, value))
}

fn missing(name: &str, nearest: Option<&str>) -> Error {
    let hint = nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean the given `{nearest}`?")
    });
    let message = format!("the statement needs the parameter `:{name}` and it was not given{hint}");
    Error::new(
        ErrorKind::MissingParam {
            name: name.to_owned(),
            nearest: nearest.map(str::to_owned),
        },
        message,
    )
}

fn unused(name: &str, nearest: Option<&str>) -> Error {
    let hint = nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `:{nearest}`?")
    });
    let message =
        format!("the parameter `{name}` was given and the statement does not use it{hint}");
    Error::new(ErrorKind::UnusedParam(name.to_owned()), message)
}

pub(crate) fn check_value(name: &str, list: bool, value: &Value) -> Result<()> {
    match value {
        Value::List(items) => items.iter().try_for_each(|item| match item {
            Value::List(_) => Err(Error::mismatch(
                format!(":{name}"),
                "a flat list",
                "a list of lists",
            )),
            Value::Real(real) if !real.is_finite() => Err(Error::mismatch(
                format!(":{name}"),
                "a list of finite numbers",
                "NaN or infinity",
            )),
            item => check_value(name, false, item),
        }),
        value if list => Err(Error::mismatch(
            format!(":{name}"),
            "a list",
            value.type_name(),
        )),
        Value::Text(text) if contains_nul(text) => Err(has_nul(name, "text")),
        Value::Json(json) if json_has_nul(json) => Err(has_nul(name, "JSON")),
        Value::Real(real) if real.is_nan() => {
            Err(Error::mismatch(format!(":{name}"), "a number", "NaN"))
        }
        _ => Ok(()),
    }
}

/// PostgreSQL cannot store NUL in text and SQLite cuts some functions short at one, so neither gets it.
fn has_nul(name: &str, what: &str) -> Error {
    Error::mismatch(
        format!(":{name}"),
        format!("{what} without NUL characters"),
        format!("{what} with a NUL character"),
    )
}

/// Every text that is bound is looked through, so it is done with wide registers.
fn contains_nul(text: &str) -> bool {
    memchr::memchr(0, text.as_bytes()).is_some()
}

fn json_has_nul(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::String(text) => contains_nul(text),
        serde_json::Value::Array(items) => items.iter().any(json_has_nul),
        serde_json::Value::Object(members) => members
            .iter()
            .any(|(key, value)| contains_nul(key) || json_has_nul(value)),
        _ => false,
    }
}

/// Finds the candidate that differs least, if it differs in at most a third of its letters.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of inserted, removed or replaced bytes between two names (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.bytes().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.bytes().enumerate() {
            let replaced = previous[column] + usize::from(!a.eq_ignore_ascii_case(&b));
            current.push(
                replaced
                    .min(previous[column + 1] + 1)
                    .min(current[column] + 1),
            );
        }
        previous = current;
    }
    previous[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_are_close_names() {
        let check = |name: &str, candidates: &[&'static str], expected: Option<&str>| {
            assert_eq!(
                nearest(name, candidates.iter().copied()),
                expected,
                "{name}"
            );
        };
        check("project_id", &["projct_id", "id"], Some("projct_id"));
        check("ids", &["id", "name"], Some("id"));
        check("memory", &["x"], None);
        check("a", &[], None);
    }

    #[test]
    fn names_may_be_keywords() {
        let params = params! { type: 1, r#match: "x" };
        assert_eq!(params.names().collect::<Vec<_>>(), ["type", "r#match"]);
    }
}
