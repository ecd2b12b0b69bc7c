//! Statements that name only what they are narrowed to.

use athena_db::{Params, Value};

/// A statement that conditions are added to, with its parameters.
///
/// What is not asked for is not named: a condition that a parameter can switch off keeps databases
/// from using an index, and all rows would be looked at.
pub(crate) struct Conditions {
    /// The statement so far; it ends with a condition.
    pub(crate) text: String,
    /// What it names.
    pub(crate) params: Params,
}

impl Conditions {
    /// Adds a condition that must hold too.
    pub(crate) fn and(&mut self, condition: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    /// Adds a condition with a parameter, if there is a value.
    pub(crate) fn and_value(
        &mut self,
        condition: &str,
        name: &'static str,
        value: Option<impl Into<Value>>,
    ) {
        if let Some(value) = value {
            self.and(condition);
            self.params.push(name, value);
        }
    }
}

/// The condition that the column `tags` of a table has the tag `:tag`, for a dialect.
macro_rules! has_tag {
    ($table:literal, $dialect:expr) => {
        match $dialect {
            athena_db::Dialect::Sqlite => concat!(
                "EXISTS (SELECT 1 FROM json_each(",
                $table,
                ".tags) t WHERE t.value = :tag)"
            ),
            athena_db::Dialect::Postgres => {
                concat!($table, ".tags @> jsonb_build_array(:tag::text)")
            }
            athena_db::Dialect::MySql => {
                concat!("JSON_CONTAINS(", $table, ".tags, JSON_QUOTE(:tag))")
            }
        }
    };
}
pub(crate) use has_tag;
