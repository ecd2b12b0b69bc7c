//! `pii rotate`: a new key for the personal data of a store.

use crate::commands::{Session, progress};
use crate::compose::Store;
use crate::outcome::Outcome;
use crate::terminal::Style;
use athena_privacy::Keyring;
use athena_store::{Progress, Rotated};
use clap::{ArgMatches, Command};
use indicatif::ProgressBar;
use serde_json::{Value, json};

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
             backups may need them.",
        )
}

/// Rotates the key of the store.
pub(super) fn run(session: &Session, _: &ArgMatches) -> Outcome {
    let (rotated, keyring) = session.block_on_long(CONSEQUENCE, async {
        let store = Store::open(&session.settings).await?;
        let rotated = rotate(session, &store).await;
        let keyring = store.privacy().keyring();
        store.close().await?;
        Ok((rotated?, keyring?))
    })?;
    session.show(&answer(&rotated), |_, style| {
        render(&rotated, &keyring, style)
    })
}

async fn rotate(session: &Session, store: &Store) -> Outcome<Rotated> {
    let bar = progress(session, 0, "rotating");
    let rotated = athena_store::rotate(store.env(), "cli", &|step| show(&bar, step)).await;
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
    })
}

fn render(rotated: &Rotated, keyring: &Keyring, style: Style) -> String {
    let Rotated { from, to, .. } = rotated;
    let mut text = format!(
        "{} moved the store from key {from} to key {to}; {} values sealed anew\n",
        style.green("done"),
        rotated.resealed
    );
    if rotated.unopened > 0 {
        let line = format!(
            "{} {} values do not open with the key that they are said to be sealed with, and stay as they are\n",
            style.yellow("note"),
            rotated.unopened
        );
        text.push_str(&line);
    }
    if let Some(number) = keyring.number_of(from) {
        let line = format!(
            "Key {number} of {place} (the newest is key 1) is the old one. Other stores and backups may need it; remove \
             it there by hand when none does.\n",
            place = keyring.place()
        );
        text.push_str(&line);
    }
    text
}
