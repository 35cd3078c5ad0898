//! `ufw_rule`.

use crate::answer::Misread;
use crate::change::{Verdict};
use crate::kind::{Before, Kind};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub struct UfwRule {
    pub(crate) port: u16,
    pub(crate) from: Option<String>,
}

impl UfwRule {
    #[allow(missing_docs)]
    #[must_use]
    pub fn allow(port: u16) -> Self {
        Self { port, from: None }
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn from(mut self, peer: impl Into<String>) -> Self {
        self.from = Some(peer.into()); self
    }
    #[allow(missing_docs)]
    #[must_use]
    pub fn from_any(mut self) -> Self {
        self.from = None; self
    }
}

impl Kind for UfwRule {
    const NAME: &'static str = "ufw_rule";
    type Seen = ();

    fn id(&self) -> String {
        format!("{}/tcp from {}", self.port, self.from.as_deref().unwrap_or("any"))
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
