//! Servers that are down, slow, overloaded, or cut the connection.

use crate::server::{Reply, Server};
use crate::{config, embed_one, model, ollama};
use athena_core::{Code, Embedder, Error};
use athena_embed::{EmbedderConfig, Provider};
use std::time::Duration;
use tokio::net::TcpListener;

/// A timeout that a server which never answers is sure to miss.
const SHORT: Duration = Duration::from_millis(50);

#[track_caller]
fn check(error: &Error, code: Code, says: &[&str]) {
    assert_eq!(error.code(), code, "{error}");
    for part in says {
        assert!(
            error.message().contains(part),
            "`{part}` is not in: {error}"
        );
    }
}

/// Runs a script that ends in success, and checks that all of it was needed.
async fn check_recovers(script: impl IntoIterator<Item = Reply>) {
    let script: Vec<Reply> = script.into_iter().collect();
    let length = script.len();
    let server = Server::script(script).await;
    assert_eq!(embed_one(&*ollama(&server)).await.unwrap().len(), 1);
    let asked = server.asked();
    assert_eq!(asked.len(), length);
    assert!(
        asked.iter().all(|again| again.body == asked[0].body),
        "each attempt asks the same"
    );
}

/// Embeds against a server that always answers alike, and counts the attempts.
async fn check_fails(reply: Reply, attempts: usize, code: Code, says: &[&str]) {
    let server = Server::always(reply).await;
    let error = embed_one(&*ollama(&server)).await.unwrap_err();
    check(&error, code, says);
    check(&error, code, &[&format!("ollama at `{}`", server.url())]);
    assert_eq!(server.requests(), attempts);
}

#[tokio::test]
async fn overload_and_server_errors_are_waited_out() {
    check_recovers([Reply::StatusRetryAfter(429, "0"), Reply::Embed]).await;
    check_recovers([
        Reply::StatusRetryAfter(503, "Sun, 06 Nov 1994 08:49:37 GMT"),
        Reply::Embed,
    ])
    .await;
    check_recovers([Reply::Status(500), Reply::Status(500), Reply::Embed]).await;
    check_recovers([
        Reply::Status(429),
        Reply::Status(502),
        Reply::Status(504),
        Reply::Embed,
    ])
    .await;
}

#[tokio::test]
async fn cut_connections_are_made_again() {
    check_recovers([Reply::HalfThenCut, Reply::HalfThenCut, Reply::Embed]).await;
}

#[tokio::test]
async fn attempts_are_limited() {
    let unavailable = Code::Unavailable;
    let says = [
        "status 500 (Internal Server Error)",
        "(4 attempts)",
        "see its log",
    ];
    check_fails(Reply::Status(500), 4, unavailable, &says).await;
    check_fails(
        Reply::Status(429),
        4,
        unavailable,
        &["status 429", "lower the load"],
    )
    .await;
    check_fails(
        Reply::Status(503),
        4,
        unavailable,
        &["status 503", "loading its model"],
    )
    .await;
    check_fails(
        Reply::HalfThenCut,
        4,
        unavailable,
        &["broke the connection off"],
    )
    .await;
}

#[tokio::test]
async fn retries_can_be_switched_off() {
    let server = Server::always(Reply::Status(500)).await;
    let config = EmbedderConfig {
        retries: 0,
        ..config(Provider::Ollama, &server)
    };
    let error = embed_one(&*model(&config).unwrap()).await.unwrap_err();
    check(&error, Code::Unavailable, &["status 500"]);
    assert!(!error.message().contains("attempts"), "{error}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    let unavailable = Code::Unavailable;
    check_fails(
        Reply::Status(401),
        1,
        unavailable,
        &["status 401", "`embedder.api_key`"],
    )
    .await;
    check_fails(
        Reply::Status(403),
        1,
        unavailable,
        &["status 403", "`embedder.api_key`"],
    )
    .await;
    check_fails(
        Reply::Status(404),
        1,
        unavailable,
        &["status 404", "`ollama pull`"],
    )
    .await;
    check_fails(
        Reply::Status(400),
        1,
        Code::Unsupported,
        &["status 400", "longer than"],
    )
    .await;
    check_fails(Reply::Status(413), 1, Code::Unsupported, &["status 413"]).await;
    check_fails(Reply::Status(418), 1, unavailable, &["status 418"]).await;
    check_fails(Reply::Status(501), 1, unavailable, &["status 501"]).await;
    check_fails(
        Reply::Status(204),
        1,
        unavailable,
        &["something other than embeddings"],
    )
    .await;
}

#[tokio::test]
async fn llama_cpp_without_embeddings_says_how_to_start_it() {
    let server = Server::always(Reply::Status(501)).await;
    let error = embed_one(&*model(&config(Provider::LlamaCpp, &server)).unwrap())
        .await
        .unwrap_err();
    check(
        &error,
        Code::Unavailable,
        &["llamacpp at", "`--embeddings`"],
    );
}

#[tokio::test]
async fn a_long_wait_is_not_begun() {
    let server = Server::always(Reply::StatusRetryAfter(429, "3600")).await;
    let error = embed_one(&*ollama(&server)).await.unwrap_err();
    check(
        &error,
        Code::Unavailable,
        &["status 429", "asking to wait 3600 s"],
    );
    assert_eq!(server.requests(), 1, "it would end after the deadline");
}

#[tokio::test]
async fn retry_after_counts_only_where_it_is_meant() {
    // On a 500 the header is noise; waiting an hour for it would end the attempts.
    check_recovers([Reply::StatusRetryAfter(500, "3600"), Reply::Embed]).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Server::always(Reply::Embed).await;
    let server = Server::always(Reply::Redirect(format!("{}/api/embed", target.url()))).await;
    let error = embed_one(&*ollama(&server)).await.unwrap_err();
    check(
        &error,
        Code::Unavailable,
        &["status 307", "where it redirects"],
    );
    assert_eq!(target.requests(), 0);
}

#[tokio::test]
async fn silence_times_out() {
    for reply in [Reply::Silence, Reply::HalfThenSilence] {
        let server = Server::always(reply).await;
        let config = EmbedderConfig {
            timeout: SHORT,
            retries: 1,
            ..config(Provider::Ollama, &server)
        };
        let error = embed_one(&*model(&config).unwrap()).await.unwrap_err();
        let says = [
            "did not answer within 0.05 s",
            "(2 attempts)",
            "`embedder.timeout_seconds`",
        ];
        check(&error, Code::Timeout, &says);
    }
}

#[tokio::test]
async fn the_deadline_ends_all_attempts() {
    let server = Server::always(Reply::Silence).await;
    let config = EmbedderConfig {
        deadline: SHORT,
        ..config(Provider::Ollama, &server)
    };
    let embedder = model(&config).unwrap();
    let error = embed_one(&*embedder).await.unwrap_err();
    check(&error, Code::Timeout, &["did not answer"]);
    assert!(
        !error.message().contains("attempts"),
        "nothing is left for a second one: {error}"
    );
}

#[tokio::test]
async fn queries_have_a_deadline_of_their_own() {
    let server = Server::always(Reply::Silence).await;
    let config = EmbedderConfig {
        query_timeout: SHORT,
        ..config(Provider::Ollama, &server)
    };
    let embedder = model(&config).unwrap();
    let error = embedder.embed_query("when").await.unwrap_err();
    check(&error, Code::Timeout, &["did not answer within"]);
    check(
        &embedder.model().await.unwrap_err(),
        Code::Timeout,
        &["did not answer within"],
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let server = Server::script([]).await;
    let config = EmbedderConfig {
        url: Some(url.clone()),
        ..config(Provider::OpenAi, &server)
    };
    let embedder = model(&config).unwrap();
    let says = |attempts: u32| format!("openai at `{url}` cannot be reached ({attempts} attempts)");
    let error = embed_one(&*embedder).await.unwrap_err();
    check(&error, Code::Unavailable, &[&says(4), "`embedder.url`"]);
    let error = embedder.embed_query("x").await.unwrap_err();
    check(&error, Code::Unavailable, &[&says(2), "`embedder.url`"]);
    let error = embedder.model().await.unwrap_err();
    check(&error, Code::Unavailable, &[&says(2), "`embedder.url`"]);
}

#[tokio::test]
async fn answers_without_end_are_not_read() {
    for reply in [Reply::Endless, Reply::Announces(1 << 40)] {
        let server = Server::always(reply).await;
        let config = EmbedderConfig {
            max_response_bytes: 50_000,
            ..config(Provider::Ollama, &server)
        };
        let error = embed_one(&*model(&config).unwrap()).await.unwrap_err();
        check(
            &error,
            Code::Unavailable,
            &["more than 50000 bytes", "`embedder.batch`"],
        );
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn an_answer_may_fill_the_limit() {
    let body = r#"{"embeddings": [[1, 0]]}"#;
    for (limit, fits) in [(body.len(), true), (body.len() - 1, false)] {
        let server = Server::always(Reply::Text(body)).await;
        let config = EmbedderConfig {
            max_response_bytes: limit,
            ..config(Provider::Ollama, &server)
        };
        assert_eq!(embed_one(&*model(&config).unwrap()).await.is_ok(), fits);
    }
}

#[tokio::test]
async fn a_failed_batch_fails_the_call() {
    let server = Server::script([Reply::Embed, Reply::Status(401)]).await;
    let config = EmbedderConfig {
        batch: 1,
        ..config(Provider::Ollama, &server)
    };
    let embedder = model(&config).unwrap();
    let error = embedder.embed(&["one", "two", "three"]).await.unwrap_err();
    check(&error, Code::Unavailable, &["status 401"]);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_dropped_call_leaves_the_embedder_usable() {
    let server = Server::script([Reply::Silence, Reply::Embed]).await;
    let embedder = ollama(&server);
    tokio::select! {
        model = embedder.model() => panic!("silence was answered with {model:?}"),
        () = server.until_asked() => {}
    }
    assert_eq!(embedder.model().await.unwrap().dim, 3);
}

#[tokio::test]
async fn the_same_embedder_serves_many_at_once() {
    let server = Server::always(Reply::Embed).await;
    let embedder = ollama(&server);
    let texts: Vec<String> = (0..20).map(|number| format!("text {number}")).collect();
    let alone = embed_each(&*embedder, &texts[..1]).await;
    let together = embed_each(&*embedder, &texts).await;
    assert_eq!(together[0], alone[0]);
    assert_ne!(together[0], together[1]);
    assert_eq!(server.requests(), 21);
}

async fn embed_each(embedder: &dyn Embedder, texts: &[String]) -> Vec<Vec<f32>> {
    let calls = texts.iter().map(|text| async move {
        embedder
            .embed(&[text.as_str()])
            .await
            .unwrap()
            .pop()
            .unwrap()
    });
    futures_util::future::join_all(calls).await
}

#[tokio::test]
async fn queries_are_repeated_once_at_most() {
    let server = Server::always(Reply::Status(500)).await;
    let embedder = ollama(&server);
    let error = embedder.embed_query("when").await.unwrap_err();
    check(&error, Code::Unavailable, &["status 500", "(2 attempts)"]);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_named() {
    let server = Server::script([]).await;
    let url = format!("https://{}", server.address());
    let config = EmbedderConfig {
        url: Some(url.clone()),
        ..config(Provider::OpenAi, &server)
    };
    let error = embed_one(&*model(&config).unwrap()).await.unwrap_err();
    check(
        &error,
        Code::Unavailable,
        &[&format!("openai at `{url}`"), "certificate"],
    );
    assert_eq!(server.requests(), 0);
}
