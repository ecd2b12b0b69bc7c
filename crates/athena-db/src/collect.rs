//! Rows that become what the caller wants while they are read.
//!
//! The values of a row are then still in the processor's cache, and their memory serves the next
//! row. A backend need not do it: [`Outcome::rows_as`](crate::plan::Outcome::rows_as) takes both.

use std::any::Any;
use std::fmt;

use crate::error::{Error, Result};
use crate::row::{FromRow, Row};

/// Makes an empty [`Collected`] for rows of one type; a statement that runs again starts anew.
#[derive(Debug, Clone, Copy)]
pub struct Collector(fn() -> Collected);

/// Rows that were read into the caller's type.
pub struct Collected(Box<dyn Collect>);

trait Collect: Send {
    fn take(&mut self, row: &mut Row) -> bool;
    fn len(&self) -> usize;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// The rows up to the first that does not fit, and why not.
struct Typed<T> {
    rows: Vec<T>,
    error: Option<Error>,
}

impl Collector {
    pub(crate) fn of<T: FromRow>() -> Self {
        Self(|| {
            Collected(Box::new(Typed::<T> {
                rows: Vec::new(),
                error: None,
            }))
        })
    }

    pub(crate) fn start(self) -> Collected {
        self.0()
    }
}

impl Collected {
    /// Takes a row; `false` says that no more are wanted.
    pub(crate) fn take(&mut self, row: &mut Row) -> bool {
        self.0.take(row)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the rows, which must be of the collector's type.
    pub(crate) fn rows<T: FromRow>(self) -> Result<Vec<T>> {
        let Ok(typed) = self.0.into_any().downcast::<Typed<T>>() else {
            return Ok(Vec::new());
        };
        typed.error.map_or(Ok(typed.rows), Err)
    }
}

impl<T: FromRow> Collect for Typed<T> {
    fn take(&mut self, row: &mut Row) -> bool {
        match T::take_row(row) {
            Ok(row) => self.rows.push(row),
            Err(error) => self.error = Some(error),
        }
        self.error.is_none()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Collected")
            .field("rows", &self.len())
            .finish()
    }
}
