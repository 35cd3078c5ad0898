//! `apt_repository`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct AptRepository {
    pub(crate) name: String,
    pub(crate) text: Option<String>,
}

impl AptRepository {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: Some(text.into()) }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn absent(name: impl Into<String>) -> Self {
        Self { name: name.into(), text: None }
    }
}

impl Kind for AptRepository {
    const NAME: &'static str = "apt_repository";
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
