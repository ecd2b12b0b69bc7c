//! What REST answers when all is well.

use crate::client::TestServer;
use crate::toy::note;
use serde_json::json;

#[tokio::test]
async fn operations_are_routes() {
    let server = TestServer::start().await;
    let input = json!({"title": "tea", "tags": ["hot"], "source": {"url": "a", "line": 3}});
    let made = server.post("/api/v1/notes", &input).await;
    assert_eq!(
        (made.status, made.header("content-type")),
        (201, Some("application/json"))
    );
    let expected = json!({
        "id": 1, "title": "tea", "kind": "fact", "tags": ["hot"], "source": {"url": "a", "line": 3}, "version": 1,
    });
    assert_eq!(made.json(), expected);
    assert_eq!(server.get("/api/v1/notes/1").await.json(), expected);
    assert_eq!(
        server
            .post("/api/v1/notes/search", &json!({"query": "te"}))
            .await
            .json(),
        json!({"hits": [expected]})
    );
    let gone = server.delete("/api/v1/notes/1?reason=drunk%20up").await;
    assert_eq!(
        (gone.status, gone.json()),
        (200, json!({"id": 1, "reason": "drunk up"}))
    );
    server
        .get("/api/v1/notes/1")
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn what_was_made_says_where_it_is() {
    let server = TestServer::start().await;
    let made = server.post("/api/v1/notes", &note("tea")).await;
    assert_eq!(made.header("location"), Some("/api/v1/notes/1"));
    assert_eq!(
        server.get(made.header("location").unwrap()).await.status,
        200
    );
}

#[tokio::test]
async fn absent_fields_are_absent() {
    let server = TestServer::start().await;
    let made = server.post("/api/v1/notes", &note("tea")).await.json();
    assert_eq!(made.get("source"), None);
}

#[tokio::test]
async fn query_parameters_are_typed_and_lists_repeat() {
    let server = TestServer::start().await;
    for tags in [json!(["a"]), json!(["a", "b c"]), json!(["a", "b c", "3"])] {
        server
            .post("/api/v1/notes", &json!({"title": "x", "tags": tags}))
            .await;
    }
    let ids = async |query: &str| {
        let page = server.get(&format!("/api/v1/notes?{query}")).await.json();
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| note["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, [3, 2, 1]);
    assert_eq!(ids("tags=a&tags=b+c").await, [3, 2]);
    assert_eq!(ids("tags=3&limit=1&kind=fact").await, [3]);
    assert_eq!(ids("kind=plan").await, [0_i64; 0]);
}

#[tokio::test]
async fn pages_end() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        server.post("/api/v1/notes", &note("x")).await;
    }
    let first = server.get("/api/v1/notes?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = server
        .get(&format!("/api/v1/notes?limit=2&cursor={cursor}"))
        .await
        .json();
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second.get("next_cursor"), None);
}

#[tokio::test]
async fn no_body_is_an_empty_object() {
    let server = TestServer::start().await;
    for headers in [&[][..], &[("content-length", "0")]] {
        assert_eq!(
            server
                .send("POST", "/api/v1/calls/inspect", headers, b"")
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn the_version_is_the_etag() {
    let server = TestServer::start().await;
    let made = server.post("/api/v1/notes", &note("tea")).await;
    assert_eq!(made.header("etag"), Some("\"1\""));
    let get = async |known: &str| {
        server
            .send("GET", "/api/v1/notes/1", &[("if-none-match", known)], b"")
            .await
    };
    for known in ["\"1\"", "W/\"1\"", "*", "\"7\", \"1\""] {
        let answer = get(known).await;
        assert_eq!(
            (answer.status, answer.text(), answer.header("etag")),
            (304, "", Some("\"1\"")),
            "{known}"
        );
    }
    assert_eq!(get("\"2\"").await.status, 200);
}

#[tokio::test]
async fn a_write_can_be_conditional() {
    let server = TestServer::start().await;
    server.post("/api/v1/notes", &note("tea")).await;
    let change = async |headers: &[(&str, &str)]| {
        server
            .patch("/api/v1/notes/1", headers, &note("coffee"))
            .await
    };
    let changed = change(&[("if-match", "\"1\"")]).await;
    assert_eq!(
        (changed.status, changed.header("etag")),
        (200, Some("\"2\""))
    );
    change(&[("if-match", "\"1\"")])
        .await
        .expect_problem(412, "precondition_failed");
    assert_eq!(change(&[("if-match", "*")]).await.status, 200);
    let body = json!({"title": "water", "expected_version": 3});
    assert_eq!(
        server.patch("/api/v1/notes/1", &[], &body).await.status,
        200
    );
    server
        .patch("/api/v1/notes/1", &[], &body)
        .await
        .expect_problem(412, "precondition_failed");
}

#[tokio::test]
async fn head_is_get_without_body() {
    let server = TestServer::start().await;
    server.post("/api/v1/notes", &note("tea")).await;
    let get = server.get("/api/v1/notes/1").await;
    let head = server.send("HEAD", "/api/v1/notes/1", &[], b"").await;
    assert_eq!((head.status, head.text()), (200, ""));
    for name in ["content-length", "content-type", "etag"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(
        server
            .send("HEAD", "/api/v1/notes/9", &[], b"")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn calls_carry_key_project_and_principal() {
    let server = TestServer::start_with(|builder| builder.project("kitchen")).await;
    let headers = [("idempotency-key", "a-key:1")];
    let answer = server
        .send("POST", "/api/v1/calls/inspect", &headers, b"{}")
        .await;
    assert_eq!(
        answer.json(),
        json!({"principal": "rest", "project": "kitchen", "idempotency_key": "a-key:1"})
    );
    let answer = server.post("/api/v1/calls/inspect", &json!({})).await;
    assert_eq!(
        answer.json(),
        json!({"principal": "rest", "project": "kitchen"})
    );
}

#[tokio::test]
async fn requests_have_ids() {
    let server = TestServer::start().await;
    let given = server
        .send("GET", "/api/v1/notes", &[("x-request-id", "mine-7")], b"")
        .await;
    assert_eq!(given.header("x-request-id"), Some("mine-7"));
    let made = server
        .send("GET", "/api/v1/notes", &[("x-request-id", "not mine")], b"")
        .await;
    assert_eq!(made.header("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(br#"{"status":"ok"}"#) {
            answer.push(stream.read_u8().await.unwrap());
        }
    }
}
