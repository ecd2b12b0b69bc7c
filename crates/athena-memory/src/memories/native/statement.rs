//! The one statement: every arm, their fusion, the filters and the rows.
//!
//! Each arm names its best memories within the filters, and the arms are joined by their ranks (RRF,
//! k = 60; Cormack, Clarke, Büttcher, 2009), scaled so that first in all of them is 1. Raw scores are
//! no base for a sum: the best `ts_rank` is a few hundredths, which a cosine drowns. What an arm has
//! to say of a memory that another one found is told nevertheless.

use super::found::Found;
use super::keep::lexeme;
use crate::memories::sql;
use athena_core::{ProjectId, Result};
use athena_db::{Executor, Params, Tx};
use athena_search::analyze::query_terms;
use athena_search::{Ground, Mode, Query, QueryVector, Recency, Summary, Weights, shorter_stems};
use athena_store::Question;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// How slowly the weight of a rank falls.
const K: f64 = 60.0;
/// Halvings of age after which nothing is left; PostgreSQL calls less than the smallest number an
/// error.
const MOST_HALVINGS: f64 = 1_000.0;

/// What the arms look through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// That many each, by their indexes.
    Nearest(usize),
    /// Everything that passes the filters, one by one.
    All,
}

/// Returns what a place from 1 is worth: 1 for the first.
pub(super) fn by_place(place: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "places stay below 2^53")]
    let place = place as f64;
    (K + 1.0) / (K + place)
}

/// Returns what a memory of that time gets for being new, before its weight.
pub(super) fn by_age(recency: &Recency, time: Timestamp) -> f64 {
    let age = recency.now.saturating_sub(time.as_microsecond()).max(0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds stay below 2^53 for 285 years"
    )]
    let halvings = age as f64 / recency.half_life.max(1) as f64;
    0.5_f64.powf(halvings.min(MOST_HALVINGS))
}

/// A vector to compare with.
#[derive(Debug)]
struct Direction {
    ground: Ground,
    vector: QueryVector,
}

impl Direction {
    /// Names it in the statement.
    fn name(&self) -> &'static str {
        match self.ground {
            Ground::Model => "model",
            _ => "builtin",
        }
    }

    /// The cosine distance of a passage `p`.
    ///
    /// The width and the model stand in the text, because an index is for one model alone, and the
    /// planner must see that the question is for it too.
    fn distance(&self) -> String {
        let (name, dim) = (self.name(), self.vector.values.len());
        format!("(p.v::halfvec({dim}) <=> :{name}_vector::vector({dim})::halfvec({dim}))")
    }

    /// The best passage of the memory `f.memory_id`: its cosine or its number.
    fn best_passage(&self, column: &str) -> String {
        let (distance, model) = (self.distance(), self.vector.model);
        format!(
            "(SELECT {column} FROM native_passages p
              WHERE p.memory_id = f.memory_id AND p.model_id = {model}
              ORDER BY {distance}, p.n LIMIT 1)"
        )
    }

    fn cosine(&self) -> String {
        self.best_passage(&format!("1 - {}", self.distance()))
    }
}

/// A question as a statement.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    query: &'a Query,
    projects: Vec<i64>,
    now: Timestamp,
    /// Each of the question's words, as `tsquery`, with the spellings that projects have of it.
    words: Vec<String>,
    terms: Vec<String>,
    directions: Vec<Direction>,
}

impl<'a> Statement<'a> {
    pub(super) fn new(
        query: &'a Query,
        projects: &[ProjectId],
        question: Question,
        now: Timestamp,
    ) -> Self {
        let (terms, words) = match query.mode {
            Mode::Semantic => (Vec::new(), Vec::new()),
            Mode::Keyword | Mode::Hybrid => words(query),
        };
        let builtin = question.builtin.map(|vector| (Ground::Builtin, vector));
        let model = question.model.map(|vector| (Ground::Model, vector));
        Self {
            projects: projects.iter().map(|project| project.0).collect(),
            now,
            words,
            terms,
            directions: builtin
                .into_iter()
                .chain(model)
                .map(|(ground, vector)| Direction { ground, vector })
                .collect(),
            query,
        }
    }

    pub(super) fn has_vectors(&self) -> bool {
        !self.directions.is_empty()
    }

    /// Whether there is a vector of that sort to compare with.
    pub(super) fn has(&self, ground: Ground) -> bool {
        self.directions.iter().any(|it| it.ground == ground)
    }

    /// How many different words the question has.
    pub(super) fn word_count(&self) -> f64 {
        f64::from(u32::try_from(self.words.len()).unwrap_or(u32::MAX))
    }

    /// Returns the place of a project among those that are asked.
    pub(super) fn index_of(&self, project: ProjectId) -> usize {
        let at = self.projects.iter().position(|id| *id == project.0);
        at.unwrap_or_default()
    }

    /// Returns the arms that count, with their shares, whose sum is 1.
    pub(super) fn shares(&self) -> Vec<(Ground, f64)> {
        let mut shares: Vec<(Ground, f64)> = self
            .directions
            .iter()
            .map(|direction| direction.ground)
            .chain((!self.words.is_empty()).then_some(Ground::Keyword))
            .map(|ground| (ground, self.weight(ground)))
            .filter(|(_, weight)| *weight > 0.0)
            .collect();
        let sum: f64 = shares.iter().map(|(_, weight)| weight).sum();
        for (_, share) in &mut shares {
            *share /= sum;
        }
        shares
    }

    /// Explicit weights name one share of meaning: the model's if there is one.
    fn weight(&self, ground: Ground) -> f64 {
        let Some(Weights { semantic, keyword }) = self
            .query
            .weights
            .filter(|_| self.query.mode == Mode::Hybrid)
        else {
            return 1.0;
        };
        match ground {
            Ground::Keyword => keyword,
            Ground::Builtin if self.has(Ground::Model) => 0.0,
            _ => semantic,
        }
    }

    /// Runs it: at most as many rows as the query asks for, best first.
    pub(super) async fn run(&self, tx: &Tx<'_>, taken: Taken) -> Result<Vec<Found>> {
        if self.shares().is_empty() {
            return Ok(Vec::new());
        }
        Ok(tx.fetch_all(self.text(taken), self.params(taken)).await?)
    }

    fn params(&self, taken: Taken) -> Params {
        let mut params = self.params_of_filters();
        params.push("limit", i64::try_from(self.query.limit).unwrap_or(i64::MAX));
        params.push(
            "candidates",
            match taken {
                Taken::Nearest(count) => i64::try_from(count).unwrap_or(i64::MAX),
                Taken::All => i64::MAX,
            },
        );
        for direction in &self.directions {
            let name = format!("{}_vector", direction.name());
            params.push(name, &direction.vector.values);
        }
        if !self.words.is_empty() {
            params.push("any_word", self.words.join(" | "));
            params.push("each_word", &self.words);
        }
        if let Some(least) = self.query.min_score {
            params.push("min_score", least);
        }
        if let Some(recency) = self.query.recency {
            params.push("recency_weight", recency.weight.max(0.0));
            #[expect(
                clippy::cast_precision_loss,
                reason = "microseconds stay below 2^53 for 285 years"
            )]
            params.push("half_life", recency.half_life.max(1) as f64 / 1e6);
        }
        if self.query.usefulness_weight > 0.0 {
            params.push("usefulness_weight", self.query.usefulness_weight);
        }
        params
    }

    /// The statement in full.
    fn text(&self, taken: Taken) -> String {
        let shares = self.shares();
        let arms: Vec<String> = shares
            .iter()
            .map(
                |(ground, _)| match self.directions.iter().find(|it| it.ground == *ground) {
                    Some(direction) => self.by_direction(direction, taken),
                    None => self.by_words(),
                },
            )
            .collect();
        let places: Vec<String> = shares
            .iter()
            .map(|(ground, share)| {
                let name = arm_name(*ground);
                format!(
                    "SELECT '{name}' AS arm, memory_id, place,
                            {share:e}::float8 * {:e} / ({K:e} + place) AS worth
                     FROM by_{name}",
                    K + 1.0
                )
            })
            .collect();
        format!(
            "WITH {arms},
             found AS (
                 SELECT memory_id, sum(worth) AS worth,
                        max(place) FILTER (WHERE arm = 'keyword') AS keyword_place,
                        max(place) FILTER (WHERE arm = 'builtin') AS builtin_place,
                        max(place) FILTER (WHERE arm = 'model') AS model_place
                 FROM ({places}) AS places
                 GROUP BY memory_id
             ),
             best AS (
                 SELECT f.*, f.worth{standing} AS score
                 FROM found f
                 JOIN memory_vectors m ON m.id = f.memory_id
                 JOIN projects ON projects.id = m.project_id AND projects.live_key = 1
                 {floor}
                 ORDER BY score DESC, m.uid
                 LIMIT :limit
             )
             SELECT {columns}, f.keyword_place, f.builtin_place, f.model_place,
                    {rank} AS rank, {words}::float8 AS words,
                    {builtin} AS builtin_cosine, {model} AS model_cosine, {passage} AS passage,
                    (SELECT count(*) FROM found) AS considered
             FROM best f
             JOIN memory_vectors m ON m.id = f.memory_id
             ORDER BY f.score DESC, m.uid",
            arms = arms.join(",\n"),
            places = places.join("\nUNION ALL\n"),
            standing = self.standing(),
            floor = self.floor(),
            columns = sql::COLUMNS,
            rank = self.rank(),
            words = self.words_there(),
            builtin = self.cosine(Ground::Builtin),
            model = self.cosine(Ground::Model),
            passage = self.passage(),
        )
    }

    /// The arm of a vector: the nearest passages, of which each memory's best gives its place.
    fn by_direction(&self, direction: &Direction, taken: Taken) -> String {
        let (name, model) = (direction.name(), direction.vector.model);
        let distance = direction.distance();
        // An index gives the order of the bare distance, and only that.
        let order = match taken {
            Taken::Nearest(_) => distance.clone(),
            Taken::All => format!("{distance} + 0"),
        };
        format!(
            "near_{name} AS MATERIALIZED (
                 SELECT p.memory_id, {distance} AS distance
                 FROM native_passages p
                 JOIN memory_vectors m ON m.id = p.memory_id
                 WHERE p.model_id = {model} AND p.project_id IN :projects AND {filters}
                 ORDER BY {order}
                 LIMIT :candidates
             ),
             by_{name} AS (
                 SELECT memory_id,
                        row_number() OVER (ORDER BY min(distance), memory_id) AS place
                 FROM near_{name}
                 GROUP BY memory_id
             )",
            filters = self.filters(),
        )
    }

    /// The arm of the words: any of them is enough.
    fn by_words(&self) -> String {
        format!(
            "by_keyword AS (
                 SELECT memory_id, row_number() OVER (ORDER BY rank DESC, memory_id) AS place
                 FROM (
                     SELECT w.memory_id, sum(ts_rank(w.words, :any_word::text::tsquery, 1)) AS rank
                     FROM native_words w
                     JOIN memory_vectors m ON m.id = w.memory_id
                     WHERE w.words @@ :any_word::text::tsquery
                       AND w.project_id IN :projects AND {filters}
                     GROUP BY w.memory_id
                     ORDER BY rank DESC, w.memory_id
                     LIMIT :candidates
                 ) AS ranked
             )",
            filters = self.filters(),
        )
    }

    /// What a memory has whatever is asked, to be added to its worth.
    fn standing(&self) -> String {
        let mut standing = String::new();
        if self.query.recency.is_some() {
            standing.push_str(&format!(
                " + :recency_weight::float8 * power(0.5::float8, LEAST({MOST_HALVINGS:e}, GREATEST(0,
                      extract(epoch FROM :now::timestamptz - COALESCE(m.occurred_at, m.created_at))::float8
                      / :half_life::float8)))"
            ));
        }
        if self.query.usefulness_weight > 0.0 {
            standing.push_str(" + :usefulness_weight::float8 * m.usefulness_score");
        }
        standing
    }

    /// The condition on `match`.
    fn floor(&self) -> String {
        if self.query.min_score.is_none() {
            return String::new();
        }
        format!(
            "WHERE GREATEST({model}, {words}::float8 / {count:e}) >= :min_score::float8",
            model = self.cosine(Ground::Model),
            words = self.words_there(),
            count = self.word_count().max(1.0),
        )
    }

    /// The cosine of the best passage of `f.memory_id`.
    fn cosine(&self, ground: Ground) -> String {
        let direction = self.directions.iter().find(|it| it.ground == ground);
        direction.map_or_else(|| "NULL::float8".to_owned(), Direction::cosine)
    }

    /// The number of the best passage of `f.memory_id`.
    fn passage(&self) -> String {
        let numbers: Vec<String> = self
            .directions
            .iter()
            .rev()
            .map(|direction| direction.best_passage("p.n"))
            .chain(["NULL::bigint".to_owned()])
            .collect();
        format!("COALESCE({})", numbers.join(", "))
    }

    /// The `ts_rank` of `f.memory_id`.
    fn rank(&self) -> &'static str {
        match self.words.is_empty() {
            true => "0::float8",
            false => {
                "COALESCE((SELECT sum(ts_rank(w.words, :any_word::text::tsquery, 1))
                           FROM native_words w WHERE w.memory_id = f.memory_id), 0)::float8"
            }
        }
    }

    /// How many of the question's words `f.memory_id` has.
    fn words_there(&self) -> &'static str {
        match self.words.is_empty() {
            true => "0",
            false => {
                "(SELECT count(*) FROM unnest(:each_word::text[]) AS each (word)
                  WHERE EXISTS (SELECT 1 FROM native_words w
                                WHERE w.memory_id = f.memory_id AND w.words @@ each.word::tsquery))"
            }
        }
    }

    /// The filters, on `memory_vectors m`.
    fn filters(&self) -> String {
        let filter = &self.query.filter;
        let mut filters = vec![
            "m.project_id IN :projects".to_owned(),
            "m.forgotten_at IS NULL".to_owned(),
            "(m.expires_at IS NULL OR m.expires_at > :now)".to_owned(),
            "m.consolidation_state IN :states".to_owned(),
        ];
        for (number, group) in filter.labels.iter().enumerate() {
            filters.push(match label_name(group) {
                "type" => format!("m.memory_type IN :label_{number}"),
                "domain" => format!("m.domain IN :label_{number}"),
                "session" => format!("m.session_id IN :label_{number}"),
                "speaker" => format!("m.speaker IN :label_{number}"),
                _ => format!(
                    "EXISTS (SELECT 1 FROM jsonb_array_elements_text(m.tags) AS each (tag)
                             WHERE each.tag IN :label_{number})"
                ),
            });
        }
        let having = (0..self.query.having.len()).map(|number| has_word("having", number));
        let lacking = (0..self.query.lacking.len())
            .map(|number| format!("NOT {}", has_word("lacking", number)));
        filters.extend(having.chain(lacking));
        if filter.after.is_some() {
            filters.push("COALESCE(m.occurred_at, m.created_at) >= :after".to_owned());
        }
        if filter.before.is_some() {
            filters.push("COALESCE(m.occurred_at, m.created_at) < :before".to_owned());
        }
        filters.join(" AND ")
    }

    fn params_of_filters(&self) -> Params {
        let filter = &self.query.filter;
        let mut params = Params::new()
            .with("projects", &self.projects)
            .with("now", self.now)
            .with("states", &filter.states);
        for (number, group) in filter.labels.iter().enumerate() {
            let values = group.iter().filter_map(|label| label.split_once(':'));
            let values: Vec<String> = values.map(|(_, value)| value.to_owned()).collect();
            params.push(format!("label_{number}"), values);
        }
        for (name, words) in [
            ("having", &self.query.having),
            ("lacking", &self.query.lacking),
        ] {
            for (number, word) in words.iter().enumerate() {
                params.push(format!("{name}_{number}"), spelt(self.query, word));
            }
        }
        for (name, micros) in [("after", filter.after), ("before", filter.before)] {
            if let Some(micros) = micros {
                let time = Timestamp::from_microsecond(micros);
                params.push(name, time.unwrap_or(Timestamp::MAX));
            }
        }
        params
    }

    /// Says what was looked at; what takes counting is counted for an explanation only.
    pub(super) async fn summary(&self, tx: &Tx<'_>, candidates: usize) -> Result<Summary> {
        let (items, in_scope, without_vector) = match self.query.explain {
            true => self.counts(tx).await?,
            false => (0, 0, 0),
        };
        let count = |count| usize::try_from(count).unwrap_or_default();
        Ok(Summary {
            items: count(items),
            in_scope: count(in_scope),
            candidates,
            without_vector: self.query.explain.then(|| count(without_vector)),
            terms: self.terms.clone(),
            filters: self.query.told_filters(),
            weights: None,
            dialogue: false,
            divided_by: 1.0,
            micros: None,
        })
    }

    /// Counts the memories, those that pass the filters, and those of them without a vector of the
    /// question's model.
    async fn counts(&self, tx: &Tx<'_>) -> Result<(i64, i64, i64)> {
        let filters = self.filters();
        let without = match self.directions.last() {
            Some(Direction { vector, .. }) => format!(
                "NOT EXISTS (SELECT 1 FROM native_passages p
                             WHERE p.memory_id = m.id AND p.model_id = {})",
                vector.model
            ),
            None => "FALSE".to_owned(),
        };
        let text = format!(
            "SELECT count(*), count(*) FILTER (WHERE {filters}),
                    count(*) FILTER (WHERE {filters} AND {without})
             FROM memory_vectors m WHERE m.project_id IN :projects"
        );
        Ok(tx.fetch_one(text, self.params_of_filters()).await?)
    }
}

/// The condition that a memory `m` has a word.
fn has_word(name: &str, number: usize) -> String {
    format!(
        "EXISTS (SELECT 1 FROM native_words w
                 WHERE w.memory_id = m.id AND w.words @@ :{name}_{number}::text::tsquery)"
    )
}

/// Names an arm in the statement.
fn arm_name(ground: Ground) -> &'static str {
    match ground {
        Ground::Model => "model",
        Ground::Builtin => "builtin",
        _ => "keyword",
    }
}

/// Returns what the labels of a group are about.
fn label_name(group: &[String]) -> &str {
    let label = group.first().and_then(|label| label.split_once(':'));
    label.map_or("tag", |(name, _)| name)
}

/// Returns the question's words, and each as a `tsquery`. A beginning is one word too: any that begins
/// so, or whose stem is shorter.
fn words(query: &Query) -> (Vec<String>, Vec<String>) {
    let mut terms: Vec<String> = query_terms(&query.text)
        .into_iter()
        .map(|term| term.text)
        .collect();
    let mut beginnings = Vec::new();
    for beginning in &query.beginnings {
        let stems = shorter_stems(beginning);
        terms.retain(|term| !stems.contains(term));
        let stems = stems.iter().map(|stem| lexeme(stem));
        let alternatives: Vec<String> = stems.chain([format!("{}:*", lexeme(beginning))]).collect();
        beginnings.push(alternatives.join(" | "));
    }
    let words = terms.iter().map(|term| spelt(query, term));
    let words = words.chain(beginnings).collect();
    terms.extend(
        query
            .beginnings
            .iter()
            .map(|beginning| format!("{beginning}*")),
    );
    (terms, words)
}

/// Returns a word and what projects spell it as, as a `tsquery` of alternatives.
fn spelt(query: &Query, term: &str) -> String {
    let spellings = query.spellings.iter().filter_map(|it| it.get(term));
    let all: BTreeSet<&str> = spellings.map(String::as_str).chain([term]).collect();
    let all: Vec<String> = all.into_iter().map(lexeme).collect();
    all.join(" | ")
}

#[cfg(test)]
mod tests;
