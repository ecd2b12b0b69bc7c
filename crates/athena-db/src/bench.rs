//! What `cargo xtask bench db` measures inside the crate. No part of the interface: it may change
//! or go with any version.

use std::sync::Arc;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::error::Result;
use crate::params::Params;
use crate::plan::{Origin, Plan, PlanCache, Sql, Work};

/// The plans of a database.
#[derive(Debug)]
pub struct Plans(PlanCache);

impl Plans {
    /// Makes an empty cache.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self(PlanCache::new(dialect, Duration::MAX))
    }

    /// Finds the plan of a statement, or makes it.
    ///
    /// # Errors
    ///
    /// As running it.
    pub fn find(&self, sql: impl Into<Sql>) -> Result<Arc<Plan>> {
        self.0.plan(sql.into())
    }

    /// Finds the plan of a statement and puts the parameters into its order.
    ///
    /// # Errors
    ///
    /// As running it.
    pub fn bind(&self, sql: impl Into<Sql>, params: Params) -> Result<Work> {
        self.0.execute(sql.into(), params)
    }
}

/// Makes the plan of a statement that was never seen before.
///
/// # Errors
///
/// As running it.
pub fn parse(dialect: Dialect, text: &'static str) -> Result<Plan> {
    Plan::new(dialect, text.into(), Origin::Portable)
}
