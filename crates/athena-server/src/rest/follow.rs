//! Following an answer that grows, as server-sent events.
//!
//! The operation is asked again and again with the number of the last item as `after`. Each item is an
//! event: its `seq` as the `id`, its `kind` as the name, itself as the data. A client that lost its
//! connection comes back with `Last-Event-ID` and misses nothing.

use crate::app::App;
use crate::problem::Problem;
use athena_core::{Entry, Error};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::sync::Arc;

/// The form in which an answer is followed.
pub(crate) const MEDIA_TYPE: &str = "text/event-stream";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long one question waits for something new, in seconds; a comment then tells that the server
/// is still there.
const WAIT_SECONDS: u64 = 10;

/// Whether a client asks to follow an operation's answer.
pub(super) fn is_asked(entry: &Entry, headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','));
    let is_stream = |one: &str| one.split(';').next().map(str::trim) == Some(MEDIA_TYPE);
    entry.spec.followed && accepted.any(is_stream)
}

/// Where a stream stands.
struct Follower {
    app: Arc<App>,
    operation: &'static str,
    input: Map<String, Value>,
    /// What was asked already and is not sent yet.
    first: Option<Value>,
    ended: bool,
}

/// Answers with a stream of what follows; a first question that fails is answered as usual.
pub(super) async fn follow(
    app: &Arc<App>,
    entry: &Entry,
    mut input: Map<String, Value>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if let Some(last) = headers.get(LAST_EVENT_ID) {
        let after = last.to_str().ok().and_then(|id| id.parse::<u64>().ok());
        let after = after.ok_or_else(|| {
            Problem::invalid(
                "Last-Event-ID",
                "must be the id of an event, a whole number",
            )
        })?;
        input.insert("after".into(), json!(after));
    }
    let mut follower = Follower {
        app: Arc::clone(app),
        operation: entry.spec.name,
        input,
        first: None,
        ended: false,
    };
    follower.input.insert("wait_seconds".into(), json!(0));
    follower.first = Some(follower.ask().await?);
    follower
        .input
        .insert("wait_seconds".into(), json!(WAIT_SECONDS));
    let events = stream::unfold(follower, |mut follower| async move {
        let events = follower.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(events)), follower))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl Follower {
    async fn ask(&self) -> Result<Value, Error> {
        let input = Value::Object(self.input.clone());
        let ctx = self.app.ctx("rest");
        self.app.perform(self.operation, ctx, input, None).await
    }

    /// Returns the next events; none when the server ends or the operation fails.
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        let answer = match self.first.take() {
            Some(answer) => Ok(answer),
            None => {
                let mut closing = self.app.closing.subscribe();
                tokio::select! {
                    answer = self.ask() => answer,
                    _ = closing.wait_for(|closing| *closing) => return None,
                }
            }
        };
        match answer {
            Ok(answer) => {
                self.input.insert("after".into(), answer["after"].clone());
                Some(events(&answer))
            }
            Err(error) => {
                self.ended = true;
                let said = json!({"code": error.code().as_str(), "detail": self.app.redact(error.message())});
                Some(format!("event: error\ndata: {said}\n\n"))
            }
        }
    }
}

/// Writes the items of an answer as events; a comment where there are none.
fn events(answer: &Value) -> String {
    let mut events = String::new();
    if answer["missed"] == true {
        // Whoever comes back goes on from where the list goes on, items or not.
        events.push_str("event: missed\n");
        if answer["items"].as_array().is_none_or(Vec::is_empty) {
            events.push_str(&format!("id: {}\n", answer["after"]));
        }
        events.push_str("data: {}\n\n");
    }
    for item in answer["items"].as_array().into_iter().flatten() {
        let kind = item["kind"].as_str().unwrap_or("message");
        events.push_str(&format!(
            "id: {}\nevent: {kind}\ndata: {item}\n\n",
            item["seq"]
        ));
    }
    if events.is_empty() {
        events.push_str(": nothing new\n\n");
    }
    events
}
