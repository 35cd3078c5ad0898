//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer; panics when there is none for too long.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain for {what}"
        );
        // Most look through the cloud's API, whose requests are counted.
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Asks again and again until it is so.
#[track_caller]
pub fn until_true(what: &str, limit: Duration, mut ask: impl FnMut() -> bool) {
    until(what, limit, || ask().then_some(()));
}
