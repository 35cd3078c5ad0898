//! One request as data, and what an answer says besides its body.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::error::CloudError;

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Sending it twice is the same as sending it once.
    Safe,
    /// It creates: sent twice, it may make two.
    Never,
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    pub(super) repeat: Repeat,
}

impl Call {
    fn new(method: Method, path: impl Into<String>, repeat: Repeat) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            repeat,
        }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Repeat::Safe)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, Repeat::Safe)
    }

    pub(super) fn put(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PUT, path, Repeat::Safe).body(body)
    }

    pub(super) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PATCH, path, Repeat::Safe).body(body)
    }

    /// A POST that creates or starts something.
    pub(super) fn create(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, Repeat::Never).body(body)
    }

    /// A POST that makes something so, however often it is sent.
    pub(super) fn post_again(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, Repeat::Safe).body(body)
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Method and path, as messages name the request.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The error for a success that cannot be read: a creation has still happened.
    pub(super) fn unreadable(&self, cause: String) -> CloudError {
        let request = self.name();
        match self.repeat {
            Repeat::Safe => CloudError::Decode { request, cause },
            Repeat::Never => CloudError::OutcomeUnknown { request, cause },
        }
    }
}

/// Counters that every answer carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    /// When the oldest counted request is forgotten, in seconds since 1970.
    pub(super) reset: Option<i64>,
    /// Seconds to wait, on a 429 of the minute's limit.
    pub(super) retry_after: Option<u64>,
    pub(super) request_id: Option<String>,
}

impl Counters {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
            headers.get(name)?.to_str().ok()?.trim().parse().ok()
        }
        Self {
            limit: number(headers, "ratelimit-limit"),
            remaining: number(headers, "ratelimit-remaining"),
            reset: number(headers, "ratelimit-reset"),
            retry_after: number(headers, "retry-after"),
            request_id: number(headers, "x-request-id"),
        }
    }

    /// How long a 429 asks to wait, at most `longest`; `now` in seconds since 1970.
    pub(super) fn wait(&self, now: i64, longest: Duration) -> Duration {
        let until_reset = || {
            let reset = self.reset?;
            u64::try_from(reset.saturating_sub(now)).ok()
        };
        let seconds = self.retry_after.or_else(until_reset).unwrap_or(1).max(1);
        Duration::from_secs(seconds).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_429_is_waited_for_as_it_asks() {
        let longest = Duration::from_secs(60);
        for (retry_after, reset, seconds) in [
            (Some(7), Some(1000), 7),
            (None, Some(1030), 30),
            (None, Some(5000), 60),
            (None, Some(900), 1),
            (Some(0), None, 1),
            (None, None, 1),
        ] {
            let counters = Counters {
                retry_after,
                reset,
                ..Counters::default()
            };
            let wait = counters.wait(1000, longest);
            assert_eq!(wait.as_secs(), seconds, "{retry_after:?} {reset:?}");
        }
    }
}
