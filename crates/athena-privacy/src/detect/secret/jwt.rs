//! JSON web tokens: three parts in base64 for URLs, the first an object.

use super::super::scan::Scan;
use crate::kind::Kind;

/// The longest part.
const LONGEST: usize = 16_384;

/// Reports the token that begins at `start` and returns its end.
pub(super) fn find(scan: &mut Scan<'_>, start: usize) -> Option<usize> {
    let ahead = scan.before(start.saturating_sub(1));
    let attached = matches!(scan.before(start), b'.' | b'-') && is_part(ahead);
    if attached || scan.before(start) == b'/' && scan.before(start - 1) == b'/' {
        return None;
    }
    let header = scan.end_of(start, LONGEST, is_part);
    let payload = part(scan, header)?;
    if header - start < 12 || payload - header < 8 || !is_object(scan, start) {
        return None;
    }
    let signature = part(scan, payload)?;
    let encrypted = part(scan, signature).and_then(|tag| part(scan, tag));
    let end = encrypted.unwrap_or(signature);
    scan.report(Kind::Secret, "jwt", start..end, 0.97);
    Some(end)
}

/// Returns the end of the part after the dot at `dot`.
fn part(scan: &Scan<'_>, dot: usize) -> Option<usize> {
    (scan.at(dot) == b'.').then(|| scan.end_of(dot + 1, LONGEST, is_part))
}

/// Whether the first three bytes of the header are `{"` and a letter, as `eyJ` stands for.
fn is_object(scan: &Scan<'_>, start: usize) -> bool {
    let letters = scan.bytes.get(start + 3..start + 8).unwrap_or_default();
    letters.iter().all(|b| is_part(*b)) && scan.has(start, b"eyJ")
}

fn is_part(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=')
}
