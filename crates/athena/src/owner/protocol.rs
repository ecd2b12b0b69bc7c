//! What goes over the socket: frames of JSON, each behind its length.

use athena_core::{Code, Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::time::Duration;

/// How often an owner that is at work says so.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// The longest frame, in bytes: beyond the largest input that an operation takes.
const MOST_BYTES: u32 = 256 << 20;

/// What a caller says: first who it is, with what it wants.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// What the caller has in common with those that would do the same.
    pub(super) likeness: String,
    /// The operation's name.
    pub(super) operation: String,
    /// Its input.
    pub(super) input: Value,
    /// The project of calls that name none.
    pub(super) project: String,
    /// Who calls.
    pub(super) principal: String,
    /// Makes a repeated change answer what the first one did.
    pub(super) idempotency_key: Option<String>,
}

/// What an owner says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Response {
    /// It takes the call.
    Accepted,
    /// It is still at it; said again and again.
    Working,
    /// It would do something else than the caller.
    Unlike,
    /// What the operation answered.
    Output(Value),
    /// Why the operation failed.
    Failed {
        /// The code.
        code: String,
        /// What went wrong.
        message: String,
        /// The argument that it is about.
        field: Option<String>,
    },
}

impl Response {
    /// Returns what an operation came to.
    pub(super) fn of(result: Result<Value, Error>) -> Self {
        match result {
            Ok(output) => Self::Output(output),
            Err(error) => Self::Failed {
                code: error.code().as_str().to_owned(),
                message: error.message().to_owned(),
                field: error.field().map(str::to_owned),
            },
        }
    }
}

/// Makes an error again of what was said of it.
pub(super) fn error(code: &str, message: String, field: Option<String>) -> Error {
    let known = Code::ALL.into_iter().find(|known| known.as_str() == code);
    let error = Error::new(known.unwrap_or(Code::Internal), message);
    match field {
        Some(field) => error.with_field(field),
        None => error,
    }
}

/// Returns a value as a frame.
pub(super) fn frame(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = u32::try_from(frame.len() - 4)
        .ok()
        .filter(|length| *length <= MOST_BYTES)
        .ok_or_else(|| io::Error::other("a frame is too long"))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Writes a frame.
pub(super) fn write(mut stream: impl Write, value: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(value)?)
}

/// Reads a frame.
pub(super) fn read<T: for<'de> Deserialize<'de>>(mut stream: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = length_of(length)?;
    let mut bytes = Vec::new();
    stream.take(length).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).ok() != Some(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

/// Reads the length of a frame.
pub(super) fn length_of(bytes: [u8; 4]) -> io::Result<u64> {
    let length = u32::from_le_bytes(bytes);
    if length > MOST_BYTES {
        return Err(io::Error::other("a frame is too long"));
    }
    Ok(length.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let mut bytes = Vec::new();
        for value in [
            json!({}),
            json!({"a": [1, "ü"]}),
            json!("x".repeat(100_000)),
        ] {
            write(&mut bytes, &value).unwrap();
            let read: Value = read(&mut bytes.as_slice()).unwrap();
            assert_eq!(read, value);
            bytes.clear();
        }
    }

    #[test]
    fn damaged_frames_are_errors() {
        let whole = frame(&json!({"a": 1})).unwrap();
        for torn in 0..whole.len() {
            assert!(read::<Value>(&whole[..torn]).is_err(), "{torn} bytes");
        }
        assert!(read::<Value>(&[255; 40][..]).is_err(), "an endless frame");
        assert!(read::<Value>(&b"\x04\0\0\0oops"[..]).is_err(), "no JSON");
    }

    #[test]
    fn errors_keep_what_they_say() {
        let told = Error::invalid("limit", "must be less").with_source(io::Error::other("why"));
        let Response::Failed {
            code,
            message,
            field,
        } = Response::of(Err(told))
        else {
            panic!("it failed");
        };
        let error = error(&code, message, field);
        assert_eq!(
            (error.code(), error.field()),
            (Code::InvalidInput, Some("limit"))
        );
        assert!(error.message().contains("must be less"));
    }
}
