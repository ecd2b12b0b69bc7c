//! Embeds with a sentence model in this process: a BERT model of sentence-transformers in a local
//! folder.
//!
//! The folder holds `config.json`, `model.safetensors` and `tokenizer.json` (WordPiece), and perhaps
//! `sentence_bert_config.json` (how long a text may be) and `1_Pooling/config.json` (how the outputs
//! of the tokens become one vector: their mean, or the first). It is read when the first vector is
//! wanted, and nothing is fetched: a folder that is not there yet, or not any more, is told as a
//! server that does not answer would be.

mod bert;
mod fault;
mod tokenizer;
mod weights;

use crate::FolderModel;
use crate::config::{EmbedderConfig, prefixed};
use athena_core::{Embedder, EmbeddingModel, Error, PassageVectors, Result};
use bert::{Bert, Config};
use fault::Fault;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ndarray::{ArrayView2, Axis};
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokenizer::Tokenizer;
use tokio::sync::OnceCell;

/// Tokens of a text where no file says how many.
const MOST_TOKENS: usize = 256;

/// Tokens that go through the model together: enough for fast products of matrices, and few enough
/// for 30 MB.
const BATCH_TOKENS: usize = 2_048;

/// Threads for a large call; a single text is the work of one.
const THREADS: usize = 2;

/// Embeds with a model in a local folder.
pub struct LocalEmbedder {
    folder: PathBuf,
    name: String,
    query_prefix: String,
    document_prefix: String,
    /// Read once; an attempt that failed is made again.
    model: OnceCell<Arc<Model>>,
}

impl LocalEmbedder {
    /// Makes the embedder of a configuration with a folder; nothing is read yet.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidInput`](athena_core::Code::InvalidInput) naming the setting and the way out.
    pub fn new(config: &EmbedderConfig) -> Result<Self> {
        config.check()?;
        let folder = config.folder()?.to_owned();
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        Ok(Self {
            name: format!("{}/{}", config.provider, name.to_string_lossy()),
            folder,
            query_prefix: config.query_prefix.clone(),
            document_prefix: config.document_prefix.clone(),
            model: OnceCell::new(),
        })
    }

    async fn model(&self) -> Result<&Arc<Model>> {
        self.model
            .get_or_try_init(|| async {
                let folder = self.folder.clone();
                let read = move || Model::read(&folder).map(Arc::new);
                let model = tokio::task::spawn_blocking(read).await;
                model.map_err(Error::internal)?.map_err(Fault::into_error)
            })
            .await
    }

    async fn embed_all(&self, texts: Vec<String>) -> Result<PassageVectors> {
        let model = Arc::clone(self.model().await?);
        tokio::task::spawn_blocking(move || model.embed(&texts))
            .await
            .map_err(Error::internal)
    }

    async fn embed_one_query(&self, query: &str) -> Result<Vec<f32>> {
        if query.trim().is_empty() {
            return Ok(vec![0.0; self.model().await?.width]);
        }
        let query = prefixed(&self.query_prefix, query).into_owned();
        let mut vectors = self.embed_all(vec![query]).await?;
        vectors
            .pop()
            .ok_or_else(|| Error::internal("a model answers each text"))
    }
}

impl Embedder for LocalEmbedder {
    fn model(&self) -> BoxFuture<'_, Result<EmbeddingModel>> {
        async {
            Ok(EmbeddingModel {
                name: self.name.clone(),
                dim: self.model().await?.width,
            })
        }
        .boxed()
    }

    fn embed<'a>(&'a self, passages: &'a [&'a str]) -> BoxFuture<'a, Result<PassageVectors>> {
        let prefix = &self.document_prefix;
        let texts = passages.iter().map(|it| prefixed(prefix, it).into_owned());
        self.embed_all(texts.collect()).boxed()
    }

    fn embed_query<'a>(&'a self, query: &'a str) -> BoxFuture<'a, Result<Vec<f32>>> {
        self.embed_one_query(query).boxed()
    }
}

impl fmt::Debug for LocalEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEmbedder")
            .field("folder", &self.folder)
            .field("is_read", &self.model.initialized())
            .finish_non_exhaustive()
    }
}

/// Reads a model from its folder and embeds a text.
pub(crate) fn check_folder(folder: &Path) -> Result<FolderModel> {
    let model = Model::read(folder).map_err(Fault::into_refusal)?;
    let vectors = model.embed(&["Is anybody there?".to_owned()]);
    if vectors.iter().flatten().any(|value| !value.is_finite()) {
        let weights = folder.join(WEIGHTS);
        return Err(Fault::corrupt(&weights, "gives vectors that are no numbers").into_refusal());
    }
    let files = FILES.into_iter().filter(|file| folder.join(file).is_file());
    Ok(FolderModel {
        dim: model.width,
        files: files.collect(),
    })
}

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const LIMITS: &str = "sentence_bert_config.json";
const POOLING: &str = "1_Pooling/config.json";
const FILES: [&str; 5] = [CONFIG, WEIGHTS, TOKENIZER, LIMITS, POOLING];

/// A model in memory.
struct Model {
    bert: Bert,
    tokenizer: Tokenizer,
    pooling: Pooling,
    most_tokens: usize,
    width: usize,
}

/// How the outputs of a text's tokens become one vector.
#[derive(Clone, Copy)]
enum Pooling {
    Mean,
    First,
}

impl Model {
    fn read(folder: &Path) -> Result<Self, Fault> {
        let config = Config::read(&folder.join(CONFIG))?;
        let tokenizer = Tokenizer::read(&folder.join(TOKENIZER), config.vocab_size)?;
        let pooling = Pooling::read(&folder.join(POOLING))?;
        let most_tokens = most_tokens(&folder.join(LIMITS))?;
        let mut weights = weights::Weights::open(&folder.join(WEIGHTS))?;
        Ok(Self {
            bert: Bert::read(&config, &mut weights)?,
            tokenizer,
            pooling,
            most_tokens: most_tokens.min(config.max_position_embeddings),
            width: config.hidden_size,
        })
    }

    /// Embeds texts, each as a vector of length 1.
    fn embed(&self, texts: &[String]) -> PassageVectors {
        let ids: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| self.tokenizer.ids(text, self.most_tokens))
            .collect();
        let batches = batches(&ids);
        let next = AtomicUsize::new(0);
        let vectors = Mutex::new(vec![Vec::new(); texts.len()]);
        let work = || {
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let made = self.embed_batch(&ids[batch.clone()]);
                let mut vectors = vectors.lock().unwrap_or_else(PoisonError::into_inner);
                for (place, vector) in vectors[batch.clone()].iter_mut().zip(made) {
                    *place = vector;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..THREADS.min(batches.len()) {
                scope.spawn(work);
            }
            work();
        });
        vectors.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn embed_batch(&self, ids: &[Vec<u32>]) -> PassageVectors {
        let texts: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let (outputs, ranges) = self.bert.outputs(&texts);
        ranges
            .into_iter()
            .map(|range| self.pooling.pool(outputs.slice_axis(Axis(0), range.into())))
            .collect()
    }
}

impl Pooling {
    /// Reads how a model pools; without the file, by the mean.
    fn read(path: &Path) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        #[serde(default)]
        struct Described {
            pooling_mode_cls_token: bool,
            pooling_mode_mean_tokens: bool,
        }
        impl Default for Described {
            fn default() -> Self {
                Self {
                    pooling_mode_cls_token: false,
                    pooling_mode_mean_tokens: true,
                }
            }
        }
        let described: Described = optional_json(path)?.unwrap_or_default();
        match (
            described.pooling_mode_mean_tokens,
            described.pooling_mode_cls_token,
        ) {
            (true, false) => Ok(Self::Mean),
            (false, true) => Ok(Self::First),
            _ => Err(Fault::unsupported(
                path,
                "asks neither for the mean of the tokens nor for the first alone",
            )),
        }
    }

    /// Makes one vector of length 1 of the outputs `[tokens, width]` of at least one token.
    fn pool(self, outputs: ArrayView2<'_, f32>) -> Vec<f32> {
        // The sum has the direction of the mean.
        let pooled = match self {
            Self::Mean => outputs.sum_axis(Axis(0)),
            Self::First => outputs.row(0).to_owned(),
        };
        let length = pooled.dot(&pooled).sqrt();
        let length = if length > 0.0 { length } else { 1.0 };
        pooled.iter().map(|value| value / length).collect()
    }
}

/// Reads how many tokens of a text a model looks at.
fn most_tokens(path: &Path) -> Result<usize, Fault> {
    #[derive(Deserialize)]
    struct Described {
        max_seq_length: Option<usize>,
    }
    let described: Option<Described> = optional_json(path)?;
    let most = described.and_then(|described| described.max_seq_length);
    match most.unwrap_or(MOST_TOKENS) {
        0..=2 => Err(Fault::corrupt(path, "leaves no room for a token")),
        most => Ok(most),
    }
}

/// Reads a file of JSON that need not be there.
fn optional_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Fault> {
    match std::fs::read(path) {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(|_| Fault::corrupt(path, "is no JSON of the expected form")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::unreadable(path, error)),
    }
}

/// Cuts texts into runs of so many tokens, and at least one text; as many runs as threads where
/// there is enough to do.
fn batches(ids: &[Vec<u32>]) -> Vec<Range<usize>> {
    let tokens: usize = ids.iter().map(Vec::len).sum();
    let most = BATCH_TOKENS.min(tokens.div_ceil(THREADS));
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut filled = 0;
    for (at, text) in ids.iter().enumerate() {
        match batches.last_mut() {
            Some(batch) if filled + text.len() <= most => {
                batch.end = at + 1;
                filled += text.len();
            }
            _ => {
                batches.push(at..at + 1);
                filled = text.len();
            }
        }
    }
    batches
}
