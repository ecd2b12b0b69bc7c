//! Rejections: one type for all of them, one place where a code becomes a status.
//!
//! A handler answers a [`Problem`] without a body. The door, which knows the request's id, writes
//! the body when the response leaves: `application/problem+json` (RFC 9457), or a JSON-RPC error
//! for `/mcp`.

use athena_core::{Code, Error};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::error::Error as _;

/// The media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not served.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    field: Option<String>,
}

/// What sort of problem it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The operation failed.
    Operation(Code),
    /// No route has that path.
    UnknownPath,
    /// The path is known, but not with that method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// The request comes from somewhere else than this machine, or through a web page.
    ForeignOrigin,
}

impl Kind {
    /// Returns the status. Nowhere else does a code become one.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Operation(code) => match code {
                Code::InvalidInput => StatusCode::BAD_REQUEST,
                Code::ContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Code::NotFound => StatusCode::NOT_FOUND,
                Code::Conflict | Code::InvalidState => StatusCode::CONFLICT,
                Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
                Code::IdempotencyMismatch | Code::EmbeddingMismatch => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                Code::Denied | Code::ReadOnly => StatusCode::FORBIDDEN,
                Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
                Code::Busy | Code::Unavailable | Code::NewerStore => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
                Code::Unsupported => StatusCode::NOT_IMPLEMENTED,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
        }
    }

    /// Returns the stable code, the last part of the problem's type.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Operation(code) => code.as_str(),
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::ForeignOrigin => "foreign_origin",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Operation(code) => code.title(),
            Self::UnknownPath => "Unknown path",
            Self::MethodNotAllowed => "Method not allowed",
            Self::RequestTimeout => "Request took too long to arrive",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::ForeignOrigin => "Foreign origin",
        }
    }

    /// Returns after how many seconds the same request may succeed, if waiting helps.
    fn retry_after(self) -> Option<HeaderValue> {
        match self {
            Self::Operation(Code::Busy) => Some(HeaderValue::from_static("1")),
            Self::Operation(Code::Unavailable) => Some(HeaderValue::from_static("5")),
            _ => None,
        }
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            field: None,
        }
    }

    /// A part of the request that is not allowed; `problem` continues the sentence "`field` …".
    pub(crate) fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Error::invalid(field, problem).into()
    }

    /// A request that cannot be read as a whole.
    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Operation(Code::InvalidInput), detail)
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns it with what the caller will read passed through `redact`.
    pub(crate) fn redacted(&self, redact: impl Fn(&str) -> String) -> Self {
        Self {
            kind: self.kind,
            detail: redact(&self.detail).into(),
            field: self.field.as_deref().map(redact),
        }
    }

    /// Returns the problem document.
    pub(crate) fn document(&self, instance: &str, request_id: &str) -> Value {
        let mut document = json!({
            "type": format!("urn:athena:problem:{}", self.kind.code()),
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
            "detail": self.detail,
            "instance": instance,
            "code": self.kind.code(),
            "request_id": request_id,
        });
        if let Some(field) = &self.field {
            document["errors"] = json!([{"field": field, "detail": self.detail}]);
        }
        document
    }
}

impl From<Error> for Problem {
    /// Takes what is for the caller and leaves the cause in the log.
    fn from(error: Error) -> Self {
        let problem = Self {
            kind: Kind::Operation(error.code()),
            detail: error.message().to_owned().into(),
            field: error.field().map(str::to_owned),
        };
        log(&error, problem.kind.status());
        problem
    }
}

/// Logs a failure that is not the caller's, with its causes.
pub(crate) fn log(error: &Error, status: StatusCode) {
    if status.is_server_error() {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        tracing::error!(code = %error.code(), causes = causes.join(": "), "{error}");
    }
}

impl IntoResponse for Problem {
    /// Answers the status and headers; the door writes the body.
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        if let Some(seconds) = self.kind.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.kind == Kind::UnsupportedMediaType {
            response
                .headers_mut()
                .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        }
        if self.kind == Kind::RequestTimeout {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_error_status() {
        for code in Code::ALL {
            let status = Kind::Operation(code).status();
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{code} is {status}"
            );
        }
    }

    #[test]
    fn only_what_is_no_fault_of_the_caller_is_a_server_error() {
        let faults = [
            Code::NewerStore,
            Code::StorageFull,
            Code::Busy,
            Code::Timeout,
            Code::Unavailable,
            Code::Unsupported,
            Code::Internal,
        ];
        for code in Code::ALL {
            let status = Kind::Operation(code).status();
            assert_eq!(
                status.is_server_error(),
                faults.contains(&code),
                "{code} is {status}"
            );
        }
    }

    #[test]
    fn the_document_names_the_field() {
        let problem = Problem::invalid("limit", "must be at most 100, is 101");
        assert_eq!(
            problem.document("/api/v1/notes", "r1"),
            json!({
                "type": "urn:athena:problem:invalid_input",
                "title": "Invalid input",
                "status": 400,
                "detail": "`limit` must be at most 100, is 101",
                "instance": "/api/v1/notes",
                "code": "invalid_input",
                "request_id": "r1",
                "errors": [{"field": "limit", "detail": "`limit` must be at most 100, is 101"}],
            })
        );
    }

    #[test]
    fn causes_stay_in_the_log() {
        let problem = Problem::from(Error::internal("the secret cause"));
        assert!(!problem.document("/", "r1").to_string().contains("secret"));
    }
}
