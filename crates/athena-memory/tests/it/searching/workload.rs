//! Memories and questions that look random and are the same everywhere.

use athena_testkit::json;
use serde_json::Value;

/// Components of the vectors that some memories and questions bring.
pub(super) const DIMENSION: u64 = 8;

const WORDS: [&str; 48] = [
    "deploy",
    "deployment",
    "deployed",
    "billing",
    "invoice",
    "staging",
    "pool",
    "connection",
    "connections",
    "the",
    "of",
    "and",
    "to",
    "not",
    "lighthouse",
    "harbour",
    "Ada",
    "Grace",
    "Köln",
    "Büro",
    "getUserById",
    "src/net/headers.rs",
    "parse_http_header",
    "2026-03-15",
    "v2.1",
    "東京都庁",
    "データベース",
    "обновление",
    "сервера",
    "retry",
    "retries",
    "payment",
    "payments",
    "timeout",
    "cache",
    "caches",
    "index",
    "search",
    "searching",
    "vector",
    "vectors",
    "decided",
    "prefers",
    "tabs",
    "spaces",
    "friday",
    "release",
    "rollback",
];
const TYPES: [&str; 4] = ["fact", "decision", "preference", "context"];

/// Numbers that look random (splitmix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// Words in the front are said more often, as in any text.
    fn word(&mut self) -> &'static str {
        let words = WORDS.len() as u64;
        let at = self.below(words).min(self.below(words));
        WORDS[usize::try_from(at).unwrap()]
    }

    fn words(&mut self, count: u64) -> Vec<&'static str> {
        (0..count).map(|_| self.word()).collect()
    }

    /// Quarters from -2 to 2, never all 0.
    fn vector(&mut self) -> Vec<f32> {
        let quarter = |roll: u64| f32::from(u8::try_from(roll).unwrap()) / 4.0 - 2.0;
        let mut vector: Vec<f32> = (0..DIMENSION).map(|_| quarter(self.below(17))).collect();
        vector[0] += 0.125;
        vector
    }
}

/// The word that one memory has alone.
pub(super) fn name(number: u64) -> String {
    format!("nr{number}x")
}

/// The number of the memory with this id.
pub(super) fn number(uid: &str) -> u64 {
    u64::from_str_radix(&uid[24..], 16).unwrap()
}

/// A memory as a record to import.
pub(super) fn memory(number: u64) -> Value {
    let mut dice = Dice(number);
    let long = if number.is_multiple_of(60) { 250 } else { 0 };
    let length = 4 + dice.below(20) + long;
    let mut memory = json!({
        "uid": format!("01900000-0000-7000-8000-{number:012x}"),
        "content": format!("{} {}", dice.words(length).join(" "), name(number)),
        "type": TYPES[usize::try_from(number % 4).unwrap()],
        "tags": [format!("tag{}", number % 3), format!("rare{}", number % 40)],
        "occurred_at": format!("2026-02-{:02}T10:00:00Z", 1 + number % 28),
        "created_at": "2026-03-01T12:00:00Z",
    });
    if number % 2 == 1 {
        memory["embedding"] = json!(dice.vector());
    }
    if number.is_multiple_of(5) {
        memory["session"] = json!(format!("s{}", number / 50 % 6));
        memory["speaker"] = json!(["Ada", "Grace"][usize::try_from(number / 5 % 2).unwrap()]);
        memory["role"] = json!(["user", "assistant"][usize::try_from(number / 5 % 2).unwrap()]);
        memory["position"] = json!(number);
    }
    memory
}

/// Two hundred questions: words, signs, filters, every mode, with and without a vector.
pub(super) fn questions() -> Vec<Value> {
    (0..200).map(question).collect()
}

fn question(at: u64) -> Value {
    let mut dice = Dice(1_000_000 + at);
    let modes = ["hybrid", "keyword", "semantic"];
    let mut question = json!({
        "query": text(at, &mut dice),
        "mode": modes[usize::try_from(at % 3).unwrap()],
        "limit": 1 + dice.below(30),
    });
    let mut set = |name: &str, every: u64, value: Value| {
        if at.is_multiple_of(every) {
            question[name] = value;
        }
    };
    set("embedding", 4, json!(dice.vector()));
    set("tags", 5, json!([format!("tag{}", dice.below(3))]));
    set("type", 7, json!(["decision", "fact"]));
    set("session", 11, json!(format!("s{}", dice.below(6))));
    set("speaker", 13, json!("Ada"));
    set("after", 14, json!("2026-02-05T00:00:00Z"));
    set("before", 16, json!("2026-02-20T00:00:00Z"));
    set("exact", 9, json!(true));
    set("fusion", 10, json!("rrf"));
    set("semantic_weight", 12, json!(0.7));
    set("recency_weight", 15, json!(0.3));
    set("usefulness_weight", 17, json!(0.2));
    set("min_score", 8, json!(0.12));
    question
}

fn text(at: u64, dice: &mut Dice) -> String {
    match at % 8 {
        0 => dice.words(1)[0].to_owned(),
        1 => format!("\"{}\"", neighbours(dice)),
        2 => format!(
            "deploy billing -{}",
            ["staging", "invoice"][usize::try_from(dice.below(2)).unwrap()]
        ),
        3 => format!("{} con* sea*", dice.word()),
        4 => format!("{} {}", name(dice.below(400)), dice.word()),
        _ => {
            let length = 2 + dice.below(8);
            dice.words(length).join(" ")
        }
    }
}

/// Two words that stand next to each other in some memory.
fn neighbours(dice: &mut Dice) -> String {
    let memory = memory(dice.below(400));
    let words: Vec<&str> = memory["content"].as_str().unwrap().split(' ').collect();
    words[1..3].join(" ")
}
