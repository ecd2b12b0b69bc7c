//! The scanner against PostgreSQL's own regression tests.
//!
//! Two checks for every statement. *Identity*: without a `:name` it comes back as it is. *Substitution*: after
//! literals at random were replaced by `:name`, placeholders stand in just those places and nothing else has
//! changed. `ATHENA_SQL_CORPUS` may name another folder of files written for `psql` to be checked instead.

use std::fs;
use std::path::PathBuf;

use athena_db::{Dialect, rewrite};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use self::psql::{Aside, Kind, Statement, split};

mod psql;

/// How often the literals of each statement are substituted, by other choices each time.
const ROUNDS: usize = 2;

/// What was done; over the corpus that comes with the crate it must be all of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    files: usize,
    /// Statements that `psql` would have filled in.
    variables: usize,
    /// Statements with a meta-command in their middle.
    commands: usize,
    /// Statements for servers in which a backslash escapes in every string.
    backslashes: usize,
    identities: usize,
    substitutions: usize,
}

#[test]
fn statements_of_postgres_keep_every_byte_outside_parameters() {
    let other = std::env::var_os("ATHENA_SQL_CORPUS").map(PathBuf::from);
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/pg_regress");
    let mut paths: Vec<_> = fs::read_dir(other.as_ref().unwrap_or(&ours))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    paths.sort();
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for path in paths {
        tally.files += 1;
        let source = fs::read_to_string(&path).unwrap();
        for statement in split(&source) {
            let mut fail = |what: String| failures.push(format!("{}: {what}", path.display()));
            match statement.aside {
                Some(Aside::Variable) => tally.variables += 1,
                Some(Aside::Command) => tally.commands += 1,
                Some(Aside::Backslashes) => tally.backslashes += 1,
                None => {
                    tally.identities += 1;
                    identity(&statement).unwrap_or_else(&mut fail);
                    tally.substitutions += substitution(&statement, fail);
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
    if other.is_none() {
        assert_eq!(
            tally,
            Tally {
                files: 130,
                variables: 139,
                commands: 3,
                backslashes: 15,
                identities: 28_433,
                substitutions: 32_328,
            }
        );
    }
}

/// What the checks rest on: only what a server would be sent is taken for a statement.
#[test]
fn files_for_psql_are_split_as_psql_does() {
    let source = r"
-- a comment; then
SELECT ';', $$;$$ /* ; /* */ ; */;
\d t -- it's
SELECT 1 AS x \gset
COPY t FROM stdin; -- data follow
it's :a; \N
\.
COPY t (missing) FROM stdin;
SELECT :x;
CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; END;
SELECT 0\; SELECT 1
";
    let found: Vec<_> = split(source)
        .into_iter()
        .map(|statement| (statement.text, statement.aside))
        .collect();
    let plain = |text: &str| (text.to_owned(), None);
    assert_eq!(
        found,
        [
            plain("-- a comment; then\nSELECT ';', $$;$$ /* ; /* */ ; */"),
            plain("SELECT 1 AS x"),
            plain("COPY t FROM stdin"),
            plain("COPY t (missing) FROM stdin"),
            ("SELECT :x".to_owned(), Some(Aside::Variable)),
            plain("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)"),
            plain(
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; END"
            ),
            plain("SELECT 0"),
            plain("SELECT 1"),
        ]
    );
}

fn identity(statement: &Statement) -> Result<(), String> {
    compare(&statement.text, &statement.text, &[])
}

/// Substitutes literals of a statement, where it has some, and returns how many cases that made.
fn substitution(statement: &Statement, mut fail: impl FnMut(String)) -> usize {
    let literals = substitutable(statement);
    if literals.is_empty() {
        return 0;
    }
    let mut random = StdRng::seed_from_u64(statement.text.len() as u64);
    for _ in 0..ROUNDS {
        let must = literals[random.random_range(0..literals.len())];
        let chosen: Vec<_> = literals
            .iter()
            .copied()
            .filter(|&index| index == must || random.random_bool(0.3))
            .collect();
        let case = Case::new(statement, &chosen, &mut random);
        compare(&case.source, &case.expected, &case.names).unwrap_or_else(&mut fail);
    }
    ROUNDS
}

fn compare(source: &str, expected: &str, names: &[&str]) -> Result<(), String> {
    match rewrite(Dialect::Postgres, source) {
        Err(error) => Err(format!("refused: {error}\n{source}")),
        Ok(rewritten) if rewritten.text != expected => {
            Err(format!("became {}\nfrom {source}", rewritten.text))
        }
        Ok(rewritten)
            if rewritten.slots.iter().any(|slot| slot.list)
                || !rewritten
                    .slots
                    .iter()
                    .map(|slot| slot.name.as_str())
                    .eq(names.iter().copied()) =>
        {
            Err(format!(
                "has the parameters {:?}\n{source}",
                rewritten.slots
            ))
        }
        Ok(_) => Ok(()),
    }
}

/// Returns which tokens may become a parameter.
///
/// Not the only element of an `IN (..)`, which would be a list, not what touches a following word, and nothing
/// in a statement that has numbered parameters of its own.
fn substitutable(statement: &Statement) -> Vec<usize> {
    let tokens = &statement.tokens;
    if tokens.iter().any(|token| token.kind == Kind::Positional) {
        return Vec::new();
    }
    let text = |index: usize| {
        tokens
            .get(index)
            .map_or("", |token| &statement.text[token.place.clone()])
    };
    let alone_in = |index: usize| {
        index >= 2
            && text(index - 2).eq_ignore_ascii_case("in")
            && text(index - 1) == "("
            && text(index + 1) == ")"
    };
    let touches = |index: usize| {
        statement.text[tokens[index].place.end..]
            .starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
    };
    (0..tokens.len())
        .filter(|&index| tokens[index].kind == Kind::Literal && !alone_in(index) && !touches(index))
        .collect()
}

/// Short, long, one the beginning of the other, in another script, keywords.
const NAMES: &[&str] = &["a", "ab", "_1", "größe", "userId", "select", "名前", "x"];

/// A statement with names for literals, and what must become of it.
struct Case {
    source: String,
    expected: String,
    names: Vec<&'static str>,
}

impl Case {
    fn new(statement: &Statement, chosen: &[usize], random: &mut StdRng) -> Self {
        let mut case = Self {
            source: String::new(),
            expected: String::new(),
            names: Vec::new(),
        };
        let mut copied = 0;
        for &index in chosen {
            let place = statement.tokens[index].place.clone();
            let kept = &statement.text[copied..place.start];
            case.source.push_str(kept);
            case.expected.push_str(kept);
            case.parameter(NAMES[random.random_range(0..NAMES.len())]);
            copied = place.end;
        }
        case.source.push_str(&statement.text[copied..]);
        case.expected.push_str(&statement.text[copied..]);
        case
    }

    fn parameter(&mut self, name: &'static str) {
        // Behind the colon of a slice another one would make a cast.
        if self.source.ends_with(':') {
            self.source.push(' ');
            self.expected.push(' ');
        }
        if self
            .source
            .ends_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            self.expected.push(' ');
        }
        let number = self
            .names
            .iter()
            .position(|known| *known == name)
            .unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            });
        self.source.push_str(&format!(":{name}"));
        self.expected.push_str(&format!("${}", number + 1));
    }
}
