//! DigitalOcean's API v2, and whatever speaks like it: the lab does.

mod call;
mod calls;
mod endpoint;
mod http;
mod pages;
mod throttle;
mod wire;

use std::time::Duration;

use marg_model::Secret;
use tokio::sync::Semaphore;

use crate::error::CloudResult;
use crate::pace::Pace;
use crate::wait::OnWait;
use http::Http;

/// The address of the real thing.
pub const DIGITALOCEAN: &str = "https://api.digitalocean.com";

/// Creations in flight at once; more trips the API's own limits.
const CREATES_AT_ONCE: usize = 10;

/// How the client behaves towards the API.
#[derive(Clone, Debug)]
pub struct Options {
    /// For TCP and TLS together.
    pub connect_timeout: Duration,
    /// For one request with its whole answer.
    pub request_timeout: Duration,
    /// How often a request is sent when it fails in a way that is safe to repeat.
    pub attempts: u32,
    /// First pause between two attempts; it doubles each time.
    pub retry_first: Duration,
    /// Longest single pause after a 429.
    pub rate_limit_longest: Duration,
    /// Longest time that one request may spend on 429s in all.
    pub rate_limit_budget: Duration,
    /// Requests that may be sent without any delay.
    pub burst: u32,
    /// Requests a second after that.
    pub per_second: f64,
    /// Intervals and deadlines of waits.
    pub pace: Pace,
    /// Hears of pauses that the request limit forces.
    pub on_wait: OnWait,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            attempts: 4,
            retry_first: Duration::from_millis(200),
            rate_limit_longest: Duration::from_secs(60),
            rate_limit_budget: Duration::from_secs(600),
            burst: 60,
            // 60 + 60 × 3 stays below the API's 250 in any minute.
            per_second: 3.0,
            pace: Pace::default(),
            on_wait: OnWait::default(),
        }
    }
}

/// The DigitalOcean client.
#[derive(Debug)]
pub struct DigitalOcean {
    http: Http,
    pace: Pace,
    creates: Semaphore,
}

impl DigitalOcean {
    /// A client for the API at `endpoint` (for example [`DIGITALOCEAN`]; a trailing `/v2` is
    /// tolerated). Plain http is accepted for loopback only: the token travels in every request.
    pub fn new(endpoint: &str, token: Secret, options: Options) -> CloudResult<DigitalOcean> {
        let pace = options.pace;
        Ok(DigitalOcean {
            http: Http::new(endpoint, token, options)?,
            pace,
            creates: Semaphore::new(CREATES_AT_ONCE),
        })
    }
}
