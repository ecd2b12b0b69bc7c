//! Lists in pages: a `limit`, an opaque `cursor`, and `next_cursor` until the list ends.

use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The items of this page, in the order of the list.
    pub items: Vec<T>,
    /// Pass as `cursor` to get the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What a caller asks of a list.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    /// How many items to answer at most.
    pub limit: u32,
    /// Where the previous page ended.
    pub cursor: Option<Cursor>,
}

/// The place in a list where a page ended: the key of its last item.
///
/// Lists are ordered by a unique key, so a page neither repeats nor skips an item when others are
/// inserted meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl Cursor {
    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidInput`](crate::Code::InvalidInput) for text that no page answered.
    pub fn parse(text: &str) -> Result<Self> {
        text.strip_prefix("c1.")
            .and_then(|key| i64::from_str_radix(key, 36).ok())
            .map(Self)
            .ok_or_else(|| {
                Error::invalid(
                    "cursor",
                    "is not a cursor that a list answered; start again without one",
                )
            })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c1.{}", base36(self.0))
    }
}

impl<T> Page<T> {
    /// Makes a page from `limit + 1` fetched items: the extra one only tells that more follow.
    #[must_use]
    pub fn from_overfetch(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items
            .last()
            .filter(|_| more)
            .map(|last| Cursor(key(last)).to_string());
        Self { items, next_cursor }
    }
}

/// Writes a number in base 36 with a leading `-` when negative.
fn base36(number: i64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(DIGITS[usize::try_from(rest % 36).unwrap_or(0)]);
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        digits.push(b'-');
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(*digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text_form() {
        for key in [0, 1, 35, 36, -7, i64::MAX, i64::MIN] {
            assert_eq!(
                Cursor::parse(&Cursor(key).to_string()).ok(),
                Some(Cursor(key))
            );
        }
    }

    #[test]
    fn other_text_is_refused_by_name() {
        for text in ["", "c1.", "c1.ä", "12", "c1.zzzzzzzzzzzzzzzzzzzzz"] {
            let error = Cursor::parse(text).expect_err("not a cursor");
            assert_eq!(error.field(), Some("cursor"));
        }
    }

    #[test]
    fn the_extra_item_only_tells_that_more_follow() {
        let page = Page::from_overfetch(vec![9, 8, 7], 2, |key| *key);
        assert_eq!(page.items, [9, 8]);
        assert_eq!(page.next_cursor, Some(Cursor(8).to_string()));
        assert_eq!(
            Page::from_overfetch(vec![9, 8], 2, |key| *key).next_cursor,
            None
        );
    }
}
