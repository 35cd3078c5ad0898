//! `block`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Block {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) text: Option<String>,
}

impl Block {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(path: impl Into<String>, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), name: name.into(), text: Some(text.into()) }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn absent(path: impl Into<String>, name: impl Into<String>) -> Self {
        Self { path: path.into(), name: name.into(), text: None }
    }
}

impl Kind for Block {
    const NAME: &'static str = "block";
    type Seen = ();

    fn id(&self) -> String {
        format!("{} {}", self.path, self.name)
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
