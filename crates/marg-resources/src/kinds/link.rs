//! `link`: a symbolic link, or its absence.

use super::paths::{self, Path, What};
use crate::answer::Misread;
use crate::change::{Action, Change, Place, Validator, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    path: String,
    target: Option<String>,
    validator: Option<Validator>,
}

/// What a host says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkSeen {
    /// Nothing is there.
    Missing,
    /// Something else is there.
    Other(String),
    /// A link with that target.
    Present(String),
}

impl Link {
    /// A link to `target`, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self { path: path.into(), target: Some(target.into()), validator: None }
    }

    /// Neither a link nor a file is there.
    #[must_use]
    pub fn absent(path: impl Into<String>) -> Self {
        Self { path: path.into(), target: None, validator: None }
    }

    /// The program that must accept the new state before it goes live. Paths below `/etc` only.
    #[must_use]
    pub fn validate(mut self, validator: Validator) -> Self {
        self.validator = Some(validator);
        self
    }

    fn change(&self, action: Action, summary: String) -> Verdict {
        Verdict::Will(self.work(action, summary))
    }

    fn work(&self, action: Action, summary: String) -> Change {
        let validator = self.validator.clone();
        let place = match &self.target {
            Some(target) => Place {
                validator,
                stage: format!("stage_link {} {}", quote(&self.path), quote(target)).into(),
                commit: format!("land {}", quote(&self.path)),
                guard: None,
            },
            None => Place::removal(&self.path, validator),
        };
        let work = Work::Place(place);
        Change { action, summary, diff: None, work }
    }
}

impl Kind for Link {
    const NAME: &'static str = "link";
    type Seen = LinkSeen;

    fn id(&self) -> String {
        self.path.clone()
    }

    fn paths(&self) -> Vec<String> {
        vec![self.path.clone()]
    }

    fn probe(_all: &[&Self]) -> String {
        // All that is asked about a link is what its path is.
        ":".to_owned()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<LinkSeen>, Misread> {
        let (paths, rest) = paths::take(lines).map_err(Self::misread)?;
        if let Some(line) = rest.first() {
            return Err(Self::misread(line));
        }
        all.iter()
            .map(|link| match paths.get(&link.path).cloned() {
                None => Ok(LinkSeen::Missing),
                Some(Path { what: What::Link, target, .. }) => {
                    let missing = || Self::misread(format!("the target of {}", link.path));
                    target.map(LinkSeen::Present).ok_or_else(missing)
                }
                Some(other) => Ok(LinkSeen::Other(other.what.name().to_owned())),
            })
            .collect()
    }

    fn fresh(&self) -> LinkSeen {
        LinkSeen::Missing
    }

    fn diff(&self, seen: &LinkSeen, before: &Before) -> Verdict {
        match (&self.target, seen) {
            (None, LinkSeen::Missing) if before.brings_files() => {
                Verdict::May(self.work(Action::Delete, "remove, if a package brings it".to_owned()))
            }
            (None, LinkSeen::Missing) => Verdict::Converged,
            (None, _) => self.change(Action::Delete, "remove".to_owned()),
            (Some(target), LinkSeen::Present(old)) if target == old => Verdict::Converged,
            (Some(target), LinkSeen::Missing) => {
                self.change(Action::Create, format!("→ {target}"))
            }
            (Some(target), LinkSeen::Present(old)) => {
                self.change(Action::Update, format!("{old} → {target}"))
            }
            (Some(target), LinkSeen::Other(what)) => {
                self.change(Action::Update, format!("replace a {what} by a link to {target}"))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    const SITE: &str = "/etc/nginx/sites-enabled/flow";

    fn summary(desired: &Link, lines: &[String]) -> Option<String> {
        let seen = Link::read(&[desired], lines).unwrap();
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let link = Link::new(SITE, "../a");
        let line = |kind: &str, target: &str| {
            let mut lines = vec![format!("s 777 root root {kind}|{SITE}")];
            if kind == "l" {
                lines.push(format!("l {SITE}|{target}"));
            }
            lines
        };
        for (lines, expected) in [
            (line("l", "../a"), None),
            (line("l", "../b"), Some("../b → ../a")),
            (line("f", ""), Some("replace a regular file by a link to ../a")),
            (vec![], Some("→ ../a")),
        ] {
            assert_eq!(summary(&link, &lines).as_deref(), expected, "{lines:?}");
        }
        assert_eq!(summary(&Link::absent(SITE), &[]), None);
        assert_eq!(summary(&Link::absent(SITE), &line("l", "x")).as_deref(), Some("remove"));
    }

    #[test]
    fn what_a_package_may_bring_is_removed_in_the_same_run() {
        let mut before = Before::default();
        before.changed.insert("package nginx".to_owned());
        let verdict = Link::absent(SITE).diff(&LinkSeen::Missing, &before);
        assert!(matches!(verdict, Verdict::May(_)), "{verdict:?}");
    }

    #[test]
    fn junk_is_an_error() {
        let link = Link::new(SITE, "x");
        for line in ["junk", "l /other|x", "L /etc/nginx/sites-enabled/flow|x", "s 777 root root l|/etc/nginx/sites-enabled/flow", "s 777 root l|/a"] {
            assert!(Link::read(&[&link], &[line.to_owned()]).is_err(), "{line}");
        }
    }

    #[test]
    fn links_converge_on_a_real_shell() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let (a, b) = (folder.path().join("a"), folder.path().join("a|b"));
        std::fs::write(&b, "a file in its place").unwrap();
        let (a, b) = (a.display().to_string(), b.display().to_string());
        let wanted = [Link::new(&a, "x|y").into(), Link::new(&b, "gone 'q'").into()];
        host.converge(&wanted);
        assert_eq!(std::fs::read_link(&b).unwrap().to_str(), Some("gone 'q'"));
        assert_eq!(host.converge(&wanted), [""; 0]);
        assert_eq!(host.converge(&[Link::absent(&a).into()]), ["remove"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_target_survives(target in "[^\0\n]{1,40}") {
            let folder = tempfile::tempdir().unwrap();
            let link = Link::new(folder.path().join("link").display().to_string(), &target);
            let summaries = Host::local(folder.path()).converge(&[Resource::from(link)]);
            prop_assert_eq!(summaries.len(), 1);
        }
    }
}
