//! The end of a session's transcript: what was asked and answered last.
//!
//! The file is the agent's own and its form is not promised. What cannot be read is left out.

use super::input::text_of;
use super::tool::shortened;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// How much of the end of a transcript is looked at.
const TAIL_BYTES: u64 = 256 << 10;
/// Longest piece that is kept, in characters.
const MAX_CHARS: usize = 700;

/// What was said last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LastWords {
    /// By the person.
    pub(super) prompt: Option<String>,
    /// By the agent.
    pub(super) answer: Option<String>,
}

/// Returns what was said last in the transcript at a path.
pub(super) fn last_words(path: &Path) -> LastWords {
    let tail = tail(path).unwrap_or_else(|error| {
        tracing::debug!(kind = %error.kind(), "the transcript cannot be read");
        Vec::new()
    });
    let mut last = LastWords::default();
    for line in tail.split(|byte| *byte == b'\n').rev() {
        let Ok(entry) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        match entry["type"].as_str() {
            Some("user") if last.prompt.is_none() => last.prompt = words(&entry),
            Some("assistant") if last.answer.is_none() => last.answer = words(&entry),
            _ => {}
        }
        if last.prompt.is_some() && last.answer.is_some() {
            break;
        }
    }
    last
}

fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    // Anything but a file could keep us waiting.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(Vec::new());
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns what an entry says in words; results of tools are none.
fn words(entry: &Value) -> Option<String> {
    let content = &entry["message"]["content"];
    let text = match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter(|part| part["type"] == "text")
            .filter_map(|part| text_of(part, "text"))
            .collect::<Vec<_>>()
            .join(" "),
        _ => return None,
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| shortened(&text, MAX_CHARS, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_found_before_results_of_tools() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t.jsonl");
        let lines = [
            r#"{"type":"user","message":{"content":"first"}}"#,
            r#"{"type":"user","message":{"content":[{"type":"text","text":"fix\nit"}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"done"},{"type":"tool_use"}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"x"}]}}"#,
            r#"{"type":"summ"#,
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let last = last_words(&path);
        assert_eq!(last.prompt.as_deref(), Some("fix it"));
        assert_eq!(last.answer.as_deref(), Some("done"));
        std::fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(last_words(&path), LastWords::default());
        assert_eq!(last_words(place.path()), LastWords::default());
        assert_eq!(last_words(&place.path().join("none")), LastWords::default());
    }
}
