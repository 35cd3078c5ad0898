//! A point in time after which nobody waits any longer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::SshError;

/// When to stop waiting. One deadline is made for a piece of work and handed to each of its
/// waits; there is no way to wait without one.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    budget: Duration,
}

impl Deadline {
    /// The deadline that passes after `budget`, counted from now.
    pub fn after(budget: Duration) -> Self {
        Self {
            at: Instant::now() + budget,
            budget,
        }
    }

    /// This deadline, or the one that passes after `budget` from now if that comes sooner.
    #[must_use]
    pub fn sooner(self, budget: Duration) -> Self {
        let other = Self::after(budget);
        if other.at < self.at { other } else { self }
    }

    /// The time that is left; zero once the deadline has passed.
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is left.
    pub fn passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for `work`, or fails with the name of the host and of what was being done.
    pub(crate) async fn wait<W: Future>(
        self,
        host: &str,
        doing: &'static str,
        work: W,
    ) -> Result<W::Output, SshError> {
        match timeout_at(self.at, work).await {
            Ok(done) => Ok(done),
            Err(_) => Err(self.error(host, doing)),
        }
    }

    /// The error of a wait that this deadline ended.
    pub(crate) fn error(self, host: &str, doing: &'static str) -> SshError {
        SshError::DeadlinePassed {
            host: host.to_owned(),
            doing,
            budget: self.budget,
        }
    }
}
