//! What a load saw.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How many failures are kept in full.
const KEPT: usize = 20;

/// What a load saw, all workers together.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// Requests sent; each of them went well or failed.
    pub sent: u64,
    /// Complete answers with a 2xx status.
    pub ok: u64,
    /// Everything else.
    pub failed_count: u64,
    /// The earliest failures, at most 20, in the order in which they were sent.
    pub failed: Vec<Failure>,
    /// How often each status came, in answers that broke off too. Requests without an
    /// answer are in none.
    pub by_status: BTreeMap<u16, u64>,
    /// Half of the good answers were complete within this time.
    pub p50: Duration,
    /// 95 of 100 good answers were complete within this time.
    pub p95: Duration,
    /// The slowest good answer.
    pub max: Duration,
    /// When the load began.
    pub started_at: SystemTime,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// A request that did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// When it was sent, from the start of the load.
    pub at: Duration,
    /// What it asked for.
    pub path: String,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, with all its causes.
    pub reason: String,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let rate = self.sent as f64 / seconds.max(f64::EPSILON);
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "{} requests in {seconds:.1} s ({rate:.0}/s), {} failed; p50 {:.1} ms, p95 {:.1} ms, max {:.1} ms",
            self.sent,
            self.failed_count,
            ms(self.p50),
            ms(self.p95),
            ms(self.max),
        )?;
        for failure in &self.failed {
            let at = failure.at.as_secs_f64();
            write!(f, "\n  at {at:.3} s {}: {}", failure.path, failure.reason)?;
        }
        let unseen = self.failed_count - self.failed.len() as u64;
        if unseen > 0 {
            write!(f, "\n  and {unseen} more")?;
        }
        Ok(())
    }
}

/// One worker's count.
#[derive(Debug, Default)]
pub(super) struct Tally {
    latencies: Vec<Duration>,
    by_status: BTreeMap<u16, u64>,
    failed_count: u64,
    failed: Vec<Failure>,
}

impl Tally {
    pub(super) fn ok(&mut self, status: u16, latency: Duration) {
        self.latencies.push(latency);
        *self.by_status.entry(status).or_default() += 1;
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        if let Some(status) = failure.status {
            *self.by_status.entry(status).or_default() += 1;
        }
        self.failed_count += 1;
        if self.failed.len() < KEPT {
            self.failed.push(failure);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        self.failed_count += other.failed_count;
        self.failed.extend(other.failed);
    }

    pub(super) fn into_report(mut self, started_at: SystemTime, took: Duration) -> LoadReport {
        self.latencies.sort_unstable();
        self.failed.sort_by_key(|failure| failure.at);
        self.failed.truncate(KEPT);
        let ok = self.latencies.len() as u64;
        LoadReport {
            sent: ok + self.failed_count,
            ok,
            failed_count: self.failed_count,
            failed: self.failed,
            by_status: self.by_status,
            p50: percentile(&self.latencies, 50),
            p95: percentile(&self.latencies, 95),
            max: percentile(&self.latencies, 100),
            started_at,
            took,
        }
    }
}

/// The smallest value that so many percent do not exceed; zero of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<_> = (1..=100).map(ms).collect();
        for (sorted, percent, expected) in [
            (&hundred[..], 50, ms(50)),
            (&hundred[..], 95, ms(95)),
            (&hundred[..], 100, ms(100)),
            (&hundred[..3], 50, ms(2)),
            (&hundred[..1], 95, ms(1)),
            (&[], 50, ms(0)),
        ] {
            assert_eq!(
                percentile(sorted, percent),
                expected,
                "{percent} of {}",
                sorted.len()
            );
        }
    }

    #[test]
    fn the_earliest_failures_are_kept_and_all_are_counted() {
        let failure = |at| Failure {
            at: ms(at),
            path: "/".to_owned(),
            status: (at % 2 == 0).then_some(502),
            reason: format!("reason {at}"),
        };
        let (mut odd, mut even) = (Tally::default(), Tally::default());
        (0..50).for_each(|n| odd.failed(failure(2 * n + 1)));
        (0..50).for_each(|n| even.failed(failure(2 * n)));
        even.ok(200, ms(3));
        odd.add(even);

        let report = odd.into_report(SystemTime::UNIX_EPOCH, ms(1000));

        let kept: Vec<_> = report.failed.iter().map(|failure| failure.at).collect();
        assert_eq!(kept, (0..20).map(ms).collect::<Vec<_>>());
        assert_eq!((report.sent, report.ok, report.failed_count), (101, 1, 100));
        assert_eq!(report.by_status, BTreeMap::from([(200, 1), (502, 50)]));
        let text = report.to_string();
        assert!(
            text.starts_with("101 requests in 1.0 s (101/s), 100 failed; p50 3.0 ms"),
            "{text}"
        );
        assert!(
            text.ends_with("at 0.019 s /: reason 19\n  and 80 more"),
            "{text}"
        );
    }
}
