//! Public addresses of the internet protocol.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::context::{self, Cue};
use super::scan::{Scan, is_word};
use crate::kind::Kind;

const CONFIDENCE: f64 = 0.95;

/// The longest address of version 6, in bytes.
const LONGEST_V6: usize = 45;

/// Reports the address of version 4 that begins at `start` and returns its end.
pub(super) fn v4(scan: &mut Scan<'_>, start: usize) -> Option<usize> {
    let end = scan.end_of(start, 16, |b| b.is_ascii_digit() || b == b'.');
    let end = if scan.before(end) == b'.' {
        end - 1
    } else {
        end
    };
    let address: Ipv4Addr = scan.text[start..end].parse().ok()?;
    let range = start..end;
    if !is_public_v4(address) || is_part(scan, &range) || is_version(scan, &range, address) {
        return None;
    }
    scan.report(Kind::IpAddress, "ipv4", range, CONFIDENCE);
    Some(end)
}

/// Reports the address of version 6 that begins at `start` and returns its end.
pub(super) fn v6(scan: &mut Scan<'_>, start: usize) -> Option<usize> {
    if !scan.at(start + 1).is_ascii_hexdigit() && scan.at(start + 1) != b':' {
        return None;
    }
    if matches!(scan.before(start), b':' | b'.' | b'-' | b'/')
        && !scan.text[..start].ends_with("://")
    {
        return None;
    }
    let end = scan.end_of(start, LONGEST_V6, |b| {
        b.is_ascii_hexdigit() || matches!(b, b':' | b'.')
    });
    let end = scan.start_of(end, 2, |b| b == b'.').max(start);
    let end = if scan.before(end) == b':' && !scan.text[..end].ends_with("::") {
        end - 1
    } else {
        end
    };
    let text = &scan.text[start..end];
    let address: Ipv6Addr = text.parse().ok()?;
    if is_word(scan.at(end)) || !is_public_v6(address) || !is_written_as_address(text, address) {
        return None;
    }
    scan.report(Kind::IpAddress, "ipv6", start..end, CONFIDENCE);
    Some(end)
}

/// Whether an address of version 4 is somebody's on the internet.
pub(crate) fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xC0 == 64)
        || (a == 198 && b & 0xFE == 18)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99);
    !special
}

/// Whether an address of version 6 is somebody's on the internet.
pub(crate) fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [a, b, ..] = address.segments();
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || (a == 0x2001 && b == 0xDB8)
        || (a == 0x3FFF && b & 0xF000 == 0)
        || (a == 0x0064 && b == 0xFF9B)
        || a == 0x0100
        || a == 0
        || a & 0xFFC0 == 0xFEC0;
    !special
}

/// Whether digits and colons were meant as an address rather than a path of names or bytes.
fn is_written_as_address(text: &str, address: Ipv6Addr) -> bool {
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    let global = address.segments()[0] & 0xE000 == 0x2000;
    let full = groups == 8 && text.split(':').any(|group| group.len() > 2);
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    digits
        && (full || (text.contains("::") && groups >= if global { 2 } else { 4 }))
        && text
            .split(':')
            .next()
            .is_some_and(|first| first.len() >= 3 || full)
}

/// Whether the dotted numbers are a part of something longer.
fn is_part(scan: &Scan<'_>, range: &Range<usize>) -> bool {
    let (before, after) = (scan.before(range.start), scan.at(range.end));
    let (ahead, beyond) = (
        scan.before(range.start.saturating_sub(1)),
        scan.at(range.end + 1),
    );
    let left = match before {
        b'@' => ahead.is_ascii_alphanumeric() && !is_login(scan, range),
        b'.' | b'-' => ahead.is_ascii_alphanumeric(),
        b'/' => ahead.is_ascii_alphabetic(),
        b'=' => ahead == b'=' || ahead == b'~' || ahead == b'<' || ahead == b'>',
        b'^' | b'~' | b'_' | b'$' => true,
        byte => is_word(byte),
    };
    let right = match after {
        b'.' => beyond.is_ascii_alphanumeric(),
        b'-' => beyond.is_ascii_alphabetic(),
        b'+' => beyond.is_ascii_alphanumeric(),
        byte => is_word(byte),
    };
    left || right
}

/// Whether the address stands in `user@address` of a remote command and not in `package@1.2.3.4`.
fn is_login(scan: &Scan<'_>, range: &Range<usize>) -> bool {
    const COMMANDS: [&str; 8] = [
        "ssh",
        "scp",
        "sftp",
        "rsync",
        "mosh",
        "sshpass",
        "ssh-copy-id",
        "autossh",
    ];
    let user = scan.start_of(range.start - 1, 32, |b| {
        is_word(b) || matches!(b, b'-' | b'.')
    });
    let remote = scan.at(range.end) == b':' && !scan.at(range.end + 1).is_ascii_digit();
    let root = matches!(
        &scan.bytes[user..range.start],
        b"root@" | b"admin@" | b"ubuntu@"
    );
    remote || root || context::mentions(scan, range, &COMMANDS)
}

/// Returns where the version begins that this one follows: `1.2.3.4 → 1.2.3.5`, `1.0 and 1.1`.
fn earlier_version(scan: &Scan<'_>, start: usize) -> Option<usize> {
    const LINKS: [&str; 8] = [" → ", " -> ", " => ", " to ", " and ", ", ", " or ", " – "];
    let before = &scan.text[scan.text.floor_char_boundary(start.saturating_sub(48))..start];
    let field = before.trim_end_matches(['"', '\'']);
    let field = field.strip_suffix(": ").unwrap_or(field);
    let end = match LINKS.iter().find_map(|link| before.strip_suffix(link)) {
        Some(rest) => start - (before.len() - rest.len()),
        // The next field of an object: `"version": "1.2.3.4", "minimum": "1.2.3.0"`.
        None if field.len() < before.len() => {
            let comma = field.rfind("\", ")?;
            start - (before.len() - comma)
        }
        None => return None,
    };
    let earlier = scan.start_of(end, 24, |b| b.is_ascii_digit() || b == b'.');
    let dots = memchr::memchr_iter(b'.', &scan.bytes[earlier..end]).count();
    (dots >= 2).then_some(earlier)
}

fn is_version(scan: &Scan<'_>, range: &Range<usize>, address: Ipv4Addr) -> bool {
    let small = address.octets().iter().all(|octet| *octet < 30);
    let heads_line = matches!(scan.before(range.start), 0 | b'\n' | b'#')
        || scan.text[..range.start].ends_with("# ");
    let titles = scan.at(range.end) == b' ' && scan.at(range.end + 1).is_ascii_uppercase();
    if address.octets() == [1, 3, 6, 1] || (small && heads_line && titles) {
        return true;
    }
    if context::cue(scan, range) == Some(Cue::Version) {
        return true;
    }
    earlier_version(scan, range.start)
        .is_some_and(|start| context::cue(scan, &(start..range.start)) == Some(Cue::Version))
}
