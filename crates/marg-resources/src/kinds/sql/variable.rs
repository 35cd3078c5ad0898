//! A setting of the server that can be changed while it runs.

use marg_model::SqlEngine;

use super::call;
use crate::change::{Action, Change, Verdict, Work};

/// A global variable of the running server that holds a number, such as `max_connections`. What
/// the server starts with stands in its configuration; a change of both needs no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub(super) engine: SqlEngine,
    pub(super) name: &'static str,
    value: u64,
}

impl Variable {
    /// The running server uses that value. The variable must be one that the server knows.
    #[must_use]
    pub fn new(engine: SqlEngine, name: &'static str, value: u64) -> Self {
        Self {
            engine,
            name,
            value,
        }
    }

    /// Asks for its value.
    pub(super) fn question(&self) -> String {
        let name = self.name;
        format!("SELECT 'v', '{name}', @@global.{name};\n")
    }

    pub(super) fn diff(&self, seen: u64) -> Verdict {
        if seen == self.value {
            return Verdict::Converged;
        }
        Verdict::Will(self.change(format!("{seen} → {}", self.value)))
    }

    /// What is done without knowing what is there.
    pub(super) fn ensure(&self) -> Change {
        self.change(format!("set to {}", self.value))
    }

    fn change(&self, summary: String) -> Change {
        let set = format!("SET GLOBAL {} = {};\n", self.name, self.value);
        Change {
            action: Action::Update,
            summary,
            diff: None,
            work: Work::Script(call(self.engine, set.into())),
        }
    }
}
