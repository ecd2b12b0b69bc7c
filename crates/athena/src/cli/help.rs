//! The text of the help: groups of commands, exit statuses, and sentences of doc comments.

use crate::outcome::EXIT_STATUSES;
use crate::terminal;
use athena_core::Entry;
use std::fmt::Write;

/// Widest line of help, in columns.
pub(crate) const WIDTH: usize = 100;

/// Commands under their headings, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Groups(Vec<(String, Vec<(String, String)>)>);

impl Groups {
    /// Adds a command; one word that stands for several commands is listed once.
    pub(crate) fn add(&mut self, heading: &str, word: &str, is_group: bool, summary: &str) {
        let summary = if is_group {
            group_about(word)
        } else {
            short(summary)
        };
        let index = self
            .0
            .iter()
            .position(|(known, _)| known == heading)
            .unwrap_or_else(|| {
                self.0.push((heading.to_owned(), Vec::new()));
                self.0.len() - 1
            });
        let commands = &mut self.0[index].1;
        if !commands.iter().any(|(known, _)| known == word) {
            commands.push((word.to_owned(), summary));
        }
    }

    /// Returns the list as text.
    pub(crate) fn text(&self) -> String {
        let widest = self
            .0
            .iter()
            .flat_map(|(_, commands)| commands)
            .map(|(word, _)| word.len())
            .max()
            .unwrap_or(0);
        let blocks: Vec<String> = self
            .0
            .iter()
            .map(|(heading, commands)| {
                let lines: Vec<String> = commands
                    .iter()
                    .map(|(word, summary)| listed(word, widest, summary))
                    .collect();
                format!("{heading}:\n{}", lines.join("\n"))
            })
            .collect();
        blocks.join("\n\n")
    }
}

fn listed(word: &str, widest: usize, summary: &str) -> String {
    let indent = widest + 4;
    let lines = terminal::wrap(summary, WIDTH - indent);
    let mut text = format!("  {}", terminal::pad(word, widest + 2));
    text.push_str(&lines.join(&format!("\n{}", " ".repeat(indent))));
    text.trim_end().to_owned()
}

/// Returns the heading that an operation stands under: its aggregate, capitalised.
pub(crate) fn heading(entry: &Entry) -> String {
    match entry.spec.name.split('.').next().unwrap_or_default() {
        "memory" => "Memory".into(),
        aggregate => {
            let mut letters = aggregate.chars();
            let first = letters
                .next()
                .map(|c| c.to_ascii_uppercase().to_string())
                .unwrap_or_default();
            format!("{first}{}s", letters.as_str())
        }
    }
}

/// Says what the commands below a word are about.
pub(crate) fn group_about(word: &str) -> String {
    format!("Work with {word}s; `athena {word} --help` lists the commands")
}

/// Returns the table of exit statuses.
pub(crate) fn statuses() -> String {
    let mut text = String::from("Exit statuses:");
    for (status, meaning, codes) in EXIT_STATUSES {
        let codes: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let _ = write!(text, "\n  {status}  {meaning}");
        if !codes.is_empty() {
            let _ = write!(text, ": {}", codes.join(", "));
        }
    }
    text.push_str("\n  130, 143  stopped by SIGINT or SIGTERM: interrupted");
    text
}

/// Returns a summary as commands show it: one line, no full stop.
pub(crate) fn short(summary: &str) -> String {
    let summary = summary.split_whitespace().collect::<Vec<_>>().join(" ");
    summary
        .strip_suffix('.')
        .filter(|rest| !rest.ends_with('.'))
        .unwrap_or(&summary)
        .to_owned()
}

/// Returns the first sentence of a doc comment.
pub(crate) fn first_sentence(text: &str) -> String {
    let paragraph = text
        .split("\n\n")
        .next()
        .unwrap_or(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    paragraph
        .split_once(". ")
        .map_or(paragraph.clone(), |(first, _)| format!("{first}."))
}

/// Joins the lines of each paragraph, as source code breaks them; lists and indented lines stay.
pub(crate) fn reflow(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let mut lines: Vec<String> = Vec::new();
        for line in paragraph.lines() {
            let kept = line.starts_with(' ') || line.starts_with("- ") || line.starts_with("* ");
            match lines.last_mut() {
                Some(last) if !kept => {
                    last.push(' ');
                    last.push_str(line.trim());
                }
                _ => lines.push(line.trim_end().to_owned()),
            }
        }
        lines.join("\n")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_become_help() {
        let doc = "Stores a memory. It is\nfound at once.\n\nTypes:\n- fact\n- decision";
        assert_eq!(first_sentence(doc), "Stores a memory.");
        assert_eq!(short("Stores a memory."), "Stores a memory");
        assert_eq!(short("And so on..."), "And so on...");
        assert_eq!(
            reflow(doc),
            "Stores a memory. It is found at once.\n\nTypes:\n- fact\n- decision"
        );
    }

    #[test]
    fn groups_list_each_word_once() {
        let mut groups = Groups::default();
        groups.add("Memory", "recall", false, "Finds memories.");
        groups.add("Projects", "project", true, "Creates a project.");
        groups.add("Projects", "project", true, "Lists projects.");
        assert_eq!(
            groups.text(),
            "Memory:\n  recall   Finds memories\n\nProjects:\n  project  Work with projects; `athena project --help` lists the commands"
        );
    }
}
