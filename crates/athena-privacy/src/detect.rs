//! A placeholder: `detect/` and `normalise.rs` replace this file (delete it when they land).
#![allow(missing_docs)]
use crate::{Finding, Kind};
use std::borrow::Cow;
use std::ops::Range;
#[derive(Debug, Default)]
pub struct Detector;
impl Detector {
    pub fn find(&self, text: &str) -> Vec<Finding> {
        self.find_in_field("", text)
    }
    pub fn find_in_field(&self, _field: &str, text: &str) -> Vec<Finding> {
        let mut v = vec![];
        let mut at = 0;
        for w in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || "@._+-".contains(c)))
        {
            let t = w.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if t.contains('@') && t.contains('.') {
                v.push(Finding {
                    kind: Kind::Email,
                    rule: "email".into(),
                    range: at..at + t.len(),
                    masked: at..at + t.len(),
                    confidence: 0.95,
                });
            }
            at += w.len();
        }
        v
    }
}
pub fn home_prefix(path: &str) -> Option<Range<usize>> {
    let r = path.strip_prefix("/home/")?;
    Some(0..6 + r.find('/').unwrap_or(r.len()))
}
pub fn tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('[')
        .filter_map(|(i, _)| {
            let e = i + text[i..].find(']')? + 1;
            let t = &text[i + 1..e - 1];
            let (k, c) = t.split_once(':')?;
            (!k.is_empty() && c.len() == 16 && c.bytes().all(|b| b.is_ascii_hexdigit()))
                .then_some(i..e)
        })
        .collect::<Vec<_>>()
        .into_iter()
}
pub fn normalise<'a>(kind: &Kind, value: &'a str) -> Cow<'a, str> {
    match kind {
        Kind::Email => Cow::Owned(value.to_lowercase()),
        _ => Cow::Borrowed(value),
    }
}

pub fn character_ranges(text: &str, findings: &[Finding]) -> Vec<Range<usize>> {
    findings
        .iter()
        .map(|f| text[..f.range.start].chars().count()..text[..f.range.end].chars().count())
        .collect()
}
