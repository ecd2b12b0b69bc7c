//! What the words near a value say about it.
//!
//! [`cue`] finds the nearest word with a meaning before a value: within eight words and 64 bytes for
//! a telephone, within three words on the same line, with no other number between, for anything that
//! makes a number an order, a build or another thing that is nobody's. After the value only the
//! telephone's words count, three words far. [`mentions`] asks for any of some words within 64 bytes
//! before or 32 after.

use std::ops::Range;

use super::scan::Scan;

/// How far before a value words count, in bytes.
const BEFORE: usize = 64;

/// How far after a value words count, in bytes.
const AFTER: usize = 32;

/// How many words before a number may stand between it and a word for a telephone.
const PHONE_REACH: usize = 8;

/// How many words may stand between a number and a word that makes it something else.
const IDENTIFIER_REACH: usize = 3;

/// What a word says about the number near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cue {
    /// A telephone number.
    Phone,
    /// A payment card.
    Card,
    /// A number of a person.
    Person,
    /// A version of software.
    Version,
    /// Another number: an order, an amount, a place.
    Identifier,
}

/// The name of the field that a text is the value of.
#[derive(Debug, Default)]
pub(super) struct Field {
    /// The name as it was given.
    pub(super) name: String,
    /// Its words in lower case, with a space around each.
    words: String,
}

impl Field {
    pub(super) fn named(name: &str) -> Self {
        let mut words = String::from(" ");
        let mut end = name.len();
        let mut parts = Vec::new();
        while let Some(word) = previous_word(name, 0, end) {
            end = word.start;
            parts.push(name[word].to_lowercase());
        }
        for part in parts.iter().rev() {
            words.push_str(part);
            words.push(' ');
        }
        Self {
            name: name.to_owned(),
            words,
        }
    }

    /// Returns what the last of the name's words with a meaning says.
    fn cue(&self) -> Option<Cue> {
        self.words.split(' ').rev().find_map(meaning)
    }
}

/// Returns what the words around a number say about it.
pub(super) fn cue(scan: &Scan<'_>, range: &Range<usize>) -> Option<Cue> {
    cue_before(scan, range.start)
        .or_else(|| cue_after(scan, range.end))
        .or_else(|| scan.field.cue())
}

fn cue_before(scan: &Scan<'_>, start: usize) -> Option<Cue> {
    let floor = scan.text.floor_char_boundary(start.saturating_sub(BEFORE));
    let mut end = start;
    let mut counted = false;
    let mut far = false;
    for distance in 0..=PHONE_REACH {
        let word = previous_word(scan.text, floor, end)?;
        let between = &scan.bytes[word.end..end];
        far |= distance > IDENTIFIER_REACH
            || between.iter().any(|b| b.is_ascii_digit() || *b == b'\n')
            || (distance > 0 && memchr::memmem::find(between, b". ").is_some());
        let text = &scan.text[word.clone()];
        if counted && is_possessive(text) {
            return Some(Cue::Phone);
        }
        match meaning(text) {
            Some(Cue::Phone) => return Some(Cue::Phone),
            Some(cue) if !far => return Some(cue),
            _ => {}
        }
        if distance == 0 && between.contains(&b'#') {
            return Some(Cue::Identifier);
        }
        counted = is_number(text);
        end = word.start;
    }
    None
}

fn cue_after(scan: &Scan<'_>, end: usize) -> Option<Cue> {
    let limit = scan
        .text
        .floor_char_boundary((end + AFTER).min(scan.text.len()));
    let rest = scan.text.get(end..limit)?.lines().next()?;
    let mut words = rest
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty());
    let before_number = rest
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(rest.len());
    let near = words
        .by_ref()
        .take(4)
        .filter(|word| word.as_ptr().addr() - rest.as_ptr().addr() < before_number);
    near.filter_map(meaning)
        .find(|cue| matches!(cue, Cue::Phone | Cue::Card))
}

/// Whether any of some words stands near a value or in the field's name.
///
/// Words are in lower case; one that ends with `*` may continue; one that is not ASCII may stand
/// anywhere, since not every script separates words.
pub(super) fn mentions(scan: &Scan<'_>, range: &Range<usize>, words: &[&str]) -> bool {
    if words.is_empty() {
        return false;
    }
    let from = scan
        .text
        .floor_char_boundary(range.start.saturating_sub(BEFORE));
    let to = scan
        .text
        .floor_char_boundary((range.end + AFTER).min(scan.text.len()));
    let around = [
        &scan.text[from..range.start],
        &scan.text[range.end..to],
        &scan.field.words,
    ];
    words
        .iter()
        .any(|word| around.into_iter().any(|text| has_word(text, word)))
}

fn has_word(text: &str, word: &str) -> bool {
    if !word.is_ascii() {
        return !text.is_ascii() && text.to_lowercase().contains(word.trim_end_matches('*'));
    }
    let (word, open) = word
        .strip_suffix('*')
        .map_or((word, false), |stem| (stem, true));
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let letter = |position: usize| text.get(position).is_some_and(u8::is_ascii_alphanumeric);
    let [lower, ..] = *word else { return false };
    memchr::memchr2_iter(lower, lower.to_ascii_uppercase(), text).any(|start| {
        let end = start + word.len();
        text.get(start..end)
            .is_some_and(|found| found.eq_ignore_ascii_case(word))
            && (!start.checked_sub(1).is_some_and(letter) || ends_with_escape(&text[..start]))
            && (open || !letter(end))
    })
}

/// Returns the last word of `text[floor..end]`: letters, split where lower case turns to upper.
fn previous_word(text: &str, floor: usize, end: usize) -> Option<Range<usize>> {
    let mut characters = text.get(floor..end)?.char_indices().rev();
    let (last, mut later) = characters.find(|(_, c)| c.is_alphabetic())?;
    let end = last + later.len_utf8();
    let mut start = last;
    for (at, c) in characters {
        if !c.is_alphabetic() || (later.is_uppercase() && c.is_lowercase()) {
            break;
        }
        (start, later) = (at, c);
    }
    if start < last && ends_with_escape(&text.as_bytes()[..=floor + start]) {
        start += 1;
    }
    Some(floor + start..floor + end)
}

/// Whether a word means `number`, of what the word before it may say.
fn is_number(word: &str) -> bool {
    const WORDS: [&str; 9] = [
        "number",
        "nr",
        "no",
        "numero",
        "nummer",
        "numer",
        "número",
        "numéro",
        "номер",
    ];
    WORDS.iter().any(|number| word.eq_ignore_ascii_case(number))
}

/// Whether these bytes end with an escape such as `\n`, whose letter is no part of the word behind.
pub(super) fn ends_with_escape(before: &[u8]) -> bool {
    [br"\n", br"\r", br"\t"]
        .iter()
        .any(|escape| before.ends_with(*escape))
}

/// Whether `number` after this word is a telephone number unless said otherwise.
fn is_possessive(word: &str) -> bool {
    const WORDS: [&str; 21] = [
        "my", "his", "her", "their", "your", "our", "new", "mein", "meine", "ihre", "seine", "mon",
        "son", "mi", "su", "mio", "meu", "mijn", "mój", "min", "мой",
    ];
    WORDS.iter().any(|owner| word.eq_ignore_ascii_case(owner))
}

/// Returns what a word says, in any case.
fn meaning(word: &str) -> Option<Cue> {
    if !word.is_ascii() {
        return foreign_meaning(&word.to_lowercase());
    }
    let mut buffer = [0; 20];
    let lower = buffer.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    ascii_meaning(std::str::from_utf8(lower).ok()?)
}

#[rustfmt::skip]
fn ascii_meaning(word: &str) -> Option<Cue> {
    Some(match word {
        "phone" | "phones" | "telephone" | "tel" | "telefon" | "telefono" | "telefone" | "telefoon"
        | "telefonnummer" | "telefoonnummer" | "telephonique" | "telp" | "telepon" | "tlf" | "tlph"
        | "mobile" | "mobil" | "mobiel" | "mob" | "mobilnummer" | "mobiltelefon" | "cell"
        | "cellphone" | "cellular" | "celular" | "cellulare" | "movil" | "handy" | "handynummer"
        | "whats" | "fax" | "faxnummer" | "faks" | "whatsapp" | "sms" | "text" | "texts" | "texted"
        | "texting" | "call" | "calls" | "called" | "calling" | "caller" | "callback" | "dial"
        | "dialed" | "dialled" | "dialing" | "reach" | "reached" | "reachable" | "ring" | "rang"
        | "hotline" | "helpline" | "landline" | "contact" | "contacts" | "contacto" | "contato"
        | "voicemail" | "pager" | "ph" | "phn" | "msisdn" | "viber" | "telegram" | "imessage"
        | "facetime" | "rufnummer" | "anrufen" | "erreichbar" | "erreichen" | "durchwahl"
        | "festnetz" | "appelez" | "appeler" | "joindre" | "portable" | "llamar" | "llame"
        | "llama" | "ligue" | "ligar" | "chiamare" | "chiama" | "chiamami" | "chiamate" | "bel"
        | "bellen" | "ringa" | "zadzwo" | "komorka" | "kom" | "nomor" | "hubungi"
        | "rappel" | "rappelle" | "rappeler" | "appelle" | "rueckruf" | "puhelin" | "puhelinnumero" | "puh" | "gsm" | "telefonszam" | "phonenumber"
        | "mobilenumber" | "lada" | "tfno" | "tfn" | "emergency" => Cue::Phone,
        "card" | "cards" | "charge" | "charged" | "payment" | "payments" | "visa" | "mastercard" | "amex" | "maestro" | "discover" | "diners"
        | "jcb" | "unionpay" | "cc" | "pan" | "creditcard" | "debit" | "credit" | "ccn"
        | "kreditkarte" | "karte" | "carte" | "tarjeta" | "carta" | "cartao" | "cvv" | "cvc"
            => Cue::Card,
        "ssn" | "social" | "nhs" | "sin" | "aadhaar" | "aadhar" | "cpf" | "bsn" | "pesel" | "tin"
        | "passport" | "iban" | "nino" | "taxpayer" => Cue::Person,
        "version" | "ver" | "v" | "build" | "release" | "released" | "firmware" | "upgrade"
        | "upgraded" | "package" | "oid" | "driver" | "sdk" | "section" | "chapter" | "clause"
        | "bump" | "bumps" | "bumped" | "bumping" | "downgrade" | "downgraded" | "minimum"
        | "paragraph" | "chrome" | "assembly" | "assemblyversion" | "fileversion" | "snmp"
            => Cue::Version,
        "order" | "orders" | "invoice" | "ticket" | "tracking" | "account" | "acct" | "konto"
        | "port" | "isbn" | "issn" | "ref" | "reference" | "id" | "ids" | "uid" | "guid" | "uuid"
        | "sku" | "serial" | "case" | "po" | "part" | "item" | "model" | "product" | "parcel"
        | "shipment" | "transaction" | "txn" | "receipt" | "batch" | "lot" | "booking"
        | "confirmation" | "reservation" | "policy" | "claim" | "patent" | "zip" | "zipcode"
        | "postcode" | "postal" | "plz" | "timestamp" | "epoch" | "unix" | "ts" | "time"
        | "seed" | "size" | "bytes" | "offset" | "pid" | "rev" | "revision" | "commit" | "row"
        | "line" | "lines" | "page" | "pages" | "hash" | "checksum" | "imei" | "vin" | "ean"
        | "upc" | "gtin" | "barcode" | "asin" | "doi" | "arxiv" | "pmid" | "lat" | "lon" | "lng"
        | "latitude" | "longitude" | "coordinates" | "gps" | "price" | "total" | "amount"
        | "usd" | "eur" | "gbp" | "sum" | "population" | "distance" | "artikel" | "bestellung"
        | "bestellnummer" | "bestell" | "rechnung" | "rechnungsnummer" | "kundennummer"
        | "auftrag" | "commande" | "facture" | "pedido" | "factura" | "fattura" | "ordine"
        | "range" | "ranges" | "dates" | "date" | "issue" | "bug" | "pull" | "request" | "iccid"
        | "sort" | "routing" | "swift" | "bic" | "count" | "counter" | "index" | "key" | "nonce"
        | "customer" | "member" | "employee" | "badge" | "job" | "run" | "session" | "trace"
        | "span" | "consignment" | "awb" | "waybill" | "docket" | "dimensions" | "score"
        | "error" | "code" | "errno" | "token" | "block" | "height" | "chassis" | "meter"
        | "inventory" | "stock" | "catalog" | "catalogue" | "library" | "asset" | "mac"
        | "equals" | "divided" | "plus" | "minus" | "times" | "pi" => Cue::Identifier,
        _ if word.starts_with("telefon") || word.starts_with("telephon") => Cue::Phone,
        _ => return None,
    })
}

/// Beginnings, or for scripts without spaces parts, of words in lower case.
#[rustfmt::skip]
fn foreign_meaning(word: &str) -> Option<Cue> {
    const PHONES: [&str; 37] = [
        "teléfono", "móvil", "téléphone", "tél", "numéro", "llám", "telefón", "zadzwoń", "komórk",
        "тел", "звон", "моб", "позвон", "дзвон", "факс", "τηλ", "κινητ", "电话", "手机", "電話",
        "携帯", "致电", "热线", "联系", "拨打", "聯絡", "전화", "휴대", "핸드폰", "연락", "هاتف",
        "جوال", "फोन", "मोबाइल", "טלפון", "rückruf", "zurückrufen",
    ];
    const IDENTIFIERS: [&str; 14] = [
        "заказ", "счёт", "счет", "订单", "訂單", "注文", "주문", "快递", "发票", "編號", "编号",
        "bestellübersicht", "número de pedido", "накладн",
    ];
    const VERSIONS: [&str; 13] = [
        "версия", "версии", "версию", "версі", "版本", "バージョン", "버전", "versión", "versão",
        "έκδοση", "sürüm", "الإصدار", "संस्करण",
    ];
    const CARDS: [&str; 5] = ["карт", "信用卡", "银行卡", "カード", "카드"];
    const PEOPLE: [&str; 3] = ["身份证", "주민등록", "マイナンバー"];
    let any = |words: &[&str]| words.iter().any(|part| word.contains(part));
    if any(&PEOPLE) {
        Some(Cue::Person)
    } else if any(&IDENTIFIERS) {
        Some(Cue::Identifier)
    } else if any(&VERSIONS) {
        Some(Cue::Version)
    } else if any(&CARDS) {
        Some(Cue::Card)
    } else {
        any(&PHONES).then_some(Cue::Phone)
    }
}
