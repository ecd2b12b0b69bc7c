//! The made-up memories as files that every peer can read, and what each question should find.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use athena_corpus::{Corpus, Labels, QUESTIONS, Truth, recall};
use serde_json::{Value, json};

use crate::workspace;

/// Where the files lie, and the rows that each question should find.
pub(super) struct Data {
    pub(super) folder: PathBuf,
    /// By label; without one under `all`.
    truth: Value,
}

impl Data {
    /// Makes the files unless an earlier run has: they are named by what they hold.
    pub(super) fn prepare(rows: u64) -> Result<Data> {
        let corpus = Corpus::new();
        let name = format!("data-{rows}-{:016x}", corpus.fingerprint());
        let folder = workspace::target().join("bench/search").join(name);
        if !folder.exists() {
            // Made under another name first, so that broken files are never taken for whole ones.
            let partial = folder.with_extension("partial");
            let _ = fs::remove_dir_all(&partial);
            fs::create_dir_all(&partial)?;
            eprintln!("making up {rows} memories");
            write(&corpus, rows, &partial)?;
            fs::rename(&partial, &folder)?;
        }
        let truth = fs::read_to_string(folder.join("truth.json"))?;
        Ok(Data {
            truth: serde_json::from_str(&truth)?,
            folder,
        })
    }

    /// Returns the share that the first questions found of what they should find.
    pub(super) fn recall(&self, found: &[Vec<u64>], label: Option<&str>) -> Result<f64> {
        let expected = rows_of(&self.truth[label.unwrap_or("all")])?;
        Ok(recall(found, &expected[..found.len().min(expected.len())]))
    }
}

/// Reads lists of rows.
pub(super) fn rows_of(lists: &Value) -> Result<Vec<Vec<u64>>> {
    let row = |row: &Value| row.as_u64();
    let rows = |list: &Value| list.as_array()?.iter().map(row).collect();
    let lists = lists.as_array().context("no list of rows")?;
    lists
        .iter()
        .map(rows)
        .collect::<Option<_>>()
        .context("no list of rows")
}

fn write(corpus: &Corpus, rows: u64, folder: &Path) -> Result<()> {
    let questions = corpus.questions(QUESTIONS);
    let mut truth = Truth::new(&questions);
    let mut vectors = create(folder, "vectors.f32")?;
    let mut lines = create(folder, "rows.jsonl")?;
    for number in 0..rows {
        let row = corpus.row(number);
        truth.add(number, &row);
        for component in &row.vector {
            vectors.write_all(&component.to_le_bytes())?;
        }
        let labels: Vec<&str> = row.labels.names().collect();
        writeln!(lines, "{}", json!({"text": row.text, "labels": labels}))?;
    }
    vectors.flush()?;
    lines.flush()?;
    let mut lines = create(folder, "questions.jsonl")?;
    for question in &questions {
        let line = json!({"text": question.text, "vector": question.vector});
        writeln!(lines, "{line}")?;
    }
    lines.flush()?;
    let mut found = json!({ "all": truth.nearest(None) });
    for (place, (label, _)) in Labels::ALL.into_iter().enumerate() {
        found[label] = json!(truth.nearest(Some(place)));
    }
    Ok(fs::write(folder.join("truth.json"), found.to_string())?)
}

fn create(folder: &Path, name: &str) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(folder.join(name))?))
}
