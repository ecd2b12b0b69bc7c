//! MCP over pipes.

use crate::client::registry;
use crate::toy;
use athena_core::Ctx;
use athena_server::mcp;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio::task::JoinHandle;

struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    input: WriteHalf<DuplexStream>,
    served: JoinHandle<athena_core::Result<()>>,
}

impl Client {
    async fn start() -> Self {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(far);
        let ctx = Ctx::for_caller(toy::env().await, "mcp").with_project("kitchen");
        let served = tokio::spawn(mcp::serve(registry(), ctx, reader, writer));
        let (output, input) = tokio::io::split(near);
        Self {
            lines: BufReader::new(output).lines(),
            input,
            served,
        }
    }

    async fn write(&mut self, line: &str) {
        self.input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn ask(&mut self, method: &str, params: Value) -> String {
        self.write(
            &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string(),
        )
        .await;
        self.lines.next_line().await.unwrap().unwrap()
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        serde_json::from_str(&self.ask(method, params).await).unwrap()
    }

    async fn expect_tools(&mut self, params: Value) {
        let list = self.ask("tools/list", params).await;
        assert!(
            list.contains(&format!("\"tools\":{}", mcp::tool_list(&registry()))),
            "{list}"
        );
    }

    async fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        });
        let answer = self.request("initialize", params).await;
        self.write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
            .await;
        answer
    }

    /// Closes the input and returns what is still answered.
    async fn close(mut self) -> Vec<Value> {
        self.input.shutdown().await.unwrap();
        let mut rest = Vec::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        self.served.await.unwrap().unwrap();
        rest
    }
}

fn modern(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    params
}

#[tokio::test]
async fn a_client_of_the_old_era() {
    let mut client = Client::start().await;
    let answer = client.initialize().await;
    assert_eq!(answer["result"]["serverInfo"]["name"], "athena");
    client.expect_tools(json!({})).await;
    let answer = client
        .request(
            "tools/call",
            json!({"name": "call_tool", "arguments": {"name": "call.inspect"}}),
        )
        .await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({"principal": "mcp", "project": "kitchen"})
    );
    assert_eq!(client.close().await, [json!(null); 0]);
}

#[tokio::test]
async fn a_client_of_the_new_era() {
    let mut client = Client::start().await;
    let answer = client.request("server/discover", modern(json!({}))).await;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    client.expect_tools(modern(json!({}))).await;
    let answer = client
        .request(
            "tools/call",
            modern(json!({"name": "note", "arguments": {"title": "tea"}})),
        )
        .await;
    assert_eq!(answer["result"]["structuredContent"]["title"], "tea");
}

#[tokio::test]
async fn garbage_does_not_end_the_session() {
    let mut client = Client::start().await;
    client.initialize().await;
    client
        .input
        .write_all(b"garbage\n\xff\xfe\n\n{\"jsonrpc\":\n")
        .await
        .unwrap();
    let answer = client.request("ping", json!({})).await;
    assert_eq!(answer["result"], json!({}));
}

#[tokio::test]
async fn what_was_asked_is_answered_before_the_end() {
    let mut client = Client::start().await;
    client.initialize().await;
    for id in 1..=20 {
        let params = json!({"name": "note", "arguments": {"title": "tea"}});
        client
            .write(
                &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
                    .to_string(),
            )
            .await;
    }
    let answers = client.close().await;
    assert_eq!(answers.len(), 20);
    assert!(
        answers
            .iter()
            .all(|answer| answer["result"]["isError"] == false),
        "{answers:?}"
    );
}

#[tokio::test]
async fn an_input_that_ends_at_once_is_no_error() {
    assert_eq!(Client::start().await.close().await, [json!(null); 0]);
}
