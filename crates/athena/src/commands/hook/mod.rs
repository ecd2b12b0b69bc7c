//! `hook`: what Athena does at the events of an agent's session.
//!
//! A hook is a guest in somebody else's program. It ends with status 0 whatever happens, and within
//! its time; it prints what the agent is to read and nothing else; what goes wrong is told to a file
//! ([`crate::logging`]). What cannot be stored now is kept ([`spool`]) and handed in by whoever
//! opens the store next.
//!
//! [`input`] reads what the agent sends, [`plan`] makes calls of it, and this module makes the calls.

mod event;
mod input;
mod masking;
mod plan;
mod spool;
mod told;
mod tool;
mod transcript;

pub(crate) use event::Event;

use super::print;
use crate::cli::{self, global};
use crate::compose::{self, Store};
use crate::config::{self, Environment, Settings};
use crate::outcome::{Outcome, Stop};
use crate::owner::{Reply, ask};
use crate::{logging, project, terminal};
use athena_core::{Error, Registry, Result};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use input::Input;
use jiff::Timestamp;
use masking::Masker;
use plan::{Occasion, Plan};
use serde_json::{Value, json};
use spool::{Call, Spool};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use told::Told;
use uuid::Uuid;

const NAME: &str = "hook";
const EVENT: &str = "event";
const LIST: &str = "list";
pub(crate) const TIMEOUT: &str = "timeout-ms";

/// How long a hook may take that somebody waits for, and how long one that only records.
const ANSWER_LIMIT: Duration = Duration::from_millis(1_500);
const RECORD_LIMIT: Duration = Duration::from_millis(2_000);
/// What is held back of it for keeping what could not be stored, at most.
const RESERVE: Duration = Duration::from_millis(300);
/// The file for what goes wrong, in Athena's home.
const LOG: &str = "hooks.log";
/// How long a command takes at its end for handing in what hooks kept.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a server looks for it.
pub(crate) const SERVER_PAUSE: Duration = Duration::from_secs(30);

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new(NAME)
        .about("Take part in an event of an agent's session; `init` connects it")
        .long_about(
            "Take part in an event of an agent's session. Reads one JSON object from standard input, as Claude Code \
             sends it, records what happened, and prints what the agent is to know. Always ends with status 0 and \
             within its time: what goes wrong is told in hooks.log in Athena's home, and what cannot be stored now \
             is kept there and stored later. `athena init` connects it.",
        )
        .arg(Arg::new(EVENT).value_name("EVENT").help("The event; --list shows them"))
        .arg(Arg::new(LIST).long(LIST).action(ArgAction::SetTrue).help("List the events"))
        .arg(
            Arg::new(TIMEOUT)
                .long(TIMEOUT)
                .value_name("MILLISECONDS")
                .value_parser(value_parser!(u64).range(50..=600_000))
                .help("How long it may take [default: 1500 where the agent waits for an answer, else 2000]"),
        )
}

/// Whether the command line asks for a hook. It is looked at before anything else is made, because
/// an agent waits for it, and because it ends well even if the command line is wrong.
pub(crate) fn is_asked_for(arguments: &[OsString]) -> bool {
    let is_hook = |word: &OsString| word == NAME;
    if arguments.get(1).is_some_and(is_hook) {
        return true;
    }
    // Only the options before it are looked at: whatever follows is the hook's own business.
    let probe = Command::new("athena")
        .args(cli::global_arguments())
        .allow_external_subcommands(true)
        .ignore_errors(true);
    arguments.iter().any(is_hook)
        && probe
            .try_get_matches_from(arguments)
            .is_ok_and(|matches| matches.subcommand_name() == Some(NAME))
}

/// Runs a hook.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    // Told by then, and for the agent no more than a hook that did nothing.
    let _ = std::panic::catch_unwind(|| attend(arguments));
    ExitCode::SUCCESS
}

/// Hands in what hooks kept, for about a second. Costs next to nothing if there is nothing.
pub(crate) async fn hand_in(registry: &Registry, settings: &Settings, store: &Store) {
    let spool = Spool::of(settings);
    if !spool.is_empty() {
        let call = async |call: &Call| invoke(registry, store, call).await;
        spool.hand_in(&call, Instant::now() + PATIENCE).await;
    }
}

/// Hands in what hooks keep, again and again, for a process that stays.
pub(crate) async fn keep_handing_in(registry: &Registry, settings: &Settings, store: &Store) {
    loop {
        hand_in(registry, settings, store).await;
        tokio::time::sleep(SERVER_PAUSE).await;
    }
}

/// The command line of a hook alone: describing all the others would take longer than the hook.
fn own_command() -> Command {
    Command::new("athena")
        .subcommand_required(true)
        .args(cli::global_arguments())
        .subcommand(command())
}

fn attend(arguments: &[OsString]) {
    let begun = Instant::now();
    let matches = own_command().try_get_matches_from(arguments);
    let inner = matches.as_ref().ok().map(super::innermost);
    start_log(matches.as_ref().ok(), inner);
    let outcome = match &matches {
        Err(error) => misused(error),
        Ok(matches) => attend_with(matches, begun),
    };
    match outcome {
        Ok(()) | Err(Stop::ClosedPipe | Stop::Told(_) | Stop::Interrupted { .. }) => {}
        Err(Stop::Failed(error)) => {
            tracing::error!(code = %error.code(), "{error}");
            // A person who tries it out is told as well; an agent is no terminal.
            if terminal::stderr_is_terminal() {
                crate::outcome::tell(&error, false);
            }
        }
    }
}

/// Tells what goes wrong to a file, or to a person who asks for it.
fn start_log(matches: Option<&ArgMatches>, inner: Option<&ArgMatches>) {
    let verbose = inner.map_or(0, |inner| inner.get_count(global::VERBOSE));
    let flags = matches.map(super::flags).unwrap_or_default();
    let home = Environment::of_process().and_then(|environment| config::home(&flags, &environment));
    match home {
        Ok(home) if verbose == 0 => logging::start_in(&home, LOG),
        _ => logging::start(&logging::level("error", false, verbose), false),
    }
}

/// Shows the help that was asked for. Any other misuse is told to the log.
fn misused(error: &clap::Error) -> Outcome {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(error.print()?),
        _ => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().to_owned();
            Err(Error::new(athena_core::Code::InvalidInput, first).into())
        }
    }
}

fn attend_with(matches: &ArgMatches, begun: Instant) -> Outcome {
    let inner = super::innermost(matches);
    if inner.get_flag(LIST) {
        return list(inner.get_flag(global::JSON));
    }
    let event = named_event(inner.get_one::<String>(EVENT))?;
    let limit = inner.get_one::<u64>(TIMEOUT).copied().map_or_else(
        || match event {
            Event::SessionStart | Event::UserPrompt => ANSWER_LIMIT,
            _ => RECORD_LIMIT,
        },
        Duration::from_millis,
    );
    end_after(limit.saturating_sub(begun.elapsed()));
    let input = match Input::read(std::io::stdin().lock()) {
        Ok(input) => input,
        Err(unusable) => {
            tracing::warn!(event = event.name(), "{unusable}");
            return Ok(());
        }
    };
    let settings = config::load(&super::flags(matches), &Environment::of_process()?)?;
    let name = Uuid::now_v7().to_string();
    let project = project_of(&settings, &input);
    let occasion = Occasion {
        project: &project,
        at: now(),
        name: &name,
    };
    let mut plan = Plan::of(event, &input, &occasion);
    if plan.is_empty() {
        return Ok(());
    }
    let told = input.session().map(|session| Told::of(&settings, session));
    if let Some(told) = &told {
        match event {
            Event::UserPrompt => plan.leave_out(told.items()),
            Event::SessionStart | Event::PreCompact | Event::SessionEnd => told.forget(),
            Event::PostTool => {}
        }
    }
    let reserve = RESERVE.min(limit / 4);
    let until = begun + limit.saturating_sub(reserve);
    let mut answer = |brief: &Value| {
        if let Some(text) = plan::told(event, brief) {
            say(&text);
            if let Some(told) = &told {
                told.add(brief);
            }
        }
    };
    perform(&settings, plan, until, occasion.at, &mut answer)
}

/// Ends the process when its time is over, whatever keeps it: a pipe that nobody closes, a disk.
fn end_after(rest: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(rest);
        std::process::exit(0)
    });
}

fn named_event(name: Option<&String>) -> Result<Event> {
    let names = Event::ALL.map(Event::name).join(", ");
    let Some(name) = name else {
        return Err(Error::invalid(
            "event",
            format_args!("is missing; the events are {names}"),
        ));
    };
    Event::named(name)
        .ok_or_else(|| Error::invalid("event", format_args!("is `{name}`; the events are {names}")))
}

fn list(as_json: bool) -> Outcome {
    if as_json {
        let events = Event::ALL.map(|event| {
            json!({"name": event.name(), "client_name": event.client_name(), "description": event.summary()})
        });
        return print(&super::json_text(&json!({ "items": events })));
    }
    let lines = Event::ALL.map(|event| {
        format!(
            "{:<14} {:<17} {}\n",
            event.name(),
            event.client_name(),
            event.summary()
        )
    });
    print(&lines.concat())
}

/// Returns the time as exactly as the store keeps it.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Returns the project of what happened: that of the folder that the agent works in.
fn project_of(settings: &Settings, input: &Input) -> String {
    let folder = input.folder().or_else(|| std::env::current_dir().ok());
    project::choose(settings, folder.as_deref().unwrap_or(Path::new("."))).name
}

/// Makes the calls of a plan, and keeps those that the store cannot take by `until`; `answer` is
/// given the brief.
fn perform(
    settings: &Settings,
    plan: Plan,
    until: Instant,
    at: Timestamp,
    answer: &mut dyn FnMut(&Value),
) -> Outcome {
    let runtime = compose::small_runtime().map_err(Error::internal)?;
    let spool = Spool::of(settings);
    let hands = Hands::new(settings);
    runtime.block_on(async {
        let call = async |call: &Call| Box::pin(hands.make(call)).await;
        let mut plan = plan;
        // What was kept goes first: a session that began in a file must not end before that.
        let waiting = catch_up(&spool, &mut plan, &call, until).await;
        let left = make_calls(plan, &call, until, answer).await;
        let left = [waiting, left].concat();
        if !left.is_empty() {
            keep(&spool, settings, hands.registry(), left, at);
        }
        // With an owner, that one hands in what was kept.
        let Some(store) = hands.store.get() else {
            return;
        };
        if !spool.is_empty() {
            spool.hand_in(&call, until).await;
        }
        if let Ok(Err(error)) = timeout_at(until, store.clone().close()).await {
            tracing::warn!(%error, "the store did not close well");
        }
    });
    // A statement that a thread still runs must not hold the process.
    runtime.shutdown_background();
    Ok(())
}

/// Hands in what was kept before, in half of the time. If something is left, the plan's calls wait
/// behind it: those that are worth keeping are taken out of the plan and returned.
async fn catch_up(
    spool: &Spool,
    plan: &mut Plan,
    call: &impl AsyncFn(&Call) -> Result<Option<Value>>,
    until: Instant,
) -> Vec<Call> {
    if spool.is_empty() || !plan.before.iter().chain(&plan.after).any(Call::is_kept) {
        return Vec::new();
    }
    let now = Instant::now();
    spool
        .hand_in(call, now + until.saturating_duration_since(now) / 2)
        .await;
    if spool.is_empty() {
        return Vec::new();
    }
    [&mut plan.before, &mut plan.after]
        .into_iter()
        .flat_map(|calls| calls.extract_if(.., |call| call.is_kept()))
        .collect()
}

/// Prints what the agent is to read.
fn say(told: &Value) {
    match print(&format!("{told}\n")) {
        Ok(()) | Err(Stop::ClosedPipe) => {}
        Err(_) => tracing::warn!("standard output cannot be written"),
    }
}

/// Makes the calls of a plan; returns those that did not reach the store and are worth keeping.
async fn make_calls(
    plan: Plan,
    call: &impl AsyncFn(&Call) -> Result<Option<Value>>,
    until: Instant,
    answer: &mut dyn FnMut(&Value),
) -> Vec<Call> {
    let mut left = Vec::new();
    make_or_leave(plan.before, call, until, &mut left).await;
    if let Some(question) = plan.question {
        match timeout_at(until, call(&question)).await {
            Ok(Ok(Some(brief))) => answer(&brief),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(code = %error.code(), "no brief: {error}"),
            Err(_) => tracing::warn!("no brief in time"),
        }
    }
    make_or_leave(plan.after, call, until, &mut left).await;
    left
}

/// Makes calls in their order. From the first one on that the store cannot take now all are left:
/// it will take the next ones no sooner.
async fn make_or_leave(
    calls: Vec<Call>,
    call: &impl AsyncFn(&Call) -> Result<Option<Value>>,
    until: Instant,
    left: &mut Vec<Call>,
) {
    for made in calls {
        if !left.is_empty() {
            left.extend(Some(made).filter(Call::is_kept));
            continue;
        }
        match timeout_at(until, call(&made)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if !spool::passes(error.code()) => {
                tracing::warn!(operation = made.operation, code = %error.code(), "refused: {error}");
            }
            failed => {
                let why = match failed {
                    Ok(Err(error)) => error.code().as_str(),
                    _ => "not in time",
                };
                tracing::warn!(
                    operation = made.operation,
                    why,
                    "the store cannot take it now"
                );
                left.extend(Some(made).filter(Call::is_kept));
            }
        }
    }
}

/// Keeps calls for later, masked.
fn keep(spool: &Spool, settings: &Settings, registry: &Registry, calls: Vec<Call>, at: Timestamp) {
    let mut masker = match Masker::new(settings, registry) {
        Ok(masker) => masker,
        Err(error) => {
            tracing::error!(%error, "nothing can be kept");
            return;
        }
    };
    let mut masked = Vec::new();
    for mut call in calls {
        match masker.mask(&mut call) {
            Ok(()) => masked.push(call),
            Err(error) => tracing::error!(%error, "a call cannot be kept"),
        }
    }
    if masked.is_empty() {
        return;
    }
    let day = at.strftime("%Y-%m-%d").to_string();
    if let Err(error) = spool.keep(&masked, &day) {
        tracing::error!(%error, calls = masked.len(), "calls cannot be kept");
    }
}

/// Makes calls: the owner of the store does them, or else this process opens it.
struct Hands<'a> {
    settings: &'a Settings,
    registry: std::cell::OnceCell<Registry>,
    store: OnceCell<Store>,
}

impl<'a> Hands<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            registry: std::cell::OnceCell::new(),
            store: OnceCell::new(),
        }
    }

    /// Returns the operations, which take a while to describe: an owner needs nothing of that.
    fn registry(&self) -> &Registry {
        self.registry.get_or_init(compose::registry)
    }

    async fn make(&self, call: &Call) -> Result<Option<Value>> {
        if self.store.get().is_none()
            && let Reply::Done(result) = self.ask(call).await?
        {
            return result.map(Some);
        }
        let store = self.store.get_or_try_init(|| Store::open(self.settings));
        invoke(self.registry(), store.await?, call).await
    }

    async fn ask(&self, call: &Call) -> Result<Reply> {
        let (settings, call) = (self.settings.clone(), call.clone());
        let asked = move || {
            let key = call.key.as_deref();
            ask(
                &settings,
                &call.project,
                NAME,
                &call.operation,
                &call.input,
                key,
            )
        };
        tokio::task::spawn_blocking(asked)
            .await
            .map_err(Error::internal)
    }
}

/// Calls an operation; `None` if this version has none of that name.
async fn invoke(registry: &Registry, store: &Store, call: &Call) -> Result<Option<Value>> {
    let Some(entry) = registry.get(&call.operation) else {
        tracing::warn!(operation = call.operation, "there is no such operation");
        return Ok(None);
    };
    let ctx = store.ctx(NAME).with_project(call.project.clone());
    let answer = registry
        .invoke(entry, &ctx, call.input.clone(), call.key.clone())
        .await?;
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use athena_core::Code;
    use std::cell::RefCell;

    fn call(operation: &str) -> Call {
        serde_json::from_value(json!({"operation": operation, "project": "shop", "input": {}}))
            .unwrap()
    }

    /// Makes the calls of a plan that are answered by `answer`; returns what was called, what is
    /// left and what was said.
    fn made(
        answer: impl Fn(&str) -> Result<Option<Value>>,
    ) -> (Vec<String>, Vec<String>, Vec<Value>) {
        let plan = Plan {
            before: vec![call("session.start")],
            question: Some(call("context.brief")),
            after: vec![
                call("event.record"),
                call("snapshot.save"),
                call("session.end"),
            ],
        };
        let (calls, mut said) = (RefCell::new(Vec::new()), Vec::new());
        let double = async |call: &Call| {
            calls.borrow_mut().push(call.operation.clone());
            answer(&call.operation)
        };
        let runtime = compose::small_runtime().unwrap();
        let left = runtime.block_on(async {
            let until = Instant::now() + Duration::from_secs(60);
            make_calls(plan, &double, until, &mut |brief| said.push(brief.clone())).await
        });
        let left = left.into_iter().map(|call| call.operation).collect();
        (calls.into_inner(), left, said)
    }

    #[test]
    fn everything_is_called_in_order_and_the_brief_is_said() {
        let (calls, left, said) = made(|operation| match operation {
            "context.brief" => Ok(Some(json!({"text": "Ship on Tuesday."}))),
            _ => Ok(Some(Value::Null)),
        });
        assert_eq!(
            calls,
            [
                "session.start",
                "context.brief",
                "event.record",
                "snapshot.save",
                "session.end"
            ]
        );
        assert_eq!(left, Vec::<String>::new());
        assert_eq!(said, [json!({"text": "Ship on Tuesday."})]);
    }

    #[test]
    fn what_does_not_exist_is_skipped() {
        let (calls, left, said) = made(|_| Ok(None));
        assert_eq!(calls.len(), 5);
        assert!(left.is_empty() && said.is_empty());
    }

    #[test]
    fn a_busy_store_is_asked_once_and_all_that_counts_is_left() {
        let (calls, left, _) = made(|operation| match operation {
            "context.brief" => Ok(None),
            _ => Err(Error::new(Code::Busy, "locked")),
        });
        assert_eq!(calls, ["session.start", "context.brief"]);
        assert_eq!(
            left,
            [
                "session.start",
                "event.record",
                "snapshot.save",
                "session.end"
            ]
        );
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let (calls, left, _) = made(|_| Err(Error::invalid("content", "is odd")));
        assert_eq!(calls.len(), 5);
        assert!(left.is_empty());
    }

    #[test]
    fn a_hook_is_known_before_the_command_line_is_read() {
        let asked =
            |line: &str| is_asked_for(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(asked("athena hook post-tool"));
        assert!(asked("athena hook --nonsense"));
        assert!(asked("athena --home /h -v hook post-tool"));
        assert!(!asked("athena remember hook"));
        assert!(!asked("athena"));
    }
}
