//! `package`: a Debian package that is installed, or must not be.

use std::collections::BTreeMap;

use crate::answer::Misread;
use crate::change::{Action, Change, Install, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::{quote, quote_all};

/// A package, installed in whatever version the distribution offers, or absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    name: String,
    present: bool,
}

impl Package {
    /// The package is installed.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), present: true }
    }

    /// The package is not installed; its configuration files stay.
    pub fn absent(name: impl Into<String>) -> Self {
        Self { name: name.into(), present: false }
    }
}

impl Kind for Package {
    const NAME: &'static str = "package";
    const RANK: u8 = 20;
    /// Whether it is installed and configured.
    type Seen = bool;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn probe(all: &[&Self]) -> String {
        // dpkg-query fails when one of the packages is unknown: that is an answer, not an error.
        format!(
            "dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' {} 2>/dev/null || :",
            quote_all(all.iter().map(|package| &package.name))
        )
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<bool>, Misread> {
        let mut installed = BTreeMap::new();
        for line in lines {
            let (name, status) = line.split_once(' ').ok_or_else(|| Self::misread(line))?;
            // A package may be known in several architectures; one that is installed is enough.
            *installed.entry(name).or_insert(false) |= status == "installed";
        }
        Ok(all.iter().map(|p| installed.get(p.name.as_str()).copied().unwrap_or(false)).collect())
    }

    fn fresh(&self) -> bool {
        false
    }

    fn diff(&self, seen: &bool, _before: &Before) -> Verdict {
        match (self.present, *seen) {
            (true, false) => Verdict::Will(Change {
                action: Action::Create,
                summary: "install".to_owned(),
                diff: None,
                work: Work::Install(Install { packages: vec![self.name.clone()] }),
            }),
            (false, true) => Verdict::Will(Change {
                action: Action::Delete,
                summary: "remove".to_owned(),
                diff: None,
                work: Work::Script(format!("apt_remove {}", quote(&self.name)).into()),
            }),
            _ => Verdict::Converged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        // (desired, what dpkg-query printed, what will be done)
        let cases: &[(Package, &[&str], Option<Action>)] = &[
            (Package::new("nginx"), &["nginx installed"], None),
            (Package::new("nginx"), &["nginx config-files"], Some(Action::Create)),
            (Package::new("nginx"), &[], Some(Action::Create)),
            (Package::new("nginx"), &["nginx half-configured"], Some(Action::Create)),
            (Package::absent("apache2"), &["apache2 installed"], Some(Action::Delete)),
            (Package::absent("apache2"), &["apache2 not-installed"], None),
        ];
        for (desired, lines, expected) in cases {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            let seen = Package::read(&[desired], &lines).expect("readable");
            let action = match desired.diff(&seen[0], &Before::default()) {
                Verdict::Will(change) => Some(change.action),
                _ => None,
            };
            assert_eq!(action, *expected, "{desired:?} {lines:?}");
        }
    }

    #[test]
    fn junk_is_an_error() {
        assert!(Package::read(&[&Package::new("a")], &["junk".to_owned()]).is_err());
    }
}
