//! Which items have a word.

use super::Index;
use crate::bitmap::Bitmap;
use crate::segment::pairs;

impl Index {
    /// Keeps of a set of items those that have a word.
    pub(crate) fn keep_having(&self, word: &str, items: &mut Bitmap) {
        let mut having = Bitmap::new(self.slots(), false);
        self.each_having(word, |slot| having.insert(slot));
        items.intersect(&having);
    }

    /// Keeps of a set of items those that have not got a word.
    pub(crate) fn keep_lacking(&self, word: &str, items: &mut Bitmap) {
        self.each_having(word, |slot| items.remove(slot));
    }

    /// Calls a function with the slot of every item that has a word, of removed ones, too.
    fn each_having(&self, word: &str, mut visit: impl FnMut(usize)) {
        for part in self.parts() {
            let Some(found) = part.passages.words.get(word) else {
                continue;
            };
            for (row, _) in pairs(found.list).iter() {
                let item = part.passages.items[*row as usize];
                visit(part.base + item as usize);
            }
        }
    }
}
