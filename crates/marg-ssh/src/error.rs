//! What can go wrong between marg and a host, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use crate::process::ExitStatus;

/// A line of a known hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedIn {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// An error of the SSH transport. Commands and their input never appear in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshError {
    /// No TCP connection came about.
    #[error(
        "{host}: cannot reach {address}: {source}. Is the machine running, and does every \
         firewall on the way let you in on this port?"
    )]
    Unreachable {
        /// The host's name.
        host: String,
        /// Address and port that were tried.
        address: String,
        /// Why the connection failed.
        source: std::io::Error,
    },

    /// The machine showed another host key than the pinned one. Nothing was sent to it.
    #[error(
        "{host}: the host key has changed: expected {expected}{}, but {address} shows {seen}. \
         Somebody may be between you and the machine, so nothing was sent. If you rebuilt the \
         machine yourself, run `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its \
         console; if it prints {seen}, put that public key into {}",
        pinned_at(.pinned), way_out(.pinned)
    )]
    HostKeyChanged {
        /// The host's name.
        host: String,
        /// Address and port that showed the key.
        address: String,
        /// Fingerprint of the pinned key, `SHA256:…`.
        expected: String,
        /// Fingerprint of the key that was shown, `SHA256:…`.
        seen: String,
        /// Where the expected key is pinned, if that is a file.
        pinned: Option<Box<PinnedIn>>,
    },

    /// No key is pinned for this host, and marg never trusts one on first sight.
    #[error(
        "{host}: no host key is pinned in {}. marg pins it when it creates the machine; for a \
         machine that it did not create, add a line `{host} ssh-ed25519 AAAA…` with the key \
         from its console",
        path.display()
    )]
    HostKeyUnknown {
        /// The host's name.
        host: String,
        /// The known hosts file that was asked.
        path: PathBuf,
    },

    /// The machine does not accept the identity.
    #[error(
        "{host}: {user} may not log in with the key {identity}. The machine was reached and is \
         the right one; see that this public key stands in ~{user}/.ssh/authorized_keys and that \
         sshd allows {user} to log in with keys"
    )]
    AuthDenied {
        /// The host's name.
        host: String,
        /// The account.
        user: String,
        /// Fingerprint of the identity, `SHA256:…`.
        identity: String,
    },

    /// Both sides speak, but found no common ground: no common algorithm, not an SSH server …
    #[error(
        "{host}: no SSH session with {address}: {reason}. marg needs an OpenSSH server with an \
         ed25519 host key, curve25519 or mlkem768 key exchange, and AES-GCM or ChaCha20"
    )]
    Handshake {
        /// The host's name.
        host: String,
        /// Address and port.
        address: String,
        /// What the SSH library says.
        reason: String,
    },

    /// The connection ended while it was needed.
    #[error(
        "{host}: the connection was lost while {doing}: {reason}. The machine may be restarting \
         or its network down; run the same command again, it goes on from there"
    )]
    ConnectionLost {
        /// The host's name.
        host: String,
        /// What was being done.
        doing: &'static str,
        /// How the connection ended.
        reason: String,
    },

    /// A wait took longer than it may.
    #[error("{host}: {doing} took longer than {}; look at the machine's load and console, or allow more time", seconds(.budget))]
    DeadlinePassed {
        /// The host's name.
        host: String,
        /// What was being waited for.
        doing: &'static str,
        /// The time that the whole piece of work had.
        budget: Duration,
    },

    /// A booting machine did not become ready in time.
    #[error(
        "{host}: not ready for SSH after {}. The last attempt said: {last}",
        seconds(.waited)
    )]
    NotReady {
        /// The host's name.
        host: String,
        /// How long it was waited for.
        waited: Duration,
        /// The error of the last attempt.
        #[source]
        last: Box<SshError>,
    },

    /// The jump host would not connect onwards.
    #[error(
        "{host}: the jump host {via} does not connect to {address}: {reason}. See that it can \
         reach that address and that its sshd has AllowTcpForwarding on"
    )]
    JumpRefused {
        /// The host behind the jump host.
        host: String,
        /// The jump host's name.
        via: String,
        /// Address and port of the host behind it.
        address: String,
        /// The jump host's answer.
        reason: String,
    },

    /// The host would not run another command in this session.
    #[error(
        "{host}: refuses to run a command: {reason}. Its sshd may limit sessions per connection \
         (MaxSessions) or force a command"
    )]
    ExecRefused {
        /// The host's name.
        host: String,
        /// The host's answer.
        reason: String,
    },

    /// The command ended, or closed its standard input, before it had read all of it.
    #[error(
        "{host}: the command ended before it had read all of its input; its own output says why"
    )]
    StdinClosed {
        /// The host's name.
        host: String,
    },

    /// The host closed the command's channel without saying how the command ended.
    #[error(
        "{host}: a command ended without an exit status; what it did is unknown. Run the same \
         command again"
    )]
    NoExitStatus {
        /// The host's name.
        host: String,
    },

    /// An upload's or download's command failed.
    #[error("{host}: {doing}: the command on the host failed ({status}): {stderr}")]
    CommandFailed {
        /// The host's name.
        host: String,
        /// What was being done.
        doing: &'static str,
        /// How the command ended.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },

    /// A known hosts file that marg cannot vouch for.
    #[error("{}:{line}: {reason}. Correct or delete this line", path.display())]
    KnownHosts {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },

    /// A name that cannot stand in a known hosts file.
    #[error("`{name}` cannot name a host in known_hosts; use letters, digits, `.`, `_` and `-`")]
    BadName {
        /// The name.
        name: String,
    },

    /// A key that cannot be used.
    #[error("{what}: not a usable ed25519 key: {reason}. {advice}")]
    BadKey {
        /// Where the key is from.
        what: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        advice: &'static str,
    },

    /// A local file or stream failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, with the path.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl SshError {
    /// Whether a machine that is still booting explains this error, so that trying again
    /// makes sense. A wrong host key and a denied login never do.
    pub fn may_pass(&self) -> bool {
        use std::io::ErrorKind as Kind;
        match self {
            Self::Unreachable { source, .. } => matches!(
                source.kind(),
                Kind::ConnectionRefused
                    | Kind::ConnectionReset
                    | Kind::ConnectionAborted
                    | Kind::TimedOut
                    | Kind::HostUnreachable
                    | Kind::NetworkUnreachable
                    | Kind::NetworkDown
                    | Kind::AddrNotAvailable
                    | Kind::BrokenPipe
                    | Kind::UnexpectedEof
                    | Kind::Interrupted
            ),
            Self::ConnectionLost { .. }
            | Self::DeadlinePassed { .. }
            | Self::JumpRefused { .. } => true,
            _ => false,
        }
    }
}

fn pinned_at(pinned: &Option<Box<PinnedIn>>) -> String {
    match pinned {
        Some(pinned) => format!(" ({} line {})", pinned.path.display(), pinned.line),
        None => String::new(),
    }
}

fn way_out(pinned: &Option<Box<PinnedIn>>) -> String {
    match pinned {
        Some(pinned) => format!("line {} of {} instead", pinned.line, pinned.path.display()),
        None => "the known_hosts file of the environment".to_owned(),
    }
}

fn seconds(time: &Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod messages;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_host_key_names_both_keys_the_line_and_the_way_out() {
        let message = SshError::HostKeyChanged {
            host: "marg-http1".into(),
            address: "198.18.0.11:22".into(),
            expected: "SHA256:old".into(),
            seen: "SHA256:new".into(),
            pinned: Some(Box::new(PinnedIn {
                path: "known_hosts".into(),
                line: 3,
            })),
        }
        .to_string();
        for part in [
            "marg-http1",
            "SHA256:old (known_hosts line 3)",
            "198.18.0.11:22 shows SHA256:new",
            "line 3 of known_hosts instead",
        ] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
    }

    #[test]
    fn only_what_a_boot_explains_may_pass() {
        let unreachable = |kind: std::io::ErrorKind| SshError::Unreachable {
            host: "h".into(),
            address: "198.18.0.1:22".into(),
            source: kind.into(),
        };
        assert!(unreachable(std::io::ErrorKind::ConnectionRefused).may_pass());
        assert!(unreachable(std::io::ErrorKind::HostUnreachable).may_pass());
        assert!(!unreachable(std::io::ErrorKind::PermissionDenied).may_pass());
        assert!(
            !SshError::AuthDenied {
                host: "h".into(),
                user: "root".into(),
                identity: "SHA256:x".into()
            }
            .may_pass()
        );
    }
}
