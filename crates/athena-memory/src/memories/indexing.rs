//! From a memory to what the search log keeps of it.

use super::Memory;
use athena_core::{Code, Ctx, Error, MemoryId, ModelId, Result};
use athena_search::analyze::{DocumentTerms, document_terms, is_question};
use athena_search::passages::{indexed_text, passages};
use athena_search::vector::unit;
use athena_search::{Attributes, ItemRef, Kind, Record, StoredVector, VectorError, WHOLE};
use half::f16;
use std::ops::Range;

/// The state that search knows a forgotten memory by.
pub(in crate::memories) const FORGOTTEN: &str = "forgotten";
/// The model of vectors that callers bring themselves.
pub const CALLER_MODEL: &str = "caller";

/// The vector of one passage.
#[derive(Debug, Clone)]
pub(crate) struct PassageVector {
    /// The passage's number from 0, or [`WHOLE`].
    pub(super) n: u32,
    /// Bytes of the indexed text.
    pub(super) range: Range<usize>,
    /// The vector with its model, as it is indexed.
    pub(super) stored: StoredVector,
    /// The vector at unit length, as embeddings are kept.
    unit: Vec<f16>,
}

impl PassageVector {
    /// Prepares a vector of a model for storing and for the index, which gets what is stored: made
    /// anew from the rows, it is the same.
    pub(super) fn new(
        model: u32,
        n: u32,
        range: Range<usize>,
        values: &[f32],
    ) -> Result<Self, VectorError> {
        let unit: Vec<f16> = unit(values)?.into_iter().map(f16::from_f32).collect();
        let kept: Vec<f32> = unit.iter().map(|value| value.to_f32()).collect();
        Ok(Self {
            n,
            range,
            stored: StoredVector::new(model, &kept)?,
            unit,
        })
    }

    /// Returns the number as the row keeps it: -1 for the whole text.
    pub(super) fn row_number(&self) -> i64 {
        if self.n == WHOLE {
            -1
        } else {
            i64::from(self.n)
        }
    }

    /// Returns the vector's bytes, half-precision, little-endian.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.unit
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }
}

/// Says of vectors which memory they are of.
pub(super) fn of(
    id: MemoryId,
    vectors: &[PassageVector],
) -> impl Iterator<Item = (MemoryId, &PassageVector)> {
    vectors.iter().map(move |vector| (id, vector))
}

/// Returns the text of a memory as it is searched, with its speaker and caption.
pub(super) fn searched_text(memory: &Memory) -> String {
    indexed_text(
        memory.speaker.as_deref(),
        &memory.content,
        memory.caption.as_deref(),
    )
}

/// The text of a memory as it is searched, and its passages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedText {
    text: String,
    pub(super) ranges: Vec<Range<usize>>,
}

impl IndexedText {
    /// Splits the text of a memory, with its speaker and caption.
    pub(super) fn of(memory: &Memory) -> Self {
        Self::new(searched_text(memory))
    }

    /// Splits a text.
    pub(crate) fn new(text: String) -> Self {
        let ranges = passages(&text);
        Self { text, ranges }
    }

    /// Returns the passages' texts in order.
    pub(super) fn passages(&self) -> Vec<&str> {
        self.ranges
            .iter()
            .map(|range| &self.text[range.clone()])
            .collect()
    }

    /// Returns the range of the whole text.
    pub(super) fn whole(&self) -> Range<usize> {
        0..self.text.len()
    }

    /// Embeds the passages with the built-in embedder.
    pub(crate) fn embed_builtin(&self, ctx: &Ctx) -> Vec<Vec<f32>> {
        let passages = self.passages().into_iter();
        passages.map(|it| ctx.builtin().embed(it)).collect()
    }

    /// Pairs passages with their vectors; a vector without direction is left out.
    pub(crate) fn vectors(
        &self,
        model: ModelId,
        vectors: &[Vec<f32>],
    ) -> Result<Vec<PassageVector>> {
        let mut paired = Vec::with_capacity(vectors.len());
        for ((n, range), values) in (0..).zip(&self.ranges).zip(vectors) {
            match PassageVector::new(model_number(model)?, n, range.clone(), values) {
                Ok(vector) => paired.push(vector),
                Err(VectorError::Zero) => {}
                Err(error) => return Err(Error::internal(error)),
            }
        }
        Ok(paired)
    }

    /// Returns the words of the passages.
    pub(crate) fn terms(&self) -> Vec<DocumentTerms> {
        let passages = self.passages().into_iter();
        passages.map(document_terms).collect()
    }

    /// Returns the records that put an item of this text into the search log, given the passages'
    /// [words](Self::terms).
    pub(crate) fn records(
        &self,
        item: ItemRef,
        attributes: &Attributes,
        terms: Vec<DocumentTerms>,
        vectors: &[PassageVector],
    ) -> Vec<Record> {
        let of = u32::try_from(self.ranges.len()).unwrap_or(u32::MAX);
        let passages = (0..).zip(terms).map(|(n, analysed)| {
            let vector = vectors
                .iter()
                .find(|vector| vector.n == n)
                .map(|vector| vector.stored.clone());
            Record::Passage {
                item,
                n,
                of,
                attributes: (n == 0).then(|| attributes.clone()),
                terms: analysed.terms,
                len: analysed.len,
                vector,
            }
        });
        let whole = vectors
            .iter()
            .filter(|vector| vector.n == WHOLE)
            .map(|vector| Record::Vector {
                item,
                n: WHOLE,
                vector: vector.stored.clone(),
            });
        passages.chain(whole).collect()
    }
}

/// Checks a caller's own embedding and prepares it for storing.
pub(super) fn callers_vector(
    values: &[f32],
    wanted_dim: u32,
    model: ModelId,
    whole: Range<usize>,
) -> Result<PassageVector> {
    check_embedding(values, wanted_dim)?;
    PassageVector::new(model_number(model)?, WHOLE, whole, values).map_err(unusable)
}

fn unusable(error: VectorError) -> Error {
    let message = format!("`embedding` cannot be used: {error}");
    Error::new(Code::EmbeddingMismatch, message).with_field("embedding")
}

/// Checks that a caller's vector fits a project and has a direction.
pub(super) fn check_embedding(values: &[f32], wanted_dim: u32) -> Result<()> {
    if u32::try_from(values.len()).ok() != Some(wanted_dim) {
        let message = format!(
            "`embedding` has {} components, but this project's have {wanted_dim}; \
             send vectors of that width, or create a project with another `embedding_dim`",
            values.len()
        );
        return Err(Error::new(Code::EmbeddingMismatch, message).with_field("embedding"));
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let field = format!("embedding[{at}]");
        return Err(Error::invalid(&field, "must be a finite number"));
    }
    match values.iter().all(|value| *value == 0.0) {
        true => Err(unusable(VectorError::Zero)),
        false => Ok(()),
    }
}

/// Returns the number by which the search log knows a model.
pub(super) fn model_number(model: ModelId) -> Result<u32> {
    u32::try_from(model.0).map_err(Error::internal)
}

/// Returns what the search calls a memory.
pub(super) const fn item(id: MemoryId) -> ItemRef {
    ItemRef {
        kind: Kind::MEMORY,
        id: id.0,
    }
}

/// Returns what filters look at.
pub(super) fn attributes(memory: &Memory) -> Attributes {
    let mut labels = vec![
        label("type", memory.memory_type.as_str()),
        label("domain", &memory.domain),
    ];
    labels.extend(memory.tags.iter().map(|tag| label("tag", tag)));
    let optional = [
        ("session", &memory.session),
        ("speaker", &memory.speaker),
        ("role", &memory.role),
        ("agent", &memory.agent),
    ];
    labels.extend(
        optional
            .iter()
            .filter_map(|(name, value)| Some(label(name, value.as_deref()?))),
    );
    if memory.session.is_some() && is_question(&memory.content) {
        labels.push(label("said", "question"));
    }
    let state = if memory.forgotten_at.is_some() {
        FORGOTTEN
    } else {
        memory.state.as_str()
    };
    Attributes {
        uid: *memory.uid.as_bytes(),
        state: state.to_owned(),
        labels,
        time: memory
            .occurred_at
            .unwrap_or(memory.created_at)
            .as_microsecond(),
        position: memory.position,
        usefulness: thousandths(memory.usefulness),
    }
}

/// Returns a share of [0, 1] in thousandths.
fn thousandths(share: f64) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to [0, 1000]; not a number becomes 0"
    )]
    let thousandths =
        (share.clamp(0.0, 1.0) * f64::from(Attributes::FULL_USEFULNESS)).round() as u16;
    thousandths
}

/// Returns a label that filters can ask for.
pub(crate) fn label(name: &str, value: &str) -> String {
    format!("{name}:{value}")
}

/// Returns the record that tells search of a change of state.
pub(super) fn attributes_record(memory: &Memory) -> Record {
    Record::Attributes {
        item: item(memory.id),
        attributes: attributes(memory),
    }
}

/// Reads half-precision floats back from their bytes.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| f16::from_le_bytes(*pair).to_f32())
        .collect()
}
