//! `release`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Release {
    pub(crate) root: String,
    pub(crate) id: String,
}

impl Release {
    #[allow(missing_docs)]
    #[must_use]
    pub fn live(root: impl Into<String>, id: impl Into<String>) -> Self {
        Self { root: root.into(), id: id.into() }
    }
}

impl Kind for Release {
    const NAME: &'static str = "release";
    type Seen = ();

    fn id(&self) -> String {
        self.root.clone()
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
