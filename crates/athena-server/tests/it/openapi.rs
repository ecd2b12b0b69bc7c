//! The OpenAPI document says what the server does.

use crate::client::{TestServer, registry};
use athena_server::openapi;
use serde_json::{Value, json};

fn document() -> Value {
    openapi::document(&registry())
}

#[tokio::test]
async fn it_is_served() {
    let server = TestServer::start().await;
    let answer = server.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), document());
}

#[test]
fn every_operation_is_in_it() {
    let document = document();
    for entry in registry().entries() {
        let path = format!("/api/v1{}", entry.spec.http.path);
        let method = entry.spec.http.method.as_str().to_lowercase();
        let operation = &document["paths"][&path][&method];
        assert_eq!(operation["operationId"], entry.spec.name);
        assert_eq!(operation["description"], entry.description);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(document: &Value, value: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                    let target = document.pointer(reference.strip_prefix('#').unwrap());
                    assert!(target.is_some(), "{reference}");
                }
                object.values().for_each(|value| check(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| check(document, value)),
            _ => {}
        }
    }
    let document = document();
    check(&document, &document);
}

#[test]
fn arguments_are_where_they_are_read() {
    let document = document();
    let update = &document["paths"]["/api/v1/notes/{id}"]["patch"];
    let places = |operation: &Value| -> Vec<(String, String)> {
        let parameters = operation["parameters"].as_array().unwrap();
        let text = |parameter: &Value, key: &str| parameter[key].as_str().unwrap().to_owned();
        parameters
            .iter()
            .map(|parameter| (text(parameter, "in"), text(parameter, "name")))
            .collect()
    };
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(place, name)| ((*place).to_owned(), (*name).to_owned()))
            .collect()
    };
    assert_eq!(
        places(update),
        owned(&[
            ("path", "id"),
            ("header", "Idempotency-Key"),
            ("header", "If-Match")
        ])
    );
    let body = &update["requestBody"];
    assert_eq!(body["required"], false);
    let schema = &body["content"]["application/json"]["schema"];
    assert_eq!(schema["additionalProperties"], false);
    let fields: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["expected_version", "title"]);
    let list = &document["paths"]["/api/v1/notes"]["get"];
    assert_eq!(
        places(list),
        owned(&[
            ("query", "cursor"),
            ("query", "kind"),
            ("query", "limit"),
            ("query", "tags")
        ])
    );
    assert_eq!(list.get("requestBody"), None);
    assert_eq!(
        document["paths"]["/api/v1/calls/wait"]["post"].get("requestBody"),
        None
    );
}

#[test]
fn every_answer_is_listed() {
    let document = document();
    let statuses = |path: &str, method: &str| -> Vec<String> {
        document["paths"][path][method]["responses"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(
        statuses("/api/v1/notes/{id}", "get"),
        [
            "200", "304", "400", "403", "404", "405", "409", "413", "500", "501", "503", "504"
        ]
    );
    assert_eq!(
        statuses("/api/v1/notes/{id}", "patch"),
        [
            "200", "400", "403", "404", "405", "408", "409", "412", "413", "415", "422", "500",
            "501", "503", "504", "507"
        ]
    );
    let made = &document["paths"]["/api/v1/notes"]["post"]["responses"]["201"];
    let headers: Vec<&String> = made["headers"].as_object().unwrap().keys().collect();
    assert_eq!(headers, ["ETag", "Location", "X-Request-Id"]);
    assert_eq!(
        document["paths"]["/api/v1/notes"]["post"]["responses"]["415"]["content"],
        json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}})
    );
}
