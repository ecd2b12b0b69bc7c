//! Reads a column's default as a backend writes it down.

use super::model::DefaultValue;
use crate::dialect::Dialect;
use crate::sql::{LogicalType, SQLITE_NOW};

/// Reads a default; `None` for `NULL`.
pub(super) fn read(
    dialect: Dialect,
    kind: Option<LogicalType>,
    text: &str,
) -> Option<DefaultValue> {
    let bare = without_parentheses(text);
    let bare = match dialect {
        Dialect::Postgres => without_cast(bare),
        Dialect::MySql => bare.strip_prefix("_utf8mb4").unwrap_or(bare),
        Dialect::Sqlite => bare,
    };
    if bare.eq_ignore_ascii_case("NULL") {
        return None;
    }
    Some(
        clock(text)
            .or_else(|| literal(kind, bare).map(DefaultValue::Literal))
            .unwrap_or_else(|| DefaultValue::Expression(text.to_owned())),
    )
}

/// Recognises what the translation of `CURRENT_TIMESTAMP` and `CURRENT_DATE` becomes.
fn clock(text: &str) -> Option<DefaultValue> {
    let words = |text: &str| -> String {
        let kept = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')'));
        kept.collect::<String>().to_ascii_lowercase()
    };
    let bare = words(text);
    if bare == words(SQLITE_NOW) {
        return Some(DefaultValue::CurrentTimestamp);
    }
    match bare.as_str() {
        "current_timestamp" | "current_timestamp6" | "now" => Some(DefaultValue::CurrentTimestamp),
        "current_date"
        | "curdate"
        | "utc_date"
        | "current_timestampattimezone'utc'::text::date" => Some(DefaultValue::CurrentDate),
        _ => None,
    }
}

/// Returns a literal in the form that all backends share, if the text is one.
fn literal(kind: Option<LogicalType>, text: &str) -> Option<String> {
    let quoted = is_quoted(text);
    let inner = if quoted {
        &text[1..text.len() - 1]
    } else {
        text
    };
    match kind {
        Some(LogicalType::Boolean) => match inner.to_ascii_lowercase().as_str() {
            "1" | "true" => Some("TRUE".to_owned()),
            "0" | "false" => Some("FALSE".to_owned()),
            _ => None,
        },
        Some(LogicalType::Integer | LogicalType::BigInt) => {
            let number: i64 = without_parentheses(inner).parse().ok()?;
            Some(number.to_string())
        }
        Some(LogicalType::Real) => {
            let number: f64 = without_parentheses(inner).parse().ok()?;
            Some(number.to_string())
        }
        Some(LogicalType::Decimal { .. }) => decimal(without_parentheses(inner)),
        Some(LogicalType::Blob) => bytes(text),
        _ if quoted => Some(text.to_owned()),
        None if text.parse::<f64>().is_ok() => Some(text.to_owned()),
        _ => None,
    }
}

/// Writes a decimal number without zeros that say nothing.
fn decimal(text: &str) -> Option<String> {
    text.parse::<f64>().ok()?;
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.contains('.') && !text.contains(['e', 'E']) {
        Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
    } else {
        Some(text.to_owned())
    }
}

/// Reads `X'00FF'`, or PostgreSQL's `'\x00ff'`.
fn bytes(text: &str) -> Option<String> {
    let digits = text
        .strip_prefix("'\\x")
        .or_else(|| text.strip_prefix("X'"))
        .or_else(|| text.strip_prefix("x'"))?
        .strip_suffix('\'')?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| format!("X'{}'", digits.to_ascii_lowercase()))
}

/// Tells whether the text is one string literal and nothing else.
fn is_quoted(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
    else {
        return false;
    };
    !inner.replace("''", "").contains('\'')
}

/// Removes parentheses around all of the text.
fn without_parentheses(text: &str) -> &str {
    let text = text.trim();
    match text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'))
    {
        Some(inner) if is_balanced(inner) => without_parentheses(inner),
        _ => text,
    }
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut in_literal = false;
    for byte in text.bytes() {
        match byte {
            b'\'' => in_literal = !in_literal,
            b'(' if !in_literal => depth += 1,
            b')' if !in_literal => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => {}
        }
    }
    depth == 0
}

/// Removes the type that PostgreSQL writes behind a literal.
fn without_cast(text: &str) -> &str {
    match text.rfind("::") {
        Some(at) if is_quoted(&text[..at]) || text[..at].eq_ignore_ascii_case("NULL") => {
            &text[..at]
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_write_one_default_in_many_ways() {
        let check = |kind: LogicalType, texts: &[(Dialect, &str)], expected: &str| {
            for (dialect, text) in texts {
                let read = read(*dialect, Some(kind), text);
                assert_eq!(
                    read,
                    Some(DefaultValue::Literal(expected.to_owned())),
                    "{dialect}: {text}"
                );
            }
        };
        use Dialect::{MySql, Postgres, Sqlite};
        check(
            LogicalType::Boolean,
            &[(Sqlite, "TRUE"), (Postgres, "true"), (MySql, "1")],
            "TRUE",
        );
        check(
            LogicalType::BigInt,
            &[(Sqlite, "-5"), (Postgres, "'-5'::integer"), (MySql, "-5")],
            "-5",
        );
        check(
            LogicalType::Real,
            &[
                (Sqlite, "1.50"),
                (Postgres, "'1.5'::numeric"),
                (MySql, "1.5"),
            ],
            "1.5",
        );
        let decimal = LogicalType::Decimal {
            precision: 10,
            scale: 2,
        };
        check(
            decimal,
            &[(Sqlite, "1.5"), (Postgres, "1.5"), (MySql, "1.50")],
            "1.5",
        );
        check(
            LogicalType::Text,
            &[
                (Sqlite, "'it''s'"),
                (Postgres, "'it''s'::text"),
                (MySql, "('it''s')"),
            ],
            "'it''s'",
        );
        check(
            LogicalType::Text,
            &[(Postgres, "'a::text'::text")],
            "'a::text'",
        );
        check(
            LogicalType::Blob,
            &[
                (Sqlite, "X'00FF'"),
                (Postgres, "'\\x00ff'::bytea"),
                (MySql, "X'00ff'"),
            ],
            "X'00ff'",
        );
    }

    #[test]
    fn what_is_no_literal_stays_as_it_is() {
        let expression = |text: &str| Some(DefaultValue::Expression(text.to_owned()));
        let check = |text: &str| {
            assert_eq!(
                read(Dialect::Postgres, Some(LogicalType::Text), text),
                expression(text)
            );
        };
        check("('a'::text || 'b'::text)");
        check("(1) + (2)");
        check("nextval('t_id_seq'::regclass)");
        assert_eq!(
            read(
                Dialect::Postgres,
                Some(LogicalType::Text),
                "NULL::character varying"
            ),
            None
        );
    }
}
