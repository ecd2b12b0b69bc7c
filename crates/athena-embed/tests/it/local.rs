//! Models in a local folder: a small made-up one that is damaged in every way, and a real one.

use athena_core::{Code, Embedder, Error};
use athena_embed::{EmbedderConfig, LocalEmbedder, Provider, check_folder};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The vocabulary of the made-up model.
const PIECES: [&str; 12] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "##ish", "apple", "car", ".", "caf", "##e",
];
const WIDTH: usize = 8;

fn embedder(folder: &Path) -> LocalEmbedder {
    LocalEmbedder::new(&EmbedderConfig {
        provider: Provider::Local,
        path: Some(folder.to_owned()),
        ..EmbedderConfig::default()
    })
    .unwrap()
}

/// Writes a model with numbers that look random.
fn make_model(folder: &Path) {
    let config = json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": 16,
        "num_attention_heads": 2, "num_hidden_layers": 2, "layer_norm_eps": 1e-12,
        "max_position_embeddings": 16, "type_vocab_size": 2, "vocab_size": PIECES.len(),
    });
    put(folder, "config.json", &config);
    let vocab: serde_json::Map<String, Value> = (0..)
        .zip(PIECES)
        .map(|(id, piece)| (piece.to_owned(), json!(id)))
        .collect();
    let tokenizer = json!({
        "normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_accents": null},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocab},
    });
    put(folder, "tokenizer.json", &tokenizer);
    fs::write(folder.join("model.safetensors"), weights()).unwrap();
}

fn put(folder: &Path, file: &str, value: &Value) {
    fs::write(folder.join(file), value.to_string()).unwrap();
}

fn weights() -> Vec<u8> {
    let mut shapes = vec![
        (
            "embeddings.word_embeddings.weight".to_owned(),
            vec![PIECES.len(), WIDTH],
        ),
        (
            "embeddings.position_embeddings.weight".to_owned(),
            vec![16, WIDTH],
        ),
        (
            "embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, WIDTH],
        ),
        ("embeddings.LayerNorm.weight".to_owned(), vec![WIDTH]),
        ("embeddings.LayerNorm.bias".to_owned(), vec![WIDTH]),
    ];
    for layer in 0..2 {
        for (part, from, to) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", WIDTH, 16),
            ("output.dense", 16, WIDTH),
        ] {
            let name = format!("encoder.layer.{layer}.{part}");
            shapes.push((format!("{name}.weight"), vec![to, from]));
            shapes.push((format!("{name}.bias"), vec![to]));
        }
        for part in ["attention.output", "output"] {
            let name = format!("encoder.layer.{layer}.{part}.LayerNorm");
            shapes.push((format!("{name}.weight"), vec![WIDTH]));
            shapes.push((format!("{name}.bias"), vec![WIDTH]));
        }
    }
    let (mut header, mut bytes) = (serde_json::Map::new(), Vec::new());
    let mut number = 1_u32;
    for (name, shape) in shapes {
        let start = bytes.len();
        for _ in 0..shape.iter().product::<usize>() {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from(u16::try_from(number >> 16).unwrap()) / 32_768.0 - 1.0;
            bytes.extend(value.to_le_bytes());
        }
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, bytes.len()]});
        header.insert(name, entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

#[tokio::test]
async fn every_text_has_a_vector_of_its_own_whatever_it_is_embedded_with() {
    let folder = tempfile::tempdir().unwrap();
    make_model(folder.path());
    let embedder = embedder(folder.path());
    let texts = [
        "red apple.",
        "a bluish car",
        "",
        "東京 ☃",
        "CAFÉ",
        "red red red",
    ];
    let together = embedder.embed(&texts).await.unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), WIDTH);
        assert!((product(vector, vector) - 1.0).abs() < 1e-5, "{text}");
        let alone = embedder.embed(&[text]).await.unwrap();
        assert!((product(vector, &alone[0]) - 1.0).abs() < 1e-5, "{text}");
    }
    assert_ne!(together[0], together[1]);
    let query = embedder.embed_query("cafe").await.unwrap();
    assert!((product(&query, &together[4]) - 1.0).abs() < 1e-5);
    assert_eq!(embedder.embed_query(" ").await.unwrap(), [0.0; WIDTH]);
    assert!(embedder.embed(&[]).await.unwrap().is_empty());
    let model = embedder.model().await.unwrap();
    assert!(model.name.starts_with("local/") && model.dim == WIDTH);
    // Longer than there are positions.
    let endless = "red ".repeat(1_000);
    assert_eq!(embedder.embed(&[&endless]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_folder_may_come_later_and_go_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("small");
    let embedder = embedder(&folder);
    let missing = embedder.embed_query("red").await.unwrap_err();
    check(&missing, "config.json` cannot be read: it is not there");
    fs::create_dir(&folder).unwrap();
    make_model(&folder);
    let vector = embedder.embed_query("red").await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(embedder.embed_query("red").await.unwrap(), vector);
    check_refused(&check_folder(&folder).unwrap_err(), "give the folder of");
}

#[test]
fn what_is_wrong_with_a_folder_is_told() {
    let refused = |damage: &dyn Fn(&Path), expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        make_model(folder.path());
        assert_eq!(check_folder(folder.path()).unwrap().files.len(), 3);
        damage(folder.path());
        check_refused(&check_folder(folder.path()).unwrap_err(), expected);
    };
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        refused(&|folder| fs::remove_file(folder.join(file)).unwrap(), file);
    }
    for file in ["config.json", "tokenizer.json", "1_Pooling/config.json"] {
        let damage = |folder: &Path| {
            fs::create_dir_all(folder.join("1_Pooling")).unwrap();
            fs::write(folder.join(file), "{").unwrap();
        };
        refused(&damage, "fetch the model again");
    }
    refused(
        &|folder| put(folder, "config.json", &json!({"model_type": "mpnet"})),
        "describes a model of the type `mpnet`, not `bert`",
    );
    refused(
        &|folder| put(folder, "config.json", &json!({"model_type": "bert"})),
        "is not complete",
    );
    let unigram = json!({"normalizer": null, "model": {"type": "Unigram", "vocab": []}});
    refused(
        &|folder| put(folder, "tokenizer.json", &unigram),
        "of the kind `Unigram`",
    );
    let damaged = |change: &'static dyn Fn(&mut Vec<u8>), expected: &str| {
        let damage = |folder: &Path| {
            let path = folder.join("model.safetensors");
            let mut bytes = fs::read(&path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        };
        refused(&damage, expected);
    };
    damaged(&|bytes| bytes.truncate(5), "is cut short");
    damaged(&|bytes| bytes.truncate(bytes.len() - 1), "is cut short");
    damaged(&|bytes| bytes[7] = 0xff, "no safetensors file");
    damaged(&|bytes| bytes[9] = b'}', "has a damaged header");
    damaged(
        &|bytes| {
            let end = bytes.len();
            bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        },
        "has a number that is none",
    );
    damaged(
        &|bytes| {
            let text = String::from_utf8_lossy(&bytes[8..])
                .find("LayerNorm")
                .unwrap()
                + 8;
            bytes[text] = b'X';
        },
        "has no tensor",
    );
}

/// A model that the settings name cannot be used.
#[track_caller]
fn check(error: &Error, expected: &str) {
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.field(), Some("embedder.path"));
    assert!(error.message().contains(expected), "{error}");
}

/// A folder that somebody just named holds no model.
#[track_caller]
fn check_refused(error: &Error, expected: &str) {
    assert_eq!(error.code(), Code::InvalidInput);
    assert_eq!(error.field(), Some("path"));
    assert!(error.message().contains(expected), "{error}");
}

/// The folder of all-MiniLM-L6-v2, which `cargo xtask test` fetches.
fn real_model() -> std::path::PathBuf {
    std::env::var_os("ATHENA_TEST_MODEL")
        .expect("ATHENA_TEST_MODEL names the folder of all-MiniLM-L6-v2: run `cargo xtask test`")
        .into()
}

/// `minilm.json` holds what the reference tokenizer (the package `tokenizers`) makes of some texts,
/// and what `distill.py`'s forward pass, in f64 and with an exact error function, makes of that.
#[tokio::test]
async fn a_real_model_answers_as_the_reference_does() {
    let embedder = embedder(&real_model());
    let reference: Vec<(String, Vec<f32>)> =
        serde_json::from_str(include_str!("minilm.json")).unwrap();
    let texts: Vec<&str> = reference.iter().map(|(text, _)| &**text).collect();
    let vectors = embedder.embed(&texts).await.unwrap();
    for ((text, expected), vector) in reference.iter().zip(&vectors) {
        let likeness = product(vector, expected);
        assert!(likeness >= 0.9999, "{text}: {likeness}");
    }
    assert_eq!(vectors[0].len(), 384);
}

fn product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
