//! The same answers with every kernel.

use crate::segment::Segment;
use crate::vector::{Kernel, kernels};
use crate::{
    Answer, Attributes, Index, ItemRef, Kind, Mode, Query, QueryVector, Record, StoredVector,
    VectorKind, analyze, search,
};

/// More than are compared one by one.
const SEALED: i64 = 2_600;
const ITEMS: i64 = 2_700;
const DIMENSION: u64 = 100;

/// Components that look random, of a few directions that many share.
fn vector(seed: u64) -> Vec<f32> {
    let component = |seed: u64, at: u64| {
        let mixed = (seed * 1_000 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 48;
        f32::from(u16::try_from(mixed).unwrap()) / 32_768.0 - 1.0
    };
    (0..DIMENSION)
        .map(|at| component(seed % 40, at) + 0.4 * component(seed + 100, at))
        .collect()
}

fn text(seed: i64) -> String {
    format!("word{} of colour{} and number{seed}", seed % 50, seed % 11)
}

fn passage(id: i64) -> Record {
    let analysed = analyze::document_terms(&text(id));
    Record::Passage {
        item: ItemRef {
            kind: Kind::MEMORY,
            id,
        },
        n: 0,
        of: 1,
        attributes: Some(Attributes {
            uid: u128::try_from(id).unwrap().to_be_bytes(),
            labels: vec![format!("part:{}", id % 3)],
            ..Attributes::default()
        }),
        terms: analysed.terms,
        len: analysed.len,
        vector: Some(StoredVector::new(1, &vector(id.unsigned_abs())).unwrap()),
    }
}

/// Encodes, seals and searches with a kernel.
fn answers(kernel: &'static Kernel) -> Vec<Answer> {
    kernel.chosen(|| {
        let mut index = Index::new();
        let sealed = Segment::build(1, SEALED, (0..SEALED).map(passage)).unwrap();
        index.attach(sealed);
        for id in SEALED..ITEMS {
            index.apply(index.applied() + 1, passage(id));
        }
        (0..60).map(|at| search(&[&index], &question(at))).collect()
    })
}

fn question(at: i64) -> Query {
    let mut query = Query {
        text: text(at),
        vector: Some(QueryVector {
            model: 1,
            values: vector(9_000 + at.unsigned_abs()),
            kind: VectorKind::Model,
        }),
        mode: [Mode::Hybrid, Mode::Semantic, Mode::Keyword][usize::try_from(at % 3).unwrap()],
        limit: 20,
        exact: at % 5 == 0,
        explain: true,
        ..Query::default()
    };
    if at % 4 == 0 {
        query.filter.labels = vec![vec![format!("part:{}", at % 3)]];
    }
    query
}

#[test]
fn every_kernel_gives_the_same_answers() {
    let expected = answers(kernels().last().unwrap());
    assert!(expected.iter().all(|answer| answer.hits.len() == 20));
    for kernel in kernels() {
        let found = answers(kernel);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{}", kernel.name());
        }
    }
}
