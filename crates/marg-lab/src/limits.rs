//! The API's rate limits, counted as the real one counts: sliding windows.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const PER_HOUR: usize = 5_000;
const PER_MINUTE: usize = 250;
const KEY_LISTS_PER_MINUTE: usize = 10;

/// The requests of the last hour.
#[derive(Default)]
pub(crate) struct Limits {
    all: VecDeque<SystemTime>,
    key_lists: VecDeque<SystemTime>,
}

/// What a request is told about the limits. All of it is about one window: the hour's, or the
/// one that refused the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests that the window takes.
    pub limit: usize,
    /// How many are left in it.
    pub remaining: usize,
    /// When the oldest request of the window is forgotten, in seconds since 1970.
    pub reset: u64,
    /// Whether the request is refused.
    pub refused: bool,
    /// Seconds until it is worth another try; only told for the limits per minute.
    pub retry_after: Option<u64>,
}

impl Allowance {
    /// A refusal out of turn: by the minute's window with a `retry_after`, by the hour's
    /// without. The hour's ends after `seconds`.
    pub(crate) fn refusal(now: SystemTime, retry_after: Option<u64>, seconds: u64) -> Self {
        let wait = retry_after.unwrap_or(seconds);
        Self {
            limit: if retry_after.is_some() {
                PER_MINUTE
            } else {
                PER_HOUR
            },
            remaining: 0,
            reset: epoch(now + Duration::from_secs(wait)),
            refused: true,
            retry_after,
        }
    }
}

impl Limits {
    /// Counts a request, unless it is refused.
    pub(crate) fn count(&mut self, now: SystemTime, is_key_list: bool) -> Allowance {
        forget(&mut self.all, now, HOUR);
        forget(&mut self.key_lists, now, MINUTE);
        let burst = burst(&self.all, now, PER_MINUTE)
            .or_else(|| burst(&self.key_lists, now, KEY_LISTS_PER_MINUTE).filter(|_| is_key_list));
        if let Some(refusal) = burst {
            return refusal;
        }
        let refused = self.all.len() >= PER_HOUR;
        if !refused {
            self.all.push_back(now);
            if is_key_list {
                self.key_lists.push_back(now);
            }
        }
        Allowance {
            refused,
            ..self.hour(now)
        }
    }

    /// The hour's window, without counting anything.
    pub(crate) fn hour(&self, now: SystemTime) -> Allowance {
        let oldest = self.all.front().copied().unwrap_or(now);
        Allowance {
            limit: PER_HOUR,
            remaining: PER_HOUR - self.all.len(),
            reset: epoch(oldest + HOUR),
            refused: false,
            retry_after: None,
        }
    }
}

fn forget(window: &mut VecDeque<SystemTime>, now: SystemTime, length: Duration) {
    while window.front().is_some_and(|first| *first + length <= now) {
        window.pop_front();
    }
}

/// The refusal when the last minute already holds `most` requests.
fn burst(window: &VecDeque<SystemTime>, now: SystemTime, most: usize) -> Option<Allowance> {
    let blocking = *window.get(window.len().checked_sub(most)?)?;
    let free = blocking + MINUTE;
    let left = free
        .duration_since(now)
        .ok()
        .filter(|left| !left.is_zero())?;
    Some(Allowance {
        limit: most,
        remaining: 0,
        reset: epoch(free),
        refused: true,
        retry_after: Some(left.as_secs().max(1)),
    })
}

fn epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_minute_is_limited_and_says_how_long_to_wait() {
        let mut limits = Limits::default();
        for _ in 0..PER_MINUTE {
            assert!(!limits.count(at(100), false).refused);
        }
        let refused = limits.count(at(110), false);
        assert_eq!(
            (refused.refused, refused.limit, refused.remaining),
            (true, PER_MINUTE, 0)
        );
        assert_eq!(refused.reset, 160);
        assert_eq!(refused.retry_after, Some(50));
        assert!(!limits.count(at(160), false).refused);
    }

    #[test]
    fn the_hour_is_limited_without_a_retry_after() {
        let mut limits = Limits::default();
        for number in 0..PER_HOUR as u64 {
            assert!(!limits.count(at(1000 + number / 4), false).refused);
        }
        let refused = limits.count(at(1000 + 1250 + 100), false);
        assert_eq!((refused.refused, refused.retry_after), (true, None));
        assert_eq!((refused.limit, refused.remaining), (PER_HOUR, 0));
        assert_eq!(refused.reset, 1000 + 3600);
    }

    #[test]
    fn key_lists_have_a_limit_of_their_own() {
        let mut limits = Limits::default();
        for _ in 0..KEY_LISTS_PER_MINUTE {
            assert!(!limits.count(at(100), true).refused);
        }
        let refused = limits.count(at(100), true);
        assert_eq!(
            (refused.refused, refused.limit),
            (true, KEY_LISTS_PER_MINUTE)
        );
        assert!(!limits.count(at(100), false).refused);
    }
}
