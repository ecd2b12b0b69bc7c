//! Short ways to say what a test is about.

use athena_search::analyze::document_terms;
use athena_search::passages::passages;
use athena_search::{
    Answer, Attributes, Index, ItemRef, Kind, Query, QueryVector, Record, StoredVector, VectorKind,
    search,
};

pub(crate) fn memory(id: i64) -> ItemRef {
    ItemRef {
        kind: Kind::MEMORY,
        id,
    }
}

pub(crate) fn uid(id: i64) -> [u8; 16] {
    let mut uid = [7; 16];
    uid[8..].copy_from_slice(&id.to_be_bytes());
    uid
}

pub(crate) struct Item {
    id: i64,
    text: String,
    state: String,
    labels: Vec<String>,
    time: i64,
    position: Option<i64>,
    usefulness: u16,
    vector: Option<Vec<f32>>,
}

pub(crate) fn item(id: i64, text: &str) -> Item {
    Item {
        id,
        text: text.to_owned(),
        state: "active".to_owned(),
        labels: Vec::new(),
        time: 0,
        position: None,
        usefulness: 0,
        vector: None,
    }
}

impl Item {
    pub(crate) fn state(mut self, state: &str) -> Self {
        self.state = state.to_owned();
        self
    }

    pub(crate) fn label(mut self, label: &str) -> Self {
        self.labels.push(label.to_owned());
        self
    }

    pub(crate) fn time(mut self, time: i64) -> Self {
        self.time = time;
        self
    }

    pub(crate) fn position(mut self, position: i64) -> Self {
        self.position = Some(position);
        self
    }

    pub(crate) fn unplaced(mut self) -> Self {
        self.position = None;
        self
    }

    pub(crate) fn usefulness(mut self, usefulness: u16) -> Self {
        self.usefulness = usefulness;
        self
    }

    /// The same vector for every passage.
    pub(crate) fn vector(mut self, values: &[f32]) -> Self {
        self.vector = Some(values.to_vec());
        self
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let ranges = passages(&self.text);
        let of = u32::try_from(ranges.len()).unwrap();
        let passage = |(n, range): (u32, std::ops::Range<usize>)| {
            let terms = document_terms(&self.text[range]);
            Record::Passage {
                item: memory(self.id),
                n,
                of,
                attributes: (n == 0).then(|| Attributes {
                    uid: uid(self.id),
                    state: self.state.clone(),
                    labels: self.labels.clone(),
                    time: self.time,
                    position: self.position,
                    usefulness: self.usefulness,
                }),
                terms: terms.terms,
                len: terms.len,
                vector: self.vector.as_ref().map(|it| vector(it)),
            }
        };
        (0..).zip(ranges).map(passage).collect()
    }
}

pub(crate) fn vector(values: &[f32]) -> StoredVector {
    StoredVector::new(1, values).unwrap()
}

pub(crate) fn index(items: &[Item]) -> Index {
    let mut index = Index::new();
    for item in items {
        apply(&mut index, item.records());
    }
    index
}

pub(crate) fn apply(index: &mut Index, records: Vec<Record>) {
    for record in records {
        index.apply(index.applied() + 1, record);
    }
}

pub(crate) fn query(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        limit: 10,
        ..Query::default()
    }
}

pub(crate) fn lexical(values: &[f32]) -> Option<QueryVector> {
    Some(QueryVector {
        model: 1,
        values: values.to_vec(),
        kind: VectorKind::Words,
    })
}

pub(crate) fn model(values: &[f32]) -> Option<QueryVector> {
    Some(QueryVector {
        model: 1,
        values: values.to_vec(),
        kind: VectorKind::Model,
    })
}

pub(crate) fn ids(answer: &Answer) -> Vec<i64> {
    answer.hits.iter().map(|hit| hit.item.id).collect()
}

pub(crate) fn found(index: &Index, text: &str) -> Vec<i64> {
    ids(&search(&[index], &query(text)))
}

/// A number in units of 1e-7.
pub(crate) fn units(value: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a score is a few units of 1"
    )]
    let units = (value * 1e7).round() as i64;
    units
}
