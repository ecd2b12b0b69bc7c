//! Eight processes that share one queue: each item is claimed by one of them, once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::mcp::Mcp;
use crate::place::Place;

const PROCESSES: usize = 8;
const ITEMS: usize = 10_000;

/// How many items one call puts, and how many it claims.
const PUT_AT_ONCE: usize = 1_000;
const CLAIMED_AT_ONCE: usize = 50;

#[test]
fn eight_processes_claim_ten_thousand_items_once() {
    for place in Place::everywhere() {
        check(&place);
    }
}

fn check(place: &Place) {
    let agents: Vec<Mcp> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..PROCESSES)
            .map(|number| {
                scope.spawn(move || {
                    let name = format!("agent-{number}");
                    Mcp::start(place.athena_apart(&name), place.log(&name))
                })
            })
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    for first in (0..ITEMS).step_by(PUT_AT_ONCE) {
        let items: Vec<Value> = (first..first + PUT_AT_ONCE)
            .map(|number| json!({"title": format!("item {number}"), "payload": {"number": number}}))
            .collect();
        call(&agents[0], "queue.put_batch", &json!({ "items": items }));
    }
    let claimed: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let claims: Vec<_> = agents
            .iter()
            .enumerate()
            .map(|(number, agent)| scope.spawn(move || claim_all(agent, number)))
            .collect();
        claims
            .into_iter()
            .map(|claim| claim.join().unwrap())
            .collect()
    });
    let all: BTreeSet<u64> = claimed.iter().flatten().copied().collect();
    let count: usize = claimed.iter().map(Vec::len).sum();
    assert_eq!((all.len(), count), (ITEMS, ITEMS), "each item once");
    let shares: Vec<usize> = claimed.iter().map(Vec::len).collect();
    assert!(
        shares.iter().filter(|share| **share > 0).count() > 1,
        "{shares:?}"
    );
    let stats = call(&agents[0], "queue.stats", &json!({}));
    eprintln!("shares {shares:?}; {stats}");
    for agent in agents {
        let (status, log) = agent.stop();
        assert!(status.success(), "{status}\n{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}

/// Claims until nothing is left; returns the numbers of the items.
fn claim_all(agent: &Mcp, number: usize) -> Vec<u64> {
    let name = format!("agent-{number}");
    let register = json!({"agent": name, "max_concurrent": ITEMS});
    call(agent, "agent.register", &register);
    let mut claimed = Vec::new();
    loop {
        let claim = json!({"agent": name, "limit": CLAIMED_AT_ONCE, "lease_seconds": 3_600});
        let answer = call(agent, "queue.claim", &claim);
        let items = answer["items"].as_array().unwrap();
        if items.is_empty() {
            return claimed;
        }
        let numbers = items
            .iter()
            .map(|it| it["item"]["payload"]["number"].as_u64().unwrap());
        claimed.extend(numbers);
    }
}

fn call(agent: &Mcp, operation: &str, arguments: &Value) -> Value {
    let call = json!({ "name": operation, "arguments": arguments });
    agent
        .call("call_tool", &call)
        .unwrap_or_else(|error| panic!("{operation}: {error}"))
}
