//! `kill -9` while another model's vectors are made: searches go on, and so does the work.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::Place;
use crate::process::{PATIENCE, append_to};
use crate::random::word;

const MEMORIES: u64 = 400;

/// What a passage costs at a slow provider: enough for a middle to be killed in.
const PER_PASSAGE: Duration = Duration::from_millis(25);

#[test]
fn vectors_of_another_model_are_made_across_a_kill() {
    for place in Place::everywhere() {
        let provider = Provider::start();
        provider.configure(&place, "small");
        tell(&place, "faults", 0..MEMORIES);
        place.answer(&["reembed"]);
        assert_eq!(vectors(&place), [("small".into(), MEMORIES)]);

        provider.configure(&place, "large");
        provider.is_slow.store(true, Ordering::SeqCst);
        let mut child = started(&place);
        wait_for_vectors(&place, "large");
        let (kept, note) = ask(&place, "semantic", &text(7));
        assert!(note.contains("are being made"), "{note}");
        assert!(!kept.is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        provider.is_slow.store(false, Ordering::SeqCst);
        let done = count(&place, "large");
        assert!((1..MEMORIES).contains(&done), "{done} of {MEMORIES}");

        // Who has the former model still asks by its vectors.
        provider.configure(&place, "small");
        let (kept, note) = ask(&place, "semantic", &text(7));
        assert_eq!((kept[0].0.as_str(), note.as_str()), (text(7).as_str(), ""));

        provider.configure(&place, "large");
        let killed_at = provider.passages();
        let answer = place.answer(&["reembed"]);
        assert_eq!(answer["projects"][0]["embedded"], MEMORIES - done);
        assert_eq!(vectors(&place), [("large".into(), MEMORIES)]);
        let again = provider.passages() - killed_at;
        // One more finds out how wide the vectors are.
        assert!(
            again <= MEMORIES - done + 1,
            "{again} passages after {done} memories"
        );

        tell(&place, "fresh", 0..MEMORIES);
        place.answer(&["reembed", "--project", "fresh"]);
        for number in [3, 77, 250, 399] {
            for mode in ["semantic", "hybrid"] {
                let (found, note) = ask(&place, mode, &text(number));
                assert_eq!(note, "");
                assert_eq!(found, ask_in(&place, "fresh", mode, &text(number)).0);
                assert_eq!(found[0].0, text(number));
            }
        }
    }
}

fn started(place: &Place) -> Child {
    place
        .athena()
        .args(["reembed", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(append_to(&place.log("reembed")))
        .spawn()
        .unwrap()
}

fn text(number: u64) -> String {
    let words = [number, number / 3 + 1_000, number / 7 + 2_000, number % 5].map(word);
    words.join(" ")
}

fn tell(place: &Place, project: &str, numbers: std::ops::Range<u64>) {
    let memories: Vec<Value> = numbers.map(|it| json!({"content": text(it)})).collect();
    let input = json!({"memories": memories}).to_string();
    let mut command = place.athena();
    command.env("ATHENA_PROJECT", project);
    let told =
        crate::process::finish(command.args(["call", "memory.remember_batch", &input, "--json"]));
    assert!(told.status.success(), "{}", crate::process::stderr(&told));
}

/// Texts with their scores, and what is noted beside them.
type Found = (Vec<(String, f64)>, String);

fn ask(place: &Place, mode: &str, question: &str) -> Found {
    ask_in(place, "faults", mode, question)
}

fn ask_in(place: &Place, project: &str, mode: &str, question: &str) -> Found {
    let found = place.answer(&["recall", question, "--mode", mode, "--project", project]);
    let hits = found["hits"].as_array().unwrap().iter();
    let hits = hits.map(|hit| {
        let content = hit["content"].as_str().unwrap().to_owned();
        (content, hit["score"].as_f64().unwrap())
    });
    let notes = found["notes"].as_array().cloned().unwrap_or_default();
    let notes: Vec<&str> = notes.iter().filter_map(Value::as_str).collect();
    (hits.collect(), notes.join("; "))
}

/// The models that memories have vectors of beside the built-in ones, and how many.
fn vectors(place: &Place) -> Vec<(String, u64)> {
    ["small", "large"]
        .into_iter()
        .map(|model| (model.to_owned(), count(place, model)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn count(place: &Place, model: &str) -> u64 {
    let table = format!(
        "memory_passages WHERE model_id IN (SELECT id FROM embedding_models WHERE name = 'ollama/{model}')"
    );
    u64::try_from(place.count(&table)).unwrap()
}

fn wait_for_vectors(place: &Place, model: &str) {
    let deadline = Instant::now() + PATIENCE;
    while count(place, model) == 0 {
        assert!(Instant::now() < deadline, "no vector arrives");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An Ollama of sorts, with the models `small` and `large`: a text's vector says which words it has.
struct Provider {
    address: SocketAddr,
    passages: Arc<AtomicU64>,
    is_slow: Arc<AtomicBool>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let passages = Arc::new(AtomicU64::new(0));
        let is_slow = Arc::new(AtomicBool::new(false));
        let (counted, slow) = (Arc::clone(&passages), Arc::clone(&is_slow));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, slow) = (Arc::clone(&counted), Arc::clone(&slow));
                // A client that was killed is no reason to fail.
                std::thread::spawn(move || answer(stream, &counted, &slow).ok());
            }
        });
        Self {
            address,
            passages,
            is_slow,
        }
    }

    /// Lets a place embed with a model.
    fn configure(&self, place: &Place, model: &str) {
        let url = format!("http://{}", self.address);
        let settings =
            format!("[embedder]\nprovider = \"ollama\"\nurl = \"{url}\"\nmodel = \"{model}\"\n");
        std::fs::create_dir_all(place.home()).unwrap();
        std::fs::write(place.home().join("config.toml"), settings).unwrap();
    }

    /// How many passages were embedded.
    fn passages(&self) -> u64 {
        self.passages.load(Ordering::SeqCst)
    }
}

/// Answers the requests of a connection.
fn answer(stream: TcpStream, passages: &AtomicU64, is_slow: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let width = if asked["model"] == "small" { 32 } else { 48 };
        let texts = asked["input"].as_array().unwrap();
        passages.fetch_add(texts.len() as u64, Ordering::SeqCst);
        if is_slow.load(Ordering::SeqCst) {
            std::thread::sleep(PER_PASSAGE * u32::try_from(texts.len()).unwrap());
        }
        let vectors = texts
            .iter()
            .map(|text| vector(text.as_str().unwrap(), width));
        let body = json!({"embeddings": vectors.collect::<Vec<_>>()}).to_string();
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}

/// A vector of `width` components, one of which each word of the text raises.
fn vector(text: &str, width: usize) -> Vec<f32> {
    let mut vector = vec![0.01; width];
    for word in text.split_whitespace() {
        let hash = word.bytes().fold(7_usize, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        vector[hash % width] += 1.0;
    }
    vector
}
