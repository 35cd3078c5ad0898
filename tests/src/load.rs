//! A load generator: keeps asking a web server and counts every request that did not go well.
//!
//! It is there to show that a deploy loses no request, so it is strict: anything but a
//! complete answer with a 2xx status is a failure, and nothing is asked a second time. One
//! exception is the HTTP client's own, as it is every browser's: a kept connection that the
//! server closed *before* the request was written is replaced by a new one.

mod client;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use client::Client;
use report::Tally;
pub use report::{Failure, LoadReport};

/// What to ask, how hard and for how long. The load ends at whichever bound comes first.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// Scheme and authority, such as `http://198.18.0.5`; the paths are appended to it.
    pub url: String,
    /// The name to ask for when it is not the one in `url`.
    pub host_header: Option<String>,
    /// Asked for in turn; each begins with `/`.
    pub paths: Vec<String>,
    /// Sent with every request: a `Cookie` header keeps page requests in one session.
    pub headers: Vec<(String, String)>,
    /// How many requests are under way at once, at most.
    pub connections: usize,
    /// When the next request is due.
    pub pace: Pace,
    /// Whether connections are used again.
    pub keep_alive: KeepAlive,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// No request is sent after this many.
    pub max_requests: u64,
    /// No request is sent after this long.
    pub max_time: Duration,
}

impl LoadSpec {
    /// A moderate load on `/`: four connections, as fast as they are answered, for a minute
    /// at most.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            host_header: None,
            paths: vec!["/".to_owned()],
            headers: Vec::new(),
            connections: 4,
            pace: Pace::ClosedLoop,
            keep_alive: KeepAlive::Mixed,
            timeout: Duration::from_secs(10),
            max_requests: 1_000_000,
            max_time: Duration::from_secs(60),
        }
    }
}

/// When the next request is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As soon as the one before it on the same connection is answered.
    ClosedLoop,
    /// So many each second, evenly. While every connection waits for an answer the requests
    /// fall behind; their latency counts from when they were due, so a stall shows in full.
    PerSecond(u32),
}

impl Pace {
    /// How long after the start the request with this number, from 0, is due.
    fn due(self, number: u64) -> Option<Duration> {
        match self {
            Self::ClosedLoop => None,
            Self::PerSecond(rate) => Some(Duration::from_secs_f64(number as f64 / f64::from(rate))),
        }
    }
}

/// Whether connections are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// A new connection for every request.
    Never,
    /// Each connection is used for as long as the server allows.
    Always,
    /// Every second connection is kept, the others are new for every request.
    Mixed,
}

impl KeepAlive {
    fn for_worker(self, number: usize) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Mixed => number.is_multiple_of(2),
        }
    }
}

/// Why a load could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The specification asks for nothing that can be sent.
    #[error("the load has no {what}: give at least one")]
    Nothing {
        /// What there is none of.
        what: &'static str,
    },
    /// The address and a path do not make a URL.
    #[error(
        "`{url}` is not a URL to ask for ({reason}): give `url` as http://HOST and paths that begin with `/`"
    )]
    Url {
        /// The two together.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header cannot be sent.
    #[error(
        "the header `{name}` cannot be sent ({reason}): HTTP does not allow its name or its value"
    )]
    Header {
        /// The header's name; its value may be a session.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {source}")]
    Client {
        /// What it said.
        source: reqwest::Error,
    },
}

/// A load under way. Dropping it breaks off the requests under way and loses the count.
#[derive(Debug)]
pub struct Load {
    workers: JoinSet<Tally>,
    stop: watch::Sender<bool>,
    done: watch::Receiver<u64>,
    started: Instant,
    started_at: SystemTime,
}

impl Load {
    /// Starts sending. Needs a tokio runtime.
    pub fn start(spec: LoadSpec) -> Result<Self, LoadError> {
        check(&spec)?;
        let urls = client::urls(&spec)?;
        let clients = (0..spec.connections)
            .map(|number| Client::new(&spec, spec.keep_alive.for_worker(number)))
            .collect::<Result<Vec<_>, _>>()?;
        let (stop, stopped) = watch::channel(false);
        let (count, done) = watch::channel(0);
        let started_at = SystemTime::now();
        let queue = Arc::new(Queue {
            spec,
            urls,
            started: Instant::now(),
            next: AtomicU64::new(0),
        });
        let mut workers = JoinSet::new();
        for client in clients {
            workers.spawn(work(
                Arc::clone(&queue),
                client,
                stopped.clone(),
                count.clone(),
            ));
        }
        Ok(Self {
            workers,
            stop,
            done,
            started: queue.started,
            started_at,
        })
    }

    /// How many requests have ended so far, well or not.
    pub fn done(&self) -> u64 {
        *self.done.borrow()
    }

    /// Waits until so many requests have ended, so that what comes next happens under load.
    /// False if the load came to its own end before.
    pub async fn reached(&self, requests: u64) -> bool {
        let mut done = self.done.clone();
        // The wait fails when the last worker is gone.
        done.wait_for(|done| *done >= requests).await.is_ok()
    }

    /// Sends nothing more, waits for the answers that are still due, and counts.
    pub async fn stop(self) -> LoadReport {
        self.stop.send_replace(true);
        self.finish().await
    }

    /// Waits until the load reaches one of its bounds, and counts.
    pub async fn finish(mut self) -> LoadReport {
        let mut total = Tally::default();
        while let Some(joined) = self.workers.join_next().await {
            match joined {
                Ok(tally) => total.add(tally),
                // Nobody aborts a worker, so it panicked: so does the test.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        total.into_report(self.started_at, self.started.elapsed())
    }
}

/// The requests to come, handed out to whichever worker is free.
#[derive(Debug)]
struct Queue {
    spec: LoadSpec,
    urls: Vec<reqwest::Url>,
    started: Instant,
    next: AtomicU64,
}

impl Queue {
    /// The next request: where to, and when it is due. None when the load is over.
    fn take(&self) -> Option<(&reqwest::Url, Instant)> {
        let now = Instant::now();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.spec.pace.due(number) {
            Some(after) => self.started + after,
            None => now,
        };
        let end = self.started + self.spec.max_time;
        if number >= self.spec.max_requests || now.max(due) >= end {
            return None;
        }
        let url = &self.urls[(number % self.urls.len() as u64) as usize];
        Some((url, due))
    }
}

/// One worker: a request at a time until the load is over or stopped.
async fn work(
    queue: Arc<Queue>,
    client: Client,
    mut stopped: watch::Receiver<bool>,
    count: watch::Sender<u64>,
) -> Tally {
    let mut tally = Tally::default();
    while let Some((url, due)) = queue.take() {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = tokio::time::sleep_until(due) => {}
        }
        let sent = queue.started.elapsed();
        match client.get(url).await {
            Ok(status) => tally.ok(status, due.elapsed()),
            Err(trouble) => tally.failed(Failure {
                at: sent,
                path: url.path().to_owned(),
                status: trouble.status,
                reason: trouble.reason,
            }),
        }
        count.send_modify(|done| *done += 1);
    }
    tally
}

fn check(spec: &LoadSpec) -> Result<(), LoadError> {
    let what = match spec {
        LoadSpec { paths, .. } if paths.is_empty() => "paths",
        LoadSpec { connections: 0, .. } => "connections",
        LoadSpec {
            pace: Pace::PerSecond(0),
            ..
        } => "requests per second",
        _ => return Ok(()),
    };
    Err(LoadError::Nothing { what })
}
