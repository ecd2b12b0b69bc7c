//! Sets of migrations: in the programme, or read from a folder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, MigrationError, Result};
use crate::plan::classify;
use crate::sql::{SqlError, split, token_checksum, translate};

/// The migrations of one part of a programme; a store may hold several sets.
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet<'a> {
    /// The name in the ledger.
    pub name: &'a str,
    /// The migrations, their versions ascending.
    pub files: &'a [MigrationFile<'a>],
}

/// One migration; `include_str!` is the natural source of its texts.
#[derive(Debug, Clone, Copy)]
pub struct MigrationFile<'a> {
    /// The version, from 1.
    pub version: u32,
    /// What it does, in a few words: `create_memories`.
    pub name: &'a str,
    /// The script in the portable subset. It declares the columns even where an override runs.
    pub sql: &'a str,
    /// The text for SQLite instead of the script. Foreign keys are not enforced while it runs, so
    /// that it can make a table anew, and checked before it is committed.
    pub sqlite: Option<&'a str>,
    /// The text for PostgreSQL instead of the script.
    pub postgres: Option<&'a str>,
    /// The text for MySQL instead of the script.
    pub mysql: Option<&'a str>,
}

/// A migration that one of the databases cannot have; [`MigrationSet::check`] finds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetProblem {
    /// The file, as a folder would name it: `V003__tags.sql`.
    pub file: String,
    /// The database that cannot have it.
    pub dialect: Dialect,
    /// The line in the file, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong and the way out.
    pub message: String,
}

/// The migrations of a folder, read while the programme runs.
///
/// ```no_run
/// # async fn example(db: athena_db::Database) -> athena_db::Result<()> {
/// use athena_db::{MigrationFolder, MigrationSet};
///
/// let folder = MigrationFolder::read("migrations")?;
/// let files = folder.files();
/// db.migrations(&MigrationSet { name: "app", files: &files }).up().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct MigrationFolder {
    files: BTreeMap<u32, Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    name: String,
    portable: Option<String>,
    overrides: BTreeMap<&'static str, String>,
}

pub(super) const DIALECTS: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql];

impl MigrationSet<'_> {
    /// Writes every migration for every database, without one, and lists what cannot be written.
    ///
    /// Meant for a test: what it finds nothing in is accepted by [`Migrator::up`](super::Migrator::up)
    /// on each of them, as far as text alone can tell. An override is taken as it is.
    #[must_use]
    pub fn check(&self) -> Vec<SetProblem> {
        let pairs = self
            .files
            .iter()
            .flat_map(|file| DIALECTS.map(|dialect| (file, dialect)));
        let problem = |(file, dialect): (&MigrationFile<'_>, Dialect)| {
            let error = file.statements(dialect).err()?;
            Some(SetProblem {
                file: file.file_name(None),
                dialect,
                line: error.line,
                column: error.column,
                message: file.advise(dialect, &error),
            })
        };
        pairs.filter_map(problem).collect()
    }

    pub(super) fn file(&self, version: u32) -> Option<&MigrationFile<'_>> {
        self.files.iter().find(|file| file.version == version)
    }

    /// Returns the newest version; 0 if the set is empty.
    pub(super) fn newest(&self) -> u32 {
        self.files.last().map_or(0, |file| file.version)
    }

    /// Refuses versions that do not ascend.
    pub(super) fn check_versions(&self) -> Result<()> {
        let mut last = 0;
        for file in self.files {
            if file.version <= last {
                let kind = MigrationError::Invalid {
                    set: self.name.to_owned(),
                    version: file.version,
                };
                let message = format!(
                    "version {} of `{}` does not come after version {last}",
                    file.version, self.name
                );
                return Err(Error::new(ErrorKind::Migration(kind), message));
            }
            last = file.version;
        }
        Ok(())
    }
}

impl<'a> MigrationFile<'a> {
    /// Makes a migration whose script serves every dialect.
    #[must_use]
    pub const fn new(version: u32, name: &'a str, sql: &'a str) -> Self {
        Self {
            version,
            name,
            sql,
            sqlite: None,
            postgres: None,
            mysql: None,
        }
    }

    /// Returns the name of the file in a folder: `V003__tags.sql`, for the text that overrides the
    /// script on one database `V003__tags.sqlite.sql`.
    #[must_use]
    pub fn file_name(&self, dialect: Option<Dialect>) -> String {
        let suffix = dialect.map_or(String::new(), |dialect| format!(".{dialect}"));
        format!("V{:03}__{}{suffix}.sql", self.version, self.name)
    }

    /// Returns the text that overrides the script on a database.
    #[must_use]
    pub const fn text_for(&self, dialect: Dialect) -> Option<&'a str> {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
            Dialect::MySql => self.mysql,
        }
    }

    /// Returns the statements that a database gets.
    ///
    /// An override is one piece however many statements it holds, except on MySQL, which keeps
    /// what came before a failed statement and so gets them one by one.
    ///
    /// # Errors
    ///
    /// The script is not in the portable subset, or says what this database cannot do.
    pub fn statements(&self, dialect: Dialect) -> Result<Vec<String>, SqlError> {
        match self.text_for(dialect) {
            Some(text) => {
                let statements = split(dialect, text)?;
                for statement in &statements {
                    refuse_control(dialect, statement)?;
                }
                Ok(match dialect {
                    Dialect::MySql => statements,
                    Dialect::Sqlite | Dialect::Postgres => vec![text.to_owned()],
                })
            }
            None if self.is_for_others() => Err(SqlError::nowhere(format!(
                "there is neither a portable text nor one for {dialect}"
            ))),
            None => translate(dialect, self.sql),
        }
    }

    /// Names the way out of an error: the file that would override the script.
    pub(super) fn advise(&self, dialect: Dialect, error: &SqlError) -> String {
        match self.text_for(dialect) {
            Some(_) => error.message.clone(),
            None => format!(
                "{} (`{}` would override it)",
                error.message,
                self.file_name(Some(dialect))
            ),
        }
    }

    /// Returns the checksum of the text that runs on a database.
    pub(super) fn checksum(&self, dialect: Dialect) -> String {
        let digest = token_checksum(self.text_for(dialect).unwrap_or(self.sql));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Tells whether there is no script, only texts for some databases.
    fn is_for_others(&self) -> bool {
        let overridden = DIALECTS
            .iter()
            .any(|&dialect| self.text_for(dialect).is_some());
        overridden && self.sql.trim().is_empty()
    }
}

/// A migration is a transaction already; one that ends it by itself could be half-applied.
fn refuse_control(dialect: Dialect, statement: &str) -> Result<(), SqlError> {
    match classify(dialect, statement) {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported { .. }) => {
            Err(SqlError::nowhere(format!(
                "a migration is one transaction and cannot hold its own: {error}"
            )))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for SetProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}, line {}, column {}, on {}: {}",
            self.file, self.line, self.column, self.dialect, self.message
        )
    }
}

impl MigrationFolder {
    /// Reads `V001__name.sql` and `V001__name.sqlite.sql` (`postgres`, `mysql`) out of a folder.
    ///
    /// Other files may lie there if they do not end in `.sql`. Versions are numbers: `V10` comes
    /// after `V9`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Migration`] for a file whose name is not of that form or whose version another
    /// file has, [`ErrorKind::Other`] if the folder cannot be read.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let mut files: BTreeMap<u32, Texts> = BTreeMap::new();
        for name in sql_files(folder).map_err(|error| unreadable(folder, &error))? {
            let (version, title, dialect) = parse_name(&name)?;
            let path = folder.join(&name);
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            let texts = files.entry(version).or_default();
            if !texts.name.is_empty() && texts.name != title {
                return Err(invalid(
                    version,
                    format!(
                        "version {version} belongs to both `{}` and `{title}`",
                        texts.name
                    ),
                ));
            }
            texts.name = title;
            let before = match dialect {
                Some(dialect) => texts.overrides.insert(dialect.name(), text),
                None => texts.portable.replace(text),
            };
            if before.is_some() {
                let message = format!("version {version} has two files like `{name}`");
                return Err(invalid(version, message));
            }
        }
        Ok(Self { files })
    }

    /// Lists the migrations, their versions ascending.
    #[must_use]
    pub fn files(&self) -> Vec<MigrationFile<'_>> {
        self.files
            .iter()
            .map(|(&version, texts)| texts.file(version))
            .collect()
    }
}

impl Texts {
    fn file(&self, version: u32) -> MigrationFile<'_> {
        let text = |dialect: Dialect| self.overrides.get(dialect.name()).map(String::as_str);
        MigrationFile {
            version,
            name: &self.name,
            sql: self.portable.as_deref().unwrap_or_default(),
            sqlite: text(Dialect::Sqlite),
            postgres: text(Dialect::Postgres),
            mysql: text(Dialect::MySql),
        }
    }
}

/// Lists the names that end in `.sql`, in alphabetic order.
fn sql_files(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sql") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Reads `V001__name.dialect.sql`.
fn parse_name(name: &str) -> Result<(u32, String, Option<Dialect>)> {
    let wrong = || {
        let message = format!(
            "`{name}` is no name of a migration; write `V001__what_it_does.sql`, and for one database \
             alone `V001__what_it_does.sqlite.sql`, `.postgres.sql` or `.mysql.sql`; there are no down scripts"
        );
        invalid(0, message)
    };
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    let (stem, dialect) = match stem.split_once('.') {
        None => (stem, None),
        Some((stem, word)) => {
            let dialect = DIALECTS.into_iter().find(|dialect| dialect.name() == word);
            (stem, Some(dialect.ok_or_else(wrong)?))
        }
    };
    let (digits, title) = stem
        .strip_prefix('V')
        .and_then(|rest| rest.split_once("__"))
        .ok_or_else(wrong)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let version: u32 = digits.parse().map_err(|_| wrong())?;
    let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
    if version == 0 || !digits_only || title.is_empty() || !title.bytes().all(is_plain) {
        return Err(wrong());
    }
    Ok((version, title.to_owned(), dialect))
}

fn invalid(version: u32, message: String) -> Error {
    let kind = MigrationError::Invalid {
        set: String::new(),
        version,
    };
    Error::new(ErrorKind::Migration(kind), message)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let message = format!("cannot read `{}`: {error}", path.display());
    Error::new(ErrorKind::Other, message)
}
