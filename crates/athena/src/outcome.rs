//! How a command ends: what went wrong, in which form it is told, and the exit status.

use athena_core::{Code, Error};
use athena_privacy::Masking;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::process::ExitCode;

/// The result of a command.
pub(crate) type Outcome<T = ()> = Result<T, Stop>;

/// Why a command ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed; not told yet.
    Failed(Error),
    /// Whoever read the output has seen enough, as `head` does.
    ClosedPipe,
    /// It failed and said so.
    Told(u8),
    /// A signal ended it.
    Interrupted {
        /// The number of the signal.
        signal: u8,
        /// The name of the signal.
        name: &'static str,
        /// What that means for the work.
        consequence: &'static str,
    },
}

/// What shells add to the number of a signal for the exit status of a process that it ended.
const SIGNALLED: u8 = 128;

/// The exit statuses and the codes that end with them, in the order of the documentation.
pub(crate) const EXIT_STATUSES: [(u8, &str, &[Code]); 9] = [
    (0, "success", &[]),
    (
        1,
        "a fault in Athena, a check of `doctor` that failed, findings of `pii scan`, or floors of `eval` that were not \
         reached",
        &[Code::Internal],
    ),
    (
        2,
        "wrong usage or input",
        &[Code::InvalidInput, Code::ContentTooLarge],
    ),
    (3, "what was named does not exist", &[Code::NotFound]),
    (
        4,
        "not possible as things are",
        &[
            Code::Conflict,
            Code::InvalidState,
            Code::PreconditionFailed,
            Code::IdempotencyMismatch,
            Code::EmbeddingMismatch,
        ],
    ),
    (
        5,
        "may succeed later",
        &[Code::Busy, Code::Timeout, Code::Unavailable],
    ),
    (
        6,
        "the store cannot be written",
        &[Code::ReadOnly, Code::NewerStore, Code::StorageFull],
    ),
    (7, "denied by a rule", &[Code::Denied]),
    (
        8,
        "not supported by this backend or build",
        &[Code::Unsupported],
    ),
];

/// Returns the exit status of a code.
pub(crate) fn exit_status(code: Code) -> u8 {
    EXIT_STATUSES
        .iter()
        .find(|(_, _, codes)| codes.contains(&code))
        .map_or(1, |(status, _, _)| *status)
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<athena_db::Error> for Stop {
    fn from(error: athena_db::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Failures to write the output; files are read and written with [`at_path`] instead.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        let code = if error.kind() == io::ErrorKind::StorageFull {
            Code::StorageFull
        } else {
            Code::Internal
        };
        Self::Failed(
            Error::new(code, format!("cannot write the output: {error}")).with_source(error),
        )
    }
}

/// Says which file could not be used, and picks the code by the reason.
pub(crate) fn at_path(action: &str, path: &std::path::Path, error: io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Code::NotFound,
        io::ErrorKind::PermissionDenied => Code::Denied,
        io::ErrorKind::ReadOnlyFilesystem => Code::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::StorageFull,
        io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
            Code::InvalidInput
        }
        _ => Code::Internal,
    };
    Error::new(
        code,
        format!("cannot {action} `{}`: {error}", path.display()),
    )
    .with_source(error)
}

/// Tells a failure on standard error and returns the exit status. What is told is redacted whatever
/// the settings allow in the store: agents keep it.
pub(crate) fn conclude(outcome: Outcome, as_json: bool) -> ExitCode {
    let status = match outcome {
        Ok(()) | Err(Stop::ClosedPipe) => 0,
        Err(Stop::Told(status)) => status,
        Err(Stop::Failed(error)) => {
            let masking = Masking::default();
            let error = error.redacted(|text| masking.redact(text));
            tell(&error, as_json);
            exit_status(error.code())
        }
        Err(Stop::Interrupted {
            signal,
            name,
            consequence,
        }) => {
            tell_interruption(name, consequence, as_json);
            SIGNALLED + signal
        }
    };
    ExitCode::from(status)
}

/// Writes an error to standard error: one line, or a JSON object.
pub(crate) fn tell(error: &Error, as_json: bool) {
    if error.code() == Code::Internal {
        tracing::error!(cause = causes(error), "{error}");
    } else {
        tracing::debug!(cause = causes(error), "{error}");
    }
    let text = if as_json {
        error_json(error).to_string()
    } else {
        format!("error[{}]: {error}", error.code())
    };
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says which signal ended a command. No failure of Athena's, so it has no [`Code`].
fn tell_interruption(name: &str, consequence: &str, as_json: bool) {
    let message = format!("stopped by {name}; {consequence}");
    let text = if as_json {
        json!({"error": {"code": "interrupted", "message": message}}).to_string()
    } else {
        format!("error[interrupted]: {message}")
    };
    let _ = writeln!(io::stderr(), "{text}");
}

/// Returns the machine form of an error.
pub(crate) fn error_json(error: &Error) -> Value {
    let mut body = json!({"code": error.code().as_str(), "message": error.message()});
    if let Some(field) = error.field() {
        body["field"] = field.into();
    }
    json!({ "error": body })
}

fn causes(error: &Error) -> String {
    let mut chain = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        chain.push(cause.to_string());
        next = cause.source();
    }
    chain.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_exit_status() {
        for code in Code::ALL {
            let statuses: Vec<u8> = EXIT_STATUSES
                .iter()
                .filter(|(_, _, codes)| codes.contains(&code))
                .map(|(status, _, _)| *status)
                .collect();
            assert_eq!(statuses.len(), 1, "`{code}`");
            assert_ne!(exit_status(code), 0);
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert!(matches!(
            Stop::from(io::Error::from(io::ErrorKind::BrokenPipe)),
            Stop::ClosedPipe
        ));
    }

    #[test]
    fn errors_have_a_machine_form() {
        assert_eq!(
            error_json(&Error::invalid("limit", "must be at most 100, is 500")),
            json!({"error": {"code": "invalid_input", "message": "`limit` must be at most 100, is 500", "field": "limit"}})
        );
    }
}
