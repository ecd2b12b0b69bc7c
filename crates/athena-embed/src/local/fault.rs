//! What can be wrong with a model's folder.

use athena_core::{Code, Error};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a folder holds no model that can be used. Cheap to clone: who asks later is told the same.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Fault {
    #[error("`{}` cannot be read", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
    #[error("`{}` {problem}", .path.display())]
    Corrupt { path: PathBuf, problem: String },
    #[error("`{}` {problem}; give the folder of a BERT model of sentence-transformers", .path.display())]
    Unsupported { path: PathBuf, problem: String },
}

impl Fault {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(super) fn corrupt(path: &Path, problem: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    pub(super) fn unsupported(path: &Path, problem: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    /// Tells it as an error that names the setting, and the way out.
    pub(super) fn into_error(self) -> Error {
        let way_out = match &self {
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ": it is not there; put it back, or correct `embedder.path`"
            }
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ": permission denied; let the user of this process read it"
            }
            Self::Unreadable { .. } => "; check the disk, or correct `embedder.path`",
            Self::Corrupt { .. } => "; fetch the model again",
            Self::Unsupported { .. } => "",
        };
        let message = format!("{self}{way_out}");
        Error::new(Code::Unavailable, message)
            .with_field("embedder.path")
            .with_source(self)
    }

    /// Tells it as an error about a folder that somebody just named.
    pub(super) fn into_refusal(self) -> Error {
        let way_out = match &self {
            Self::Unreadable { source, .. } => {
                format!(": {source}; give the folder of a BERT model of sentence-transformers")
            }
            Self::Corrupt { .. } => "; fetch the model again".to_owned(),
            Self::Unsupported { .. } => String::new(),
        };
        let message = format!("{self}{way_out}");
        Error::new(Code::InvalidInput, message)
            .with_field("path")
            .with_source(self)
    }
}
