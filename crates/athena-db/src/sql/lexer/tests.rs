#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use super::{Grammar, Kind, Lexer};
use crate::dialect::Dialect::{Postgres, Sqlite};

/// Checks the tokens of a text, each with the initial of its kind in front.
#[track_caller]
fn check(grammar: &'static Grammar, sql: &str, tokens: &str) {
    let mut lexer = Lexer::new(sql, grammar);
    let mut found = Vec::new();
    while let Some(token) = lexer.next_token().unwrap() {
        let kind = match token.kind {
            Kind::Word => 'w',
            Kind::Number => 'n',
            Kind::Text => 't',
            Kind::Name => 'q',
            Kind::Parameter => 'p',
            Kind::Positional => 'P',
            Kind::Symbol => 's',
        };
        found.push(format!("{kind}{}", lexer.text(token)));
    }
    assert_eq!(found.join(" "), tokens);
}

#[test]
fn numbers_take_what_sticks_to_them() {
    check(
        Grammar::of(Postgres),
        "1.5e-3+.5 1..2",
        "n1.5e-3 s+ n.5 n1 s. n.2",
    );
    check(Grammar::of(Sqlite), "0x1F 1_000-1", "n0x1F n1_000 s- n1");
    check(Grammar::of(Sqlite), "0xE+1", "n0xE s+ n1");
}

#[test]
fn words_hold_dollars_and_letters_of_all_scripts() {
    check(
        Grammar::of(Postgres),
        "a$b größe _x 名前",
        "wa$b wgröße w_x w名前",
    );
}

#[test]
fn colons_go_with_what_follows() {
    check(
        Grammar::of(Postgres),
        "a::b:=:c : d",
        "wa s:: wb s:= p:c s: wd",
    );
    check(Grammar::of(Sqlite), ":a:1", "p:a P:1");
}

#[test]
fn migrations_know_no_dialects_literals() {
    check(Grammar::migration(), "E'\\' \"a\" `", "wE t'\\' q\"a\" s`");
    check(Grammar::migration(), "$$", "P$$");
}
