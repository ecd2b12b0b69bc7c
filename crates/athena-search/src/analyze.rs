//! From text to terms: the one analyser for what is stored and what is asked.
//!
//! Words are runs of letters, digits and the marks on them, lower-cased, accents folded, stemmed
//! with Snowball's stemmer for their script: English, Russian or Greek. Identifiers and paths are split at `_`, at a lower-to-upper
//! step and at the end of an acronym, *and* kept whole (`src/main.rs`, `getuserid`). Scripts that
//! are written without spaces give pairs of neighbouring characters. Nothing in a text is syntax:
//! quotes, `-word`, `word*` and SQL are words like others. Of a question, [`QuerySyntax`] takes the
//! few signs that cannot be meant otherwise before.
//!
//! `[email:0123456789abcdef]`, a token that stands for something personal, is one term, the text
//! between its brackets: the name of its kind is no word that was said.
//!
//! Documents keep their stop words, so that "who are you" can be found; they do not count towards a
//! document's length, and a query drops them unless nothing else is left of it.

mod memo;
mod stem;
mod syntax;

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

pub use memo::WordMemo;
pub use syntax::{Phrase, QuerySyntax};

/// The version of this analyser: stored terms of another version are to be made anew.
pub const ANALYZER_VERSION: u32 = 3;

/// What a sentence may end with; the word behind it has a capital that says nothing.
const ENDS_SENTENCE: [char; 9] = ['.', '?', '!', ':', ';', '\n', '"', '“', '¿'];

/// What a question ends with: in Latin, Greek and Cyrillic letters, in full width, in Arabic ones.
const ENDS_QUESTION: [char; 3] = ['?', '？', '؟'];

/// Longer runs are cut here: nobody searches for the tail of an encoded file.
const LONGEST_TERM: usize = 64;

/// What a term stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A word, part of an identifier, number, or pair of characters.
    Word,
    /// A word so common that it says nothing by itself.
    Stop,
    /// An identifier, path, date or address, kept whole beside its parts.
    Whole,
    /// One character of a longer run without spaces; only documents have it.
    Character,
}

/// A term as it occurs in a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The normalised text.
    pub text: String,
    /// What it stands for.
    pub role: Role,
    /// How it is written.
    pub case: Case,
    /// The word before it was stemmed, if that changed it.
    pub unstemmed: Option<String>,
}

impl Term {
    /// Returns the normalised word as it stands in the text, not stemmed.
    #[must_use]
    pub fn word(&self) -> &str {
        self.unstemmed.as_deref().unwrap_or(&self.text)
    }
}

/// How a term is written, where that may tell a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Case {
    /// At the start of a sentence, where a capital says nothing.
    #[default]
    Opening,
    /// With a capital inside a sentence.
    Capital,
    /// Otherwise.
    Small,
}

/// The terms of a document, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentTerms {
    /// Each term once, sorted, with how often it occurs.
    pub terms: Vec<(String, u32)>,
    /// The length that BM25 normalises by: how many words there are, stop words apart.
    pub len: u32,
}

/// A term of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryTerm {
    /// The normalised text.
    pub text: String,
    /// How often the query says it.
    pub count: u32,
    /// Whether it is a whole identifier whose parts are in the query too.
    pub whole: bool,
    /// Whether it looks like a name: a capital inside a sentence that is not all capitals, and no
    /// month or day of the week.
    pub name: bool,
    /// Whether it stands for a beginning that another word of the query stands for, too.
    pub alternative: bool,
}

/// Returns every term of a text in order, repetitions included.
#[must_use]
pub fn terms(text: &str) -> Vec<Term> {
    let mut analysis = Analysis::default();
    let mut rest = text;
    while let Some(start) = rest.find(is_word_character) {
        let (gap, found) = rest.split_at(start);
        let (chunk, after) = found.split_at(chunk_end(found));
        analysis.case = if analysis.terms.is_empty() || gap.contains(ENDS_SENTENCE) {
            Case::Opening
        } else if chunk.starts_with(char::is_uppercase) {
            Case::Capital
        } else {
            Case::Small
        };
        if gap.ends_with('[') && after.starts_with(']') && is_token(chunk) {
            analysis.push(chunk.to_owned(), Role::Word);
        } else {
            analysis.chunk(chunk);
        }
        rest = after;
    }
    analysis.terms
}

/// Returns the terms of a document, counted and sorted, with its length.
#[must_use]
pub fn document_terms(text: &str) -> DocumentTerms {
    let mut len = 0_u32;
    let mut counts: HashMap<String, u32> = HashMap::new();
    for term in terms(text) {
        if term.role == Role::Word {
            len = len.saturating_add(1);
        }
        *counts.entry(term.text).or_default() += 1;
    }
    let mut terms: Vec<(String, u32)> = counts.into_iter().collect();
    terms.sort_unstable();
    DocumentTerms { terms, len }
}

/// Returns the terms of a query in the order of their first occurrence, counted.
///
/// Stop words are dropped unless nothing is left.
#[must_use]
pub fn query_terms(text: &str) -> Vec<QueryTerm> {
    let mut all = terms(text);
    if !all.iter().any(is_plain) {
        all.iter_mut().for_each(|term| term.case = Case::Small);
    }
    all.retain(|term| term.role != Role::Character);
    if all.iter().any(|term| term.role != Role::Stop) {
        all.retain(|term| term.role != Role::Stop);
    }
    count_in_order(all)
}

/// Tells whether a text ends with a question: with a question mark behind its last word.
#[must_use]
pub fn is_question(text: &str) -> bool {
    let mut end = text.chars().rev().take_while(|c| !is_word_character(*c));
    end.any(|c| ENDS_QUESTION.contains(&c))
}

/// Whether a normalised word is so common that it says nothing by itself.
pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(word)
}

/// Returns the stem of a normalised word.
pub(crate) fn stem_of(word: &str) -> String {
    stem::stem(word, word)
}

/// A word in lower case inside a sentence: where there is none, a capital is no sign of a name.
fn is_plain(term: &Term) -> bool {
    term.case == Case::Small && term.text.starts_with(char::is_alphabetic)
}

fn count_in_order(all: Vec<Term>) -> Vec<QueryTerm> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut counted: Vec<QueryTerm> = Vec::new();
    for term in all {
        let whole = term.role == Role::Whole;
        if let Some(&place) = places.get(&term.text) {
            counted[place].count += 1;
            counted[place].whole &= whole;
            counted[place].name &= term.case == Case::Capital;
        } else {
            places.insert(term.text.clone(), counted.len());
            counted.push(QueryTerm {
                name: term.case == Case::Capital && !CALENDAR.contains(&term.text.as_str()),
                text: term.text,
                count: 1,
                whole,
                alternative: false,
            });
        }
    }
    counted
}

/// Whether the text between two brackets makes them a token: a kind, and 16 hexadecimal digits.
fn is_token(chunk: &str) -> bool {
    chunk.rsplit_once(':').is_some_and(|(kind, code)| {
        code.len() == 16
            && code
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            && kind.starts_with(|first: char| first.is_ascii_lowercase())
            && kind
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    })
}

/// A chunk is a run of words with single connectors between them: `src/main.rs`, `2024-03-15`.
fn chunk_end(text: &str) -> usize {
    let mut end = 0;
    loop {
        let run = &text[end..];
        end += run.find(|c| !is_word_character(c)).unwrap_or(run.len());
        match connector(&text[end..]) {
            Some(length) => end += length,
            None => return end,
        }
    }
}

/// The length of a connector at the start of a text, if a word follows it.
fn connector(text: &str) -> Option<usize> {
    const CONNECTORS: [&str; 10] = ["://", "::", ":\\", "/", "\\", ".", "-", ":", "@", "_"];
    let long = text.bytes().take_while(|byte| *byte == b'_').count();
    let length = match CONNECTORS.iter().find(|it| text.starts_with(**it)) {
        Some(connector) => long.max(connector.len()),
        None => return None,
    };
    text[length..]
        .starts_with(is_word_character)
        .then_some(length)
}

#[derive(Default)]
struct Analysis {
    terms: Vec<Term>,
    /// How the chunk at hand is written.
    case: Case,
}

impl Analysis {
    fn chunk(&mut self, chunk: &str) {
        let mut runs = chunk
            .split(|c| !is_word_character(c))
            .filter(|run| !run.is_empty());
        let mut parts = 0;
        for run in runs.by_ref() {
            parts += self.run(run);
        }
        if parts > 1 && is_worth_keeping(chunk) {
            self.push(bounded(&fold(chunk)).to_owned(), Role::Whole);
        }
    }

    /// Adds a run of word characters; returns how many parts it had.
    fn run(&mut self, run: &str) -> usize {
        if run.len() > LONGEST_TERM && !run.chars().any(is_unspaced) {
            self.push(bounded(&fold(run)).to_owned(), Role::Word);
            return 1;
        }
        let mut parts = 0;
        for piece in split_scripts(run) {
            if piece.starts_with(is_unspaced) {
                self.pairs(piece);
                parts += 1;
            } else {
                parts += self.identifier(piece);
            }
        }
        parts
    }

    /// Adds the parts of an identifier without connectors.
    fn identifier(&mut self, run: &str) -> usize {
        let mut parts = 0;
        for part in split_case(run) {
            self.word(part);
            parts += 1;
        }
        parts
    }

    fn word(&mut self, written: &str) {
        let folded = fold(written);
        if folded.is_empty() {
            return;
        }
        if is_stop_word(&folded) {
            self.push(folded, Role::Stop);
            return;
        }
        let stem = stem::stem(written, &folded);
        let unstemmed = (stem != folded).then_some(folded);
        self.terms.push(Term {
            text: stem,
            role: Role::Word,
            case: self.case,
            unstemmed,
        });
    }

    /// Adds the pairs of neighbours in a run without spaces, and its characters for short queries.
    fn pairs(&mut self, run: &str) {
        let folded: Vec<char> = fold(run).chars().collect();
        match folded.as_slice() {
            [] => {}
            [single] => self.push(single.to_string(), Role::Word),
            _ => {
                for pair in folded.windows(2) {
                    self.push(pair.iter().collect(), Role::Word);
                }
                for character in &folded {
                    self.push(character.to_string(), Role::Character);
                }
            }
        }
    }

    fn push(&mut self, text: String, role: Role) {
        let case = self.case;
        self.terms.push(Term {
            text,
            role,
            case,
            unstemmed: None,
        });
    }
}

/// A whole is kept where it looks like an identifier, a path, a date or an address; words that a
/// hyphen or a slip of the keyboard joins are only their parts.
fn is_worth_keeping(chunk: &str) -> bool {
    let hyphens_only = chunk.chars().all(|c| c.is_alphabetic() || c == '-');
    chunk.len() <= 4 * LONGEST_TERM
        && (!hyphens_only || (!chunk.contains('-') && split_case(chunk).nth(1).is_some()))
        && !chunk.chars().any(is_unspaced)
}

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TERM)]
}

/// Splits where a script with spaces meets one without.
fn split_scripts(run: &str) -> impl Iterator<Item = &str> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let unspaced = is_unspaced(rest.chars().next()?);
        let end = rest
            .find(|c| is_unspaced(c) != unspaced && !is_combining_mark(c))
            .unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        Some(piece)
    })
}

/// Splits `getUserID` and `HTTPServer` into their words.
fn split_case(run: &str) -> impl Iterator<Item = &str> {
    let mut rest = run;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(case_step(rest));
        rest = tail;
        Some(piece)
    })
}

/// The end of the first word of an identifier: before an upper-case letter that follows a lower
/// one or a digit, or before the last capital of an acronym that goes on in lower case. An acronym
/// keeps the `s` of its plural, as in `userIDs`.
fn case_step(run: &str) -> usize {
    let mut characters = run.chars();
    let mut before: Option<char> = None;
    while let Some(c) = characters.next() {
        if let Some(before) = before
            && c.is_uppercase()
        {
            let mut after = characters.clone();
            let next = after.next();
            let is_plural = next == Some('s') && !after.next().is_some_and(char::is_lowercase);
            let acronym_ends =
                before.is_uppercase() && next.is_some_and(char::is_lowercase) && !is_plural;
            if before.is_lowercase() || before.is_ascii_digit() || acronym_ends {
                return run.len() - characters.as_str().len() - c.len_utf8();
            }
        }
        before = Some(c);
    }
    run.len()
}

/// Lower case, compatibility forms unified, accents and vowel points removed.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_accent(*c)).nfc() {
        for lower in c.to_lowercase() {
            match lower {
                'ß' => folded.push_str("ss"),
                'æ' => folded.push_str("ae"),
                'œ' => folded.push_str("oe"),
                'ø' => folded.push('o'),
                'ł' => folded.push('l'),
                'đ' | 'ð' => folded.push('d'),
                'þ' => folded.push_str("th"),
                'ı' => folded.push('i'),
                'ς' => folded.push('σ'),
                c if is_accent(c) => {}
                c => folded.push(c),
            }
        }
    }
    folded
}

/// Marks that a reader may leave out: accents of Latin, Greek and Cyrillic, points of Hebrew and
/// Arabic. Vowel signs of Indic scripts are letters of their words and stay.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}'
        | '\u{5c4}'..='\u{5c5}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
}

fn is_word_character(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric()
    } else {
        c.is_alphanumeric() || is_combining_mark(c)
    }
}

/// Whether a character belongs to a script that is written without spaces between words, or (in
/// Korean) with so many endings that pairs of syllables find more than words do.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}'
        | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{3130}'..='\u{318f}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{20000}'..='\u{3ffff}')
}

/// The stems of months and days of the week: written with a capital, but nobody's name.
const CALENDAR: [&str; 19] = [
    "januari",
    "februari",
    "march",
    "april",
    "may",
    "june",
    "juli",
    "august",
    "septemb",
    "octob",
    "novemb",
    "decemb",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

static STOP_WORDS: LazyLock<std::collections::HashSet<&'static str>> =
    LazyLock::new(|| STOP_WORD_LIST.split_ascii_whitespace().collect());

/// English function words, with the pieces that an apostrophe leaves ("don't", "we'll").
const STOP_WORD_LIST: &str = "
    a about above after again against ain all am an and any are aren as at be because been before
    being below between both but by can could couldn d did didn do does doesn doing don down during
    each few for from further had hadn has hasn have haven having he her here hers herself him
    himself his how i if in into is isn it its itself just ll m ma me mightn more most mustn my
    myself needn no nor not now o of off on once only or other our ours ourselves out over own re s
    same shan she should shouldn so some such t than that the their theirs them themselves then
    there these they this those through to too under until up ve very was wasn we were weren what
    when where which while who whom why will with won would wouldn y you your yours yourself
    yourselves";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        let found: Vec<String> = terms(text)
            .into_iter()
            .map(|term| match term.role {
                Role::Word => term.text,
                Role::Stop => format!("({})", term.text),
                Role::Whole => format!("<{}>", term.text),
                Role::Character => format!("[{}]", term.text),
            })
            .collect();
        assert_eq!(found.join(" "), expected, "{text:?}");
    }

    fn asked(text: &str) -> Vec<String> {
        query_terms(text).into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn a_question_ends_with_its_mark() {
        for text in [
            "Why?",
            "So. Why? :)",
            "(really?)",
            "¿por qué?",
            "なぜ？",
            "what?!?",
        ] {
            assert!(is_question(text), "{text}");
        }
        for text in ["", "Why", "Why? Because.", "Why? Because", "a.", "wow!"] {
            assert!(!is_question(text), "{text}");
        }
    }

    #[test]
    fn a_token_is_one_term() {
        check(
            "[email:0123456789abcdef][domain:00ff00ff00ff00ff], said",
            "email:0123456789abcdef domain:00ff00ff00ff00ff said",
        );
        check("[us_ssn:0123456789abcdef]", "us_ssn:0123456789abcdef");
        // Anything else in brackets is text.
        check("[email:0123]", "email 0123 <email:0123>");
        check(
            "email:0123456789abcdef",
            "email 0123456789abcdef <email:0123456789abcdef>",
        );
        assert_eq!(
            document_terms("by [email:0123456789abcdef]").len,
            1,
            "it counts as one word"
        );
    }

    #[test]
    fn words_are_folded_and_stemmed() {
        check("Running RUNS ran", "run run ran");
        check("Café Ærø Straße naïve", "cafe aero strass naiv");
        check("ﬁle ①", "file 1");
        check("Müller's don't", "muller (s) (don) (t)");
        check("Ελλάς Привет", "ελλ привет");
        check(
            "копии копиями синий сини\u{306} ёлки елку",
            "коп коп син син елк елк",
        );
        check("σκύλος σκύλου", "σκυλ σκυλ");
        check("Київ3 Ωx", "киів3 ωx");
        check("سَلَام שָׁלוֹם", "سلام שלום");
        check("हिन्दी", "हिन्दी");
        check("", "");
        check("🙂 — … !!!", "");
    }

    #[test]
    fn a_stem_knows_its_word() {
        let words = terms("Running cafés for getUserIDs");
        let words: Vec<&str> = words.iter().map(Term::word).collect();
        assert_eq!(
            words,
            [
                "running",
                "cafes",
                "for",
                "get",
                "user",
                "ids",
                "getuserids"
            ]
        );
    }

    #[test]
    fn identifiers_and_paths_are_split_and_kept() {
        check("getUserID", "get user id <getuserid>");
        check("HTTPServer", "http server <httpserver>");
        check(
            "userIDs URLs APIsOf",
            "user id <userids> url api (of) <apisof>",
        );
        check("user_name", "user name <user_name>");
        check("__init__", "init");
        check("src/main.rs:42", "src main rs 42 <src/main.rs:42>");
        check("std::fs::read", "std fs read <std::fs::read>");
        check("C:\\Temp\\x1", "c temp x1 <c:\\temp\\x1>");
        check("a@example.com.", "(a) exampl com <a@example.com>");
        check(
            "https://example.com/a",
            "https exampl com (a) <https://example.com/a>",
        );
    }

    #[test]
    fn numbers_and_dates_are_kept() {
        check("2024-03-15", "2024 03 15 <2024-03-15>");
        check("v1.2.3 3.14", "v1 2 3 <v1.2.3> 3 14 <3.14>");
        check("[email:7f3a]", "email 7f3a <email:7f3a>");
    }

    #[test]
    fn hyphens_and_capitals_of_prose_join_nothing() {
        check("well-known word", "well known word");
        check("Hello World", "hello world");
    }

    #[test]
    fn scripts_without_spaces_give_pairs() {
        check("東京都", "東京 京都 [東] [京] [都]");
        check("猫", "猫");
        check("Rust言語", "rust 言語 [言] [語]");
        check("한국어", "한국 국어 [한] [국] [어]");
    }

    #[test]
    fn queries_drop_stop_words_unless_nothing_is_left() {
        assert_eq!(asked("what is the Database"), ["databas"]);
        assert_eq!(asked("who are you"), ["who", "are", "you"]);
        assert_eq!(asked("東京"), ["東京"]);
        assert_eq!(asked("?!"), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_syntax() {
        assert_eq!(
            asked("\"exact phrase\" -minus pre* AND (x OR y)"),
            ["exact", "phrase", "minus", "pre", "x"]
        );
        assert_eq!(
            asked("'; DROP TABLE memories; --"),
            ["drop", "tabl", "memori"]
        );
    }

    #[test]
    fn repetition_is_counted() {
        let terms = query_terms("test tests thing");
        assert_eq!((terms[0].text.as_str(), terms[0].count), ("test", 2));
        assert_eq!(terms[1].count, 1);
    }

    #[test]
    fn names_are_capitals_inside_a_sentence() {
        let names = |text: &str| -> Vec<String> {
            let names = query_terms(text).into_iter().filter(|term| term.name);
            names.map(|term| term.text).collect()
        };
        assert_eq!(
            names("When did Caroline go to Berlin in May?"),
            ["carolin", "berlin"]
        );
        assert_eq!(names("Explain this. Then stop."), Vec::<String>::new());
        assert_eq!(names("WHEN DID CAROLINE GO"), Vec::<String>::new());
        assert_eq!(names("when did caroline go"), Vec::<String>::new());
    }

    #[test]
    fn documents_count_words_but_not_stop_words() {
        let document = document_terms("The cat and the other cat");
        assert_eq!(document.len, 2);
        assert!(document.terms.contains(&("cat".to_owned(), 2)));
        assert!(document.terms.contains(&("the".to_owned(), 2)));
    }

    #[test]
    fn endless_words_are_cut() {
        let term = &terms(&"x".repeat(100_000))[0].text;
        assert_eq!(term.len(), LONGEST_TERM);
        assert!(terms(&"é".repeat(5_000))[0].text.len() <= LONGEST_TERM);
    }

    proptest! {
        #[test]
        fn any_text_has_bounded_terms(text: String) {
            for term in terms(&text) {
                prop_assert!(!term.text.is_empty());
                prop_assert!(term.text.len() <= 4 * LONGEST_TERM, "{:?}", term);
            }
        }

        #[test]
        fn words_of_every_alphabet_have_stems(text in "[а-яёіїґά-ώא-תա-ֆ ]{0,40}") {
            prop_assert!(terms(&text).iter().all(|term| !term.text.is_empty()));
        }

        #[test]
        fn case_does_not_matter(text in "[a-zéа-яё ]{0,40}") {
            let words = |text: &str| -> Vec<String> {
                terms(text).into_iter().map(|term| term.text).collect()
            };
            prop_assert_eq!(words(&text), words(&text.to_uppercase()));
        }
    }
}
