//! Names that say that their value is secret.

/// What sort of secret a name announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// Something that a person may have chosen.
    Password,
    /// Something that a machine made.
    Token,
    /// Perhaps something that a machine made: a key of an unknown sort.
    Key,
}

/// The longest name that is looked at, in bytes.
pub(super) const LONGEST: usize = 64;

/// The most words of a name that are looked at.
const MOST_WORDS: usize = 12;

const PASSWORDS: [&str; 21] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "pass",
    "passwort",
    "kennwort",
    "senha",
    "contrasena",
    "contraseña",
    "mdp",
    "motdepasse",
    "wachtwoord",
    "pw",
    "psw",
    "pswd",
    "пароль",
    "passw",
    "passe",
    "pin",
];

const TOKENS: [&str; 18] = [
    "token",
    "secret",
    "secrets",
    "apikey",
    "credential",
    "credentials",
    "creds",
    "bearer",
    "jwt",
    "authorization",
    "auth",
    "accesskey",
    "secretkey",
    "privatekey",
    "apisecret",
    "sas",
    "sig",
    "accountkey",
];

/// Ends of words that are written together, such as `dbpassword`.
const TOKEN_ENDS: [&str; 9] = [
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "sharedaccesskey",
];

const PASSWORD_ENDS: [&str; 4] = ["password", "passwd", "passphrase", "passwort"];

/// Parts of names in scripts that do not separate words.
const FOREIGN: [&str; 7] = [
    "парол",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "contraseña",
    "hasło",
];

/// Before `token`: names of places in a list or in a language model.
const NOT_BEFORE_TOKEN: [&str; 22] = [
    "next",
    "page",
    "continuation",
    "cancellation",
    "sync",
    "end",
    "start",
    "eos",
    "bos",
    "pad",
    "unk",
    "mask",
    "stop",
    "special",
    "max",
    "num",
    "total",
    "prompt",
    "per",
    "sep",
    "cls",
    "pagination",
];

/// Before `key`: what makes it a secret.
#[rustfmt::skip]
const BEFORE_KEY: [&str; 72] = [
    "api", "access", "secret", "private", "auth", "encryption", "encrypt", "signing", "sign",
    "service", "account", "master", "client", "app", "application", "storage", "admin", "deploy",
    "webhook", "consumer", "shared", "license", "licence", "hmac", "jwt", "aes", "rsa", "ssh",
    "crypt", "subscription", "integration", "write", "ingest", "ingestion", "function", "host",
    "aws", "azure", "gcp", "google", "github", "gitlab", "stripe", "openai", "anthropic", "twilio",
    "sendgrid", "mailgun", "mailchimp", "datadog", "newrelic", "heroku", "slack", "discord",
    "cloudflare", "fastly", "algolia", "mapbox", "maps", "pusher", "segment", "mixpanel",
    "amplitude", "sentry", "cohere", "deepgram", "elevenlabs", "dd", "cf", "rest", "server", "team",
];

/// Before `key`: what makes it a name in a table or on a keyboard.
#[rustfmt::skip]
const NOT_BEFORE_KEY: [&str; 42] = [
    "public", "primary", "foreign", "cache", "sort", "partition", "unique", "object", "row", "hash",
    "index", "map", "lookup", "group", "sorting", "json", "dict", "registry", "idempotency", "issue",
    "project", "natural", "surrogate", "composite", "candidate", "arrow", "shortcut", "hot", "enter",
    "shift", "press", "pressed", "data", "redis", "s", "bucket", "publishable", "pub", "translation",
    "message", "i", "dedup",
];

/// After the word that counts: where or which one it is.
#[rustfmt::skip]
const QUALIFIERS: [&str; 28] = [
    "prod", "production", "dev", "development", "staging", "stage", "test", "testing", "live",
    "base", "value", "string", "str", "primary", "secondary", "old", "new", "current", "raw",
    "plain", "default", "b", "base64", "hex", "v", "backup", "is", "key",
];

/// How names of secrets in ASCII, or a word of them, begin.
const STARTS: [&[u8]; 20] = [
    b"pass",
    b"pwd",
    b"pw",
    b"psw",
    b"pin",
    b"secret",
    b"sig",
    b"sas",
    b"senha",
    b"token",
    b"key",
    b"kennwort",
    b"auth",
    b"cred",
    b"contrase",
    b"bearer",
    b"jwt",
    b"mdp",
    b"motdepasse",
    b"wachtwoord",
];

/// For each first letter of [`STARTS`], a bit for each second one.
static PAIRS: [u32; 32] = pairs();

const fn pairs() -> [u32; 32] {
    let mut table = [0; 32];
    let mut index = 0;
    while index < STARTS.len() {
        let [first, second, ..] = *STARTS[index] else {
            break;
        };
        table[(first & 31) as usize] |= 1 << (second & 31);
        index += 1;
    }
    table
}

/// Whether a name may announce a secret, which is quick to deny.
#[inline]
pub(super) fn is_candidate(name: &[u8]) -> bool {
    !name.is_ascii()
        || name.windows(2).enumerate().any(|(index, pair)| {
            PAIRS[usize::from(pair[0] & 31)] >> (pair[1] & 31) & 1 == 1
                && STARTS
                    .iter()
                    .any(|start| start[1] == pair[1] | 0x20 && begins(&name[index..], start))
        })
}

fn begins(bytes: &[u8], word: &[u8]) -> bool {
    bytes
        .get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Returns what a name announces.
pub(super) fn strength(name: &str) -> Option<Strength> {
    if !is_candidate(name.as_bytes()) || name.len() > LONGEST {
        return None;
    }
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let count = words
        .iter()
        .rposition(|word| !QUALIFIERS.contains(word) || *word == "key")?
        + 1;
    let words = &words[..count];
    named(words).or_else(|| {
        // `SECRET_KEY_BASE`, `PASSWORD_KEY`: the key qualifies too.
        let shorter = words.strip_suffix(&["key"])?;
        named(shorter).filter(|_| !shorter.is_empty())
    })
}

fn named(words: &[&str]) -> Option<Strength> {
    let (last, before) = words.split_last()?;
    let previous = before.last().copied().unwrap_or_default();
    if PASSWORDS.contains(last) || PASSWORD_ENDS.iter().any(|end| last.ends_with(end)) {
        let weak = *last == "pin"
            || (*last == "pass" && matches!(previous, "boarding" | "season" | "bus"));
        return (!weak).then_some(Strength::Password);
    }
    if !last.is_ascii() {
        return FOREIGN
            .iter()
            .any(|part| last.contains(part))
            .then_some(Strength::Password);
    }
    if *last == "token" && NOT_BEFORE_TOKEN.contains(&previous) {
        return None;
    }
    if TOKENS.contains(last) || TOKEN_ENDS.iter().any(|end| last.ends_with(end)) {
        return Some(Strength::Token);
    }
    if *last != "key" || NOT_BEFORE_KEY.contains(&previous) || before.is_empty() {
        return None;
    }
    Some(if BEFORE_KEY.contains(&previous) {
        Strength::Token
    } else {
        Strength::Key
    })
}

/// Splits a name into words in lower case, at signs and where lower case turns to upper.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut earlier = ' ';
    for c in name.chars() {
        let turns = c.is_uppercase() && earlier.is_lowercase();
        let letter = c.is_alphabetic();
        if letter && (turns || !earlier.is_alphabetic() || words.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter) {
            word.extend(c.to_lowercase());
        }
        earlier = c;
    }
    let skip = words.len().saturating_sub(MOST_WORDS);
    words.split_off(skip)
}
