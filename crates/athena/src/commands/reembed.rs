//! `reembed`: vectors of the configured model for what was told before it was configured.
//!
//! Asks as every other face does, by the operation `memory.reembed`, and then does the work in this
//! process, which a server would do in the background.

use super::{Session, progress};
use crate::compose::Store;
use crate::outcome::Outcome;
use crate::terminal::Style;
use athena_core::{Code, Error};
use athena_memory::memories::{ReembedAsked, ReembedProgress, reembed};
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

const ALL: &str = "all";

/// What an interruption means.
const CONSEQUENCE: &str =
    "not all vectors are made; `athena reembed` goes on, and so does a server that runs";

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("reembed")
        .about("Give memories the vectors of the configured model")
        .long_about(
            "Give every memory of the project the vectors of the embedding model that the settings name: after the model \
             was changed, and for what was told before there was one.\n\nUntil all of them are made, what there is \
             answers: a process with the former model asks by its vectors, others by words and built-in vectors. Then \
             the new vectors take over at once, and the former ones are removed. What is done stays done when this is \
             cut off; run it again, or let a server go on.",
        )
        .arg(
            Arg::new(ALL)
                .long(ALL)
                .action(ArgAction::SetTrue)
                .help("In every project of the store"),
        )
}

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let input = json!({"project": session.named_project, "all": matches.get_flag(ALL)});
    let asked = session.block_on_long(CONSEQUENCE, async {
        let store = Store::open(&session.settings).await?;
        let asked = perform(session, &store, input).await;
        store.close().await?;
        asked
    })?;
    session.show(&answer(&asked), |_, style| render(&asked, style))
}

async fn perform(session: &Session, store: &Store, input: Value) -> Outcome<ReembedAsked> {
    let entry = session
        .registry
        .get("memory.reembed")
        .ok_or_else(|| Error::new(Code::NotFound, "operation `memory.reembed` does not exist"))?;
    let ctx = store.ctx("cli");
    let answer = session.registry.invoke(entry, &ctx, input, None).await?;
    let asked: ReembedAsked = serde_json::from_value(answer).map_err(Error::internal)?;
    let projects: Vec<_> = asked.projects.iter().map(|project| project.id).collect();
    let bar = progress(session, 0, "embedding");
    let told = |progress: ReembedProgress| {
        bar.set_length(progress.of);
        bar.set_position(progress.done);
    };
    let done = reembed(store.env(), &projects, &told).await;
    bar.finish_and_clear();
    done?;
    Ok(asked)
}

fn answer(asked: &ReembedAsked) -> Value {
    let projects = asked.projects.iter().map(
        |project| json!({"id": project.id, "name": project.name, "embedded": project.lacking}),
    );
    json!({"model": asked.model, "projects": projects.collect::<Vec<_>>()})
}

fn render(asked: &ReembedAsked, style: Style) -> String {
    let embedded: u64 = asked.projects.iter().map(|project| project.lacking).sum();
    let done = style.green("done");
    match &asked.model {
        Some(model) => {
            format!("{done} {embedded} memories got vectors of {model}, which answer now\n")
        }
        None => {
            format!("{done} no model is configured; everything has vectors of the built-in one\n")
        }
    }
}
