//! Searching for many strings at once in whatever may hold them.

use std::collections::{BTreeSet, HashMap};

/// Bytes that every needle has at least.
const START: usize = 8;

/// Strings to be found in bytes, in capitals or not, escaped as JSON or percent-encoded.
///
/// Digits are not found within longer numbers, of which there are many in a database.
#[derive(Default)]
pub(crate) struct Needles {
    by_start: HashMap<[u8; START], Vec<(Vec<u8>, String)>>,
    /// A bit for each three bytes that one begins with: what is tested first, and seldom true.
    beginnings: Vec<u64>,
}

impl Needles {
    /// Makes a search for these strings.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Self {
            beginnings: vec![0; 1 << 18],
            ..Self::default()
        };
        for text in texts {
            let forms: BTreeSet<String> = [text.to_owned(), in_json(text), in_url(text)].into();
            for form in forms {
                needles.add(form.to_ascii_lowercase().into_bytes(), text);
            }
        }
        needles
    }

    fn add(&mut self, form: Vec<u8>, text: &str) {
        let start = *form.first_chunk().expect("a needle is long enough");
        let (word, bit) = place(form[0], form[1], form[2]);
        self.beginnings[word] |= bit;
        self.by_start
            .entry(start)
            .or_default()
            .push((form, text.to_owned()));
    }

    fn add_found_at<'a>(&'a self, folded: &[u8], at: usize, found: &mut BTreeSet<&'a str>) {
        let start = folded[at..].first_chunk::<START>();
        let known = start.and_then(|start| self.by_start.get(start));
        for (form, text) in known.into_iter().flatten() {
            if folded[at..].starts_with(form) && stands_alone(folded, at, form.len()) {
                found.insert(text.as_str());
            }
        }
    }

    /// Returns those that are in these bytes.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let folded = bytes.to_ascii_lowercase();
        let beginnings = self.beginnings.as_slice();
        let mut found = BTreeSet::new();
        let mut at = 0;
        // Every byte of a whole database passes here, unoptimised: nothing is called for most.
        while at + START <= folded.len() {
            let (word, bit) = place(folded[at], folded[at + 1], folded[at + 2]);
            if beginnings[word] & bit != 0 {
                self.add_found_at(&folded, at, &mut found);
            }
            at += 1;
        }
        found
    }
}

/// Returns where it is noted that a needle begins with these bytes.
fn place(first: u8, second: u8, third: u8) -> (usize, u64) {
    let number = (first as usize) << 16 | (second as usize) << 8 | third as usize;
    (number >> 6, 1 << (number & 63))
}

/// Whether what is found is no part of a longer number.
fn stands_alone(bytes: &[u8], at: usize, length: usize) -> bool {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let goes_on =
        |inside: usize, outside: Option<usize>| is_digit(inside) && outside.is_some_and(is_digit);
    !goes_on(at, at.checked_sub(1)) && !goes_on(at + length - 1, Some(at + length))
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Writes text as a part of a URL.
pub(crate) fn in_url(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[test]
fn needles_are_found_in_every_form() {
    let needles = Needles::new([r"C:\Users\zuvo", "a.zuvo@kire.com", "123456789"]);
    let found = |text: &str| {
        needles
            .found_in(text.as_bytes())
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(found(r"at C:\Users\zuvo."), [r"C:\Users\zuvo"]);
    assert_eq!(found(r#"{"at":"c:\\users\\zuvo"}"#), [r"C:\Users\zuvo"]);
    assert_eq!(found("q=A.ZUVO%40kire.com&b"), ["a.zuvo@kire.com"]);
    assert_eq!(found("n 123456789 n"), ["123456789"]);
    assert!(found("n 1123456789 1234567890 C:\\Users\\zuv").is_empty());
}
