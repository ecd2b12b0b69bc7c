//! How urgent something is.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// How urgent something is: 1, which can wait for ever, to 10.
///
/// Read from a number or one of four names, and written as a number. The schema has both types with
/// the bounds of each, which apply to values of their own type only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i64);

const NAMES: [(&str, i64); 4] = [("low", 3), ("medium", 5), ("high", 7), ("critical", 10)];

impl Priority {
    /// The priority of what was given none.
    pub const MEDIUM: Self = Self(5);

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Makes a priority of a number from 1 to 10.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        (1..=10).contains(&number).then_some(Self(number))
    }

    /// Reads a name, or digits.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        let number = named.map(|(_, number)| *number);
        number
            .or_else(|| text.parse().ok())
            .and_then(Self::from_number)
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::MEDIUM
    }
}

impl JsonSchema for Priority {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Priority".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": 10,
            "pattern": "^([1-9]|10|low|medium|high|critical)$",
        })
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadPriority)
    }
}

struct ReadPriority;

impl Visitor<'_> for ReadPriority {
    type Value = Priority;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a whole number from 1 to 10, or low (3), medium (5), high (7) or critical (10)",
        )
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Priority, E> {
        let refused = || E::invalid_value(de::Unexpected::Signed(number), &self);
        Priority::from_number(number).ok_or_else(refused)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Priority, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Priority, E> {
        // JSON Schema counts 8.0 as an integer.
        let whole = (1..=10).find(|whole| f64::from(*whole) == number);
        let refused = || E::invalid_value(de::Unexpected::Float(number), &self);
        whole
            .map(|whole| Priority(i64::from(whole)))
            .ok_or_else(refused)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Priority, E> {
        let refused = || E::invalid_value(de::Unexpected::Other("another text"), &self);
        Priority::from_text(text).ok_or_else(refused)
    }
}
