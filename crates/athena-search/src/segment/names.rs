//! States and labels as numbers.

use std::collections::HashMap;

/// Names, each with a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    ids: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Names {
    /// Returns the number of a name, which gets one if it is new.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = super::number(self.texts.len());
        self.ids.insert(name.into(), id);
        self.texts.push(name.into());
        id
    }

    /// Returns the number of a name that is known.
    pub(crate) fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    /// Returns every name with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        (0..)
            .zip(&self.texts)
            .map(|(number, text)| (&**text, number))
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}
