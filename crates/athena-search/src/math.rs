//! Arithmetic that gives the same bits on every machine.
//!
//! The platform's `ln` may differ in the last bit from one C library to the next, which is enough
//! to turn a tie into an order. Addition, multiplication, division and square root are exact by
//! IEEE 754, so this logarithm is built from those.

/// Returns the natural logarithm of a positive, normal number.
///
/// The error is below two units in the last place. Zero, negative and non-finite numbers are not
/// expected; they give some number, never a panic.
#[must_use]
pub fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mut mantissa = f64::from_bits((bits & MANTISSA) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    f64::from(exponent) * std::f64::consts::LN_2 + ln_near_one(mantissa)
}

/// `ln(m)` as `2·atanh((m-1)/(m+1))`, for m within [√½, √2].
fn ln_near_one(mantissa: f64) -> f64 {
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for k in (0..13).rev() {
        sum = sum * square + 1.0 / f64::from(2 * k + 1);
    }
    2.0 * s * sum
}

/// Returns `½^x` for x of at least 0; 0 from x = 1000 on, and for what is not a number.
///
/// The error is below four units in the last place.
pub(crate) fn half_power(x: f64) -> f64 {
    if !(0.0..1_000.0).contains(&x) {
        return 0.0;
    }
    let whole = x.floor();
    let t = (whole - x) * std::f64::consts::LN_2;
    let mut sum = 1.0;
    for k in (1..=18).rev() {
        sum = 1.0 + t / f64::from(k) * sum;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to 999"
    )]
    let exponent = 1023 - whole as u64;
    sum * f64::from_bits(exponent << 52)
}

/// Returns the weight of a word that occurs `count` times: `1 + ln(count)`, 0 for none.
pub(crate) fn log_count(count: u32) -> f64 {
    match count {
        0 => 0.0,
        1 => 1.0,
        _ => 1.0 + ln(f64::from(count)),
    }
}

/// The unit in which scores compare: 1e-7.
pub(crate) const UNITS: f64 = 1e7;

/// Returns a value of [0, 1] as a whole number of units of 1e-7; what is not a number becomes 0.
pub(crate) fn to_units(value: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to [0, 1e7]; a float-to-int cast saturates and maps NaN to 0"
    )]
    let units = (value.clamp(0.0, 1.0) * UNITS).round() as i64;
    units
}

/// Returns the number that a count of units stands for.
pub(crate) fn from_units(units: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "units stay within ±1e8")]
    let value = units as f64 / UNITS;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_agrees_with_the_platform() {
        for step in 1..20_000_u32 {
            let x = f64::from(step) * 0.37;
            assert!(
                (ln(x) - x.ln()).abs() < 4e-15 * x.ln().abs().max(1.0),
                "{x}"
            );
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn half_power_agrees_with_the_platform() {
        for step in 0..9_000_u32 {
            let x = f64::from(step) * 0.111;
            let expected = (-x).exp2();
            assert!(
                (half_power(x) - expected).abs() <= 1e-15 * expected,
                "{x}: {}",
                half_power(x)
            );
        }
        assert_eq!(half_power(0.0), 1.0);
        assert_eq!(half_power(3.0), 0.125);
        assert_eq!(half_power(f64::INFINITY), 0.0);
        assert_eq!(half_power(f64::NAN), 0.0);
    }

    #[test]
    fn units_round_and_clamp() {
        assert_eq!(to_units(0.123_456_749), 1_234_567);
        assert_eq!(to_units(2.0), 10_000_000);
        assert_eq!(to_units(-1.0), 0);
        assert_eq!(to_units(f64::NAN), 0);
    }
}
