//! `timer`: a command that systemd runs by the calendar.

#[cfg(test)]
mod cases;
mod units;

use super::{backed, systemd};
use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::kinds::File;
use crate::kinds::file::FileSeen;
use crate::quote::quote;

/// A pair of units, `NAME.service` and `NAME.timer`, in `/etc/systemd/system`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    name: String,
    present: bool,
    calendar: String,
    command: String,
    user: String,
    directory: Option<String>,
    requires: Option<String>,
}

/// What a host says of a timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerSeen {
    files: Vec<FileSeen>,
    /// Whether it waits for its time.
    active: bool,
    /// Whether it starts at boot.
    enabled: bool,
    /// Whether an earlier run did not come to let systemd read what it had put in place.
    stale: bool,
}

impl Timer {
    /// First line of its files: whose they are.
    pub const MARK: &str = units::MARK;

    /// A timer; give it [`Timer::calendar`] and [`Timer::command`].
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            present: true,
            calendar: "daily".to_owned(),
            command: ":".to_owned(),
            user: "root".to_owned(),
            directory: None,
            requires: None,
        }
    }

    /// Neither the timer nor its service exists. A run that is under way goes on to its end.
    #[must_use]
    pub fn absent(name: impl Into<String>) -> Self {
        Self {
            present: false,
            ..Self::new(name)
        }
    }

    /// When it runs, as systemd writes it: `*-*-* *:*:00` is every minute.
    #[must_use]
    pub fn calendar(mut self, calendar: impl Into<String>) -> Self {
        self.calendar = calendar.into();
        self
    }

    /// A line of shell.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// Who runs it; root unless told otherwise.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// Working directory. With [`Timer::requires`] it need not exist yet.
    #[must_use]
    pub fn directory(mut self, path: impl Into<String>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// As long as this path does not exist nothing is run, and that is no failure.
    #[must_use]
    pub fn requires(mut self, path: impl Into<String>) -> Self {
        self.requires = Some(path.into());
        self
    }

    fn path(&self, suffix: &str) -> String {
        format!("/etc/systemd/system/{}.{suffix}", self.name)
    }

    fn unit(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    fn remove(&self, files: backed::FilesChange) -> Verdict {
        let Some(action) = files.action else {
            return Verdict::Converged;
        };
        let timer = quote(&self.unit("timer"));
        // The files go last: while one of them is there, a run that was cut off is repeated.
        let script = crate::script::Shell::new(format!(
            "if systemctl cat {timer} >/dev/null 2>&1; then systemctl -q disable --now {timer}; fi\n"
        ))
        .then(files.script)
        .text("systemctl daemon-reload");
        let summary = files.reasons.join(", ");
        Verdict::Will(Change {
            action,
            summary,
            diff: None,
            work: Work::Script(script),
        })
    }
}

impl Kind for Timer {
    const NAME: &'static str = "timer";
    type Seen = TimerSeen;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn files(&self) -> Vec<File> {
        if !self.present {
            return vec![
                File::absent(self.path("timer")),
                File::absent(self.path("service")),
            ];
        }
        vec![
            File::new(self.path("service"), self.service()),
            File::new(self.path("timer"), self.timer()),
        ]
    }

    fn units(&self) -> Vec<String> {
        match self.present {
            true => vec![self.unit("timer")],
            false => Vec::new(),
        }
    }

    fn probe(_all: &[&Self]) -> String {
        ":".to_owned()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<TimerSeen>, Misread> {
        let (units, files) = systemd::take(lines).map_err(Self::misread)?;
        let unit = |name: String| {
            let missing = || Self::misread(format!("no answer about {name}"));
            units.get(&name).ok_or_else(missing)
        };
        let mut seen = Vec::new();
        for (timer, (files, own)) in all.iter().zip(backed::read(all, &files)?) {
            if !own.is_empty() {
                return Err(Self::misread(own.join(" | ")));
            }
            let mut answer = TimerSeen {
                files,
                active: false,
                enabled: false,
                stale: false,
            };
            if timer.present {
                let clock = unit(timer.unit("timer"))?;
                answer.active = clock.active == "active";
                answer.enabled = clock.file == "enabled";
                answer.stale = clock.stale;
            }
            seen.push(answer);
        }
        Ok(seen)
    }

    fn fresh(&self) -> TimerSeen {
        let files = backed::missing(&self.files());
        TimerSeen {
            files,
            active: false,
            enabled: false,
            stale: false,
        }
    }

    fn diff(&self, seen: &TimerSeen, _before: &Before) -> Verdict {
        let files = backed::diff(&self.files(), &seen.files, "");
        if !self.present {
            return self.remove(files);
        }
        let mut reasons = files.reasons;
        if seen.stale {
            reasons.push("read its units again".to_owned());
        }
        if !seen.enabled {
            reasons.push("enable".to_owned());
        }
        if !seen.active {
            reasons.push("start".to_owned());
        }
        if reasons.is_empty() {
            return Verdict::Converged;
        }
        let timer = quote(&self.unit("timer"));
        let script = files.script.text(format!(
            "systemctl -q --no-reload enable {timer}\nread_units\n\
             systemctl restart {timer}"
        ));
        Verdict::Will(Change {
            action: files.action.unwrap_or(Action::Run),
            summary: reasons.join(", "),
            diff: files.diff,
            work: Work::Script(script),
        })
    }
}
