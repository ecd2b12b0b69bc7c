//! What operators watch.

use crate::client::{TestServer, registry};
use crate::toy::{self, note};
use athena_core::{Code, Error};
use athena_server::Server;
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_running_process_is_healthy_and_ready() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(
        server.get("/readyz").await.json(),
        json!({"status": "ready"})
    );
}

#[tokio::test]
async fn a_process_that_cannot_serve_says_why() {
    let server = TestServer::start_with(|builder| {
        builder.readiness(|| {
            Box::pin(async { Err(Error::new(Code::NewerStore, "the store is newer")) })
        })
    })
    .await;
    let answer = server.get("/readyz").await;
    assert_eq!(
        answer.expect_problem(503, "unavailable")["detail"],
        "the store is newer"
    );
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn requests_are_counted_without_what_users_wrote() {
    let server = TestServer::start().await;
    server.post("/api/v1/notes", &note("secret")).await;
    server.get("/api/v1/notes/4711").await;
    server.get("/secret").await;
    let metrics = server.get("/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for line in [
        r#"athena_requests_total{face="rest",operation="note.create",status="201"} 1"#,
        r#"athena_requests_total{face="rest",operation="note.get",status="404"} 1"#,
        r#"athena_requests_total{face="rest",operation="other",status="404"} 1"#,
        "athena_requests_in_flight 1",
    ] {
        assert!(
            metrics.text().lines().any(|found| found == line),
            "no `{line}` in\n{}",
            metrics.text()
        );
    }
    assert!(!metrics.text().contains("secret") && !metrics.text().contains("4711"));
}

#[tokio::test]
async fn other_machines_cannot_be_served() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let served = Server::builder(registry(), toy::env().await)
        .serve(listener, std::future::pending())
        .await;
    assert_eq!(served.unwrap_err().code(), Code::Denied);
}
