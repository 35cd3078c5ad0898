//! `command`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};
use crate::script::Shell;
/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Command {
    pub(crate) name: String,
    pub(crate) run: Shell,
    pub(crate) check: Option<String>,
    pub(crate) watched: Vec<String>,
    pub(crate) creates: Option<String>,
}

impl Command {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(name: impl Into<String>, run: impl Into<Shell>) -> Self {
        Self { name: name.into(), run: run.into(), check: None, watched: Vec::new(), creates: None }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn unless(mut self, check: impl Into<String>) -> Self {
        self.check = Some(check.into()); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn watch<S: Into<String>>(mut self, resources: impl IntoIterator<Item = S>) -> Self {
        self.watched.extend(resources.into_iter().map(Into::into)); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn creates(mut self, path: impl Into<String>) -> Self {
        self.creates = Some(path.into()); self
    }
}

impl Kind for Command {
    const NAME: &'static str = "command";
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
