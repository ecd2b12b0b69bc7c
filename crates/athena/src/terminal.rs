//! The terminal: whether there is one, how wide it is, and colours for those who want them.
//!
//! Everything that is shown to a person passes [`printable`]: memories are other people's text,
//! and an escape sequence in one must not reach the terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

/// Widest line that human output uses when the terminal is wider or unknown.
const USUAL_WIDTH: usize = 100;

/// How human output looks where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Whether escape sequences for colours are wanted.
    pub(crate) colour: bool,
    /// Number of columns.
    pub(crate) width: usize,
}

impl Style {
    /// Reads the style from standard output and `NO_COLOR`.
    pub(crate) fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let width = rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|width| *width >= 40)
            .unwrap_or(USUAL_WIDTH);
        Self {
            colour: terminal && !unwanted,
            width,
        }
    }

    /// A style without colours, for pipes and tests.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self {
            colour: false,
            width: USUAL_WIDTH,
        }
    }

    /// Shows headings and names.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Shows what matters less.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// Shows what is well.
    pub(crate) fn green(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Shows what deserves a look.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Shows what is wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// Shows kinds and tags.
    pub(crate) fn cyan(self, text: &str) -> String {
        self.wrap("36", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Whether a progress bar would be seen.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Replaces control characters other than line breaks and tabs.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_direction_override(c);
    if text.contains(hidden) {
        Cow::Owned(
            text.chars()
                .map(|c| if hidden(c) { '\u{fffd}' } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// Characters that make a terminal show text in another order than it is stored.
fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns text on one line, cut to a number of columns with an ellipsis.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let joined = printable(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if columns(&joined) <= width {
        return joined;
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in joined.chars() {
        used += column_width(c);
        if used >= width {
            break;
        }
        cut.push(c);
    }
    format!("{}…", cut.trim_end())
}

/// Breaks text into lines of at most `width` columns; line breaks in it are kept.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in printable(text).replace('\t', "    ").lines() {
        let indent: String = paragraph.chars().take_while(|c| *c == ' ').collect();
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if line.is_empty() {
                line.push_str(&indent);
            } else if columns(&line) + 1 + columns(word) > width {
                lines.push(std::mem::replace(&mut line, indent.clone()));
            } else {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// Returns how many columns text takes on a terminal, nearly: wide scripts count twice.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(column_width).sum()
}

fn column_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Pads text to a number of columns.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(
            printable("a\x1b[2Jb\u{202e}c\n"),
            "a\u{fffd}[2Jb\u{fffd}c\n"
        );
    }

    #[test]
    fn long_text_is_cut_by_columns() {
        assert_eq!(one_line("one\n two", 20), "one two");
        assert_eq!(one_line("one two three", 8), "one two…");
        assert_eq!(one_line("日本語のテキスト", 7), "日本語…");
    }

    #[test]
    fn lines_keep_their_indent_when_they_are_broken() {
        assert_eq!(wrap("  aa bb cc\ndd", 7), ["  aa bb", "  cc", "dd"]);
        assert_eq!(wrap("", 7), Vec::<String>::new());
    }

    #[test]
    fn colours_are_off_by_request() {
        assert_eq!(Style::plain().red("x"), "x");
        assert_eq!(
            Style {
                colour: true,
                width: 80
            }
            .red("x"),
            "\x1b[31mx\x1b[0m"
        );
    }
}
