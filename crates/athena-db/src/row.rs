//! Rows, and how they become what a caller wants.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::names::LastFound;
use crate::source::Source;
use crate::value::{FromValue, Value};

/// One row of a result: values under the names of its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    columns: Arc<Columns>,
    values: Vec<Value>,
}

/// The column names of a result, shared by its rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Columns {
    names: Vec<String>,
    /// The names of fields that are these.
    found: LastFound,
}

/// A type that can be read from a row: by hand, as a tuple by position, or derived by name.
///
/// ```
/// # async fn example() -> athena_db::Result<()> {
/// use athena_db::{Database, Executor, FromRow, params};
///
/// #[derive(FromRow)]
/// struct Note {
///     id: i64,
///     #[db(rename = "body")]
///     text: String,
///     #[db(json)]
///     tags: Vec<String>,
///     embedding: Option<Vec<f32>>,
/// }
///
/// let db = Database::open("sqlite::memory:").await?;
/// let note: Note = db
///     .fetch_one(
///         "SELECT 7 AS id, :body AS body, :tags AS tags, NULL AS embedding",
///         params! { body: "text", tags: serde_json::json!(["a", "b"]) },
///     )
///     .await?;
/// assert_eq!((note.id, note.text.as_str(), note.tags.len()), (7, "text", 2));
/// assert!(note.embedding.is_none());
/// # Ok(()) }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
///
/// The derive knows, in `#[db(…)]` on a field:
///
/// | option | meaning |
/// |---|---|
/// | `rename = "column"` | the column has another name than the field |
/// | `json` | the column holds JSON that [`serde`] reads into the field; `NULL` is JSON's `null` |
/// | `default` | a missing column leaves the field at its default |
/// | `skip` | the field is not read and keeps its default |
/// | `flatten` | the field's own type is read from the same row |
pub trait FromRow: Sized + Send + 'static {
    /// Reads the row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) if a column is missing or does not fit.
    fn from_row(row: &Row) -> Result<Self>;

    /// Reads a row that nobody else wants.
    ///
    /// # Errors
    ///
    /// As [`FromRow::from_row`].
    #[doc(hidden)]
    fn take_row(row: &mut impl Source) -> Result<Self> {
        Self::from_row(&row.to_row()?)
    }
}

/// The first column of a row: `fetch_one::<Scalar<i64>>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scalar<T>(pub T);

impl Row {
    pub(crate) fn new(columns: Arc<Columns>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// Moves the row out, leaving one without values.
    pub(crate) fn take(&mut self) -> Self {
        Self::new(Arc::clone(&self.columns), std::mem::take(&mut self.values))
    }

    /// Reads a column by name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) if there is no such column or its value does
    /// not fit; it names the column, what was wanted and what was there.
    pub fn get<T: FromValue>(&self, name: &str) -> Result<T> {
        self.get_at(self.columns.find::<T>(name)?)
    }

    /// Reads a column by position, counted from 0.
    ///
    /// # Errors
    ///
    /// As [`Row::get`].
    pub fn get_at<T: FromValue>(&self, index: usize) -> Result<T> {
        match self.values.get(index) {
            Some(value) => {
                T::from_value(value).ok_or_else(|| self.columns.misfit::<T>(index, value))
            }
            None => Err(self.columns.absent::<T>(index)),
        }
    }

    /// Reads a column of JSON into a type of the caller's.
    ///
    /// # Errors
    ///
    /// As [`Row::get`].
    pub fn get_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        fit_json(name, self.get(name)?)
    }

    /// Moves a column out by position, counted from 0; `NULL` stays behind.
    ///
    /// # Errors
    ///
    /// As [`Row::get`].
    pub fn take_at<T: FromValue>(&mut self, index: usize) -> Result<T> {
        let taken = self.values.get_mut(index).and_then(T::take);
        taken.map_or_else(|| self.get_at(index), Ok)
    }

    /// Returns the column names in order.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Returns the values in order.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Takes the values out, in order.
    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }
}

/// Reads a document; `NULL` is JSON's `null`.
pub(crate) fn fit_json<T: DeserializeOwned>(name: &str, json: Option<Json>) -> Result<T> {
    // What serde says about a misfit may quote the document.
    serde_json::from_value(json.unwrap_or_default())
        .map_err(|_| Error::mismatch(name, std::any::type_name::<T>(), "JSON that does not fit"))
}

impl Columns {
    pub(crate) fn new(names: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            names,
            found: LastFound::default(),
        })
    }

    /// Whether the column at a position has the name.
    pub(crate) fn is_at(&self, index: usize, name: &str) -> bool {
        self.names.get(index).is_some_and(|column| column == name)
    }

    /// Whether the columns are these and no others, in order.
    #[doc(hidden)]
    #[inline]
    pub fn are(&self, names: &'static [&'static str]) -> bool {
        self.found
            .is_same(names, self.names.iter().map(String::as_str))
    }

    /// Returns the number of columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether there is a column of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|column| column == name)
    }

    /// Lists the names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Finds the column of a name.
    pub(crate) fn find<T: FromValue>(&self, name: &str) -> Result<usize> {
        let found = self.iter().position(|column| column == name);
        found.ok_or_else(|| {
            Error::mismatch(
                name,
                format!("a column of that name ({})", T::WANT),
                format!("the columns {}", self.listed()),
            )
        })
    }

    /// What to say of a position where there is no column.
    pub(crate) fn absent<T: FromValue>(&self, index: usize) -> Error {
        Error::mismatch(
            format!("column {}", index + 1),
            T::WANT,
            format!("the columns {}", self.listed()),
        )
    }

    /// What to say of a value that does not fit.
    pub(crate) fn misfit<T: FromValue>(&self, index: usize, value: &Value) -> Error {
        let got = match value {
            Value::Int(_) | Value::Text(_) | Value::List(_) => {
                format!("{} that does not fit", value.type_name())
            }
            value => value.type_name().to_owned(),
        };
        let column = self.iter().nth(index).unwrap_or_default();
        Error::mismatch(column, T::WANT, got)
    }

    fn listed(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.names).finish()
    }
}

impl FromRow for Row {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(row.clone())
    }

    fn take_row(row: &mut impl Source) -> Result<Self> {
        row.to_row()
    }
}

impl FromRow for () {
    fn from_row(_: &Row) -> Result<Self> {
        Ok(())
    }

    fn take_row(_: &mut impl Source) -> Result<Self> {
        Ok(())
    }
}

impl<T: FromValue> FromRow for Scalar<T> {
    fn from_row(mut row: &Row) -> Result<Self> {
        Self::take_row(&mut row)
    }

    #[inline]
    fn take_row(row: &mut impl Source) -> Result<Self> {
        row.take_at(0).map(Self)
    }
}

macro_rules! tuples {
    ($(($($type:ident $index:literal),+))+) => {$(
        impl<$($type: FromValue),+> FromRow for ($($type,)+) {
            fn from_row(mut row: &Row) -> Result<Self> {
                Self::take_row(&mut row)
            }

            #[inline]
            fn take_row(row: &mut impl Source) -> Result<Self> {
                Ok(($(row.take_at::<$type>($index)?,)+))
            }
        }
    )+};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
