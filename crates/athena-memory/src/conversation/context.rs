//! What of a thread fits a number of tokens.

use super::{Message, estimated_tokens};

/// What of a thread is shown.
#[derive(Debug, PartialEq)]
pub(super) struct Window {
    /// The summary, shortened if need be; none when nothing is left out or it does not fit.
    pub(super) summary: Option<String>,
    /// The messages, oldest first.
    pub(super) messages: Vec<Message>,
    /// How many tokens all of it has.
    pub(super) tokens: i64,
}

/// Chooses what is shown of a thread: the newest messages that fit, and before them as much of the
/// summary as fits half of the budget, unless all messages fit.
///
/// `newest` are the newest messages, newest first: all that there are, if `complete`, or more than
/// fit. An answer of a tool is left out unless the message that called it is shown.
pub(super) fn window(
    newest: Vec<Message>,
    complete: bool,
    summary: Option<&str>,
    budget: i64,
) -> Window {
    let all = newest.iter().map(|message| message.tokens).sum::<i64>();
    if complete && all <= budget {
        return shown(None, newest);
    }
    let summary = summary.and_then(|summary| shortened(summary, budget / 2));
    let left = budget - summary.as_deref().map_or(0, estimated_tokens);
    let mut used = 0;
    let fitting = newest.into_iter().take_while(|message| {
        used += message.tokens;
        used <= left
    });
    shown(summary, fitting.collect())
}

/// Shows messages, given newest first, but for answers to calls that are not among them.
fn shown(summary: Option<String>, newest: Vec<Message>) -> Window {
    let mut messages: Vec<Message> = Vec::with_capacity(newest.len());
    for message in newest.into_iter().rev() {
        if !message.is_answer_of_tool() || messages.iter().rev().any(|it| it.calls(&message)) {
            messages.push(message);
        }
    }
    let said: i64 = messages.iter().map(|message| message.tokens).sum();
    Window {
        tokens: said + summary.as_deref().map_or(0, estimated_tokens),
        summary,
        messages,
    }
}

/// Returns the last lines of a summary that fit; none if not one does.
fn shortened(summary: &str, budget: i64) -> Option<String> {
    let mut rest = summary;
    while estimated_tokens(rest) > budget {
        rest = rest.split_once('\n')?.1;
    }
    (!rest.is_empty()).then(|| rest.to_owned())
}
