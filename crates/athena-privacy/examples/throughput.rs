//! Prints how many megabytes a second of CPU time are looked through, by the sort of text.

#![expect(clippy::print_stdout, reason = "it is what the example is for")]

use std::hint::black_box;
use std::time::Duration;

use athena_privacy::Detector;
use rustix::time::{ClockId, clock_gettime};

const PROSE: &str = "The meeting about the new library went well, although nobody had read the notes. \
    We agreed that the team writes a short summary, that the password page is redesigned, and that \
    everyone calls the office before noon. It was raining, and the road to the station was closed.\n";

const CODE: &str = "2024-03-15T10:22:33.123Z INFO http request_id=7f3a9c21 status=200 bytes=51234 dur_ms=12.75 path=/api/v1/items/48213?page=2\n\
    {\"id\": 1710498153, \"uuid\": \"550e8400-e29b-41d4-a716-446655440000\", \"tags\": [\"a\", \"b\"], \"score\": 0.8731, \"ok\": true}\n\
    \tlet total: u64 = items.iter().map(|item| item.count * 3 + 1).sum(); // see #4821 and v1.24.3\n\
    if (key === 'ArrowDown' && this.index < 1024) { this.index += 1; emit(\"change\", { token: this.token }); }\n\
    commit da39a3ee5e6b4b0d3255bfef95601890afd80709 10.0.0.12:8080 -> 192.168.1.17:443 tx=0x7ffee4c0 12:44:01.553\n";

const HITS: [&str; 8] = [
    "ada@lovelace.org",
    "+44 20 7946 0958",
    "4111 1111 1111 1111",
    "DE89370400440532013000",
    "81.2.69.142",
    "/home/alice/notes.txt",
    "password=hunter2!",
    "ghp_a8Kd93jfL0sPqW7xYz12Bc45De67Fg89Hi01",
];

fn main() {
    let detector = Detector::new();
    let size = 8 << 20;
    let prose = PROSE.repeat(size / PROSE.len());
    let code = CODE.repeat(size / CODE.len());
    measure("prose", &detector, &prose);
    measure("code, JSON and logs", &detector, &code);
    measure("a hit every 200 bytes", &detector, &with_hits(&prose));
    let note = with_hits(&prose)[..1024].to_owned();
    let rounds = 2_000;
    let taken = best(|| (0..rounds).map(|_| detector.find(&note).len()).sum());
    println!(
        "one text of 1 KB with hits: {:.1} µs",
        taken.as_secs_f64() * 1e6 / f64::from(rounds)
    );
}

/// Returns a text with a value every 200 bytes.
fn with_hits(prose: &str) -> String {
    let mut hits = HITS.iter().cycle();
    let mut text = String::new();
    for part in prose.as_bytes().chunks(180) {
        text.push_str(&String::from_utf8_lossy(part));
        text.push(' ');
        text.extend(hits.next().copied());
        text.push(' ');
    }
    text
}

fn measure(name: &str, detector: &Detector, text: &str) {
    let found = detector.find(text).len();
    let taken = best(|| detector.find(text).len());
    #[expect(clippy::cast_precision_loss, reason = "texts are a few megabytes")]
    let megabytes = text.len() as f64 / 1e6;
    println!(
        "{name}: {:.0} MB/s ({found} findings)",
        megabytes / taken.as_secs_f64()
    );
}

/// Returns the shortest of ten times: other programs only ever lengthen one.
fn best(mut work: impl FnMut() -> usize) -> Duration {
    let times = (0..10).map(|_| {
        let start = cpu();
        black_box(work());
        cpu() - start
    });
    times.min().unwrap_or_default()
}

/// Returns the time that this process had a core, which other programs do not lengthen.
fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
