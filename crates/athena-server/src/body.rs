//! Reading a request's body within its limits.

use crate::Limits;
use crate::problem::{Kind, Problem};
use athena_core::Code;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// How many times the limit is read and thrown away before a client that sends too much is cut off.
///
/// Most clients look at the answer only when they have sent everything.
const DISCARDED_LIMITS: usize = 4;

/// Reads a whole body.
pub(crate) async fn read(body: Body, limits: &Limits) -> Result<Bytes, Problem> {
    let seconds = limits.body_timeout.as_secs_f64();
    tokio::time::timeout(limits.body_timeout, collect(body, limits.body_bytes))
        .await
        .unwrap_or_else(|_| {
            let detail =
                format!("the body did not arrive within {seconds} s; send it without pauses");
            Err(Problem::new(Kind::RequestTimeout, detail))
        })
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut collected = BytesMut::new();
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Problem::malformed("the body ended before it was complete"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        received = received.saturating_add(data.len());
        if received <= limit {
            collected.extend_from_slice(&data);
        } else if received / DISCARDED_LIMITS > limit {
            break;
        }
    }
    if received > limit {
        let detail = format!("the body is larger than {limit} bytes; send it in parts");
        return Err(Problem::new(Kind::Operation(Code::ContentTooLarge), detail));
    }
    Ok(collected.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_within(limit: usize, body: &'static str) -> Result<Bytes, Problem> {
        read(
            Body::from(body),
            &Limits {
                body_bytes: limit,
                ..Limits::default()
            },
        )
        .await
    }

    #[tokio::test]
    async fn the_limit_itself_is_allowed() {
        assert_eq!(read_within(5, "12345").await.unwrap(), "12345");
        assert_eq!(read_within(0, "").await.unwrap(), "");
    }

    #[tokio::test]
    async fn one_byte_more_is_too_large() {
        let problem = read_within(5, "123456").await.unwrap_err();
        assert_eq!(problem.kind(), Kind::Operation(Code::ContentTooLarge));
    }
}
