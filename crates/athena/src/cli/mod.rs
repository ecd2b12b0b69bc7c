//! The command line: commands made from the registry, and the few that are not operations.
//!
//! [`generate`] makes a command of an operation, [`arguments`] turns what was typed into the
//! operation's input, [`render`] shows its answer to a person. Nobody writes a command, a help text
//! or a table for an operation by hand.

pub(crate) mod arguments;
pub(crate) mod generate;
pub(crate) mod help;
pub(crate) mod render;

use athena_core::{Entry, Registry};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;

/// Ids of the options that every command takes.
pub(crate) mod global {
    pub(crate) const JSON: &str = "@json";
    pub(crate) const PROJECT: &str = "@project";
    pub(crate) const HOME: &str = "@home";
    pub(crate) const DATABASE_URL: &str = "@database-url";
    pub(crate) const CONFIG: &str = "@config";
    pub(crate) const QUIET: &str = "@quiet";
    pub(crate) const VERBOSE: &str = "@verbose";
}

/// Long options that no field may take over.
pub(crate) const RESERVED: &[&str] = &[
    "json",
    "project",
    "home",
    "database-url",
    "config",
    "quiet",
    "verbose",
    "help",
    "version",
    "input-json",
    "yes",
];

/// What a command line may need. Most of the time of a short command would go into describing
/// all the others.
#[derive(Debug)]
pub(crate) struct Needed(Option<Vec<String>>);

impl Needed {
    /// Everything there is.
    #[cfg(test)]
    pub(crate) fn everything() -> Self {
        Self(None)
    }

    /// What these arguments may name.
    pub(crate) fn by(arguments: &[OsString]) -> Self {
        Self(Some(
            arguments
                .iter()
                .skip(1)
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
        ))
    }

    /// Whether a command of these words may be meant.
    fn command(&self, words: &[&str]) -> bool {
        self.0.as_ref().is_none_or(|typed| {
            words
                .iter()
                .all(|word| typed.iter().any(|typed| typed == word))
        })
    }

    /// Whether the input of an operation may be given as a whole.
    fn whole_input(&self) -> bool {
        self.0.as_ref().is_none_or(|typed| {
            typed.iter().any(|word| {
                let option = word
                    .split_once('=')
                    .map_or(word.as_str(), |(option, _)| option);
                option == "--input-json"
            })
        })
    }

    /// Whether the list of all commands may be shown.
    fn list(&self) -> bool {
        let asks = |word: &String| matches!(word.as_str(), "-h" | "--help" | "help");
        self.0.as_ref().is_none_or(|typed| {
            typed.iter().any(asks) || typed.iter().all(|word| word.starts_with('-'))
        })
    }
}

/// Makes the whole command: the operations' and `others`, which win where words collide. A group of
/// `others` takes up the operations whose words begin with its name.
///
/// `others` comes with the heading that each stands under in the help. Commands that are not needed
/// have a name and a summary only.
pub(crate) fn command(
    registry: &Registry,
    others: Vec<(&'static str, Command)>,
    needed: &Needed,
) -> Command {
    let mut root = Command::new("athena")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Memory for AI agents: remembers what they learn and recalls what matters now")
        .max_term_width(help::WIDTH)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(global_arguments());
    let mut groups = help::Groups::default();
    for entry in registry.entries() {
        let words = entry.spec.cli.command;
        let Some(first) = words.first() else {
            continue;
        };
        let other = others
            .iter()
            .find(|(_, command)| command.get_name() == *first);
        if other.is_some_and(|(_, command)| is_taken(command, words)) {
            continue;
        }
        let command = if needed.command(words) {
            generate::command(entry, registry.components(), needed.whole_input())
        } else {
            generate::summary(entry)
        };
        if other.is_none() {
            groups.add(
                &help::heading(entry),
                first,
                words.len() > 1,
                &entry.summary,
            );
        }
        root = put(root, words, command);
    }
    for (heading, command) in others {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        groups.add(heading, command.get_name(), false, &about);
        root = join(root, command);
    }
    if needed.list() {
        let list = groups.text();
        root = root
            .after_long_help(format!("{list}\n\n{}", help::statuses()))
            .after_help(list);
    }
    root.help_template("{about}\n\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}")
}

/// Puts a command below its words.
fn put(parent: Command, words: &[&'static str], command: Command) -> Command {
    let [first, rest @ ..] = words else {
        return parent;
    };
    if rest.is_empty() {
        return parent.subcommand(command);
    }
    if parent.find_subcommand(first).is_none() {
        let group = Command::new(*first)
            .about(help::group_about(first))
            .subcommand_required(true)
            .arg_required_else_help(true)
            .disable_help_subcommand(true);
        return parent.subcommand(put(group, rest, command));
    }
    parent.mut_subcommand(first, |group| put(group, rest, command))
}

/// Whether a command that is no operation stands where one with these words would.
fn is_taken(other: &Command, words: &[&str]) -> bool {
    match words {
        [_, second, ..] if other.has_subcommands() => other.find_subcommand(second).is_some(),
        _ => true,
    }
}

/// Puts a command that is no operation beside the others; a group takes up the operations that
/// stand where it belongs.
fn join(root: Command, command: Command) -> Command {
    let name = command.get_name().to_owned();
    match root.find_subcommand(&name) {
        None => root.subcommand(command),
        Some(group) => {
            let command = command.subcommands(group.get_subcommands().cloned());
            root.mut_subcommand(name, |_| command)
        }
    }
}

/// Finds the operation that was asked for, and its matches.
pub(crate) fn selected<'a, 'm>(
    registry: &'a Registry,
    matches: &'m ArgMatches,
) -> Option<(&'a Entry, &'m ArgMatches)> {
    let mut words = Vec::new();
    let mut matches = matches;
    while let Some((word, inner)) = matches.subcommand() {
        words.push(word);
        matches = inner;
    }
    let entry = registry
        .entries()
        .iter()
        .find(|entry| !words.is_empty() && entry.spec.cli.command == words)?;
    Some((entry, matches))
}

pub(crate) fn global_arguments() -> Vec<Arg> {
    let text = |id: &'static str, long: &'static str, value: &'static str, help: &'static str| {
        Arg::new(id)
            .long(long)
            .value_name(value)
            .help(help)
            .global(true)
            .display_order(1_000)
    };
    vec![
        Arg::new(global::JSON)
            .long("json")
            .help("Print answers and errors as JSON")
            .action(ArgAction::SetTrue)
            .global(true)
            .display_order(1_000),
        text(
            global::PROJECT,
            "project",
            "NAME",
            "Work in this project [default: the git repository's name]",
        ),
        text(
            global::HOME,
            "home",
            "DIR",
            "Keep store and configuration here [default: ~/.athena]",
        ),
        text(
            global::DATABASE_URL,
            "database-url",
            "URL",
            "Use this database: sqlite:PATH, postgresql://… or mysql://…",
        ),
        text(
            global::CONFIG,
            "config",
            "FILE",
            "Read this configuration file [default: config.toml in the home]",
        ),
        Arg::new(global::QUIET)
            .long("quiet")
            .short('q')
            .help("Show neither progress nor warnings")
            .action(ArgAction::SetTrue)
            .global(true)
            .display_order(1_000),
        Arg::new(global::VERBOSE)
            .long("verbose")
            .short('v')
            .help("Log more; repeat for even more")
            .action(ArgAction::Count)
            .global(true)
            .display_order(1_000),
    ]
}

#[cfg(test)]
mod tests;
