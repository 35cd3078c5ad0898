//! How often marg looks and how long it waits. Every wait in this crate has a deadline from here.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{CloudError, CloudResult};

/// Intervals and deadlines of everything that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// First pause between two looks; it grows by half each time.
    pub poll_first: Duration,
    /// Longest pause between two looks.
    pub poll_longest: Duration,
    /// How long a fresh id may be unknown to the cloud.
    pub appear_for: Duration,
    /// How long to look for the fruit of a creation whose answer was lost (lists lag).
    pub adopt_for: Duration,
    /// Until a droplet is active, unlocked and has its addresses.
    pub ready_for: Duration,
    /// Until an action, or a move of a reserved IP, has ended.
    pub action_for: Duration,
    /// Until a snapshot has been taken: the cloud copies a whole disk.
    pub snapshot_for: Duration,
    /// How long a guest may take to shut down before its power is cut.
    pub shutdown_for: Duration,
    /// Until a deleted droplet, or a VPC that its members leave slowly, is gone.
    pub delete_for: Duration,
    /// When to ask again for a deletion that was accepted and did not happen.
    pub delete_again_after: Duration,
    /// Until a firewall is enforced everywhere.
    pub enforce_for: Duration,
}

impl Default for Pace {
    /// Measured against what DigitalOcean is known to need; quick at first, so that a lab whose
    /// machines are up in two seconds is not slowed down.
    fn default() -> Self {
        Self {
            poll_first: Duration::from_millis(250),
            poll_longest: Duration::from_secs(3),
            appear_for: Duration::from_secs(60),
            adopt_for: Duration::from_secs(90),
            ready_for: Duration::from_secs(600),
            action_for: Duration::from_secs(600),
            snapshot_for: Duration::from_secs(3600),
            shutdown_for: Duration::from_secs(120),
            delete_for: Duration::from_secs(300),
            delete_again_after: Duration::from_secs(60),
            enforce_for: Duration::from_secs(180),
        }
    }
}

/// One wait: growing pauses up to a deadline.
pub(crate) struct Poll {
    what: String,
    started: Instant,
    deadline: Duration,
    pause: Duration,
    longest: Duration,
    paused: bool,
}

impl Poll {
    pub(crate) fn new(pace: &Pace, what: impl Into<String>, deadline: Duration) -> Self {
        Self {
            what: what.into(),
            started: Instant::now(),
            deadline,
            pause: pace.poll_first,
            longest: pace.poll_longest,
            paused: false,
        }
    }

    /// Time since the wait began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether this wait has begun to wait.
    pub(crate) fn has_paused(&self) -> bool {
        self.paused
    }

    /// Moves the deadline, counted from the beginning of the wait, later if it was earlier.
    pub(crate) fn extend_to(&mut self, deadline: Duration) {
        self.deadline = self.deadline.max(deadline);
    }

    /// Pauses before the next look, or fails when the deadline has passed. The last look always
    /// comes at the deadline, never long before it.
    pub(crate) async fn pause(&mut self, last_seen: impl Display) -> CloudResult<()> {
        let waited = self.elapsed();
        let Some(left) = self
            .deadline
            .checked_sub(waited)
            .filter(|left| !left.is_zero())
        else {
            return Err(CloudError::Timeout {
                what: self.what.clone(),
                waited,
                last_seen: last_seen.to_string(),
            });
        };
        self.paused = true;
        sleep(self.pause.min(left)).await;
        self.pause = self.pause.mul_f32(1.5).min(self.longest);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_grows_slower_and_ends_at_its_deadline() {
        let pace = Pace::default();
        let mut poll = Poll::new(&pace, "droplet 7 to be gone", Duration::from_secs(10));
        let mut looks = 0;
        let error = loop {
            match poll.pause("status active").await {
                Ok(()) => looks += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(looks, 8);
        assert_eq!(poll.elapsed(), Duration::from_secs(10));
        assert_eq!(
            error.to_string(),
            "droplet 7 to be gone did not happen within 10 s (last seen: status active). Run the \
             same command again: it goes on from here"
        );
    }
}
