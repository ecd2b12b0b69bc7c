//! Keys, passwords and texts appear in no error and no `Debug` output.

use crate::server::{Reply, Server};
use crate::{config, embed_one, model};
use athena_core::Error;
use athena_embed::{EmbedderConfig, HttpEmbedder, Provider, Secret};
use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

/// Everything that a log could show of an error.
fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {:?}", error.field());
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, " {error} {error:?}").unwrap();
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn errors_hold_neither_keys_nor_texts() {
    let replies = [
        Reply::Status(400),
        Reply::Status(401),
        Reply::Status(500),
        Reply::StatusRetryAfter(429, "9999"),
        Reply::Redirect("http://canary-target".into()),
        Reply::HalfThenCut,
        Reply::Silence,
        Reply::Endless,
        Reply::Text("canary-body"),
        Reply::Json(serde_json::json!({"embeddings": [["canary-body"]]})),
    ];
    for reply in replies {
        for with_login in [false, true] {
            let server = Server::always(reply.clone()).await;
            let address = server.address();
            let login = format!("http://canary-user:canary-password@{address}/?key=canary-query");
            let open = format!("http://{address}/canary-path?key=canary-query");
            let config = EmbedderConfig {
                url: Some(if with_login { login } else { open }),
                api_key: (!with_login).then(|| Secret::new("canary-key")),
                timeout: Duration::from_millis(50),
                max_response_bytes: 10_000,
                retries: 1,
                ..config(Provider::Ollama, &server)
            };
            let error = embed_one(&*model(&config).unwrap()).await.unwrap_err();
            let text = everything(&error);
            assert!(!text.contains("canary"), "{text}");
            assert!(text.contains(&format!("http://{address}")), "{text}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_its_login() {
    let server = Server::script([]).await;
    let config = EmbedderConfig {
        url: Some("http://canary-user:canary-password@127.0.0.1:1/?key=canary-query".into()),
        ..config(Provider::OpenAi, &server)
    };
    let error = embed_one(&*model(&config).unwrap()).await.unwrap_err();
    assert!(
        !everything(&error).contains("canary"),
        "{}",
        everything(&error)
    );
    assert!(
        error.message().contains("openai at `http://127.0.0.1:1`"),
        "{error}"
    );
}

#[tokio::test]
async fn embedders_and_settings_do_not_print_keys() {
    let server = Server::always(Reply::Embed).await;
    let mut config = config(Provider::OpenAi, &server);
    config.url = Some(format!("{}/canary-path?key=canary-query", server.url()));
    config.api_key = Some(Secret::new("canary-key"));
    let embedder = HttpEmbedder::new(&config).unwrap();
    let text = format!("{config:?} {embedder:?} {embedder:#?}");
    assert!(!text.contains("canary"), "{text}");
    assert!(text.contains(&server.url()), "{text}");
}

#[test]
fn refused_settings_do_not_repeat_keys() {
    let config = |url: &str, key: &str| EmbedderConfig {
        provider: Provider::OpenAi,
        model: Some("m".into()),
        url: Some(url.into()),
        api_key: Some(Secret::new(key)),
        ..EmbedderConfig::default()
    };
    for config in [
        config("http://h", "canary\nkey"),
        config("canary:pass@h", "k"),
        config("ftp://canary:canary@h/canary", "k"),
        config("http://canary:canary@h", "canary"),
        config("http://canary h", "k"),
    ] {
        let error = model(&config).err().unwrap();
        let text = everything(&error);
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("embedder."), "{text}");
    }
}
