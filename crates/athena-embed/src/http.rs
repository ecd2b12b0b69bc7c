//! One server, asked politely: timeouts, repeated attempts, a limit to what is read.
//!
//! The transport knows nothing of embeddings. Errors say which server it was and what it did; they
//! never hold the request, the answer, the key or more of the URL than scheme, host and port.
//!
//! Redirects are not followed, because they would carry text and key to another host. A server on
//! this machine is reached without a proxy; others through the one of the environment
//! (`HTTPS_PROXY`, `NO_PROXY`).

use crate::config::{EmbedderConfig, Provider, Secret, invalid};
use crate::retry::{Backoff, retry_after};
use athena_core::{Code, Error, Result};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// A server and how to reach it.
pub(crate) struct Transport {
    provider: Provider,
    url: Url,
    authorization: Option<HeaderValue>,
    connect_timeout: Duration,
    timeout: Duration,
    backoff: Backoff,
    max_response_bytes: usize,
    /// Made at the first request: reading the certificates of the system takes a while.
    client: OnceLock<Client>,
}

/// How long to go on with one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For all attempts together, the waiting between them included.
    pub(crate) within: Duration,
    /// How many attempts may follow the first.
    pub(crate) retries: u32,
}

impl Transport {
    pub(crate) fn new(config: &EmbedderConfig) -> Result<Self> {
        let url = endpoint(config.provider, config.url.as_deref())?;
        let authorization = config.api_key.as_ref().map(bearer).transpose()?;
        check_credentials(&url, authorization.is_some())?;
        Ok(Self {
            provider: config.provider,
            url,
            authorization,
            connect_timeout: config.connect_timeout,
            timeout: config.timeout,
            backoff: config.backoff,
            max_response_bytes: config.max_response_bytes,
            client: OnceLock::new(),
        })
    }

    /// Posts JSON and returns the answer's body, trying again as long as patience lasts.
    pub(crate) async fn post(&self, body: &[u8], patience: Patience) -> Result<Vec<u8>> {
        let client = self.client()?;
        let deadline = Instant::now() + patience.within;
        let mut failures = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let trouble = match self.attempt(client, body, self.timeout.min(left)).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let wait = self.backoff.delay(failures, trouble.asked, rand::random());
            let left = deadline.saturating_duration_since(Instant::now());
            if !trouble.may_pass || failures == patience.retries || wait >= left {
                return Err(self.error(trouble, failures + 1));
            }
            tracing::debug!(
                provider = %self.provider,
                problem = trouble.what,
                attempt = failures + 1,
                wait_ms = wait.as_millis(),
                "embedding is tried again"
            );
            tokio::time::sleep(wait).await;
            failures += 1;
        }
    }

    /// Says which server it is, as the beginning of a sentence.
    pub(crate) fn who(&self) -> String {
        format!("{} at `{}`", self.provider, origin(&self.url))
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.make_client().map_err(|error| {
            let message = format!(
                "no connection to {} can be prepared; its `https` needs the certificates of this \
                 system (package `ca-certificates`)",
                self.who()
            );
            Error::new(Code::Unavailable, message).with_source(error.without_url())
        })?;
        Ok(self.client.get_or_init(|| client))
    }

    fn make_client(&self) -> reqwest::Result<Client> {
        install_crypto();
        let mut builder = Client::builder()
            .user_agent(concat!("athena/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if self.url.scheme() == "http" {
            // Without TLS no certificate is needed, and a machine without any must work too.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&self.url) {
            builder = builder.no_proxy();
        }
        builder.build()
    }

    async fn attempt(
        &self,
        client: &Client,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        let mut request = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .timeout(timeout)
            .body(body.to_vec());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request
            .send()
            .await
            .map_err(|error| Trouble::transport(error, timeout))?;
        if !response.status().is_success() {
            return Err(Trouble::status(&response, self.provider));
        }
        self.read(response, timeout).await
    }

    /// Reads the body up to the limit, whatever length the server announced.
    async fn read(&self, mut response: Response, timeout: Duration) -> Result<Vec<u8>, Trouble> {
        let limit = self.max_response_bytes;
        if response
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(Trouble::too_long(limit));
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                    return Err(Trouble::too_long(limit));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => return Err(Trouble::transport(error, timeout)),
            }
        }
    }

    fn error(&self, trouble: Trouble, attempts: u32) -> Error {
        let mut message = format!("{} {}", self.who(), trouble.what);
        if attempts > 1 {
            write!(message, " ({attempts} attempts)").expect("a string can be written to");
        }
        if let Some(asked) = trouble.asked {
            write!(message, ", asking to wait {} s", asked.as_secs())
                .expect("a string can be written to");
        }
        write!(message, "; {}", trouble.hint).expect("a string can be written to");
        let error = Error::new(trouble.code, message);
        match trouble.source {
            Some(source) => error.with_source(source.without_url()),
            None => error,
        }
    }
}

/// Why one attempt failed.
struct Trouble {
    code: Code,
    /// Continues the sentence that the server begins.
    what: String,
    /// The way out.
    hint: &'static str,
    /// Whether the same request may succeed later.
    may_pass: bool,
    /// How long the server asked to be left alone.
    asked: Option<Duration>,
    source: Option<reqwest::Error>,
}

impl Trouble {
    fn new(code: Code, what: impl Into<String>, hint: &'static str) -> Self {
        Self {
            code,
            what: what.into(),
            hint,
            may_pass: false,
            asked: None,
            source: None,
        }
    }

    fn transport(error: reqwest::Error, timeout: Duration) -> Self {
        let trouble = if error.is_timeout() {
            let what = format!("did not answer within {} s", timeout.as_secs_f64());
            let hint = "see whether it is busy, or raise `embedder.timeout_seconds`";
            Self::new(Code::Timeout, what, hint)
        } else if error.is_connect() {
            let hint = match error.url().map(Url::scheme) {
                Some("https") => "start it, correct `embedder.url`, or trust its certificate",
                _ => "start it, or correct `embedder.url`",
            };
            Self::new(Code::Unavailable, "cannot be reached", hint)
        } else {
            Self::new(Code::Unavailable, "broke the connection off", "see its log")
        };
        Self {
            may_pass: true,
            source: Some(error),
            ..trouble
        }
    }

    fn status(response: &Response, provider: Provider) -> Self {
        let status = response.status();
        let (code, hint) = status_meaning(status, provider);
        let what = match status.canonical_reason() {
            Some(reason) => format!("answered status {} ({reason})", status.as_u16()),
            None => format!("answered status {}", status.as_u16()),
        };
        let header = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let asked = header
            .filter(|_| matches!(status.as_u16(), 429 | 503))
            .and_then(|header| retry_after(header, Timestamp::now()));
        Self {
            may_pass: status_may_pass(status),
            asked,
            ..Self::new(code, what, hint)
        }
    }

    fn too_long(limit: usize) -> Self {
        let what = format!("answered more than {limit} bytes");
        let hint = "lower `embedder.batch`, or raise `embedder.max_response_bytes`";
        Self::new(Code::Unavailable, what, hint)
    }
}

fn status_may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502..=504 | 506..=599)
}

/// Says what a refusal means to whoever runs Athena.
///
/// What a key, an address or a load can cure is unavailable; what lies in the texts or the model is
/// unsupported, because the same request will be refused again.
fn status_meaning(status: StatusCode, provider: Provider) -> (Code, &'static str) {
    match status.as_u16() {
        300..=399 => (
            Code::Unavailable,
            "set `embedder.url` to where it redirects",
        ),
        401 | 403 => (Code::Unavailable, "check `embedder.api_key`"),
        404 if provider == Provider::Ollama => (
            Code::Unavailable,
            "fetch the model with `ollama pull`, or correct `embedder.model` and `embedder.url`",
        ),
        404 | 405 => (
            Code::Unavailable,
            "correct `embedder.url` and `embedder.model`",
        ),
        400 | 413 | 422 => (
            Code::Unsupported,
            "a passage may be longer than the model reads, or `embedder.model` may not embed",
        ),
        429 => (Code::Unavailable, "lower the load, or raise its limits"),
        501 if provider == Provider::LlamaCpp => (
            Code::Unavailable,
            "start it with `--embeddings` and a pooling model",
        ),
        503 => (
            Code::Unavailable,
            "it may be loading its model; try again in a moment",
        ),
        _ => (Code::Unavailable, "see its log"),
    }
}

/// Returns scheme, host and port of a URL: the part that may be shown.
pub(crate) fn shown(url: &str) -> String {
    match Url::parse(url.trim()) {
        Ok(url) if url.has_host() => origin(&url),
        _ => "[not a URL]".to_owned(),
    }
}

fn origin(url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!(
        "{}://{}{port}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

/// Reads the address of a server and adds the route if it names only the base.
///
/// Errors do not repeat the text, which may hold a password.
fn endpoint(provider: Provider, url: Option<&str>) -> Result<Url> {
    let text = url.or(provider.default_url()).unwrap_or_default().trim();
    let parsed = Url::parse(text).ok();
    let mut url = parsed
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| {
            invalid(
                "url",
                "is not a web address; write it as `http://host:port`",
            )
        })?;
    let path = url.path().trim_end_matches('/').to_owned();
    let path = match provider {
        Provider::Ollama => ollama_path(&path)?,
        Provider::Builtin | Provider::LlamaCpp | Provider::OpenAi | Provider::Local => {
            openai_path(&path)
        }
    };
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

fn ollama_path(path: &str) -> Result<String> {
    if path.ends_with("/v1") || path.ends_with("/v1/embeddings") {
        let problem = "names the route that speaks OpenAI's language; leave `/v1` away, \
                       or set `embedder.provider` to `openai`";
        return Err(invalid("url", problem));
    }
    let base = ["/api/embed", "/api/embeddings", "/api"]
        .iter()
        .find_map(|route| path.strip_suffix(route))
        .unwrap_or(path);
    Ok(format!("{base}/api/embed"))
}

fn openai_path(path: &str) -> String {
    match path {
        "" => "/v1/embeddings".to_owned(),
        path if path.ends_with("/embeddings") => path.to_owned(),
        path => format!("{path}/embeddings"),
    }
}

fn bearer(key: &Secret) -> Result<HeaderValue> {
    let key = key.expose().trim();
    if key.is_empty() {
        return Err(invalid(
            "api_key",
            "is empty; set it, or remove it if none is needed",
        ));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
        invalid(
            "api_key",
            "holds characters that cannot be sent; copy it again, without line breaks",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn check_credentials(url: &Url, has_key: bool) -> Result<()> {
    let has_login = !url.username().is_empty() || url.password().is_some();
    if has_login && has_key {
        let problem = "is set, and `embedder.url` holds a login too; keep one of them";
        return Err(invalid("api_key", problem));
    }
    if !has_login && !has_key && url.host_str() == Some("api.openai.com") {
        return Err(invalid(
            "api_key",
            "is missing; api.openai.com answers nobody without one",
        ));
    }
    if (has_login || has_key) && url.scheme() == "http" && !is_loopback(url) {
        tracing::warn!(
            server = origin(url),
            "the embedder's key is sent unencrypted; use https"
        );
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Installs the cryptography that TLS uses, unless the process has chosen one already.
fn install_crypto() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // The error means that another one is installed, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(provider: Provider, url: &str) -> String {
        endpoint(provider, Some(url)).unwrap().to_string()
    }

    #[test]
    fn routes_are_added_to_what_people_write() {
        let openai = |url| path(Provider::OpenAi, url);
        assert_eq!(openai("http://h:1"), "http://h:1/v1/embeddings");
        assert_eq!(openai("http://h:1/"), "http://h:1/v1/embeddings");
        assert_eq!(openai("https://h/v1"), "https://h/v1/embeddings");
        assert_eq!(openai("https://h/v1/"), "https://h/v1/embeddings");
        assert_eq!(openai("https://h/v1/embeddings"), "https://h/v1/embeddings");
        assert_eq!(
            openai("https://h/openai/v2?v=1#x"),
            "https://h/openai/v2/embeddings?v=1"
        );
        let ollama = |url| path(Provider::Ollama, url);
        for url in [
            "http://h",
            "http://h/",
            "http://h/api",
            "http://h/api/embed",
        ] {
            assert_eq!(ollama(url), "http://h/api/embed");
        }
        assert_eq!(ollama("http://h/api/embeddings"), "http://h/api/embed");
        assert_eq!(ollama("http://h/behind"), "http://h/behind/api/embed");
    }

    #[test]
    fn every_provider_has_a_default_address() {
        let default = |provider| endpoint(provider, None).unwrap().to_string();
        assert_eq!(
            default(Provider::Ollama),
            "http://127.0.0.1:11434/api/embed"
        );
        assert_eq!(
            default(Provider::LlamaCpp),
            "http://127.0.0.1:8080/v1/embeddings"
        );
        assert_eq!(
            default(Provider::OpenAi),
            "https://api.openai.com/v1/embeddings"
        );
    }

    #[test]
    fn other_schemes_are_refused_without_repeating_them() {
        for url in [
            "ftp://canary",
            "file:///canary",
            "canary:11434",
            "canary",
            "",
            "http://",
        ] {
            let error = endpoint(Provider::Ollama, Some(url)).unwrap_err();
            assert_eq!(error.field(), Some("embedder.url"), "{url}");
            assert!(error.message().contains("`http://host:port`"), "{url}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        let error = endpoint(Provider::Ollama, Some("http://h/v1")).unwrap_err();
        assert!(error.message().contains("`embedder.provider` to `openai`"));
    }

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        assert_eq!(shown("https://u:p@h:1/path?key=x#y"), "https://h:1");
        assert_eq!(shown("https://h"), "https://h");
        assert_eq!(shown("http://[::1]:5"), "http://[::1]:5");
        assert_eq!(shown("u:p@h"), "[not a URL]");
    }

    #[test]
    fn keys_that_cannot_be_sent_are_refused() {
        let refused = |key| bearer(&Secret::new(key)).unwrap_err();
        assert!(refused(" ").message().contains("is empty"));
        let error = refused("canary\nkey");
        assert!(error.message().contains("cannot be sent"));
        assert!(!format!("{error:?}").contains("canary"));
        assert_eq!(bearer(&Secret::new("key\n")).unwrap(), "Bearer key");
        assert!(!format!("{:?}", bearer(&Secret::new("canary"))).contains("canary"));
    }

    #[test]
    fn credentials_are_needed_once_at_most() {
        let check = |url: &str, has_key| check_credentials(&Url::parse(url).unwrap(), has_key);
        assert!(
            check("http://u:p@h", true)
                .unwrap_err()
                .message()
                .contains("keep one")
        );
        assert!(
            check("https://api.openai.com/v1", false)
                .unwrap_err()
                .message()
                .contains("missing")
        );
        check("https://api.openai.com/v1", true).unwrap();
        check("http://u:p@h", false).unwrap();
        check("http://h", false).unwrap();
    }

    #[test]
    fn this_machine_is_recognised() {
        let loopback = |url: &str| is_loopback(&Url::parse(url).unwrap());
        assert!(
            ["http://localhost:1", "http://127.9.9.9", "http://[::1]:1"]
                .into_iter()
                .all(loopback)
        );
        assert!(
            !["http://10.0.0.1", "http://localhost.evil", "http://[::2]"]
                .into_iter()
                .any(loopback)
        );
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let passes: Vec<u16> = (100..600)
            .filter(|code| status_may_pass(StatusCode::from_u16(*code).unwrap()))
            .collect();
        assert_eq!(passes[..5], [429, 500, 502, 503, 504]);
        assert!(!passes.contains(&501) && !passes.contains(&505) && !passes.contains(&408));
    }
}
