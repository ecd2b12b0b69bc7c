//! The embedders that need no server.

use crate::Empty;
use athena_core::BuiltinEmbedder;
use athena_embed::{EmbedderConfig, LexicalEmbedder, build};

#[test]
fn one_is_always_there_and_has_no_model_beside_it() {
    let embedders = build(&EmbedderConfig::default()).unwrap();
    assert!(embedders.model.is_none());
    assert_eq!(embedders.builtin.model(), expected().model());
    assert_eq!(embedders.builtin.kind(), expected().kind());
}

#[cfg(feature = "semantic-table")]
fn expected() -> impl BuiltinEmbedder {
    athena_embed::TableEmbedder
}

#[cfg(not(feature = "semantic-table"))]
fn expected() -> impl BuiltinEmbedder {
    LexicalEmbedder
}

#[test]
fn the_lexical_one_is_near_the_passage_that_shares_its_words() {
    let passages = ["the deploy key expires in May", "lunch is at noon", "!?"];
    let vectors = passages.map(|passage| LexicalEmbedder.embed(passage));
    for vector in &vectors {
        assert_eq!(vector.len(), LexicalEmbedder.model().dim);
        assert!((product(vector, vector) - 1.0).abs() < 1e-6);
    }
    let query = LexicalEmbedder.embed_query("when does the deploy key expire", &Empty);
    let near = |at: usize| product(&vectors[at], &query);
    assert!(near(0) > near(1) + 0.2, "{} {}", near(0), near(1));
    assert_eq!(LexicalEmbedder.embed_query("?!", &Empty), [0.0; 768]);
}

/// The table's: near in meaning without a word in common.
#[cfg(feature = "semantic-table")]
mod table {
    use super::*;
    use athena_embed::TableEmbedder;
    use athena_embed::table::DIM;
    use proptest::prelude::*;

    fn likeness(query: &str, passage: &str) -> f64 {
        let query = TableEmbedder.embed_query(query, &Empty);
        product(&query, &TableEmbedder.embed(passage))
    }

    #[track_caller]
    fn nearer(query: &str, near: &str, far: &str) {
        let (near, far) = (likeness(query, near), likeness(query, far));
        assert!(near > far + 0.1, "{query}: {near} {far}");
    }

    #[test]
    fn it_knows_what_words_mean() {
        nearer("car", "automobile", "banana");
        nearer("physician", "we saw the doctor", "we saw the train");
        nearer("feline pets", "her two cats", "her two shares");
        nearer(
            "where are credentials kept",
            "passwords live in the vault",
            "lunch is served in the garden",
        );
        nearer(
            "getUserID",
            "the identifier of a user",
            "the colour of a tree",
        );
    }

    #[test]
    fn order_accents_case_and_stop_words_do_not_matter() {
        let vector = TableEmbedder.embed("a red apple on the café's table");
        assert_eq!(vector, TableEmbedder.embed("TABLE: Cafe, red! Apple"));
        assert!((product(&vector, &vector) - 1.0).abs() < 1e-6);
    }

    /// What the table does not know is left to the words.
    #[test]
    fn other_scripts_and_tokens_have_no_vector() {
        let nothing = [0.0; DIM];
        for text in [
            "",
            "?! 🙂",
            "the of and",
            "東京都に住んでいます",
            "Привет, мир",
            "שלום",
            "[email:0123456789abcdef]",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ] {
            assert_eq!(TableEmbedder.embed(text), nothing, "{text}");
        }
        let named = "[person:0123456789abcdef] likes tea";
        assert_eq!(TableEmbedder.embed(named), TableEmbedder.embed("likes tea"));
        assert_eq!(TableEmbedder.embed_query("?!", &Empty), nothing);
        // A question of nothing else has its stop words.
        assert_ne!(TableEmbedder.embed_query("who are you", &Empty), nothing);
    }

    proptest! {
        #[test]
        fn any_text_has_unit_length_or_none(text: String) {
            for vector in [TableEmbedder.embed(&text), TableEmbedder.embed_query(&text, &Empty)] {
                let length = product(&vector, &vector);
                prop_assert!(length == 0.0 || (length - 1.0).abs() < 1e-5, "{length}");
            }
        }
    }
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}
