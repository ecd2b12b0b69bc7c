//! Recording: one event or many, each stored once.

use crate::batch::{in_item, prepare_all};
use crate::events::searched::{attributes, identity, is_same, item, text};
use crate::events::sql::{self, NewRow};
use crate::events::surprise::{LOOKED_AT, WINDOW, Window, Words};
use crate::events::{
    ConsolidationStatus, Event, EventType, Evidence, MAX_CONTENT_BYTES, Outcome, SAME_WITHIN, When,
};
use crate::items::ItemText;
use crate::projects;
use crate::work::triggers::{Happening, fire_for_events};
use athena_core::{Code, Ctx, Error, EventId, Operation, ProjectId, Result, Spec};
use athena_db::ErrorKind;
use athena_store::{Intent, Write, write};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Records that something happened: a test run, an error and its cure, a decision, a deployment.
/// Recording the same twice, by one `idempotency_key` or in the same words within ten minutes, keeps
/// it once: the answer then names the event that is there and says `duplicate`. A source that gives
/// every event a key of its own tells them apart by that, whatever they say. Events may be told
/// in any order, and take the place that their time gives them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventRecord")]
#[schemars(extend("not" = {"required": ["occurred_at", "timestamp"]}))]
pub struct Record {
    /// What happened, in full sentences that make sense by themselves; at most 1 MiB.
    #[schemars(length(min = 1), regex(pattern = r"\S"))]
    pub content: String,
    /// What sort of thing happened; `action` unless given.
    #[serde(default)]
    pub event_type: EventType,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When it happened: a time such as `2026-03-05T14:30:00Z`, or as much of the date as is known,
    /// `2026-03-05`, `2026-03` or `2026`. Now unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<When>,
    /// When it happened, in milliseconds since 1970, in place of `occurred_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -62_167_219_200_000_i64, max = 253_402_207_200_000_i64))]
    #[schemars(extend("x-advanced" = true))]
    pub timestamp: Option<i64>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub duration_ms: Option<i64>,
    /// The project it belongs to, by name; the surroundings' own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// The session it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub session: Option<String>,
    /// Which agent did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub agent: Option<String>,
    /// Where the record comes from, such as `git` or `hook`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub source: Option<String>,
    /// Its id where it comes from, such as that of a commit: of two events with the same one, the
    /// second is not stored, whatever else it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[schemars(extend("x-advanced" = true))]
    pub idempotency_key: Option<String>,
    /// What was learned from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100_000))]
    pub learned: Option<String>,
    /// Words to filter it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 100)))]
    pub tags: Vec<String>,
    /// The folder it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 700))]
    #[schemars(extend("x-text" = "path", "x-advanced" = true))]
    pub context_cwd: Option<String>,
    /// The files it was about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "paths")]
    pub context_files: Vec<String>,
    /// The task it was part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    #[schemars(extend("x-advanced" = true))]
    pub context_task: Option<String>,
    /// The phase of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[schemars(extend("x-advanced" = true))]
    pub context_phase: Option<String>,
    /// The branch of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[schemars(extend("x-advanced" = true))]
    pub context_branch: Option<String>,
    /// How many files were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    #[schemars(extend("x-advanced" = true))]
    pub files_changed: Option<i64>,
    /// How many lines were added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    #[schemars(extend("x-advanced" = true))]
    pub lines_added: Option<i64>,
    /// How many lines were deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    #[schemars(extend("x-advanced" = true))]
    pub lines_deleted: Option<i64>,
    /// The one file it was about first of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 700))]
    #[schemars(extend("x-text" = "path"))]
    pub file_path: Option<String>,
    /// The function, type or other name in the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub symbol: Option<String>,
    /// The programming language.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-advanced" = true))]
    pub language: Option<String>,
    /// What was changed, as a diff; only a marker is kept, unless the privacy policy says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000_000))]
    #[schemars(extend("x-advanced" = true))]
    pub diff: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[schemars(extend("x-advanced" = true))]
    pub git_commit: Option<String>,
    /// Who made the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    #[schemars(extend("x-advanced" = true))]
    pub git_author: Option<String>,
    /// The test that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub test_name: Option<String>,
    /// Whether it passed; what `outcome` says unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_passed: Option<bool>,
    /// The sort of error, such as `TypeError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[schemars(extend("x-advanced" = true))]
    pub error_type: Option<String>,
    /// Where in the code it went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000_000))]
    #[schemars(extend("x-advanced" = true))]
    pub stack_trace: Option<String>,
    /// What was measured, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = METRICS,
        "propertyNames" = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"\S"},
        "x-advanced" = true
    ))]
    pub metrics: BTreeMap<String, f64>,
    /// Anything else that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-advanced" = true))]
    pub metadata: Option<Map<String, Value>>,
    /// How surprising it was, 0 to 5. Unless given, an event of a session is compared with the five
    /// before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    #[schemars(extend("x-advanced" = true))]
    pub surprise: Option<f64>,
    /// How sure it is; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub confidence: Option<f64>,
    /// How it is known; `observed` unless given.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub evidence_type: Evidence,
    /// How good the evidence is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    #[schemars(extend("x-advanced" = true))]
    pub evidence_quality: Option<f64>,
    /// How much it matters; 0.5 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub importance: Option<f64>,
    /// Whether something is to be done about it.
    #[serde(default)]
    #[schemars(extend("x-advanced" = true))]
    pub actionable: bool,
    /// The id of the event that brought it about, of the same project.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub caused_by: Option<i64>,
}

/// Describes a list of paths.
fn paths(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 1_000,
        "items": {"type": "string", "minLength": 1, "maxLength": 700, "x-text": "path"},
    })
}

/// What was recorded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventRecorded")]
pub struct Recorded {
    /// The event's id.
    pub id: EventId,
    /// The event's id in every store that it is moved to.
    pub uid: Uuid,
    /// The id of its project.
    pub project_id: ProjectId,
    /// Whether it was known already; nothing was stored then.
    pub duplicate: bool,
}

impl Operation for Record {
    const SPEC: Spec = Spec::create("event.record", "/events")
        .command(&["record"])
        .positional(&["content"])
        .short(&[("event_type", 't'), ("outcome", 'o')])
        .stdin("content");
    type Output = Recorded;

    async fn call(self, ctx: &Ctx) -> Result<Recorded> {
        let drafts = Arc::new(vec![Draft::prepare(ctx, self)?]);
        store_once(ctx, "event.record", drafts, |stored| {
            let recorded = stored.events.into_iter().next();
            recorded.ok_or_else(|| Error::internal("an event was stored and is not there"))
        })
        .await
    }
}

/// Records up to a thousand events at once: all of them, or none if one is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EventRecordBatch")]
pub struct RecordBatch {
    /// What happened, in any order. Events without a `project` belong to the batch's.
    #[schemars(length(min = 1, max = 1_000))]
    pub events: Vec<Record>,
    /// The project of events that name none.
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
}

/// What was recorded, in the order in which it was told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventsRecorded")]
pub struct RecordedBatch {
    /// One answer an event.
    pub events: Vec<Recorded>,
    /// How many were stored and how many were not.
    pub stats: BatchStats,
}

/// How many events of a batch were stored and how many were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EventBatchStats")]
pub struct BatchStats {
    /// How many were told.
    pub total: usize,
    /// How many were stored.
    pub inserted: usize,
    /// How many were the same as an earlier one of the batch.
    pub skipped_duplicate: usize,
    /// How many were known already.
    pub skipped_existing: usize,
}

impl Operation for RecordBatch {
    const SPEC: Spec = Spec::create("event.record_batch", "/events/batch");
    type Output = RecordedBatch;

    async fn call(self, ctx: &Ctx) -> Result<RecordedBatch> {
        let Self {
            mut events,
            project,
        } = self;
        for event in &mut events {
            event.project = event.project.take().or_else(|| project.clone());
        }
        let drafts = prepare_all(ctx, EVENTS, events, Draft::prepare_in_batch).await?;
        store_once(ctx, "event.record_batch", Arc::new(drafts), Ok).await
    }
}

/// The field of a batch that holds its events.
const EVENTS: &str = "events";

/// How often a batch is tried while others store the same events.
const ATTEMPTS: u32 = 10;

/// Stores events in one transaction, and answers what `answer` makes of it.
///
/// Two that store the same event at once do not see each other; the second to commit meets a unique
/// key and begins anew, when it sees what the first one stored.
async fn store_once<T>(
    ctx: &Ctx,
    operation: &'static str,
    drafts: Arc<Vec<Draft>>,
    answer: fn(RecordedBatch) -> Result<T>,
) -> Result<T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    for _ in 0..ATTEMPTS {
        let intent = Intent::new(operation).of_items(drafts.len());
        let drafts = Arc::clone(&drafts);
        let stored = write(ctx, intent, move |write| {
            let drafts = Arc::clone(&drafts);
            Box::pin(async move { answer(store_all(write, &drafts).await?) })
        })
        .await;
        match stored {
            Err(error) if is_taken(&error) => {}
            done => return done,
        }
    }
    let message = "others record the same events again and again; try again";
    Err(Error::new(Code::Busy, message))
}

fn is_taken(error: &Error) -> bool {
    let kind = error.database().map(athena_db::Error::kind);
    matches!(kind, Some(ErrorKind::Unique { .. }))
}

async fn store_all(write: &Write<'_>, drafts: &[Draft]) -> Result<RecordedBatch> {
    let projects = projects_of(write, drafts).await?;
    let mut places = within_batch(drafts, &projects);
    for project in projects.iter().copied().collect::<BTreeSet<_>>() {
        find_existing(write, drafts, &projects, project, &mut places).await?;
    }
    check_causes(write, drafts, &projects, &places).await?;
    let new: Vec<usize> = (0..drafts.len())
        .filter(|index| places[*index] == Place::New)
        .collect();
    let ids = insert(write, drafts, &projects, &new).await?;
    answer(drafts, &projects, &places, &ids)
}

/// Returns the project of each event.
async fn projects_of(write: &Write<'_>, drafts: &[Draft]) -> Result<Vec<ProjectId>> {
    let mut known: HashMap<Option<&str>, ProjectId> = HashMap::new();
    let mut projects = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.iter().enumerate() {
        let name = draft.project.as_deref();
        let project = match known.entry(name) {
            Entry::Occupied(project) => *project.get(),
            Entry::Vacant(place) => {
                let project = projects::for_writing(write, name).await;
                place
                    .insert(project.map_err(|error| of(draft, error, index))?.id)
                    .to_owned()
            }
        };
        projects.push(project);
    }
    Ok(projects)
}

/// Says which event of a batch an error is about.
fn of(draft: &Draft, error: Error, index: usize) -> Error {
    match draft.is_in_batch {
        true => in_item(EVENTS, error, index),
        false => error,
    }
}

/// What becomes of an event that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is stored.
    New,
    /// It is the same as an earlier one of the batch.
    SameAs(usize),
    /// It is there already.
    Existing(EventId, Uuid),
}

/// Finds the events of a batch that an earlier one of it tells already.
fn within_batch(drafts: &[Draft], projects: &[ProjectId]) -> Vec<Place> {
    let mut by_key: HashMap<(ProjectId, &str), usize> = HashMap::new();
    let mut by_hash: HashMap<(ProjectId, &str), Vec<usize>> = HashMap::new();
    let mut places = Vec::with_capacity(drafts.len());
    for (index, (draft, project)) in drafts.iter().zip(projects).enumerate() {
        let key = draft.key().map(|key| (*project, key));
        let told = by_hash.entry((*project, &draft.content_hash)).or_default();
        let same = key.and_then(|key| by_key.get(&key).copied());
        let alike = |other: &&usize| draft.is_same_as(&drafts[**other].event);
        let same = same.or_else(|| told.iter().find(alike).copied());
        places.push(match same {
            Some(same) => Place::SameAs(same),
            None => {
                told.push(index);
                by_key.extend(key.map(|key| (key, index)));
                Place::New
            }
        });
    }
    places
}

/// Finds the events of a batch that a project has already.
async fn find_existing(
    write: &Write<'_>,
    drafts: &[Draft],
    projects: &[ProjectId],
    project: ProjectId,
    places: &mut [Place],
) -> Result<()> {
    let asked: Vec<usize> = (0..drafts.len())
        .filter(|index| projects[*index] == project && places[*index] == Place::New)
        .collect();
    let keys: Vec<&str> = asked
        .iter()
        .filter_map(|index| drafts[*index].key())
        .collect();
    let hashes = asked
        .iter()
        .map(|index| drafts[*index].content_hash.as_str());
    let buckets = asked.iter().flat_map(|index| {
        let bucket = drafts[*index].event.time_bucket();
        [bucket - 1, bucket, bucket + 1]
    });
    let hashes: Vec<&str> = hashes.collect::<BTreeSet<_>>().into_iter().collect();
    let buckets: Vec<i64> = buckets.collect::<BTreeSet<_>>().into_iter().collect();
    let by_key: HashMap<String, (EventId, Uuid)> = sql::with_keys(write.tx(), project, &keys)
        .await?
        .into_iter()
        .map(|(key, id, uid)| (key, (id, uid)))
        .collect();
    let mut by_hash: HashMap<String, Vec<sql::Alike>> = HashMap::new();
    for alike in sql::with_hashes(write.tx(), project, &hashes, buckets).await? {
        let told = by_hash.entry(alike.content_hash.clone()).or_default();
        told.push(alike);
    }
    for index in asked {
        let draft = &drafts[index];
        let keyed = draft.key().and_then(|key| by_key.get(key).copied());
        let told = by_hash.get(&draft.content_hash).into_iter().flatten();
        let mut same = told.filter(|alike| is_same(&draft.event, alike));
        let same = keyed.or_else(|| same.next().map(|alike| (alike.id, alike.uid)));
        if let Some((id, uid)) = same {
            places[index] = Place::Existing(id, uid);
        }
    }
    Ok(())
}

/// Refuses events whose causes are not events of the same project.
async fn check_causes(
    write: &Write<'_>,
    drafts: &[Draft],
    projects: &[ProjectId],
    places: &[Place],
) -> Result<()> {
    let mut causes: BTreeMap<ProjectId, Vec<EventId>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if places[index] == Place::New {
            causes
                .entry(projects[index])
                .or_default()
                .extend(draft.event.caused_by);
        }
    }
    for (project, causes) in causes {
        let found = sql::in_project(write.tx(), project, &causes).await?;
        let missing = drafts.iter().enumerate().find_map(|(index, draft)| {
            let cause = draft.event.caused_by?;
            let is_asked = projects[index] == project && places[index] == Place::New;
            (is_asked && !found.contains(&cause)).then_some((index, cause))
        });
        if let Some((index, cause)) = missing {
            let error = Error::not_found(format_args!("event `{cause}` of the same project"));
            return Err(of(&drafts[index], error.with_field("caused_by"), index));
        }
    }
    Ok(())
}

/// Stores new events, tells search of them, and returns their ids by `uid`.
async fn insert(
    write: &Write<'_>,
    drafts: &[Draft],
    projects: &[ProjectId],
    new: &[usize],
) -> Result<HashMap<Uuid, EventId>> {
    if new.is_empty() {
        return Ok(HashMap::new());
    }
    let surprises = surprises(write, drafts, projects, new).await?;
    let rows: Vec<NewRow<'_>> = new
        .iter()
        .map(|index| NewRow {
            event: &drafts[*index].event,
            project: projects[*index],
            surprise: surprises.get(index).copied(),
            content_hash: &drafts[*index].content_hash,
        })
        .collect();
    let ids = sql::insert(write.tx(), &rows).await?;
    for index in new {
        let draft = &drafts[*index];
        if let Some(id) = ids.get(&draft.event.uid) {
            let attributes = attributes(&draft.event);
            draft
                .text
                .log(write, projects[*index], item(*id), &attributes)
                .await?;
        }
    }
    fire_triggers(write, drafts, projects, new).await?;
    Ok(ids)
}

/// Fires the triggers that wait for something like what happened.
async fn fire_triggers(
    write: &Write<'_>,
    drafts: &[Draft],
    projects: &[ProjectId],
    new: &[usize],
) -> Result<()> {
    let mut by_project: BTreeMap<ProjectId, Vec<usize>> = BTreeMap::new();
    for index in new {
        by_project.entry(projects[*index]).or_default().push(*index);
    }
    for (project, told) in by_project {
        let happenings: Vec<Happening<'_>> = told
            .iter()
            .map(|index| {
                let draft = &drafts[*index];
                let event = &draft.event;
                let when = When {
                    at: event.occurred_at,
                    precision: event.precision,
                };
                Happening {
                    event_type: Some(event.event_type.as_str()),
                    outcome: event.outcome.map(Outcome::as_str),
                    content: Some(&event.content),
                    files: &draft.files,
                    locations: [
                        event.context_branch.as_deref(),
                        event.context_cwd.as_deref(),
                    ],
                    tags: &event.tags,
                    at: Some(when.end()),
                }
            })
            .collect();
        fire_for_events(write, project, &happenings).await?;
    }
    Ok(())
}

/// Returns how surprising new events are: as they were told, or as the sessions' last events make them.
async fn surprises(
    write: &Write<'_>,
    drafts: &[Draft],
    projects: &[ProjectId],
    new: &[usize],
) -> Result<HashMap<usize, f64>> {
    let mut surprises = HashMap::new();
    let mut sessions: BTreeMap<(ProjectId, &str), Vec<usize>> = BTreeMap::new();
    for index in new {
        let event = &drafts[*index].event;
        surprises.extend(event.surprise.map(|surprise| (*index, surprise)));
        if let Some(session) = event.session.as_deref() {
            sessions
                .entry((projects[*index], session))
                .or_default()
                .push(*index);
        }
    }
    for ((project, session), mut told) in sessions {
        told.sort_by_key(|index| (drafts[*index].event.occurred_at, *index));
        let Some(first) = told.first().map(|index| drafts[*index].event.occurred_at) else {
            continue;
        };
        let before = sql::said_before(write.tx(), project, session, first, WINDOW, LOOKED_AT);
        let mut window = Window::default();
        for (event_type, outcome, content) in before.await? {
            window.next(Words::new(event_type, outcome, &content));
        }
        for index in told {
            if let Some(surprise) = window.next(Words::of(&drafts[index].event)) {
                surprises.entry(index).or_insert(surprise);
            }
        }
    }
    Ok(surprises)
}

fn answer(
    drafts: &[Draft],
    projects: &[ProjectId],
    places: &[Place],
    ids: &HashMap<Uuid, EventId>,
) -> Result<RecordedBatch> {
    let mut stats = BatchStats {
        total: drafts.len(),
        ..BatchStats::default()
    };
    let mut events: Vec<Recorded> = Vec::with_capacity(drafts.len());
    for (index, place) in places.iter().enumerate() {
        let (id, uid) = match *place {
            Place::New => {
                stats.inserted += 1;
                let uid = drafts[index].event.uid;
                let id = ids.get(&uid).copied();
                (
                    id.ok_or_else(|| Error::internal("an event was stored and is not there"))?,
                    uid,
                )
            }
            Place::SameAs(earlier) => {
                stats.skipped_duplicate += 1;
                (events[earlier].id, events[earlier].uid)
            }
            Place::Existing(id, uid) => {
                stats.skipped_existing += 1;
                (id, uid)
            }
        };
        events.push(Recorded {
            id,
            uid,
            project_id: projects[index],
            duplicate: *place != Place::New,
        });
    }
    Ok(RecordedBatch { events, stats })
}

/// An event about to be stored, checked, split and embedded: all that is done before the transaction
/// begins.
#[derive(Debug)]
struct Draft {
    /// Whether it was told with others, so that an error must say which one it is about.
    is_in_batch: bool,
    event: Event,
    content_hash: String,
    project: Option<String>,
    text: ItemText,
    /// Its own file and those of its surroundings.
    files: Vec<String>,
}

impl Draft {
    /// Checks and prepares.
    fn prepare(ctx: &Ctx, record: Record) -> Result<Self> {
        check(&record)?;
        let when = occurred(ctx, &record)?;
        let project = record.project.clone();
        let event = new_event(ctx, record, when);
        Ok(Self {
            is_in_batch: false,
            content_hash: identity(&event),
            text: ItemText::prepare(ctx, text(&event)),
            project,
            files: event.files().into_iter().map(str::to_owned).collect(),
            event,
        })
    }

    /// Checks and prepares one of a batch.
    fn prepare_in_batch(ctx: &Ctx, record: Record) -> Result<Self> {
        let draft = Self::prepare(ctx, record)?;
        Ok(Self {
            is_in_batch: true,
            ..draft
        })
    }

    fn key(&self) -> Option<&str> {
        self.event.idempotency_key.as_deref()
    }

    /// Whether another one that says the same is the same event.
    fn is_same_as(&self, other: &Event) -> bool {
        let gap = self.event.occurred_at.as_microsecond() - other.occurred_at.as_microsecond();
        let key = other.idempotency_key.as_deref();
        gap.abs() <= SAME_WITHIN && !self.event.is_told_apart_from(other.source.as_deref(), key)
    }
}

fn check(record: &Record) -> Result<()> {
    if record.content.len() > MAX_CONTENT_BYTES {
        let message = format!(
            "`content` has {} bytes, at most {MAX_CONTENT_BYTES} are allowed; say what happened in \
             fewer words, or split it into several events",
            record.content.len()
        );
        return Err(Error::new(Code::ContentTooLarge, message).with_field("content"));
    }
    check_metrics(&record.metrics)
}

/// The most numbers that an event may have, and the most characters of their names.
const METRICS: usize = 100;

fn check_metrics(metrics: &BTreeMap<String, f64>) -> Result<()> {
    if metrics.len() > METRICS {
        let problem = format!("must have at most {METRICS} entries, has {}", metrics.len());
        return Err(Error::invalid("metrics", problem));
    }
    let is_named = |name: &String| !name.trim().is_empty() && name.chars().count() <= 100;
    match metrics.keys().find(|name| !is_named(name)) {
        Some(_) => Err(Error::invalid(
            "metrics",
            "needs names of 1 to 100 characters",
        )),
        None => Ok(()),
    }
}

/// Returns when an event happened, in whichever way that was said.
fn occurred(ctx: &Ctx, record: &Record) -> Result<When> {
    let timestamp = record.timestamp.map(|milliseconds| {
        let problem = format!(
            "must be milliseconds since 1970 of a time in the years 0 to 9999, is {milliseconds}"
        );
        let time = Timestamp::from_millisecond(milliseconds).ok();
        let time = time.filter(|time| *time >= FIRST);
        time.ok_or_else(|| Error::invalid("timestamp", problem))
    });
    let timestamp = timestamp.transpose()?.map(When::exactly);
    let now = || When::exactly(ctx.now());
    Ok(record.occurred_at.or(timestamp).unwrap_or_else(now))
}

/// The beginning of the year 0: no earlier time can be written as text.
const FIRST: Timestamp = Timestamp::constant(-62_167_219_200, 0);

fn new_event(ctx: &Ctx, record: Record, when: When) -> Event {
    let (outcome, test_passed) = ended(&record);
    Event {
        id: EventId(0),
        project_id: ProjectId(0),
        uid: Uuid::now_v7(),
        event_type: record.event_type,
        content: record.content,
        outcome,
        occurred_at: when.at,
        precision: when.precision,
        duration_ms: record.duration_ms,
        session: record.session,
        agent: record.agent,
        source: record.source,
        idempotency_key: record.idempotency_key,
        context_cwd: record.context_cwd,
        context_files: record.context_files,
        context_task: record.context_task,
        context_phase: record.context_phase,
        context_branch: record.context_branch,
        files_changed: record.files_changed,
        lines_added: record.lines_added,
        lines_deleted: record.lines_deleted,
        file_path: record.file_path,
        symbol: record.symbol,
        language: record.language,
        diff: record.diff,
        git_commit: record.git_commit,
        git_author: record.git_author,
        test_name: record.test_name,
        test_passed,
        error_type: record.error_type,
        stack_trace: record.stack_trace,
        metrics: record.metrics,
        learned: record.learned,
        tags: record.tags,
        metadata: record.metadata,
        surprise: record.surprise,
        confidence: record.confidence.unwrap_or(1.0),
        evidence_type: record.evidence_type,
        evidence_quality: record.evidence_quality,
        importance: record.importance.unwrap_or(0.5),
        actionable: record.actionable,
        uses: 0,
        last_used_at: None,
        caused_by: record.caused_by.map(EventId),
        consolidation_status: ConsolidationStatus::Unconsolidated,
        consolidated_at: None,
        memory_id: None,
        principal: ctx.caller().principal.clone(),
        created_at: ctx.now(),
        removed_at: None,
    }
}

/// Returns how an event ended and whether its test passed: of a run of tests, each says the other.
fn ended(record: &Record) -> (Option<Outcome>, Option<bool>) {
    let outcome = record.outcome;
    if record.event_type != EventType::TestRun {
        return (outcome, record.test_passed);
    }
    let passed = record.test_passed.or(match outcome {
        Some(Outcome::Success) => Some(true),
        Some(Outcome::Failure) => Some(false),
        _ => None,
    });
    let told = record.test_passed.map(|passed| match passed {
        true => Outcome::Success,
        false => Outcome::Failure,
    });
    (outcome.or(told), passed)
}
