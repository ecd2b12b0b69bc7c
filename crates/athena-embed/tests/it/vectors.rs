//! Answers that are no vectors, or not the right ones.

use crate::server::{Reply, Server};
use crate::{config, embed_one, model, ollama};
use athena_core::Code;
use athena_embed::{EmbedderConfig, Provider};
use serde_json::{Value, json};

/// Asks for the vectors of two passages and expects a refusal at the first attempt.
async fn check_refused(provider: Provider, reply: Reply, code: Code, says: &str) {
    let server = Server::always(reply).await;
    let embedder = model(&config(provider, &server)).unwrap();
    let error = embedder
        .embed(&["canary one", "canary two"])
        .await
        .unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(
        error.message().contains(says),
        "`{says}` is not in: {error}"
    );
    assert!(
        error
            .message()
            .contains(&format!("{provider} at `{}`", server.url())),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    assert_eq!(server.requests(), 1, "asking again would not help");
}

async fn check_mismatch(provider: Provider, answer: Value, says: &str) {
    check_refused(provider, Reply::Json(answer), Code::EmbeddingMismatch, says).await;
}

#[tokio::test]
async fn as_many_vectors_as_passages() {
    let says = "`1` vectors for `2` passages";
    check_mismatch(Provider::Ollama, json!({"embeddings": [[1, 2]]}), says).await;
    let data = json!({"data": [{"index": 0, "embedding": [1, 2]}]});
    check_mismatch(Provider::OpenAi, data, says).await;
    let says = "`3` vectors for `2` passages";
    check_mismatch(
        Provider::Ollama,
        json!({"embeddings": [[1], [1], [1]]}),
        says,
    )
    .await;
    check_mismatch(Provider::Ollama, json!({"embeddings": []}), "`0` vectors").await;
}

#[tokio::test]
async fn vectors_belong_to_the_passage_of_their_number() {
    let answer = json!({"data": [
        {"index": 1, "embedding": [0, 5]},
        {"index": 0, "embedding": [5, 0]},
    ]});
    let server = Server::always(Reply::Json(answer)).await;
    let embedder = model(&config(Provider::LlamaCpp, &server)).unwrap();
    let vectors = embedder.embed(&["one", "two"]).await.unwrap();
    assert_eq!(vectors, [[1.0, 0.0], [0.0, 1.0]]);

    let twice = json!({"data": [{"index": 1, "embedding": [1]}, {"index": 1, "embedding": [2]}]});
    check_mismatch(Provider::OpenAi, twice, "do not match the passages").await;
}

#[tokio::test]
async fn all_vectors_are_of_one_width() {
    let answer = json!({"embeddings": [[1, 2], [1, 2, 3]]});
    check_mismatch(Provider::Ollama, answer, "of `2` and of `3` components").await;
    check_mismatch(
        Provider::Ollama,
        json!({"embeddings": [[], []]}),
        "an empty vector",
    )
    .await;
}

#[tokio::test]
async fn the_width_of_a_model_does_not_change() {
    let server = Server::script([Reply::EmbedWide(3), Reply::EmbedWide(4)]).await;
    let embedder = ollama(&server);
    embed_one(&*embedder).await.unwrap();
    let error = embed_one(&*embedder).await.unwrap_err();
    assert_eq!(error.code(), Code::EmbeddingMismatch);
    let says = "vectors of `4` components where the model `test-model` has `3`";
    assert!(error.message().contains(says), "{error}");
    assert_eq!(embedder.model().await.unwrap().dim, 3);
}

#[tokio::test]
async fn the_width_is_the_one_that_was_asked_for() {
    let server = Server::always(Reply::EmbedWide(8)).await;
    let dimensions = Some(4);
    let config = EmbedderConfig {
        dimensions,
        ..config(Provider::OpenAi, &server)
    };
    let error = embed_one(&*model(&config).unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::EmbeddingMismatch);
    assert!(
        error.message().contains("correct `embedder.dimensions`"),
        "{error}"
    );
}

#[tokio::test]
async fn components_are_finite_numbers() {
    let answer = json!({"embeddings": [[1, 2], [1, null]]});
    check_mismatch(
        Provider::Ollama,
        answer,
        "component `1` is not a finite number",
    )
    .await;
    let answer = json!({"data": [
        {"index": 0, "embedding": [1e300, 1]},
        {"index": 1, "embedding": [1, 1]},
    ]});
    check_mismatch(
        Provider::OpenAi,
        answer,
        "component `0` is not a finite number",
    )
    .await;
    let answer = json!({"embeddings": [[0, 0], [1, 1]]});
    check_mismatch(Provider::Ollama, answer, "a vector of zeros").await;
}

#[tokio::test]
async fn answers_that_are_no_embeddings() {
    for text in [
        r#"{"embeddings": [[NaN, 1], [1, 1]]}"#,
        r#"{"embeddings": [[1, 2], [3"#,
        r#"{"embeddings": [["canary"], ["canary"]]}"#,
        r#"{"error": "canary"}"#,
        r#"{"data": [{"index": -1, "embedding": [1]}]}"#,
        "<html>canary</html>",
        "",
    ] {
        let says = "something other than embeddings";
        check_refused(Provider::Ollama, Reply::Text(text), Code::Unavailable, says).await;
        check_refused(Provider::OpenAi, Reply::Text(text), Code::Unavailable, says).await;
    }
}
