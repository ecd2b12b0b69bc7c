//! The vectors of one model in one segment, row by row.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::chunk::{put_column, read_column, read_column_of};
use super::pages::Pages;
use crate::bitmap::Bitmap;
use crate::codec::{FormatError, Reader, put_bytes, put_varint};
use crate::vector::{Codes, MAX_DIMENSION, StoredVector, centre, padded};

/// Vectors of one model and dimension, each of a passage of an item.
#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    pub(crate) model: u32,
    pub(crate) dimension: usize,
    /// The components: rows × [`padded`] dimension; zeros where they are not there.
    components: Vec<i8>,
    /// Which of them are there.
    pages: Pages,
    inverse_norms: Vec<f32>,
    /// The item of each row.
    owners: Vec<u32>,
    /// The passage of each row.
    passages: Vec<u32>,
    /// So many rows in front ascend by owner and passage.
    sorted: usize,
    /// The others, by owner and passage.
    unsorted: BTreeMap<(u32, u32), u32>,
    /// Rows that are not an item's any more.
    retired: HashSet<u32>,
    /// Whether row `n` is of the item `n` places behind that of row 0, which is a multiple of 64.
    aligned: bool,
    /// The codes of the first rows, where there are many; of all rows, where no more come.
    codes: Option<Codes>,
}

/// The owner of rows that are nobody's.
const NOBODY: u32 = u32::MAX;

/// Fewer rows than this have no codes: they are as fast to look at themselves. A multiple of 64.
const LEAST_CODED: usize = 1_024;

/// At most so many bytes of components are read for the sake of one row, unless it has more: with what
/// SQLite puts beside them they fill one of its pages.
const PAGE_BYTES: usize = 3_840;

impl Vectors {
    pub(crate) fn new(model: u32, dimension: usize) -> Self {
        Self {
            model,
            dimension,
            components: Vec::new(),
            pages: Pages::default(),
            inverse_norms: Vec::new(),
            owners: Vec::new(),
            passages: Vec::new(),
            sorted: 0,
            unsorted: BTreeMap::new(),
            retired: HashSet::new(),
            aligned: true,
            codes: None,
        }
    }

    /// Returns what other vectors must have in common with these to be compared.
    pub(crate) fn key(&self) -> (u32, usize) {
        (self.model, self.dimension)
    }

    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }

    /// Returns about how many bytes of memory the vectors take.
    pub(crate) fn bytes(&self) -> usize {
        // The inverse norm, the owner and the passage.
        let codes = self
            .codes
            .as_ref()
            .map_or(0, |codes| codes.as_bytes().len());
        self.components.len() + self.len() * 12 + self.unsorted.len() * 24 + codes
    }

    /// Tells whether the components of some rows are there; notes those that are not.
    pub(crate) fn has(&self, rows: impl IntoIterator<Item = usize>) -> bool {
        if self.pages.is_complete() {
            return true;
        }
        let in_page = self.rows_of_page();
        let mut has_all = true;
        for row in rows {
            has_all &= self.pages.has(row / in_page);
        }
        has_all
    }

    /// Returns the components of all rows, one after the other; to be read where
    /// [`has`](Self::has) says that they are there.
    pub(crate) fn components(&self) -> &[i8] {
        &self.components
    }

    pub(crate) fn inverse_norm(&self, row: usize) -> f32 {
        self.inverse_norms[row]
    }

    /// Returns the item and the passage of a row, if it is still an item's.
    pub(crate) fn owner(&self, row: usize) -> Option<(u32, u32)> {
        let is_retired = !self.retired.is_empty() && self.retired.contains(&super::number(row));
        (!is_retired).then(|| (self.owners[row], self.passages[row]))
    }

    /// Returns the components of a row.
    pub(crate) fn row(&self, row: usize) -> &[i8] {
        let width = padded(self.dimension);
        &self.components[row * width..(row + 1) * width]
    }

    pub(crate) fn vector(&self, row: usize) -> StoredVector {
        StoredVector::from_row(self.model, self.dimension, self.row(row).into())
    }

    pub(crate) fn codes(&self) -> Option<&Codes> {
        self.codes.as_ref()
    }

    /// Returns how many rows in front have codes.
    pub(crate) fn coded(&self) -> usize {
        self.codes.as_ref().map_or(0, Codes::len)
    }

    /// Makes the codes of all rows, if there are many; no more may come.
    pub(crate) fn seal(&mut self) {
        self.codes = (self.len() >= LEAST_CODED).then(|| self.encoded(self.len()));
    }

    /// Makes codes once many rows have none; a few may go on having none.
    pub(crate) fn settle(&mut self) {
        if self.len() - self.coded() >= LEAST_CODED {
            self.codes = Some(self.encoded(self.len() / LEAST_CODED * LEAST_CODED));
        }
    }

    /// The codes of so many rows.
    fn encoded(&self, rows: usize) -> Codes {
        let width = padded(self.dimension);
        let components = &self.components[..rows * width];
        let inverse_norms = &self.inverse_norms[..rows];
        let centre = centre(width, components, inverse_norms);
        Codes::encode(components, inverse_norms, &centre)
    }

    /// Returns the rows whose items are in a set.
    pub(crate) fn rows_of(&self, items: &Bitmap) -> Bitmap {
        if self.aligned {
            let first = self.owners.first().map_or(0, |owner| *owner as usize);
            let mut rows = items.slice(first, self.len());
            self.retired
                .iter()
                .for_each(|row| rows.remove(*row as usize));
            return rows;
        }
        let mut rows = Bitmap::new(self.len(), false);
        for row in 0..self.len() {
            let is_in = |(item, _): (u32, u32)| items.contains(item as usize);
            if self.owner(row).is_some_and(is_in) {
                rows.insert(row);
            }
        }
        rows
    }

    /// Adds the vector of an item's passage.
    pub(crate) fn push(&mut self, owner: u32, passage: u32, vector: &StoredVector) {
        self.components.extend_from_slice(vector.values());
        self.inverse_norms.push(vector.inverse_norm());
        self.place(owner, passage);
    }

    fn place(&mut self, owner: u32, passage: u32) {
        let row = self.owners.len();
        let last = row
            .checked_sub(1)
            .map(|last| (self.owners[last], self.passages[last]));
        if self.sorted == row && last.is_none_or(|last| last < (owner, passage)) {
            self.sorted += 1;
        } else {
            self.unsorted.insert((owner, passage), super::number(row));
        }
        let first = self.owners.first().copied().unwrap_or(owner) as usize;
        self.aligned &= first.is_multiple_of(64) && owner as usize == first + row;
        self.owners.push(owner);
        self.passages.push(passage);
    }

    /// Retires the row of an item's passage, if there is one.
    pub(crate) fn retire(&mut self, owner: u32, passage: u32) {
        if let Some(row) = self.unsorted.remove(&(owner, passage)) {
            self.retired.insert(row);
        }
        let range = self.sorted_rows(owner);
        if let Ok(at) = self.passages[range.clone()].binary_search(&passage) {
            self.retired.insert(super::number(range.start + at));
        }
    }

    /// Returns a range that holds the items of all rows.
    pub(crate) fn owners(&self) -> Range<usize> {
        let sorted = &self.owners[..self.sorted];
        let unsorted = [
            self.unsorted.first_key_value(),
            self.unsorted.last_key_value(),
        ];
        let unsorted = unsorted.into_iter().flatten().map(|((owner, _), _)| owner);
        let some = sorted
            .first()
            .into_iter()
            .chain(sorted.last())
            .chain(unsorted);
        let least = some.clone().min();
        least
            .zip(some.max())
            .map_or(0..0, |(least, most)| *least as usize..*most as usize + 1)
    }

    /// Returns the rows of an item.
    pub(crate) fn rows(&self, owner: u32) -> impl Iterator<Item = usize> + '_ {
        let unsorted = self.unsorted.range((owner, 0)..=(owner, u32::MAX));
        self.sorted_rows(owner)
            .chain(unsorted.map(|(_, row)| *row as usize))
            .filter(|row| self.owner(*row).is_some())
    }

    fn sorted_rows(&self, owner: u32) -> Range<usize> {
        if self.aligned {
            let first = self.owners.first().map_or(0, |first| *first);
            let row = owner.wrapping_sub(first) as usize;
            return if row < self.len() { row..row + 1 } else { 0..0 };
        }
        let sorted = &self.owners[..self.sorted];
        let start = sorted.partition_point(|other| *other < owner);
        let count = sorted[start..].partition_point(|other| *other == owner);
        start..start + count
    }

    /// Gives every row another owner; rows without one are retired.
    pub(crate) fn reassign(&mut self, owner: impl Fn(u32) -> Option<u32>) {
        let before = std::mem::take(&mut self.owners);
        let passages = std::mem::take(&mut self.passages);
        self.owners.reserve_exact(before.len());
        self.passages.reserve_exact(before.len());
        self.sorted = 0;
        self.unsorted.clear();
        self.aligned = true;
        for (old, passage) in before.into_iter().zip(passages) {
            let new = owner(old);
            if new.is_none() {
                self.retired.insert(super::number(self.owners.len()));
            }
            // Under its old number it would stand where another row is looked for.
            self.place(new.unwrap_or(NOBODY), passage);
        }
    }

    /// Fills the rows of an owner with zeros.
    pub(crate) fn blank(&mut self, owner: u32) {
        let width = padded(self.dimension);
        let rows: Vec<usize> = self.rows(owner).collect();
        for row in rows {
            self.components[row * width..(row + 1) * width].fill(0);
            self.inverse_norms[row] = 0.0;
            self.retired.insert(super::number(row));
        }
        if self.codes.is_some() {
            self.seal();
        }
    }

    /// Puts the codes, if there are any.
    pub(super) fn put_codes(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.codes.as_ref().map_or(&[], Codes::as_bytes));
    }

    /// Reads what [`put_codes`](Self::put_codes) wrote; the components are to be brought.
    pub(super) fn read_codes(&mut self, reader: &mut Reader<'_>) -> Result<(), FormatError> {
        let bytes = reader.bytes()?;
        if !bytes.is_empty() {
            let codes = Codes::from_bytes(bytes.into())?;
            if (codes.len(), codes.width()) != (self.len(), padded(self.dimension)) {
                return Err(FormatError::Corrupt("codes are of other vectors"));
            }
            self.codes = Some(codes);
        } else if self.len() >= LEAST_CODED {
            return Err(FormatError::Corrupt("vectors have no codes"));
        }
        // Of the system's zeros, which take no memory before they are written over.
        self.components = vec![0; self.len() * padded(self.dimension)];
        self.pages = Pages::absent(self.page_count());
        Ok(())
    }

    /// Puts everything but the components.
    pub(super) fn put_head(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.model));
        put_varint(out, self.dimension as u64);
        put_column(out, &self.inverse_norms);
        put_column(out, &self.owners);
        put_column(out, &self.passages);
        let mut retired: Vec<u32> = self.retired.iter().copied().collect();
        retired.sort_unstable();
        put_column(out, &retired);
    }

    /// Reads what [`put_head`](Self::put_head) wrote, with owners below `owners`.
    pub(super) fn read(head: &mut Reader<'_>, owners: usize) -> Result<Self, FormatError> {
        let model = head.number()?;
        let dimension = head.number()? as usize;
        if dimension == 0 || dimension > MAX_DIMENSION {
            return Err(FormatError::Corrupt("a vector has an impossible dimension"));
        }
        let mut vectors = Self::new(model, dimension);
        vectors.inverse_norms = read_column(head)?;
        let count = vectors.inverse_norms.len();
        let of: Vec<u32> = read_column_of(head, count)?;
        let passages: Vec<u32> = read_column_of(head, count)?;
        if of.iter().any(|owner| *owner as usize >= owners) {
            return Err(FormatError::Corrupt("a vector is of an unknown item"));
        }
        vectors.retired = read_column(head)?.into_iter().collect();
        vectors.owners.reserve(count);
        vectors.passages.reserve(count);
        for (owner, passage) in of.into_iter().zip(passages) {
            vectors.place(owner, passage);
        }
        Ok(vectors)
    }

    /// How many rows share a page.
    fn rows_of_page(&self) -> usize {
        (PAGE_BYTES / padded(self.dimension)).max(1)
    }

    fn bytes_of_page(&self) -> usize {
        self.rows_of_page() * padded(self.dimension)
    }

    /// Returns the components, page by page, as bytes.
    pub(super) fn put_pages(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let pages = self.components.chunks(self.bytes_of_page());
        pages.map(|page| page.iter().map(|value| value.cast_unsigned()).collect())
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Returns how many pages the components have.
    pub(super) fn page_count(&self) -> usize {
        self.len().div_ceil(self.rows_of_page())
    }

    /// Takes a page of components.
    pub(super) fn bring(&mut self, page: usize, bytes: &[u8]) -> Result<(), FormatError> {
        let width = self.bytes_of_page();
        let place = self.components.chunks_mut(width).nth(page);
        let Some(place) = place.filter(|place| place.len() == bytes.len()) else {
            return Err(FormatError::Corrupt("components are of other vectors"));
        };
        if self.pages.arrive(page) {
            for (value, byte) in place.iter_mut().zip(bytes) {
                *value = byte.cast_signed();
            }
        }
        Ok(())
    }
}
