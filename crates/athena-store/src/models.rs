//! Embedding models by id: a vector is stored with the id of the space it belongs to.

use athena_core::{Error, ModelId, Result};
use athena_db::{Database, Executor, Scalar, params};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ids of models, which each keeps as long as its store exists.
#[derive(Debug, Default)]
pub(crate) struct Models {
    ids: Mutex<HashMap<usize, HashMap<String, ModelId>>>,
}

impl Models {
    /// Returns the id of a model that has vectors in the store, or `None`.
    ///
    /// Asked of the database and not of a transaction: what is remembered was committed.
    pub(crate) async fn known(
        &self,
        db: &Database,
        name: &str,
        dim: usize,
    ) -> Result<Option<ModelId>> {
        if let Some(id) = self.get(name, dim) {
            return Ok(Some(id));
        }
        let id = known_model_id(db, name, dim).await?;
        if let Some(id) = id {
            self.insert(name, dim, id);
        }
        Ok(id)
    }

    /// Returns the id of a model that was met.
    pub(crate) fn get(&self, name: &str, dim: usize) -> Option<ModelId> {
        self.ids().get(&dim)?.get(name).copied()
    }

    pub(crate) fn insert(&self, name: &str, dim: usize, id: ModelId) {
        let mut ids = self.ids();
        ids.entry(dim).or_default().insert(name.to_owned(), id);
    }

    /// Takes over what a change met that was committed.
    pub(crate) fn take(&self, met: Self) {
        let met = met.ids.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut ids = self.ids();
        for (dim, met) in met {
            ids.entry(dim).or_default().extend(met);
        }
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<usize, HashMap<String, ModelId>>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the id of a model, which is made known if it is new.
///
/// # Errors
///
/// What the database fails with.
pub async fn model_id(
    db: &impl Executor,
    name: &str,
    dim: usize,
    now: Timestamp,
) -> Result<ModelId> {
    if let Some(id) = known_model_id(db, name, dim).await? {
        return Ok(id);
    }
    db.execute(
        "INSERT INTO embedding_models (name, dim, created_at) VALUES (:name, :dim, :now)
         ON CONFLICT (name, dim) DO NOTHING",
        params! { name: name, dim: width(dim)?, now: now },
    )
    .await?;
    known_model_id(db, name, dim)
        .await?
        .ok_or_else(|| Error::internal("an embedding model vanished after it was stored"))
}

/// Returns the id of a model that has vectors in the store, or `None`.
///
/// # Errors
///
/// What the database fails with.
pub async fn known_model_id(db: &impl Executor, name: &str, dim: usize) -> Result<Option<ModelId>> {
    let id: Option<Scalar<ModelId>> = db
        .fetch_opt(
            "SELECT id FROM embedding_models WHERE name = :name AND dim = :dim",
            params! { name: name, dim: width(dim)? },
        )
        .await?;
    Ok(id.map(|Scalar(id)| id))
}

/// Returns the id and the name of every model that the store has met.
///
/// # Errors
///
/// What the database fails with.
pub async fn models(db: &impl Executor) -> Result<Vec<(ModelId, String)>> {
    Ok(db
        .fetch_all(
            "SELECT id, name FROM embedding_models ORDER BY id",
            params! {},
        )
        .await?)
}

fn width(dim: usize) -> Result<i64> {
    i64::try_from(dim).map_err(Error::internal)
}
