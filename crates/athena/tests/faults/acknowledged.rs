//! The one judge: what the clients noted as acknowledged, against what Athena finds.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::http::{Answer, Client};
use crate::process::PATIENCE;
use crate::random::word;

/// Writers at the same time.
pub(crate) const WRITERS: u64 = 16;

/// Clients that check at the same time.
const CHECKERS: usize = 4;

/// A memory that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) id: i64,
    pub(crate) word: String,
}

/// A request without an answer: done or not, nobody knows.
#[derive(Debug)]
pub(crate) struct Unknown {
    round: u64,
    writer: u64,
    number: u64,
}

/// How a writer ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The request that was not acknowledged, if the writer was not told to stop.
    pub(crate) unknown: Option<Unknown>,
    /// What the server answered to it, if it answered at all.
    pub(crate) refusal: Option<Answer>,
}

/// What the writers of a round have in common.
#[derive(Debug, Default)]
pub(crate) struct Load {
    stopped: AtomicBool,
    acknowledged: AtomicU64,
}

impl Load {
    /// Waits until so many memories were acknowledged.
    pub(crate) fn wait_for(&self, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.acknowledged.load(Ordering::Relaxed) < count {
            assert!(Instant::now() < deadline, "nothing is acknowledged");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tells writers that still get answers to end.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Where one writer notes, durably, what was acknowledged to it.
#[derive(Debug)]
pub(crate) struct Notes(File);

impl Notes {
    pub(crate) fn open(directory: &Path, round: u64, writer: u64) -> Self {
        let path = directory.join(format!("round-{round:02}-writer-{writer:02}"));
        Self(
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap(),
        )
    }

    /// Notes one memory and waits until the note is on the disk.
    pub(crate) fn add(&mut self, id: i64, word: &str) {
        writeln!(self.0, "{id} {word}").unwrap();
        self.0.sync_data().unwrap();
    }
}

/// Writes from many clients until each is refused, or told to stop.
pub(crate) fn write_until_stopped(
    address: SocketAddr,
    notes: &Path,
    round: u64,
    load: &Load,
) -> Vec<Ended> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(address, notes, round, writer, load)))
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    })
}

fn write(address: SocketAddr, notes: &Path, round: u64, writer: u64, load: &Load) -> Ended {
    let mut client = Client::new(address);
    let mut notes = Notes::open(notes, round, writer);
    for number in 0.. {
        let request = Unknown {
            round,
            writer,
            number,
        };
        match request.send(&mut client) {
            Ok(answer) if answer.status == 201 => {
                notes.add(answer.id(), &request.word());
                load.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            answer => {
                return Ended {
                    unknown: Some(request),
                    refusal: answer.ok(),
                };
            }
        }
        if load.stopped.load(Ordering::Relaxed) {
            break;
        }
    }
    Ended {
        unknown: None,
        refusal: None,
    }
}

impl Unknown {
    /// Sends it; again and again it stays one memory, because its key stays the same.
    fn send(&self, client: &mut Client) -> io::Result<Answer> {
        let content = format!(
            "writer {} noted {} in round {}",
            self.writer,
            self.word(),
            self.round
        );
        let key = format!("{}-{}-{}", self.round, self.writer, self.number);
        client.remember(&content, Some(&key))
    }

    fn word(&self) -> String {
        word((self.round * WRITERS + self.writer) << 20 | self.number)
    }

    /// Sends it once more to a server that works, and notes it like any other.
    pub(crate) fn repeat(&self, address: SocketAddr, notes: &Path) {
        let answer = self.send(&mut Client::new(address)).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        Notes::open(notes, self.round, self.writer).add(answer.id(), &self.word());
    }
}

/// Reads back what was noted in one round, or in all of them.
pub(crate) fn noted(notes: &Path, round: Option<u64>) -> Vec<Acknowledged> {
    let prefix = round.map_or_else(String::new, |round| format!("round-{round:02}-"));
    let mut files: Vec<PathBuf> = fs::read_dir(notes)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(&prefix)
    });
    files.sort();
    files
        .iter()
        .flat_map(|path| parse(&fs::read_to_string(path).unwrap()))
        .collect()
}

fn parse(text: &str) -> Vec<Acknowledged> {
    text.lines()
        .map(|line| {
            let (id, word) = line.split_once(' ').unwrap();
            Acknowledged {
                id: id.parse().unwrap(),
                word: word.to_owned(),
            }
        })
        .collect()
}

/// Recalls each memory by its word; it must be the best hit.
pub(crate) fn assert_recalled(address: SocketAddr, acknowledged: &[Acknowledged]) {
    let share = acknowledged.len().div_ceil(CHECKERS).max(1);
    std::thread::scope(|scope| {
        for part in acknowledged.chunks(share) {
            scope.spawn(move || {
                let mut client = Client::new(address);
                for memory in part {
                    let answer = client.recall(&memory.word).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    assert_best(&answer.body, memory);
                }
            });
        }
    });
}

/// Checks that the best hit of a recall is this memory.
pub(crate) fn assert_best(recalled: &serde_json::Value, memory: &Acknowledged) {
    let best = &recalled["hits"][0];
    assert_eq!(
        best["id"].as_i64(),
        Some(memory.id),
        "memory `{}` was acknowledged and is not recalled by `{}`, but {recalled}",
        memory.id,
        memory.word
    );
    assert!(best["content"].as_str().unwrap().contains(&memory.word));
}

/// Lists everything: each acknowledged memory is there, and no text is there twice.
pub(crate) fn assert_listed(address: SocketAddr, acknowledged: &[Acknowledged]) {
    let contents = list(&mut Client::new(address));
    for memory in acknowledged {
        let content = contents
            .get(&memory.id)
            .unwrap_or_else(|| panic!("a memory that was acknowledged is lost: {memory:?}"));
        assert!(content.contains(&memory.word), "{content}");
    }
    let different: std::collections::HashSet<&String> = contents.values().collect();
    assert_eq!(different.len(), contents.len(), "a text was stored twice");
}

fn list(client: &mut Client) -> HashMap<i64, String> {
    let mut contents = HashMap::new();
    let mut path = "/api/v1/memories?limit=200".to_owned();
    loop {
        let answer = client.get(&path).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        for item in answer.body["items"].as_array().unwrap() {
            let content = item["content"].as_str().unwrap().to_owned();
            contents.insert(item["id"].as_i64().unwrap(), content);
        }
        let Some(cursor) = answer.body["next_cursor"].as_str() else {
            return contents;
        };
        path = format!("/api/v1/memories?limit=200&cursor={cursor}");
    }
}
