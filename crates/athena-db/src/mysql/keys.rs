//! The columns of unique keys: the server names a violated key, people know columns.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params, Value as Raw};

/// What was asked so far. A key that is dropped and made again under its name is rare enough.
#[derive(Debug, Default)]
pub(super) struct Keys(RwLock<HashMap<Place, Arc<[String]>>>);

/// A table and the name of a key of it.
type Place = (String, String);

const COLUMNS: &str = "SELECT column_name FROM information_schema.statistics \
     WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND index_name = ? \
     ORDER BY seq_in_index";

impl Keys {
    /// Returns the columns of a key in its order, none if that cannot be found out.
    pub(super) async fn columns(&self, conn: &mut Conn, table: &str, key: &str) -> Arc<[String]> {
        let place = (table.to_owned(), key.to_owned());
        if let Some(known) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&place)
        {
            return Arc::clone(known);
        }
        let (schema, name) = match table.split_once('.') {
            Some((schema, name)) => (Raw::from(schema), name),
            None => (Raw::NULL, table),
        };
        let params = Params::Positional(vec![schema, Raw::from(name), Raw::from(key)]);
        let asked: Result<Vec<String>, _> = conn.exec(COLUMNS, params).await;
        let Ok(columns) = asked else {
            return Arc::default();
        };
        let columns: Arc<[String]> = columns.into();
        if !columns.is_empty() {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(place, Arc::clone(&columns));
        }
        columns
    }
}
