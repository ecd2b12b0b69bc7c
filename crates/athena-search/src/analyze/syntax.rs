//! What a question asks for besides its words: phrases, words to leave out, beginnings of words.
//!
//! Only what can hardly be meant otherwise is a sign; everything else is words, and no text is an
//! error. `"two words"` in quotes, `-word` behind a space, and `word*`: not the inches of a
//! `27" screen`, the dash of `a - b` or of a list, the hyphen of `well-known`, an option such as
//! `--all`, `-x` or `-auto-approve`, a glob such as `src/*.rs`, or `**bold**`.

use std::collections::{BTreeSet, HashMap};

use super::{Role, Term, query_terms, terms};

/// Fewest letters of a word to leave out: shorter ones are options of commands, as in `tar -xz`.
const SHORTEST_EXCLUDED: usize = 3;
/// Fewest letters of a beginning.
const SHORTEST_BEGINNING: usize = 2;
/// Most beginnings of a question, each of which stands for many words; further ones are words.
const MOST_BEGINNINGS: usize = 16;
/// The pairs of quotes.
const QUOTES: [(char, char); 3] = [('"', '"'), ('“', '”'), ('„', '“')];

/// A question, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuerySyntax {
    /// The words to rank by: the text without its signs and without what is to be left out; the
    /// text itself where it has no sign.
    pub words: String,
    /// The texts between quotes, of two words or more each.
    pub phrases: Vec<Phrase>,
    /// The analysed words that no hit may have.
    pub excluded: Vec<String>,
    /// The beginnings of words, normalised but not stemmed; they are among the words, too.
    pub beginnings: Vec<String>,
}

/// Words that stand next to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    terms: Vec<String>,
}

/// Stands around each word of a text that is searched for a phrase; no word has it.
const BETWEEN_WORDS: char = '\0';

impl Phrase {
    /// Makes a phrase of a text; `None` for less than two words.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let terms: Vec<String> = sequence(text).map(|term| term.text).collect();
        (terms.len() >= 2).then_some(Self { terms })
    }

    /// Returns the phrase with some of its words spelt in another way.
    #[must_use]
    pub fn spelt(&self, spelling: &HashMap<String, String>) -> Self {
        let spelt = |term: &String| spelling.get(term).unwrap_or(term).clone();
        Self {
            terms: self.terms.iter().map(spelt).collect(),
        }
    }

    /// Whether the words stand next to each other in a text, as they are analysed: case, accents
    /// and endings do not matter, nor does what stands between words.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let said: Vec<String> = sequence(text).map(|term| term.text).collect();
        // The search for one text in another is linear, however often the words repeat.
        joined(&said).contains(&joined(&self.terms))
    }
}

fn joined(words: &[String]) -> String {
    let mut joined = String::from(BETWEEN_WORDS);
    for word in words {
        joined.push_str(word);
        joined.push(BETWEEN_WORDS);
    }
    joined
}

/// The words of a text one after the other; wholes and characters stand beside their parts.
fn sequence(text: &str) -> impl Iterator<Item = Term> {
    let said = |term: &Term| matches!(term.role, Role::Word | Role::Stop);
    terms(text).into_iter().filter(said)
}

impl QuerySyntax {
    /// Takes a question apart. Where nothing but signs would be left to look for, the signs are
    /// none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.contains(is_sign) {
            let parsed = parse(text);
            if parsed.excluded.is_empty() || !query_terms(&parsed.words).is_empty() {
                return parsed;
            }
        }
        Self {
            words: text.to_owned(),
            ..Self::default()
        }
    }

    /// Returns the analysed words of the phrases, each once.
    #[must_use]
    pub fn phrase_terms(&self) -> Vec<String> {
        let terms: BTreeSet<&String> = self.phrases.iter().flat_map(|it| &it.terms).collect();
        terms.into_iter().cloned().collect()
    }

    /// Whether the question is words alone.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.phrases.is_empty() && self.excluded.is_empty() && self.beginnings.is_empty()
    }
}

fn parse(text: &str) -> QuerySyntax {
    let mut syntax = QuerySyntax::default();
    let has_lines = text.contains('\n');
    let mut opens_line = has_lines;
    let mut opens_word = true;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let sign = opens_word.then(|| syntax.sign(rest, opens_line)).flatten();
        syntax.words.push(if sign.is_some() { ' ' } else { first });
        let (taken, after) = rest.split_at(sign.unwrap_or(first.len_utf8()));
        opens_word = taken.ends_with(is_before_word);
        opens_line = has_lines && (first == '\n' || (opens_line && first.is_whitespace()));
        rest = after;
    }
    syntax
}

impl QuerySyntax {
    /// Reads a sign at the start of a text; returns its length in bytes. A dash that opens one of
    /// several lines only lists it.
    fn sign(&mut self, text: &str, opens_line: bool) -> Option<usize> {
        match text.chars().next()? {
            '-' if opens_line => None,
            '-' => self.exclusion(text),
            first if first.is_alphanumeric() => self.beginning(text),
            _ => self.phrase(text),
        }
    }

    fn phrase(&mut self, text: &str) -> Option<usize> {
        let first = text.chars().next()?;
        let (open, close) = QUOTES.iter().find(|(open, _)| *open == first)?;
        let inner = &text[open.len_utf8()..];
        let end = inner.find(*close)?;
        let after = &inner[end + close.len_utf8()..];
        if !closes_word(after) {
            return None;
        }
        let phrase = Phrase::new(&inner[..end])?;
        // Its words rank like others.
        self.words.push(' ');
        self.words.push_str(&inner[..end]);
        self.phrases.push(phrase);
        Some(text.len() - after.len())
    }

    fn exclusion(&mut self, text: &str) -> Option<usize> {
        let word = text.strip_prefix('-')?;
        let word = &word[..word.find(char::is_whitespace).unwrap_or(word.len())];
        let word = word.trim_end_matches(ends_sentence);
        let is_word =
            word.chars().count() >= SHORTEST_EXCLUDED && word.chars().all(char::is_alphabetic);
        if !is_word {
            return None;
        }
        let mut analysed = terms(word).into_iter();
        match (analysed.next(), analysed.next()) {
            (Some(term), None) if term.role == Role::Word => self.excluded.push(term.text),
            _ => return None,
        }
        Some('-'.len_utf8() + word.len())
    }

    fn beginning(&mut self, text: &str) -> Option<usize> {
        let end = text.find(|c: char| !c.is_alphanumeric())?;
        let (word, after) = text.split_at(end);
        let after = after.strip_prefix('*')?;
        let folded = super::fold(word);
        if word.chars().count() < SHORTEST_BEGINNING
            || word.chars().any(super::is_unspaced)
            || !closes_word(after)
            || folded.is_empty()
            || self.beginnings.len() == MOST_BEGINNINGS
        {
            return None;
        }
        self.words.push_str(word);
        if !self.beginnings.contains(&folded) {
            self.beginnings.push(folded);
        }
        Some(text.len() - after.len())
    }
}

/// Whether a character may be part of a sign.
fn is_sign(c: char) -> bool {
    matches!(c, '-' | '*') || QUOTES.iter().any(|(open, _)| *open == c)
}

/// Whether a word may begin behind a character.
fn is_before_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | '[')
}

/// Whether a word may end before this text.
fn closes_word(after: &str) -> bool {
    let mut after = after.chars();
    after.next().is_none_or(|first| {
        first.is_whitespace()
            || (ends_sentence(first) && after.next().is_none_or(|next| !next.is_alphanumeric()))
    })
}

fn ends_sentence(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words, then phrases in quotes, excluded words with a dash and beginnings with a star.
    fn check(text: &str, expected: &str) {
        let parsed = QuerySyntax::parse(text);
        let words = parsed.words.split_whitespace().map(str::to_owned);
        let phrases = parsed
            .phrases
            .iter()
            .map(|it| format!("\"{}\"", it.terms.join(" ")));
        let excluded = parsed.excluded.iter().map(|it| format!("-{it}"));
        let beginnings = parsed.beginnings.iter().map(|it| format!("{it}*"));
        let found: Vec<String> = words
            .chain(phrases)
            .chain(excluded)
            .chain(beginnings)
            .collect();
        assert_eq!(found.join(" "), expected, "{text:?}");
        assert_eq!(parsed.is_plain(), parsed.words == text, "{text:?}");
    }

    #[test]
    fn quotes_around_words_make_a_phrase() {
        check(
            "\"connection pool\" size",
            "connection pool size \"connect pool\"",
        );
        check(
            "the “Connection Pools”?",
            "the Connection Pools ? \"connect pool\"",
        );
        check("(\"to be\")", "( to be ) \"to be\"");
        check("„große Änderung“", "große Änderung \"gross anderung\"");
        check("\"getUserById\"", "getUserById \"get user by id\"");
        check("\"東京都庁\" 住所", "東京都庁 住所 \"東京 京都 都庁\"");
        check("\"a b\" \"c d\"", "a b c d \"a b\" \"c d\"");
    }

    #[test]
    fn other_quotes_are_none() {
        for text in [
            "\"word\"",
            "an unclosed \"quote here",
            "a 27\" screen and a 24\" screen",
            "it's 'single quoted words'",
            "{\"key\": \"two words\"}",
            "x=\"two words\"y",
            "\"\"",
            "\" \"",
            "\"",
            "\"\"\"",
            "“",
        ] {
            assert!(QuerySyntax::parse(text).phrases.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_dash_before_a_word_leaves_it_out() {
        check("pool -staging", "pool -stage");
        check("-Redis cache", "cache -redi");
        check("pool -staging, -tests.", "pool , . -stage -test");
        check("обновление -сервера", "обновление -сервер");
    }

    #[test]
    fn other_dashes_are_none() {
        for text in [
            "a - b",
            "well-known word",
            "git commit -a -m",
            "tar -xz file",
            "cargo --release",
            "minus -5 degrees",
            "a -src/net",
            "a -x-y",
            "a -getUser b",
            "a -the b",
            "list:\n-first\n-second",
            "-first\n  -second\n\t-third",
            "2024-01-02 in foo-bar",
            "ada-lovelace@example.org said",
            "don't",
            "-",
            "- -",
            "a -",
            "terraform -auto-approve",
            "a —dash b",
        ] {
            check(text, &text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    #[test]
    fn a_star_behind_letters_is_a_beginning() {
        check("deploy* staging", "deploy staging deploy*");
        check("Überweis*?", "Überweis ? uberweis*");
        check("v2*", "v2 v2*");
        check("char* p of Char*", "char p of Char char*");
    }

    #[test]
    fn other_stars_are_none() {
        for text in [
            "x*",
            "a * b",
            "2 * 3",
            "**bold** words",
            "*italic* word",
            "src/*.rs",
            "count(*)",
            "foo*bar",
            "東京*",
            "user_id*",
            "**",
            "*",
            "char **argv",
            "C++ int *p",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn signs_alone_are_words() {
        check("-staging", "-staging");
        check("the -staging -tests", "the -stage -test");
        check("deploy* -staging", "deploy -stage deploy*");
    }

    #[test]
    fn phrases_are_found_where_their_words_are_neighbours() {
        let phrase = Phrase::new("connection pools").unwrap();
        assert!(phrase.is_in("The connection-pool is small."));
        assert!(phrase.is_in("a ConnectionPool"));
        assert!(!phrase.is_in("The pool of the connection."));
        assert!(!phrase.is_in("connection"));
        assert!(!phrase.is_in("a reconnection pool"));
        let phrase = Phrase::new("state of the art").unwrap();
        assert!(phrase.is_in("The STATE-OF-THE-ART engine"));
        assert!(
            !phrase.is_in("state art"),
            "stop words stand in a phrase, too"
        );
        assert!(Phrase::new("東京都").unwrap().is_in("昨日東京都庁へ行った"));
        assert!(!Phrase::new("東京都").unwrap().is_in("京都と東京"));
    }

    proptest! {
        #[test]
        fn any_text_parses(text: String) {
            let parsed = QuerySyntax::parse(&text);
            for phrase in &parsed.phrases {
                prop_assert!(phrase.terms.len() >= 2 && phrase.is_in(&text));
            }
        }

        #[test]
        fn texts_of_signs_parse(text in "[a-c東 \"“”„*().,\n-]{0,40}") {
            let parsed = QuerySyntax::parse(&text);
            prop_assert!(query_terms(&text).is_empty() || !query_terms(&parsed.words).is_empty());
        }

        #[test]
        fn without_signs_a_text_is_its_words(text in "[^\"“”„*-]{0,40}") {
            let parsed = QuerySyntax::parse(&text);
            prop_assert!(parsed.is_plain());
            prop_assert_eq!(parsed.words, text);
        }
    }
}
