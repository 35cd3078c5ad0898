//! What has to be done to one resource, and how sure that is.

use serde::Serialize;

use crate::quote::quote;
use crate::script::Shell;

/// The outcome of comparing a resource with what the host says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is as it should be.
    Converged,
    /// It will be changed.
    Will(Change),
    /// It will be changed only if something before it changes; its script has its own guard.
    May(Change),
    /// Its subject does not exist yet, so what it needs is known only later. The commands are
    /// safe to run whatever is found then.
    Unknown {
        /// What must exist first, for example `service mariadb runs`.
        until: String,
        /// What will then be done.
        change: Change,
    },
    /// It belongs to somebody else. Nothing on the host is changed.
    Refused {
        /// What is there, why it stays as it is, and what to do.
        reason: String,
    },
}

/// How sure a planned change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It will happen.
    Will,
    /// Only if something before it changes.
    May,
    /// Known only when this exists.
    Unknown(String),
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Something new.
    Create,
    /// Something that is there becomes different.
    Update,
    /// Something goes away.
    Delete,
    /// A service is started, reloaded or restarted, or a command is run.
    Run,
}

/// One change of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// One line without secrets, for example `mode 0644 → 0600`.
    pub summary: String,
    /// Old and new text, where showing it helps and it holds no secret.
    pub diff: Option<TextDiff>,
    /// What runs on the host.
    pub work: Work,
}

/// Old and new text of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextDiff {
    /// `None` where the file does not exist.
    pub old: Option<String>,
    /// What it will be.
    pub new: String,
}

/// What runs on the host. Pieces that can share a step are told apart from those that cannot.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Commands of their own, run under `set -e` with the prelude's functions at hand.
    Script(Shell),
    /// Packages; all packages of a host are installed by one `apt-get`.
    Install(Install),
    /// Something below `/etc` that is staged, checked together with its neighbours by a
    /// validator, and only then put in place.
    Place(Place),
    /// A change that could lock the operator out.
    Guarded(Guarded),
}

/// A change that could lock the operator out: it runs with a timer armed that undoes it unless
/// a new connection succeeds. Neighbours share one timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Commands that save what `restore` needs into the folder `$RESCUE`.
    pub save: String,
    /// The change itself.
    pub script: String,
    /// Commands that bring back what was saved in `$RESCUE`; run by the timer.
    pub restore: String,
}

/// Packages to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// Package names.
    pub packages: Vec<String>,
}

/// A file or link that is put in place in two moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The program that must accept the result.
    pub validator: Option<Validator>,
    /// Commands that write the new state below `$STAGE` (`$STAGE/etc/nginx/nginx.conf`).
    pub stage: Shell,
    /// Commands that move it from there to its place.
    pub commit: String,
    /// Condition, asked when the step runs, without which nothing changes and nothing is owed:
    /// for what may not be there. `None`: it is a change.
    pub guard: Option<String>,
}

impl Place {
    /// Takes a path away, if it is there.
    pub fn removal(path: &str, validator: Option<Validator>) -> Place {
        let path = quote(path);
        Place {
            validator,
            stage: format!("stage_absent {path}").into(),
            commit: format!("remove {path}"),
            guard: Some(format!("[ -e {path} ] || [ -L {path} ]")),
        }
    }

    /// All of it as one script: stage, check, put in place. `accepted` holds commands that run
    /// once the check has passed, before anything goes live.
    pub fn script(&self, accepted: &str) -> Shell {
        let validate = match &self.validator {
            Some(validator) => format!("\nvalidate {}\n", quote(&validator.command)),
            None => "\n".to_owned(),
        };
        Shell::new("rm -rf \"$STAGE\"\nmkdir -p \"$STAGE\"\n")
            .then(self.stage.clone())
            .text(validate)
            .text(format!("{accepted}{}\n", self.commit))
    }
}

/// A program that checks configuration. It runs where the staged files already appear in
/// their final places, while the host itself still sees the old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Command, for example `nginx -t -q`.
    pub command: String,
}

impl Validator {
    /// A validator that runs `command`.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
        }
    }
}

/// What a service owes after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwedAction {
    /// Read the configuration again.
    Reload,
    /// Stop and start.
    Restart,
}

impl OwedAction {
    /// `reload` or `restart`, as in file names on the host.
    pub fn word(self) -> &'static str {
        match self {
            OwedAction::Reload => "reload",
            OwedAction::Restart => "restart",
        }
    }
}

/// "When this changes, that service must be reloaded." Written on the host before the change
/// and erased after the reload, so that nothing between the two can lose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// systemd unit without `.service`.
    pub unit: String,
    /// What it owes.
    pub action: OwedAction,
}

impl Notice {
    /// The unit must be reloaded.
    pub fn reload(unit: impl Into<String>) -> Self {
        Self {
            unit: unit.into(),
            action: OwedAction::Reload,
        }
    }

    /// The unit must be restarted.
    pub fn restart(unit: impl Into<String>) -> Self {
        Self {
            unit: unit.into(),
            action: OwedAction::Restart,
        }
    }
}
