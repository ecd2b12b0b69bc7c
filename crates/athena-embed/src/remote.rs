//! Embedders that ask a server.

use crate::config::{EmbedderConfig, Provider, prefixed};
use crate::http::{Patience, Transport};
use crate::wire::{Fault, Shape};
use athena_core::{Code, Embedder, EmbeddingModel, Error, PassageVectors, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What is embedded to find out how wide a model's vectors are.
const PROBE: &str = "athena";

/// How often a query is repeated at most: without its vector a search still ranks by keyword.
const QUERY_RETRIES: u32 = 1;

/// Embeds by asking Ollama, llama.cpp or an endpoint that speaks OpenAI's language.
///
/// Texts of nothing but white space are not sent, because servers refuse them: such a passage
/// points along the first component, such a query is all zeros, as with the built-in embedder.
/// Requests are made one after another: a server on the same machine gains nothing from more, and a
/// hosted one counts them.
pub struct HttpEmbedder {
    transport: Transport,
    shape: Shape,
    /// The model as the server knows it.
    model: String,
    /// The model as the store knows it.
    name: String,
    /// What is sent as `dimensions`.
    shorten_to: Option<usize>,
    query_prefix: String,
    document_prefix: String,
    batch: usize,
    batch_chars: usize,
    /// For passages, whose vectors follow the write.
    patient: Patience,
    /// For what somebody waits for.
    hurried: Patience,
    /// How wide the vectors are, once known; it never changes afterwards.
    width: OnceLock<usize>,
    /// Held while the width is found out, so that it is asked for once.
    probe: Mutex<Option<FailedProbe>>,
}

/// How the last attempt to find out the width failed; those who waited for it share the answer.
struct FailedProbe {
    at: Instant,
    code: Code,
    message: String,
}

impl HttpEmbedder {
    /// Makes the embedder of a configuration whose provider is a server.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidInput`] naming the setting and the way out.
    pub fn new(config: &EmbedderConfig) -> Result<Self> {
        config.check()?;
        let model = config.model_name()?.to_owned();
        Ok(Self {
            transport: Transport::new(config)?,
            shape: Shape::of(config.provider),
            name: space_name(config.provider, &model),
            model,
            shorten_to: config
                .dimensions
                .filter(|_| config.provider != Provider::LlamaCpp),
            query_prefix: config.query_prefix.clone(),
            document_prefix: config.document_prefix.clone(),
            batch: config.batch,
            batch_chars: config.batch_chars,
            patient: Patience {
                within: config.deadline,
                retries: config.retries,
            },
            hurried: Patience {
                within: config.query_timeout.min(config.deadline),
                retries: config.retries.min(QUERY_RETRIES),
            },
            width: config.dimensions.map(OnceLock::from).unwrap_or_default(),
            probe: Mutex::new(None),
        })
    }

    /// Embeds texts of any number, in batches.
    async fn embed_all(&self, texts: &[&str]) -> Result<PassageVectors> {
        let spoken: Vec<usize> = (0..texts.len())
            .filter(|&at| !texts[at].trim().is_empty())
            .collect();
        let prefixed: Vec<Cow<'_, str>> = spoken
            .iter()
            .map(|&at| prefixed(&self.document_prefix, texts[at]))
            .collect();
        let mut made = Vec::with_capacity(spoken.len());
        for range in batches(&prefixed, self.batch, self.batch_chars) {
            let batch: Vec<&str> = prefixed[range].iter().map(AsRef::as_ref).collect();
            made.append(&mut self.request(&batch, self.patient).await?);
        }
        if made.len() == texts.len() {
            return Ok(made);
        }
        let mut silent = vec![0.0; self.known_width().await?];
        if let Some(first) = silent.first_mut() {
            *first = 1.0;
        }
        let mut vectors = vec![silent; texts.len()];
        for (at, vector) in spoken.into_iter().zip(made) {
            vectors[at] = vector;
        }
        Ok(vectors)
    }

    async fn embed_one_query(&self, query: &str) -> Result<Vec<f32>> {
        if query.trim().is_empty() {
            return Ok(vec![0.0; self.known_width().await?]);
        }
        let query = prefixed(&self.query_prefix, query);
        let mut vectors = self.request(&[&query], self.hurried).await?;
        vectors
            .pop()
            .ok_or_else(|| Error::internal("a checked answer holds a vector"))
    }

    /// Returns how wide the vectors are, asking the server if nobody did yet.
    async fn known_width(&self) -> Result<usize> {
        if let Some(&width) = self.width.get() {
            return Ok(width);
        }
        let asked_at = Instant::now();
        let mut failed = self.probe.lock().await;
        if let Some(&width) = self.width.get() {
            return Ok(width);
        }
        if let Some(failure) = failed.as_ref().filter(|failure| failure.at > asked_at) {
            return Err(Error::new(failure.code, failure.message.clone()));
        }
        let text = prefixed(&self.document_prefix, PROBE);
        match self.request(&[&text], self.hurried).await {
            Ok(vectors) => Ok(width_of(&vectors)),
            Err(error) => {
                let message = error.message().to_owned();
                *failed = Some(FailedProbe {
                    at: Instant::now(),
                    code: error.code(),
                    message,
                });
                Err(error)
            }
        }
    }

    /// Makes one request and checks what comes back.
    async fn request(&self, texts: &[&str], patience: Patience) -> Result<PassageVectors> {
        let body = self
            .shape
            .request(&self.model, texts, self.shorten_to)
            .map_err(Error::internal)?;
        let answer = self.transport.post(&body, patience).await?;
        let vectors = self
            .shape
            .read(&answer, texts.len())
            .map_err(|fault| self.refuse(&fault))?;
        self.check_width(&vectors)?;
        Ok(vectors)
    }

    /// Compares the width with what is known, or remembers it.
    fn check_width(&self, vectors: &[Vec<f32>]) -> Result<()> {
        let got = width_of(vectors);
        let known = *self.width.get_or_init(|| got);
        if got == known {
            return Ok(());
        }
        let message = format!(
            "{} answered vectors of `{got}` components where the model `{}` has `{known}`; correct \
             `embedder.dimensions`, or give another model another `embedder.model` and embed again",
            self.transport.who(),
            self.model,
        );
        Err(Error::new(Code::EmbeddingMismatch, message))
    }

    fn refuse(&self, fault: &Fault) -> Error {
        let message = format!(
            "{} {fault}; check that `embedder.provider` fits the server, and that `{}` is an \
             embedding model",
            self.transport.who(),
            self.model,
        );
        Error::new(fault.code(), message)
    }
}

impl Embedder for HttpEmbedder {
    fn model(&self) -> BoxFuture<'_, Result<EmbeddingModel>> {
        async {
            let dim = self.known_width().await?;
            Ok(EmbeddingModel {
                name: self.name.clone(),
                dim,
            })
        }
        .boxed()
    }

    fn embed<'a>(&'a self, passages: &'a [&'a str]) -> BoxFuture<'a, Result<PassageVectors>> {
        self.embed_all(passages).boxed()
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>>> {
        self.embed_one_query(query).boxed()
    }
}

impl fmt::Debug for HttpEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpEmbedder")
            .field("server", &self.transport.who())
            .field("model", &self.name)
            .field("width", &self.width.get())
            .finish_non_exhaustive()
    }
}

/// Names the space of a model. Ollama's `name` and `name:latest` are the same model.
fn space_name(provider: Provider, model: &str) -> String {
    let model = match provider {
        Provider::Ollama => model.strip_suffix(":latest").unwrap_or(model),
        Provider::Builtin | Provider::LlamaCpp | Provider::OpenAi | Provider::Local => model,
    };
    format!("{provider}/{model}")
}

/// Returns the width of the checked vectors of at least one text, which is never 0.
fn width_of(vectors: &[Vec<f32>]) -> usize {
    vectors.first().map_or(0, Vec::len)
}

/// Cuts texts into runs of at most `most` texts and `most_chars` characters, and at least one text.
fn batches<T: AsRef<str>>(texts: &[T], most: usize, most_chars: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut chars = 0;
    for (at, text) in texts.iter().enumerate() {
        let length = text.as_ref().chars().count();
        match batches.last_mut() {
            Some(batch) if batch.len() < most && chars + length <= most_chars => {
                batch.end = at + 1;
                chars += length;
            }
            _ => {
                batches.push(at..at + 1);
                chars = length;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_so_many_texts_and_characters() {
        let check = |texts: &[&str], expected: &[Range<usize>]| {
            assert_eq!(batches(texts, 3, 5), expected, "{texts:?}");
        };
        check(&[], &[]);
        check(&["a", "b", "c", "d"], &[0..3, 3..4]);
        check(&["aaa", "bb", "c"], &[0..2, 2..3]);
        check(&["ééé", "éé", "é"], &[0..2, 2..3]);
        check(
            &["much too long", "a", "much too long"],
            &[0..1, 1..2, 2..3],
        );
    }

    #[test]
    fn spaces_are_named_by_provider_and_model() {
        assert_eq!(
            space_name(Provider::Ollama, "nomic-embed-text:latest"),
            "ollama/nomic-embed-text"
        );
        assert_eq!(
            space_name(Provider::Ollama, "bge-m3:567m"),
            "ollama/bge-m3:567m"
        );
        assert_eq!(space_name(Provider::OpenAi, "x:latest"), "openai/x:latest");
    }
}
