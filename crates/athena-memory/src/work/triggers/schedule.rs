//! When a trigger fires again and again.

use athena_core::{Error, Result};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};

const FORMS: &str = "is no schedule; write `daily 09:00`, `weekly mon 09:00`, or `every 15m`, `every 2h`, `every 1d`";

/// When a trigger fires again and again, in a time zone.
#[derive(Debug, Clone)]
pub(in crate::work) struct Schedule {
    rule: Rule,
    zone: TimeZone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Every day at a time of day, by the clocks of the zone.
    Daily(Time),
    /// Every week likewise.
    Weekly(Weekday, Time),
    /// Ever after the same time.
    Every(SignedDuration),
}

impl Schedule {
    /// Reads a schedule, in UTC unless a zone is named.
    pub(in crate::work) fn parse(text: &str, zone: Option<&str>) -> Result<Self> {
        let rule = Rule::parse(text).ok_or_else(|| Error::invalid("schedule", FORMS))?;
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                let problem = "is no time zone that this machine knows; write one such as `Europe/Berlin`, or `UTC`";
                Error::invalid("time_zone", problem)
            })?,
        };
        Ok(Self { rule, zone })
    }

    /// Returns the first time after `after` that it names.
    ///
    /// Where clocks are put forward over a time of day, the time is as long after the gap began;
    /// where they are put back over one, it is the first of the two.
    pub(in crate::work) fn next_after(&self, after: Timestamp) -> Result<Timestamp> {
        let next = match self.rule {
            Rule::Every(period) => after.checked_add(period).ok(),
            Rule::Daily(time) => self.next_day(after, time, |_| true),
            Rule::Weekly(day, time) => self.next_day(after, time, |it| it.weekday() == day),
        };
        next.ok_or_else(|| Error::invalid("schedule", "has no further time that can be told"))
    }

    fn next_day(
        &self,
        after: Timestamp,
        time: Time,
        fits: impl Fn(&Zoned) -> bool,
    ) -> Option<Timestamp> {
        // The day before too: in the zone, a time that was put forward may lie past midnight.
        let mut date = after.to_zoned(self.zone.clone()).date().yesterday().ok()?;
        for _ in 0..16 {
            let candidate = date.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
            let is_day = fits(&date.to_zoned(TimeZone::UTC).ok()?);
            if is_day && candidate.timestamp() > after {
                return Some(candidate.timestamp());
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// Returns what follows when it was due first at `due` and it is `now`: the last time that came,
    /// how many came before that one, and the first that is still to come.
    pub(in crate::work) fn catch_up(
        &self,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(Timestamp, i64, Timestamp)> {
        let (mut last, mut missed) = (due, 0);
        if let Rule::Every(period) = self.rule {
            let periods = now.duration_since(due).as_micros() / period.as_micros().max(1);
            missed = i64::try_from(periods.max(0)).unwrap_or(i64::MAX);
            let passed = Span::new().try_microseconds(
                i64::try_from(periods.max(0) * period.as_micros()).map_err(Error::internal)?,
            );
            let passed = passed.map_err(Error::internal)?;
            last = due.checked_add(passed).map_err(Error::internal)?;
        }
        loop {
            let next = self.next_after(last)?;
            if next > now {
                return Ok((last, missed, next));
            }
            (last, missed) = (next, missed + 1);
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["daily", time] => Some(Self::Daily(time_of_day(time)?)),
            ["weekly", day, time] => Some(Self::Weekly(weekday(day)?, time_of_day(time)?)),
            ["every", period] => Some(Self::Every(period_of(period)?)),
            _ => None,
        }
    }
}

/// Reads `HH:MM`.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|it| it.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// Reads `mon` or `monday`.
fn weekday(text: &str) -> Option<Weekday> {
    let days = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let text = text.to_lowercase();
    let found = days.iter();
    let mut found = found.filter(|(name, _)| *name == text || name.get(..3) == Some(text.as_str()));
    found.next().map(|(_, day)| *day)
}

/// Reads minutes, hours or days, up to a year: `15m`, `2h`, `1d`. A day is 24 hours.
fn period_of(text: &str) -> Option<SignedDuration> {
    let (number, minutes) = if let Some(number) = text.strip_suffix('m') {
        (number, 1)
    } else if let Some(number) = text.strip_suffix('h') {
        (number, 60)
    } else {
        (text.strip_suffix('d')?, 24 * 60)
    };
    let number: i64 = number.parse().ok()?;
    let minutes = number.checked_mul(minutes)?;
    (1..=366 * 24 * 60)
        .contains(&minutes)
        .then(|| SignedDuration::from_mins(minutes))
}
