//! The two shapes in which servers take passages and answer vectors.
//!
//! Ollama's `/api/embed` answers a list of vectors in order; OpenAI's `/v1/embeddings`, which
//! llama.cpp speaks too, answers objects that carry their index. What comes out of [`Shape::read`]
//! has been checked: as many vectors as passages, in their order, all of one width, finite and of
//! length 1.

use crate::Provider;
use athena_core::Code;
use serde::{Deserialize, Deserializer, Serialize};

/// How to talk to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Ollama,
    OpenAi,
}

/// What is wrong with an answer; continues the sentence "ollama at `http://…` …".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("answered something other than embeddings (line {line}, column {column})")]
    Unreadable { line: usize, column: usize },
    #[error("answered `{got}` vectors for `{asked}` passages")]
    Count { asked: usize, got: usize },
    #[error("numbered its vectors so that they do not match the passages")]
    Order,
    #[error("answered an empty vector")]
    Empty,
    #[error("answered vectors of `{one}` and of `{other}` components at once")]
    Uneven { one: usize, other: usize },
    #[error("answered a vector whose component `{component}` is not a finite number")]
    NotFinite { component: usize },
    #[error("answered a vector of zeros, which points nowhere")]
    Zero,
}

impl Shape {
    pub(crate) fn of(provider: Provider) -> Self {
        match provider {
            Provider::Ollama => Self::Ollama,
            Provider::Builtin | Provider::LlamaCpp | Provider::OpenAi | Provider::Local => {
                Self::OpenAi
            }
        }
    }

    /// Writes the request for some passages.
    pub(crate) fn request(
        self,
        model: &str,
        input: &[&str],
        dimensions: Option<usize>,
    ) -> serde_json::Result<Vec<u8>> {
        match self {
            // A passage that is longer than the model reads counts by its beginning.
            Self::Ollama => serde_json::to_vec(&OllamaRequest {
                model,
                input,
                truncate: true,
                dimensions,
            }),
            Self::OpenAi => serde_json::to_vec(&OpenAiRequest {
                model,
                input,
                encoding_format: "float",
                dimensions,
            }),
        }
    }

    /// Reads and checks the vectors of `asked` passages.
    pub(crate) fn read(self, answer: &[u8], asked: usize) -> Result<Vec<Vec<f32>>, Fault> {
        let mut vectors = match self {
            Self::Ollama => in_given_order(parse::<OllamaAnswer>(answer)?, asked)?,
            Self::OpenAi => in_numbered_order(parse::<OpenAiAnswer>(answer)?, asked)?,
        };
        check_widths(&vectors)?;
        for vector in &mut vectors {
            normalise(vector)?;
        }
        Ok(vectors)
    }
}

impl Fault {
    /// A server that answers no embeddings at all may be starting or be the wrong one; vectors
    /// that do not fit stay so.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => Code::Unavailable,
            _ => Code::EmbeddingMismatch,
        }
    }
}

#[derive(Serialize)]
struct OllamaRequest<'a> {
    model: &'a str,
    input: &'a [&'a str],
    truncate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Serialize)]
struct OpenAiRequest<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct OllamaAnswer {
    embeddings: Vec<Vec<Component>>,
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    index: Option<usize>,
    embedding: Vec<Component>,
}

/// A component; `null`, which some servers write for NaN, is read as NaN and refused later.
struct Component(f32);

impl<'de> Deserialize<'de> for Component {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN);
        Ok(Self(narrow(value)))
    }
}

/// Parses an answer. Of serde's error only the position is kept: its text quotes the answer.
fn parse<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(answer).map_err(|error| Fault::Unreadable {
        line: error.line(),
        column: error.column(),
    })
}

fn in_given_order(answer: OllamaAnswer, asked: usize) -> Result<Vec<Vec<f32>>, Fault> {
    check_count(asked, answer.embeddings.len())?;
    Ok(answer.embeddings.into_iter().map(numbers).collect())
}

/// Sorts vectors by their index. Servers that number none of them keep the order.
fn in_numbered_order(answer: OpenAiAnswer, asked: usize) -> Result<Vec<Vec<f32>>, Fault> {
    let mut data = answer.data;
    check_count(asked, data.len())?;
    if data.iter().any(|entry| entry.index.is_some()) {
        data.sort_by_key(|entry| entry.index);
        if data
            .iter()
            .enumerate()
            .any(|(at, entry)| entry.index != Some(at))
        {
            return Err(Fault::Order);
        }
    }
    Ok(data
        .into_iter()
        .map(|entry| numbers(entry.embedding))
        .collect())
}

fn numbers(components: Vec<Component>) -> Vec<f32> {
    components
        .into_iter()
        .map(|component| component.0)
        .collect()
}

fn check_count(asked: usize, got: usize) -> Result<(), Fault> {
    if asked == got {
        Ok(())
    } else {
        Err(Fault::Count { asked, got })
    }
}

fn check_widths(vectors: &[Vec<f32>]) -> Result<(), Fault> {
    let one = vectors.first().map_or(0, Vec::len);
    if vectors.iter().any(Vec::is_empty) {
        return Err(Fault::Empty);
    }
    match vectors.iter().map(Vec::len).find(|&other| other != one) {
        Some(other) => Err(Fault::Uneven { one, other }),
        None => Ok(()),
    }
}

/// Scales a vector to length 1, summing in f64 in the order of the components.
fn normalise(vector: &mut [f32]) -> Result<(), Fault> {
    if let Some(component) = vector.iter().position(|value| !value.is_finite()) {
        return Err(Fault::NotFinite { component });
    }
    let squares = vector
        .iter()
        .fold(0.0, |sum, &value| sum + f64::from(value) * f64::from(value));
    if squares == 0.0 {
        return Err(Fault::Zero);
    }
    let length = squares.sqrt();
    for value in vector {
        *value = narrow(f64::from(*value) / length);
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "components are stored in half precision; what is too large becomes infinite and is refused"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: Shape, answer: &str, asked: usize, expected: Result<Vec<Vec<f32>>, Fault>) {
        assert_eq!(shape.read(answer.as_bytes(), asked), expected, "{answer}");
    }

    #[test]
    fn vectors_come_back_with_length_one() {
        let expected = Ok(vec![vec![0.6, 0.8], vec![0.0, -1.0]]);
        check(
            Shape::Ollama,
            r#"{"embeddings": [[3, 4], [0, -0.5]]}"#,
            2,
            expected,
        );
    }

    #[test]
    fn vectors_are_sorted_by_their_numbers() {
        let answer = r#"{"data": [{"index": 1, "embedding": [0, 2]},
                                  {"index": 0, "embedding": [2, 0]}]}"#;
        check(
            Shape::OpenAi,
            answer,
            2,
            Ok(vec![vec![1.0, 0.0], vec![0.0, 1.0]]),
        );
        let answer = r#"{"data": [{"embedding": [0, 2]}, {"embedding": [2, 0]}]}"#;
        check(
            Shape::OpenAi,
            answer,
            2,
            Ok(vec![vec![0.0, 1.0], vec![1.0, 0.0]]),
        );
    }

    #[test]
    fn numbers_that_fit_no_passage_are_refused() {
        for (first, second) in [("0", "0"), ("1", "2"), ("0", "null"), ("null", "0")] {
            let answer = format!(
                r#"{{"data": [{{"index": {first}, "embedding": [1]}}, {{"index": {second}, "embedding": [1]}}]}}"#
            );
            check(Shape::OpenAi, &answer, 2, Err(Fault::Order));
        }
    }

    #[test]
    fn vectors_that_do_not_fit_are_refused() {
        let ollama = |answer: &str, asked, fault| check(Shape::Ollama, answer, asked, Err(fault));
        ollama(
            r#"{"embeddings": [[1]]}"#,
            2,
            Fault::Count { asked: 2, got: 1 },
        );
        ollama(r#"{"embeddings": [[1], []]}"#, 2, Fault::Empty);
        ollama(r#"{"embeddings": [[], []]}"#, 2, Fault::Empty);
        ollama(
            r#"{"embeddings": [[1], [1, 2]]}"#,
            2,
            Fault::Uneven { one: 1, other: 2 },
        );
        ollama(
            r#"{"embeddings": [[1, null]]}"#,
            1,
            Fault::NotFinite { component: 1 },
        );
        ollama(
            r#"{"embeddings": [[1e39, 1]]}"#,
            1,
            Fault::NotFinite { component: 0 },
        );
        ollama(r#"{"embeddings": [[0, -0.0]]}"#, 1, Fault::Zero);
    }

    #[test]
    fn answers_that_are_no_embeddings_are_refused_by_position_only() {
        for answer in [
            r#"{"embeddings": [[NaN]]}"#,
            r#"{"error": "canary"}"#,
            "",
            "<html>",
        ] {
            let fault = Shape::Ollama.read(answer.as_bytes(), 1).unwrap_err();
            assert!(
                matches!(fault, Fault::Unreadable { .. }),
                "{answer}: {fault:?}"
            );
            assert!(!fault.to_string().contains("canary"));
            assert_eq!(fault.code(), Code::Unavailable);
        }
    }

    #[test]
    fn the_largest_and_smallest_numbers_keep_their_direction() {
        let answer = r#"{"embeddings": [[3e38, 0], [0, 1e-44]]}"#;
        check(
            Shape::Ollama,
            answer,
            2,
            Ok(vec![vec![1.0, 0.0], vec![0.0, 1.0]]),
        );
    }
}
