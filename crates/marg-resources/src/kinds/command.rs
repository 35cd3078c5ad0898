//! `command`: commands guarded by a check, for what no other kind covers.

use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;
use crate::script::Shell;

/// Commands that run unless a check says that there is nothing to do. Give a check or
/// [`Command::creates`]: without either, the commands run in every provision.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    name: String,
    run: Shell,
    check: Option<String>,
    creates: Option<String>,
    watched: Vec<String>,
    converts: bool,
}

/// What a host says about the need for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandSeen {
    /// There is no host to ask yet.
    NotAsked,
    /// Its check says that there is nothing to do.
    Done,
    /// It has to run.
    Needed,
}

impl Command {
    /// Commands under a name. They run under `set -e`, with the prelude's functions at hand.
    #[must_use]
    pub fn new(name: impl Into<String>, run: impl Into<Shell>) -> Self {
        Self {
            name: name.into(),
            run: run.into(),
            check: None,
            creates: None,
            watched: Vec::new(),
            converts: false,
        }
    }

    /// What it changes is of an earlier time, so a new machine has nothing of it.
    #[must_use]
    pub fn converts(mut self) -> Self {
        self.converts = true;
        self
    }

    /// Nothing is to be done if this script ends with status 0. It runs in every probe: it must
    /// be quick, change nothing, and hold no secrets.
    #[must_use]
    pub fn unless(mut self, check: impl Into<String>) -> Self {
        self.check = Some(check.into());
        self
    }

    /// Nothing is to be done if this path exists.
    #[must_use]
    pub fn creates(mut self, path: impl Into<String>) -> Self {
        self.creates = Some(path.into());
        self
    }

    /// Names of earlier resources (`file /etc/x`): when one of them changes, the check is asked
    /// again after that change.
    #[must_use]
    pub fn watch<S: Into<String>>(mut self, resources: impl IntoIterator<Item = S>) -> Self {
        self.watched.extend(resources.into_iter().map(Into::into));
        self
    }

    /// One condition that holds when there is nothing to do. The check runs in a subshell, so that
    /// nothing in it, not even a syntax error, can disturb what comes after.
    fn guard(&self) -> Option<String> {
        let exists = self.creates.as_ref().map(|path| format!("[ -e {} ]", quote(path)));
        let check = self
            .check
            .as_ref()
            .map(|check| format!("( eval {} ) >/dev/null 2>&1 </dev/null", quote(check)));
        let parts: Vec<String> = exists.into_iter().chain(check).collect();
        (!parts.is_empty()).then(|| parts.join(" && "))
    }

    fn change(&self) -> Change {
        let script = match self.guard() {
            None => self.run.clone(),
            Some(guard) => Shell::new(format!("if {guard}; then echo 'nothing to do'; else\n"))
                .then(self.run.clone())
                .text("\nfi"),
        };
        Change {
            action: Action::Run,
            summary: "run".to_owned(),
            diff: None,
            work: Work::Script(script),
        }
    }
}

impl Kind for Command {
    const NAME: &'static str = "command";
    type Seen = CommandSeen;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn probe(all: &[&Self]) -> String {
        let checks = all.iter().map(|command| match command.guard() {
            Some(guard) => format!("if {guard}; then echo done; else echo needed; fi\n"),
            None => "echo needed\n".to_owned(),
        });
        checks.collect()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<CommandSeen>, Misread> {
        if lines.len() != all.len() {
            return Err(Self::misread(format!("{} answers about {}", lines.len(), all.len())));
        }
        lines
            .iter()
            .map(|line| match line.as_str() {
                "done" => Ok(CommandSeen::Done),
                "needed" => Ok(CommandSeen::Needed),
                _ => Err(Self::misread(line)),
            })
            .collect()
    }

    fn fresh(&self) -> CommandSeen {
        match self.converts {
            true => CommandSeen::Done,
            false => CommandSeen::NotAsked,
        }
    }

    fn diff(&self, seen: &CommandSeen, before: &Before) -> Verdict {
        match seen {
            CommandSeen::Needed => Verdict::Will(self.change()),
            CommandSeen::NotAsked if self.check.is_none() => Verdict::Will(self.change()),
            CommandSeen::NotAsked => Verdict::Unknown {
                until: "the host can be asked".to_owned(),
                change: self.change(),
            },
            CommandSeen::Done if before.any_changed(&self.watched) => Verdict::May(self.change()),
            CommandSeen::Done => Verdict::Converged,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kind::Resource;
    use crate::kinds::File;
    use crate::testing::{Host, names};

    fn word(command: &Command, seen: CommandSeen, changed: &[&str]) -> &'static str {
        let changed = changed.iter().map(ToString::to_string).collect();
        match command.diff(&seen, &Before { changed, ..Before::default() }) {
            Verdict::Converged => "converged",
            Verdict::Will(_) => "will",
            Verdict::May(_) => "may",
            Verdict::Unknown { .. } => "unknown",
            Verdict::Refused { .. } => "refused",
        }
    }

    #[test]
    fn cases() {
        let command = Command::new("cache", "make").unless("test").watch(["file /x"]);
        for (line, changed, expected) in [
            ("done", vec![], "converged"),
            ("done", vec!["file /y"], "converged"),
            ("done", vec!["file /x"], "may"),
            ("needed", vec![], "will"),
            ("needed", vec!["file /x"], "will"),
        ] {
            let seen = Command::read(&[&command], &[line.to_owned()]).unwrap();
            assert_eq!(word(&command, seen[0], &changed), expected, "{line} {changed:?}");
        }
        assert_eq!(word(&command, command.fresh(), &[]), "unknown");
        let creates = Command::new("key", "make").creates("/key");
        assert_eq!(word(&creates, creates.fresh(), &[]), "will");
    }

    #[test]
    fn junk_is_an_error() {
        let command = Command::new("a", "b").unless("c");
        for lines in [vec!["junk"], vec![], vec!["done"; 2]] {
            let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            assert!(Command::read(&[&command], &lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn a_check_is_asked_again_after_a_change_and_cannot_disturb_the_probe() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let (user, group) = names(folder.path());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let wanted = |text: &str| {
            let (from, to) = (path("it's"), path("copy"));
            [
                Resource::from(File::new(&from, text).owner(&user, &group)),
                Command::new("copy", format!("cp -p {} {to}", quote(&from)))
                    .unless(format!("cat; cmp -s {} {to}", quote(&from)))
                    .watch([format!("file {from}")])
                    .into(),
                Command::new("broken", ": nothing").unless("if then").creates("/").into(),
            ]
        };
        let plan = host.plan(&wanted("one"));
        host.apply(&plan);
        let plan = host.plan(&wanted("two"));
        let statuses: Vec<_> = plan.changes.iter().map(|change| &change.status).collect();
        assert_eq!(
            statuses,
            [&crate::Status::Will, &crate::Status::May, &crate::Status::Will]
        );
        host.apply(&plan);
        assert_eq!(std::fs::read_to_string(path("copy")).unwrap(), "two");
        assert_eq!(host.plan(&wanted("two")).changes.len(), 1, "only the broken check is left");
    }
}
