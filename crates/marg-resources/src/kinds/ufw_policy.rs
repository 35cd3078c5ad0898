//! `ufw_policy`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};
use crate::kinds::UfwRule;
/// See the module.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code)]
pub struct UfwPolicy {
    pub(crate) keep: Vec<UfwRule>,
}

impl UfwPolicy {
    #[allow(missing_docs)]
    #[must_use]
    pub fn new(keep: Vec<UfwRule>) -> Self {
        Self { keep }
    }
}

impl Kind for UfwPolicy {
    const NAME: &'static str = "ufw_policy";
    type Seen = ();

    fn id(&self) -> String {
        "default deny".to_owned()
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
