//! `group`: a system group.

use std::collections::BTreeSet;

use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::{quote, quote_all};

/// A group. Its members belong to the users' side, see [`User::groups`](super::User::groups).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    name: String,
}

impl Group {
    /// The group exists; if it is made, then with a number of the system's range.
    #[must_use]
    pub fn system(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Kind for Group {
    const NAME: &'static str = "group";
    /// Whether it exists.
    type Seen = bool;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn probe(all: &[&Self]) -> String {
        // Status 2 means that one of them does not exist: that is an answer.
        let names = quote_all(all.iter().map(|group| &group.name));
        format!("getent group {names} || [ $? -eq 2 ]")
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<bool>, Misread> {
        let mut there = BTreeSet::new();
        for line in lines {
            let words: Vec<&str> = line.split(':').collect();
            match words.as_slice() {
                [name, _, number, _] if number.parse::<u32>().is_ok() => there.insert(*name),
                _ => return Err(Self::misread(line)),
            };
        }
        Ok(all.iter().map(|group| there.contains(group.name.as_str())).collect())
    }

    fn fresh(&self) -> bool {
        false
    }

    fn diff(&self, seen: &bool, _before: &Before) -> Verdict {
        if *seen {
            return Verdict::Converged;
        }
        let name = quote(&self.name);
        let script = format!("getent group {name} >/dev/null || groupadd --system -- {name}");
        Verdict::Will(Change {
            action: Action::Create,
            summary: "create".to_owned(),
            diff: None,
            work: Work::Script(script.into()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        let flow = Group::system("flow");
        for (lines, converged) in [
            (vec!["flow:x:999:"], true),
            (vec!["flow:x:999:web,www-data"], true),
            (vec!["other:x:999:"], false),
            (vec![], false),
        ] {
            let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            let seen = Group::read(&[&flow], &lines).unwrap();
            let verdict = flow.diff(&seen[0], &Before::default());
            assert_eq!(verdict == Verdict::Converged, converged, "{lines:?}");
        }
    }

    #[test]
    fn junk_is_an_error() {
        for line in ["junk", "flow:x:many:", "flow:x:1:a:b"] {
            assert!(Group::read(&[&Group::system("flow")], &[line.to_owned()]).is_err(), "{line}");
        }
    }
}
