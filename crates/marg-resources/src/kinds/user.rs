//! `user`: a system user with its home, shell and further groups. One that marg has not made is left
//! alone.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{self, Maker};
use super::group::Group;
use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::{quote, quote_all};

/// A user whose main group has the same name. Its home directory is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    home: String,
    shell: String,
    groups: Vec<String>,
    formerly: Option<String>,
}

/// What a host says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSeen {
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Those of the wanted groups that have it as a member.
    pub groups: BTreeSet<String>,
    /// Its number.
    pub number: u32,
    /// Who made it.
    pub maker: Maker,
}

impl User {
    /// The user exists; if it is made, then with a number of the system's range, no password,
    /// no home and no shell.
    #[must_use]
    pub fn system(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            home: "/nonexistent".to_owned(),
            shell: "/usr/sbin/nologin".to_owned(),
            groups: Vec::new(),
            formerly: None,
        }
    }

    /// Earlier versions of marg made it, without writing that down, with a home that begins like
    /// this.
    #[must_use]
    pub fn formerly(mut self, home: impl Into<String>) -> Self {
        self.formerly = Some(home.into());
        self
    }

    /// Home directory.
    #[must_use]
    pub fn home(mut self, path: impl Into<String>) -> Self {
        self.home = path.into();
        self
    }

    /// Login shell.
    #[must_use]
    pub fn shell(mut self, path: impl Into<String>) -> Self {
        self.shell = path.into();
        self
    }

    /// Groups of which it is a member besides its own. It stays a member of others, too.
    #[must_use]
    pub fn groups<S: Into<String>>(mut self, groups: impl IntoIterator<Item = S>) -> Self {
        self.groups = groups.into_iter().map(Into::into).collect();
        self
    }

    fn create(&self) -> String {
        let name = quote(&self.name);
        format!(
            "claim passwd {name}\n{}\
             getent passwd {name} >/dev/null || \
             useradd --system --no-create-home -g {name} -d {} -s {} -- {name}\n\
             claimed passwd {name}\n{}",
            Group::making(&self.name),
            quote(&self.home),
            quote(&self.shell),
            self.join(&self.groups)
        )
    }

    fn join(&self, groups: &[String]) -> String {
        if groups.is_empty() {
            return String::new();
        }
        format!("usermod -aG {} -- {}\n", quote(&groups.join(",")), quote(&self.name))
    }

    fn update(&self, seen: &UserSeen) -> Option<(String, String)> {
        let (mut words, mut script) = (Vec::new(), String::new());
        let name = quote(&self.name);
        if seen.maker == Maker::Unnumbered {
            words.push("note that marg made it".to_owned());
            script.push_str(&format!(
                "claimed passwd {name}\n[ \"$(id -gn {name})\" != {name} ] || claimed group {name}\n"
            ));
        }
        if seen.home != self.home {
            words.push(format!("home {} → {}", seen.home, self.home));
            script.push_str(&format!("usermod -d {} -- {name}\n", quote(&self.home)));
        }
        if seen.shell != self.shell {
            words.push(format!("shell {} → {}", seen.shell, self.shell));
            script.push_str(&format!("usermod -s {} -- {name}\n", quote(&self.shell)));
        }
        let missing: Vec<String> =
            self.groups.iter().filter(|group| !seen.groups.contains(*group)).cloned().collect();
        if !missing.is_empty() {
            words.push(format!("join {}", missing.join(", ")));
            script.push_str(&self.join(&missing));
        }
        (!words.is_empty()).then(|| (words.join(", "), script))
    }
}

impl Kind for User {
    const NAME: &'static str = "user";
    type Seen = Option<UserSeen>;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn probe(all: &[&Self]) -> String {
        let names = quote_all(all.iter().map(|user| &user.name));
        let groups: BTreeSet<&String> = all.iter().flat_map(|user| &user.groups).collect();
        // Status 2 means that one of them does not exist: that is an answer.
        let mut script = format!("{{ getent passwd {names} || [ $? -eq 2 ]; }}");
        if !groups.is_empty() {
            script.push_str(&format!(" && {{ getent group {} || [ $? -eq 2 ]; }}", quote_all(groups)));
        }
        script.push_str(" && ");
        script.push_str(&accounts::records("passwd", all.iter().map(|user| &user.name)));
        script
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<Option<UserSeen>>, Misread> {
        let (mut users, mut members, mut records) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for line in lines {
            let words: Vec<&str> = line.split(':').collect();
            match words.as_slice() {
                [name, _, number, _, _, home, shell] => {
                    let number = number.parse::<u32>().map_err(|_| Self::misread(line))?;
                    users.insert(*name, (number, *home, *shell));
                }
                [group, _, _, list] => {
                    members.insert(*group, list.split(',').collect::<Vec<_>>());
                }
                [record] if accounts::record(record).is_some() => records.extend(accounts::record(record)),
                _ => return Err(Self::misread(line)),
            }
        }
        let is_member = |user: &Self, group: &String| {
            members.get(group.as_str()).is_some_and(|list| list.contains(&user.name.as_str()))
        };
        let seen = |user: &&Self| {
            let (number, home, shell) = *users.get(user.name.as_str())?;
            let formerly = user.formerly.as_deref();
            let earlier = formerly.is_some_and(|begin| home.starts_with(begin) && shell.ends_with("/nologin"));
            let groups = user.groups.iter().filter(|group| is_member(user, group)).cloned();
            Some(UserSeen {
                home: home.to_owned(),
                shell: shell.to_owned(),
                groups: groups.collect(),
                number,
                maker: accounts::maker(&records, &user.name, number, earlier),
            })
        };
        Ok(all.iter().map(seen).collect())
    }

    fn fresh(&self) -> Option<UserSeen> {
        None
    }

    fn diff(&self, seen: &Option<UserSeen>, _before: &Before) -> Verdict {
        let (action, summary, script) = match seen {
            None => (Action::Create, "create".to_owned(), self.create()),
            Some(seen) if seen.maker == Maker::Other => {
                let found = format!("number {}, home {}", seen.number, seen.home);
                return Verdict::Refused { reason: accounts::refusal("user", &self.name, &found) };
            }
            Some(seen) => match self.update(seen) {
                None => return Verdict::Converged,
                Some((summary, script)) => (Action::Update, summary, script),
            },
        };
        Verdict::Will(Change { action, summary, diff: None, work: Work::Script(script.into()) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kind::Resource;
    use crate::kinds::{Command, Group};
    use crate::testing::Host;

    fn verdict(lines: &[&str]) -> String {
        let flow = User::system("flow").home("/var/www/flow").groups(["www-data"]).formerly("/var/www/");
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let seen = User::read(&[&flow], &lines).unwrap();
        match flow.diff(&seen[0], &Before::default()) {
            Verdict::Converged => String::new(),
            Verdict::Will(change) => change.summary,
            Verdict::Refused { reason } => reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn cases() {
        let good = "flow:x:999:999:a, b:/var/www/flow:/usr/sbin/nologin";
        let made = "made flow 999";
        for (lines, expected) in [
            (vec![good, made, "www-data:x:33:web,flow"], ""),
            (vec![good, "made flow ", "www-data:x:33:web,flow"], "note that marg made it"),
            (vec![good, made, "www-data:x:33:"], "join www-data"),
            (vec![good, made], "join www-data"),
            (vec![good, "www-data:x:33:flow"], "note that marg made it"),
            (vec!["flow:x:999:9::/home/flow:/usr/sbin/nologin", made, "www-data:x:33:flow"],
                "home /home/flow → /var/www/flow"),
            (vec!["flow:x:999:9::/var/www/flow:/bin/sh", made, "www-data:x:33:flow"],
                "shell /bin/sh → /usr/sbin/nologin"),
            (vec!["www-data:x:33:flow"], "create"),
            (vec![made], "create"),
        ] {
            assert_eq!(verdict(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_strangers_account_is_left_alone() {
        for line in [
            "flow:x:999:999::/home/flow:/usr/sbin/nologin",
            "flow:x:999:999::/var/www:/usr/sbin/nologin",
            "flow:x:999:999::/var/www/flow:/bin/bash",
            "flow:x:1000:1000::/var/www/flow:/usr/sbin/nologin",
            "flow:x:34:34::/var/www/flow:/usr/sbin/nologin",
        ] {
            for lines in [vec![line], vec![line, "made flow 998"]] {
                let said = verdict(&lines);
                assert!(said.starts_with("the user `flow` exists there (number "), "{lines:?}: {said}");
            }
        }
    }

    /// Somebody may have made it between the look and the step.
    #[test]
    fn a_step_claims_only_what_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let claim = |name: &str| {
            let script = format!("claim passwd {name} && echo claimed");
            host.apply(&host.plan(&[Command::new("claim", script).into()]))
        };
        let said = claim("daemon");
        assert!(said.contains("daemon exists in passwd (number 1) and was not made by marg"), "{said}");
        assert!(!said.contains("claimed"), "{said}");
        assert!(claim("nobody-has-this").contains("claimed"));
        let records = folder.path().join("marg/accounts");
        let names = std::fs::read_dir(&records).unwrap().map(|one| one.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["passwd.nobody-has-this"]);
        // What is written down is marg's, unless its number is another one by now.
        std::fs::write(records.join("passwd.daemon"), "1\n").unwrap();
        assert!(claim("daemon").contains("claimed"));
        std::fs::write(records.join("passwd.daemon"), "2\n").unwrap();
        assert!(!claim("daemon").contains("claimed"));
    }

    #[test]
    fn junk_is_an_error() {
        let flow = User::system("flow");
        assert!(User::read(&[&flow], &["flow:x:9".to_owned()]).is_err());
    }

    #[test]
    fn a_real_host_converges() {
        let Some(host) = Host::named("MARG_TRY_HOST") else { return };
        let clean = "userdel margtest 2>/dev/null; groupdel margtest 2>/dev/null; \
            rm -f /var/lib/marg/accounts/*.margtest";
        host.apply(&host.plan(&[Command::new("clean", clean).into()]));
        let user = User::system("margtest").home("/srv/a").groups(["www-data"]);
        let wanted = [Group::system("margtest").into(), Resource::from(user.clone())];
        assert_eq!(host.converge(&wanted), ["create", "create"]);
        let moved = [user.home("/srv/b").shell("/bin/sh").groups(["www-data", "adm"]).into()];
        assert_eq!(host.converge(&moved).len(), 1);
        host.apply(&host.plan(&[Command::new("clean", clean).into()]));
    }
}
