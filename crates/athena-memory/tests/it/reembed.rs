//! Another model's vectors in place of the former ones.

use athena_core::{
    BuiltinEmbedder, Code, Ctx, Embedder, Embedders, EmbeddingModel, Env, Error, PassageVectors,
    Result,
};
use athena_db::{BoxFuture, Executor, Scalar, params};
use athena_search::{TermStatistics, VectorKind};
use athena_testkit::{TestApp, json, story};
use serde_json::Value;
use std::sync::Arc;

const BUILTIN: &str = "athena-table-1";
const SMALL: &str = "test/small";
const LARGE: &str = "test/large";

/// A model that knows some things by any name. One of `width` 4 and more knows animals as well.
struct Things {
    name: &'static str,
    width: usize,
}

impl Things {
    fn small() -> Arc<dyn Embedder> {
        Arc::new(Self {
            name: SMALL,
            width: 3,
        })
    }

    fn large() -> Arc<dyn Embedder> {
        Arc::new(Self {
            name: LARGE,
            width: 4,
        })
    }

    fn vector(&self, text: &str) -> Result<Vec<f32>> {
        if text.contains("unspeakable") {
            return Err(Error::new(Code::EmbeddingMismatch, "no words for that"));
        }
        let says = |names: &[&str]| f32::from(u8::from(names.iter().any(|it| text.contains(it))));
        let mut vector = vec![
            0.1,
            says(&["crimson", "scarlet", "ruby"]),
            says(&["azure", "navy", "cobalt"]),
            says(&["cat", "feline", "kitten"]),
        ];
        vector.truncate(self.width);
        Ok(vector)
    }
}

impl Embedder for Things {
    fn model(&self) -> BoxFuture<'_, Result<EmbeddingModel>> {
        let (name, dim) = (self.name.to_owned(), self.width);
        Box::pin(async move { Ok(EmbeddingModel { name, dim }) })
    }

    fn embed<'a>(&'a self, passages: &'a [&'a str]) -> BoxFuture<'a, Result<PassageVectors>> {
        let vectors = passages.iter().map(|passage| self.vector(passage));
        let vectors = vectors.collect();
        Box::pin(async move { vectors })
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>>> {
        let vector = self.vector(query);
        Box::pin(async move { vector })
    }
}

/// A built-in embedder as an earlier version had it.
struct Earlier;

impl BuiltinEmbedder for Earlier {
    fn model(&self) -> EmbeddingModel {
        EmbeddingModel {
            name: "athena-earlier".into(),
            dim: 2,
        }
    }

    fn kind(&self) -> VectorKind {
        VectorKind::Words
    }

    fn embed(&self, _: &str) -> Vec<f32> {
        vec![0.6, 0.8]
    }

    fn embed_query(&self, _: &str, _: &dyn TermStatistics) -> Vec<f32> {
        vec![0.6, 0.8]
    }
}

const TOLD: [&str; 4] = [
    "the crimson door sticks",
    "the navy sofa is new",
    "a feline lives next door",
    "trains leave on the hour",
];

story! {
    async fn another_model_takes_over_at_once(app: TestApp) {
        let (old, old_ctx) = app.another_with_model(Things::small()).await;
        let (new, new_ctx) = app.another_with_model(Things::large()).await;
        for content in TOLD {
            tell(app, &old_ctx, content).await;
        }
        athena_store::flush(&old).await;

        // The settings were changed: nothing is lost, and the way out is named.
        assert!(by_meaning(app, &old_ctx, "ruby").await.0.is_empty());
        let (notes, _) = by_meaning(app, &new_ctx, "ruby").await;
        assert!(notes.contains("`athena reembed`"), "{notes}");
        let wait = json!({"content": "a scarlet rug", "wait_embedded": true});
        let refused = app.registry.call("memory.remember", &new_ctx, wait, None).await.unwrap_err();
        assert_eq!(refused.code(), Code::EmbeddingMismatch);
        assert!(refused.message().contains("`athena reembed`"), "{refused}");

        // While it goes on, the former vectors answer whoever has the former model.
        let asked = call(app, &new_ctx, "memory.reembed", json!({})).await;
        assert_eq!(asked["projects"][0]["lacking"], 5, "{asked}");
        tell(app, &new_ctx, "a kitten sleeps on it").await;
        let (notes, hits) = by_meaning(app, &old_ctx, "ruby").await;
        assert_eq!((notes.as_str(), hits[0]["content"].as_str()), ("", Some(TOLD[0])));
        let (notes, _) = by_meaning(app, &new_ctx, "kitten").await;
        assert!(notes.contains("are being made"), "{notes}");

        settle(&new).await;
        assert_eq!(models(app).await, [BUILTIN, LARGE]);
        let (notes, hits) = by_meaning(app, &new_ctx, "kitten").await;
        assert_eq!((notes.as_str(), hits[0]["content"].as_str()), ("", Some(TOLD[2])));
        assert_eq!(hits[1]["content"], "a kitten sleeps on it");
        let (notes, _) = by_meaning(app, &old_ctx, "ruby").await;
        assert!(notes.contains("`athena reembed`"), "{notes}");

        // The same as if it had been so from the start.
        let (fresh, _) = app.another_with_model(Things::large()).await;
        let fresh_ctx = Ctx::for_caller(Arc::clone(&fresh), "another").with_project("fresh");
        for content in TOLD.into_iter().chain(["a scarlet rug", "a kitten sleeps on it"]) {
            tell(app, &fresh_ctx, content).await;
        }
        athena_store::flush(&fresh).await;
        for question in ["ruby", "azure things", "feline", "when do trains leave?"] {
            for mode in ["semantic", "hybrid"] {
                let again = answer(app, &new_ctx, question, mode).await;
                assert_eq!(again, answer(app, &fresh_ctx, question, mode).await, "{question}");
            }
        }
        for env in [old, new, fresh] {
            env.db().close().await.unwrap();
        }
    }

    async fn what_was_told_without_a_model_gets_its_vectors(app: TestApp) {
        let door = app.remember(TOLD[0]).await;
        let (env, ctx) = app.another_with_model(Things::small()).await;
        athena_store::flush(&env).await;
        assert_eq!(models(app).await, [BUILTIN]);
        let asked = call(app, &ctx, "memory.reembed", json!({"all": true})).await;
        assert_eq!((&asked["model"], &asked["projects"][0]["lacking"]), (&json!(SMALL), &json!(1)));
        settle(&env).await;
        assert_eq!(models(app).await, [BUILTIN, SMALL]);
        assert_eq!(by_meaning(app, &ctx, "ruby").await.1[0]["id"], door);
        // Asking again finds nothing to do.
        let asked = call(app, &ctx, "memory.reembed", json!({})).await;
        assert_eq!(asked["projects"][0]["lacking"], 0);
        env.db().close().await.unwrap();
    }

    async fn what_cannot_be_embedded_holds_nothing_up(app: TestApp) {
        let (env, ctx) = app.another_with_model(Things::small()).await;
        let mut told = Vec::new();
        for content in ["ruby", "unspeakable", "azure", "unspeakable too", "crimson", "navy"] {
            told.push(tell(app, &ctx, content).await);
        }
        athena_store::flush(&env).await;
        assert_eq!(waiting(app).await, [told[1], told[3]]);
        env.db().close().await.unwrap();
    }

    async fn built_in_vectors_of_an_earlier_version_are_made_anew(app: TestApp) {
        let embedders = Embedders { builtin: Arc::new(Earlier), model: None };
        let (earlier, earlier_ctx) = app.another_with_embedders(embedders).await;
        for content in TOLD {
            tell(app, &earlier_ctx, content).await;
        }
        assert_eq!(models(app).await, ["athena-earlier"]);
        let (_, hits) = by_meaning(app, &app.ctx, "cats").await;
        assert!(hits.is_empty());
        settle(&app.env).await;
        assert_eq!(models(app).await, [BUILTIN]);
        assert_eq!(by_meaning(app, &app.ctx, "cats").await.1[0]["content"], TOLD[2]);
        // The process of the earlier version does not turn it back.
        settle(&earlier).await;
        assert_eq!(models(app).await, [BUILTIN]);
        earlier.db().close().await.unwrap();
    }
}

/// Lets background work come to its end.
async fn settle(env: &Arc<Env>) {
    for _ in 0..5 {
        athena_store::flush(env).await;
    }
}

async fn call(app: &TestApp, ctx: &Ctx, operation: &str, input: Value) -> Value {
    app.registry
        .call(operation, ctx, input, None)
        .await
        .unwrap()
}

async fn tell(app: &TestApp, ctx: &Ctx, content: &str) -> i64 {
    let told = call(app, ctx, "memory.remember", json!({"content": content})).await;
    told["id"].as_i64().unwrap()
}

/// What is found by meaning alone, and what is noted beside it.
async fn by_meaning(app: &TestApp, ctx: &Ctx, query: &str) -> (String, Vec<Value>) {
    let question = json!({"query": query, "mode": "semantic"});
    let found = call(app, ctx, "memory.recall", question).await;
    let notes = found["notes"].as_array().cloned().unwrap_or_default();
    let notes: Vec<&str> = notes.iter().filter_map(Value::as_str).collect();
    (notes.join("; "), found["hits"].as_array().unwrap().clone())
}

/// What a question finds: texts and scores.
async fn answer(app: &TestApp, ctx: &Ctx, query: &str, mode: &str) -> Vec<(Value, Value)> {
    let question = json!({"query": query, "mode": mode});
    let found = call(app, ctx, "memory.recall", question).await;
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| (hit["content"].clone(), hit["score"].clone()))
        .collect()
}

/// The models that the store has vectors of.
async fn models(app: &TestApp) -> Vec<String> {
    let sql = "SELECT DISTINCT m.name FROM memory_passages p
               JOIN embedding_models m ON m.id = p.model_id
               ORDER BY m.name";
    let names: Vec<Scalar<String>> = app.env.db().fetch_all(sql, params! {}).await.unwrap();
    names.into_iter().map(|Scalar(name)| name).collect()
}

/// The memories that wait for a model's vectors.
async fn waiting(app: &TestApp) -> Vec<i64> {
    let sql = "SELECT item_id FROM embed_queue ORDER BY item_id";
    let ids: Vec<Scalar<i64>> = app.env.db().fetch_all(sql, params! {}).await.unwrap();
    ids.into_iter().map(|Scalar(id)| id).collect()
}
