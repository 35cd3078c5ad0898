//! Stays below the API's request limits: a bucket of requests that refills slowly.
//!
//! The API allows 250 requests in any minute and 5,000 in any hour. A full bucket lets short work
//! through unhindered; what refills while it empties still fits into the minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Requests a second once the hour's allowance runs low.
const FRUGAL_PER_SECOND: f64 = 1.0;
/// A shorter pause passes unnoticed.
const WORTH_TELLING: Duration = Duration::from_millis(900);

#[derive(Debug)]
pub(super) struct Throttle(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    burst: f64,
    per_second: f64,
    frugal: bool,
    /// Requests that may start now; below zero, requests are queued.
    allowance: f64,
    counted_at: Instant,
    /// Nothing starts before this, after a 429.
    not_before: Instant,
    /// Whoever listens knows that nothing starts before this.
    told_until: Instant,
}

impl Throttle {
    pub(super) fn new(burst: u32, per_second: f64) -> Self {
        let now = Instant::now();
        Self(Mutex::new(Bucket {
            burst: f64::from(burst),
            per_second,
            frugal: false,
            allowance: f64::from(burst),
            counted_at: now,
            not_before: now,
            told_until: now,
        }))
    }

    /// Waits for this request's turn; `tell` hears of a pause that nobody has been told of.
    pub(super) async fn admit(&self, tell: impl FnOnce(Duration)) {
        let now = Instant::now();
        let (delay, news) = self.with(|bucket| {
            let delay = bucket.reserve(now);
            // Requests that queue up while a told pause lasts are not told one by one.
            let news = bucket.told_until <= now && bucket.is_news(now, delay);
            (delay, news)
        });
        if delay.is_zero() {
            return;
        }
        tracing::debug!(?delay, "waiting, to stay below the cloud's request limit");
        if news {
            tell(delay);
        }
        sleep(delay).await;
    }

    /// Holds every later request back: the cloud has said 429. Whether that is news, because
    /// nobody has been told of a pause that lasts about as long.
    pub(super) fn hold(&self, delay: Duration) -> bool {
        let now = Instant::now();
        self.with(|bucket| {
            bucket.not_before = bucket.not_before.max(now + delay);
            bucket.is_news(now, delay)
        })
    }

    /// Learns from the counters of an answer: below a twentieth of the limit, be frugal.
    pub(super) fn learn(&self, limit: u64, remaining: u64) {
        self.with(|bucket| bucket.frugal = remaining.saturating_mul(20) < limit);
    }

    fn with<T>(&self, work: impl FnOnce(&mut Bucket) -> T) -> T {
        // The bucket is numbers only: a panic elsewhere cannot have left it half-changed.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Bucket {
    /// Whether a pause lasts noticeably longer than what has been told, and remembers that it is
    /// told now.
    fn is_news(&mut self, now: Instant, delay: Duration) -> bool {
        let told = self.told_until.saturating_duration_since(now);
        let news = delay.saturating_sub(told) >= WORTH_TELLING;
        if news {
            self.told_until = now + delay;
        }
        news
    }

    fn reserve(&mut self, now: Instant) -> Duration {
        let rate = if self.frugal {
            FRUGAL_PER_SECOND
        } else {
            self.per_second
        };
        let refilled = now.duration_since(self.counted_at).as_secs_f64() * rate;
        let ceiling = if self.frugal { 1.0 } else { self.burst };
        self.allowance = (self.allowance + refilled).min(ceiling) - 1.0;
        self.counted_at = now;
        let queued = Duration::from_secs_f64((-self.allowance).max(0.0) / rate);
        queued.max(self.not_before.duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(throttle: &Throttle, now: Instant) -> u128 {
        throttle.with(|bucket| bucket.reserve(now)).as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_the_rest_is_spread() {
        let throttle = Throttle::new(60, 3.0);
        let now = Instant::now();
        for _ in 0..60 {
            assert_eq!(millis(&throttle, now), 0);
        }
        assert_eq!(millis(&throttle, now), 333);
        assert_eq!(millis(&throttle, now), 666);
        assert_eq!(millis(&throttle, now + Duration::from_secs(3)), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_holds_more_than_the_limit() {
        let throttle = Throttle::new(60, 3.0);
        let started = Instant::now();
        let mut sent = 0;
        while started.elapsed() < Duration::from_secs(60) {
            throttle.admit(|_| {}).await;
            sent += 1;
        }
        assert!((230..=250).contains(&sent), "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_told_once() {
        let throttle = Throttle::new(60, 3.0);
        assert!(throttle.hold(Duration::from_secs(7)));
        assert!(
            !throttle.hold(Duration::from_millis(7_300)),
            "as good as the same"
        );
        assert!(throttle.hold(Duration::from_secs(30)), "much longer");
        let mut told = Vec::new();
        throttle.admit(|delay| told.push(delay)).await;
        assert_eq!(told, [], "it is known that everything waits");

        let throttle = Throttle::new(1, 0.5);
        throttle.admit(|delay| told.push(delay)).await;
        assert_eq!(told, [], "no pause");
        throttle.admit(|delay| told.push(delay)).await;
        assert_eq!(told, [Duration::from_secs(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_and_a_low_counter_slow_everything_down() {
        let throttle = Throttle::new(60, 3.0);
        throttle.hold(Duration::from_secs(7));
        assert_eq!(millis(&throttle, Instant::now()), 7000);

        let throttle = Throttle::new(60, 3.0);
        throttle.learn(5000, 200);
        let now = Instant::now();
        assert_eq!((millis(&throttle, now), millis(&throttle, now)), (0, 1000));
        throttle.learn(5000, 4000);
        assert_eq!(millis(&throttle, now + Duration::from_secs(2)), 0);
    }
}
