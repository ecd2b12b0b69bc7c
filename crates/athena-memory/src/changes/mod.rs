//! Changes: what happened to the items of a project, in the order of the commits.
//!
//! Rows are written by the one write path ([`athena_store::write`](athena_store::write())); here they
//! are read. Agents that share a project follow them to learn what the others did.

mod ops;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use ops::List;

/// One change of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its number among the changes of the project, from 1, without gaps.
    pub seq: i64,
    /// What the item is, such as `memory` or `task`.
    pub kind: String,
    /// The item's id; what it says now is read by that.
    pub id: i64,
    /// The operation that changed it.
    pub operation: String,
    /// Who changed it.
    pub principal: String,
    /// When.
    pub at: Timestamp,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// The changes, in their order.
    pub items: Vec<Change>,
    /// Pass as `after` to go on from here.
    pub after: i64,
    /// The number of the project's last change, which may be beyond this answer.
    pub last: i64,
    /// Whether changes after the number that was asked for are no longer kept (they are for thirty
    /// days): read anew what you follow.
    pub missed: bool,
}
