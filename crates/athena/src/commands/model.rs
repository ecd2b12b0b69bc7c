//! `model add`: takes a sentence model from a folder into the home, ready to be used.
//!
//! Nothing is fetched: the folder is one that somebody downloaded, and it may go afterwards.

use super::Session;
use crate::config::MODELS;
use crate::outcome::{Outcome, at_path};
use crate::staging::Staging;
use athena_core::{Code, Error, Result};
use athena_embed::{FolderModel, check_folder};
use clap::{Arg, ArgMatches, Command};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes the command.
pub(crate) fn command() -> Command {
    Command::new("model")
        .about("Embed with a sentence model in this process")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("add")
                .about("Take a model from a folder")
                .long_about(
                    "Take a model from a folder.\n\nThe folder is that of a BERT model of sentence-transformers, such as \
                     all-MiniLM-L6-v2: config.json, model.safetensors and tokenizer.json. It is tried out, copied into \
                     models/ of the home, and the settings that use it are shown. Nothing is downloaded.",
                )
                .arg(Arg::new("path").value_name("FOLDER").required(true).help("The model's folder"))
                .arg(
                    Arg::new("name")
                        .long("name")
                        .value_name("NAME")
                        .help("What to call it; vectors are kept apart by this name [default: the folder's]"),
                ),
        )
}

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    match matches.subcommand() {
        Some(("add", matches)) => add(session, matches),
        _ => Err(Error::new(
            Code::InvalidInput,
            "`athena model --help` lists what there is",
        )
        .into()),
    }
}

fn add(session: &Session, matches: &ArgMatches) -> Outcome {
    let given = matches.get_one::<String>("path").map_or("", String::as_str);
    let from = fs::canonicalize(given).map_err(|error| at_path("find", Path::new(given), error))?;
    if !from.is_dir() {
        let problem = format!(
            "`{}` is no folder; give the folder of a BERT model of sentence-transformers",
            from.display()
        );
        return Err(Error::invalid("path", problem).into());
    }
    let name = name(matches.get_one::<String>("name"), &from)?;
    // The settings that are shown hold wherever they are read.
    let home = std::path::absolute(&session.settings.home)
        .map_err(|error| at_path("find", &session.settings.home, error))?;
    let models = home.join(MODELS);
    let to = models.join(&name);
    if to.exists() {
        let message = format!(
            "`{}` is there already; remove it, or choose another `--name`",
            to.display()
        );
        return Err(Error::new(Code::Conflict, message).into());
    }
    let model = check_folder(&from)?;
    copy(&from, &models, &to, &model)?;
    let settings = format!("[embedder]\nprovider = \"local\"\npath = {}\n", json!(to));
    let answer = json!({
        "name": name, "path": to, "components": model.dim,
        "settings": {"embedder": {"provider": "local", "path": to}},
    });
    session.show(&answer, |_, _| {
        format!(
            "{name} works: {} components. It is in {}\n\nTo embed with it, put this into config.toml:\n\n{settings}",
            model.dim,
            to.display()
        )
    })
}

/// Checks what a model is to be called.
fn name(given: Option<&String>, folder: &Path) -> Result<String> {
    let own = || Some(folder.file_name()?.to_string_lossy().into_owned());
    let name = given.cloned().or_else(own).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(is_plain) {
        let problem = format!(
            "`{name}` is no name for a model; give `--name` with up to 100 letters, digits, `-`, `_` and `.`"
        );
        return Err(Error::invalid("name", problem));
    }
    Ok(name)
}

/// Copies the model's files; the folder appears under its name when it is complete.
fn copy(from: &Path, models: &Path, to: &Path, model: &FolderModel) -> Result<()> {
    let failed = |path: &Path| {
        let path: PathBuf = path.to_owned();
        move |error| at_path("write", &path, error)
    };
    fs::create_dir_all(models).map_err(failed(models))?;
    let staging = Staging::new_in(models, ".adding-").map_err(failed(models))?;
    let unfinished = staging.path().join("model");
    for file in &model.files {
        let target = unfinished.join(file);
        let folder = target.parent().unwrap_or(&unfinished);
        fs::create_dir_all(folder).map_err(failed(folder))?;
        fs::copy(from.join(file), &target).map_err(failed(&target))?;
    }
    fs::rename(&unfinished, to).map_err(failed(to))
}
