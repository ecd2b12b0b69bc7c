//! REST: every operation of the registry as a route under `/api/v1`.
//!
//! One handler serves all routes. It gathers the input from where the operation's method puts it,
//! has the registry check and perform it, and answers the output as it is.

mod arguments;
mod conditions;
mod follow;

use crate::app::App;
use crate::door::Served;
use crate::problem::Problem;
use crate::{body, openapi};
use athena_core::{Effect, Entry, Method};
use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use self::arguments::{check_media_type, path_fields, redacted_path};
pub(crate) use self::conditions::{EXPECTED_VERSION, has_version};
pub(crate) use self::follow::MEDIA_TYPE as EVENT_STREAM;

/// The path below which all operations are.
pub(crate) const PREFIX: &str = "/api/v1";

/// The longest idempotency key.
pub(crate) const IDEMPOTENCY_KEY_CHARS: usize = 255;

/// Makes the routes of all operations.
pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let mut by_path: BTreeMap<String, MethodRouter<Arc<App>>> = BTreeMap::new();
    for (index, entry) in app.registry.entries().iter().enumerate() {
        let route = Arc::new(Route {
            app: Arc::clone(app),
            index,
            location: location(app, entry),
        });
        let handler = move |request: Request| answer(Arc::clone(&route), request);
        let methods = by_path
            .remove(&pattern(entry.spec.http.path))
            .unwrap_or_default();
        by_path.insert(
            pattern(entry.spec.http.path),
            methods.merge(on(filter(entry.spec.http.method), handler)),
        );
    }
    by_path
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            router.route(&path, methods)
        })
}

/// A route and what was found out about it beforehand.
struct Route {
    app: Arc<App>,
    index: usize,
    location: Option<Location>,
}

/// Where what an operation made can be read again.
struct Location {
    path: &'static str,
    field: &'static str,
}

impl Route {
    fn entry(&self) -> &Entry {
        &self.app.registry.entries()[self.index]
    }
}

/// Writes a path the way the router wants it, with fields named by their place.
///
/// Two operations may call the same place by different names.
fn pattern(path: &str) -> String {
    let mut place = 0;
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            place += 1;
            format!("{{f{place}}}")
        } else {
            segment.to_owned()
        }
    });
    format!("{PREFIX}{}", segments.collect::<Vec<_>>().join("/"))
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

/// Finds the operation that reads one of what this operation makes: the same path and one field.
fn location(app: &App, entry: &Entry) -> Option<Location> {
    openapi::location_of(&app.registry, entry).map(|(reader, field)| Location {
        path: reader.spec.http.path,
        field,
    })
}

async fn answer(route: Arc<Route>, request: Request) -> Response {
    let mut response = serve(&route, request)
        .await
        .unwrap_or_else(IntoResponse::into_response);
    response
        .extensions_mut()
        .insert(Served(route.entry().spec.name));
    response
}

async fn serve(route: &Route, request: Request) -> Result<Response, Problem> {
    let (app, entry) = (&route.app, route.entry());
    let (mut parts, request_body) = request.into_parts();
    let idempotency_key = idempotency_key(entry, &parts.headers)?;
    let mut input = path_arguments(app, entry, &mut parts).await?;
    if entry.spec.http.method.has_body() {
        arguments::refuse_query(parts.uri.query())?;
        let bytes = body::read(request_body, &app.limits).await?;
        arguments::add_body(
            &mut input,
            entry,
            app.registry.components(),
            &parts.headers,
            &bytes,
        )?;
    } else {
        arguments::refuse_body(&parts.headers)?;
        arguments::add_query(
            &mut input,
            entry,
            app.registry.components(),
            parts.uri.query().unwrap_or(""),
        )?;
    }
    conditions::add_expected_version(&mut input, entry, app.registry.components(), &parts.headers)?;
    if follow::is_asked(entry, &parts.headers) {
        return follow::follow(app, entry, input, &parts.headers).await;
    }
    let output = app
        .perform(
            entry.spec.name,
            app.ctx("rest"),
            Value::Object(input),
            idempotency_key,
        )
        .await?;
    Ok(respond(route, &parts.headers, &output))
}

async fn path_arguments(
    app: &App,
    entry: &Entry,
    parts: &mut Parts,
) -> Result<Map<String, Value>, Problem> {
    if !entry.spec.http.path.contains('{') {
        return Ok(Map::new());
    }
    let texts = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| {
            Problem::malformed("the path is not UTF-8; percent-encode its bytes as UTF-8")
        })?;
    Ok(arguments::from_path(
        entry,
        app.registry.components(),
        texts.iter().map(|(_, text)| text),
    ))
}

/// Reads the key that makes a repeated write answer what the first one did.
fn idempotency_key(entry: &Entry, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const NAME: &str = "Idempotency-Key";
    if entry.spec.effect == Effect::Read {
        return Ok(None);
    }
    let mut keys = headers.get_all(NAME).iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::invalid(NAME, "is given twice")),
        (Some(key), None) => {
            let is_visible = |key: &&[u8]| {
                (1..=IDEMPOTENCY_KEY_CHARS).contains(&key.len())
                    && key.iter().all(u8::is_ascii_graphic)
            };
            let key = Some(key.as_bytes())
                .filter(is_visible)
                .and_then(|key| std::str::from_utf8(key).ok());
            key.map(|key| Some(key.to_owned()))
                .ok_or_else(|| Problem::invalid(NAME, "must be 1 to 255 visible ASCII characters"))
        }
    }
}

fn respond(route: &Route, request: &HeaderMap, output: &Value) -> Response {
    let entry = route.entry();
    let etag = conditions::etag(entry, output);
    let mut headers = HeaderMap::new();
    if let Some(etag) = &etag {
        headers.insert(header::ETAG, etag.clone());
        if entry.spec.http.method == Method::Get && conditions::is_known(request, etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
    }
    if let Some(location) = route
        .location
        .as_ref()
        .and_then(|location| location.of(output))
    {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let status = StatusCode::from_u16(entry.spec.http.status).unwrap_or(StatusCode::OK);
    (status, headers, output.to_string()).into_response()
}

impl Location {
    fn of(&self, output: &Value) -> Option<HeaderValue> {
        let value = match output.get(self.field)? {
            Value::String(text) => arguments::percent_encode(text),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let path = self.path.replace(&format!("{{{}}}", self.field), &value);
        HeaderValue::try_from(format!("{PREFIX}{path}")).ok()
    }
}
