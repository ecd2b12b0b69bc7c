//! Everything that is refused, and how.

use crate::client::{Answer, TestServer, request};
use crate::toy::note;
use athena_core::Code;
use athena_server::Limits;
use serde_json::{Value, json};

/// Checks the problem of an invalid input, and which field it names.
#[track_caller]
fn expect_invalid(answer: &Answer, field: Option<&str>, detail: &str) {
    let problem = answer.expect_problem(400, "invalid_input");
    let found = problem["detail"].as_str().unwrap();
    assert_eq!(found.split(" (line 1, column ").next(), Some(detail));
    assert_eq!(problem["errors"][0]["field"].as_str(), field);
}

#[tokio::test]
async fn unknown_paths() {
    let server = TestServer::start().await;
    for path in [
        "/",
        "/api/v1",
        "/api/v1/note",
        "/api/v1/notes/",
        "/api/v1/notes/1/2",
        "/mcp/x",
    ] {
        let problem = server.get(path).await.expect_problem(404, "unknown_path");
        assert_eq!(problem["instance"], path);
    }
}

#[tokio::test]
async fn unknown_methods_name_those_that_are_known() {
    let server = TestServer::start().await;
    for (method, path, allow) in [
        ("PUT", "/api/v1/notes", "GET,HEAD,POST"),
        ("OPTIONS", "/api/v1/notes", "GET,HEAD,POST"),
        ("BREW", "/api/v1/notes/1", "DELETE,GET,HEAD,PATCH"),
        ("GET", "/api/v1/calls/wait", "POST"),
        ("POST", "/healthz", "GET,HEAD"),
    ] {
        let answer = server.send(method, path, &[], b"").await;
        answer.expect_problem(405, "method_not_allowed");
        let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow);
    }
}

#[tokio::test]
async fn arguments_that_the_schema_does_not_allow() {
    let server = TestServer::start().await;
    let post = async |body: Value| server.post("/api/v1/notes", &body).await;
    expect_invalid(&post(json!({})).await, Some("title"), "`title` is required");
    expect_invalid(
        &post(json!({"title": ""})).await,
        Some("title"),
        "`title` must not be empty",
    );
    expect_invalid(
        &post(json!({"title": 1})).await,
        Some("title"),
        "`title` must be a string, not a number",
    );
    expect_invalid(
        &post(json!({"title": "a", "source": {"url": "b", "x": 1}})).await,
        Some("source.x"),
        "`source.x` is not a known field; known: line, url",
    );
    expect_invalid(
        &post(json!({"title": "a", "kind": "idea"})).await,
        Some("kind"),
        "`kind` is `idea`; allowed: `fact`, `plan`",
    );
    expect_invalid(
        &post(json!({"title": "a", "tags": ["b", null]})).await,
        Some("tags[1]"),
        "`tags[1]` must not be null; leave it out instead",
    );
}

#[tokio::test]
async fn paths_and_queries_that_cannot_be_arguments() {
    let server = TestServer::start().await;
    let get = async |target: &str| server.get(target).await;
    expect_invalid(
        &get("/api/v1/notes/abc").await,
        Some("id"),
        "`id` must be an integer, not a string",
    );
    expect_invalid(
        &get("/api/v1/notes/99999999999999999999").await,
        Some("id"),
        "`id` must be an integer, not a number",
    );
    expect_invalid(
        &get("/api/v1/notes?limit=101").await,
        Some("limit"),
        "`limit` must be at most 100, is 101",
    );
    expect_invalid(
        &get("/api/v1/notes?limit=x").await,
        Some("limit"),
        "`limit` must be an integer, not a string",
    );
    expect_invalid(
        &get("/api/v1/notes?limit=1&limit=1").await,
        Some("limit"),
        "`limit` is given twice, and takes one value",
    );
    expect_invalid(
        &get("/api/v1/notes?Limit=1").await,
        Some("Limit"),
        "`Limit` is not a known parameter; known: cursor, kind, limit, tags",
    );
    expect_invalid(
        &get("/api/v1/notes/1?id=2").await,
        Some("id"),
        "`id` is not a known parameter; known: ",
    );
    for target in [
        "/api/v1/notes?cursor=%ff",
        "/api/v1/notes?cursor=%c",
        "/api/v1/notes/%ff",
    ] {
        get(target).await.expect_problem(400, "invalid_input");
    }
}

#[tokio::test]
async fn arguments_in_the_wrong_place() {
    let server = TestServer::start().await;
    let answer = server.post("/api/v1/notes?title=tea", &note("tea")).await;
    expect_invalid(
        &answer,
        None,
        "the arguments of this operation belong into the body, not the query",
    );
    let answer = server.send("DELETE", "/api/v1/notes/1", &[], b"{}").await;
    expect_invalid(
        &answer,
        None,
        "the arguments of this operation belong into the query, not a body",
    );
    let chunked = b"GET /api/v1/notes HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    server
        .raw(chunked)
        .await
        .expect_problem(400, "invalid_input");
    let answer = server
        .patch("/api/v1/notes/1", &[], &json!({"id": 1, "title": "tea"}))
        .await;
    expect_invalid(&answer, Some("id"), "`id` belongs into the path only");
}

#[tokio::test]
async fn bodies_that_are_no_json_object() {
    let server = TestServer::start().await;
    let post = async |body: &[u8]| server.send("POST", "/api/v1/notes", &[], body).await;
    expect_invalid(&post(b"{").await, None, "the body is not valid JSON");
    expect_invalid(
        &post(b"{\"title\": \"\xff\"}").await,
        None,
        "the body is not valid JSON",
    );
    expect_invalid(&post(b"[]").await, None, "the body must be a JSON object");
    expect_invalid(
        &post(b"\"secret\"").await,
        None,
        "the body must be a JSON object",
    );
    expect_invalid(&post(b"null").await, None, "the body must be a JSON object");
    expect_invalid(
        &post(b"{\"title\": \"a\", \"title\": \"b\"}").await,
        None,
        "the body has the same field twice",
    );
    let deep = format!("{{\"title\": {}", "[".repeat(5000));
    post(deep.as_bytes())
        .await
        .expect_problem(400, "invalid_input");
}

#[tokio::test]
async fn bodies_that_do_not_say_they_are_json() {
    let server = TestServer::start().await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "",
    ] {
        let headers = [("content-type", media_type)];
        let answer = server
            .send("POST", "/api/v1/notes", &headers, br#"{"title": "tea"}"#)
            .await;
        answer.expect_problem(415, "unsupported_media_type");
        assert_eq!(answer.header("accept"), Some("application/json"));
    }
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let limits = Limits {
        body_bytes: 100,
        ..Limits::default()
    };
    let server = TestServer::start_with(|builder| builder.limits(limits)).await;
    let body = note(&"x".repeat(100)).to_string();
    for path in ["/api/v1/notes", "/api/v1/calls/inspect"] {
        server
            .send("POST", path, &[], body.as_bytes())
            .await
            .expect_problem(413, "content_too_large");
    }
    // One that never ends is cut off; the answer may arrive or the connection may be gone.
    let endless = note(&"x".repeat(1000)).to_string();
    server
        .send("POST", "/api/v1/notes", &[], endless.as_bytes())
        .await
        .expect_problem(413, "content_too_large");
    let exact = note(&"x".repeat(100 - r#"{"title":""}"#.len())).to_string();
    assert_eq!(exact.len(), 100);
    assert_eq!(
        server
            .send("POST", "/api/v1/notes", &[], exact.as_bytes())
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn idempotency_keys_that_are_none() {
    let server = TestServer::start().await;
    let long = "k".repeat(256);
    for key in ["", "two words", "schlüssel", long.as_str()] {
        let answer = server
            .send(
                "POST",
                "/api/v1/calls/inspect",
                &[("idempotency-key", key)],
                b"",
            )
            .await;
        let detail = "`Idempotency-Key` must be 1 to 255 visible ASCII characters";
        expect_invalid(&answer, Some("Idempotency-Key"), detail);
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let answer = server
        .send("POST", "/api/v1/calls/inspect", &twice, b"")
        .await;
    expect_invalid(
        &answer,
        Some("Idempotency-Key"),
        "`Idempotency-Key` is given twice",
    );
    assert_eq!(
        server
            .send(
                "POST",
                "/api/v1/calls/inspect",
                &[("idempotency-key", &long[1..])],
                b""
            )
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn conditions_that_cannot_be_checked() {
    let server = TestServer::start().await;
    server.post("/api/v1/notes", &note("tea")).await;
    let change = async |tag: &str, body: Value| {
        server
            .patch("/api/v1/notes/1", &[("if-match", tag)], &body)
            .await
    };
    for tag in [
        "1",
        "W/\"1\"",
        "\"-1\"",
        "\"+1\"",
        "\"x\"",
        "\"\"",
        "\"99999999999999999999\"",
        "",
    ] {
        change(tag, note("coffee"))
            .await
            .expect_problem(412, "precondition_failed");
    }
    change("\"1\", \"2\"", note("coffee"))
        .await
        .expect_problem(400, "invalid_input");
    change("\"x\"", note(""))
        .await
        .expect_problem(400, "invalid_input");
    let body = json!({"title": "coffee", "expected_version": 1});
    let answer = server
        .patch("/api/v1/notes/1", &[("if-match", "\"2\"")], &body)
        .await;
    answer.expect_problem(412, "precondition_failed");
    let body = json!({"title": "coffee", "expected_version": "x"});
    change("\"1\"", body)
        .await
        .expect_problem(400, "invalid_input");
    let answer = server
        .send("DELETE", "/api/v1/notes/1", &[("if-match", "\"1\"")], b"")
        .await;
    answer.expect_problem(400, "invalid_input");
    assert_eq!(server.get("/api/v1/notes/1").await.json()["title"], "tea");
}

#[tokio::test]
async fn requests_that_come_from_elsewhere() {
    let server = TestServer::start().await;
    for headers in [
        [("host", "evil.example"), ("accept", "*/*")],
        [("host", "localhost"), ("origin", "http://evil.example")],
        [("host", "localhost"), ("origin", "null")],
    ] {
        for path in [
            "/api/v1/notes",
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/nowhere",
        ] {
            server
                .send("GET", path, &headers, b"")
                .await
                .expect_problem(403, "foreign_origin");
        }
    }
    let local = [
        ("host", "127.0.0.1:7717"),
        ("origin", "http://localhost:3000"),
    ];
    assert_eq!(
        server
            .send("GET", "/api/v1/notes", &local, b"")
            .await
            .status,
        200
    );
    server
        .raw(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n")
        .await
        .expect_problem(400, "invalid_input");
}

#[tokio::test]
async fn every_code_has_its_status() {
    let server = TestServer::start().await;
    for code in Code::ALL {
        let answer = server
            .post("/api/v1/calls/fail", &json!({"code": code.as_str()}))
            .await;
        let problem = answer.expect_problem(answer.status, code.as_str());
        assert_eq!(problem["title"], code.title());
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        assert!(answer.status >= 400, "{code}");
        let may_retry = matches!(code, Code::Busy | Code::Unavailable);
        assert_eq!(answer.header("retry-after").is_some(), may_retry, "{code}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error() {
    let server = TestServer::start().await;
    let answer = server
        .post("/api/v1/calls/fail", &json!({"code": "panic"}))
        .await;
    let problem = answer.expect_problem(500, "internal");
    assert!(!problem.to_string().contains("asked to"), "{problem}");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_is_refused_by_the_library() {
    let server = TestServer::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        assert_eq!(server.raw(bytes).await.status, 400);
    }
    let long = format!("/api/v1/notes?cursor={}", "x".repeat(70_000));
    let answer = server.raw(&request("GET", &long, &[], b"")).await;
    assert!(
        matches!(answer.status, 400 | 414 | 431),
        "{}",
        answer.status
    );
}
