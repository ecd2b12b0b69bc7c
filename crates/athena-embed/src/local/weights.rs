//! Reads tensors from a `.safetensors` file.
//!
//! The format (Hugging Face, "Safetensors"): the length of a header as a little-endian u64, the
//! header as JSON (`{"name": {"dtype", "shape", "data_offsets"}}`), then the bytes of all tensors.
//! Nothing in it is trusted: every offset is checked against the file and against the shape.

use super::fault::Fault;
use half::{bf16, f16};
use ndarray::Array2;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest header that is read: that of a model with a hundred thousand tensors.
const LONGEST_HEADER: u64 = 16 << 20;

/// An open file of tensors.
pub(super) struct Weights {
    path: PathBuf,
    file: File,
    tensors: HashMap<String, Entry>,
    /// Where the bytes of the tensors begin.
    start: u64,
    /// What every name begins with: `bert.` in models with a head.
    prefix: &'static str,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl Weights {
    /// Opens a file and checks its header.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let unreadable = |error| Fault::unreadable(path, error);
        let corrupt = |problem: &str| Fault::corrupt(path, problem);
        let mut file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut length = [0; 8];
        if file.read_exact(&mut length).is_err() {
            return Err(corrupt("is cut short"));
        }
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER || length + 8 > size {
            return Err(corrupt("is cut short, or no safetensors file"));
        }
        let mut header = Vec::new();
        file.by_ref()
            .take(length)
            .read_to_end(&mut header)
            .map_err(unreadable)?;
        let tensors = entries(&header).ok_or_else(|| corrupt("has a damaged header"))?;
        let start = length + 8;
        let end = tensors.values().map(|it| it.data_offsets[1]).max();
        if end.and_then(|end| end.checked_add(start)) != Some(size) {
            return Err(corrupt("is cut short, or too long"));
        }
        let is_headed = tensors.contains_key("bert.embeddings.word_embeddings.weight");
        Ok(Self {
            path: path.to_owned(),
            file,
            tensors,
            start,
            prefix: if is_headed { "bert." } else { "" },
        })
    }

    /// Reads a vector of `length` numbers.
    pub(super) fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, Fault> {
        self.read(name, &[length])
    }

    /// Reads a matrix.
    pub(super) fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Array2<f32>, Fault> {
        let values = self.read(name, &[rows, columns])?;
        Array2::from_shape_vec((rows, columns), values)
            .map_err(|_| Fault::corrupt(&self.path, format!("has a damaged tensor `{name}`")))
    }

    fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Fault> {
        let corrupt = |problem: &str| {
            let problem = format!("{problem} `{name}`");
            Fault::corrupt(&self.path, problem)
        };
        let entry = self
            .tensors
            .get(&format!("{}{name}", self.prefix))
            .ok_or_else(|| corrupt("has no tensor"))?;
        if entry.shape != shape {
            return Err(corrupt("does not fit config.json in the shape of"));
        }
        let convert =
            converter(&entry.dtype).ok_or_else(|| corrupt("is neither F32, F16 nor BF16 in"))?;
        let numbers = shape.iter().product::<usize>() as u64;
        let [begin, end] = entry.data_offsets;
        if end.checked_sub(begin) != numbers.checked_mul(convert.width) {
            return Err(corrupt("has a damaged tensor"));
        }
        let length = usize::try_from(end - begin).map_err(|_| corrupt("has too large a tensor"))?;
        let mut bytes = vec![0; length];
        self.file
            .seek(SeekFrom::Start(self.start + begin))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|error| Fault::unreadable(&self.path, error))?;
        let values = (convert.floats)(&bytes);
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(corrupt("has a number that is none in")),
        }
    }
}

fn entries(header: &[u8]) -> Option<HashMap<String, Entry>> {
    let mut header: HashMap<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    header.remove("__metadata__");
    let entries = header.into_iter();
    entries
        .map(|(name, entry)| Some((name, serde_json::from_value(entry).ok()?)))
        .collect()
}

/// How numbers of a kind become f32.
struct Converter {
    /// Bytes of one.
    width: u64,
    floats: fn(&[u8]) -> Vec<f32>,
}

fn converter(dtype: &str) -> Option<Converter> {
    match dtype {
        "F32" => Some(Converter {
            width: 4,
            floats: |bytes| {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|it| f32::from_le_bytes(*it)).collect()
            },
        }),
        "F16" => Some(Converter {
            width: 2,
            floats: |bytes| {
                let numbers = bytes.as_chunks().0.iter();
                numbers.map(|it| f16::from_le_bytes(*it).to_f32()).collect()
            },
        }),
        "BF16" => Some(Converter {
            width: 2,
            floats: |bytes| {
                let numbers = bytes.as_chunks().0.iter();
                numbers
                    .map(|it| bf16::from_le_bytes(*it).to_f32())
                    .collect()
            },
        }),
        _ => None,
    }
}
