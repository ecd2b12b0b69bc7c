//! `pii rotate`: a new key for the personal data of a store.

use crate::commands::{Session, progress};
use crate::compose::Store;
use crate::outcome::Outcome;
use crate::terminal::Style;
use athena_privacy::Keyring;
use athena_store::{Progress, Rotated};
use clap::{Arg, ArgAction, ArgMatches, Command};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::fmt::Write;

const RETOKENISE: &str = "retokenise";

/// What an interruption means.
const CONSEQUENCE: &str = "the rotation is not complete; `athena pii rotate` goes on with it";

/// Makes the command.
pub(super) fn command() -> Command {
    Command::new("rotate")
        .about("Move the store to a new key, and go on with a move that was cut off")
        .long_about(
            "Move the store to a new key, and go on with a move that was cut off.\n\nA new key is put in front of the \
             others in the key file; with ATHENA_PII_KEY you put it there yourself, with a comma between them, and \
             then run this. The store takes the newest key as its own, and every value that is kept is sealed with \
             it. Servers that read the same key file need not be restarted. Older keys stay: other stores and \
             backups may need them.\n\nTokens stay as they are. With --retokenise each token whose value is kept gets \
             another in its place, everywhere in the store: for a key that somebody else may have seen.",
        )
        .arg(
            Arg::new(RETOKENISE)
                .long(RETOKENISE)
                .action(ArgAction::SetTrue)
                .help("Also replace every token whose value is kept, which rewrites what mentions it"),
        )
}

/// Rotates the key of the store.
pub(super) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let retokenise = matches.get_flag(RETOKENISE);
    let (rotated, keyring) = session.block_on_long(CONSEQUENCE, async {
        let store = Store::open(&session.settings).await?;
        let rotated = rotate(session, &store, retokenise).await;
        let keyring = store.privacy().keyring();
        store.close().await?;
        Ok((rotated?, keyring?))
    })?;
    session.show(&answer(&rotated), |_, style| {
        render(&rotated, &keyring, style)
    })
}

async fn rotate(session: &Session, store: &Store, retokenise: bool) -> Outcome<Rotated> {
    let bar = progress(session, 0, "rotating");
    let told = |step| show(&bar, step);
    let rotated = athena_store::rotate(store.env(), "cli", retokenise, &told).await;
    bar.finish_and_clear();
    Ok(rotated?)
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_message(progress.step);
    bar.set_length(progress.of);
    bar.set_position(progress.done);
}

fn answer(rotated: &Rotated) -> Value {
    json!({
        "from": rotated.from,
        "to": rotated.to,
        "resealed": rotated.resealed,
        "unopened": rotated.unopened,
        "retokenised": rotated.retokenised.map(|done| json!({"tokens": done.tokens, "rows": done.rows})),
        "kept": rotated.retokenised.map(|done| done.kept),
    })
}

fn render(rotated: &Rotated, keyring: &Keyring, style: Style) -> String {
    let Rotated { from, to, .. } = rotated;
    let mut text = format!(
        "{} moved the store from key {from} to key {to}; {} values sealed anew\n",
        style.green("done"),
        rotated.resealed
    );
    if let Some(done) = rotated.retokenised {
        let _ = writeln!(
            text,
            "{} tokens have others in their place, in {} rows",
            done.tokens, done.rows
        );
        if done.kept > 0 {
            let _ = writeln!(
                text,
                "{} {} tokens stand for nothing that is kept: they stay, and asking for their values no longer finds them",
                style.yellow("note"),
                done.kept
            );
        }
    }
    if rotated.unopened > 0 {
        let _ = writeln!(
            text,
            "{} {} values do not open with the key that they are said to be sealed with, and stay as they are",
            style.yellow("note"),
            rotated.unopened
        );
    }
    if let Some(number) = keyring.number_of(from) {
        let _ = writeln!(
            text,
            "Key {number} of {place} (the newest is key 1) is the old one. Other stores and backups may need it; remove \
             it there by hand when none does.",
            place = keyring.place()
        );
    }
    text
}
