//! Every message of the SSH transport, in one place: what failed, why, and what to do.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use super::{PinnedIn, SshError};
use crate::process::ExitStatus;

fn text(value: &str) -> String {
    value.to_owned()
}

fn host() -> String {
    text("marg-http1")
}

fn address() -> String {
    text("198.18.0.11:22")
}

fn unreachable() -> SshError {
    SshError::Unreachable {
        host: host(),
        address: address(),
        source: Error::new(ErrorKind::ConnectionRefused, "connection refused"),
    }
}

fn changed(pinned: Option<PinnedIn>) -> SshError {
    SshError::HostKeyChanged {
        host: host(),
        address: address(),
        expected: text("SHA256:old"),
        seen: text("SHA256:new"),
        pinned: pinned.map(Box::new),
    }
}

/// On the way to a session.
fn connecting() -> Vec<SshError> {
    vec![
        unreachable(),
        changed(None),
        changed(Some(PinnedIn {
            path: "known_hosts".into(),
            line: 3,
        })),
        SshError::HostKeyUnknown {
            host: host(),
            path: "known_hosts".into(),
        },
        SshError::AuthDenied {
            host: host(),
            user: text("root"),
            identity: text("SHA256:key"),
        },
        SshError::Handshake {
            host: host(),
            address: address(),
            reason: text("no common key exchange"),
        },
        SshError::NotReady {
            host: host(),
            waited: Duration::from_secs(300),
            last: Box::new(unreachable()),
        },
        SshError::JumpRefused {
            host: text("marg-mysql1"),
            via: host(),
            address: text("10.10.0.3:22"),
            reason: text("administratively prohibited"),
        },
    ]
}

/// In a session.
fn talking() -> Vec<SshError> {
    vec![
        SshError::ConnectionLost {
            host: host(),
            doing: "a command ran",
            reason: text("broken pipe"),
        },
        SshError::DeadlinePassed {
            host: host(),
            doing: "logging in",
            budget: Duration::from_millis(2_500),
        },
        SshError::ExecRefused {
            host: host(),
            reason: text("channel open failure"),
        },
        SshError::StdinClosed { host: host() },
        SshError::NoExitStatus { host: host() },
        SshError::CommandFailed {
            host: host(),
            doing: "making a host key",
            status: ExitStatus::Code(1),
            stderr: text("no space left on device"),
        },
    ]
}

/// On this machine.
fn local() -> Vec<SshError> {
    vec![
        SshError::KnownHosts {
            path: "known_hosts".into(),
            line: 4,
            reason: text("marg-http1 is pinned twice"),
        },
        SshError::BadName {
            name: text("marg http1"),
        },
        SshError::BadKey {
            what: text("ssh_key"),
            reason: text("it is encrypted"),
            advice: "Give marg a key without a passphrase",
        },
        SshError::Io {
            doing: text("writing known_hosts"),
            source: Error::new(ErrorKind::PermissionDenied, "permission denied"),
        },
    ]
}

/// A variant that is missing here is missing above, too.
fn is_told(error: &SshError) {
    use SshError as E;
    match error {
        E::Unreachable { .. } | E::HostKeyChanged { .. } | E::HostKeyUnknown { .. } => {}
        E::AuthDenied { .. } | E::Handshake { .. } | E::ConnectionLost { .. } => {}
        E::DeadlinePassed { .. } | E::NotReady { .. } | E::JumpRefused { .. } => {}
        E::ExecRefused { .. } | E::StdinClosed { .. } | E::NoExitStatus { .. } => {}
        E::CommandFailed { .. } | E::KnownHosts { .. } | E::BadName { .. } => {}
        E::BadKey { .. } | E::Io { .. } => {}
    }
}

#[test]
fn every_message_says_what_why_and_what_next() {
    let mut all = String::new();
    for error in [connecting(), talking(), local()].into_iter().flatten() {
        is_told(&error);
        writeln!(all, "{error}\n").unwrap();
    }
    insta::assert_snapshot!(all);
}
