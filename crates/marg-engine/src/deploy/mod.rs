//! Deploys and rollbacks: one commit, built once, the same bytes on every host, switched by one
//! rename, and back by itself when the application does not answer.

mod carry;
mod choice;
mod course;
mod first;
pub mod history;
pub mod live;
mod operations;
mod recovery;
mod rollout;
mod source;
mod steps;

use marg_model::App;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use first::first_deploys;
pub use history::{AppReleases, HostReleases, Record};
pub use source::SourceError;

use crate::error::{EngineError, ErrorKind};

/// How a deploy goes about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How many web servers switch side by side, after the first one.
    pub batch: u16,
    /// Whether visitors are told to come again later, from before the migration until the host
    /// that they ask has the new release.
    pub maintenance: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            batch: 1,
            maintenance: false,
        }
    }
}

/// One release of an application, as its record on a host tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Time of the build and the commit's first letters: sorts by age.
    pub id: String,
    /// Application.
    pub app: String,
    /// Full hash of the commit.
    pub commit: String,
    /// What was asked for: a branch, a tag, a commit.
    pub reference: String,
    /// Who built it.
    pub by: String,
    /// When, in UTC.
    pub at: String,
    /// SHA-256 of its archive, taken where it was built; unknown of releases that an earlier
    /// version of marg built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Release {
    fn new(app: &App, commit: &str, reference: &str, by: &str) -> Release {
        let now = jiff::Timestamp::now();
        let short: String = commit.chars().take(8).collect();
        Release {
            id: format!("{}-{short}", now.strftime("%Y%m%d-%H%M%S")),
            app: app.name.clone(),
            commit: commit.to_owned(),
            reference: reference.to_owned(),
            by: by.to_owned(),
            at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            digest: None,
        }
    }

    /// Reads a record. It must be about the release whose name it has on the host, and hold
    /// nothing that a terminal or git could take for more than a text.
    fn from_record(id: &str, record: &[u8]) -> Option<Release> {
        let release: Release = serde_json::from_slice(record).ok()?;
        let texts = [&release.app, &release.reference, &release.by, &release.at];
        let commit = release.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = release.digest.iter().all(|digest| {
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let plain = !texts
            .into_iter()
            .any(|text| text.contains(char::is_control));
        (release.id == id && commit && !release.commit.is_empty() && digest && plain)
            .then_some(release)
    }

    /// The commit's first letters, for people.
    pub fn short_commit(&self) -> &str {
        self.commit.get(..8).unwrap_or(&self.commit)
    }

    fn json(&self) -> String {
        // A struct of texts always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Why a deploy or a rollback did not end well.
#[derive(Debug, Error)]
pub enum DeployError {
    /// The source cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Nothing is live that was not live before.
    #[error("{app}: {release} was not deployed; nothing has changed for users: {reason}")]
    Before {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// What went wrong.
        reason: Box<EngineError>,
    },
    /// It was live for a moment; every host is back at the release before.
    #[error(
        "{app}: {release} did not work on {host} and was taken back{}; live again: \
         {restored}\n{reason}", others(*untouched)
    )]
    TakenBack {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// Hosts on which it failed.
        host: String,
        /// What is live now.
        restored: String,
        /// How many hosts never had it.
        untouched: usize,
        /// What went wrong.
        reason: Box<EngineError>,
    },
    /// It is live on some hosts, as the inventory's policy wants.
    #[error(
        "{app}: {release} did not work on {host}, which is back at what it had. The others were \
         left as they are (on_failure = \"stop\"):\n{state}\n{reason}"
    )]
    Stopped {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// Hosts on which it failed.
        host: String,
        /// Which release is live where, and the commands that go on and back.
        state: String,
        /// What went wrong.
        reason: Box<EngineError>,
    },
    /// It is live, and a command of the inventory failed afterwards.
    #[error(
        "{app}: {release} is live on all hosts, but a command of `after` failed; it is not taken \
         back for that. Run the command by hand, or deploy again\n{reason}"
    )]
    After {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// What went wrong.
        reason: Box<EngineError>,
    },
    /// It did not work, and the way back did not work everywhere either.
    #[error(
        "{app}: {release} did not work on {host}, and it could not be taken back everywhere; \
         look with `marg releases`, then run `marg rollback {app}`\n{reason}\nwhile going back: {also}"
    )]
    Stuck {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// Host on which it failed.
        host: String,
        /// What went wrong.
        reason: Box<EngineError>,
        /// What went wrong on the way back.
        also: String,
    },
    /// There is nothing to go back to.
    #[error(
        "{app} has no earlier release on any of its hosts; deploy one with `marg deploy {app} --ref REF`"
    )]
    NoWayBack {
        /// Application.
        app: String,
    },
    /// No host can tell what is live.
    #[error(
        "{app}: {release} is live on {host}, but no host has a readable record of it, so nobody \
         can tell its commit; make another one live with `marg deploy {app} --ref REF`"
    )]
    Unknown {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// A host on which it is live.
        host: String,
    },
    /// A host lacks the release, and none has its archive.
    #[error(
        "{release} of {app} does not lie on {host}, and no host has its archive any more; build \
         its commit again with `marg deploy {app} --ref {commit}`"
    )]
    NoArchive {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// Host that lacks it.
        host: String,
        /// Commit of the release.
        commit: String,
    },
    /// An archive is not what was built.
    #[error(
        "the archive of {release} of {app} on {host} is not what was built: its digest is {found}, \
         not {built}; it was not carried anywhere. Remove it there and run the same command \
         again: another host's is taken, or build the commit anew with `marg deploy {app}`"
    )]
    NotWhatWasBuilt {
        /// Application.
        app: String,
        /// Release.
        release: String,
        /// Host on which the archive lies.
        host: String,
        /// SHA-256 of what lies there.
        found: String,
        /// SHA-256 of what was built.
        built: String,
    },
    /// Carrying bytes failed on this machine.
    #[error("cannot keep the release on this machine for a moment: {source}")]
    Local {
        /// What the system says.
        source: std::io::Error,
    },
}

impl DeployError {
    /// Which kind it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DeployError::Source(_) => ErrorKind::Config,
            DeployError::Before { reason, .. } if reason.kind() == ErrorKind::Config => {
                ErrorKind::Config
            }
            _ => ErrorKind::DeployFailed,
        }
    }
}

/// What became of the hosts that a failed release never reached.
fn others(untouched: usize) -> String {
    match untouched {
        0 => String::new(),
        1 => "; one other host was not touched".to_owned(),
        more => format!("; {more} other hosts were not touched"),
    }
}
