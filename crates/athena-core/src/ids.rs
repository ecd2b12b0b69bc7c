//! Identifiers: 64-bit integers, one type per thing they name.

use athena_db::{FromValue, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$name> for Value {
            fn from(id: $name) -> Self {
                Value::Int(id.0)
            }
        }

        impl From<&$name> for Value {
            fn from(id: &$name) -> Self {
                Value::Int(id.0)
            }
        }

        impl FromValue for $name {
            const WANT: &'static str = i64::WANT;

            fn from_value(value: &Value) -> Option<Self> {
                i64::from_value(value).map(Self)
            }
        }
    };
}

id!(
    /// Names a project within one store.
    ProjectId
);
id!(
    /// Names one version of a memory within one store.
    MemoryId
);
id!(
    /// Names an embedding model (its name and width) within one store.
    ModelId
);
id!(
    /// Names an event within one store.
    EventId
);
id!(
    /// Names a goal within one store.
    GoalId
);
id!(
    /// Names a task within one store.
    TaskId
);
id!(
    /// Names a trigger within one store.
    TriggerId
);
id!(
    /// Names a snapshot of a session within one store.
    SnapshotId
);
id!(
    /// Names a thread of a conversation within one store.
    ThreadId
);
id!(
    /// Names a message within one store.
    MessageId
);
id!(
    /// Names an agent within one store.
    AgentId
);
id!(
    /// Names a lease within one store.
    LeaseId
);
