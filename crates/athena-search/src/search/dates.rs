//! Dates that a question names, and how near a turn of a conversation is to them.
//!
//! Names of months and days are read in English, numbers also as `2023-05-07`, `7.5.2023` and
//! `5/7/2023`; a date that can be read in two ways is both. Relative dates ("last week") are not
//! read: nobody knows from when they count.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// A day, of any year if none is named.
    Day {
        year: Option<i64>,
        month: u8,
        day: u8,
    },
    /// A month, of any year if none is named.
    Month { year: Option<i64>, month: u8 },
    /// A year alone.
    Year(i64),
}

/// How near a time is to the nearest of the named dates, in tenths: 15 in the week that begins with
/// a named day, 7 elsewhere in its month, 10 in a month that is named without a day, 4 in the month
/// after one, 3 in a year that is named alone, 0 elsewhere. Days are those of UTC.
pub(super) fn nearness(named: &[Named], time: i64) -> i64 {
    let day = time.div_euclid(DAY);
    let date = Civil::of(day);
    let tenths = |named: &Named| named.tenths(day, date);
    named.iter().map(tenths).max().unwrap_or(0)
}

impl Named {
    fn tenths(&self, day: i64, date: Civil) -> i64 {
        match *self {
            Self::Year(year) => 3 * i64::from(date.year == year),
            Self::Month { year, month } => by_month(year, month, date, 10),
            Self::Day {
                year,
                month,
                day: of_month,
            } => {
                let of = |year| Civil {
                    year,
                    month,
                    day: of_month,
                };
                let follows = |year| (0..=7).contains(&(day - of(year).days()));
                // Without a year: the last days of December are near those of January.
                let is_near =
                    year.map_or_else(|| follows(date.year) || follows(date.year - 1), follows);
                if is_near {
                    15
                } else {
                    by_month(year, month, date, 7)
                }
            }
        }
    }
}

fn by_month(year: Option<i64>, month: u8, date: Civil, within: i64) -> i64 {
    let named = i64::from(month) - 1;
    let found = i64::from(date.month) - 1;
    let apart = match year {
        Some(year) => (date.year * 12 + found) - (year * 12 + named),
        None => (found - named).rem_euclid(12),
    };
    match apart {
        0 => within,
        1 => 4,
        _ => 0,
    }
}

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: u8,
    day: u8,
}

impl Civil {
    /// The date of a number of days since 1970-01-01.
    ///
    /// Counted in years that begin in March, so that the leap day is their last, and in spans of
    /// 400 years, which have the same number of days each (Hinnant, "chrono-Compatible Low-Level
    /// Date Algorithms").
    fn of(days: i64) -> Self {
        let days = days + FROM_MARCH_0000;
        let (span, day) = (days.div_euclid(SPAN), days.rem_euclid(SPAN));
        let year = (day - day / 1_460 + day / 36_524 - day / (SPAN - 1)) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let of_month = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        Self {
            year: span * 400 + year + next,
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(of_month).unwrap_or(1),
        }
    }

    /// The number of days since 1970-01-01; days beyond the month's end run into the next.
    fn days(self) -> i64 {
        let month = i64::from(self.month);
        let year = self.year - i64::from(month <= 2);
        let (span, year) = (year.div_euclid(400), year.rem_euclid(400));
        let month = if month > 2 { month - 3 } else { month + 9 };
        let day = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        span * SPAN + year * 365 + year / 4 - year / 100 + day - FROM_MARCH_0000
    }
}

/// The days of 400 years.
const SPAN: i64 = 146_097;
/// The days from 0000-03-01 to 1970-01-01.
const FROM_MARCH_0000: i64 = 719_468;

/// Returns the dates that a question names.
pub(super) fn named(question: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut pieces = Vec::new();
    for word in question.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let numeric = numeric(word);
        if numeric.is_empty() {
            pieces.extend(word.split(|c: char| !c.is_alphanumeric()).map(Piece::of));
        } else {
            pieces.push(Piece::Other);
            found.extend(numeric);
        }
    }
    found.extend(in_words(&pieces));
    found
}

/// A word of a question, as far as it may be part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Month {
        month: u8,
        certainty: Certainty,
    },
    /// 1 to 31, also as `7th`.
    Day(u8),
    Year(i64),
    /// `of` or `the`, which may stand within a date.
    Link,
    Other,
}

/// What makes the name of a month one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// Nothing else: `September`.
    Name,
    /// A capital, but not at the beginning: `May`, `March`.
    Capital,
    /// A day or a year beside it: `may`, `Sept`.
    Number,
}

impl Piece {
    fn of(word: &str) -> Self {
        if let Some((month, certainty)) = month(word) {
            return Self::Month { month, certainty };
        }
        if matches!(word, "of" | "the") {
            return Self::Link;
        }
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (digits, suffix) = word.split_at(digits);
        let is_ordinal = ["st", "nd", "rd", "th"]
            .iter()
            .any(|known| suffix.eq_ignore_ascii_case(known));
        match digits.parse() {
            Ok(day @ 1..=31_u8) if digits.len() <= 2 && (suffix.is_empty() || is_ordinal) => {
                Self::Day(day)
            }
            _ if suffix.is_empty() => year(digits).map_or(Self::Other, Self::Year),
            _ => Self::Other,
        }
    }
}

/// A month by its name or the beginning of its name.
fn month(word: &str) -> Option<(u8, Certainty)> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let lower = word.to_ascii_lowercase();
    let is_short = |name: &&str| lower.len() == 3 && name.starts_with(&lower);
    let place = MONTHS.iter().position(|name| {
        *name == lower || is_short(name) || (lower == "sept" && *name == "september")
    })?;
    let certainty = match lower.as_str() {
        "march" | "may" if word.starts_with(char::is_uppercase) => Certainty::Capital,
        "march" | "may" => Certainty::Number,
        _ if lower.len() > 4 || MONTHS[place] == lower => Certainty::Name,
        _ => Certainty::Number,
    };
    Some((u8::try_from(place + 1).ok()?, certainty))
}

fn year(digits: &str) -> Option<i64> {
    let year = digits.parse().ok()?;
    (digits.len() == 4 && (1_900..2_100).contains(&year)).then_some(year)
}

/// The dates that are named with words; a year that stands alone belongs to the months that have
/// none.
fn in_words(pieces: &[Piece]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut years = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        match pieces[at] {
            Piece::Month { month, certainty } => {
                let before = day_before(&pieces[..at]);
                let (day, year, end) = after_month(pieces, at + 1, before);
                let is_month = match certainty {
                    Certainty::Name => true,
                    Certainty::Capital => at > 0 || day.or(before).is_some() || year.is_some(),
                    Certainty::Number => day.is_some() || year.is_some(),
                };
                if is_month {
                    found.push(day.map_or(Named::Month { year, month }, |day| Named::Day {
                        year,
                        month,
                        day,
                    }));
                    at = end;
                    continue;
                }
            }
            Piece::Year(year) => years.push(year),
            _ => {}
        }
        at += 1;
    }
    years.dedup();
    if let [only] = years[..]
        && let mut without = found.iter_mut().filter_map(Named::missing_year).peekable()
        && without.peek().is_some()
    {
        without.for_each(|year| *year = Some(only));
        return found;
    }
    found.extend(years.into_iter().map(Named::Year));
    found
}

impl Named {
    fn missing_year(&mut self) -> Option<&mut Option<i64>> {
        match self {
            Self::Day { year, .. } | Self::Month { year, .. } if year.is_none() => Some(year),
            _ => None,
        }
    }
}

/// The day in `7 May`, `7th of May`.
fn day_before(before: &[Piece]) -> Option<u8> {
    match before {
        [.., Piece::Day(day)] | [.., Piece::Day(day), Piece::Link] => Some(*day),
        _ => None,
    }
}

/// The day in `May 7`, `May the 7th`, unless one came before, then the year; and where they end.
fn after_month(
    pieces: &[Piece],
    start: usize,
    before: Option<u8>,
) -> (Option<u8>, Option<i64>, usize) {
    let mut day = before;
    let mut at = start;
    let skip = |at: usize| at + usize::from(pieces.get(at) == Some(&Piece::Link));
    if let (None, Some(Piece::Day(found))) = (day, pieces.get(skip(at))) {
        day = Some(*found);
        at = skip(at) + 1;
    }
    match pieces.get(skip(at)) {
        Some(Piece::Year(year)) => (day, Some(*year), skip(at) + 1),
        _ => (day, None, at),
    }
}

/// The readings of a date in digits; none if it is something else.
fn numeric(word: &str) -> Vec<Named> {
    let Some(separator) = word.chars().find(|c| ['-', '/', '.'].contains(c)) else {
        return Vec::new();
    };
    let fields: Vec<&str> = word.split(separator).collect();
    let number = |text: &str| -> Option<u8> { (text.len() <= 2).then(|| text.parse().ok())? };
    match fields[..] {
        [first, second] if separator != '.' => year(first)
            .zip(number(second).filter(|month| (1..=12).contains(month)))
            .map(|(year, month)| Named::Month {
                year: Some(year),
                month,
            })
            .into_iter()
            .collect(),
        [first, second, third] => {
            let year_first = year(first).zip(number(second)).zip(number(third));
            let year_last = year(third).zip(number(first)).zip(number(second));
            let mut readings = Vec::new();
            if let Some(((year, month), day)) = year_first {
                readings.push((year, month, day));
            } else if let Some(((year, one), other)) = year_last {
                readings.push((year, other, one));
                if separator != '.' && one != other {
                    readings.push((year, one, other));
                }
            }
            let is_date = |(_, month, day): &(i64, u8, u8)| {
                (1..=12).contains(month) && (1..=31).contains(day)
            };
            let named = |(year, month, day)| Named::Day {
                year: Some(year),
                month,
                day,
            };
            readings.into_iter().filter(is_date).map(named).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: Option<i64>, month: u8, day: u8) -> Named {
        Named::Day { year, month, day }
    }

    fn month(year: Option<i64>, month: u8) -> Named {
        Named::Month { year, month }
    }

    #[test]
    fn dates_are_read_in_many_forms() {
        let cases: [(&str, Vec<Named>); 30] = [
            (
                "What did she do on 7 May 2023?",
                vec![day(Some(2023), 5, 7)],
            ),
            ("on May 7, 2023", vec![day(Some(2023), 5, 7)]),
            ("on the 7th of May, 2023?", vec![day(Some(2023), 5, 7)]),
            ("on May the 7th of 2023", vec![day(Some(2023), 5, 7)]),
            ("on may 7", vec![day(None, 5, 7)]),
            ("by March-15-2024", vec![day(Some(2024), 3, 15)]),
            ("since Sept 3rd", vec![day(None, 9, 3)]),
            ("in June 2023", vec![month(Some(2023), 6)]),
            ("in june", vec![month(None, 6)]),
            (
                "in May or July 2022",
                vec![month(None, 5), month(Some(2022), 7)],
            ),
            (
                "In 2022, what did he do in May?",
                vec![month(Some(2022), 5)],
            ),
            (
                "in 2022 and 2023",
                vec![Named::Year(2022), Named::Year(2023)],
            ),
            ("during 2022?", vec![Named::Year(2022)]),
            ("on 2023-05-07", vec![day(Some(2023), 5, 7)]),
            ("on 2023/5/7,", vec![day(Some(2023), 5, 7)]),
            ("in 2023-05", vec![month(Some(2023), 5)]),
            ("am 7.5.2023", vec![day(Some(2023), 5, 7)]),
            ("on 13/5/2023", vec![day(Some(2023), 5, 13)]),
            ("on 5/13/2023", vec![day(Some(2023), 5, 13)]),
            (
                "on 5/7/2023",
                vec![day(Some(2023), 7, 5), day(Some(2023), 5, 7)],
            ),
            ("Caroline's May plans", vec![month(None, 5)]),
            ("she may come", vec![]),
            ("May I ask", vec![]),
            ("May 7 was?", vec![day(None, 5, 7)]),
            ("they march on", vec![]),
            ("Jan said so to Dec", vec![]),
            ("in Jan 2023", vec![month(Some(2023), 1)]),
            ("version 1.2.3 on 10/2 of 3000 files", vec![]),
            ("32 May 99999", vec![month(None, 5)]),
            ("", vec![]),
        ];
        for (question, expected) in cases {
            assert_eq!(named(question), expected, "{question}");
        }
    }

    #[test]
    fn days_and_dates_agree() {
        for days in (-800_000..800_000).step_by(37) {
            assert_eq!(Civil::of(days).days(), days);
        }
        let leap = Civil {
            year: 2024,
            month: 2,
            day: 29,
        };
        assert_eq!(Civil::of(19_782), leap);
        assert_eq!(
            Civil::of(0),
            Civil {
                year: 1970,
                month: 1,
                day: 1
            }
        );
    }

    #[test]
    fn nearness_is_as_measured() {
        let at = |year, month, day| Civil { year, month, day }.days() * DAY + DAY - 1;
        let check = |named: Named, time, expected| {
            assert_eq!(nearness(&[named], time), expected, "{named:?}");
        };
        let seventh = day(Some(2023), 5, 7);
        check(seventh, at(2023, 5, 6), 7);
        check(seventh, at(2023, 5, 7), 15);
        check(seventh, at(2023, 5, 14), 15);
        check(seventh, at(2023, 5, 15), 7);
        check(seventh, at(2023, 6, 1), 4);
        check(seventh, at(2023, 7, 1), 0);
        check(seventh, at(2022, 5, 7), 0);
        check(day(None, 12, 30), at(2024, 1, 2), 15);
        check(day(None, 12, 30), at(2024, 1, 20), 4);
        check(month(Some(2023), 12), at(2023, 12, 1), 10);
        check(month(Some(2023), 12), at(2024, 1, 31), 4);
        check(month(None, 12), at(2001, 1, 31), 4);
        check(Named::Year(2023), at(2023, 2, 2), 3);
        check(Named::Year(2023), at(2024, 1, 1), 0);
        assert_eq!(nearness(&[month(None, 6), seventh], at(2023, 6, 2)), 10);
        assert_eq!(nearness(&[], 0), 0);
        let _no_overflow = (
            nearness(&[seventh], i64::MIN),
            nearness(&[seventh], i64::MAX),
        );
    }
}
