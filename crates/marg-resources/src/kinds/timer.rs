//! `timer`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Timer {
    pub(crate) name: String,
    pub(crate) present: bool,
    pub(crate) calendar: String,
    pub(crate) command: String,
    pub(crate) user: String,
    pub(crate) directory: Option<String>,
    pub(crate) requires: Option<String>,
}

impl Timer {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), present: true, calendar: String::new(), command: String::new(), user: "root".to_owned(), directory: None, requires: None }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn absent(name: impl Into<String>) -> Self {
        Self { present: false, ..Self::new(name) }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn calendar(mut self, calendar: impl Into<String>) -> Self {
        self.calendar = calendar.into(); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into(); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into(); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn directory(mut self, path: impl Into<String>) -> Self {
        self.directory = Some(path.into()); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn requires(mut self, path: impl Into<String>) -> Self {
        self.requires = Some(path.into()); self
    }
}

impl Kind for Timer {
    const NAME: &'static str = "timer";
    type Seen = ();

    fn id(&self) -> String {
        self.name.clone()
    }

    fn probe(_all: &[&Self]) -> String {
        String::new()
    }

    fn read(_all: &[&Self], _lines: &[String]) -> Result<Vec<()>, Misread> {
        Err(Self::misread("this kind cannot be read yet"))
    }

    fn fresh(&self) {}

    fn diff(&self, _seen: &(), _before: &Before) -> Verdict {
        Verdict::Converged
    }
}
