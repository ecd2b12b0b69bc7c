//! The list of all operations, from which every face is made.

use crate::schema::{self, Components};
use crate::{Call, Code, Ctx, Effect, Error, Idempotency, Masked, Operation, Result, Spec};
use futures_util::future::BoxFuture;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// All operations of a process, in the order in which they were listed.
pub struct Registry {
    entries: Vec<Entry>,
    by_name: HashMap<&'static str, usize>,
    components: Components,
    // Behind locks only because a generator is `Send` but not `Sync`, and a registry is shared.
    inputs: Mutex<SchemaGenerator>,
    outputs: Mutex<SchemaGenerator>,
    /// The names that were taken over from each generator.
    collected: [HashSet<String>; 2],
}

/// One operation, with its types erased.
pub struct Entry {
    /// Its name and how the faces show it.
    pub spec: Spec,
    /// The first sentence of its description.
    pub summary: String,
    /// What it does, for people and agents.
    pub description: String,
    /// The schema of its input: always an object.
    pub input: Value,
    /// The schema of its output: always an object.
    pub output: Value,
    home: Home,
    handler: Handler,
}

type Home = for<'a> fn(&'a Ctx, &'a Value) -> BoxFuture<'a, Result<Option<String>>>;
type Handler = Box<dyn Fn(Ctx, Value) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

impl Registry {
    /// Makes an empty registry.
    #[must_use]
    pub fn new() -> Self {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            settings
        };
        Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
            components: Components::new(),
            inputs: Mutex::new(settings().for_deserialize().into_generator()),
            outputs: Mutex::new(settings().for_serialize().into_generator()),
            collected: Default::default(),
        }
    }

    /// Adds an operation.
    ///
    /// # Panics
    ///
    /// If the name or the HTTP route is taken, if the input has no doc comment or is no object, if
    /// a field that the specification names does not exist, or if two types of one schema name
    /// have different shapes. All of these are mistakes in the source.
    #[must_use]
    pub fn with<O: Operation>(mut self) -> Self {
        let spec = O::SPEC;
        let name = spec.name;
        let mut input = O::json_schema(generator(&mut self.inputs)).to_value();
        let mut output =
            <O::Output as JsonSchema>::json_schema(generator(&mut self.outputs)).to_value();
        schema::normalise(&mut input);
        schema::normalise(&mut output);
        let description = take_text(&mut input, "description")
            .unwrap_or_else(|| panic!("operation `{name}` has no doc comment"));
        take_text(&mut input, "title");
        take_text(&mut output, "title");
        assert_eq!(
            input["type"], "object",
            "the input of `{name}` must be a struct"
        );
        if input.get("properties").is_none() {
            input["properties"] = Value::Object(Components::new());
        }
        assert_names_exist(&spec, &input);
        if spec.effect != Effect::Read {
            output["properties"][MASKED] = masked_schema();
        }
        assert!(
            !self
                .entries
                .iter()
                .any(|entry| entry.spec.http.method == spec.http.method
                    && entry.spec.http.path == spec.http.path),
            "the route of `{name}` is taken"
        );
        assert!(
            self.by_name.insert(name, self.entries.len()).is_none(),
            "operation `{name}` is listed twice"
        );
        self.collect_components();
        self.entries.push(Entry {
            summary: first_sentence(&description),
            description,
            input,
            output,
            home: O::home,
            handler: Box::new(|ctx, input| Box::pin(run::<O>(ctx, input))),
            spec,
        });
        self
    }

    /// Returns all operations in the order in which they were listed.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the operation of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|index| &self.entries[*index])
    }

    /// Returns the named schemas that inputs and outputs refer to.
    #[must_use]
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// Performs the operation of that name.
    ///
    /// `idempotency_key` makes a repeated request answer what the first one did.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`] for an unknown name, [`Code::InvalidInput`] for arguments that its schema
    /// does not allow, and what the operation itself fails with.
    pub async fn call(
        &self,
        name: &str,
        ctx: &Ctx,
        input: Value,
        idempotency_key: Option<String>,
    ) -> Result<Value> {
        let entry = self
            .get(name)
            .ok_or_else(|| Error::not_found(format_args!("operation `{name}`")))?;
        self.invoke(entry, ctx, input, idempotency_key).await
    }

    /// Performs an operation of this registry; see [`call`](Self::call).
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub async fn invoke(
        &self,
        entry: &Entry,
        ctx: &Ctx,
        input: Value,
        idempotency_key: Option<String>,
    ) -> Result<Value> {
        self.perform(entry, ctx, input, idempotency_key)
            .await
            .inspect_err(|error| {
                debug_assert!(
                    entry.error_codes().contains(&error.code()),
                    "`{}` announces no `{}`",
                    entry.spec.name,
                    error.code()
                );
            })
            .map_err(|error| match ctx.env().masker() {
                Some(masker) => error.redacted(|text| masker.redact(text)),
                None => error,
            })
    }

    async fn perform(
        &self,
        entry: &Entry,
        ctx: &Ctx,
        mut input: Value,
        mut idempotency_key: Option<String>,
    ) -> Result<Value> {
        schema::accept(&entry.input, &self.components, &mut input)?;
        let mut ctx = ctx.clone();
        let mut project = ctx.own_project().map(str::to_owned);
        let masked = match ctx.env().masker() {
            Some(masker) => {
                let call = Call {
                    entry,
                    components: &self.components,
                    input: &mut input,
                    project: &mut project,
                    idempotency_key: &mut idempotency_key,
                };
                masker.mask(&ctx, call).await?
            }
            None => Masked::default(),
        };
        if let Some(project) = project {
            ctx = ctx.with_project(project);
        }
        ctx = ctx.with_masked(masked.values);
        if let Some(key) = idempotency_key {
            ctx = ctx.with_idempotency(Idempotency {
                key,
                request_hash: request_hash(&entry.spec, &input),
            });
        }
        let mut output = (entry.handler)(ctx, input).await?;
        if entry.spec.effect != Effect::Read && !masked.counts.is_empty() {
            output[MASKED] = json!(masked.counts);
        }
        schema::prune(&entry.output, &self.components, &mut output);
        Ok(output)
    }

    /// Takes over the named schemas that the generators met since the last time.
    fn collect_components(&mut self) {
        let generators = [&mut self.inputs, &mut self.outputs];
        for (locked, collected) in generators.into_iter().zip(&mut self.collected) {
            for (name, shape) in generator(locked).definitions() {
                // A generator never changes a shape. Looking at each once keeps the start of every
                // process, which lists all operations, short.
                if !collected.insert(name.clone()) {
                    continue;
                }
                let mut shape = shape.clone();
                schema::normalise(&mut shape);
                let known = self
                    .components
                    .entry(name.clone())
                    .or_insert_with(|| shape.clone());
                assert!(
                    *known == shape,
                    "the schema name `{name}` stands for two shapes"
                );
            }
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| entry.spec.name))
            .finish()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// Returns the schema of an input field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.input["properties"].get(name)
    }

    /// Returns the names of the input fields, in alphabetical order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.input["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, field)| (name.as_str(), field))
    }

    /// Returns the project that an input is about; see [`Operation::home`].
    ///
    /// # Errors
    ///
    /// What looking it up fails with.
    pub async fn home(&self, ctx: &Ctx, input: &Value) -> Result<Option<String>> {
        (self.home)(ctx, input).await
    }

    /// Whether the input must have that field.
    #[must_use]
    pub fn requires(&self, name: &str) -> bool {
        self.input["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|required| required == name))
    }

    /// Returns the codes it can fail with: its own and those that every operation has.
    #[must_use]
    pub fn error_codes(&self) -> Vec<Code> {
        let mut codes = vec![
            Code::InvalidInput,
            Code::ContentTooLarge,
            Code::NotFound,
            // A store whose key is not at hand is in no state to take what must be masked.
            Code::InvalidState,
            Code::Busy,
            Code::Timeout,
            Code::Unavailable,
            Code::Unsupported,
            Code::Internal,
        ];
        if self.spec.effect != Effect::Read {
            codes.extend([
                Code::IdempotencyMismatch,
                Code::ReadOnly,
                Code::NewerStore,
                Code::StorageFull,
            ]);
        }
        codes.extend(
            self.spec
                .errors
                .iter()
                .filter(|code| !codes.contains(code))
                .copied()
                .collect::<Vec<_>>(),
        );
        codes
    }
}

/// The field of a change's answer that says how many values were replaced.
const MASKED: &str = "masked";

fn masked_schema() -> Value {
    json!({
        "type": "object",
        "description": "How many values were replaced by tokens before anything was stored, by kind.",
        "additionalProperties": {"type": "integer", "format": "int64", "minimum": 0},
    })
}

fn generator(lock: &mut Mutex<SchemaGenerator>) -> &mut SchemaGenerator {
    lock.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the input, performs the operation and writes the output.
async fn run<O: Operation>(ctx: Ctx, input: Value) -> Result<Value> {
    // The path is only kept track of for an error.
    let operation: O = match O::deserialize(&input) {
        Ok(operation) => operation,
        Err(_) => serde_path_to_error::deserialize(input).map_err(|error| {
            let path = error.path().to_string();
            Error::invalid(&path, format_args!("cannot be read: {}", error.inner()))
        })?,
    };
    let output = operation.call(&ctx).await?;
    serde_json::to_value(output).map_err(Error::internal)
}

/// Identifies a request, so that its repetition is told from another one with the same key.
fn request_hash(spec: &Spec, input: &Value) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(spec.name.as_bytes());
    hasher.update([0]);
    hasher.update(input.to_string().as_bytes());
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn take_text(schema: &mut Value, key: &str) -> Option<String> {
    match schema.as_object_mut()?.remove(key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn first_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    paragraph
        .split_once(". ")
        .map_or(paragraph.clone(), |(first, _)| format!("{first}."))
}

fn assert_names_exist(spec: &Spec, input: &Value) {
    let in_path = spec
        .http
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name);
    let named = in_path
        .chain(spec.cli.positional.iter().copied())
        .chain(spec.cli.short.iter().map(|(name, _)| *name))
        .chain(spec.cli.stdin);
    for field in named {
        assert!(
            input["properties"].get(field).is_some(),
            "operation `{}` has no field `{field}`",
            spec.name
        );
    }
}
