//! Canaries: personal data told to every operation through every face is nowhere afterwards.
//!
//! 200 made-up values of each kind go wherever text may stand: into every field of every operation,
//! into names and numbers in metadata, headers, paths, queries, requests that are refused. Then all
//! that Athena wrote is searched for them: the database's files as they lie there, the rows as a
//! reader sees them, logs, metrics, answers, exports, backups. What was put in their place is found
//! by the same search, so it can find; and a purge takes that away too.

mod arguments;
mod faces;
mod needles;
mod needs;
mod places;
mod values;

use crate::athena::Athena;
use arguments::{Arguments, Feed, Put};
use athena_core::{Effect, Registry, schema};
use athena_testserver::Postgres;
use faces::{Cli, Face, Http, McpHttp, McpStdio, Reply, Rest, Server};
use needles::{Needles, in_url};
use needs::{Known, Purge, Step};
use places::{Found, Place, rows, search};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use values::Canary;

#[test]
fn personal_data_is_nowhere_in_a_home() {
    tell(&Place::Sqlite);
}

#[test]
fn personal_data_is_nowhere_on_a_postgres_server() {
    // Nothing is written on the way out but what is: old segments of the log are not used again.
    let settings = "wal_recycle = off\nmin_wal_size = 32MB\nmax_wal_size = 64MB\n";
    if let Some(server) = Postgres::start_with(settings) {
        tell(&Place::Postgres(server));
    }
}

/// What stands for values in memories. The audit log keeps why something was revealed, and where
/// that was too long for it, a token for the whole of it.
const KEPT: &str = "SELECT token FROM pii_vault WHERE project = 'default' AND token NOT IN
                    (SELECT reason FROM audit_log WHERE reason IS NOT NULL)";

/// Aggregates whose every operation is told all values. Those of others are told some of them
/// through each face, and the next operation goes on where the one before ended.
const TOLD_ALL: [&str; 3] = ["memory", "project", "pii"];
/// Calls of one operation through one face.
const CALLS: usize = 12;
/// Processes for one operation.
const STARTS: usize = 2;

fn tell(place: &Place) {
    let athena = Athena::new();
    let folders = Folders::of(&athena, place);
    let with = |command: &mut Command| {
        command
            .env("ATHENA_LOG", "trace")
            .env("TMPDIR", &folders.temporary);
        if let Some(url) = place.url() {
            command.env("ATHENA_DATABASE_URL", url);
        }
    };
    let canaries = values::all();
    let mut story = Story::new(&canaries);
    let mut cli = Cli {
        athena: &athena,
        with: &with,
        calls: 0,
    };
    assert_eq!(cli.run(&["project", "create", "shop"], "").status, 0);
    place.keep_values_whole();

    let server = Server::start(&athena, &with, &folders.logs);
    let connect = || Http::connect(&server.address);
    let mut rest = Rest(connect());
    let mut mcp_http = McpHttp(connect());
    let mut mcp = McpStdio::start(&athena, &with, &folders.logs);
    story.begin(&mut rest);
    for index in 0..story.registry.entries().len() {
        story.perform(index, &mut [&mut rest, &mut mcp_http, &mut mcp, &mut cli]);
    }
    story.refuse_over_http(&mut rest);
    story.refuse_over_mcp("mcp over http", &mut |message| mcp_http.say(message));
    story.refuse_over_mcp("mcp", &mut |message| mcp.say(message));
    story.refuse_on_the_command_line(&cli);
    story.move_files(&athena, &cli, &folders);
    story.find_by_value(&mut [&mut rest, &mut mcp_http, &mut mcp, &mut cli]);
    story.reveal(&mut rest);
    for page in ["/metrics", "/openapi.json", "/healthz", "/readyz"] {
        let said = connect().send("GET", page, "", "").body;
        story.hear(page, &said);
    }

    place.settle();
    let tokens = story.look(&cli, &folders, "before");
    story.purge(&mut rest);
    mcp.stop();
    server.stop();
    place.do_what_is_owed();
    story.look_again(&cli, &folders, &tokens);
    story.end();
}

/// Where processes leave what.
struct Folders {
    logs: PathBuf,
    temporary: PathBuf,
    /// Exports and backups.
    out: PathBuf,
    /// What is only ever added to.
    written: Vec<PathBuf>,
    /// The database, the home.
    store: Vec<PathBuf>,
}

impl Folders {
    fn of(athena: &Athena, place: &Place) -> Self {
        let made = |name: &str| {
            let path = PathBuf::from(athena.path(name));
            fs::create_dir(&path).unwrap();
            path
        };
        let (logs, temporary, out) = (made("logs"), made("temporary"), made("out"));
        let mut store = place.folders();
        store.push(athena.home());
        Self {
            written: vec![logs.clone(), temporary.clone(), out.clone()],
            logs,
            temporary,
            out,
            store,
        }
    }
}

/// What was told, and what was heard of it.
struct Story<'a> {
    registry: Registry,
    canaries: &'a [Canary],
    personal: Needles,
    known: Known,
    /// What operations that are not told everything are told next.
    feed: Feed<'a>,
    /// Words that were told in plain text.
    words: BTreeSet<String>,
    /// Those of them that memories hold, which keep what they said before.
    lasting: BTreeSet<String>,
    /// Purges of what is in no list.
    later: BTreeSet<(&'static str, String)>,
    calls: usize,
    /// Values that were met where none may be.
    leaks: Found,
    /// What was not as it should be.
    faults: BTreeSet<String>,
    /// Values that answers did not count as masked.
    uncounted: BTreeMap<String, u64>,
}

impl<'a> Story<'a> {
    fn new(canaries: &'a [Canary]) -> Self {
        let needles = canaries.iter().flat_map(|it| &it.needles);
        Self {
            registry: athena_memory::catalogue(Registry::new()),
            personal: Needles::new(needles.map(String::as_str)),
            canaries,
            known: Known::default(),
            feed: Feed::of(canaries),
            words: BTreeSet::new(),
            lasting: BTreeSet::new(),
            later: BTreeSet::new(),
            calls: 0,
            leaks: Found::new(),
            faults: BTreeSet::new(),
            uncounted: BTreeMap::new(),
        }
    }

    /// Searches what was said for what nobody may say.
    fn hear(&mut self, by: &str, said: &str) {
        let found = self.personal.found_in(said.as_bytes());
        if !found.is_empty() {
            let leaks = self.leaks.entry(by.to_owned()).or_default();
            leaks.extend(found.into_iter().map(str::to_owned));
        }
    }

    /// Makes what operations are told about.
    fn begin(&mut self, rest: &mut Rest) {
        self.keep_some(rest);
        let address = &self.canaries[0].value;
        let made = ["The first one.", "The second one."].map(|text| {
            self.ask(
                rest,
                "memory.remember",
                &json!({"content": format!("{text} {address}")}),
            )
        });
        self.known.learn("memory", made[0]["id"].clone());
        self.known.learn("other", made[1]["id"].clone());
        self.known.learn("uid", made[1]["uid"].clone());
        let memory = self.ask(rest, "memory.get", &json!({"id": made[0]["id"]}));
        let content = memory["content"].as_str().unwrap();
        let token = athena_privacy::tokens(content).next().unwrap();
        self.known.learn("token", &content[token]);
        self.take(rest, needs::FIRST, &Value::Null);
    }

    /// Makes what no purge takes: a server renews the statistics only of tables that have rows.
    fn keep_some(&mut self, rest: &mut Rest) {
        let [from, to] = ["This one stays.", "So does this one."].map(|text| {
            let memory = json!({"content": text, "project": "shop"});
            self.ask(rest, "memory.remember", &memory)["id"].clone()
        });
        let relation = json!({"id": from, "to": to, "relation": "follows"});
        self.ask(rest, "memory.relate", &relation);
        let vote = json!({"id": from, "useful": true, "note": "so it is"});
        self.ask(rest, "memory.feedback", &vote);
        self.take(rest, needs::KEPT, &Value::Null);
    }

    /// Takes steps that make something ready; `at` is what they name fields of.
    fn take(&mut self, face: &mut dyn Face, steps: &[Step], at: &Value) {
        if steps.is_empty() {
            return;
        }
        self.calls += 1;
        let word = format!("wobbegong{}", self.calls);
        self.known.learn("word", word.as_str());
        self.known
            .learn("address", self.of_kind("email").phrase.as_str());
        self.words.insert(word);
        for step in steps {
            let input = self.known.filled(step.input, at);
            let made = self.ask(face, step.operation, &input);
            for (place, name) in step.learns {
                let is = made.pointer(place);
                let is =
                    is.unwrap_or_else(|| panic!("{} answered no {name}: {made}", step.operation));
                self.known.learn(name, is.clone());
            }
        }
    }

    /// Calls an operation by its name, which must succeed.
    fn ask(&mut self, face: &mut dyn Face, name: &str, input: &Value) -> Value {
        self.calls += 1;
        let key = format!("plain-{}", self.calls);
        let reply = face.call(self.registry.get(name).unwrap(), input, &key);
        assert!(reply.ok, "{name} by {}: {}", face.name(), reply.said);
        reply.output
    }

    /// Tells values to an operation, through each face.
    fn perform(&mut self, index: usize, faces: &mut [&mut dyn Face]) {
        let name = self.registry.entries()[index].spec.name;
        if TOLD_ALL.contains(&name.split('.').next().unwrap()) {
            return self.tell_all(index, faces);
        }
        for at in 0..faces.len() {
            let mut feed = std::mem::replace(&mut self.feed, Feed::of(&[]));
            feed.go_on(self.canaries);
            self.prepare(index, faces[0]);
            self.calls += 1;
            let word = format!("wobbegong{}", self.calls);
            let composed = self.compose(index, &mut feed, &word);
            self.feed = feed;
            self.send(index, &word, composed, at, faces);
        }
    }

    /// Tells all values to an operation: through each face as many as go into a few calls, and what
    /// then is left through the first.
    fn tell_all(&mut self, index: usize, faces: &mut [&mut dyn Face]) {
        let mut feed = Feed::of(self.canaries);
        self.prepare(index, faces[0]);
        if self.compose(index, &mut feed, "").1.is_empty() {
            for at in 0..faces.len() {
                self.prepare(index, faces[0]);
                self.send(index, "", self.compose(index, &mut feed, ""), at, faces);
            }
            return;
        }
        feed = Feed::of(self.canaries);
        let mut all_told = false;
        for at in 0..faces.len() {
            let mut calls = if faces[at].name() == "cli" {
                STARTS
            } else {
                CALLS
            };
            let all = calls;
            while calls > 0 {
                if self.tell_some(index, &mut feed, at, faces) {
                    calls -= 1;
                    continue;
                }
                all_told = true;
                feed = Feed::of(self.canaries);
                if calls < all {
                    break;
                }
            }
        }
        while !all_told && self.tell_some(index, &mut feed, 0, faces) {}
    }

    /// Tells as many values to an operation as one call takes, if any are left.
    fn tell_some(
        &mut self,
        index: usize,
        feed: &mut Feed<'a>,
        at: usize,
        faces: &mut [&mut dyn Face],
    ) -> bool {
        self.calls += 1;
        let word = format!("wobbegong{}", self.calls);
        self.prepare(index, faces[0]);
        let composed = self.compose(index, feed, &word);
        let is_some = !composed.1.is_empty();
        if is_some {
            self.send(index, &word, composed, at, faces);
        }
        is_some
    }

    /// Makes the arguments of a call; returns how many values of each kind are in them too.
    fn compose(&self, index: usize, feed: &mut Feed<'a>, word: &str) -> (Value, Put) {
        let mut arguments = Arguments {
            components: self.registry.components(),
            feed,
            known: &self.known,
            operation: self.registry.entries()[index].spec.name,
            turn: self.calls,
            word,
            put: Put::new(),
        };
        let input = arguments.of(&self.registry.entries()[index]);
        (input, arguments.put)
    }

    fn send(
        &mut self,
        index: usize,
        word: &str,
        (input, put): (Value, Put),
        at: usize,
        faces: &mut [&mut dyn Face],
    ) {
        let name = self.registry.entries()[index].spec.name;
        self.take(faces[0], needs::for_texts(name), &input);
        self.calls += 1;
        let key = format!("call-{}:{}", self.calls, self.of_kind("email").value);
        let reply = faces[at].call(&self.registry.entries()[index], &input, &key);
        // Projects stay, with the folders that they live in.
        if !word.is_empty() && !name.starts_with("project.") {
            self.words.insert(word.to_owned());
        }
        if reply.ok && name.starts_with("memory.") && input.to_string().contains("The word is") {
            self.lasting.insert(word.to_owned());
        }
        self.judge(index, faces[at].name(), &put, &reply);
        self.tidy(index, &input, &reply, faces[0]);
    }

    /// Returns another value of a kind for each call.
    fn of_kind(&self, kind: &str) -> &'a Canary {
        let mut of_kind = self.canaries.iter().filter(|it| it.kind == kind);
        of_kind.nth(self.calls % values::EACH).unwrap()
    }

    /// Makes what an operation uses up.
    fn prepare(&mut self, index: usize, face: &mut dyn Face) {
        let name = self.registry.entries()[index].spec.name;
        let project = match name {
            "project.create" | "project.delete" => format!("project-{}", self.calls),
            _ => "shop".into(),
        };
        match name {
            "project.delete" => {
                self.ask(face, "project.create", &json!({ "name": project }));
            }
            "memory.purge" => self.make_memory(face),
            _ => {}
        }
        self.known.learn("project", project);
        let input = &self.registry.entries()[index].input;
        let input = schema::resolve(input, self.registry.components());
        let fields = input["properties"].as_object().into_iter().flatten();
        let fields: Vec<&str> = fields.map(|(name, _)| name.as_str()).collect();
        let steps = needs::before(name, &fields);
        self.take(face, &steps, &Value::Null);
    }

    fn make_memory(&mut self, face: &mut dyn Face) {
        let content = json!({"content": format!("Made before call {}.", self.calls)});
        let made = self.ask(face, "memory.remember", &content);
        self.known.learn("memory", made["id"].clone());
    }

    /// Makes good what an operation has changed for the next one.
    fn tidy(&mut self, index: usize, input: &Value, reply: &Reply, face: &mut dyn Face) {
        let name = self.registry.entries()[index].spec.name;
        match name {
            "memory.update" if reply.ok => self.known.learn("memory", reply.output["id"].clone()),
            "memory.purge" => self.make_memory(face),
            "memory.forget" => {
                let id = self.known.get("memory").clone();
                self.ask(face, "memory.restore", &json!({ "id": id }));
            }
            _ => {}
        }
        if !reply.ok {
            return;
        }
        let mut all = input.clone();
        let answer = reply.output.as_object().into_iter().flatten();
        for (name, value) in answer {
            all[name] = value.clone();
        }
        self.take(face, needs::after(name), &all);
        for step in needs::later(name) {
            let input = self.known.filled(step.input, input);
            self.later.insert((step.operation, input.to_string()));
        }
    }

    fn judge(&mut self, index: usize, face: &str, put: &Put, reply: &Reply) {
        let spec = self.registry.entries()[index].spec.clone();
        let name = spec.name;
        let may_fail = match name {
            // Nothing is there.
            "project.get_by_path" => true,
            _ => face.starts_with("mcp") && !spec.for_agents,
        };
        if !(reply.ok || may_fail) {
            self.fault(format!("{name} by {face}: {}", reply.said));
        }
        if spec.effect != Effect::Read && reply.ok {
            for (kind, count) in put {
                let masked = reply.output["masked"][kind].as_u64().unwrap_or(0);
                if masked < *count {
                    let missing = self
                        .uncounted
                        .entry(format!("{kind} in {name}"))
                        .or_default();
                    *missing += count - masked;
                }
            }
        }
        if name == "pii.reveal" && reply.ok {
            let value = reply.output["value"].as_str();
            assert_eq!(value, Some(self.canaries[0].value.as_str()));
        } else {
            self.hear(&format!("{name} by {face}"), &reply.said);
        }
    }

    /// Returns some values of every kind.
    fn some(&self, of_each: usize) -> Vec<&'a Canary> {
        self.canaries
            .iter()
            .take(of_each * values::KINDS.len())
            .collect()
    }

    /// Sends requests that must be refused, with values where they are wrong.
    fn refuse_over_http(&mut self, rest: &mut Rest) {
        let triggers = format!("/api/v1/tasks/{}/triggers", self.known.get("other task"));
        for canary in self.some(values::EACH / 5) {
            let (text, part) = (&canary.phrase, in_url(&canary.phrase));
            let requests = [
                (
                    "POST",
                    "/api/v1/memories".to_owned(),
                    json!({text: 1, "content": "x"}).to_string(),
                ),
                (
                    "POST",
                    "/api/v1/memories".into(),
                    json!({"content": [text]}).to_string(),
                ),
                (
                    "POST",
                    "/api/v1/memories".into(),
                    json!({"content": "x", "type": text}).to_string(),
                ),
                (
                    "POST",
                    "/api/v1/memories".into(),
                    json!({"content": "x", "occurred_at": text}).to_string(),
                ),
                (
                    "POST",
                    "/api/v1/memories".into(),
                    format!("{{\"content\": {text:?} oops"),
                ),
                (
                    "POST",
                    "/api/v1/memories".into(),
                    json!({"content": "x", "project": text}).to_string(),
                ),
                (
                    "POST",
                    "/api/v1/projects".into(),
                    json!({"name": text}).to_string(),
                ),
                (
                    "POST",
                    "/api/v1/events".into(),
                    json!({"content": "x", "occurred_at": text}).to_string(),
                ),
                (
                    "POST",
                    "/api/v1/tasks".into(),
                    json!({"title": "x", "priority": text}).to_string(),
                ),
                (
                    "POST",
                    triggers.clone(),
                    json!({"type": "time", "schedule": text}).to_string(),
                ),
                (
                    "POST",
                    triggers.clone(),
                    json!({"type": "time", "schedule": "daily 09:00", "time_zone": text})
                        .to_string(),
                ),
                (
                    "POST",
                    "/api/v1/leases".into(),
                    json!({"resource": format!("no kind {text}"), "agent": text}).to_string(),
                ),
                ("GET", format!("/api/v1/agents/{part}"), String::new()),
                ("GET", format!("/api/v1/sessions/{part}"), String::new()),
                ("GET", format!("/api/v1/memories?{part}=1"), String::new()),
                (
                    "GET",
                    format!("/api/v1/memories?limit={part}"),
                    String::new(),
                ),
                (
                    "GET",
                    format!("/api/v1/memories?cursor={part}"),
                    String::new(),
                ),
                ("GET", format!("/api/v1/memories/{part}"), String::new()),
                ("GET", format!("/api/v1/projects/{part}"), String::new()),
                ("GET", format!("/api/v1/{part}"), String::new()),
                ("PUT", format!("/{part}?{part}"), String::new()),
            ];
            for (method, target, body) in requests {
                let answer = rest.0.send(method, &target, "", &body);
                if !(400..500).contains(&answer.status) {
                    self.fault(format!("{method} {target} {body}: {answer:?}"));
                }
                let asked = target.split(['?']).next().unwrap().replace(&part, "…");
                self.hear(
                    &format!("refusal of {method} {asked}"),
                    &(answer.head + &answer.body),
                );
            }
        }
    }

    fn refuse_over_mcp(&mut self, face: &str, say: &mut dyn FnMut(&str) -> String) {
        for canary in self.some(values::EACH / 10) {
            let text = &canary.phrase;
            let call = |name: &str, arguments: Value| {
                ("tools/call", json!({"name": name, "arguments": arguments}))
            };
            let requests = [
                call(text, json!({})),
                call("call_tool", json!({"name": text})),
                call(
                    "call_tool",
                    json!({"name": "memory.list", "arguments": {text: 1}}),
                ),
                call(
                    "call_tool",
                    json!({"name": "memory.list", "arguments": {"limit": text}}),
                ),
                call("search_tools", json!({"query": 1, text: text})),
                call("remember", json!({"content": "x", "type": text})),
                call("remember", json!({"content": "x", text: text})),
                call("remember", json!({"content": {text: text}})),
                call("remember", json!({"content": "x", "project": text})),
                ("prompts/get", json!({"name": text})),
                ("resources/read", json!({"uri": text})),
                (text, json!({})),
            ];
            for (method, params) in requests {
                let message =
                    json!({"jsonrpc": "2.0", "id": 9, "method": method, "params": params});
                let said = say(&message.to_string());
                let answer: Value = serde_json::from_str(&said).unwrap();
                let is_refused =
                    answer.get("error").is_some() || answer["result"]["isError"] == true;
                if !is_refused {
                    self.fault(format!("{message}: {said}"));
                }
                let asked = method.replace(text, "…");
                self.hear(&format!("refusal of {asked} by {face}"), &said);
            }
        }
    }

    fn refuse_on_the_command_line(&mut self, cli: &Cli<'_>) {
        for canary in self.some(1) {
            let text = canary.phrase.as_str();
            let commands: [&[&str]; 9] = [
                &[text],
                &["call", text],
                &["call", "memory.list", &json!({text: 1}).to_string()],
                &["remember", "x", &format!("--{text}")],
                &["remember", "x", "--type", text],
                &["remember", "x", "--project", text],
                &["get", text],
                &["import", &format!("missing/{text}")],
                &["project", "create", text],
            ];
            for arguments in commands {
                let ran = cli.run(arguments, "");
                if ran.status == 0 {
                    self.fault(format!("{arguments:?}: {ran:?}"));
                }
                let asked = arguments.iter().find(|it| !it.contains(text));
                self.hear(
                    &format!("refusal of `athena {}`", asked.unwrap_or(&"…")),
                    &(ran.out + &ran.err),
                );
            }
        }
    }

    /// Imports files of several forms.
    fn move_files(&mut self, athena: &Athena, cli: &Cli<'_>, folders: &Folders) {
        let told = |from: usize| {
            let texts = self.canaries.chunks(50).skip(from).step_by(3);
            texts.map(|ten| {
                ten.iter()
                    .map(|it| it.phrase.as_str())
                    .collect::<Vec<_>>()
                    .join("\n")
            })
        };
        let text: String = told(0).map(|text| format!("Note.\n{text}\n\n")).collect();
        let lines: String = told(1)
            .map(|text| json!({"content": text}).to_string() + "\n")
            .collect();
        let messages: Vec<Value> = told(2)
            .map(|text| json!({"role": "user", "content": text}))
            .collect();
        let messages = json!(messages).to_string();
        for (name, text) in [("a.txt", &text), ("b.jsonl", &lines), ("c.json", &messages)] {
            let ran = cli.run(&["import", &athena.file(name, text)], "");
            assert_eq!(ran.status, 0, "{ran:?}");
            self.hear("import", &(ran.out + &ran.err));
        }
        let ran = cli.run(&["import", "-"], &text);
        self.hear("import", &(ran.out + &ran.err));
        let broken = athena.file("d.jsonl", &lines.replace("\"content\"", "content"));
        let ran = cli.run(&["import", &broken], "");
        assert_ne!(ran.status, 0);
        self.hear("import of a broken file", &(ran.out + &ran.err));
        let export = folders.out.join("export.jsonl");
        let ran = cli.run(&["export", "--output", export.to_str().unwrap()], "");
        assert_eq!(ran.status, 0, "{ran:?}");
        let ran = cli.run(&["export"], "");
        self.hear("export", &(ran.out + &ran.err));
    }

    /// Asks for memories by the values themselves.
    fn find_by_value(&mut self, faces: &mut [&mut dyn Face]) {
        let kinds = [
            "email",
            "phone",
            "credit_card",
            "iban",
            "ip_address",
            "secret",
        ];
        for (canary, at) in self.some(2).into_iter().zip((0..faces.len()).cycle()) {
            if !kinds.contains(&canary.kind) {
                continue;
            }
            let query = json!({"query": canary.phrase, "mode": "keyword"});
            let found = self.ask(&mut *faces[at], "memory.recall", &query);
            let hits = found["hits"].as_array().unwrap();
            if hits.is_empty() {
                self.fault(format!("{canary:?} is not found by {}", faces[at].name()));
            }
        }
    }

    /// Has values back, for a reason.
    fn reveal(&mut self, rest: &mut Rest) {
        for canary in self.some(1).into_iter().filter(|it| it.kind != "path") {
            let text = json!({"content": format!("Alone now: {}", canary.phrase)});
            let made = self.ask(rest, "memory.remember", &text);
            let memory = self.ask(rest, "memory.get", &json!({"id": made["id"]}));
            let content = memory["content"].as_str().unwrap();
            let token = &content[athena_privacy::tokens(content).next().unwrap()];
            let why = json!({"token": token, "reason": "the customer asked"});
            let revealed = self.ask(rest, "pii.reveal", &why);
            let (value, wanted) = (revealed["value"].as_str().unwrap(), canary.value.as_str());
            let compact = |text: &str| text.replace([' ', '-', '+'], "").to_lowercase();
            if compact(value) != compact(wanted) {
                self.fault(format!("{token} is `{value}`, not `{wanted}`"));
            }
        }
    }

    /// Searches everything while it is in use; returns what stands in the place of values.
    fn look(&mut self, cli: &Cli<'_>, folders: &Folders, when: &str) -> BTreeSet<String> {
        let rows = self.backup(cli, folders, when);
        self.hear("rows", &String::from_utf8_lossy(&rows));
        let vault = cli.run(&["db", "sql", KEPT], "");
        let vault: Value = serde_json::from_str(&vault.out).unwrap();
        let tokens: BTreeSet<String> = texts_in(&vault)
            .iter()
            .filter(|text| text.starts_with('['))
            // A term of the search has no brackets.
            .map(|token| token.trim_matches(['[', ']']).to_owned())
            .collect();
        assert!(tokens.len() > 9 * values::EACH, "{}", tokens.len());
        self.search(&folders.store);
        // The same search finds what may be found.
        let control = control(&tokens, &self.lasting);
        let in_rows = control.found_in(&rows).len();
        let wanted = tokens.len() + self.lasting.len();
        if in_rows != wanted {
            self.fault(format!(
                "{in_rows}, not {wanted} tokens and words are in rows"
            ));
        }
        let found: BTreeSet<String> = search(&control, &folders.store)
            .into_values()
            .flatten()
            .collect();
        let missing: Vec<&String> = tokens
            .iter()
            .chain(&self.lasting)
            .filter(|it| !found.contains(*it))
            .collect();
        // A value that lies across two pages is in none of them.
        let (missing, all) = (missing.len(), found.len());
        if missing * 20 > all {
            self.fault(format!(
                "of {all} tokens and words, {missing} are in no file"
            ));
        }
        tokens
    }

    /// Searches for what purged memories left.
    fn look_again(&mut self, cli: &Cli<'_>, folders: &Folders, tokens: &BTreeSet<String>) {
        let control = control(tokens, &self.words);
        let rows = self.backup(cli, folders, "after");
        let mut left: Found = search(&control, &folders.store);
        let in_rows = control.found_in(&rows).into_iter().map(str::to_owned);
        left.insert("rows".into(), in_rows.collect());
        left.retain(|_, found| !found.is_empty());
        self.search(&folders.store);
        self.search(&folders.written);
        if !left.is_empty() {
            self.fault(format!("left after the purge:\n{}", shown(&left)));
        }
    }

    /// Searches files for what may be in none.
    fn search(&mut self, folders: &[PathBuf]) {
        for (file, values) in search(&self.personal, folders) {
            self.leaks.entry(file).or_default().extend(values);
        }
    }

    fn backup(&mut self, cli: &Cli<'_>, folders: &Folders, when: &str) -> Vec<u8> {
        let file = folders.out.join(format!("{when}.db"));
        let ran = cli.run(&["backup", file.to_str().unwrap()], "");
        assert_eq!(ran.status, 0, "{ran:?}");
        self.hear("backup", &(ran.out + &ran.err));
        rows(&file)
    }

    /// Purges everything there is.
    fn purge(&mut self, rest: &mut Rest) {
        for (operation, input) in std::mem::take(&mut self.later) {
            self.ask(rest, operation, &serde_json::from_str(&input).unwrap());
        }
        for purge in needs::PURGES {
            while self.purge_some(rest, purge) {}
        }
    }

    /// Purges what one list names; says whether it named anything.
    fn purge_some(&mut self, rest: &mut Rest, purge: &Purge) -> bool {
        let page = self.ask(rest, purge.list, &serde_json::from_str(purge.with).unwrap());
        let items = page["items"].as_array().unwrap();
        for item in items {
            self.take(rest, &[purge.each], item);
        }
        !items.is_empty()
    }

    /// Notes what is wrong; all of it is told at the end.
    fn fault(&mut self, fault: String) {
        self.faults.insert(fault.chars().take(600).collect());
    }

    fn end(self) {
        for fault in &self.faults {
            eprintln!("{fault}");
        }
        assert!(
            self.leaks.is_empty() && self.faults.is_empty() && self.uncounted.is_empty(),
            "personal data:\n{}not masked: {:#?}",
            shown(&self.leaks),
            self.uncounted,
        );
    }
}

fn control(tokens: &BTreeSet<String>, words: &BTreeSet<String>) -> Needles {
    Needles::new(tokens.iter().chain(words).map(String::as_str))
}

/// Returns all texts of a document.
fn texts_in(document: &Value) -> Vec<&str> {
    match document {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts_in).collect(),
        Value::Object(fields) => fields.values().flat_map(texts_in).collect(),
        _ => Vec::new(),
    }
}

fn shown(found: &Found) -> String {
    let lines = found.iter().map(|(place, values)| {
        let some: Vec<&str> = values.iter().take(5).map(String::as_str).collect();
        format!("{place}: {} such as {some:?}\n", values.len())
    });
    lines.collect()
}
