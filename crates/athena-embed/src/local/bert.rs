//! The forward pass of a BERT encoder (Devlin et al., 2019).
//!
//! The tokens of all texts of a batch lie one under the other in one matrix, without padding:
//! only attention looks at texts one by one.

use super::fault::Fault;
use super::weights::Weights;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis, Slice};
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;

/// What `config.json` says.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    /// Components of a vector.
    pub(super) hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    layer_norm_eps: f32,
    /// Tokens of a text at most.
    pub(super) max_position_embeddings: usize,
    type_vocab_size: usize,
    /// Word pieces.
    pub(super) vocab_size: usize,
}

fn absolute() -> String {
    "absolute".into()
}

impl Config {
    /// Reads and checks it.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        let json = std::fs::read(path).map_err(|error| Fault::unreadable(path, error))?;
        let json: serde_json::Value =
            serde_json::from_slice(&json).map_err(|_| Fault::corrupt(path, "is no JSON"))?;
        let kind = json["model_type"].as_str().unwrap_or_default();
        if kind != "bert" {
            let problem = format!("describes a model of the type `{kind}`, not `bert`");
            return Err(Fault::unsupported(path, problem));
        }
        let config: Self = serde_json::from_value(json)
            .map_err(|error| Fault::corrupt(path, format!("is not complete: {error}")))?;
        for (name, value, known) in [
            ("hidden_act", &config.hidden_act, "gelu"),
            (
                "position_embedding_type",
                &config.position_embedding_type,
                "absolute",
            ),
        ] {
            if value != known {
                let problem = format!("has `{name}` = `{value}`, not `{known}`");
                return Err(Fault::unsupported(path, problem));
            }
        }
        let heads = config.num_attention_heads;
        if heads == 0 || !config.hidden_size.is_multiple_of(heads) || config.type_vocab_size == 0 {
            return Err(Fault::corrupt(path, "has sizes that do not fit each other"));
        }
        Ok(config)
    }
}

/// A model in memory.
pub(super) struct Bert {
    words: Array2<f32>,
    /// Position embeddings, with that of the first token type added.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attention_norm: Norm,
    inner: Linear,
    outer: Linear,
    norm: Norm,
}

impl Bert {
    /// Reads a model's tensors.
    pub(super) fn read(config: &Config, weights: &mut Weights) -> Result<Self, Fault> {
        let width = config.hidden_size;
        let types = "embeddings.token_type_embeddings.weight";
        let types = weights.matrix(types, config.type_vocab_size, width)?;
        let positions = "embeddings.position_embeddings.weight";
        let positions = weights.matrix(positions, config.max_position_embeddings, width)?;
        let words = "embeddings.word_embeddings.weight";
        Ok(Self {
            words: weights.matrix(words, config.vocab_size, width)?,
            positions: positions + types.row(0),
            norm: Norm::read(config, weights, "embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers)
                .map(|number| Layer::read(config, weights, number))
                .collect::<Result<_, _>>()?,
            heads: config.num_attention_heads,
        })
    }

    /// Returns the outputs of all tokens of some texts, and which of them belong to each text.
    ///
    /// Every id is below the number of pieces, and no text is longer than there are positions.
    pub(super) fn outputs(&self, texts: &[&[u32]]) -> (Array2<f32>, Vec<Range<usize>>) {
        let mut ranges: Vec<Range<usize>> = Vec::with_capacity(texts.len());
        for text in texts {
            let start = ranges.last().map_or(0, |range| range.end);
            ranges.push(start..start + text.len());
        }
        let tokens = ranges.last().map_or(0, |range| range.end);
        let mut x = Array2::zeros((tokens, self.words.ncols()));
        for (text, range) in texts.iter().zip(&ranges) {
            for (position, (id, row)) in text.iter().zip(range.clone()).enumerate() {
                let mut row = x.row_mut(row);
                row += &self.words.row(*id as usize);
                row += &self.positions.row(position);
            }
        }
        self.norm.apply(&mut x);
        for layer in &self.layers {
            x = layer.apply(x, &ranges, self.heads);
        }
        (x, ranges)
    }
}

impl Layer {
    fn read(config: &Config, weights: &mut Weights, number: usize) -> Result<Self, Fault> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let mut linear = |part: &str, from, to| Linear::read(weights, &name(part), from, to);
        let query = linear("attention.self.query", width, width)?;
        let key = linear("attention.self.key", width, width)?;
        let value = linear("attention.self.value", width, width)?;
        let attended = linear("attention.output.dense", width, width)?;
        let outer = linear("output.dense", inner, width)?;
        let inner = linear("intermediate.dense", width, inner)?;
        Ok(Self {
            query,
            key,
            value,
            attended,
            attention_norm: Norm::read(config, weights, &name("attention.output.LayerNorm"))?,
            inner,
            outer,
            norm: Norm::read(config, weights, &name("output.LayerNorm"))?,
        })
    }

    fn apply(&self, x: Array2<f32>, texts: &[Range<usize>], heads: usize) -> Array2<f32> {
        let attention = self.attention(&x, texts, heads);
        let mut x = x + self.attended.apply(&attention);
        self.attention_norm.apply(&mut x);
        let mut inner = self.inner.apply(&x);
        inner.mapv_inplace(gelu);
        x += &self.outer.apply(&inner);
        self.norm.apply(&mut x);
        x
    }

    fn attention(&self, x: &Array2<f32>, texts: &[Range<usize>], heads: usize) -> Array2<f32> {
        let (query, key, value) = (self.query.apply(x), self.key.apply(x), self.value.apply(x));
        let mut mixed = Array2::zeros(x.raw_dim());
        let size = x.ncols() / heads;
        #[expect(clippy::cast_precision_loss, reason = "a head has few components")]
        let scale = 1.0 / (size as f32).sqrt();
        for text in texts {
            for head in 0..heads {
                let columns = head * size..(head + 1) * size;
                let part = |of| part(of, text.clone(), columns.clone());
                let mut scores = Array2::zeros((text.len(), text.len()));
                general_mat_mul(scale, &part(&query), &part(&key).t(), 0.0, &mut scores);
                scores.rows_mut().into_iter().for_each(softmax);
                let mut mixed = mixed.view_mut();
                mixed.slice_axis_inplace(Axis(0), Slice::from(text.clone()));
                mixed.slice_axis_inplace(Axis(1), Slice::from(columns.clone()));
                general_mat_mul(1.0, &scores, &part(&value), 0.0, &mut mixed);
            }
        }
        mixed
    }
}

/// Returns some rows and columns of a matrix.
fn part(of: &Array2<f32>, rows: Range<usize>, columns: Range<usize>) -> ArrayView2<'_, f32> {
    let mut part = of.view();
    part.slice_axis_inplace(Axis(0), Slice::from(rows));
    part.slice_axis_inplace(Axis(1), Slice::from(columns));
    part
}

/// A matrix and a bias.
struct Linear {
    /// `[to, from]`
    weight: Array2<f32>,
    bias: Vec<f32>,
}

impl Linear {
    fn read(weights: &mut Weights, name: &str, from: usize, to: usize) -> Result<Self, Fault> {
        Ok(Self {
            weight: weights.matrix(&format!("{name}.weight"), to, from)?,
            bias: weights.vector(&format!("{name}.bias"), to)?,
        })
    }

    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        let bias = ArrayView2::from_shape((1, self.bias.len()), &self.bias);
        let shape = (x.nrows(), self.bias.len());
        let mut y = match bias.as_ref().ok().and_then(|bias| bias.broadcast(shape)) {
            Some(bias) => bias.to_owned(),
            None => Array2::zeros(shape),
        };
        general_mat_mul(1.0, x, &self.weight.t(), 1.0, &mut y);
        y
    }
}

/// Layer normalisation (Ba, Kiros, Hinton, 2016).
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    fn read(config: &Config, weights: &mut Weights, name: &str) -> Result<Self, Fault> {
        Ok(Self {
            weight: weights.vector(&format!("{name}.weight"), config.hidden_size)?,
            bias: weights.vector(&format!("{name}.bias"), config.hidden_size)?,
            epsilon: config.layer_norm_eps,
        })
    }

    fn apply(&self, x: &mut Array2<f32>) {
        #[expect(clippy::cast_precision_loss, reason = "a vector has few components")]
        let width = x.ncols() as f32;
        for mut row in x.axis_iter_mut(Axis(0)) {
            let mean = row.sum() / width;
            let variance = row.iter().map(|it| (it - mean) * (it - mean)).sum::<f32>() / width;
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *value = (*value - mean) * factor * weight + bias;
            }
        }
    }
}

fn softmax(mut row: ArrayViewMut1<'_, f32>) {
    let greatest = row.fold(f32::NEG_INFINITY, |greatest, it| greatest.max(*it));
    row.mapv_inplace(|it| (it - greatest).exp());
    let sum = row.sum();
    row /= sum;
}

/// The Gaussian error linear unit (Hendrycks, Gimpel, 2016).
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Abramowitz and Stegun 7.1.28, off by 3e-7 at most: the form that needs no exponential.
fn erf(x: f32) -> f32 {
    const A: [f32; 6] = [
        0.070_523_08,
        0.042_282_01,
        0.009_270_527,
        0.000_152_014_3,
        0.000_276_567_2,
        0.000_043_063_8,
    ];
    let t = x.abs();
    let sum = 1.0 + t * (A[0] + t * (A[1] + t * (A[2] + t * (A[3] + t * (A[4] + t * A[5])))));
    let (sum2, one) = (sum * sum, 1.0_f32);
    let sum4 = sum2 * sum2;
    let sum8 = sum4 * sum4;
    (one - 1.0 / (sum8 * sum8)).copysign(x)
}
