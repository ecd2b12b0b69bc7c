//! Exact decimal numbers, as SQL's `DECIMAL` and `NUMERIC` hold them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// An exact decimal number of any size, kept as its digits.
///
/// The places behind the point are kept (`1.50` stays `1.50`) and do not count in comparisons
/// (`1.5 == 1.50`). It is a carrier between programme and database and does no arithmetic: parse
/// its text into the decimal type of your choice.
///
/// ```
/// use athena_db::Decimal;
///
/// let price: Decimal = "0012.50".parse()?;
/// assert_eq!(price.as_str(), "12.50");
/// assert_eq!(price, "12.5".parse()?);
/// # Ok::<(), athena_db::DecimalError>(())
/// ```
#[derive(Clone)]
pub struct Decimal {
    /// An optional `-`, digits without a leading zero (but one before the point), and, behind a
    /// point, at least one digit; zero has no sign.
    text: Box<str>,
}

/// A text is no decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalError;

/// Digits that an exponent may add; a bound for `1e999999999`.
const MAX_SHIFT: usize = 20_000;

impl Decimal {
    /// Returns the number as text: `-12.50`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the nearest double.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.text.parse().unwrap_or(f64::NAN)
    }

    /// Returns the number if it is a whole one of 64 bits.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        let (whole, fraction) = self.halves();
        fraction
            .bytes()
            .all(|digit| digit == b'0')
            .then(|| whole.parse().ok())?
    }

    /// Whether it is less than zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.text.starts_with('-')
    }

    /// The part before the point, with the sign, and the part behind.
    pub(crate) fn halves(&self) -> (&str, &str) {
        self.text.split_once('.').unwrap_or((&self.text, ""))
    }

    /// What counts in comparisons: digits before the point and, without trailing zeros, behind it.
    fn significant(&self) -> (&str, &str) {
        let (whole, fraction) = self.halves();
        (
            whole.trim_start_matches('-'),
            fraction.trim_end_matches('0'),
        )
    }

    fn assemble(negative: bool, whole: &str, fraction: &str) -> Self {
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let is_zero = whole == "0" && fraction.bytes().all(|digit| digit == b'0');
        let sign = if negative && !is_zero { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        Self {
            text: format!("{sign}{whole}{point}{fraction}").into(),
        }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads digits with an optional sign, point and exponent: `-12.50`, `.5`, `1e-3`.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (digits, exponent) = match rest.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse().map_err(|_| DecimalError)?),
            None => (rest, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
            return Err(DecimalError);
        }
        let (whole, fraction) = shifted(whole, fraction, exponent)?;
        Ok(Self::assemble(negative, &whole, &fraction))
    }
}

/// Moves the point to the right by `exponent` places.
fn shifted(whole: &str, fraction: &str, exponent: i32) -> Result<(String, String), DecimalError> {
    let places = usize::try_from(exponent.unsigned_abs())
        .ok()
        .filter(|places| *places <= MAX_SHIFT)
        .ok_or(DecimalError)?;
    if exponent >= 0 {
        let moved = places.min(fraction.len());
        let zeros = "0".repeat(places - moved);
        Ok((
            format!("{whole}{}{zeros}", &fraction[..moved]),
            fraction[moved..].to_owned(),
        ))
    } else {
        let kept = whole.len().saturating_sub(places);
        let zeros = "0".repeat(places.saturating_sub(whole.len()));
        Ok((
            whole[..kept].to_owned(),
            format!("{zeros}{}{fraction}", &whole[kept..]),
        ))
    }
}

impl Default for Decimal {
    /// Zero.
    fn default() -> Self {
        Self::from(0)
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self {
            text: value.to_string().into(),
        }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || {
            let ((whole, fraction), (other_whole, other_fraction)) =
                (self.significant(), other.significant());
            whole
                .len()
                .cmp(&other_whole.len())
                .then_with(|| whole.cmp(other_whole))
                .then_with(|| fraction.cmp(other_fraction))
        };
        match (self.is_negative(), other.is_negative()) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => size(),
            (true, true) => size().reverse(),
        }
    }
}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.is_negative(), self.significant()).hash(state);
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Display for DecimalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "not a decimal number; write digits with an optional sign, point and exponent",
        )
    }
}

impl std::error::Error for DecimalError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn texts_become_canonical() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0.00", "0.00"),
            ("+007.10", "7.10"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1.25E1", "12.5"),
            ("-12.5e-3", "-0.0125"),
            ("1e-2", "0.01"),
            (
                "123456789012345678901234567890.12345678901234567890",
                "123456789012345678901234567890.12345678901234567890",
            ),
        ] {
            assert_eq!(decimal(text).as_str(), canonical, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.2.3",
            "NaN",
            "1 ",
            "0x1",
            "1e",
            "1e99999999999",
            "١",
            "--1",
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn order_is_that_of_numbers() {
        let ascending = [
            "-10",
            "-9.5",
            "-0.1",
            "0",
            "0.09",
            "0.1",
            "1.0000001",
            "2",
            "10",
        ];
        for pair in ascending.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
        assert_eq!(decimal("1.5"), decimal("1.500"));
        assert_eq!(decimal("2.00").to_i64(), Some(2));
        assert_eq!(decimal("2.01").to_i64(), None);
        assert_eq!(decimal("-9223372036854775809").to_i64(), None);
    }
}
