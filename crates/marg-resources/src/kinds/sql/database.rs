//! A database.

use marg_model::SqlEngine;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Database {
    pub(crate) engine: SqlEngine,
    pub(crate) name: String,
    pub(crate) charset: String,
    pub(crate) collation: String,
}

impl Database {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(engine: SqlEngine, name: impl Into<String>, charset: impl Into<String>, collation: impl Into<String>) -> Self {
        Self { engine, name: name.into(), charset: charset.into(), collation: collation.into() }
    }
}
