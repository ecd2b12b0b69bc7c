//! Whether a value can be a secret.

use super::name::Strength;

/// How a value stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// In quotation marks, or alone in a field.
    Quoted,
    /// As the value of a setting without quotation marks.
    Setting,
    /// Without quotation marks, where a variable's name could stand too.
    Bare,
    /// In a sentence.
    Prose,
}

/// The longest value, in bytes.
pub(super) const LONGEST: usize = 1024;

/// Values that stand for a secret that the reader is to fill in, in lower case.
#[rustfmt::skip]
const STAND_INS: [&str; 66] = [
    "password", "passwd", "pass", "pwd", "passwort", "secret", "token", "key", "apikey", "api_key",
    "api-key", "changeme", "change_me", "change-me", "changeit", "placeholder", "redacted",
    "removed", "hidden", "masked", "none", "null", "nil", "undefined", "true", "false", "yes", "no",
    "string", "str", "text", "varchar", "bool", "boolean", "int", "integer", "number", "object",
    "bytes", "any", "optional", "required", "empty", "unset", "default", "example", "sample", "test",
    "dummy", "fake", "todo", "tbd", "n/a", "mypassword", "my_password", "my-password", "yourpassword",
    "invalid", "expired", "missing", "incorrect", "wrong", "valid", "stored", "encrypted", "hashed",
];

/// Parts of such values, in lower case.
#[rustfmt::skip]
const STAND_IN_PARTS: [&str; 40] = [
    "your_", "your-", "yourapi", "yoursecret", "yourtoken", "<", "${", "{{", "}}", "xxxx", "****",
    "....", "…", "•", "example", "placeholder", "changeme", "change_me", "change-me", "replace_",
    "replace-", "replaceme", "insert_", "insert-", "redacted", "dummy", "_here", "-here", "goes_here",
    "process.env", "os.environ", "getenv", "env.", "secrets.", "vault:", "not_a_real", "notreal",
    "1234567890abcdef", "0123456789abcdef", "todo",
];

/// Names of users that stand in examples.
const SAMPLE_USERS: [&str; 10] = [
    "user",
    "username",
    "usr",
    "name",
    "login",
    "foo",
    "myuser",
    "your_user",
    "youruser",
    "",
];

/// Whether a value stands for a secret that is not there.
pub(in super::super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let repeats = || value.bytes().all(|b| b == value.as_bytes()[0]);
    value.is_empty()
        || STAND_INS.contains(&lower.as_str())
        || STAND_IN_PARTS.iter().any(|part| lower.contains(part))
        || lower.starts_with("my_") && lower.ends_with("secret")
        || repeats()
}

/// Whether a user's name is one that stands in examples.
pub(in super::super) fn is_sample_user(user: &str) -> bool {
    SAMPLE_USERS.contains(&user.to_ascii_lowercase().as_str())
}

/// Returns how sure it is that a value next to a name is a secret.
pub(super) fn confidence(value: &str, strength: Strength, style: Style) -> Option<f64> {
    if value.is_empty() || value.len() > LONGEST {
        return None;
    }
    let confidence = match strength {
        Strength::Password => password(value, style),
        Strength::Token => token(value, style),
        Strength::Key => key(value),
    };
    confidence.filter(|_| !is_placeholder(value) && !is_reference(value))
}

fn password(value: &str, style: Style) -> Option<f64> {
    let traits = Traits::of(value);
    if value.len() < 4 || value.len() > 256 || traits.spaces > 0 {
        return (style == Style::Quoted && is_passphrase(value)).then_some(0.75);
    }
    let mixed = traits.digits > 0 && traits.letters() > 0;
    let symbols = traits.symbols > 0 && traits.letters() > 2;
    match style {
        Style::Prose if value.len() < 6 => None,
        Style::Prose if mixed => Some(0.82),
        Style::Prose if symbols && traits.is_odd => Some(0.75),
        Style::Prose => None,
        _ if mixed && (traits.symbols > 0 || value.len() >= 5) => Some(0.88),
        _ if symbols && traits.is_odd => Some(0.85),
        Style::Quoted if value.len() >= 6 && !is_label(value) => Some(0.75),
        Style::Setting if value.len() >= 5 && !is_label(value) => Some(0.75),
        _ => None,
    }
}

/// Whether a value is a sentence of the sort that passphrases are: some short words, no punctuation.
fn is_passphrase(value: &str) -> bool {
    let words = value.split(' ').count();
    (4..=12).contains(&words)
        && value.split(' ').all(|word| {
            (3..=9).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())
        })
        && !value.split(' ').any(|word| {
            matches!(
                word,
                "the" | "your" | "must" | "for" | "and" | "with" | "enter" | "please"
            )
        })
}

/// Whether letters are the caption of a field.
fn is_label(value: &str) -> bool {
    let lower = value.to_lowercase();
    [
        "password",
        "passwort",
        "contraseña",
        "token",
        "secret",
        "mot de passe",
        "senha",
        "key",
    ]
    .iter()
    .any(|word| {
        lower == *word || lower.starts_with(word) && !lower.contains(|c: char| c.is_ascii_digit())
    })
}

fn token(value: &str, style: Style) -> Option<f64> {
    let traits = Traits::of(value);
    let least = if style == Style::Prose { 10 } else { 8 };
    if value.len() < least || traits.spaces > 0 || traits.letters() == 0 || is_wordy(value) {
        return None;
    }
    let bits = entropy(value);
    if traits.digits == 0 {
        let random = value.len() >= 20 && traits.upper > 2 && traits.lower > 2 && bits > 3.6;
        return random.then_some(0.75);
    }
    match value.len() {
        16.. if bits >= 3.0 => Some(0.9),
        8..=15 if bits >= 2.5 && style != Style::Prose => Some(0.8),
        8..=15 if bits >= 2.9 => Some(0.75),
        _ => None,
    }
}

fn key(value: &str) -> Option<f64> {
    let traits = Traits::of(value);
    let machine =
        traits.symbols <= 3 && traits.spaces == 0 && traits.digits >= 3 && !is_wordy(value);
    let hex = value.bytes().all(|b| b.is_ascii_hexdigit());
    let random = if hex {
        value.len() >= 32
    } else {
        traits.upper > 2 && traits.lower > 2 || value.len() >= 32
    };
    let digest = matches!(value.len(), 40 | 64) && hex;
    (machine && random && !digest && !is_uuid(value) && value.len() >= 20 && entropy(value) >= 3.3)
        .then_some(0.75)
}

/// Whether a value refers to something rather than being it.
fn is_reference(value: &str) -> bool {
    let first = value.as_bytes()[0];
    let variable = matches!(first, b'$' | b'<' | b'{' | b'&')
        && value.len() > 1
        && value.as_bytes()[1] != b'$'
        && !has_digit(value)
        || matches!(first, b'%') && value.ends_with('%')
        || value.starts_with("$(")
        || value.starts_with("${")
        || value.starts_with("{{")
        || value.starts_with("%(");
    let call = value.contains("()")
        || value.contains(']') && value.contains('[') && value.contains(['"', '\''])
        || value
            .find('(')
            .is_some_and(|open| open > 0 && is_identifier(&value[..open]));
    let place = value.contains("://")
        || value.starts_with(['/', '~'])
            && value.matches('/').count() > 1
            && !value.contains(['+', '='])
        || value.starts_with("./")
        || value.starts_with("../")
        || [
            ".pem", ".key", ".txt", ".json", ".yml", ".yaml", ".crt", ".env",
        ]
        .iter()
        .any(|end| value.ends_with(end));
    let digest = value.starts_with("sha256:")
        || value.starts_with("sha512-")
        || value.starts_with("sha384-")
        || value.starts_with("sha1-");
    let address = value.contains('@')
        && value.rsplit('@').next().is_some_and(|host| {
            host.contains('.')
                && host.rsplit('.').next().is_some_and(|tld| {
                    tld.len() <= 3 && tld.bytes().all(|b| b.is_ascii_lowercase()) && tld.len() >= 2
                })
        });
    variable
        || call
        || place
        || digest
        || address
        || is_dotted_name(value)
        || value.starts_with("data:")
        || value.starts_with("[") && value.contains(':')
}

fn has_digit(value: &str) -> bool {
    value.bytes().any(|b| b.is_ascii_digit())
}

fn is_identifier(value: &str) -> bool {
    value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}

/// Whether a value is a path of names such as `settings.db.password`.
fn is_dotted_name(value: &str) -> bool {
    let mut parts = value.split(['.', ':']).peekable();
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
    };
    value.contains(['.', ':']) && parts.all(plain)
}

/// Whether a value is made of words, such as `refresh-token-v2`.
fn is_wordy(value: &str) -> bool {
    let mut parts = value.split(['-', '_', '.', ':', '/']);
    let count = parts.clone().count();
    let word = |part: &str| {
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = part.len() - letters.len();
        let one_case = letters.bytes().skip(1).all(|b| b.is_ascii_lowercase())
            || letters.bytes().all(|b| b.is_ascii_uppercase());
        one_case
            && letters.bytes().all(|b| b.is_ascii_alphabetic())
            && (digits <= 2 || letters.is_empty() && digits <= 4)
            && letters.len() <= 14
    };
    (count >= 2 || !has_digit(value)) && parts.all(word)
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// How many characters of each sort a value has.
#[derive(Default)]
struct Traits {
    digits: usize,
    upper: usize,
    lower: usize,
    symbols: usize,
    spaces: usize,
    /// Whether there is a sign that does not stand in names.
    is_odd: bool,
}

impl Traits {
    fn of(value: &str) -> Self {
        let mut traits = Self::default();
        for c in value.chars() {
            match c {
                '0'..='9' => traits.digits += 1,
                c if c.is_uppercase() => traits.upper += 1,
                c if c.is_alphabetic() => traits.lower += 1,
                c if c.is_whitespace() || c.is_control() => traits.spaces += 1,
                c => {
                    traits.symbols += 1;
                    traits.is_odd |=
                        !matches!(c, '_' | '-' | '.' | ':' | '/' | ',' | '\'' | ')' | '(');
                }
            }
        }
        traits
    }

    fn letters(&self) -> usize {
        self.upper + self.lower
    }
}

/// Returns Shannon's entropy of the bytes, in bits per byte.
#[expect(clippy::cast_precision_loss, reason = "values have at most 1024 bytes")]
pub(super) fn entropy(value: &str) -> f64 {
    let mut counts = [0_u16; 256];
    value
        .bytes()
        .for_each(|b| counts[usize::from(b)] = counts[usize::from(b)].saturating_add(1));
    let total = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}
