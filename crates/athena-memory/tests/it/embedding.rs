//! A model's vectors beside the built-in ones.

use athena_core::{Code, Ctx, Embedder, EmbeddingModel, Error, PassageVectors, Result};
use athena_db::{BoxFuture, Executor, Scalar, params};
use athena_testkit::{TestApp, json, story};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const BUILTIN: &str = "athena-table-1";
const MODEL: &str = "test/colours";

/// A model that knows colours by any name, and may be away.
#[derive(Default)]
struct Colours {
    is_away: AtomicBool,
}

impl Colours {
    fn vector(text: &str) -> Vec<f32> {
        let says = |names: &[&str]| f32::from(u8::from(names.iter().any(|it| text.contains(it))));
        vec![
            says(&["crimson", "scarlet", "ruby"]),
            says(&["azure", "navy", "cobalt"]),
            0.1,
        ]
    }

    fn answer<T>(&self, answer: T) -> BoxFuture<'_, Result<T>>
    where
        T: Send + 'static,
    {
        let is_away = self.is_away.load(Ordering::SeqCst);
        Box::pin(async move {
            match is_away {
                true => Err(Error::new(Code::Unavailable, "the colours are away")),
                false => Ok(answer),
            }
        })
    }
}

impl Embedder for Colours {
    fn model(&self) -> BoxFuture<'_, Result<EmbeddingModel>> {
        self.answer(EmbeddingModel {
            name: MODEL.into(),
            dim: 3,
        })
    }

    fn embed<'a>(&'a self, passages: &'a [&'a str]) -> BoxFuture<'a, Result<PassageVectors>> {
        self.answer(
            passages
                .iter()
                .map(|passage| Self::vector(passage))
                .collect(),
        )
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>>> {
        self.answer(Self::vector(query))
    }
}

story! {
    async fn a_models_vectors_follow_the_built_in_ones(app: TestApp) {
        let (env, ctx) = app.another_with_model(Arc::new(Colours::default())).await;
        let door = remember(app, &ctx, json!({"content": "the crimson door sticks"})).await;
        remember(app, &ctx, json!({"content": "the navy sofa is new"})).await;
        assert_eq!(models(app, door).await, [BUILTIN]);
        assert_eq!(waiting(app).await, 2);

        athena_store::flush(&env).await;
        assert_eq!(models(app, door).await, [BUILTIN, MODEL]);
        assert_eq!(waiting(app).await, 0);
        let question = json!({"query": "which thing is ruby?", "mode": "semantic"});
        let found = call(app, &ctx, "memory.recall", question).await;
        assert_eq!(found["hits"][0]["id"], door);

        let edit = json!({"id": door, "content": "the cobalt door sticks"});
        let edited = call(app, &ctx, "memory.update", edit).await["id"].as_i64().unwrap();
        assert_eq!(models(app, edited).await, [BUILTIN]);
        athena_store::flush(&env).await;
        assert_eq!(models(app, edited).await, [BUILTIN, MODEL]);
        env.db().close().await.unwrap();
    }

    async fn what_an_assistant_says_in_a_conversation_has_built_in_vectors_alone(app: TestApp) {
        let (env, ctx) = app.another_with_model(Arc::new(Colours::default())).await;
        let mut said = Vec::new();
        for input in [
            json!({"content": "I painted it azure", "role": "user", "session": "s"}),
            json!({"content": "Azure suits a room", "role": "assistant", "session": "s"}),
            json!({"content": "Azure is a colour", "role": "assistant"}),
        ] {
            said.push(remember(app, &ctx, input).await);
        }
        athena_store::flush(&env).await;
        assert_eq!(models(app, said[0]).await, [BUILTIN, MODEL]);
        assert_eq!(models(app, said[1]).await, [BUILTIN]);
        assert_eq!(models(app, said[2]).await, [BUILTIN, MODEL]);
        assert_eq!(waiting(app).await, 0);
        env.db().close().await.unwrap();
    }

    async fn a_model_that_is_away_costs_neither_a_write_nor_an_answer(app: TestApp) {
        let model = Arc::new(Colours::default());
        let (env, ctx) = app.another_with_model(Arc::<Colours>::clone(&model)).await;
        model.is_away.store(true, Ordering::SeqCst);
        let id = remember(app, &ctx, json!({"content": "the physician keeps an azure notebook"})).await;
        athena_store::flush(&env).await;
        assert_eq!(models(app, id).await, [BUILTIN]);
        assert_eq!(waiting(app).await, 1);

        // No word in common: the built-in vector finds it.
        let question = json!({"query": "what does the doctor write in?"});
        let found = call(app, &ctx, "memory.recall", question.clone()).await;
        assert_eq!(found["hits"][0]["id"], id);
        assert!(found["notes"].to_string().contains("the colours are away"), "{found}");
        let both = json!({"query_text": "what does the doctor write in?"});
        let found = call(app, &ctx, "memory.hybrid_search", both).await;
        assert!(found["notes"].to_string().contains("the colours are away"), "{found}");
        let mut by_meaning = question;
        by_meaning["mode"] = json!("semantic");
        let refused = app.registry.call("memory.recall", &ctx, by_meaning, None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);

        // A process without the model leaves the queue to those that have it.
        athena_store::flush(&app.env).await;
        assert_eq!(waiting(app).await, 1);
        env.db().close().await.unwrap();
    }

    async fn what_has_no_built_in_vector_is_found_by_its_words(app: TestApp) {
        let id = app.remember("数据库迁移在星期五进行").await;
        assert_eq!(models(app, id).await, Vec::<String>::new());
        assert_eq!(app.recall("星期五").await, [id]);
    }
}

async fn call(app: &TestApp, ctx: &Ctx, operation: &str, input: Value) -> Value {
    app.registry
        .call(operation, ctx, input, None)
        .await
        .unwrap()
}

async fn remember(app: &TestApp, ctx: &Ctx, input: Value) -> i64 {
    let remembered = call(app, ctx, "memory.remember", input).await;
    remembered["id"].as_i64().unwrap()
}

/// The models whose vectors a memory has.
async fn models(app: &TestApp, id: i64) -> Vec<String> {
    let sql = "SELECT DISTINCT m.name FROM memory_passages p
               JOIN embedding_models m ON m.id = p.model_id
               WHERE p.memory_id = :id
               ORDER BY m.name";
    let names: Vec<Scalar<String>> = app
        .env
        .db()
        .fetch_all(sql, params! { id: id })
        .await
        .unwrap();
    names.into_iter().map(|Scalar(name)| name).collect()
}

/// How many memories wait for a model's vectors.
async fn waiting(app: &TestApp) -> i64 {
    let Scalar(count) = app
        .env
        .db()
        .fetch_one("SELECT COUNT(*) FROM embed_queue", params! {})
        .await
        .unwrap();
    count
}
