//! Clients and operations that do not behave.

use crate::client::{Answer, TestServer, request};
use crate::toy::Gate;
use athena_server::Limits;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_millis(50);

async fn start_with(limits: Limits) -> TestServer {
    TestServer::start_with(|builder| builder.limits(limits)).await
}

#[tokio::test]
async fn slow_headers_are_closed() {
    let server = start_with(Limits {
        header_timeout: SOON,
        ..Limits::default()
    })
    .await;
    for beginning in [&b""[..], b"GET /healthz HTTP/1.1\r\nhost: local"] {
        let mut stream = server.connect().await;
        stream.write_all(beginning).await.unwrap();
        // Ends only because the server closes; what it says on the way out is the library's.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(
            !rest.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&rest)
        );
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_a_timeout() {
    let server = start_with(Limits {
        body_timeout: SOON,
        ..Limits::default()
    })
    .await;
    for path in ["/api/v1/notes", "/mcp"] {
        let mut stream = server.connect().await;
        let headers = [
            ("content-length", "100"),
            ("accept", "application/json, text/event-stream"),
        ];
        stream
            .write_all(&request("POST", path, &headers, b"{\"ti"))
            .await
            .unwrap();
        let answer = Answer::read(&mut stream).await;
        assert_eq!(answer.status, 408, "{}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"));
        if path == "/mcp" {
            assert_eq!(answer.json()["error"]["code"], -32600);
        } else {
            answer.expect_problem(408, "request_timeout");
        }
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_nobodys_loss() {
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    stream
        .write_all(&request(
            "POST",
            "/api/v1/notes",
            &[("content-length", "100")],
            b"{",
        ))
        .await
        .unwrap();
    drop(stream);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn an_operation_that_takes_too_long_is_a_timeout() {
    let server = start_with(Limits {
        operation_timeout: SOON,
        ..Limits::default()
    })
    .await;
    let answer = server.post("/api/v1/calls/wait", &json!({})).await;
    answer.expect_problem(504, "timeout");
}

#[tokio::test]
async fn more_requests_than_allowed_are_told_to_come_back() {
    let server = Arc::new(
        start_with(Limits {
            requests: 1,
            ..Limits::default()
        })
        .await,
    );
    let gate = server.env.part::<Gate>();
    let waiting = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.post("/api/v1/calls/wait", &json!({})).await.status }
    });
    gate.arrived.notified().await;
    let refused = server.get("/api/v1/notes").await;
    refused.expect_problem(503, "busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.get("/healthz").await.status, 200);
    gate.open.notify_one();
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(server.get("/api/v1/notes").await.status, 200);
}

#[tokio::test]
async fn more_connections_than_allowed_are_told_to_come_back() {
    let server = start_with(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    first.read_u8().await.unwrap();
    let mut second = server.connect().await;
    let refused = Answer::read(&mut second).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(refused.json()["code"], "busy");
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_its_operation() {
    let server = TestServer::start().await;
    let gate = server.env.part::<Gate>();
    let mut stream = server.connect().await;
    stream
        .write_all(&request("POST", "/api/v1/calls/wait", &[], b"{}"))
        .await
        .unwrap();
    gate.arrived.notified().await;
    drop(stream);
    gate.open.notify_one();
    gate.passed.notified().await;
}

#[tokio::test]
async fn running_requests_end_before_the_server_does() {
    let mut server = TestServer::start().await;
    let env = Arc::clone(&server.env);
    let gate = env.part::<Gate>();
    let mut stream = server.connect().await;
    stream
        .write_all(&request("POST", "/api/v1/calls/wait", &[], b"{}"))
        .await
        .unwrap();
    gate.arrived.notified().await;
    server.begin_stop();
    gate.open.notify_one();
    assert_eq!(Answer::read(&mut stream).await.status, 200);
    server.stopped().await;
}

#[tokio::test]
async fn the_server_does_not_wait_for_ever() {
    let mut server = start_with(Limits {
        grace: SOON,
        ..Limits::default()
    })
    .await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: loc")
        .await
        .unwrap();
    let env = Arc::clone(&server.env);
    let mut stream = server.connect().await;
    stream
        .write_all(&request("POST", "/api/v1/calls/wait", &[], b"{}"))
        .await
        .unwrap();
    env.part::<Gate>().arrived.notified().await;
    server.begin_stop();
    server.stopped().await;
}
