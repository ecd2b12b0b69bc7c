//! Records and segments as bytes.

use athena_search::{
    Attributes, FormatError, ItemRef, Kind, Record, StoredVector, WHOLE, record, segment::Segment,
};
use proptest::prelude::*;

pub(crate) fn any_vector() -> impl Strategy<Value = StoredVector> {
    let dense = proptest::collection::vec(-9.0_f32..9.0, 1..40);
    let sparse = (100_usize..900, -9.0_f32..9.0).prop_map(|(dimension, value)| {
        let mut values = vec![0.0; dimension];
        values[dimension / 3] = value;
        values[dimension / 2] = 1.0;
        values
    });
    (any::<u32>(), prop_oneof![dense, sparse]).prop_filter_map("no direction", |(model, values)| {
        StoredVector::new(model, &values).ok()
    })
}

fn any_item() -> impl Strategy<Value = ItemRef> {
    (any::<u8>(), any::<i64>()).prop_map(|(kind, id)| ItemRef {
        kind: Kind(kind),
        id,
    })
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    let labels = proptest::collection::vec("[a-c]{0,3}:é?[a-z]{0,9}", 0..4);
    let standing = (any::<Option<i64>>(), 0..=Attributes::FULL_USEFULNESS);
    (
        any::<[u8; 16]>(),
        "[a-z]{0,9}",
        labels,
        any::<i64>(),
        standing,
    )
        .prop_map(
            |(uid, state, labels, time, (position, usefulness))| Attributes {
                uid,
                state,
                labels,
                time,
                position,
                usefulness,
            },
        )
}

fn any_record() -> impl Strategy<Value = Record> {
    let terms = proptest::collection::vec(("[a-d猫]{1,6}", any::<u32>()), 0..12);
    let passage = (
        any_item(),
        any::<(u32, u32, u32)>(),
        proptest::option::of(any_attributes()),
        terms,
        proptest::option::of(any_vector()),
    )
        .prop_map(
            |(item, (n, of, len), attributes, terms, vector)| Record::Passage {
                item,
                n,
                of,
                attributes,
                terms,
                len,
                vector,
            },
        );
    let vector = (
        any_item(),
        prop_oneof![any::<u32>(), Just(WHOLE)],
        any_vector(),
    )
        .prop_map(|(item, n, vector)| Record::Vector { item, n, vector });
    let attributes = (any_item(), any_attributes())
        .prop_map(|(item, attributes)| Record::Attributes { item, attributes });
    let remove = any_item().prop_map(|item| Record::Remove { item });
    prop_oneof![4 => passage, 1 => vector, 1 => attributes, 1 => remove]
}

proptest! {
    #[test]
    fn a_record_comes_back(record in any_record()) {
        prop_assert_eq!(record::decode(&record::encode(&record)), Ok(record));
    }

    #[test]
    fn damaged_records_are_errors_or_other_records(
        record in any_record(),
        at: prop::sample::Index,
        byte: u8,
        cut: prop::sample::Index,
    ) {
        let mut bytes = record::encode(&record);
        let end = cut.index(bytes.len());
        prop_assert!(record::decode(&bytes[..end]).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _any_outcome_without_a_panic = record::decode(&bytes);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let mut versioned = vec![2];
        versioned.extend_from_slice(&bytes);
        for bytes in [&bytes, &versioned] {
            if let Ok(record) = record::decode(bytes) {
                prop_assert_eq!(record::decode(&record::encode(&record)), Ok(record));
            }
        }
    }
}

#[test]
fn another_version_is_named() {
    let item = crate::builders::memory(1);
    let mut bytes = record::encode(&Record::Remove { item });
    bytes[0] = 9;
    let refused = FormatError::Version { found: 9, known: 2 };
    assert_eq!(record::decode(&bytes), Err(refused));
}

#[test]
fn a_usefulness_above_one_is_refused() {
    let attributes = Attributes {
        usefulness: Attributes::FULL_USEFULNESS + 1,
        ..Attributes::default()
    };
    let item = crate::builders::memory(1);
    let record = Record::Attributes { item, attributes };
    let refused = FormatError::Corrupt("a usefulness is above 1");
    assert_eq!(record::decode(&record::encode(&record)), Err(refused));
    let chunks = Segment::build(1, 1, [record]).unwrap().chunks();
    assert_eq!(Segment::from_chunks(1, 1, chunks).unwrap_err(), refused);
}

#[test]
fn a_vector_takes_a_byte_a_component() {
    let record = Record::Vector {
        item: crate::builders::memory(1),
        n: 0,
        vector: StoredVector::new(1, &[0.5; 768]).unwrap(),
    };
    assert!(record::encode(&record).len() < 768 + 16);
}
