//! A database that is made on a server to be measured in, and removed again.

use athena_core::{Error, Result};
use athena_db::Database;

/// A database of this process alone.
#[derive(Debug)]
pub(super) struct OwnDatabase {
    server: String,
    name: String,
    /// Where it is.
    pub(super) url: String,
}

impl OwnDatabase {
    /// Names one on the server of a URL; it is not there yet.
    ///
    /// # Errors
    ///
    /// A URL that names no database, which would be connected to first.
    pub(super) fn beside(server: &str) -> Result<Self> {
        let name = format!("athena_bench_{}", std::process::id());
        let url = with_database(server, &name)
            .ok_or_else(|| Error::invalid("url", "names no database of a server"))?;
        Ok(Self {
            server: server.to_owned(),
            name,
            url,
        })
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// As the server says.
    pub(super) async fn make(&self) -> Result<()> {
        self.tell("CREATE").await
    }

    /// Removes it.
    ///
    /// # Errors
    ///
    /// As the server says.
    pub(super) async fn remove(&self) -> Result<()> {
        self.tell("DROP").await
    }

    async fn tell(&self, verb: &str) -> Result<()> {
        let db = Database::open(&self.server).await?;
        let told = db
            .execute_alone(format!("{verb} DATABASE {}", self.name))
            .await;
        db.close().await?;
        told?;
        Ok(())
    }
}

/// Returns a URL with the name of another database.
fn with_database(url: &str, name: &str) -> Option<String> {
    let (address, options) = match url.split_once('?') {
        Some((address, options)) => (address, format!("?{options}")),
        None => (url, String::new()),
    };
    let (_, after) = address.split_once("://")?;
    let (_, database) = after.split_once('/')?;
    let server = address.strip_suffix(database)?;
    Some(format!("{server}{name}{options}"))
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn another_database_has_another_url() {
        let other = |url| with_database(url, "other");
        assert_eq!(
            other("postgres://a:b@c:1/d?sslmode=disable").as_deref(),
            Some("postgres://a:b@c:1/other?sslmode=disable")
        );
        assert_eq!(other("mysql://c/d").as_deref(), Some("mysql://c/other"));
        assert_eq!(other("mysql://c"), None);
    }
}
