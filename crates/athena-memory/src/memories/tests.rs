//! What needs no store: states, identity, quality, indexed text.

use super::indexing::{self, IndexedText, check_embedding};
use super::ops::{check_content, identity};
use super::{ConsolidationState as State, MAX_CONTENT_BYTES, MemoryType, quality};
use athena_core::Code;

const ALL: [State; 6] = [
    State::Unconsolidated,
    State::Consolidating,
    State::Consolidated,
    State::Labile,
    State::Reconsolidating,
    State::Superseded,
];

#[test]
fn only_these_changes_of_state_are_allowed() {
    let allowed: Vec<String> = ALL
        .iter()
        .flat_map(|from| ALL.iter().map(move |to| (from, to)))
        .filter(|(from, to)| from != to && from.may_become(**to))
        .map(|(from, to)| format!("{} -> {}", from.as_str(), to.as_str()))
        .collect();
    assert_eq!(
        allowed,
        [
            "unconsolidated -> consolidating",
            "unconsolidated -> labile",
            "consolidating -> consolidated",
            "consolidating -> labile",
            "consolidated -> labile",
            "labile -> consolidated",
            "labile -> reconsolidating",
            "reconsolidating -> consolidated",
            "reconsolidating -> labile",
        ]
    );
    assert!(
        !State::Superseded.may_become(State::Superseded),
        "superseded is the end"
    );
}

#[test]
fn parts_of_an_identity_do_not_run_into_each_other() {
    let of =
        |content, session, speaker| identity(MemoryType::Fact, content, session, speaker, None);
    assert_ne!(of("ab", Some("c"), None), of("a", Some("bc"), None));
    assert_ne!(of("a", None, Some("b")), of("a", Some("b"), None));
    assert_ne!(of("a", Some(""), None), of("a", None, None));
    assert_eq!(of("a", Some("s"), Some("x")), of("a", Some("s"), Some("x")));
}

#[test]
fn quality_is_the_formula_of_the_founding_document() {
    assert!((quality(0.0, 1.0, 0) - 0.3).abs() < 1e-12);
    assert!((quality(1.0, 1.0, 100) - 1.0).abs() < 1e-12);
    assert!((quality(1.0, 1.0, i64::MAX) - 1.0).abs() < 1e-12);
    assert!((quality(0.5, 0.5, 50) - 0.5).abs() < 1e-12);
}

#[test]
fn content_is_neither_blank_nor_too_large() {
    assert!(check_content(&"x".repeat(MAX_CONTENT_BYTES)).is_ok());
    let error = check_content(&"x".repeat(MAX_CONTENT_BYTES + 1)).unwrap_err();
    assert_eq!(error.code(), Code::ContentTooLarge);
    assert_eq!(
        check_content("\u{a0}\n").unwrap_err().code(),
        Code::InvalidInput
    );
}

#[test]
fn a_vector_fits_the_project() {
    assert!(check_embedding(&[0.0, 0.0, 0.1], 3).is_ok());
    let error = check_embedding(&[0.0; 3], 3).unwrap_err();
    assert_eq!(error.code(), Code::EmbeddingMismatch);
    assert_eq!(error.field(), Some("embedding"));
    assert_eq!(
        check_embedding(&[0.0; 4], 3).unwrap_err().code(),
        Code::EmbeddingMismatch
    );
    let error = check_embedding(&[0.0, f32::INFINITY, 0.0], 3).unwrap_err();
    assert_eq!(error.field(), Some("embedding[1]"));
}

#[test]
fn long_texts_are_searched_by_passage() {
    let memory = super::Memory {
        content: "word ".repeat(400),
        speaker: Some("Ada".into()),
        ..example()
    };
    let text = IndexedText::of(&memory);
    assert_eq!(text.passages().len(), 5);
    assert!(text.passages()[0].starts_with("Ada: word"));
    assert_eq!(
        text.records(
            indexing::item(memory.id),
            &indexing::attributes(&memory),
            text.terms(),
            &[]
        )
        .len(),
        5
    );
}

fn example() -> super::Memory {
    let value = serde_json::json!({
        "id": 1, "project_id": 1, "uid": "01900000-0000-7000-8000-000000000001",
        "lineage": "01900000-0000-7000-8000-000000000001", "version": 1, "content": "x",
        "content_type": "text", "type": "fact", "domain": "memory", "trust": 1.0, "confidence": 1.0,
        "usefulness": 0.0, "quality": 0.3, "access_count": 0, "state": "unconsolidated",
        "principal": "test", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(value).unwrap()
}
