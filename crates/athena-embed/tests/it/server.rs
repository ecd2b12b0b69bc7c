//! A server on a real socket that answers as its script says and keeps what it was asked.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How the server answers one request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Vectors of three components that tell which text they belong to.
    Embed,
    /// Likewise, with this many components.
    EmbedWide(usize),
    /// This body with status 200.
    Json(Value),
    /// This text with status 200.
    Text(&'static str),
    /// This status, with a body that quotes the request.
    Status(u16),
    /// This status and a `Retry-After`.
    StatusRetryAfter(u16, &'static str),
    /// A redirect to this place.
    Redirect(String),
    /// Nothing, ever.
    Silence,
    /// Headers and half a body, then nothing, ever.
    HalfThenSilence,
    /// Headers and half a body, then the connection is cut.
    HalfThenCut,
    /// A body that does not end, of unknown length.
    Endless,
    /// A body that announces this many bytes.
    Announces(u64),
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Asked {
    /// The texts to be embedded.
    pub(crate) fn input(&self) -> Vec<&str> {
        self.body["input"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A server; it ends with the test's runtime.
pub(crate) struct Server {
    address: SocketAddr,
    script: Arc<Script>,
}

struct Script {
    replies: Mutex<VecDeque<Reply>>,
    otherwise: Option<Reply>,
    asked: Mutex<Vec<Asked>>,
    was_asked: Notify,
}

impl Server {
    /// Answers one request after the other as given; requests beyond them get status 418.
    pub(crate) async fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start(replies, None).await
    }

    /// Answers every request in the same way.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start([], Some(reply)).await
    }

    async fn start(replies: impl IntoIterator<Item = Reply>, otherwise: Option<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            replies: Mutex::new(replies.into_iter().collect()),
            otherwise,
            asked: Mutex::default(),
            was_asked: Notify::new(),
        });
        tokio::spawn(serve(listener, Arc::clone(&script)));
        Self { address, script }
    }

    /// The base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything the server was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    /// Waits for the next request that was not waited for yet.
    pub(crate) async fn until_asked(&self) {
        self.script.was_asked.notified().await;
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.script.asked.lock().unwrap().len()
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let script = Arc::clone(&script);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&script)));
            // An error means that the client or the script cut the connection.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

type Body = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;

async fn answer(request: Request<Incoming>, script: Arc<Script>) -> hyper::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let asked = Asked {
        path,
        headers: parts.headers,
        body,
    };
    let reply = script.replies.lock().unwrap().pop_front();
    let reply = reply
        .or(script.otherwise.clone())
        .unwrap_or(Reply::Status(418));
    script.asked.lock().unwrap().push(asked.clone());
    script.was_asked.notify_one();
    Ok(respond(reply, &asked).await)
}

async fn respond(reply: Reply, asked: &Asked) -> Response<Body> {
    let half = || {
        stream::iter([Ok(Frame::data(Bytes::from_static(
            b"{\"embeddings\": [[1, 0",
        )))])
    };
    match reply {
        Reply::Embed => whole(200, embeddings(asked, 3).to_string()),
        Reply::EmbedWide(width) => whole(200, embeddings(asked, width).to_string()),
        Reply::Json(value) => whole(200, value.to_string()),
        Reply::Text(text) => whole(200, text.to_owned()),
        Reply::Status(status) => whole(status, quote(asked)),
        Reply::StatusRetryAfter(status, after) => {
            let mut response = whole(status, quote(asked));
            response
                .headers_mut()
                .insert("retry-after", after.parse().unwrap());
            response
        }
        Reply::Redirect(location) => {
            let mut response = whole(307, quote(asked));
            response
                .headers_mut()
                .insert("location", location.parse().unwrap());
            response
        }
        Reply::Silence => std::future::pending().await,
        Reply::HalfThenSilence => streamed(half().chain(stream::pending()).boxed()),
        Reply::HalfThenCut => {
            let cut = stream::once(async { Err(io::Error::other("cut by the script")) });
            streamed(half().chain(cut).boxed())
        }
        Reply::Endless => streamed(
            stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b' '; 1024])))).boxed(),
        ),
        Reply::Announces(length) => {
            let mut response = streamed(half().chain(stream::pending()).boxed());
            response
                .headers_mut()
                .insert("content-length", length.into());
            response
        }
    }
}

/// An error body as the worst servers write it: it repeats what was sent, key included.
fn quote(asked: &Asked) -> String {
    format!("canary-body {asked:?}")
}

fn whole(status: u16, body: String) -> Response<Body> {
    let length = body.len() as u64;
    let mut response = streamed(stream::iter([Ok(Frame::data(Bytes::from(body)))]).boxed());
    response
        .headers_mut()
        .insert("content-length", length.into());
    *response.status_mut() = status.try_into().unwrap();
    response
}

fn streamed(stream: BoxStream<'static, io::Result<Frame<Bytes>>>) -> Response<Body> {
    Response::new(StreamBody::new(stream))
}

/// Answers in the shape that belongs to the path.
fn embeddings(asked: &Asked, width: usize) -> Value {
    let vectors: Vec<Vec<f32>> = asked
        .input()
        .iter()
        .map(|text| raw_vector(text, width))
        .collect();
    if asked.path.starts_with("/api/embed") {
        return json!({"model": asked.body["model"], "embeddings": vectors, "total_duration": 1});
    }
    let data: Vec<Value> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    json!({"object": "list", "model": asked.body["model"], "data": data, "usage": {"total_tokens": 1}})
}

/// A vector that depends on the text, not of length 1.
pub(crate) fn raw_vector(text: &str, width: usize) -> Vec<f32> {
    let sum = text.bytes().fold(0_u16, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut vector = vec![0.0; width];
    vector[0] = 3.0;
    vector[width - 1] = f32::from(sum) / 1000.0;
    vector
}
