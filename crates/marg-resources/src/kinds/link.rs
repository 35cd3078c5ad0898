//! `link`.

use crate::answer::Misread;
use crate::change::{Validator, Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Link {
    pub(crate) path: String,
    pub(crate) target: Option<String>,
    pub(crate) validator: Option<Validator>,
}

impl Link {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self { path: path.into(), target: Some(target.into()), validator: None }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn absent(path: impl Into<String>) -> Self {
        Self { path: path.into(), target: None, validator: None }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn validate(mut self, validator: Validator) -> Self {
        self.validator = Some(validator); self
    }
}

impl Kind for Link {
    const NAME: &'static str = "link";
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
