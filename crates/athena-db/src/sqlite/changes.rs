//! Commits of others, noticed by looking.

use std::time::Duration;

use super::connection::File;
use super::pool::Reader;
use super::writer::Listener;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Manage;

/// Notices when somebody else commits: another process, or another handle on the file.
#[derive(Debug)]
pub(crate) struct Changes {
    source: Source,
    seen: i64,
}

/// The connection that is asked; SQLite's answer says nothing about what it committed itself.
#[derive(Debug)]
enum Source {
    Writer(Listener),
    /// A database opened to read has no commits of its own. Empty while the reader is on a thread.
    Reader(Option<Reader>),
}

impl Changes {
    pub(super) async fn since_now(writer: Option<Listener>, file: &File) -> Result<Self> {
        let source = match writer {
            Some(writer) => Source::Writer(writer),
            None => Source::Reader(Some(file.connect().await?)),
        };
        let mut changes = Self { source, seen: 0 };
        changes.seen = changes.version().await?;
        Ok(changes)
    }

    /// Waits until somebody else has committed since the last call; looks once in each interval.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when the database was closed.
    pub(crate) async fn next(&mut self, interval: Duration) -> Result<()> {
        loop {
            tokio::time::sleep(interval).await;
            let version = self.version().await?;
            if std::mem::replace(&mut self.seen, version) != version {
                return Ok(());
            }
        }
    }

    async fn version(&mut self) -> Result<i64> {
        match &mut self.source {
            Source::Writer(writer) => writer.version().await,
            Source::Reader(place) => {
                let reader = place.take().ok_or_else(lost)?;
                let asked = tokio::task::spawn_blocking(move || (reader.version(), reader));
                let (version, reader) = asked.await.map_err(|_| lost())?;
                *place = Some(reader);
                version
            }
        }
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Connection,
        "the connection that looks for changes was lost",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Sqlite;
    use super::*;
    use crate::database::Settings;
    use crate::plan::Work;

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn commits_of_others_are_noticed_and_own_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let own = Sqlite::open(&url, Settings::default()).await.unwrap();
        let other = Sqlite::open(&url, Settings::default()).await.unwrap();
        let write = |sql: &str| Work::Batch(sql.to_owned());
        own.run(write("CREATE TABLE t (id INTEGER)")).await.unwrap();
        let mut changes = own.changes().await.unwrap();
        let read_only = format!("{url}?mode=ro");
        let read_only = Sqlite::open(&read_only, Settings::default()).await.unwrap();
        let mut seen_by_reader = read_only.changes().await.unwrap();

        own.run(write("INSERT INTO t VALUES (1)")).await.unwrap();
        seen_by_reader.next(SOON).await.unwrap();
        let unseen = tokio::time::timeout(30 * SOON, changes.next(SOON)).await;
        assert!(unseen.is_err(), "an own commit is no news");
        other.run(write("INSERT INTO t VALUES (2)")).await.unwrap();
        changes.next(SOON).await.unwrap();
        seen_by_reader.next(SOON).await.unwrap();

        own.close(Duration::from_secs(5)).await.unwrap();
        assert!(changes.next(SOON).await.is_err());
    }
}
