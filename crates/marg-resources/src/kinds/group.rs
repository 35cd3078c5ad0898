//! `group`: a system group. One that marg has not made is left alone.

use std::collections::BTreeMap;

use super::accounts::{self, Maker};
use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::{quote, quote_all};

/// A group. Its members belong to the users' side, see [`User::groups`](super::User::groups).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    name: String,
    formerly: Option<String>,
}

/// What a host says of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSeen {
    /// Its number.
    pub number: u32,
    /// Who made it.
    pub maker: Maker,
}

impl Group {
    /// The group exists; if it is made, then with a number of the system's range.
    #[must_use]
    pub fn system(name: impl Into<String>) -> Self {
        Self { name: name.into(), formerly: None }
    }

    /// Earlier versions of marg made it, without writing that down, as the main group of a user of
    /// the same name whose home begins like this.
    #[must_use]
    pub fn formerly(mut self, home: impl Into<String>) -> Self {
        self.formerly = Some(home.into());
        self
    }

    /// Commands that make the group, unless it is there.
    pub(super) fn making(name: &str) -> String {
        let name = quote(name);
        format!(
            "claim group {name}\n\
             getent group {name} >/dev/null || groupadd --system -- {name}\n\
             claimed group {name}\n"
        )
    }
}

impl Kind for Group {
    const NAME: &'static str = "group";
    type Seen = Option<GroupSeen>;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn probe(all: &[&Self]) -> String {
        // Status 2 means that one of them does not exist: that is an answer.
        let names = quote_all(all.iter().map(|group| &group.name));
        format!(
            "{{ getent group {names} || [ $? -eq 2 ]; }} && {{ getent passwd {names} || [ $? -eq 2 ]; }} && \
             {}",
            accounts::records("group", all.iter().map(|group| &group.name))
        )
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<Option<GroupSeen>>, Misread> {
        let (mut groups, mut users, mut records) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for line in lines {
            let words: Vec<&str> = line.split(':').collect();
            match words.as_slice() {
                [name, _, number, _] => {
                    let number = number.parse::<u32>().map_err(|_| Self::misread(line))?;
                    groups.insert(*name, number);
                }
                [name, _, _, group, _, home, _] => {
                    users.insert(*name, (*group, *home));
                }
                [record] if accounts::record(record).is_some() => records.extend(accounts::record(record)),
                _ => return Err(Self::misread(line)),
            }
        }
        let seen = |group: &&Self| {
            let name = group.name.as_str();
            let number = *groups.get(name)?;
            let earlier = group.formerly.as_deref().is_some_and(|begin| {
                users.get(name).is_some_and(|(main, home)| {
                    main.parse() == Ok(number) && home.starts_with(begin)
                })
            });
            Some(GroupSeen { number, maker: accounts::maker(&records, name, number, earlier) })
        };
        Ok(all.iter().map(seen).collect())
    }

    fn fresh(&self) -> Option<GroupSeen> {
        None
    }

    fn diff(&self, seen: &Option<GroupSeen>, _before: &Before) -> Verdict {
        let (action, summary, script) = match seen {
            None => (Action::Create, "create", Self::making(&self.name)),
            Some(GroupSeen { maker: Maker::Marg, .. }) => return Verdict::Converged,
            Some(GroupSeen { maker: Maker::Unnumbered, .. }) => {
                let script = format!("claimed group {}\n", quote(&self.name));
                (Action::Update, "note that marg made it", script)
            }
            Some(GroupSeen { maker: Maker::Other, number }) => {
                let found = format!("number {number}");
                return Verdict::Refused { reason: accounts::refusal("group", &self.name, &found) };
            }
        };
        let summary = summary.to_owned();
        Verdict::Will(Change { action, summary, diff: None, work: Work::Script(script.into()) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn verdict(lines: &[&str]) -> String {
        let flow = Group::system("flow").formerly("/var/www/");
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let seen = Group::read(&[&flow], &lines).unwrap();
        match flow.diff(&seen[0], &Before::default()) {
            Verdict::Converged => String::new(),
            Verdict::Will(change) => change.summary,
            Verdict::Refused { reason } => reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn cases() {
        let group = "flow:x:999:web,www-data";
        let note = "note that marg made it";
        for (lines, expected) in [
            (vec![group, "made flow 999"], ""),
            // What a run was about to make when it was interrupted.
            (vec![group, "made flow "], note),
            (vec!["other:x:999:"], "create"),
            (vec!["made flow 999"], "create"),
            (vec![], "create"),
            (vec![group, "flow:x:998:999::/var/www/flow/home:/usr/sbin/nologin"], note),
        ] {
            assert_eq!(verdict(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_strangers_group_is_left_alone() {
        for lines in [
            vec!["flow:x:999:"],
            // Made anew by somebody, after marg's own was gone.
            vec!["flow:x:999:", "made flow 998"],
            // The user of that name has another main group, or another home.
            vec!["flow:x:999:", "flow:x:998:33::/var/www/flow/home:/usr/sbin/nologin"],
            vec!["flow:x:999:", "flow:x:998:999::/home/flow:/bin/sh"],
            vec!["flow:x:34:", "flow:x:34:34::/var/www/flow/home:/usr/sbin/nologin"],
            vec!["flow:x:1000:", "flow:x:1000:1000::/var/www/flow/home:/usr/sbin/nologin"],
        ] {
            assert!(verdict(&lines).starts_with("the group `flow` exists there (number "), "{lines:?}");
        }
    }

    #[test]
    fn junk_is_an_error() {
        for line in ["junk", "flow:x:many:", "flow:x:1:a:b", "made flow"] {
            assert!(Group::read(&[&Group::system("flow")], &[line.to_owned()]).is_err(), "{line}");
        }
    }
}
