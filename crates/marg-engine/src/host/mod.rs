//! One host: how marg reaches it, talks to it, and what can go wrong.

pub mod first_login;
pub mod link;
pub mod steps;
pub mod talk;

use marg_resources::Misread;
use thiserror::Error;

/// Why a host is not as it should be.
#[derive(Debug, Error)]
pub enum HostError {
    /// It cannot be reached, or it is not who it should be.
    #[error(transparent)]
    Ssh(#[from] marg_ssh::SshError),
    /// Somebody else changes it.
    #[error(
        "{host} is being changed by {holder}; wait until they are done (the lock ends with their session)"
    )]
    Locked {
        /// Host name.
        host: String,
        /// Who, and since when.
        holder: String,
    },
    /// The connection ended in the middle of something.
    #[error(
        "the connection to {host} was lost during {during}; run the same command again to go on"
    )]
    Cut {
        /// Host name.
        host: String,
        /// What was going on.
        during: String,
    },
    /// A script that only looks failed.
    #[error("looking at {host} failed with status {status}:\n{output}")]
    Look {
        /// Host name.
        host: String,
        /// Exit status.
        status: String,
        /// What it printed.
        output: String,
    },
    /// What the host says cannot be understood.
    #[error("{host}: {source}")]
    Misread {
        /// Host name.
        host: String,
        /// What was not understood.
        source: Misread,
    },
    /// A step failed; the steps after it were not run.
    #[error(
        "{host}: step \"{step}\" failed with status {status}:\n{output}\n\
         the steps after it were not run; mend the cause and run the same command again"
    )]
    Step {
        /// Host name.
        host: String,
        /// Name of the step.
        step: String,
        /// Exit status.
        status: String,
        /// The last lines of its output.
        output: String,
    },
    /// A step took longer than it may.
    #[error(
        "{host}: step \"{step}\" did not end within {seconds} s; it may still be running there: \
         look with `marg ssh {host}`, then run the same command again"
    )]
    TooLong {
        /// Host name.
        host: String,
        /// Name of the step.
        step: String,
        /// Its deadline.
        seconds: u64,
    },
    /// Applied, and yet not as it should be.
    #[error(
        "{host} was changed but is still not as it should be: {left}; run `marg plan -v` to see why"
    )]
    NotConverged {
        /// Host name.
        host: String,
        /// Names of the resources that still differ.
        left: String,
    },
    /// A health check did not pass in time.
    #[error("{host}: check \"{check}\" did not pass within {seconds} s: {output}")]
    Unhealthy {
        /// Host name.
        host: String,
        /// Name of the check.
        check: String,
        /// Its deadline.
        seconds: u32,
        /// What it printed last.
        output: String,
    },
    /// Something on the host has a name that marg needs, and belongs to somebody else.
    #[error("{host}: {}; nothing was changed there", reasons.join("; "))]
    Foreign {
        /// Host name.
        host: String,
        /// What it is, why it stays as it is, and what to do.
        reasons: Vec<String>,
    },
    /// A role cannot say what the host should be.
    #[error(transparent)]
    Role(#[from] marg_resources::RoleError),
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
}

impl HostError {
    /// The same with secrets blanked in what the host printed: it goes where events go.
    pub(crate) fn redacted(mut self, engine: &crate::engine::Engine) -> HostError {
        match &mut self {
            HostError::Step { output, .. }
            | HostError::Look { output, .. }
            | HostError::Unhealthy { output, .. } => *output = engine.redact(output),
            _ => {}
        }
        self
    }
}
