//! What turns of a conversation say for each other.
//!
//! On top of the score of its arms, a turn gets, in this order:
//! 1. 0.4 if it is the user's, in a chat with an assistant;
//! 2. of those scores, 0.3 of the turn before it in its session, 0.2 of the turn after, and 0.1 of
//!    each of those two away; a turn of n words beyond 40 gets 40/n of it, as a long one stands for
//!    itself;
//! 3. of those again, 0.2 of the mean of its session's three best turns;
//! 4. 0.1 if it is no question, among people: who asks them tells little, who asks an assistant
//!    tells what it is about;
//! 5. up to 0.45 for a date that the question names;
//! 6. 0.2 if the question names who speaks.
//!
//! All of it is computed in units of 1e-7, each product rounded half up. Turns that the filters
//! leave out keep their place and add nothing. Whole sessions are looked at, but only those in
//! which the arms found something, or a date leads to: the cost is that of the sessions touched.

use std::ops::Range;

use crate::analyze::QueryTerm;
use crate::index::sessions::{Sessions, Turn};
use crate::math::from_units;
use crate::query::{Ground, Mode, Query};
use crate::recipe::{Ingredient, Recipe};

use super::arms::{Found, Question, Scope};
use super::blend::rank_fusion;
use super::candidate::{Candidate, ONE};
use super::dates::{Named, named, nearness};

/// What a user's turn gets.
const USER: Tenths = Tenths(4);
/// The parts of the neighbours' scores, and where they stand from the turn.
const NEIGHBOURS: [(Ground, isize, Tenths); 4] = [
    (Ground::Previous, -1, Tenths(3)),
    (Ground::Next, 1, Tenths(2)),
    (Ground::Near, -2, Tenths(1)),
    (Ground::Near, 2, Tenths(1)),
];
/// The words, stop words apart, from which on a turn depends less on its neighbours.
const SHORT: i64 = 40;
/// What a turn gets that is no question, among people.
const STATEMENT: Tenths = Tenths(1);
/// The part of the mean of a session's best turns.
const SESSION: Tenths = Tenths(2);
/// How many of them.
const BEST_OF_SESSION: usize = 3;
/// The part of the nearness to a date.
const DATE: Tenths = Tenths(3);
/// What a turn of a named speaker gets.
const SPEAKER: Tenths = Tenths(2);

/// A weight in tenths.
#[derive(Clone, Copy)]
struct Tenths(i64);

impl Tenths {
    /// This part of `units / count`, rounded half up.
    fn of(self, units: i64, count: i64) -> i64 {
        (2 * self.0 * units + 10 * count) / (20 * count)
    }
}

/// The weight of what a ground of this module adds; 0 for others.
pub(super) fn weight(ground: Ground) -> f64 {
    let neighbour = NEIGHBOURS.iter().find(|(known, _, _)| *known == ground);
    let Tenths(tenths) = match ground {
        Ground::User => USER,
        Ground::Session => SESSION,
        Ground::Statement => STATEMENT,
        Ground::Date => DATE,
        Ground::Speaker => SPEAKER,
        _ => neighbour.map_or(Tenths(0), |(_, _, weight)| *weight),
    };
    from_units(tenths * (ONE / 10))
}

/// Whether what is searched is a conversation: nine tenths of what passes the filters are turns,
/// which somebody said in a session, and the question is answered with scores by words.
///
/// What turns say for each other raises them above what stands for itself. Where facts and decisions
/// lie beside conversations, they would come second for no other reason than that.
///
/// Ranks have no distances that could be added to, and who asks for cosines alone gets their order.
pub(super) fn is_dialogue(query: &Query, scopes: &[Scope<'_>]) -> bool {
    if query.mode == Mode::Semantic
        || rank_fusion(query).is_some()
        || !query.recipe.has(Ingredient::Dialogue)
    {
        return false;
    }
    let size: usize = scopes.iter().map(Scope::size).sum();
    let turns: usize = scopes.iter().map(turns_in_scope).sum();
    turns > 0 && 10 * turns >= 9 * size
}

fn turns_in_scope(scope: &Scope<'_>) -> usize {
    let turns = &scope.index.sessions().turns;
    if scope.size() == scope.index.len() {
        return turns.len();
    }
    turns
        .iter()
        .filter(|turn| scope.passes.contains(turn.slot))
        .count()
}

/// What a question says of dates and speakers.
struct Asked {
    recipe: Recipe,
    dates: Vec<Named>,
}

/// Adds what turns say for each other, and the turns that are found by it alone.
pub(super) fn add_context(
    question: &Question<'_>,
    words: &[QueryTerm],
    scopes: &[Scope<'_>],
    candidates: &mut Vec<Candidate>,
) {
    let recipe = question.query.recipe;
    let asked = Asked {
        recipe,
        dates: match recipe.has(Ingredient::Date) {
            true => named(&question.query.text),
            false => Vec::new(),
        },
    };
    for scope in scopes {
        let sessions = scope.index.sessions();
        let speakers = named_speakers(question.query, scope.number, words, sessions);
        let board = Board::new(sessions, scope, candidates);
        for session in sessions.sessions() {
            if board.is_touched(session) || !asked.dates.is_empty() {
                let scored = board.score(&asked, &speakers, session.clone());
                board.settle(session.clone(), &scored, candidates);
            }
        }
    }
}

/// The scores of one index's turns by their arms, and which of the candidates they are.
struct Board<'a> {
    sessions: &'a Sessions,
    scope: &'a Scope<'a>,
    /// The candidate of each turn that an arm found.
    candidates: Vec<Option<usize>>,
    arms: Vec<i64>,
}

/// A turn with what context adds to it.
#[derive(Clone, Default)]
struct Scored {
    passes: bool,
    added: Vec<(Ground, i64)>,
    /// The sum so far.
    sum: i64,
    /// Whether an arm, a neighbour that an arm found, or a date finds it.
    is_found: bool,
}

impl Scored {
    fn add(&mut self, ground: Ground, units: i64) {
        if units > 0 {
            self.added.push((ground, units));
            self.sum += units;
        }
    }
}

impl<'a> Board<'a> {
    fn new(sessions: &'a Sessions, scope: &'a Scope<'a>, candidates: &[Candidate]) -> Self {
        let mut board = Self {
            sessions,
            scope,
            candidates: vec![None; sessions.turns.len()],
            arms: vec![0; sessions.turns.len()],
        };
        for (at, candidate) in candidates.iter().enumerate() {
            if candidate.scope == scope.number
                && let Some(turn) = sessions.turn(candidate.found.slot)
            {
                board.candidates[turn] = Some(at);
                board.arms[turn] = candidate.parts.sum();
            }
        }
        board
    }

    fn is_touched(&self, session: &Range<usize>) -> bool {
        self.arms[session.clone()].iter().any(|arms| *arms > 0)
    }

    /// Scores the turns of a session.
    fn score(&self, asked: &Asked, speakers: &[bool], session: Range<usize>) -> Vec<Scored> {
        let turns = &self.sessions.turns[session.clone()];
        let arms = &self.arms[session];
        let mut scored: Vec<Scored> = turns
            .iter()
            .zip(arms)
            .map(|(turn, arms)| Scored {
                passes: self.scope.passes.contains(turn.slot),
                sum: *arms,
                is_found: *arms > 0,
                ..Scored::default()
            })
            .collect();
        if asked.recipe.has(Ingredient::Role) {
            prefer_users(turns, &mut scored);
        }
        if asked.recipe.has(Ingredient::Neighbours) {
            let words = turns.iter().map(|turn| self.scope.words(turn.slot));
            add_neighbours(arms, &words.collect::<Vec<_>>(), &mut scored);
        }
        if asked.recipe.has(Ingredient::Session) {
            add_best_of_session(&mut scored);
        }
        for (turn, scored) in turns.iter().zip(&mut scored).filter(|(_, it)| it.passes) {
            if turn.tells && asked.recipe.has(Ingredient::Statement) {
                scored.add(Ground::Statement, STATEMENT.of(ONE, 1));
            }
            let nearness = nearness(&asked.dates, self.scope.time(turn.slot));
            scored.add(Ground::Date, DATE.of(nearness * ONE, 10));
            scored.is_found |= nearness > 0;
            let is_named = turn.speaker.is_some_and(|speaker| speakers[speaker]);
            if is_named && asked.recipe.has(Ingredient::Speaker) {
                scored.add(Ground::Speaker, SPEAKER.of(ONE, 1));
            }
        }
        scored
    }

    /// Hands the scores of a session to the candidates, and makes candidates of what is new.
    fn settle(&self, session: Range<usize>, scored: &[Scored], candidates: &mut Vec<Candidate>) {
        let found = |scored: &&Scored| scored.passes && scored.is_found;
        for (turn, scored) in session.zip(scored).filter(|(_, it)| found(it)) {
            let slot = self.sessions.turns[turn].slot;
            let at = self.candidates[turn].unwrap_or_else(|| {
                let mut found = Candidate::new(
                    self.scope.number,
                    self.scope.uid(slot),
                    Found::by_no_arm(slot),
                );
                found.by_dialogue = true;
                candidates.push(found);
                candidates.len() - 1
            });
            for (ground, units) in &scored.added {
                candidates[at].parts.add(*ground, *units);
            }
        }
    }
}

fn prefer_users(turns: &[Turn], scored: &mut [Scored]) {
    for (turn, scored) in turns.iter().zip(scored) {
        if turn.is_users && scored.passes {
            scored.add(Ground::User, USER.of(ONE, 1));
        }
    }
}

fn add_neighbours(arms: &[i64], words: &[u32], scored: &mut [Scored]) {
    let before: Vec<i64> = scored.iter().map(|it| it.sum).collect();
    for (at, scored) in scored.iter_mut().enumerate().filter(|(_, it)| it.passes) {
        for (ground, step, weight) in NEIGHBOURS {
            let Some(neighbour) = at.checked_add_signed(step).filter(|at| *at < arms.len()) else {
                continue;
            };
            let words = i64::from(words[at]).max(SHORT);
            scored.add(ground, weight.of(SHORT * before[neighbour], words));
            scored.is_found |= arms[neighbour] > 0;
        }
    }
}

fn add_best_of_session(scored: &mut [Scored]) {
    let mut sums: Vec<i64> = scored
        .iter()
        .filter(|it| it.passes)
        .map(|it| it.sum)
        .collect();
    sums.sort_unstable_by(|a, b| b.cmp(a));
    sums.truncate(BEST_OF_SESSION);
    let Some(count) = i64::try_from(sums.len()).ok().filter(|count| *count > 0) else {
        return;
    };
    let sum: i64 = sums.iter().sum();
    let added = SESSION.of(sum, count);
    for scored in scored.iter_mut().filter(|it| it.passes) {
        scored.add(Ground::Session, added);
    }
}

/// Which of the speakers the question names: by any word of their name.
fn named_speakers(
    query: &Query,
    number: usize,
    words: &[QueryTerm],
    sessions: &Sessions,
) -> Vec<bool> {
    let is_asked = |name: &String| {
        words
            .iter()
            .any(|word| query.spelt(number, &word.text) == name)
    };
    let is_named = |name: &Vec<String>| name.iter().any(is_asked);
    sessions.names.iter().map(is_named).collect()
}
