//! What a stretch of a list can at most bring to a score, for any average length.

use crate::bm25::saturation_bound;

/// In how many steps a word is divided where [`Impact`] stores words per occurrence.
const STEPS: u64 = 8;

/// The limits of how often texts say a word, and how densely.
///
/// BM25's saturation is (k1 + 1) / (1 + k1·(1 − b)/tf + k1·b·(len/tf)/average). It falls when 1/tf
/// grows and when len/tf grows. So the largest tf and the smallest len/tf of some texts bound it
/// for all of them, whatever the average is when the question comes; and as the two mostly belong
/// to the same text, the bound is a close one (the shortest text and the largest tf seldom do).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impact {
    /// The most occurrences in one text; 255 stands for 255 or more.
    max_tf: u8,
    /// The fewest words for each occurrence, in eighths, rounded down; 65,535 for that or more.
    len_per_tf: u16,
}

impl Impact {
    /// That of no text.
    const NONE: Self = Self {
        max_tf: 0,
        len_per_tf: u16::MAX,
    };
    /// One that no text exceeds.
    const ANY: Self = Self {
        max_tf: u8::MAX,
        len_per_tf: 0,
    };

    fn of(tf: u32, len: u32) -> Self {
        let eighths = u64::from(len) * STEPS / u64::from(tf.max(1));
        Self {
            max_tf: u8::try_from(tf).unwrap_or(u8::MAX),
            len_per_tf: u16::try_from(eighths).unwrap_or(u16::MAX),
        }
    }

    fn join(self, other: Self) -> Self {
        Self {
            max_tf: self.max_tf.max(other.max_tf),
            len_per_tf: self.len_per_tf.min(other.len_per_tf),
        }
    }

    /// Returns the largest saturation of a text within the limits, for an average length.
    #[must_use]
    pub fn saturation(self, average: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "eight is exact")]
        let len_per_tf = f64::from(self.len_per_tf) / STEPS as f64;
        let tf = (self.max_tf < u8::MAX).then_some(u32::from(self.max_tf));
        saturation_bound(tf, len_per_tf, average)
    }
}

/// The limits over some rows of a list: of passages, and of the whole texts they are of.
///
/// An item's rows may lie in two blocks, so a stretch of rows bounds whole items: one with a row in
/// the stretch is within its limits with its whole text and with all of its passages that have the
/// word, those outside the stretch too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// That of the passages.
    pub passage: Impact,
    /// That of the whole texts.
    pub whole: Impact,
}

impl Bound {
    /// How many bytes a bound takes.
    pub(super) const BYTES: usize = 6;

    pub(super) const NONE: Self = Self {
        passage: Impact::NONE,
        whole: Impact::NONE,
    };

    /// One that nothing exceeds: where no bound was kept.
    pub const ANY: Self = Self {
        passage: Impact::ANY,
        whole: Impact::ANY,
    };

    /// Widened for a passage that says the word `tf` times.
    pub(super) fn with_passage(self, tf: u32, len: u32) -> Self {
        Self {
            passage: self.passage.join(Impact::of(tf, len)),
            ..self
        }
    }

    /// Widened for a whole text that says the word `tf` times.
    pub(super) fn with_whole(self, tf: u32, len: u32) -> Self {
        Self {
            whole: self.whole.join(Impact::of(tf, len)),
            ..self
        }
    }

    /// Returns the bound of both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            passage: self.passage.join(other.passage),
            whole: self.whole.join(other.whole),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [p0, p1] = self.passage.len_per_tf.to_le_bytes();
        let [w0, w1] = self.whole.len_per_tf.to_le_bytes();
        [self.passage.max_tf, p0, p1, self.whole.max_tf, w0, w1]
    }

    pub(super) fn from_bytes([tf, p0, p1, whole_tf, w0, w1]: [u8; Self::BYTES]) -> Self {
        Self {
            passage: Impact {
                max_tf: tf,
                len_per_tf: u16::from_le_bytes([p0, p1]),
            },
            whole: Impact {
                max_tf: whole_tf,
                len_per_tf: u16::from_le_bytes([w0, w1]),
            },
        }
    }
}
