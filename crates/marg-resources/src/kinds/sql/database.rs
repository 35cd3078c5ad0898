//! A database with its character set and collation.

use marg_model::SqlEngine;

use super::quote::{identifier, statement};
use super::{DatabaseSeen, call};
use crate::change::{Action, Change, Verdict, Work};
use crate::script::Shell;

/// A database. It is never dropped by marg.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    pub(super) engine: SqlEngine,
    pub(super) name: String,
    charset: String,
    collation: String,
}

impl Database {
    /// The database exists with that character set (`utf8mb4`) and collation
    /// (`utf8mb4_unicode_ci`) as its defaults.
    #[must_use]
    pub fn new(
        engine: SqlEngine,
        name: impl Into<String>,
        charset: impl Into<String>,
        collation: impl Into<String>,
    ) -> Self {
        Self {
            engine,
            name: name.into(),
            charset: charset.into(),
            collation: collation.into(),
        }
    }

    pub(super) fn diff(&self, seen: &DatabaseSeen) -> Verdict {
        let Some((charset, collation)) = seen else {
            let change = self.change(Action::Create, "create".to_owned(), &["CREATE"]);
            return Verdict::Will(change);
        };
        if (charset, collation) == (&self.charset, &self.collation) {
            return Verdict::Converged;
        }
        let summary = format!(
            "default {charset}/{collation} → {}/{}",
            self.charset, self.collation
        );
        Verdict::Will(self.change(Action::Update, summary, &["ALTER"]))
    }

    /// What is done without knowing what is there.
    pub(super) fn ensure(&self) -> Change {
        self.change(Action::Create, "create".to_owned(), &["CREATE", "ALTER"])
    }

    fn change(&self, action: Action, summary: String, verbs: &[&str]) -> Change {
        let statements = verbs.iter().map(|verb| {
            let guard = if *verb == "CREATE" { " IF NOT EXISTS" } else { "" };
            let sql = format!(
                "{verb} DATABASE{guard} {} CHARACTER SET {} COLLATE {}",
                identifier(&self.name),
                identifier(&self.charset),
                identifier(&self.collation)
            );
            // MySQL cannot prepare this statement.
            if *verb == "ALTER" { format!("{sql};\n") } else { statement(&sql) }
        });
        let sql = Shell::new(statements.collect::<String>());
        Change { action, summary, diff: None, work: Work::Script(call(self.engine, sql)) }
    }
}
