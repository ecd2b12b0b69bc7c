//! The SQL dialects that the crate can write.

use std::fmt;

use serde::Serialize;

/// A dialect of SQL.
///
/// The text functions of the crate (named parameters, migration scripts) know all three; a
/// [`Database`](crate::Database) can be opened on SQLite and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl Dialect {
    /// Returns the lower-case name: `sqlite`, `postgres` or `mysql`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }

    /// Quotes the name of a table or a column, so that any name can stand in a statement.
    #[must_use]
    pub fn quote(self, name: &str) -> String {
        let quote = if self == Self::MySql { '`' } else { '"' };
        let doubled = name.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{doubled}{quote}")
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
