//! Rows that become what the caller wants while they are read.
//!
//! They are taken from where the driver holds them, see [`source`](crate::source). Where rows must
//! not meet the caller's code, [`Outcome`](crate::plan::Outcome) takes them as they are.

use std::any::Any;
use std::fmt;

use crate::error::{Error, Result};
use crate::row::{FromRow, Row};
use crate::source::{Cursor, Source};

/// Makes an empty [`Collected`] for rows of one type; a statement that runs again starts anew.
#[derive(Debug, Clone, Copy)]
pub struct Collector(fn() -> Collected);

/// Rows that were read into the caller's type.
///
/// It takes them from any source. The answer `false` says that one did not fit and that no other
/// can change the result; an error, that one could not be read at all.
pub struct Collected(Box<dyn Collect>);

/// Takes rows from any source.
trait Gather: Send + 'static {
    /// Takes a row; see [`Collected`].
    fn gather(&mut self, row: &mut impl Source) -> Result<bool>;

    fn len(&self) -> usize;
}

/// [`Gather`] for each source that there is, one by one: what is called for every column is known
/// when it is compiled.
trait Collect: Send {
    fn take(&mut self, row: &mut Row) -> Result<bool>;
    fn take_sqlite(&mut self, row: &mut Cursor<'_, rusqlite::Row<'_>>) -> Result<bool>;
    fn take_postgres(&mut self, row: &mut Cursor<'_, tokio_postgres::Row>) -> Result<bool>;
    fn len(&self) -> usize;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// The rows up to the first that does not fit, and why not.
struct All<T> {
    rows: Vec<T>,
    error: Option<Error>,
}

/// The first row, and how many there were.
struct Only<T> {
    first: Option<Result<T>>,
    len: usize,
}

impl Collector {
    /// All rows.
    pub(crate) fn all<T: FromRow>() -> Self {
        Self(|| {
            Collected(Box::new(All::<T> {
                rows: Vec::new(),
                error: None,
            }))
        })
    }

    /// A row that is to be the only one.
    pub(crate) fn only<T: FromRow>() -> Self {
        Self(|| {
            Collected(Box::new(Only::<T> {
                first: None,
                len: 0,
            }))
        })
    }

    pub(crate) fn start(self) -> Collected {
        self.0()
    }
}

impl Collected {
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "for MySQL alone"))]
    pub(crate) fn take(&mut self, row: &mut Row) -> Result<bool> {
        self.0.take(row)
    }

    #[inline]
    pub(crate) fn take_sqlite(&mut self, row: &mut Cursor<'_, rusqlite::Row<'_>>) -> Result<bool> {
        self.0.take_sqlite(row)
    }

    pub(crate) fn take_postgres(
        &mut self,
        row: &mut Cursor<'_, tokio_postgres::Row>,
    ) -> Result<bool> {
        self.0.take_postgres(row)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the rows of [`Collector::all`], which must be of its type.
    pub(crate) fn all<T: FromRow>(self) -> Result<Vec<T>> {
        let Ok(all) = self.0.into_any().downcast::<All<T>>() else {
            return Ok(Vec::new());
        };
        all.error.map_or(Ok(all.rows), Err)
    }

    /// Returns the row of [`Collector::only`], which must be of its type.
    pub(crate) fn only<T: FromRow>(self) -> Result<Option<T>> {
        let Ok(only) = self.0.into_any().downcast::<Only<T>>() else {
            return Ok(None);
        };
        match only.len {
            0 | 1 => only.first.transpose(),
            _ => Err(Error::too_many_rows()),
        }
    }
}

impl<T: FromRow> Gather for All<T> {
    #[inline]
    fn gather(&mut self, row: &mut impl Source) -> Result<bool> {
        if self.error.is_none() {
            match T::take_row(row) {
                Ok(row) => self.rows.push(row),
                Err(error) => self.error = Some(error),
            }
        }
        row.check_rest()?;
        Ok(self.error.is_none())
    }

    fn len(&self) -> usize {
        self.rows.len()
    }
}

impl<T: FromRow> Gather for Only<T> {
    #[inline]
    fn gather(&mut self, row: &mut impl Source) -> Result<bool> {
        if self.first.is_none() {
            self.first = Some(T::take_row(row));
        }
        self.len += 1;
        row.check_rest()?;
        // A second row says more than that the first does not fit.
        Ok(true)
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl<G: Gather> Collect for G {
    fn take(&mut self, row: &mut Row) -> Result<bool> {
        self.gather(row)
    }

    fn take_sqlite(&mut self, row: &mut Cursor<'_, rusqlite::Row<'_>>) -> Result<bool> {
        self.gather(row)
    }

    fn take_postgres(&mut self, row: &mut Cursor<'_, tokio_postgres::Row>) -> Result<bool> {
        self.gather(row)
    }

    fn len(&self) -> usize {
        Gather::len(self)
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
