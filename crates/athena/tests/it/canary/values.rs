//! Made-up personal data, every value another one and none anybody's.

use std::fmt::Write as _;

/// How many values there are of each kind.
pub(crate) const EACH: usize = 200;

/// Every kind that is found without configuration.
pub(crate) const KINDS: [&str; 10] = [
    "email",
    "phone",
    "credit_card",
    "iban",
    "us_ssn",
    "national_id",
    "ip_address",
    "url",
    "path",
    "secret",
];

/// A value that must be found nowhere.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    /// What it is.
    pub(crate) kind: &'static str,
    /// The value alone.
    pub(crate) value: String,
    /// The value with the words around it that tell what it is.
    pub(crate) phrase: String,
    /// The parts of it that betray it wherever they stand; each at least 8 bytes long.
    pub(crate) needles: Vec<String>,
}

impl Canary {
    fn new(kind: &'static str, before: &str, value: String, mut needles: Vec<String>) -> Self {
        needles.push(value.clone());
        Self {
            kind,
            phrase: format!("{before}{value}"),
            value,
            needles,
        }
    }
}

/// Makes all values: one of each kind, then the next of each, always the same ones.
pub(crate) fn all() -> Vec<Canary> {
    let mut dice = Dice(0x005E_ED0F_CA4A_41E5);
    (0..EACH)
        .flat_map(|number| {
            KINDS.map(|kind| match kind {
                "email" => email(&mut dice),
                "phone" => phone(&mut dice, number),
                "credit_card" => credit_card(&mut dice, number),
                "iban" => iban(&mut dice, number),
                "us_ssn" => us_ssn(&mut dice, number),
                "national_id" => national_id(&mut dice, number),
                "ip_address" => ip_address(&mut dice, number),
                "url" => url(&mut dice, number),
                "path" => path(&mut dice, number),
                _ => secret(&mut dice, number),
            })
        })
        .collect()
}

fn email(dice: &mut Dice) -> Canary {
    let (first, last, host) = (dice.name(), dice.name(), dice.name());
    let domain = dice.pick(&["com", "org", "net", "de", "co.uk", "io"]);
    let address = format!("{first}.{last}@{host}.{domain}");
    let local = format!("{first}.{last}");
    Canary::new("email", "write to ", address, vec![local, first, last])
}

fn phone(dice: &mut Dice, number: usize) -> Canary {
    let (country, groups): (&str, &[usize]) = [
        ("49 151", &[4, 4][..]),
        ("44 7700", &[3, 3]),
        ("33 6", &[2, 2, 2, 2]),
        ("41 79", &[3, 2, 2]),
        ("1 415", &[3, 4]),
        ("61 4", &[2, 3, 3]),
        ("81 90", &[4, 4]),
        ("91 98", &[3, 5]),
    ][number % 8];
    let mut written = format!("+{country}");
    for digits in groups {
        written.push(' ');
        // No group begins with a zero or a one: some plans have no such numbers.
        written.push(char::from(b'2' + dice.below(8)));
        written.push_str(&dice.digits(digits - 1));
    }
    let digits = only_digits(&written);
    let value = match number % 3 {
        0 => format!("+{digits}"),
        1 => written.replace(' ', "-"),
        _ => written,
    };
    Canary::new("phone", "call me at ", value, vec![digits])
}

fn credit_card(dice: &mut Dice, number: usize) -> Canary {
    let (prefix, length) =
        [("4", 16), ("52", 16), ("37", 15), ("6011", 16), ("54", 16)][number % 5];
    let mut digits = prefix.to_owned();
    digits.push_str(&dice.digits(length - 1 - digits.len()));
    digits.push(luhn(&digits));
    let value = match (number % 3, length) {
        (0, _) | (_, 15) => digits.clone(),
        (1, _) => in_groups(&digits, 4, ' '),
        _ => in_groups(&digits, 4, '-'),
    };
    Canary::new("credit_card", "card number ", value, vec![digits])
}

fn iban(dice: &mut Dice, number: usize) -> Canary {
    let (country, letters, digits) = [
        ("DE", 0, 18),
        ("GB", 4, 14),
        ("NL", 4, 10),
        ("CH", 0, 17),
        ("AT", 0, 16),
        ("PL", 0, 24),
    ][number % 6];
    let mut account = dice.text("ABCDEFGHJKLMNPRSTUVW", letters);
    account.push_str(&dice.digits(digits));
    let compact = format!("{country}{}{account}", iban_check(country, &account));
    let value = match number % 2 {
        0 => compact.clone(),
        _ => in_groups(&compact, 4, ' '),
    };
    Canary::new("iban", "IBAN ", value, vec![compact, account])
}

fn us_ssn(dice: &mut Dice, number: usize) -> Canary {
    // The number is in the middle, so that no two are the same.
    let area = 110 + usize::from(dice.below(200));
    let value = format!(
        "{area}-{:02}-{}{}",
        10 + number % 90,
        2 + number / 90,
        dice.digits(3)
    );
    Canary::new("us_ssn", "SSN ", value.clone(), vec![only_digits(&value)])
}

fn national_id(dice: &mut Dice, number: usize) -> Canary {
    let (before, value) = match number % 4 {
        0 => ("NHS number ", nhs(dice)),
        1 => ("CPF ", cpf(dice)),
        2 => ("DNI ", dni(dice)),
        _ => ("PESEL ", pesel(dice)),
    };
    let compact = value.replace([' ', '.', '-'], "");
    Canary::new("national_id", before, value, vec![compact])
}

fn nhs(dice: &mut Dice) -> String {
    loop {
        let digits = format!("4{}", dice.digits(8));
        let check = 11 - weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        if check != 10 {
            let digits = format!("{digits}{}", check % 11);
            return format!("{} {} {}", &digits[..3], &digits[3..6], &digits[6..]);
        }
    }
}

fn cpf(dice: &mut Dice) -> String {
    let mut digits = format!("3{}", dice.digits(8));
    for _ in 0..2 {
        let most = u32::try_from(digits.len()).unwrap() + 1;
        let weights: Vec<u32> = (2..=most).rev().collect();
        let check = weighted(&digits, &weights) * 10 % 11 % 10;
        write!(digits, "{check}").unwrap();
    }
    let (a, b, c, d) = (&digits[..3], &digits[3..6], &digits[6..9], &digits[9..]);
    format!("{a}.{b}.{c}-{d}")
}

fn dni(dice: &mut Dice) -> String {
    let digits = format!("5{}", dice.digits(7));
    let letter = digits.parse::<usize>().unwrap() % 23;
    format!("{digits}{}", &"TRWAGMYFPDXBNJZSQVHLCKE"[letter..=letter])
}

fn pesel(dice: &mut Dice) -> String {
    let birthday = format!(
        "{}{:02}{:02}",
        50 + dice.below(49),
        1 + dice.below(12),
        1 + dice.below(28)
    );
    let digits = format!("{birthday}{}", dice.digits(4));
    let check = (10 - weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    format!("{digits}{check}")
}

fn ip_address(dice: &mut Dice, number: usize) -> Canary {
    let value = match number % 4 {
        3 => {
            let groups: Vec<String> = (0..4).map(|_| dice.text("23456789abcdef", 4)).collect();
            format!(
                "2a02:8{}:{}",
                dice.text("123456789abcdef", 3),
                groups.join(":")
            )
        }
        _ => {
            let first = dice.pick(&[
                "46", "62", "78", "81", "91", "109", "141", "178", "193", "212",
            ]);
            let rest: Vec<String> = (0..3).map(|_| (11 + dice.below(240)).to_string()).collect();
            format!("{first}.{}", rest.join("."))
        }
    };
    let value = match number % 4 {
        3 => format!("{value}::{}", dice.text("123456789", 1)),
        _ => value,
    };
    Canary::new("ip_address", "the client came from ", value, Vec::new())
}

fn url(dice: &mut Dice, number: usize) -> Canary {
    let scheme = ["https", "postgres", "mysql", "redis", "amqp", "ftp"][number % 6];
    let (user, password, host) = (dice.name(), dice.password(), dice.name());
    let value = format!("{scheme}://{user}:{password}@{host}.net/shop");
    let needles = vec![format!("{user}:{password}"), user, password];
    Canary::new("url", "connect with ", value, needles)
}

fn path(dice: &mut Dice, number: usize) -> Canary {
    let name = dice.name();
    let (home, rest) = match number % 5 {
        0 => (format!("/home/{name}"), "/src/main.rs"),
        1 => (format!("/Users/{name}"), "/Documents/notes.md"),
        2 => (format!("C:\\Users\\{name}"), "\\AppData\\Local\\app.log"),
        3 => (format!("/home/{name}"), ""),
        _ => (format!("C:/Users/{name}"), "/Desktop/todo.txt"),
    };
    let mut canary = Canary::new("path", "see ", format!("{home}{rest}"), vec![name]);
    canary.needles.push(home);
    canary
}

fn secret(dice: &mut Dice, number: usize) -> Canary {
    const WORD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let keyed = |dice: &mut Dice, prefix: &str, length: usize| {
        let body = dice.text(WORD, length);
        Canary::new(
            "secret",
            "the key is ",
            format!("{prefix}{body}"),
            vec![body],
        )
    };
    match number % 16 {
        0 => {
            let body = dice.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16);
            Canary::new("secret", "aws key ", format!("AKIA{body}"), vec![body])
        }
        1 => keyed(dice, "ghp_", 36),
        2 => keyed(dice, "glpat-", 20),
        3 => {
            let prefix = format!("xoxb-{}-", dice.digits(12));
            keyed(dice, &prefix, 24)
        }
        4 => keyed(dice, "sk_live_", 24),
        5 => keyed(dice, "sk-proj-", 64),
        6 => keyed(dice, "sk-ant-api03-", 93),
        7 => keyed(dice, "AIza", 35),
        8 => keyed(dice, "npm_", 36),
        9 => keyed(dice, "pypi-AgEIcHlwaS5vcmc", 120),
        10 => keyed(dice, "hf_", 34),
        11 => assigned(dice, "password="),
        12 => assigned(dice, "DB_PASSWORD: "),
        13 => assigned(dice, "api_key = "),
        14 => jwt(dice),
        _ => private_key(dice),
    }
}

fn assigned(dice: &mut Dice, name: &str) -> Canary {
    let password = dice.password();
    Canary::new("secret", name, password, Vec::new())
}

fn jwt(dice: &mut Dice) -> Canary {
    let head = base64(br#"{"alg":"HS256","typ":"JWT"}"#, BASE64_URL);
    let claims = format!(r#"{{"sub":"{}","iat":1516239022}}"#, dice.name());
    let claims = base64(claims.as_bytes(), BASE64_URL);
    let signature = dice.text(BASE64_URL, 43);
    let value = format!("{head}.{claims}.{signature}");
    Canary::new(
        "secret",
        "Authorization: Bearer ",
        value,
        vec![claims, signature],
    )
}

fn private_key(dice: &mut Dice) -> Canary {
    let lines: Vec<String> = (0..5).map(|_| dice.text(BASE64, 64)).collect();
    let value = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        lines.join("\n")
    );
    let mut canary = Canary::new("secret", "the key:\n", value, Vec::new());
    // The block as a whole begins like any other one.
    canary.needles = lines;
    canary
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: &str) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut bits = 0_usize;
        for place in 0..3 {
            bits = bits << 8 | usize::from(three.get(place).copied().unwrap_or(0));
        }
        for place in 0..=three.len() {
            let letter = bits >> (18 - 6 * place) & 63;
            text.push_str(&alphabet[letter..=letter]);
        }
    }
    text
}

fn luhn(digits: &str) -> char {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(
            |(place, digit)| match (place % 2, u32::from(digit - b'0')) {
                (0, digit) if digit > 4 => 2 * digit - 9,
                (0, digit) => 2 * digit,
                (_, digit) => digit,
            },
        )
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap()
}

fn iban_check(country: &str, account: &str) -> String {
    let mut rest = 0_u32;
    for letter in format!("{account}{country}00").chars() {
        let value = letter.to_digit(36).unwrap();
        rest = (rest * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    format!("{:02}", 98 - rest)
}

fn weighted(digits: &str, weights: &[u32]) -> u32 {
    let digits = digits.bytes().map(|digit| u32::from(digit - b'0'));
    digits
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum()
}

fn only_digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn in_groups(text: &str, length: usize, separator: char) -> String {
    let mut grouped = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place % length == 0 {
            grouped.push(separator);
        }
        grouped.push(letter);
    }
    grouped
}

/// Numbers that look thrown and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u8) -> u8 {
        u8::try_from(self.next() % u64::from(end)).unwrap()
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::from(self.below(u8::try_from(choices.len()).unwrap()))]
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        let end = u8::try_from(letters.len()).unwrap();
        (0..length)
            .map(|_| char::from(letters[usize::from(self.below(end))]))
            .collect()
    }

    fn digits(&mut self, length: usize) -> String {
        self.text("0123456789", length)
    }

    /// A word that is in no dictionary.
    fn name(&mut self) -> String {
        (0..5)
            .map(|_| self.text("bdfgklmnprstvz", 1) + &self.text("aeiou", 1))
            .collect()
    }

    fn password(&mut self) -> String {
        let letters = self.text("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ", 9);
        format!("{letters}{}x{}", self.digits(3), self.digits(2))
    }
}

#[test]
fn values_are_distinct_and_shaped_as_they_are_in_the_world() {
    let canaries = all();
    let values: std::collections::HashSet<&str> =
        canaries.iter().map(|it| it.value.as_str()).collect();
    assert_eq!(values.len(), EACH * KINDS.len());
    for canary in &canaries {
        assert!(
            canary.needles.iter().all(|needle| needle.len() >= 8),
            "{canary:?}"
        );
    }
    assert_eq!(luhn("411111111111111"), '1');
    assert_eq!(iban_check("DE", "370400440532013000"), "89");
    assert_eq!(base64(b"Athena", BASE64), "QXRoZW5h");
    assert_eq!(base64(b"ab", BASE64_URL), "YWI");
}
