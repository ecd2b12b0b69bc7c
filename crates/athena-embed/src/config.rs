//! What can be set about an embedder, and what is refused.
//!
//! Reading files and the environment is the binary's work; this is the shape they are read into.
//! Keys and URLs are never printed: a URL may carry a password.

use crate::builtin;
use crate::retry::Backoff;
use athena_core::{Error, Result};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The table of the configuration file that holds these settings; errors name settings by it.
pub const SECTION: &str = "embedder";

/// The most passages that one request may hold, as OpenAI limits it.
const MAX_BATCH: usize = 2048;

/// The widest vector that is accepted; the widest public models have 4,096 components.
const MAX_DIMENSIONS: usize = 16_384;

const MAX_RETRIES: u32 = 20;
const MAX_NAME_CHARS: usize = 200;
const MAX_PREFIX_CHARS: usize = 1_000;

/// Settings of an embedder, with defaults for everything but the model.
///
/// In a configuration file durations are numbers of seconds, and their names end in `_seconds`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedderConfig {
    /// Who computes the vectors; the built-in embedder by default.
    pub provider: Provider,
    /// Where the server is. The default depends on the provider: `http://127.0.0.1:11434` for
    /// Ollama, `http://127.0.0.1:8080` for llama.cpp, `https://api.openai.com/v1` for OpenAI. The
    /// base is enough; the route is added.
    pub url: Option<String>,
    /// The model, as the server calls it. Vectors are kept apart by this name, so it is needed
    /// even where a server has only one model.
    pub model: Option<String>,
    /// The folder of a model that runs in this process.
    pub path: Option<PathBuf>,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// How many components a vector should have. Asked of Ollama and OpenAI, whose newer models
    /// can shorten their vectors; from llama.cpp it is only expected. Without it the width is
    /// learnt from the first answer.
    pub dimensions: Option<usize>,
    /// Put before each query, such as `search_query: ` for nomic or `query: ` for e5 models.
    pub query_prefix: String,
    /// Put before each passage, such as `search_document: ` for nomic or `passage: ` for e5 models.
    /// Changing it changes the vectors: embed everything again afterwards.
    pub document_prefix: String,
    /// The most passages in one request: 32 by default.
    pub batch: usize,
    /// The most characters in one request, prefixes included: 65,536 by default. A longer passage
    /// is sent alone.
    pub batch_chars: usize,
    /// How long a connection may take to be made: 5 seconds by default.
    #[serde(rename = "connect_timeout_seconds", deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    /// How long one attempt may take, from connecting to the last byte: 30 seconds by default.
    #[serde(rename = "timeout_seconds", deserialize_with = "seconds")]
    pub timeout: Duration,
    /// How long all attempts of one request may take: 120 seconds by default.
    #[serde(rename = "deadline_seconds", deserialize_with = "seconds")]
    pub deadline: Duration,
    /// How long all attempts to embed a query may take, because somebody waits for the answer: 10
    /// seconds by default. It also bounds the request that finds out the width.
    #[serde(rename = "query_timeout_seconds", deserialize_with = "seconds")]
    pub query_timeout: Duration,
    /// How often a request is repeated after a failure that may pass: 3 by default. Queries are
    /// repeated once at most.
    pub retries: u32,
    /// The longest answer that is read, in bytes: 32 MiB by default.
    pub max_response_bytes: usize,
    /// How long to wait between attempts. Not read from files.
    #[serde(skip)]
    pub backoff: Backoff,
}

/// Who computes the vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Provider {
    /// Athena itself; no network.
    #[default]
    Builtin,
    /// An Ollama server, by `/api/embed`.
    Ollama,
    /// A llama.cpp server that was started with `--embeddings`, by `/v1/embeddings`.
    LlamaCpp,
    /// OpenAI, or any server that speaks its `/v1/embeddings`.
    OpenAi,
    /// This process, with a model in a local folder.
    Local,
}

/// A key that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Default for EmbedderConfig {
    fn default() -> Self {
        Self {
            provider: Provider::Builtin,
            url: None,
            model: None,
            path: None,
            api_key: None,
            dimensions: None,
            query_prefix: String::new(),
            document_prefix: String::new(),
            batch: 32,
            batch_chars: 65_536,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(120),
            query_timeout: Duration::from_secs(10),
            retries: 3,
            max_response_bytes: 32 << 20,
            backoff: Backoff::default(),
        }
    }
}

/// Shows the settings without the key, and of the URL only scheme, host and port.
impl fmt::Debug for EmbedderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbedderConfig")
            .field("provider", &self.provider)
            .field("url", &self.url.as_deref().map(crate::http::shown))
            .field("model", &self.model)
            .field("path", &self.path)
            .field("api_key", &self.api_key)
            .field("dimensions", &self.dimensions)
            .field("query_prefix", &self.query_prefix)
            .field("document_prefix", &self.document_prefix)
            .field("batch", &self.batch)
            .field("batch_chars", &self.batch_chars)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("query_timeout", &self.query_timeout)
            .field("retries", &self.retries)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("backoff", &self.backoff)
            .finish()
    }
}

impl EmbedderConfig {
    /// Returns where vectors come from, safe to print: scheme, host and port, or nothing for the
    /// built-in embedder.
    #[must_use]
    pub fn shown_url(&self) -> Option<String> {
        let url = self.url.as_deref().or(self.provider.default_url())?;
        Some(crate::http::shown(url))
    }

    /// Refuses what cannot work, before anything is sent.
    pub(crate) fn check(&self) -> Result<()> {
        match self.provider {
            Provider::Builtin => return self.check_builtin(),
            Provider::Local => return self.check_local(),
            Provider::Ollama | Provider::LlamaCpp | Provider::OpenAi => {}
        }
        self.model_name()?;
        self.check_prefixes()?;
        self.check_numbers()
    }

    fn check_builtin(&self) -> Result<()> {
        let problem = "does not apply to the built-in embedder; \
                       remove it, or set `embedder.provider` to `ollama`, `llamacpp` or `openai`";
        if self.url.is_some() {
            return Err(invalid("url", problem));
        }
        if self.api_key.is_some() {
            return Err(invalid("api_key", problem));
        }
        let own = builtin().model();
        if self.model.as_ref().is_some_and(|model| *model != own.name) {
            return Err(invalid("model", problem));
        }
        if self.dimensions.is_some_and(|it| it != own.dim) {
            return Err(invalid("dimensions", problem));
        }
        Ok(())
    }

    fn check_local(&self) -> Result<()> {
        let problem = "does not apply to a model in this process; \
                       remove it, or set `embedder.provider` to `ollama`, `llamacpp` or `openai`";
        for (field, is_set) in [
            ("url", self.url.is_some()),
            ("model", self.model.is_some()),
            ("api_key", self.api_key.is_some()),
            ("dimensions", self.dimensions.is_some()),
        ] {
            if is_set {
                return Err(invalid(field, problem));
            }
        }
        self.folder()?;
        self.check_prefixes()
    }

    /// Returns the folder of a model that runs in this process.
    pub(crate) fn folder(&self) -> Result<&Path> {
        let problem = "is missing; name the folder of a model, or let `athena model add` do it";
        let path = self.path.as_deref();
        path.filter(|path| !path.as_os_str().is_empty())
            .ok_or_else(|| invalid("path", problem))
    }

    fn check_prefixes(&self) -> Result<()> {
        for (field, prefix) in [
            ("query_prefix", &self.query_prefix),
            ("document_prefix", &self.document_prefix),
        ] {
            if prefix.chars().count() > MAX_PREFIX_CHARS {
                let problem = format!("is longer than {MAX_PREFIX_CHARS} characters; shorten it");
                return Err(invalid(field, problem));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        between(
            "dimensions",
            self.dimensions.unwrap_or(1),
            1,
            MAX_DIMENSIONS,
        )?;
        between("batch", self.batch, 1, MAX_BATCH)?;
        between("batch_chars", self.batch_chars, 1, usize::MAX)?;
        between("max_response_bytes", self.max_response_bytes, 1, usize::MAX)?;
        between("retries", self.retries, 0, MAX_RETRIES)?;
        for (field, duration) in [
            ("connect_timeout_seconds", self.connect_timeout),
            ("timeout_seconds", self.timeout),
            ("deadline_seconds", self.deadline),
            ("query_timeout_seconds", self.query_timeout),
        ] {
            if duration.is_zero() {
                return Err(invalid(
                    field,
                    "is 0, which no answer can meet; allow more time",
                ));
            }
        }
        Ok(())
    }

    /// Returns the model's name as the server knows it.
    pub(crate) fn model_name(&self) -> Result<&str> {
        let name = self.model.as_deref().unwrap_or_default().trim();
        if name.is_empty() {
            let problem = "is missing; name the embedding model that the server runs, \
                           such as `nomic-embed-text`";
            return Err(invalid("model", problem));
        }
        if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
            let problem = format!("is not a name of at most {MAX_NAME_CHARS} printable characters");
            return Err(invalid("model", problem));
        }
        Ok(name)
    }
}

impl Provider {
    /// Every provider, in the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::Builtin,
        Self::Ollama,
        Self::LlamaCpp,
        Self::OpenAi,
        Self::Local,
    ];

    /// Returns the name used in configuration and in the names of models.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llamacpp",
            Self::OpenAi => "openai",
            Self::Local => "local",
        }
    }

    pub(crate) const fn default_url(self) -> Option<&'static str> {
        match self {
            Self::Builtin | Self::Local => None,
            Self::Ollama => Some("http://127.0.0.1:11434"),
            Self::LlamaCpp => Some("http://127.0.0.1:8080"),
            Self::OpenAi => Some("https://api.openai.com/v1"),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "builtin" => Ok(Self::Builtin),
            "ollama" => Ok(Self::Ollama),
            "llamacpp" | "llama.cpp" | "llama_cpp" | "llama-cpp" => Ok(Self::LlamaCpp),
            "openai" => Ok(Self::OpenAi),
            "local" => Ok(Self::Local),
            other => Err(invalid(
                "provider",
                format!(
                    "is `{other}`; choose `builtin`, `ollama`, `llamacpp`, `openai` or `local`"
                ),
            )),
        }
    }
}

impl TryFrom<String> for Provider {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl Secret {
    /// Wraps a key.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Returns the key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Takes anything, because serde would otherwise quote what it did not expect.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Text(String),
            Other(IgnoredAny),
        }
        match Given::deserialize(deserializer)? {
            Given::Text(key) => Ok(Self(key)),
            Given::Other(_) => Err(D::Error::custom("a key must be text in quotation marks")),
        }
    }
}

/// Puts a prefix before a text.
pub(crate) fn prefixed<'a>(prefix: &str, text: &'a str) -> Cow<'a, str> {
    if prefix.is_empty() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{prefix}{text}"))
    }
}

/// Refuses a setting; `problem` continues the sentence "`embedder.field` …".
pub(crate) fn invalid(field: &str, problem: impl fmt::Display) -> Error {
    Error::invalid(&format!("{SECTION}.{field}"), problem)
}

fn between<N: PartialOrd + fmt::Display>(field: &str, value: N, least: N, most: N) -> Result<()> {
    if value < least || value > most {
        let problem = format!("is `{value}`; choose a number from {least} to {most}");
        return Err(invalid(field, problem));
    }
    Ok(())
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| D::Error::custom(format!("`{seconds}` is not a number of seconds")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use athena_core::Code;

    fn ollama() -> EmbedderConfig {
        EmbedderConfig {
            provider: Provider::Ollama,
            model: Some("nomic-embed-text".into()),
            ..EmbedderConfig::default()
        }
    }

    #[track_caller]
    fn check_refused(config: &EmbedderConfig, field: &str, says: &str) {
        let error = config.check().unwrap_err();
        assert_eq!(error.code(), Code::InvalidInput);
        assert_eq!(error.field(), Some(format!("embedder.{field}").as_str()));
        assert!(error.message().contains(says), "{}", error.message());
    }

    #[test]
    fn defaults_are_the_builtin_embedder() {
        let config: EmbedderConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config.provider, Provider::Builtin);
        assert_eq!((config.batch, config.retries), (32, 3));
        assert_eq!(config.timeout, Duration::from_secs(30));
        config.check().unwrap();
    }

    #[test]
    fn a_file_sets_everything() {
        let config: EmbedderConfig = toml::from_str(
            r#"
            provider = "llama.cpp"
            url = "http://gpu:8080"
            model = "bge-m3"
            api_key = "key"
            dimensions = 1024
            query_prefix = "q: "
            document_prefix = "d: "
            batch = 8
            batch_chars = 1000
            connect_timeout_seconds = 1
            timeout_seconds = 2.5
            deadline_seconds = 60
            query_timeout_seconds = 3
            retries = 1
            max_response_bytes = 1000000
            "#,
        )
        .unwrap();
        config.check().unwrap();
        assert_eq!(config.provider, Provider::LlamaCpp);
        assert_eq!(config.timeout, Duration::from_millis(2500));
        assert_eq!(config.api_key.as_ref().map(Secret::expose), Some("key"));
        assert_eq!(config.dimensions, Some(1024));
    }

    #[test]
    fn unknown_settings_and_providers_are_refused() {
        let error = serde_json::from_str::<EmbedderConfig>(r#"{"modle": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("modle"));
        let error = serde_json::from_str::<EmbedderConfig>(r#"{"provider": "hal"}"#).unwrap_err();
        assert!(
            error.to_string().contains("choose `builtin`, `ollama`"),
            "{error}"
        );
        let error =
            serde_json::from_str::<EmbedderConfig>(r#"{"timeout_seconds": -1}"#).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`-1` is not a number of seconds"),
            "{error}"
        );
    }

    #[test]
    fn provider_names_read_back() {
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse::<Provider>().unwrap(), provider);
        }
    }

    #[test]
    fn keys_are_never_printed() {
        let mut config = ollama();
        config.api_key = Some(Secret::new("canary-key"));
        config.url = Some("https://user:canary-password@host:1/v1?token=canary-token".into());
        let printed = format!("{config:?} {config:#?} {:?}", config.shown_url());
        assert!(!printed.contains("canary"), "{printed}");
        assert!(printed.contains("https://host:1"), "{printed}");

        let error = serde_json::from_str::<EmbedderConfig>(r#"{"api_key": 4711}"#).unwrap_err();
        assert!(!error.to_string().contains("4711"), "{error}");
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_printed() {
        let mut config = ollama();
        config.url = Some("user:canary@host".into());
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn the_builtin_embedder_takes_no_server_settings() {
        let builtin = EmbedderConfig::default;
        check_refused(
            &EmbedderConfig {
                url: Some("http://x".into()),
                ..builtin()
            },
            "url",
            "set `embedder.provider` to `ollama`",
        );
        let model = Some("other".into());
        check_refused(&EmbedderConfig { model, ..builtin() }, "model", "built-in");
        let api_key = Some(Secret::new("k"));
        check_refused(
            &EmbedderConfig {
                api_key,
                ..builtin()
            },
            "api_key",
            "built-in",
        );
        let dimensions = Some(5);
        check_refused(
            &EmbedderConfig {
                dimensions,
                ..builtin()
            },
            "dimensions",
            "built-in",
        );
        let own = crate::builtin().model();
        EmbedderConfig {
            model: Some(own.name),
            dimensions: Some(own.dim),
            ..builtin()
        }
        .check()
        .unwrap();
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        ollama().check().unwrap();
        check_refused(
            &EmbedderConfig {
                model: None,
                ..ollama()
            },
            "model",
            "is missing",
        );
        let model = Some("  ".into());
        check_refused(&EmbedderConfig { model, ..ollama() }, "model", "is missing");
        let model = Some("a\nb".into());
        check_refused(&EmbedderConfig { model, ..ollama() }, "model", "printable");
        check_refused(
            &EmbedderConfig {
                batch: 0,
                ..ollama()
            },
            "batch",
            "from 1 to 2048",
        );
        check_refused(
            &EmbedderConfig {
                batch_chars: 0,
                ..ollama()
            },
            "batch_chars",
            "is `0`",
        );
        check_refused(
            &EmbedderConfig {
                retries: 21,
                ..ollama()
            },
            "retries",
            "from 0 to 20",
        );
        let dimensions = Some(0);
        check_refused(
            &EmbedderConfig {
                dimensions,
                ..ollama()
            },
            "dimensions",
            "is `0`",
        );
        let timeout = Duration::ZERO;
        check_refused(
            &EmbedderConfig {
                timeout,
                ..ollama()
            },
            "timeout_seconds",
            "more time",
        );
        let query_prefix = "x".repeat(1001);
        check_refused(
            &EmbedderConfig {
                query_prefix,
                ..ollama()
            },
            "query_prefix",
            "shorten",
        );
    }
}
