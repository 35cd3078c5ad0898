//! What stops a run, and of which kind it is.

use thiserror::Error;

use crate::bake::BakeError;
use crate::deploy::DeployError;
use crate::host::HostError;
use crate::resize::ResizeError;
use crate::vault::VaultError;

/// Kinds of errors; the program's exit codes are made from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The inventory, the secrets or the arguments.
    Config,
    /// The cloud refused or cannot be reached.
    Cloud,
    /// A host cannot be reached, or is not who it should be.
    Unreachable,
    /// Somebody else is at work.
    Locked,
    /// A step failed on a host.
    StepFailed,
    /// A host was changed and still differs.
    NotConverged,
    /// A deploy or rollback did not end well.
    DeployFailed,
}

/// What stops a run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The cloud.
    #[error(transparent)]
    Cloud(#[from] marg_cloud::CloudError),
    /// The environment's own folder.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Keys.
    #[error(transparent)]
    Ssh(#[from] marg_ssh::SshError),
    /// One host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A role.
    #[error(transparent)]
    Role(#[from] marg_resources::RoleError),
    /// A deploy.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A resize that is not begun.
    #[error(transparent)]
    Resize(#[from] ResizeError),
    /// A bake that is not begun.
    #[error(transparent)]
    Bake(#[from] BakeError),
    /// Not enough room in the account.
    #[error(
        "the account may have {limit} droplets, has {present}, and this needs {wanted} more; ask \
         DigitalOcean for a higher limit or choose a smaller phase"
    )]
    DropletLimit {
        /// The account's limit.
        limit: u64,
        /// Droplets that exist.
        present: u64,
        /// Droplets to create.
        wanted: usize,
    },
    /// Things of others have names that the environment needs.
    #[error("{}\n\nNothing was changed.", paragraphs(strangers))]
    NamesTaken {
        /// What they are, and why they are not the environment's.
        strangers: Vec<marg_cloud::CloudError>,
    },
    /// A name that is not in the blueprint.
    #[error("there is no {what} {name:?} in this environment; there are: {known}")]
    NoSuch {
        /// `host`, `group`, `app`, `release`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The inventory would have shut the operator out.
    #[error(
        "the cloud's new firewall would have kept you from {droplets}: nobody answered on port 22 \
         any more, so the firewalls were put back as they were; add the network that you work \
         from to `ssh_from` in the inventory"
    )]
    ShutOut {
        /// Names of droplets that could be reached before.
        droplets: String,
    },
    /// A host of the blueprint has no machine.
    #[error("{host} does not exist yet; run `marg provision` first")]
    NoMachine {
        /// Host name.
        host: String,
    },
    /// A move would leave data behind.
    #[error(
        "{hosts} hold data that phase {phase} keeps on other machines, and marg does not carry it \
         over; nothing was changed. Stay in the phase that has them, or copy the data yourself to \
         an environment of another name"
    )]
    OnlyCopy {
        /// Hosts that hold it.
        hosts: String,
        /// The phase that was asked for.
        phase: u8,
    },
    /// What would serve again stood aside since the last move.
    #[error(
        "{} stayed when this environment left phase {phase}, with the data of that time; phase \
         {phase} would serve that old copy again. Nothing was changed. Remove it where the \
         environment stands now: `marg provision {}`, then run the same command again: the machine \
         is made anew and today's data is carried there",
        hosts.join(", "), destroying(hosts)
    )]
    LeftBehind {
        /// Their names.
        hosts: Vec<String>,
        /// The phase that was asked for.
        phase: u8,
    },
    /// The one that leads is on its way out.
    #[error(
        "{leader} leads {of} now, and phase {phase} does not have it; nothing was changed on the \
         hosts. Hand over first: `marg promote {successor}`, then run the same command again"
    )]
    LeaderLeaves {
        /// `redis`, `mysql`.
        of: String,
        /// Host that leads.
        leader: String,
        /// Host that could.
        successor: String,
        /// The phase that was asked for.
        phase: u8,
    },
    /// An earlier move did not come to its end.
    #[error(
        "this environment is on its way between phases {phases}; finish that first with \
         `marg provision --phase N`, or name with --phase which of them is meant"
    )]
    BetweenPhases {
        /// The phases that its droplets name.
        phases: String,
    },
    /// A host was left as it is because one that it needs failed.
    #[error("{host} was not changed, because it needs {needed}, which failed; see there")]
    Needed {
        /// Host name.
        host: String,
        /// The one that failed.
        needed: String,
    },
    /// Secrets that the inventory names are not there.
    #[error(
        "the inventory names secrets that are not there: {names}; add them to {path} as \
         `name = \"value\"`, or set MARG_SECRET_<NAME> for this run"
    )]
    MissingSecrets {
        /// Their names.
        names: String,
        /// The environment's `secrets.toml`.
        path: String,
    },
    /// Some hosts are not as they should be; each one's own error was told when it happened.
    #[error("{}", failed_hosts(failures))]
    Hosts {
        /// Every host that failed, with its error.
        failures: Vec<(String, EngineError)>,
    },
    /// An image that no row of the distribution table knows.
    #[error("{host} has image {image}, which marg does not support; use one of: {known}")]
    Image {
        /// Host name.
        host: String,
        /// Image slug.
        image: String,
        /// Supported ones.
        known: String,
    },
}

impl EngineError {
    /// Which kind it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            EngineError::Cloud(_)
            | EngineError::DropletLimit { .. }
            | EngineError::NamesTaken { .. } => ErrorKind::Cloud,
            EngineError::Vault(_)
            | EngineError::Role(_)
            | EngineError::NoSuch { .. }
            | EngineError::OnlyCopy { .. }
            | EngineError::LeftBehind { .. }
            | EngineError::LeaderLeaves { .. }
            | EngineError::BetweenPhases { .. }
            | EngineError::MissingSecrets { .. }
            | EngineError::Image { .. } => ErrorKind::Config,
            // Hosts that only waited for another one say nothing about why.
            EngineError::Hosts { failures } => failures
                .iter()
                .find(|(_, error)| !matches!(error, EngineError::Needed { .. }))
                .map_or(ErrorKind::StepFailed, |(_, error)| error.kind()),
            EngineError::Ssh(_) | EngineError::NoMachine { .. } | EngineError::ShutOut { .. } => {
                ErrorKind::Unreachable
            }
            EngineError::Needed { .. } => ErrorKind::StepFailed,
            EngineError::Resize(error) => error.kind(),
            EngineError::Bake(error) => error.kind(),
            EngineError::Host(error) => error.kind(),
            EngineError::Deploy(error) => error.kind(),
        }
    }
}

/// Options that name hosts.
fn destroying(hosts: &[String]) -> String {
    let options = hosts.iter().map(|host| format!("--destroy {host}"));
    options.collect::<Vec<_>>().join(" ")
}

/// One paragraph each.
fn paragraphs(errors: &[marg_cloud::CloudError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("\n\n")
}

/// One paragraph per host.
fn failed_hosts(failures: &[(String, EngineError)]) -> String {
    let texts: Vec<String> = failures
        .iter()
        .map(|(_, error)| error.to_string())
        .collect();
    texts.join("\n\n")
}

impl HostError {
    /// Which kind it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            HostError::Ssh(_) | HostError::Cut { .. } => ErrorKind::Unreachable,
            HostError::Locked { .. } => ErrorKind::Locked,
            HostError::Look { .. }
            | HostError::Misread { .. }
            | HostError::Step { .. }
            | HostError::TooLong { .. }
            | HostError::Unhealthy { .. } => ErrorKind::StepFailed,
            HostError::NotConverged { .. } => ErrorKind::NotConverged,
            HostError::Role(_) | HostError::Vault(_) | HostError::Foreign { .. } => {
                ErrorKind::Config
            }
        }
    }
}
