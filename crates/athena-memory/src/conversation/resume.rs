//! Whether somebody asks to go on where things were left.

/// What people say who want that, folded.
const PHRASES: [&str; 19] = [
    "where did we leave off",
    "where we left off",
    "where did we stop",
    "where we stopped",
    "where were we",
    "where was i",
    "pick up where",
    "what were we doing",
    "what were we working on",
    "what was i working on",
    "what was i doing",
    "what did we do last",
    "what have we done so far",
    "continue our conversation",
    "continue our work",
    "continue from last time",
    "resume our session",
    "resume the session",
    "back to what we were doing",
];

/// What is asked for when it is all that is said.
const WHOLE: [&str; 6] = [
    "continue",
    "resume",
    "go on",
    "carry on",
    "lets continue",
    "keep going",
];

/// Whether a text asks to go on where things were left; case and punctuation do not matter.
pub(super) fn asks_to_resume(text: &str) -> bool {
    let folded = folded(text);
    let padded = format!(" {folded} ");
    WHOLE.contains(&folded.as_str())
        || PHRASES
            .iter()
            .any(|phrase| padded.contains(&format!(" {phrase} ")))
}

/// Returns the words of a text in small letters, with one blank between.
fn folded(text: &str) -> String {
    let text = text.replace(['\'', '’'], "").to_lowercase();
    let words = text.split(|it: char| !it.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
