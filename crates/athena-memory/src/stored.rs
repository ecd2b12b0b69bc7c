//! How types of this crate are kept in columns.

/// Keeps a closed list as the text that its `as_str` returns; `$what` says in errors what was expected.
macro_rules! stored_as_text {
    ($type:ty, $what:literal) => {
        impl From<$type> for athena_db::Value {
            fn from(value: $type) -> Self {
                Self::Text(value.as_str().to_owned())
            }
        }

        impl athena_db::FromValue for $type {
            const WANT: &'static str = $what;

            fn from_value(value: &athena_db::Value) -> Option<Self> {
                let text = String::from_value(value)?;
                serde_json::from_value(serde_json::Value::String(text)).ok()
            }
        }
    };
}

pub(crate) use stored_as_text;
