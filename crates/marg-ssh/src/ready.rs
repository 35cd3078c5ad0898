//! Waiting for a machine that boots.

use std::time::Duration;

use crate::connect::{Attempt, connect};
use crate::session::Session;
use crate::{Deadline, KeyPair, SshError, Target};

/// How a booting machine is waited for. The whole wait is bounded by a deadline besides.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Pause between two attempts.
    pub interval: Duration,
    /// Time for one TCP connection. Short, because a packet to a machine without a network
    /// yet is lost, and TCP itself repeats it ever more rarely.
    pub reach: Duration,
    /// Time for key exchange and login of one attempt; generous, as booting is hard work.
    pub login: Duration,
    /// For how long after the first denied login it is tried again: cloud-init may write the
    /// authorized keys after sshd has started. Zero makes the first denial final.
    pub denied: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            reach: Duration::from_secs(1),
            login: Duration::from_secs(20),
            denied: Duration::ZERO,
        }
    }
}

/// See [`Session::connect_when_ready`].
pub(crate) async fn connect_when_ready(
    target: &Target,
    identity: &KeyPair,
    patience: Patience,
    deadline: Deadline,
) -> Result<Session, SshError> {
    let via = match &target.jump {
        None => None,
        Some(jump) => {
            let waiting = connect_when_ready(jump, identity, patience, deadline);
            Some(Box::pin(waiting).await?)
        }
    };
    let started = tokio::time::Instant::now();
    let mut denials_until: Option<Deadline> = None;
    loop {
        let attempt = Attempt {
            reach: deadline.sooner(patience.reach),
            login: deadline.sooner(patience.login),
        };
        let error = match connect(target, identity, via.clone(), attempt).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let jump_is_gone = via.as_ref().is_some_and(Session::is_closed);
        let again = match &error {
            SshError::AuthDenied { .. } => !denials_until
                .get_or_insert_with(|| Deadline::after(patience.denied))
                .passed(),
            other => other.may_pass(),
        };
        if !again || jump_is_gone {
            return Err(error);
        }
        tracing::debug!(host = target.name, %error, "not ready yet");
        if deadline.remaining() <= patience.interval {
            return Err(SshError::NotReady {
                host: target.name.clone(),
                waited: started.elapsed(),
                last: Box::new(error),
            });
        }
        tokio::time::sleep(patience.interval).await;
    }
}
