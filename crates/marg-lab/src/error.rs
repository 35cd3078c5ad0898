//! What can go wrong with the lab, with what to do next.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Result of everything in this crate.
pub type LabResult<T> = Result<T, LabError>;

/// A failure of the lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Namespaces, mounts and firewalls belong to root.
    #[error(
        "the lab boots machines and needs root. Run the same command as root, for example with sudo"
    )]
    NotRoot,
    /// A file or folder could not be read, written or removed.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb phrase: `read`, `write`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A program of the host could not be started.
    #[error(
        "cannot start `{program}`: {source}. `marg lab up` installs it; check that /usr/sbin and /sbin are in PATH"
    )]
    Start {
        /// The program's name.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A program of the host failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The program and its first arguments.
        command: String,
        /// Exit code or signal, in words.
        status: String,
        /// The last lines that it printed.
        output: String,
    },
    /// No Debian mirror is configured on this host.
    #[error(
        "this host's apt configuration names no Debian mirror. Name one: `marg lab up --mirror URL`"
    )]
    NoMirror,
    /// The image is not one that the lab can build.
    #[error("the lab has no image `{slug}`. It can build: {known}")]
    NoSuchImage {
        /// What was asked for.
        slug: String,
        /// The slugs that it can build.
        known: String,
    },
    /// The API's address is taken or not usable.
    #[error(
        "the lab's API cannot listen on {address}: {source}. Choose another address with --api, or stop the program that uses this one"
    )]
    Listen {
        /// The wanted address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The daemon ended, or did not answer in time.
    #[error("the lab's daemon did not come up: {reason}. Its log ({log}) ends with:\n{tail}", log = log.display())]
    Daemon {
        /// What was seen.
        reason: String,
        /// The daemon's log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A stored file does not hold what it should.
    #[error("{path} cannot be understood: {source}. `marg lab down` removes it; then run `marg lab up` again", path = path.display())]
    Stored {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// The host name is not one of the lab's machines.
    #[error("the lab has no machine `{host}`. Its machines: {known}")]
    NoSuchHost {
        /// What was asked for.
        host: String,
        /// Names of the machines that there are.
        known: String,
    },
    /// Several machines have that name.
    #[error("`{host}` could be any of these machines: {candidates}. Name one of them in full")]
    AmbiguousHost {
        /// What was asked for.
        host: String,
        /// Names of the machines that it could be.
        candidates: String,
    },
    /// The API could not be reached, or refused.
    #[error("the lab did not {what}: {reason}. `marg lab status` shows how it is")]
    Refused {
        /// What was asked for, after `did not`.
        what: String,
        /// What it answered, or why it could not be reached.
        reason: String,
    },
    /// The lab is not up.
    #[error("the lab is not up. Bring it up with `marg lab up`")]
    NotUp,
    /// The machine exists but does not run.
    #[error("the machine `{host}` is not running. Its console: `marg lab logs {host}`")]
    HostDown {
        /// The machine.
        host: String,
    },
    /// A machine did not stop, or something else did not end in time.
    #[error("{what} did not happen within {seconds} s. {next}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: u64,
        /// What to do.
        next: String,
    },
    /// Machines and images would fill the disk.
    #[error("only {free_mb} MB are free on the disk of {path}, and the lab wants {needed_mb} MB. Free some space; `marg lab down --purge` removes its images and its apt cache", path = path.display())]
    NoRoom {
        /// A folder on that disk.
        path: PathBuf,
        /// What is free, in megabytes.
        free_mb: u64,
        /// What has to be free, in megabytes.
        needed_mb: u64,
    },
    /// A thread of the lab ended without a result.
    #[error("the lab failed at its own work: {what}. Its log says more: {log}", log = log.display())]
    Internal {
        /// What ended.
        what: String,
        /// The daemon's log.
        log: PathBuf,
    },
    /// Something of the lab is still there after `down`.
    #[error("these parts of the lab could not be removed: {}. Run `marg lab down` again", what.join("; "))]
    Leftovers {
        /// Each part and the reason.
        what: Vec<String>,
    },
}

impl LabError {
    /// For `map_err`: the failure of a file operation on `path`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
