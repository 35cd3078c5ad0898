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

/// dpkg's own list of what is installed.
const STATUS: &str = "/var/lib/dpkg/status";

impl Kind for Package {
    const NAME: &'static str = "package";
    const RANK: u8 = 20;
    /// Whether it is installed and configured.
    type Seen = bool;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn probe(all: &[&Self]) -> String {
        // dpkg-query reads all of dpkg's database, which takes it five times as long as grep. What
        // dpkg has not yet merged into its status file only dpkg-query knows. It fails when one of
        // the packages is unknown: that is an answer, not an error.
        let lines = all.iter().map(|package| format!(" -e {}", quote(&format!("Package: {}", package.name))));
        format!(
            "set -- /var/lib/dpkg/updates/*
if [ -e \"$1\" ] || [ ! -e {STATUS} ]; then
dpkg-query -W -f 'Package: ${{Package}}\\nStatus: ${{Status}}\\n' {} 2>/dev/null || :
else grep -A3 -xF{} {STATUS} || [ $? -eq 1 ]; fi",
            quote_all(all.iter().map(|package| &package.name)),
            lines.collect::<String>()
        )
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<bool>, Misread> {
        let mut installed = BTreeMap::new();
        let mut name = None;
        for line in lines {
            if line == "--" {
                continue;
            }
            let (key, value) = line.split_once(": ").ok_or_else(|| Self::misread(line))?;
            match key {
                "Package" if name.is_some() => return Err(Self::misread(line)),
                "Package" => name = Some(value),
                // A package may be known in several architectures; one that is installed is enough.
                "Status" => {
                    let name = name.take().ok_or_else(|| Self::misread(line))?;
                    *installed.entry(name).or_insert(false) |= value.ends_with(" ok installed");
                }
                // Fields beside those two.
                _ => {}
            }
        }
        if let Some(name) = name {
            return Err(Self::misread(format!("the status of {name} is missing")));
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
        // (desired, what dpkg knows, what will be done)
        let cases: &[(Package, &[&str], Option<Action>)] = &[
            (Package::new("nginx"), &["Package: nginx", "Status: install ok installed", "Priority: optional", "--"], None),
            (Package::new("nginx"), &["Package: nginx", "Essential: yes", "Status: deinstall ok config-files"], Some(Action::Create)),
            (Package::new("nginx"), &[], Some(Action::Create)),
            (Package::new("nginx"), &["Package: nginx", "Status: install ok half-configured"], Some(Action::Create)),
            (Package::absent("apache2"), &["Package: apache2", "Status: hold ok installed"], Some(Action::Delete)),
            (Package::absent("apache2"), &["Package: apache2", "Status: unknown ok not-installed"], None),
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
        for lines in [&["junk"][..], &["Status: install ok installed"], &["Package: a"], &["Package: a", "Package: b"]] {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            assert!(Package::read(&[&Package::new("a")], &lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn installed_packages_are_found_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let host = crate::testing::Host::local(folder.path());
        let wanted = [Package::new("dpkg"), Package::new("coreutils"), Package::absent("no-such+package.")];
        assert_eq!(host.converge(&wanted.map(Into::into)), [""; 0]);
        let plan = host.plan(&[Package::new("no-such+package.").into()]);
        assert_eq!(plan.changes.len(), 1);
    }
}
