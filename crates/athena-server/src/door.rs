//! What every request passes on its way in and every response on its way out.
//!
//! In: the id of the request, whether it comes from this machine, whether there is room for it.
//! Out: the body of a problem, the id, the counters.

use crate::app::App;
use crate::problem::{self, Kind, Problem};
use crate::{mcp, rest};
use athena_core::Code;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// The header that carries the id of a request, in both directions.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Marks a response with the operation that made it, for the counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served(pub(crate) &'static str);

/// Lets a request in and its response out.
pub(crate) async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers(), |id| app.redact(id) == id);
    let path = request.uri().path().to_owned();
    // At the level of errors, so that every line of the log names its request.
    let span = tracing::error_span!("request", id = %id, method = %request.method());
    let _in_flight = app.metrics.begin();
    let mut response = admit(&app, request, next).instrument(span).await;
    let served = response.extensions_mut().remove::<Served>();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write_problem(&app, &mut response, &problem, &path, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let (status, took) = (response.status().as_u16(), started.elapsed());
    let face = if path == mcp::PATH {
        "mcp-http"
    } else {
        "rest"
    };
    let operation = served.map_or("other", |served| served.0);
    app.metrics.record(face, operation, status, took);
    tracing::debug!(id = %id, operation, status, milliseconds = took.as_secs_f64() * 1000.0, "answered");
    response
}

/// Runs the request if it may come in and there is room for it.
async fn admit(app: &App, request: Request, next: Next) -> Response {
    if let Err(problem) = check_source(request.uri(), request.headers()) {
        return problem.into_response();
    }
    let is_watched = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    let slot = app.slots.try_acquire();
    if slot.is_err() && !is_watched {
        let detail = "too many requests are being served; try again in a moment";
        return Problem::new(Kind::Operation(Code::Busy), detail).into_response();
    }
    next.run(request).await
}

/// Writes the body of a problem in the form that the path's clients read.
fn write_problem(app: &App, response: &mut Response, problem: &Problem, path: &str, id: &str) {
    let problem = problem.redacted(|text| app.redact(text).into_owned());
    let (media_type, document) = if path == mcp::PATH {
        ("application/json", mcp::error_document(&problem))
    } else {
        let path = rest::redacted_path(path, |text| app.redact(text));
        (problem::MEDIA_TYPE, problem.document(&path, id))
    };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    *response.body_mut() = Body::from(document.to_string());
}

/// Takes over the caller's id if it is short and plain and `is_harmless`, else makes one.
fn request_id(headers: &HeaderMap, is_harmless: impl Fn(&str) -> bool) -> String {
    let is_plain = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(is_plain)
        .filter(|id| is_harmless(id))
        .map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// Refuses requests that reach this machine under another name or from another site's page.
///
/// A page in the user's browser can send requests to loopback addresses. Its `Origin` tells on it,
/// and when its own name was rebound to loopback, its `Host` does.
fn check_source(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        _ => {
            return Err(Problem::malformed(
                "the request must have one `Host` header",
            ));
        }
    };
    let host = host
        .to_str()
        .ok()
        .and_then(|host| Authority::try_from(host).ok());
    if !host.is_some_and(|host| is_loopback(host.host())) {
        return Err(foreign(
            "`Host` must be a loopback name, such as `localhost` or `127.0.0.1`",
        ));
    }
    if uri
        .authority()
        .is_some_and(|authority| !is_loopback(authority.host()))
    {
        return Err(foreign(
            "the request must be for a loopback name, such as `localhost`",
        ));
    }
    if !headers
        .get_all(header::ORIGIN)
        .iter()
        .all(is_loopback_origin)
    {
        return Err(foreign(
            "`Origin` must be a page of this machine, such as `http://localhost`",
        ));
    }
    Ok(())
}

fn foreign(detail: &'static str) -> Problem {
    Problem::new(Kind::ForeignOrigin, detail)
}

fn is_loopback_origin(origin: &HeaderValue) -> bool {
    origin
        .to_str()
        .ok()
        .and_then(|origin| Uri::try_from(origin).ok())
        .is_some_and(|origin| {
            matches!(origin.scheme_str(), Some("http" | "https"))
                && origin.host().is_some_and(is_loopback)
        })
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> Result<(), Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        check_source(&Uri::from_static("/"), &headers)
    }

    #[test]
    fn this_machine_may_come_in_by_any_of_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:7717",
            "127.8.9.10",
            "[::1]:7717",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(check(host, None).is_ok(), "{host}");
        }
        for origin in [
            "http://localhost",
            "https://127.0.0.1:3000",
            "http://[::1]:6274",
        ] {
            assert!(check("localhost", Some(origin)).is_ok(), "{origin}");
        }
    }

    #[test]
    fn other_hosts_and_origins_may_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.nip.io:7717",
            "a b",
        ] {
            assert_eq!(
                check(host, None).unwrap_err().kind(),
                Kind::ForeignOrigin,
                "{host}"
            );
        }
        for origin in [
            "null",
            "http://evil.example",
            "http://localhost.evil.example",
            "file:///",
            "chrome://localhost",
        ] {
            assert_eq!(
                check("localhost", Some(origin)).unwrap_err().kind(),
                Kind::ForeignOrigin,
                "{origin}"
            );
        }
    }

    #[test]
    fn a_proxy_request_for_another_host_is_foreign() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        let uri = Uri::from_static("http://evil.example/healthz");
        assert!(check_source(&uri, &headers).is_err());
    }

    #[test]
    fn ids_that_are_not_plain_are_replaced() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(value));
            request_id(&headers, |id| id != "personal")
        };
        assert_eq!(id("Build-7.2:a_b"), "Build-7.2:a_b");
        assert_ne!(id("two words"), "two words");
        assert_ne!(id(""), "");
        assert_ne!(id("personal"), "personal");
    }
}
