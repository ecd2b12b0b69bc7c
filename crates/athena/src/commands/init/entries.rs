//! What is Athena's in the settings of an agent: how it is put in, known again and taken out.

use super::json_text::{Json, JsonText, Node, Problem, Step};
use super::ledger::Traces;
use crate::commands::hook::{Event, TIMEOUT};
use std::path::Path;

/// How long an agent waits for a hook, in seconds. A hook ends by itself long before.
const PATIENCE_SECONDS: u32 = 5;
/// The member that holds hooks, of the settings and of each group of them.
const HOOKS: &str = "hooks";
/// The member that holds MCP servers.
const SERVERS: &str = "mcpServers";
/// The name of the server, and of the program.
const SERVER: &str = "athena";
/// The options that [`Launch`] may name.
pub(super) const OPTIONS: [&str; 3] = ["--home", "--config", "--project"];

/// What a file is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A hook for every event.
    Hooks,
    /// The MCP server, below these names.
    Server(Vec<String>),
}

/// How an agent starts Athena.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// The program: its name, or its path where the name does not find it.
    pub(super) program: String,
    /// Options that every command gets.
    pub(super) options: Vec<String>,
}

/// A way into a text; names and numbers of elements.
type Route = Vec<Stop>;

#[derive(Debug, Clone)]
enum Stop {
    Name(String),
    Index(usize),
}

impl Content {
    /// Returns the text with Athena's entries in it, and what was made for them.
    ///
    /// # Errors
    ///
    /// When the text is no JSON object or something stands where the entries belong.
    pub(super) fn put(&self, text: &str, launch: &Launch) -> Result<(String, Traces), Problem> {
        let mut traces = Traces::default();
        let text = match self {
            Self::Hooks => put_hooks(text, launch, &mut traces)?,
            Self::Server(below) => put_server(text, below, launch, &mut traces)?,
        };
        Ok((text, traces))
    }

    /// Returns the text without Athena's entries: those that `traces` tells of, or else all that
    /// look like them.
    ///
    /// # Errors
    ///
    /// When the text is no JSON object.
    pub(super) fn take_out(&self, text: &str, traces: Option<&Traces>) -> Result<String, Problem> {
        let mut text = text.to_owned();
        while let Some(route) = self.find(&JsonText::parse(&text)?, traces) {
            text = remove(&text, &route, traces)?;
        }
        Ok(text)
    }

    /// Whether the entry under a path is one of these.
    pub(super) fn has(&self, path: &[String]) -> bool {
        match self {
            Self::Hooks => path.first().is_some_and(|name| name == HOOKS),
            Self::Server(below) => *path == *server_path(below),
        }
    }

    /// Returns the way to the first entry that is to go.
    fn find(&self, json: &JsonText<'_>, traces: Option<&Traces>) -> Option<Route> {
        match self {
            Self::Hooks => find_hook(json, traces),
            Self::Server(below) => {
                let path = server_path(below);
                let names: Vec<Step<'_>> = path.iter().map(|name| Step::Name(name)).collect();
                let found = is_server(json.at(&names)?) && is_told_of(traces, &path);
                found.then(|| path.into_iter().map(Stop::Name).collect())
            }
        }
    }
}

impl Launch {
    /// Returns the line by which a shell runs a hook.
    fn hook_line(&self, event: Event) -> String {
        let words = [self.program.as_str(), "hook", event.name()];
        let words = words
            .into_iter()
            .chain(self.options.iter().map(String::as_str));
        words
            .map(crate::commands::quickstart::shell_word)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn group(&self, event: Event) -> Json {
        let hook = object(vec![
            ("type", Json::Text("command".into())),
            ("command", Json::Text(self.hook_line(event))),
            ("timeout", Json::Number(PATIENCE_SECONDS)),
        ]);
        let hooks = (HOOKS, Json::Array(vec![hook]));
        match event {
            Event::PostTool => object(vec![("matcher", Json::Text("*".into())), hooks]),
            _ => object(vec![hooks]),
        }
    }

    fn server(&self) -> Json {
        object(vec![
            ("command", Json::Text(self.program.clone())),
            ("args", self.arguments_json()),
        ])
    }

    /// Returns the arguments of the server.
    fn arguments(&self) -> Vec<String> {
        let options = self.options.iter().cloned();
        std::iter::once("mcp".to_owned()).chain(options).collect()
    }

    fn arguments_json(&self) -> Json {
        Json::Array(self.arguments().into_iter().map(Json::Text).collect())
    }
}

fn object(members: Vec<(&str, Json)>) -> Json {
    let named = |(name, value): (&str, Json)| (name.to_owned(), value);
    Json::Object(members.into_iter().map(named).collect())
}

fn put_hooks(text: &str, launch: &Launch, traces: &mut Traces) -> Result<String, Problem> {
    let mut text = text.to_owned();
    for event in Event::ALL {
        text = put_hook(&text, event, launch, traces)?;
    }
    Ok(text)
}

fn put_hook(
    text: &str,
    event: Event,
    launch: &Launch,
    traces: &mut Traces,
) -> Result<String, Problem> {
    let json = JsonText::parse(text)?;
    let name = event.client_name();
    let path = [HOOKS, name];
    let group = launch.group(event);
    let known = match json.object(&[HOOKS])? {
        Some(hooks) => json.member(hooks, &[HOOKS], name)?,
        None => None,
    };
    let Some(groups) = known else {
        let text = put_member(&json, &path, Json::Array(vec![group]), traces)?;
        traces.containers.push(owned(&path));
        traces.entries.push(owned(&path));
        return Ok(text);
    };
    let Some(elements) = groups.elements() else {
        return Err(json.wrong_kind(groups, &path, "an array"));
    };
    if let Some(command) = elements.iter().find_map(|group| own_command(group, event)) {
        let line = launch.hook_line(event);
        if command.text() == Some(&line) {
            return Ok(text.to_owned());
        }
        traces.entries.push(owned(&path));
        return Ok(json.with_text(command, &line));
    }
    if elements.is_empty() {
        let space = json.space_in(groups).to_owned();
        traces.spaces.push((owned(&path), space));
    }
    traces.entries.push(owned(&path));
    Ok(json.with(groups, None, &group))
}

/// Returns the command of Athena's hook for an event in a group of hooks.
fn own_command(group: &Node, event: Event) -> Option<&Node> {
    let hooks = group.get(HOOKS)?.elements()?;
    hooks
        .iter()
        .filter_map(|hook| hook.get("command"))
        .find(|command| command.text().and_then(hooked) == Some(event))
}

/// Returns the event of a line that runs a hook of Athena's and does nothing else: a line with more
/// in it is somebody's own.
fn hooked(line: &str) -> Option<Event> {
    let words = shell_words(line)?;
    let [program, hook, event, options @ ..] = words.as_slice() else {
        return None;
    };
    let own = is_program(program)
        && hook == "hook"
        && options.len().is_multiple_of(2)
        && options.iter().step_by(2).all(|option| is_option(option));
    own.then(|| Event::named(event)).flatten()
}

/// Whether a hook of Athena's may have an option: one of ours, or one that somebody added to it.
fn is_option(word: &str) -> bool {
    OPTIONS.contains(&word) || word.strip_prefix("--") == Some(TIMEOUT)
}

/// Returns the words of a line, if a shell makes nothing of it but words: in the form that
/// [`shell_word`](crate::commands::quickstart::shell_word) writes, or between double quotes.
fn shell_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => loop {
                let text = word.get_or_insert_default();
                match rest.next()? {
                    end if end == c => break,
                    '$' | '`' | '\\' if c == '"' => return None,
                    plain => text.push(plain),
                }
            },
            '\\' => word.get_or_insert_default().push(rest.next()?),
            plain if plain.is_alphanumeric() || "/._-:+@%=,".contains(plain) => {
                word.get_or_insert_default().push(plain);
            }
            _ => return None,
        }
    }
    words.extend(word);
    Some(words)
}

fn is_program(program: &str) -> bool {
    Path::new(program)
        .file_name()
        .is_some_and(|name| name == SERVER)
}

fn put_server(
    text: &str,
    below: &[String],
    launch: &Launch,
    traces: &mut Traces,
) -> Result<String, Problem> {
    let json = JsonText::parse(text)?;
    let path = server_path(below);
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let (_, parents) = names.split_last().unwrap_or((&SERVER, &[]));
    let known = match json.object(parents)? {
        Some(servers) => json.member(servers, parents, SERVER)?,
        None => None,
    };
    let Some(server) = known else {
        traces.entries.push(path.clone());
        return put_member(&json, &names, launch.server(), traces);
    };
    if !is_server(server) {
        let wanted = "a server that runs `athena mcp`; rename or remove it";
        return Err(json.wrong_kind(server, &names, wanted));
    }
    let (Some(command), Some(known)) = (server.get("command"), server.get("args")) else {
        return Ok(text.to_owned());
    };
    let known_arguments = known.elements().unwrap_or(&[]).iter().map(Node::text);
    let arguments = launch.arguments();
    let is_same = known_arguments.eq(arguments.iter().map(|word| Some(word.as_str())));
    if is_same && command.text() == Some(&launch.program) {
        return Ok(text.to_owned());
    }
    traces.entries.push(path.clone());
    let text = json.with_value(known, &launch.arguments_json());
    let json = JsonText::parse(&text)?;
    let steps: Vec<Step<'_>> = names.iter().copied().map(Step::Name).collect();
    let command = json.at(&steps).and_then(|server| server.get("command"));
    Ok(match command {
        Some(command) => json.with_text(command, &launch.program),
        None => text.clone(),
    })
}

fn server_path(below: &[String]) -> Vec<String> {
    let own = [SERVERS, SERVER].map(str::to_owned);
    below.iter().cloned().chain(own).collect()
}

/// Whether a server runs `athena mcp`.
fn is_server(server: &Node) -> bool {
    let program = server.get("command").and_then(Node::text);
    let arguments = server.get("args").and_then(Node::elements);
    let first = arguments.and_then(<[Node]>::first).and_then(Node::text);
    program.is_some_and(is_program) && first == Some("mcp")
}

/// Puts a member at a path, with the objects on the way to it that are missing.
fn put_member(
    json: &JsonText<'_>,
    path: &[&str],
    value: Json,
    traces: &mut Traces,
) -> Result<String, Problem> {
    let mut depth = path.len().saturating_sub(1);
    let container = loop {
        match json.object(&path[..depth])? {
            Some(container) => break container,
            None => depth -= 1,
        }
    };
    if container.len() == 0 {
        let space = json.space_in(container).to_owned();
        traces.spaces.push((owned(&path[..depth]), space));
    }
    let missing = &path[depth + 1..];
    let value = missing
        .iter()
        .rev()
        .fold(value, |value, name| object(vec![(*name, value)]));
    let made = (depth + 1..path.len()).map(|end| owned(&path[..end]));
    traces.containers.extend(made);
    Ok(json.with(container, path.get(depth).copied(), &value))
}

/// Returns the way to the first hook of Athena's that is to go.
fn find_hook(json: &JsonText<'_>, traces: Option<&Traces>) -> Option<Route> {
    let events = json.at(&[Step::Name(HOOKS)])?;
    for name in events.names() {
        if !is_told_of(traces, &owned(&[HOOKS, name])) {
            continue;
        }
        let groups = events.get(name).and_then(Node::elements).unwrap_or(&[]);
        for (group, node) in groups.iter().enumerate() {
            let hooks = node.get(HOOKS).and_then(Node::elements).unwrap_or(&[]);
            let own = hooks.iter().position(|hook| {
                let command = hook.get("command").and_then(Node::text);
                command
                    .and_then(hooked)
                    .is_some_and(|it| it.client_name() == name)
            });
            let Some(hook) = own else {
                continue;
            };
            let mut route = vec![
                Stop::Name(HOOKS.into()),
                Stop::Name(name.into()),
                Stop::Index(group),
            ];
            // A group that held nothing else was made for it.
            if hooks.len() > 1 {
                route.extend([Stop::Name(HOOKS.into()), Stop::Index(hook)]);
            }
            return Some(route);
        }
    }
    None
}

/// Whether an entry is one of those that were put in.
fn is_told_of(traces: Option<&Traces>, path: &[String]) -> bool {
    traces.is_none_or(|traces| traces.entries.iter().any(|entry| entry == path))
}

/// Returns the text without what a route leads to, and without the containers that were made for it
/// and hold nothing more.
fn remove(text: &str, route: &[Stop], traces: Option<&Traces>) -> Result<String, Problem> {
    let json = JsonText::parse(text)?;
    let Some((last, mut parents)) = route.split_last() else {
        return Ok(text.to_owned());
    };
    let mut last = last;
    while let Some(container) = json.at(&steps(parents)) {
        let Some(index) = container.index_of(last.step()) else {
            break;
        };
        if container.len() > 1 {
            return Ok(json.without(container, index));
        }
        match parents.split_last() {
            Some((parent, above)) if goes_when_empty(parents, traces) => {
                (last, parents) = (parent, above);
            }
            _ => return Ok(json.emptied(container, space_of(parents, traces))),
        }
    }
    Ok(text.to_owned())
}

/// Whether a container goes with the last thing in it.
fn goes_when_empty(container: &[Stop], traces: Option<&Traces>) -> bool {
    match (names(container), traces) {
        // Within a group of hooks, others' things stay.
        (None, _) => false,
        (Some(path), Some(traces)) => traces.containers.contains(&path),
        // The files' own structure stays; `hooks` and `mcpServers` and what is in them goes.
        (Some(path), None) => path.iter().any(|name| name == HOOKS || name == SERVERS),
    }
}

/// Returns the white space that was in a container before something was put there.
fn space_of<'t>(container: &[Stop], traces: Option<&'t Traces>) -> &'t str {
    names(container)
        .and_then(|path| {
            let spaces = traces.map_or(&[][..], |traces| &traces.spaces);
            spaces.iter().find(|(known, _)| *known == path)
        })
        .map_or("", |(_, space)| space)
}

/// Returns a route as names, if it has no elements of arrays.
fn names(route: &[Stop]) -> Option<Vec<String>> {
    route
        .iter()
        .map(|stop| match stop {
            Stop::Name(name) => Some(name.clone()),
            Stop::Index(_) => None,
        })
        .collect()
}

fn steps(route: &[Stop]) -> Vec<Step<'_>> {
    route.iter().map(Stop::step).collect()
}

impl Stop {
    fn step(&self) -> Step<'_> {
        match self {
            Self::Name(name) => Step::Name(name),
            Self::Index(index) => Step::Index(*index),
        }
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}
