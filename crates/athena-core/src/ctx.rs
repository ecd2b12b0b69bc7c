//! What an operation is called with: the store's parts, who calls, and for which project.

use crate::{BuiltinEmbedder, Clock, Embedder, Embedders, Masker, SystemClock};
use athena_db::Database;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The project of calls that name none in surroundings that have none.
pub const DEFAULT_PROJECT: &str = "default";

/// The context of one call.
///
/// Cheap to clone. Faces make one per call with [`Ctx::for_caller`].
#[derive(Clone)]
pub struct Ctx {
    env: Arc<Env>,
    caller: Caller,
    project: Option<String>,
    idempotency: Option<Idempotency>,
    masked: Option<Arc<dyn Any + Send + Sync>>,
    /// Whether there is no input that could still hold personal data.
    is_masked: bool,
    is_own_work: bool,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The principal that is recorded with every row it writes, such as `cli` or `mcp`.
    pub principal: String,
}

/// A promise to perform a request at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key that the caller chose.
    pub key: String,
    /// SHA-256 of the operation's name and its arguments, in hexadecimal.
    pub request_hash: String,
}

impl Ctx {
    /// Makes the context of a call by `principal`.
    #[must_use]
    pub fn for_caller(env: Arc<Env>, principal: impl Into<String>) -> Self {
        Self {
            env,
            caller: Caller {
                principal: principal.into(),
            },
            project: None,
            idempotency: None,
            masked: None,
            is_masked: false,
            is_own_work: false,
        }
    }

    /// Makes the context of work that Athena does by itself, with no input from outside.
    #[must_use]
    pub fn for_own_work(env: Arc<Env>) -> Self {
        Self {
            is_masked: true,
            is_own_work: true,
            ..Self::for_caller(env, "athena")
        }
    }

    /// Names who asked for that work.
    #[must_use]
    pub fn asked_by(mut self, principal: impl Into<String>) -> Self {
        self.caller.principal = principal.into();
        self
    }

    /// Sets the project of calls that name none.
    #[must_use]
    pub fn with_project(mut self, name: impl Into<String>) -> Self {
        self.project = Some(name.into());
        self
    }

    /// Sets the idempotency key of the call.
    #[must_use]
    pub fn with_idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = Some(idempotency);
        self
    }

    /// Keeps what was replaced in the input of the call.
    pub(crate) fn with_masked(mut self, values: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        self.masked = values;
        self.is_masked = true;
        self
    }

    /// Whether the input of the call went through the [`Registry`](crate::Registry), which masks it.
    ///
    /// An operation that is called past it may read, and is not let write.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.is_masked
    }

    /// Whether Athena works by itself here: nobody else changes anything.
    #[must_use]
    pub fn is_own_work(&self) -> bool {
        self.is_own_work
    }

    /// Returns what the [`Masker`] kept of the values that it replaced in the input of the call.
    #[must_use]
    pub fn masked<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.masked.as_ref()?.downcast_ref()
    }

    /// Drops the idempotency key: for a further change within a call, which is not the request.
    #[must_use]
    pub fn without_idempotency(mut self) -> Self {
        self.idempotency = None;
        self
    }

    /// Returns the database.
    #[must_use]
    pub fn db(&self) -> &Database {
        &self.env.db
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.env.clock.now()
    }

    /// Returns the built-in embedder.
    #[must_use]
    pub fn builtin(&self) -> &dyn BuiltinEmbedder {
        &*self.env.embedders.builtin
    }

    /// Returns the embedder of the model that the settings name, if they name one.
    #[must_use]
    pub fn model(&self) -> Option<&dyn Embedder> {
        self.env.embedders.model.as_deref()
    }

    /// Returns what all calls share.
    #[must_use]
    pub fn env(&self) -> &Arc<Env> {
        &self.env
    }

    /// Returns who calls.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the project of a call that names none: the face's choice, else `default`.
    #[must_use]
    pub fn project(&self) -> &str {
        self.project.as_deref().unwrap_or(DEFAULT_PROJECT)
    }

    /// Returns the project that the face chose for calls that name none, if it chose one.
    pub(crate) fn own_project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// Returns the idempotency key of the call, if it has one.
    #[must_use]
    pub fn idempotency(&self) -> Option<&Idempotency> {
        self.idempotency.as_ref()
    }

    /// Returns a part that a crate above this one put into the environment.
    ///
    /// # Panics
    ///
    /// If it was not put there: the binary wires every part before the first call.
    #[must_use]
    pub fn part<T: Any + Send + Sync>(&self) -> &T {
        self.env.part()
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx")
            .field("caller", &self.caller)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

/// What all calls of a process share.
pub struct Env {
    db: Database,
    clock: Arc<dyn Clock>,
    embedders: Embedders,
    masker: Option<Arc<dyn Masker>>,
    parts: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl Env {
    /// Starts an environment with the system's clock.
    #[must_use]
    pub fn builder(db: Database, embedders: Embedders) -> EnvBuilder {
        EnvBuilder(Self {
            db,
            clock: Arc::new(SystemClock),
            embedders,
            masker: None,
            parts: HashMap::new(),
        })
    }

    /// Returns the database.
    #[must_use]
    pub fn db(&self) -> &Database {
        &self.db
    }

    /// Returns what makes vectors.
    #[must_use]
    pub fn embedders(&self) -> &Embedders {
        &self.embedders
    }

    /// Returns what takes personal data out of inputs, if there is something to store.
    #[must_use]
    pub fn masker(&self) -> Option<&Arc<dyn Masker>> {
        self.masker.as_ref()
    }

    /// Returns a part that a crate above this one put here.
    ///
    /// # Panics
    ///
    /// If it was not put here.
    #[must_use]
    pub fn part<T: Any + Send + Sync>(&self) -> &T {
        self.parts
            .get(&TypeId::of::<T>())
            .and_then(|part| part.downcast_ref())
            .unwrap_or_else(|| {
                panic!(
                    "`{}` was not wired into the environment",
                    std::any::type_name::<T>()
                )
            })
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

/// Wires an [`Env`].
#[derive(Debug)]
pub struct EnvBuilder(Env);

impl EnvBuilder {
    /// Uses another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// Takes personal data out of every input.
    #[must_use]
    pub fn masker(mut self, masker: Arc<dyn Masker>) -> Self {
        self.0.masker = Some(masker);
        self
    }

    /// Adds a part that operations find by its type.
    #[must_use]
    pub fn part<T: Any + Send + Sync>(mut self, part: T) -> Self {
        self.0.parts.insert(TypeId::of::<T>(), Box::new(part));
        self
    }

    /// Finishes the environment.
    #[must_use]
    pub fn build(self) -> Arc<Env> {
        Arc::new(self.0)
    }
}
