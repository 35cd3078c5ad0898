//! `group`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Group {
    pub(crate) name: String,
}

impl Group {
    #[allow(missing_docs)]
    #[must_use]
    pub fn system(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Kind for Group {
    const NAME: &'static str = "group";
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
