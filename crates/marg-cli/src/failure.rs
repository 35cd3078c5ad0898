//! What ends a run before its purpose: what failed, because of what, what to do next, and the
//! exit code that tells scripts the kind.

use std::error::Error;
use std::io;

use marg::ErrorKind;
use marg::lab::LabError;
use serde::Serialize;

/// Documented in `marg --help` and in the book.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  all is as it should be
  1  something else failed, or a command failed on a host
  2  the command line is wrong, or a question was not answered with yes
  3  inventory, phase, secrets or settings are wrong
  4  the cloud (or the lab) refused, failed or did not answer
  5  a host cannot be reached, or its host key is not the known one
  6  a step failed on a host
  7  a host is still not as it should be after all steps
  8  somebody else is working on a host
  9  a deploy or rollback failed; the message says which release is live
  130  interrupted";

/// Kinds of failures, one exit code each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Anything that has no kind of its own.
    Other,
    /// The command line, or a question that was not answered with yes.
    Usage,
    /// Inventory, phase, secrets, settings.
    Config,
    /// The cloud.
    Cloud,
    /// SSH.
    Unreachable,
    /// A step on a host.
    Step,
    /// Something is left over after everything was applied.
    NotConverged,
    /// Somebody else holds the lock.
    Locked,
    /// A deploy or rollback.
    Deploy,
    /// Ctrl-C, SIGTERM.
    Interrupted,
}

impl Kind {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Kind::Other => 1,
            Kind::Usage => 2,
            Kind::Config => 3,
            Kind::Cloud => 4,
            Kind::Unreachable => 5,
            Kind::Step => 6,
            Kind::NotConverged => 7,
            Kind::Locked => 8,
            Kind::Deploy => 9,
            Kind::Interrupted => 130,
        }
    }
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Kind {
        match kind {
            ErrorKind::Config => Kind::Config,
            ErrorKind::Cloud => Kind::Cloud,
            ErrorKind::Unreachable => Kind::Unreachable,
            ErrorKind::Locked => Kind::Locked,
            ErrorKind::StepFailed => Kind::Step,
            ErrorKind::NotConverged => Kind::NotConverged,
            ErrorKind::DeployFailed => Kind::Deploy,
        }
    }
}

/// A failure as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// What failed.
    pub message: String,
    /// Because of what, the nearest cause first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do next, where the message does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The message as drawn for people, with lines of the file and colours.
    #[serde(skip)]
    pub drawing: Option<String>,
}

impl Failure {
    /// A failure without causes.
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            drawing: None,
        }
    }

    /// The same failure with the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Something that the system refused: `what` completes "cannot …".
    pub fn io(what: &str, error: &io::Error) -> Failure {
        Failure::new(Kind::Other, format!("cannot {what}: {error}"))
    }

    /// Somebody pressed Ctrl-C.
    pub fn interrupted() -> Failure {
        Failure::new(Kind::Interrupted, "interrupted").hint(
            "hosts finish the step in hand and start no other; nothing is left locked. The same \
             command goes on from there",
        )
    }

    /// An error with its chain of causes.
    pub fn from_error(kind: Kind, error: &(dyn Error + 'static)) -> Failure {
        let mut failure = Failure::new(kind, error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Many errors already quote their cause: nothing is said twice.
            let said = failure.causes.last().unwrap_or(&failure.message);
            if !said.contains(&text) {
                failure.causes.push(text);
            }
            source = cause.source();
        }
        failure
    }
}

impl From<marg::Error> for Failure {
    fn from(error: marg::Error) -> Failure {
        let mut failure = Failure::from_error(error.kind().into(), &error);
        if let marg::Error::Invalid(diagnostics) = &error {
            failure.drawing = Some(diagnostics.render(true));
        }
        failure
    }
}

impl From<marg::EndpointError> for Failure {
    fn from(error: marg::EndpointError) -> Failure {
        marg::Error::from(error).into()
    }
}

impl From<marg::EngineError> for Failure {
    fn from(error: marg::EngineError) -> Failure {
        Failure::from_error(error.kind().into(), &error)
    }
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Failure {
        let kind = match &error {
            LabError::NotRoot
            | LabError::NoMirror
            | LabError::NoSuchHost { .. }
            | LabError::AmbiguousHost { .. }
            | LabError::NoSuchImage { .. } => Kind::Config,
            _ => Kind::Cloud,
        };
        Failure::from_error(kind, &error)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use marg::{Endpoint, EndpointError, Error, Project, Secret};

    use super::*;
    use crate::render;
    use crate::testing::plain;

    fn missing() -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, "No such file or directory")
    }

    /// Every message that has its origin in the program or its façade.
    #[test]
    fn messages() {
        let names = vec!["marg.toml".to_owned(), "hotel.toml".to_owned()];
        let errors = [
            Error::NoInventory {
                folder: "/srv/shop".into(),
            },
            Error::EmptyFolder {
                folder: "/srv/shop/inventories".into(),
            },
            Error::SeveralInventories {
                folder: "/srv/shop/inventories".into(),
                names,
            },
            Error::Read {
                path: "inventories/shop.toml".into(),
                source: missing(),
            },
            Error::NoGroup {
                group: "htpp".to_owned(),
                phase: 3,
                hint: "did you mean `http`?".to_owned(),
            },
            Error::FixedGroup {
                group: "redis".to_owned(),
                phase: 3,
                count: 1,
            },
            Error::Count {
                group: "http".to_owned(),
                count: 0,
                most: 100,
            },
            Error::Write {
                path: "inventories/shop.toml".into(),
                change: "phases.3.groups.http.count = 4".to_owned(),
                source: missing(),
            },
            Error::ChangedMeanwhile {
                path: "inventories/shop.toml".into(),
            },
            Error::Uneditable {
                inventory: "inventories/shop.toml".to_owned(),
                change: "phases.3.groups.http.count = 4".to_owned(),
                reason: "`phases` is no table".to_owned(),
            },
            Error::NoPhase {
                number: 7,
                known: vec!["1".to_owned(), "2".to_owned()],
            },
            Error::NamesMeet {
                name: "marg-shop-eu-http".to_owned(),
                own: "shop (group eu-http)".to_owned(),
                other: "shop-eu (group http, shop-eu.toml)".to_owned(),
            },
            Error::NameOfBuilders {
                group: "bake".to_owned(),
                phase: 5,
            },
            Error::PhaseNotChosen {
                inventory: "inventories/shop.toml".to_owned(),
            },
            EndpointError::NoToken.into(),
            EndpointError::MalformedToken.into(),
            Endpoint::new("http://api.test", Secret::new("t"))
                .unwrap_err()
                .into(),
        ];
        let failures = errors.into_iter().map(Failure::from);
        let own = [
            Failure::io("write to stdout", &missing()),
            LabError::NotRoot.into(),
        ];
        let shown = failures.chain(own).map(|failure| {
            format!(
                "exit code {}\n{}",
                failure.kind.code(),
                plain(&render::failure(&failure))
            )
        });
        insta::assert_snapshot!("messages", shown.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn mistakes_in_a_file_are_shown_in_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inventories")).unwrap();
        let text = "[environment]\nname = \"shop\"\nregoin = \"fra1\"\n";
        fs::write(folder.path().join("inventories/shop.toml"), text).unwrap();
        let failure = Failure::from(Project::open(None, folder.path()).unwrap_err());
        assert_eq!(failure.kind, Kind::Config);
        assert!(
            failure.message.contains("inventories/shop.toml:3:1: "),
            "{}",
            failure.message
        );
        let shown = plain(&render::failure(&failure));
        assert!(shown.contains("3 | regoin = \"fra1\""), "{shown}");
    }

    #[test]
    fn every_kind_has_its_documented_code() {
        let kinds = [
            Kind::Other,
            Kind::Usage,
            Kind::Config,
            Kind::Cloud,
            Kind::Unreachable,
            Kind::Step,
            Kind::NotConverged,
            Kind::Locked,
            Kind::Deploy,
            Kind::Interrupted,
        ];
        for kind in kinds {
            let line = format!("\n  {}  ", kind.code());
            assert!(EXIT_CODES.contains(&line), "{kind:?}");
        }
    }
}
