//! The seam where personal data is taken out of what comes in, before an operation sees it.

use crate::schema::Components;
use crate::{Ctx, Entry, Result};
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keyword by which a schema says what a text is, where it is not plain text.
///
/// - `project`: the name of a project, as fields called `project` or `projects` hold without saying
///   so. It is refused if it holds personal data.
/// - `path`: a path in the file system; somebody's home becomes `~`.
/// - `raw`: text that is looked at and neither stored, searched nor logged; it stays as it is.
pub const TEXT_KIND: &str = "x-text";

/// Replaces personal data in inputs and errors.
///
/// Every string of an input is text unless its schema says otherwise, so an operation that says
/// nothing is covered.
pub trait Masker: Send + Sync {
    /// Replaces what is personal in an input.
    ///
    /// # Errors
    ///
    /// What the database fails with, and whatever keeps the key from being used.
    fn mask<'a>(&'a self, ctx: &'a Ctx, call: Call<'a>) -> BoxFuture<'a, Result<Masked>>;

    /// Replaces what is personal in a text for people, such as an error.
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str>;
}

/// A call that is about to be performed.
pub struct Call<'a> {
    /// The operation.
    pub entry: &'a Entry,
    /// The named schemas that its own refers to.
    pub components: &'a Components,
    /// Its arguments, which its schema allows.
    pub input: &'a mut Value,
    /// The project of a call that names none.
    pub project: &'a mut Option<String>,
    /// The caller's promise to repeat nothing but this request.
    pub idempotency_key: &'a mut Option<String>,
}

/// What was replaced.
#[derive(Clone, Default)]
pub struct Masked {
    /// How many values of each kind.
    pub counts: BTreeMap<String, u64>,
    /// What the store needs to know of them; see [`Ctx::masked`].
    pub values: Option<Arc<dyn Any + Send + Sync>>,
}
