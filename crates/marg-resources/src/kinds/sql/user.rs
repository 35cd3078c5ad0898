//! A database user.

use marg_model::{Secret, SqlEngine};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct DatabaseUser {
    pub(crate) engine: SqlEngine,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) password: Option<Secret>,
    pub(crate) databases: Vec<String>,
}

impl DatabaseUser {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(engine: SqlEngine, name: impl Into<String>, host: impl Into<String>, password: Secret) -> Self {
        Self { engine, name: name.into(), host: host.into(), password: Some(password), databases: Vec::new() }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn absent(engine: SqlEngine, name: impl Into<String>, host: impl Into<String>) -> Self {
        Self { engine, name: name.into(), host: host.into(), password: None, databases: Vec::new() }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn grant_all(mut self, database: impl Into<String>) -> Self {
        self.databases.push(database.into()); self
    }
}
