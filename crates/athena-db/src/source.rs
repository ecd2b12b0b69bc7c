//! Where the columns of a row are taken from: a [`Row`], or the row that a driver still holds.
//!
//! A column that lies in the driver's memory becomes the caller's type without a
//! [`Value`](crate::Value) in between, and the row costs no memory but that of the result. What
//! comes of it is the same, down to the words of the errors.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::row::{Columns, Row, fit_json};
use crate::value::{FromValue, Raw, Value};

/// A row whose columns can be taken. The derived [`FromRow`](crate::FromRow) is written against it.
pub trait Source {
    /// Returns the column names in order.
    fn columns(&self) -> &Columns;

    /// Takes a column by position, counted from 0.
    ///
    /// # Errors
    ///
    /// As [`Row::get_at`].
    fn take_at<T: FromValue>(&mut self, index: usize) -> Result<T>;

    /// Takes a column by name that probably stands at a position.
    ///
    /// # Errors
    ///
    /// As [`Row::get`].
    #[inline]
    fn take_near<T: FromValue>(&mut self, index: usize, name: &'static str) -> Result<T> {
        if self.columns().is_at(index, name) {
            return self.take_at(index);
        }
        let index = self.columns().find::<T>(name)?;
        self.take_at(index)
    }

    /// Takes a column of JSON into a type of the caller's.
    ///
    /// # Errors
    ///
    /// As [`Row::get_json`].
    fn take_json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        let index = self.columns().find::<Option<serde_json::Value>>(name)?;
        fit_json(name, self.take_at(index)?)
    }

    /// Makes a row of what is left.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Type`](crate::ErrorKind::Type) if a column cannot be read.
    fn to_row(&mut self) -> Result<Row>;

    /// Returns the row, if what is taken from it is gone: who takes a column twice reads from the
    /// row instead.
    fn as_row(&self) -> Option<&Row> {
        None
    }

    /// Looks at the columns that nobody has taken: a row with one that cannot be read is an error,
    /// whoever asks for it.
    ///
    /// # Errors
    ///
    /// As [`Source::to_row`].
    fn check_rest(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Moves values out of it.
impl Source for Row {
    fn columns(&self) -> &Columns {
        self.columns()
    }

    fn take_at<T: FromValue>(&mut self, index: usize) -> Result<T> {
        self.take_at(index)
    }

    fn to_row(&mut self) -> Result<Row> {
        Ok(self.take())
    }

    fn as_row(&self) -> Option<&Row> {
        Some(self)
    }
}

/// Leaves it as it is.
impl Source for &Row {
    fn columns(&self) -> &Columns {
        Row::columns(self)
    }

    fn take_at<T: FromValue>(&mut self, index: usize) -> Result<T> {
        self.get_at(index)
    }

    fn to_row(&mut self) -> Result<Row> {
        Ok(Row::clone(self))
    }
}

/// The columns of a row in the memory of a driver.
pub(crate) trait Cells {
    /// Lends a column, or returns `None` if it must be decoded or cannot be read.
    fn raw(&self, index: usize) -> Option<Raw<'_>>;

    /// Decodes a column.
    fn value(&self, index: usize) -> Result<Value>;
}

/// A row in the memory of a driver, and how far it has been read.
#[derive(Debug)]
pub(crate) struct Cursor<'a, C> {
    columns: &'a Arc<Columns>,
    cells: &'a C,
    /// The columns before this one are known to be readable.
    read: usize,
}

impl<'a, C: Cells> Cursor<'a, C> {
    pub(crate) fn new(columns: &'a Arc<Columns>, cells: &'a C) -> Self {
        Self {
            columns,
            cells,
            read: 0,
        }
    }

    fn note(&mut self, index: usize) {
        if index == self.read {
            self.read += 1;
        }
    }

    /// Takes what has to be decoded, or finds out why it does not fit.
    #[inline(never)]
    fn decode<T: FromValue>(&mut self, index: usize) -> Result<T> {
        if index >= self.columns.len() {
            return Err(self.columns.absent::<T>(index));
        }
        let mut value = self.cells.value(index)?;
        self.note(index);
        T::take(&mut value).ok_or_else(|| self.columns.misfit::<T>(index, &value))
    }
}

impl<C: Cells> Source for Cursor<'_, C> {
    #[inline]
    fn columns(&self) -> &Columns {
        self.columns
    }

    #[inline]
    fn take_at<T: FromValue>(&mut self, index: usize) -> Result<T> {
        match self.cells.raw(index).and_then(T::from_raw) {
            Some(value) => {
                self.note(index);
                Ok(value)
            }
            None => self.decode(index),
        }
    }

    fn to_row(&mut self) -> Result<Row> {
        let mut values = Vec::with_capacity(self.columns.len());
        for index in 0..self.columns.len() {
            values.push(self.cells.value(index)?);
        }
        self.read = self.columns.len();
        Ok(Row::new(Arc::clone(self.columns), values))
    }

    #[inline]
    fn check_rest(&mut self) -> Result<()> {
        while self.read < self.columns.len() {
            if self.cells.raw(self.read).is_none() {
                self.cells.value(self.read)?;
            }
            self.read += 1;
        }
        Ok(())
    }
}
