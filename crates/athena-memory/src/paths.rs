//! Paths in lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A path in a list; somebody's home in it is kept as `~`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(inline, extend("x-text" = "path"))]
pub struct PathName(#[schemars(length(min = 1, max = 700))] pub String);
