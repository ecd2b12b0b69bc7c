//! The parts of the ranking, which can be left out one by one to measure what each adds.

/// A part of the ranking that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingredient {
    /// The best passage as half of the keyword score; without it the whole text is all of it.
    Passages,
    /// The built-in vector.
    Builtin,
    /// The model's vector.
    Model,
    /// The model's share by the query; without it the share is fixed.
    Rule,
    /// Everything that a conversation adds.
    Dialogue,
    /// What a neighbouring turn adds.
    Neighbours,
    /// What the best turns of the session add.
    Session,
    /// What among people a turn that is no question has over one that is.
    Statement,
    /// What a date in the question adds.
    Date,
    /// What a speaker's name in the question adds.
    Speaker,
    /// What the user's own words have over the assistant's.
    Role,
}

impl Ingredient {
    /// Every part.
    pub const ALL: [Self; 11] = [
        Self::Passages,
        Self::Builtin,
        Self::Model,
        Self::Rule,
        Self::Dialogue,
        Self::Neighbours,
        Self::Session,
        Self::Statement,
        Self::Date,
        Self::Speaker,
        Self::Role,
    ];

    /// Returns the part's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passages => "passages",
            Self::Builtin => "builtin",
            Self::Model => "model",
            Self::Rule => "rule",
            Self::Dialogue => "dialogue",
            Self::Neighbours => "neighbours",
            Self::Session => "session",
            Self::Statement => "statement",
            Self::Date => "date",
            Self::Speaker => "speaker",
            Self::Role => "role",
        }
    }
}

/// Which parts of the ranking take part: all of them, unless what one adds is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recipe {
    /// A bit for each part that is left out, by its place in [`Ingredient::ALL`].
    left_out: u16,
}

impl Recipe {
    /// The shares of the whole text and of the best passage in the keyword score.
    pub(crate) fn halves(self) -> (f64, f64) {
        match self.has(Ingredient::Passages) {
            true => (0.5, 0.5),
            false => (1.0, 0.0),
        }
    }

    /// Returns this recipe without a part.
    #[must_use]
    pub const fn without(self, ingredient: Ingredient) -> Self {
        Self {
            left_out: self.left_out | 1 << ingredient as u16,
        }
    }

    /// Tells whether a part takes part.
    #[must_use]
    pub const fn has(self, ingredient: Ingredient) -> bool {
        self.left_out & (1 << ingredient as u16) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_has_all_but_what_is_left_out() {
        for (place, left_out) in Ingredient::ALL.into_iter().enumerate() {
            assert_eq!(left_out as usize, place, "{}", left_out.as_str());
            let recipe = Recipe::default().without(left_out);
            for ingredient in Ingredient::ALL {
                assert_eq!(recipe.has(ingredient), ingredient != left_out);
            }
        }
    }
}
