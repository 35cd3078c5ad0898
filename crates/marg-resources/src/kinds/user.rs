//! `user`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct User {
    pub(crate) name: String,
    pub(crate) home: String,
    pub(crate) shell: String,
    pub(crate) groups: Vec<String>,
}

impl User {
    #[allow(missing_docs)]
    #[must_use]
    pub fn system(name: impl Into<String>) -> Self {
        Self { name: name.into(), home: "/nonexistent".to_owned(), shell: "/usr/sbin/nologin".to_owned(), groups: Vec::new() }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn home(mut self, path: impl Into<String>) -> Self {
        self.home = path.into(); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn shell(mut self, path: impl Into<String>) -> Self {
        self.shell = path.into(); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn groups<S: Into<String>>(mut self, groups: impl IntoIterator<Item = S>) -> Self {
        self.groups = groups.into_iter().map(Into::into).collect(); self
    }
}

impl Kind for User {
    const NAME: &'static str = "user";
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
