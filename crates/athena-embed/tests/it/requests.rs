//! What is sent: routes, shapes, keys, prefixes, batches.

use crate::server::{Reply, Server, raw_vector};
use crate::{config, model, ollama};
use athena_core::EmbeddingModel;
use athena_embed::{EmbedderConfig, Provider, Secret};
use serde_json::json;

/// Embeds two passages and a query, and compares what the server was asked for the passages.
async fn check(provider: Provider, path: &str, extra: serde_json::Value, name: &str) {
    let server = Server::always(Reply::Embed).await;
    let embedder = model(&config(provider, &server)).unwrap();

    let vectors = embedder.embed(&["one", "two"]).await.unwrap();
    assert_eq!(vectors, ["one", "two"].map(unit_vector));
    let query = embedder.embed_query("two").await.unwrap();
    assert_eq!(query, unit_vector("two"));
    let model = embedder.model().await.unwrap();
    assert_eq!(
        model,
        EmbeddingModel {
            name: name.into(),
            dim: 3
        }
    );

    let asked = server.asked();
    assert_eq!(asked.len(), 2, "the width is known from the first answer");
    let mut expected = json!({"model": "test-model", "input": ["one", "two"]});
    expected
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    assert_eq!(asked[0].body, expected);
    assert_eq!(asked[0].path, path);
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[1].input(), ["two"]);
}

fn unit_vector(text: &str) -> Vec<f32> {
    let raw = raw_vector(text, 3);
    let length = raw
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "the embedder answers f32")]
    raw.iter()
        .map(|&value| (f64::from(value) / length) as f32)
        .collect()
}

#[tokio::test]
async fn ollama_is_asked_by_api_embed() {
    let extra = json!({"truncate": true});
    check(Provider::Ollama, "/api/embed", extra, "ollama/test-model").await;
}

#[tokio::test]
async fn llama_cpp_is_asked_by_v1_embeddings() {
    let extra = json!({"encoding_format": "float"});
    check(
        Provider::LlamaCpp,
        "/v1/embeddings",
        extra,
        "llamacpp/test-model",
    )
    .await;
}

#[tokio::test]
async fn openai_is_asked_by_v1_embeddings() {
    let extra = json!({"encoding_format": "float"});
    check(
        Provider::OpenAi,
        "/v1/embeddings",
        extra,
        "openai/test-model",
    )
    .await;
}

#[tokio::test]
async fn the_key_is_a_bearer_token() {
    let server = Server::always(Reply::Embed).await;
    let api_key = Some(Secret::new("the-key\n"));
    let embedder = model(&EmbedderConfig {
        api_key,
        ..config(Provider::OpenAi, &server)
    })
    .unwrap();
    embedder.embed(&["x"]).await.unwrap();
    assert_eq!(
        server.asked()[0].header("authorization"),
        Some("Bearer the-key")
    );
}

#[tokio::test]
async fn a_login_in_the_url_is_sent_as_basic_authentication() {
    let server = Server::always(Reply::Embed).await;
    let url = Some(format!(
        "http://user:pass@{}/base/v1?version=2",
        server.address()
    ));
    let embedder = model(&EmbedderConfig {
        url,
        ..config(Provider::OpenAi, &server)
    })
    .unwrap();
    embedder.embed(&["x"]).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].header("authorization"), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(asked[0].path, "/base/v1/embeddings?version=2");
}

#[tokio::test]
async fn prefixes_tell_queries_from_passages() {
    let server = Server::always(Reply::Embed).await;
    let embedder = model(&EmbedderConfig {
        query_prefix: "query: ".into(),
        document_prefix: "passage: ".into(),
        ..config(Provider::LlamaCpp, &server)
    })
    .unwrap();
    embedder.embed(&["text"]).await.unwrap();
    embedder.embed_query("text").await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].input(), ["passage: text"]);
    assert_eq!(asked[1].input(), ["query: text"]);
}

#[tokio::test]
async fn dimensions_are_asked_of_those_who_can_shorten() {
    for (provider, sent) in [
        (Provider::Ollama, true),
        (Provider::OpenAi, true),
        (Provider::LlamaCpp, false),
    ] {
        let server = Server::always(Reply::EmbedWide(5)).await;
        let dimensions = Some(5);
        let embedder = model(&EmbedderConfig {
            dimensions,
            ..config(provider, &server)
        })
        .unwrap();
        assert_eq!(embedder.model().await.unwrap().dim, 5);
        assert_eq!(server.requests(), 0, "a known width is not asked for");
        embedder.embed(&["x"]).await.unwrap();
        assert_eq!(
            server.asked()[0].body.get("dimensions").is_some(),
            sent,
            "{provider}"
        );
    }
}

#[tokio::test]
async fn passages_go_out_in_batches_and_come_back_in_order() {
    let server = Server::always(Reply::Embed).await;
    let embedder = model(&EmbedderConfig {
        batch: 3,
        batch_chars: 10,
        ..config(Provider::Ollama, &server)
    })
    .unwrap();
    let texts = [
        "a",
        "b",
        "c",
        "d",
        "a passage longer than that",
        "e",
        "fffffffff",
        "g",
    ];
    let vectors = embedder.embed(&texts).await.unwrap();
    assert_eq!(vectors, texts.map(unit_vector));
    let asked = server.asked();
    let inputs: Vec<_> = asked.iter().map(|asked| asked.input()).collect();
    let expected: [&[&str]; 4] = [
        &["a", "b", "c"],
        &["d"],
        &["a passage longer than that"],
        &["e", "fffffffff"],
    ];
    assert_eq!(inputs[..4], expected);
    assert_eq!(inputs[4..], [["g"]]);
}

#[tokio::test]
async fn nothing_is_sent_for_no_passages() {
    let server = Server::script([]).await;
    assert!(ollama(&server).embed(&[]).await.unwrap().is_empty());
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn white_space_is_not_sent() {
    let server = Server::always(Reply::Embed).await;
    let embedder = ollama(&server);
    let vectors = embedder.embed(&["", "one", " \n", "two"]).await.unwrap();
    let silent = vec![1.0, 0.0, 0.0];
    assert_eq!(
        vectors,
        [
            silent.clone(),
            unit_vector("one"),
            silent.clone(),
            unit_vector("two")
        ]
    );
    assert_eq!(server.asked()[0].input(), ["one", "two"]);
    assert_eq!(embedder.embed_query(" ").await.unwrap(), [0.0; 3]);
    assert_eq!(embedder.embed(&[" "]).await.unwrap(), [silent]);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn the_width_is_asked_for_once_however_many_wait() {
    let server = Server::always(Reply::EmbedWide(7)).await;
    let embedder = ollama(&server);
    let models = futures_util::future::join_all((0..8).map(|_| embedder.model())).await;
    assert!(models.into_iter().all(|model| model.unwrap().dim == 7));
    assert_eq!(server.requests(), 1);
    assert_eq!(server.asked()[0].input(), ["athena"]);
}

#[tokio::test]
async fn those_who_wait_for_the_width_share_the_failure() {
    let server = Server::script([Reply::Status(404), Reply::Embed]).await;
    let embedder = ollama(&server);
    let models = futures_util::future::join_all((0..8).map(|_| embedder.model())).await;
    assert!(models.into_iter().all(|model| model.is_err()));
    assert_eq!(server.requests(), 1);
    assert_eq!(
        embedder.model().await.unwrap().dim,
        3,
        "the next one asks again"
    );
}
