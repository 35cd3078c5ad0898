//! `directory`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Directory {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) owner: String,
    pub(crate) group: String,
}

impl Directory {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), mode: 0o755, owner: "root".to_owned(), group: "root".to_owned() }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode; self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>, group: impl Into<String>) -> Self {
        self.owner = owner.into(); self.group = group.into(); self
    }
}

impl Kind for Directory {
    const NAME: &'static str = "directory";
    type Seen = ();

    fn id(&self) -> String {
        self.path.clone()
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
