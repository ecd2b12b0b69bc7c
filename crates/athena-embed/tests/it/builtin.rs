//! The embedder that needs no server.

use crate::Empty;
use athena_embed::{EmbedderConfig, build, lexical};

#[tokio::test]
async fn it_is_the_default_and_always_there() {
    let embedder = build(&EmbedderConfig::default()).unwrap();
    assert!(embedder.is_inline() && embedder.is_lexical());
    let model = embedder.model().await.unwrap();
    assert_eq!((model.name.as_str(), model.dim), ("athena-lexical-v1", 768));

    let texts = ["The deploy key expires in May", "", "!?"];
    let vectors = embedder.embed(&texts).await.unwrap();
    assert_eq!(vectors, texts.map(lexical::document_vector));
    for vector in &vectors {
        assert_eq!(vector.len(), 768);
        assert!((length(vector) - 1.0).abs() < 1e-6);
    }
    assert!(embedder.embed(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_query_is_near_the_passage_that_shares_its_words() {
    let embedder = build(&EmbedderConfig::default()).unwrap();
    let passages = ["the deploy key expires in May", "lunch is at noon"];
    let vectors = embedder.embed(&passages).await.unwrap();
    let query = embedder
        .embed_query("when does the deploy key expire", &Empty)
        .await
        .unwrap();
    let near = |at: usize| {
        vectors[at]
            .iter()
            .zip(&query)
            .map(|(a, b)| a * b)
            .sum::<f32>()
    };
    assert!(near(0) > near(1) + 0.2, "{} {}", near(0), near(1));

    let nothing = embedder.embed_query("?!", &Empty).await.unwrap();
    assert_eq!(nothing, vec![0.0; 768]);
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}
