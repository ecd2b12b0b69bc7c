//! Secrets: keys by their format, and values next to a name that says they are secret.

mod assigned;
mod formats;
mod jwt;
mod name;
mod pem;
mod spoken;
mod value;

pub(super) use assigned::{after_wide_colon, assigned, element, whole_field};
pub(super) use formats::{azure, number};
pub(super) use pem::{PRIVATE_KEY, dashes};
pub(super) use value::{is_placeholder, is_sample_user};

use super::scan::Scan;

/// Reports the secret that begins with the word from `start` to `end`, or that the word announces,
/// and returns where to go on if something was found.
pub(super) fn word(scan: &mut Scan<'_>, start: usize, end: usize) -> Option<usize> {
    if let Some(end) = formats::find(scan, start, end) {
        return Some(end);
    }
    spoken::find(scan, start, end);
    None
}
