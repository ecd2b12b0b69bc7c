//! MCP over HTTP, in both eras of the protocol.

use crate::client::{Answer, TestServer, registry};
use crate::toy;
use athena_core::Registry;
use athena_server::{Limits, mcp};
use serde_json::{Value, json};
use std::sync::Arc;

const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");

/// How a client of an era sends a request.
#[derive(Clone, Copy, Debug)]
enum Era {
    Legacy,
    Modern,
}

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

async fn send(server: &TestServer, era: Era, method: &str, mut params: Value) -> Answer {
    let name = params["name"].as_str().map(str::to_owned);
    let mut headers = vec![ACCEPT];
    match era {
        Era::Legacy => headers.push(("mcp-protocol-version", "2025-11-25")),
        Era::Modern => {
            headers.extend([
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", method),
            ]);
            headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            });
        }
    }
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    server
        .send("POST", "/mcp", &headers, message.to_string().as_bytes())
        .await
}

async fn result(server: &TestServer, era: Era, method: &str, params: Value) -> Value {
    let answer = send(server, era, method, params).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json")),
        "{}",
        answer.text()
    );
    let answer = answer.json();
    assert_eq!(answer["id"], 7);
    answer
        .get("result")
        .unwrap_or_else(|| panic!("{answer}"))
        .clone()
}

async fn call(server: &TestServer, era: Era, tool: &str, arguments: Value) -> Value {
    result(
        server,
        era,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
    .await
}

#[tokio::test]
async fn the_old_handshake() {
    let server = TestServer::start().await;
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    });
    let answer = result(&server, Era::Legacy, "initialize", params).await;
    assert_eq!(answer["protocolVersion"], "2025-11-25");
    assert_eq!(answer["serverInfo"]["name"], "athena");
    assert_eq!(
        answer["capabilities"],
        json!({"tools": {}, "prompts": {}, "resources": {}, "completions": {}})
    );
    assert!(answer["instructions"].as_str().unwrap().contains("memory"));
    let notification = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let headers = [ACCEPT, ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(
        server
            .send("POST", "/mcp", &headers, notification)
            .await
            .status,
        202
    );
    assert_eq!(
        result(&server, Era::Legacy, "ping", json!({})).await,
        json!({})
    );
}

#[tokio::test]
async fn the_new_discovery() {
    let server = TestServer::start().await;
    let answer = result(&server, Era::Modern, "server/discover", json!({})).await;
    let versions: Vec<&str> = answer["supportedVersions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        versions.contains(&"2026-07-28") && versions.contains(&"2025-11-25"),
        "{versions:?}"
    );
    assert_eq!(
        answer["capabilities"],
        json!({"tools": {}, "prompts": {}, "resources": {}, "completions": {}})
    );
    assert_eq!(answer["resultType"], "complete");
}

#[tokio::test]
async fn tools_are_listed_the_same_in_both_eras_and_every_time() {
    let server = TestServer::start().await;
    let expected = format!("\"tools\":{}", mcp::tool_list(&registry()));
    for era in ERAS {
        assert!(
            send(&server, era, "tools/list", json!({}))
                .await
                .text()
                .contains(&expected),
            "{era:?}"
        );
        let list = result(&server, era, "tools/list", json!({})).await;
        assert!(
            list["ttlMs"].is_u64() && list["cacheScope"] == "public",
            "{list}"
        );
    }
    let first = send(&server, Era::Modern, "tools/list", json!({})).await;
    let second = send(&server, Era::Modern, "tools/list", json!({})).await;
    assert_eq!(first.body, second.body);
}

#[test]
fn the_list_is_short() {
    let list: Value = serde_json::from_str(&mcp::tool_list(&registry())).unwrap();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["note", "get", "search", "search_tools", "call_tool"]
    );
    assert!(names.len() <= 10);
    let tokens = mcp::tool_list(&registry()).len() / 4;
    assert!(tokens <= 2_500, "{tokens} tokens");
}

#[test]
fn a_tool_says_what_it_does_and_to_what() {
    let list: Value = serde_json::from_str(&mcp::tool_list(&registry())).unwrap();
    assert_eq!(
        list[0],
        json!({
            "name": "note",
            "description": "Writes a note down. Use it for what should still be known tomorrow.",
            "inputSchema": {
                "type": "object",
                "required": ["title"],
                "properties": {
                    "title": {"type": "string", "description": "What it is about"},
                    "kind": {"type": "string", "enum": ["fact", "plan"], "description": "What kind it is"},
                    "tags": {"type": "array", "items": {"type": "string"}, "description": "Its labels"},
                    "source": {
                        "type": "object", "required": ["url"], "description": "Where it comes from",
                        "properties": {
                            "url": {"type": "string", "description": "The page"},
                            "line": {
                                "type": "integer", "minimum": 0, "maximum": u32::MAX,
                                "description": "The line on it",
                            },
                        },
                    },
                },
            },
            "outputSchema": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "title": {"type": "string"},
                    "kind": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "version": {"type": "integer"},
                },
            },
            "annotations": {
                "title": "Note", "readOnlyHint": false, "destructiveHint": false, "idempotentHint": false,
                "openWorldHint": false,
            },
        })
    );
}

#[test]
fn without_other_operations_there_is_nothing_to_search() {
    let list: Value = serde_json::from_str(&mcp::tool_list(&Registry::new())).unwrap();
    assert_eq!(list, json!([]));
}

#[tokio::test]
async fn tools_are_called() {
    let server = TestServer::start().await;
    for (id, era) in (1..).zip(ERAS) {
        let answer = call(&server, era, "note", json!({"title": "tea"})).await;
        let note = json!({"id": id, "title": "tea", "kind": "fact", "tags": [], "version": 1});
        assert_eq!(answer["structuredContent"], note);
        assert_eq!(answer["isError"], false);
        let text: Value =
            serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, note);
    }
}

#[tokio::test]
async fn failures_are_results_that_models_can_read() {
    let server = TestServer::start().await;
    let check = async |tool: &str, arguments: Value, expected: Value| {
        for era in ERAS {
            let answer = call(&server, era, tool, arguments.clone()).await;
            assert_eq!(answer["isError"], true);
            assert_eq!(answer.get("structuredContent"), None);
            let text: Value =
                serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap();
            assert_eq!(text, expected);
            assert_eq!(answer["_meta"]["io.athena/error"], expected);
        }
    };
    check(
        "get",
        json!({"id": 9}),
        json!({"code": "not_found", "message": "note `9` does not exist"}),
    )
    .await;
    let invalid = |field: &str, message: &str| json!({"code": "invalid_input", "message": message, "field": field});
    check("get", json!({}), invalid("id", "`id` is required")).await;
    check(
        "note",
        json!({"title": 1}),
        invalid("title", "`title` must be a string, not a number"),
    )
    .await;
    let internal = json!({"code": "internal", "message": "an internal error occurred; the log holds the cause"});
    check(
        "call_tool",
        json!({"name": "call.fail", "arguments": {"code": "panic"}}),
        internal,
    )
    .await;
}

#[tokio::test]
async fn unknown_tools_and_methods_are_protocol_errors() {
    let server = TestServer::start().await;
    for era in ERAS {
        let answer = send(
            &server,
            era,
            "tools/call",
            json!({"name": "nothing", "arguments": {}}),
        )
        .await
        .json();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let answer = send(&server, era, "no/such", json!({})).await.json();
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
        let answer = send(&server, era, "tools/call", json!({"arguments": {}}))
            .await
            .json();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let answer = send(&server, Era::Modern, "initialize", json!({})).await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_i64()),
        (404, Some(-32601))
    );
    let answer = send(&server, Era::Legacy, "initialize", json!({}))
        .await
        .json();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[tokio::test]
async fn there_are_no_prompts_and_no_resources() {
    let server = TestServer::start().await;
    for era in ERAS {
        assert_eq!(
            result(&server, era, "prompts/list", json!({})).await["prompts"],
            json!([])
        );
        assert_eq!(
            result(&server, era, "resources/list", json!({})).await["resources"],
            json!([])
        );
        let read = send(
            &server,
            era,
            "resources/read",
            json!({"name": "a:b", "uri": "a:b"}),
        )
        .await
        .json();
        let expected = if matches!(era, Era::Modern) {
            -32602
        } else {
            -32002
        };
        assert_eq!(read["error"]["code"], expected, "{read}");
        let prompt = send(&server, era, "prompts/get", json!({"name": "x"}))
            .await
            .json();
        assert_eq!(prompt["error"]["code"], -32602, "{prompt}");
    }
}

#[tokio::test]
async fn operations_that_are_no_tools_are_found_and_called() {
    let server = TestServer::start().await;
    let found = call(
        &server,
        Era::Modern,
        "search_tools",
        json!({"query": "change title"}),
    )
    .await;
    let first = &found["structuredContent"]["operations"][0];
    assert_eq!(
        (&first["name"], &first["effect"]),
        (&json!("note.update"), &json!("write"))
    );
    assert_eq!(first["arguments"]["properties"]["title"]["type"], "string");
    let all = call(&server, Era::Modern, "search_tools", json!({})).await;
    assert_eq!(
        all["structuredContent"]["operations"]
            .as_array()
            .unwrap()
            .len(),
        registry().entries().len()
    );
    call(&server, Era::Modern, "note", json!({"title": "tea"})).await;
    let arguments = json!({"name": "note.update", "arguments": {"id": 1, "title": "coffee"}});
    let changed = call(&server, Era::Modern, "call_tool", arguments).await;
    assert_eq!(changed["structuredContent"]["title"], "coffee");
    for arguments in [
        json!({}),
        json!({"name": "no.such"}),
        json!({"name": "call_tool"}),
        json!({"name": 1}),
    ] {
        assert_eq!(
            call(&server, Era::Modern, "call_tool", arguments).await["isError"],
            true
        );
    }
}

#[tokio::test]
async fn calls_know_their_face_and_project() {
    let server = TestServer::start_with(|builder| builder.project("kitchen")).await;
    let answer = call(
        &server,
        Era::Legacy,
        "call_tool",
        json!({"name": "call.inspect"}),
    )
    .await;
    assert_eq!(
        answer["structuredContent"],
        json!({"principal": "mcp", "project": "kitchen"})
    );
}

#[tokio::test]
async fn calls_are_counted() {
    let server = TestServer::start().await;
    call(&server, Era::Legacy, "get", json!({"id": 1})).await;
    let metrics = server.get("/metrics").await;
    let line = r#"athena_requests_total{face="mcp",operation="note.get",status="404"} 1"#;
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[tokio::test]
async fn what_is_no_message_is_a_json_rpc_error() {
    let server = TestServer::start().await;
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}1{}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    for (body, code, id) in [
        (&b"{"[..], -32700, json!(null)),
        (b"", -32700, json!(null)),
        (b"{\"jsonrpc\": \"\xff\"}", -32700, json!(null)),
        (deep.as_bytes(), -32700, json!(null)),
        (b"[]", -32600, json!(null)),
        (
            br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            -32600,
            json!(null),
        ),
        (b"\"ping\"", -32600, json!(null)),
        (br#"{"id":"x","method":"ping"}"#, -32600, json!("x")),
        (
            br#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#,
            -32600,
            json!(3),
        ),
    ] {
        let headers = [ACCEPT, ("content-type", "application/json")];
        let answer = server.send("POST", "/mcp", &headers, body).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/json")),
            "{shown}"
        );
        let answer = answer.json();
        assert_eq!(
            (answer["error"]["code"].as_i64(), &answer["id"]),
            (Some(code), &id),
            "{shown}: {answer}"
        );
    }
}

#[tokio::test]
async fn refusals_of_the_transport_are_json_rpc_errors() {
    let limits = Limits {
        body_bytes: 500,
        ..Limits::default()
    };
    let server = TestServer::start_with(|builder| builder.limits(limits)).await;
    let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let large = vec![b' '; 600];
    let check = async |method: &str, headers: &[(&str, &str)], body: &[u8], status: u16| {
        let answer = server.send(method, "/mcp", headers, body).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/json"))
        );
        assert_eq!(answer.json()["error"]["code"], -32600);
        answer
    };
    check(
        "POST",
        &[ACCEPT, ("origin", "http://evil.example")],
        ping,
        403,
    )
    .await;
    check("POST", &[ACCEPT, ("host", "evil.example")], ping, 403).await;
    check("POST", &[ACCEPT, ("content-type", "text/plain")], ping, 415).await;
    check("POST", &[("accept", "text/html")], ping, 406).await;
    check("POST", &[ACCEPT], &large, 413).await;
    check(
        "POST",
        &[ACCEPT, ("mcp-protocol-version", "1999-01-01")],
        ping,
        400,
    )
    .await;
    for method in ["GET", "DELETE", "PUT"] {
        assert_eq!(
            check(method, &[ACCEPT], b"", 405).await.header("allow"),
            Some("POST")
        );
    }
    let local = [
        ACCEPT,
        ("origin", "http://localhost:6274"),
        ("host", "127.0.0.1:1"),
    ];
    assert_eq!(server.send("POST", "/mcp", &local, ping).await.status, 200);
}

#[tokio::test]
async fn headers_of_the_new_era_must_match_the_body() {
    let server = TestServer::start().await;
    let params = json!({"name": "get", "arguments": {"id": 1}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    }});
    let message =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string();
    let headers = [
        ACCEPT,
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "note"),
    ];
    let answer = server
        .send("POST", "/mcp", &headers, message.as_bytes())
        .await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_i64()),
        (400, Some(-32020))
    );
}

#[test]
fn lists_of_equal_registries_are_equal() {
    let again = || mcp::tool_list(&Arc::new(toy::notes(Registry::new())));
    assert_eq!(again(), again());
}
