//! Numbers of persons in many countries: a shape, a check, and the words that go with them.

use std::ops::Range;
use std::sync::LazyLock;

use super::card::luhn;
use super::context::{self, Cue};
use super::scan::{Scan, is_word};
use crate::kind::Kind;

/// A number of one country.
struct Rule {
    name: &'static str,
    /// `9` a digit, `A` a letter, `X` either, a space for a space or dash, others themselves.
    shapes: &'static [Shape],
    check: fn(&[u8]) -> bool,
    words: &'static [&'static str],
}

/// A form of a number, and whether it is enough without a word that says what it is.
enum Shape {
    Alone(&'static str),
    Said(&'static str),
}

use Shape::{Alone, Said};

/// The longest number, in characters without separators.
const LONGEST: usize = 18;

/// The longest word in which a number is looked for.
const LONGEST_WORD: usize = 20;

#[rustfmt::skip]
static RULES: [Rule; 55] = [
    Rule { name: "uk_nhs", shapes: &[Said("999 999 9999"), Said("9999999999")], check: nhs, words: &["nhs", "patient*", "health*", "hospital", "medical", "gp"] },
    Rule { name: "uk_nino", shapes: &[Alone("AA999999A"), Alone("AA 99 99 99 A"), Alone("AA 999999 A")], check: nino, words: &["national insurance", "nino", "ni"] },
    Rule { name: "ca_sin", shapes: &[Said("999 999 999"), Said("999999999")], check: sin, words: &["sin", "social insurance", "nas", "canad*"] },
    Rule { name: "fr_nir", shapes: &[Alone("9 99 99 99 999 999 99"), Alone("9 99 99 99 999 999"), Alone("999999999999999"), Said("9999999999999 99"), Alone("9 99 99 9A 999 999 99")], check: nir, words: &["nir", "insee", "sécu*", "secu*", "sociale"] },
    Rule { name: "de_steuer_id", shapes: &[Alone("99 999 999 999"), Said("99999999999")], check: steuer_id, words: &["steuer*", "idnr", "tin", "tax*"] },
    Rule { name: "es_dni", shapes: &[Alone("99999999A"), Alone("99999999-A"), Alone("99.999.999-A"), Alone("99.999.999A"), Alone("99999999 A")], check: dni, words: &["dni", "nif", "documento*"] },
    Rule { name: "es_nie", shapes: &[Alone("A9999999A"), Alone("A-9999999-A"), Alone("A 9999999 A")], check: nie, words: &["nie", "extranjero*"] },
    Rule { name: "it_codice_fiscale", shapes: &[Alone("AAAAAAXXAXXAXXXA"), Alone("AAA AAA XXAXX AXXXA")], check: codice_fiscale, words: &["codice", "fiscale", "cf"] },
    Rule { name: "br_cpf", shapes: &[Alone("999.999.999-99"), Said("99999999999"), Said("999999999-99")], check: cpf, words: &["cpf", "contribuinte", "cadastro*"] },
    Rule { name: "br_cnpj", shapes: &[Alone("99.999.999/9999-99"), Said("99999999999999")], check: cnpj, words: &["cnpj", "empresa"] },
    Rule { name: "in_aadhaar", shapes: &[Alone("9999 9999 9999"), Said("999999999999")], check: aadhaar, words: &["aadhaar", "aadhar", "uidai", "आधार"] },
    Rule { name: "in_pan", shapes: &[Said("AAAAA9999A")], check: pan, words: &["pan", "income tax", "permanent account", "tax*"] },
    Rule { name: "nl_bsn", shapes: &[Said("999999999"), Said("999.999.999"), Said("9999.99.999")], check: bsn, words: &["bsn", "burgerservice*", "sofi*", "dutch"] },
    Rule { name: "pl_pesel", shapes: &[Said("99999999999")], check: pesel, words: &["pesel"] },
    Rule { name: "se_personnummer", shapes: &[Alone("999999-9999"), Alone("99999999-9999"), Alone("999999+9999"), Said("9999999999"), Said("999999999999")], check: personnummer, words: &["person*", "swedish", "samordning*"] },
    Rule { name: "no_fodselsnummer", shapes: &[Alone("999999 99999"), Alone("99999999999")], check: fodselsnummer, words: &["fødsels*", "fodsels*", "personnummer", "norwegian"] },
    Rule { name: "fi_hetu", shapes: &[Alone("999999-999X"), Alone("999999A999X"), Alone("999999+999X")], check: hetu, words: &["hetu", "henkilö*"] },
    Rule { name: "dk_cpr", shapes: &[Said("999999-9999"), Said("9999999999")], check: cpr, words: &["cpr", "danish", "personnummer", "cpr-nummer"] },
    Rule { name: "be_rijksregister", shapes: &[Alone("99.99.99-999.99"), Alone("99 99 99 999 99"), Said("99999999999")], check: belgian, words: &["rijksregister*", "national*", "registre", "belg*", "insz", "niss", "nn"] },
    Rule { name: "ch_ahv", shapes: &[Alone("999.9999.9999.99"), Alone("9999999999999")], check: ahv, words: &["ahv", "avs", "sozialversicherung*"] },
    Rule { name: "pt_nif", shapes: &[Said("999999999"), Said("999 999 999")], check: nif, words: &["nif", "contribuinte", "fiscal"] },
    Rule { name: "au_tfn", shapes: &[Said("999 999 999"), Said("999999999")], check: tfn, words: &["tfn", "tax file", "tax*"] },
    Rule { name: "au_medicare", shapes: &[Alone("9999 99999 9"), Said("9999999999")], check: medicare, words: &["medicare"] },
    Rule { name: "cn_resident", shapes: &[Alone("99999999999999999X")], check: chinese, words: &["身份证", "resident", "identity card", "id card", "公民"] },
    Rule { name: "kr_rrn", shapes: &[Alone("999999-9999999")], check: korean, words: &["주민", "rrn", "resident"] },
    Rule { name: "sg_nric", shapes: &[Alone("A9999999A")], check: nric, words: &["nric", "fin"] },
    Rule { name: "za_id", shapes: &[Alone("9999999999999"), Alone("999999 9999 999")], check: south_african, words: &["id", "south african"] },
    Rule { name: "tr_tckn", shapes: &[Said("99999999999")], check: tckn, words: &["tc", "tckn", "kimlik", "t.c.", "turk*"] },
    Rule { name: "mx_curp", shapes: &[Alone("AAAA999999AAAAAAX9")], check: curp, words: &["curp"] },
    Rule { name: "mx_rfc", shapes: &[Said("AAAA999999XXX")], check: |n| is_date(&n[4..10], 2), words: &["rfc"] },
    Rule { name: "cl_rut", shapes: &[Alone("99.999.999-X"), Alone("9.999.999-X"), Said("99999999-X"), Said("9999999-X")], check: rut, words: &["rut", "run", "rol"] },
    Rule { name: "il_id", shapes: &[Said("999999999"), Said("99999999-9")], check: luhn, words: &["teudat", "zehut", "israel*", "זהות", "תעודת"] },
    Rule { name: "us_itin", shapes: &[Said("999-99-9999"), Said("999 99 9999"), Said("999999999")], check: itin, words: &["itin", "taxpayer", "individual tax*"] },
    Rule { name: "ro_cnp", shapes: &[Said("9999999999999")], check: cnp, words: &["cnp", "numeric personal", "codul"] },
    Rule { name: "bg_egn", shapes: &[Said("9999999999")], check: egn, words: &["egn", "егн"] },
    Rule { name: "cz_rodne_cislo", shapes: &[Alone("999999/9999")], check: rodne_cislo, words: &["rodn*"] },
    Rule { name: "hr_oib", shapes: &[Said("99999999999")], check: mod_11_10, words: &["oib"] },
    Rule { name: "ee_isikukood", shapes: &[Said("99999999999")], check: isikukood, words: &["isikukood", "asmens*", "personal code"] },
    Rule { name: "ie_pps", shapes: &[Alone("9999999A"), Alone("9999999AA")], check: pps, words: &["pps", "ppsn", "irish"] },
    Rule { name: "ru_snils", shapes: &[Alone("999-999-999 99")], check: snils, words: &["снилс", "snils"] },
    Rule { name: "ru_inn", shapes: &[Said("999999999999")], check: inn, words: &["инн", "inn"] },
    Rule { name: "ar_cuit", shapes: &[Alone("99-99999999-9"), Said("99999999999")], check: cuit, words: &["cuit", "cuil"] },
    Rule { name: "th_id", shapes: &[Alone("9-9999-99999-99-9"), Said("9999999999999")], check: thai, words: &["thai*", "ประชาชน"] },
    Rule { name: "tw_id", shapes: &[Alone("A999999999")], check: taiwanese, words: &["身分證"] },
    Rule { name: "hk_id", shapes: &[Alone("A999999(X)")], check: hong_kong, words: &["hkid"] },
    Rule { name: "my_nric", shapes: &[Alone("999999-99-9999"), Said("999999999999")], check: |n| is_date(&n[..6], 2) && number(&n[6..8]) > 0, words: &["mykad", "nric", "ic", "malaysia*"] },
    Rule { name: "id_nik", shapes: &[Said("9999999999999999")], check: nik, words: &["nik", "ktp"] },
    Rule { name: "jp_my_number", shapes: &[Said("9999 9999 9999"), Said("999999999999")], check: my_number, words: &["my number", "mynumber", "マイナンバー", "個人番号"] },
    Rule { name: "pk_cnic", shapes: &[Alone("99999-9999999-9")], check: |n| n[0] != b'0', words: &["cnic"] },
    Rule { name: "gr_amka", shapes: &[Said("99999999999")], check: |n| luhn(n) && is_date_of_day_first(&n[..6]), words: &["amka", "αμκα"] },
    Rule { name: "hu_taj", shapes: &[Said("999 999 999"), Said("999999999")], check: taj, words: &["taj"] },
    Rule { name: "lv_personas_kods", shapes: &[Said("999999-99999")], check: |n| is_date_of_day_first(&n[..6]), words: &["personas", "latvia*"] },
    Rule { name: "nz_ird", shapes: &[Said("99 999 999"), Said("999 999 999"), Said("999999999")], check: ird, words: &["ird"] },
    Rule { name: "co_cedula", shapes: &[Said("9.999.999.999"), Said("99.999.999")], check: |_| true, words: &["cédula", "cedula", "dni"] },
    Rule { name: "vn_cccd", shapes: &[Said("999999999999")], check: |n| n[0] == b'0', words: &["cccd", "căn cước"] },
];

/// How sure it is that a number without its characteristic form and its words is one.
const UNSAID: f64 = 0.4;

/// A shape with its rule, and what comes after the digits that it begins with.
type Entry = (Option<u8>, &'static Rule, &'static Shape);

/// Shapes by the number of digits they begin with.
static BY_LEAD: LazyLock<Vec<Vec<Entry>>> = LazyLock::new(|| {
    let mut table: Vec<Vec<_>> = (0..=LONGEST).map(|_| Vec::new()).collect();
    for rule in &RULES {
        for shape in rule.shapes {
            let (Alone(form) | Said(form)) = shape;
            let lead = form.bytes().take_while(|b| *b == b'9').count();
            table[lead].push((form.as_bytes().get(lead).copied(), rule, shape));
            // A digit may stand for the `X` too, and then the number begins with more of them.
            if form.as_bytes().get(lead) == Some(&b'X') {
                let after = form.as_bytes().get(lead + 1).copied();
                table[lead + 1].push((after, rule, shape));
            }
        }
    }
    table
});

/// Reports the numbers that begin with the word from `start` to `end`.
pub(super) fn find_word(scan: &mut Scan<'_>, start: usize, end: usize) {
    if end - start > LONGEST_WORD || is_continued(scan, start) {
        return;
    }
    let lead = scan.end_of(start, LONGEST + 1, |b| b.is_ascii_digit()) - start;
    let Some(shapes) = BY_LEAD.get(lead) else {
        return;
    };
    if lead == 0 && (4..7).contains(&(end - start)) {
        return;
    }
    let mut buffer = [0; LONGEST];
    buffer[..lead].copy_from_slice(&scan.bytes[start..start + lead]);
    let next = scan.at(start + lead);
    for (after, rule, shape) in shapes {
        if !after.is_none_or(|form| fits(form, next)) {
            continue;
        }
        let (Alone(form) | Said(form)) = shape;
        let Some((end, length)) = matched(scan, start, lead, form, &mut buffer) else {
            continue;
        };
        let number = &buffer[..length];
        if number.windows(2).all(|pair| pair[0] == pair[1]) || !(rule.check)(number) {
            continue;
        }
        let range = start..end;
        let confidence = confidence(scan, &range, rule, matches!(shape, Alone(_)));
        scan.report(Kind::NationalId, rule.name, range, confidence);
    }
}

fn confidence(scan: &Scan<'_>, range: &Range<usize>, rule: &Rule, alone: bool) -> f64 {
    if context::mentions(scan, range, rule.words) {
        return 0.95;
    }
    if !alone {
        return UNSAID;
    }
    match context::cue(scan, range) {
        Some(Cue::Phone | Cue::Card | Cue::Version) => 0.4,
        Some(Cue::Identifier) if scan.at(range.start).is_ascii_digit() => 0.5,
        _ => 0.8,
    }
}

/// Whether digits are a number of a Chinese resident.
pub(super) fn is_chinese(digits: &[u8]) -> bool {
    digits.len() == 18 && chinese(digits)
}

fn is_continued(scan: &Scan<'_>, start: usize) -> bool {
    let ahead = scan.before(start.saturating_sub(1));
    match scan.before(start) {
        b'-' | b'.' | b'/' | b'@' => ahead.is_ascii_alphanumeric(),
        b'+' | b'$' | b'#' => true,
        byte => is_word(byte),
    }
}

/// Adds letters and digits to the buffer if a shape stands at `start`, whose digits at the beginning
/// are there already, and returns its end and how many there are.
fn matched(
    scan: &Scan<'_>,
    start: usize,
    lead: usize,
    shape: &str,
    buffer: &mut [u8; LONGEST],
) -> Option<(usize, usize)> {
    let mut end = start + lead;
    let mut length = lead;
    for form in shape.bytes().skip(lead) {
        let byte = scan.at(end);
        if !fits(form, byte) {
            return None;
        }
        if byte.is_ascii_alphanumeric() {
            *buffer.get_mut(length)? = byte.to_ascii_uppercase();
            length += 1;
        }
        end += 1;
    }
    let (after, beyond) = (scan.at(end), scan.at(end + 1));
    let continues = match after {
        b'-' | b'/' | b' ' => beyond.is_ascii_digit(),
        b'.' | b':' | b'@' => beyond.is_ascii_alphanumeric(),
        byte => is_word(byte),
    };
    (!continues).then_some((end, length))
}

/// Whether a byte may stand where a shape has this.
#[inline]
fn fits(form: u8, byte: u8) -> bool {
    match form {
        b'9' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_alphabetic(),
        b'X' => byte.is_ascii_alphanumeric(),
        b' ' => matches!(byte, b' ' | b'-'),
        _ => form == byte,
    }
}

fn digit(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(b'0'))
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(digit(*d)))
}

/// Returns the sum of digits times weights.
fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(d, weight)| digit(*d) * weight)
        .sum()
}

/// Whether a month and a day follow the digits of a year.
fn is_date(digits: &[u8], year_digits: usize) -> bool {
    let rest = &digits[year_digits..];
    (1..=12).contains(&number(&rest[..2])) && (1..=31).contains(&number(&rest[2..4]))
}

fn is_date_of_day_first(digits: &[u8]) -> bool {
    (1..=31).contains(&number(&digits[..2])) && (1..=12).contains(&number(&digits[2..4]))
}

fn nhs(n: &[u8]) -> bool {
    match 11 - weighted(n, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11 {
        11 => n[9] == b'0',
        10 => false,
        check => digit(n[9]) == check,
    }
}

fn nino(n: &[u8]) -> bool {
    let never = |b: u8, letters: &[u8]| !letters.contains(&b);
    never(n[0], b"DFIQUV")
        && never(n[1], b"DFIOQUV")
        && !matches!(
            &n[..2],
            b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ"
        )
        && matches!(n[8], b'A'..=b'D')
}

fn sin(n: &[u8]) -> bool {
    n[0] != b'8' && luhn(n)
}

fn nir(n: &[u8]) -> bool {
    if n.len() < 15 || !matches!(n[0], b'1'..=b'4' | b'7' | b'8') {
        return false;
    }
    let (corsica, offset) = match n[6] {
        b'A' => (b'0', 1_000_000),
        b'B' => (b'0', 2_000_000),
        byte => (byte, 0),
    };
    let mut body = [0; 13];
    body.copy_from_slice(&n[..13]);
    body[6] = corsica;
    body.iter().all(u8::is_ascii_digit) && number(&n[13..15]) == 97 - (number(&body) - offset) % 97
}

fn steuer_id(n: &[u8]) -> bool {
    let mut counts = [0; 10];
    n[..10]
        .iter()
        .for_each(|d| counts[(d - b'0') as usize] += 1);
    let repeated = counts.iter().filter(|count| **count > 1).count();
    n[0] != b'0' && repeated == 1 && counts.iter().all(|count| *count <= 3) && mod_11_10(n)
}

/// ISO 7064, modulus 11, 10.
fn mod_11_10(n: &[u8]) -> bool {
    let (last, body) = (n[n.len() - 1], &n[..n.len() - 1]);
    let product = body.iter().fold(10, |product, d| {
        let sum = (digit(*d) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == digit(last)
}

fn dni(n: &[u8]) -> bool {
    spanish_letter(number(&n[..8])) == n[8]
}

fn nie(n: &[u8]) -> bool {
    let first = match n[0] {
        b'X' => 0,
        b'Y' => 10_000_000,
        b'Z' => 20_000_000,
        _ => return false,
    };
    spanish_letter(first + number(&n[1..8])) == n[8]
}

fn spanish_letter(number: u64) -> u8 {
    b"TRWAGMYFPDXBNJZSQVHLCKE"[usize::try_from(number % 23).unwrap_or(0)]
}

fn codice_fiscale(n: &[u8]) -> bool {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
        6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let sum: u32 = n[..15]
        .iter()
        .enumerate()
        .map(|(index, b)| {
            let value = char::from(*b).to_digit(36).unwrap_or(0);
            if index % 2 == 0 {
                ODD[value as usize]
            } else if value > 9 {
                value - 10
            } else {
                value
            }
        })
        .sum();
    let month = b"ABCDEHLMPRST".contains(&n[8]);
    month && u32::from(n[15] - b'A') == sum % 26
}

fn cpf(n: &[u8]) -> bool {
    brazilian(&n[..9], n[9], 10, 99) && brazilian(&n[..10], n[10], 11, 99)
}

fn cnpj(n: &[u8]) -> bool {
    brazilian(&n[..12], n[12], 5, 9) && brazilian(&n[..13], n[13], 6, 9)
}

/// Whether a check digit fits, with weights that fall from `first` to 2 and start again at `top`.
fn brazilian(body: &[u8], check: u8, first: u32, top: u32) -> bool {
    let mut weight = first;
    let mut sum = 0;
    for d in body {
        sum += digit(*d) * weight;
        weight = if weight == 2 { top } else { weight - 1 };
    }
    let rest = sum % 11;
    digit(check) == if rest < 2 { 0 } else { 11 - rest }
}

/// Verhoeff's check.
fn aadhaar(n: &[u8]) -> bool {
    const TIMES: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PERMUTED: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let check = n.iter().rev().enumerate().fold(0_u8, |check, (index, d)| {
        TIMES[usize::from(check)][usize::from(PERMUTED[index % 8][usize::from(d - b'0')])]
    });
    matches!(n[0], b'2'..=b'9') && check == 0
}

fn pan(n: &[u8]) -> bool {
    b"PCHFATBLJG".contains(&n[3])
}

fn bsn(n: &[u8]) -> bool {
    let sum = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum > 0 && sum % 11 == digit(n[8])
}

fn pesel(n: &[u8]) -> bool {
    let month = number(&n[2..4]) % 20;
    (1..=12).contains(&month)
        && (1..=31).contains(&number(&n[4..6]))
        && (10 - weighted(n, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10 == digit(n[10])
}

fn personnummer(n: &[u8]) -> bool {
    let short = &n[n.len() - 10..];
    let day = number(&short[4..6]);
    let century = n.len() == 10 || matches!(&n[..2], b"18" | b"19" | b"20");
    let date = (1..=12).contains(&number(&short[2..4])) && matches!(day, 1..=31 | 61..=91);
    century && date && luhn(short)
}

fn fodselsnummer(n: &[u8]) -> bool {
    let day = number(&n[..2]);
    let check = |weights: &[u32]| (11 - weighted(n, weights) % 11) % 11;
    matches!(day, 1..=31 | 41..=71)
        && (1..=12).contains(&(number(&n[2..4]) % 40))
        && check(&[3, 7, 6, 1, 8, 9, 4, 5, 2]) == digit(n[9])
        && check(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) == digit(n[10])
}

fn hetu(n: &[u8]) -> bool {
    let serial = &n[n.len() - 4..n.len() - 1];
    if !serial.iter().all(u8::is_ascii_digit) || !is_date_of_day_first(&n[..6]) {
        return false;
    }
    let century = n.len() == 10 || matches!(n[6], b'A'..=b'F' | b'U'..=b'Y');
    let rest = (number(&n[..6]) * 1000 + number(serial)) % 31;
    let check = b"0123456789ABCDEFHJKLMNPRSTUVWXY"[usize::try_from(rest).unwrap_or(0)];
    century && check == n[n.len() - 1]
}

fn cpr(n: &[u8]) -> bool {
    is_date_of_day_first(&n[..6])
}

fn belgian(n: &[u8]) -> bool {
    let check = number(&n[9..]);
    let born = number(&n[..9]);
    let fits = |body: u64| 97 - body % 97 == check;
    number(&n[2..4]) <= 12 && number(&n[4..6]) <= 31 && (fits(born) || fits(2_000_000_000 + born))
}

fn ahv(n: &[u8]) -> bool {
    n.starts_with(b"756") && ean(n)
}

fn ean(n: &[u8]) -> bool {
    let sum = weighted(n, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
    (10 - sum % 10) % 10 == digit(n[12])
}

fn nif(n: &[u8]) -> bool {
    let rest = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    matches!(n[0], b'1'..=b'3' | b'5' | b'6' | b'8' | b'9')
        && digit(n[8]) == if rest < 2 { 0 } else { 11 - rest }
}

fn tfn(n: &[u8]) -> bool {
    weighted(n, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

fn medicare(n: &[u8]) -> bool {
    matches!(n[0], b'2'..=b'6') && weighted(n, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == digit(n[8])
}

fn chinese(n: &[u8]) -> bool {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let check = b"10X98765432"[weighted(n, &weights) as usize % 11];
    matches!(&n[6..8], b"18" | b"19" | b"20") && is_date(&n[6..14], 4) && n[17] == check
}

fn korean(n: &[u8]) -> bool {
    is_date(&n[..6], 2) && matches!(n[6], b'1'..=b'8')
}

fn nric(n: &[u8]) -> bool {
    let offset = if matches!(n[0], b'T' | b'G') { 4 } else { 0 };
    let offset = if n[0] == b'M' { 3 } else { offset };
    let rest = (weighted(&n[1..8], &[2, 7, 6, 5, 4, 3, 2]) + offset) as usize % 11;
    let letter = match n[0] {
        b'S' | b'T' => b"JZIHGFEDCBA"[rest],
        b'F' | b'G' => b"XWUTRQPNMLK"[rest],
        b'M' => b"KLJNPQRTUWX"[10 - rest],
        _ => return false,
    };
    letter == n[8]
}

fn south_african(n: &[u8]) -> bool {
    is_date(&n[..6], 2) && matches!(n[10], b'0' | b'1') && matches!(n[11], b'8' | b'9') && luhn(n)
}

fn tckn(n: &[u8]) -> bool {
    let odd: u32 = n[..9].iter().step_by(2).map(|d| digit(*d)).sum();
    let even: u32 = n[1..8].iter().step_by(2).map(|d| digit(*d)).sum();
    let all: u32 = n[..10].iter().map(|d| digit(*d)).sum();
    n[0] != b'0' && (odd * 7 + 100 - even) % 10 == digit(n[9]) && all % 10 == digit(n[10])
}

fn curp(n: &[u8]) -> bool {
    matches!(n[10], b'H' | b'M' | b'X') && is_date(&n[4..10], 2)
}

fn rut(n: &[u8]) -> bool {
    let (last, body) = (n[n.len() - 1], &n[..n.len() - 1]);
    let weights = [2, 3, 4, 5, 6, 7].into_iter().cycle();
    let sum: u32 = body
        .iter()
        .rev()
        .zip(weights)
        .map(|(d, weight)| digit(*d) * weight)
        .sum();
    last == match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        check => b"0123456789"[check as usize],
    }
}

fn itin(n: &[u8]) -> bool {
    n[0] == b'9' && matches!(number(&n[3..5]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn cnp(n: &[u8]) -> bool {
    let rest = weighted(n, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    is_date(&n[1..7], 2) && digit(n[12]) == if rest == 10 { 1 } else { rest }
}

fn egn(n: &[u8]) -> bool {
    weighted(n, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == digit(n[9])
}

fn rodne_cislo(n: &[u8]) -> bool {
    let month = number(&n[2..4]);
    matches!(month, 1..=12 | 21..=32 | 51..=62 | 71..=82)
        && (1..=31).contains(&number(&n[4..6]))
        && (number(n).is_multiple_of(11) || (number(&n[..9]) % 11 == 10 && n[9] == b'0'))
}

fn isikukood(n: &[u8]) -> bool {
    let first = weighted(n, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(n, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
    let check = if first < 10 { first } else { second % 10 };
    is_date(&n[1..7], 2) && check == digit(n[10])
}

fn pps(n: &[u8]) -> bool {
    let extra = n.get(8).map_or(0, |b| match b {
        b'W' => 0,
        letter => u32::from(letter - b'A' + 1) * 9,
    });
    let rest = (weighted(&n[..7], &[8, 7, 6, 5, 4, 3, 2]) + extra) as usize % 23;
    n[7] == b"WABCDEFGHIJKLMNOPQRSTUV"[rest]
}

fn snils(n: &[u8]) -> bool {
    let sum = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101;
    u64::from(sum % 100) == number(&n[9..])
}

fn inn(n: &[u8]) -> bool {
    let first = weighted(n, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10;
    let second = weighted(n, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10;
    first == digit(n[10]) && second == digit(n[11])
}

fn cuit(n: &[u8]) -> bool {
    let check = (11 - weighted(n, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    matches!(
        &n[..2],
        b"20" | b"23" | b"24" | b"27" | b"30" | b"33" | b"34"
    ) && check == digit(n[10])
}

fn thai(n: &[u8]) -> bool {
    let sum = weighted(n, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    (11 - sum % 11) % 10 == digit(n[12])
}

fn taiwanese(n: &[u8]) -> bool {
    const LETTERS: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some((region, _)) = (10_u32..).zip(LETTERS).find(|(_, letter)| **letter == n[0]) else {
        return false;
    };
    let sum = region / 10 + region % 10 * 9 + weighted(&n[1..], &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(n[1], b'1' | b'2' | b'8' | b'9') && sum.is_multiple_of(10)
}

fn hong_kong(n: &[u8]) -> bool {
    let letter = u32::from(n[0] - b'A') + 10;
    let check = if n[7] == b'A' { 10 } else { digit(n[7]) };
    let sum = 36 * 9 + letter * 8 + weighted(&n[1..7], &[7, 6, 5, 4, 3, 2]) + check;
    sum.is_multiple_of(11)
}

fn nik(n: &[u8]) -> bool {
    matches!(number(&n[6..8]), 1..=31 | 41..=71) && (1..=12).contains(&number(&n[8..10]))
}

fn my_number(n: &[u8]) -> bool {
    let rest = weighted(n, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    digit(n[11]) == if rest < 2 { 0 } else { 11 - rest }
}

fn taj(n: &[u8]) -> bool {
    weighted(n, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == digit(n[8])
}

fn ird(n: &[u8]) -> bool {
    let padded: Vec<u8> = std::iter::repeat_n(b'0', 9 - n.len())
        .chain(n.iter().copied())
        .collect();
    let check = |weights: &[u32]| (11 - weighted(&padded, weights) % 11) % 11;
    let first = check(&[3, 2, 7, 6, 5, 4, 3, 2]);
    let check = if first == 10 {
        check(&[7, 4, 3, 2, 5, 2, 7, 6])
    } else {
        first
    };
    check == digit(padded[8])
}
