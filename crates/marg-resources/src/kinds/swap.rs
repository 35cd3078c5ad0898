//! `swap`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct Swap {
    pub(crate) path: String,
    pub(crate) mib: u64,
}

impl Swap {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(path: impl Into<String>, mib: u64) -> Self {
        Self { path: path.into(), mib }
    }
}

impl Kind for Swap {
    const NAME: &'static str = "swap";
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
