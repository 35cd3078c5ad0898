//! Sends requests: throttled, timed, retried where that is safe, and never with a loose tongue.

use std::time::Duration;

use jiff::Timestamp;
use marg_model::Secret;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use super::Options;
use super::call::{Call, Counters, Repeat};
use super::endpoint::{base_url, bearer, client};
use super::throttle::Throttle;
use super::wire::error_message;
use crate::error::{CloudError, CloudResult};
use crate::scrub::scrub;
use crate::wait::{Wait, WaitReason};

/// Longest pause between two attempts of one request.
const RETRY_LONGEST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    base: Url,
    token: Secret,
    authorization: HeaderValue,
    throttle: Throttle,
    options: Options,
}

/// What one attempt brought.
enum Attempt {
    Answer {
        status: StatusCode,
        counters: Counters,
        body: Vec<u8>,
    },
    /// Nothing has left this machine.
    NotSent(String),
    /// Something may have arrived there.
    Lost(String),
}

impl Http {
    pub(super) fn new(endpoint: &str, token: Secret, options: Options) -> CloudResult<Self> {
        let base = base_url(endpoint)?;
        Ok(Self {
            client: client(&base, &options)?,
            base,
            authorization: bearer(&token)?,
            token,
            throttle: Throttle::new(options.burst, options.per_second),
            options,
        })
    }

    /// Sends the request and gives the JSON of a success; `Null` when it has no body.
    pub(super) async fn json(&self, call: &Call) -> CloudResult<Value> {
        let body = self.send(call).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            call.unreadable(format!("not JSON ({error}): {}", error_message(&body)))
        })
    }

    /// Sends the request and decodes what the success holds under `key`.
    pub(super) async fn object<T: DeserializeOwned>(
        &self,
        call: &Call,
        key: &str,
    ) -> CloudResult<T> {
        let mut answer = self.json(call).await?;
        take(&mut answer, key).map_err(|cause| call.unreadable(cause))
    }

    /// Like [`Http::object`], with `None` for a 404.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        call: &Call,
        key: &str,
    ) -> CloudResult<Option<T>> {
        match self.object(call, key).await {
            Err(CloudError::NotFound { .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Sends a deletion; a thing that is already gone is deleted.
    pub(super) async fn delete(&self, call: &Call) -> CloudResult<()> {
        match self.send(call).await {
            Ok(_) | Err(CloudError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends the request until it has an answer, and gives the body of a success.
    async fn send(&self, call: &Call) -> CloudResult<Vec<u8>> {
        let mut attempts_left = self.options.attempts;
        let mut limited_since: Option<Instant> = None;
        loop {
            self.throttle
                .admit(|delay| self.tell(call, delay, WaitReason::Thrift))
                .await;
            attempts_left = attempts_left.saturating_sub(1);
            let error = match self.attempt(call).await {
                Attempt::Answer { status, body, .. } if status.is_success() => return Ok(body),
                Attempt::Answer {
                    status: StatusCode::TOO_MANY_REQUESTS,
                    counters,
                    ..
                } => {
                    // It was not carried out, so it may be repeated whatever it is, and does not
                    // count as an attempt.
                    attempts_left += 1;
                    self.sit_out(call, &counters, &mut limited_since).await?;
                    continue;
                }
                Attempt::Answer {
                    status,
                    counters,
                    body,
                } => {
                    let repeatable =
                        status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
                    let error = self.refusal(call, status, counters, &body);
                    if !repeatable || call.repeat == Repeat::Never {
                        return Err(error);
                    }
                    error
                }
                Attempt::NotSent(cause) => CloudError::Transport {
                    request: call.name(),
                    cause,
                },
                Attempt::Lost(cause) if call.repeat == Repeat::Never => {
                    return Err(CloudError::OutcomeUnknown {
                        request: call.name(),
                        cause,
                    });
                }
                Attempt::Lost(cause) => CloudError::Transport {
                    request: call.name(),
                    cause,
                },
            };
            if attempts_left == 0 {
                return Err(error);
            }
            tracing::debug!(%error, attempts_left, "asking the cloud again");
            sleep(self.retry_pause(attempts_left)).await;
        }
    }

    async fn attempt(&self, call: &Call) -> Attempt {
        let span = tracing::debug_span!(
            "cloud",
            method = %call.method,
            path = call.path,
            status = tracing::field::Empty,
            request_id = tracing::field::Empty,
        );
        let started = Instant::now();
        async {
            let attempt = self.exchange(call).await;
            let millis = started.elapsed().as_millis();
            match &attempt {
                Attempt::Answer {
                    status, counters, ..
                } => {
                    let span = tracing::Span::current();
                    span.record("status", status.as_u16());
                    span.record("request_id", counters.request_id.as_deref());
                    tracing::debug!(millis, remaining = counters.remaining, "answered");
                }
                Attempt::NotSent(cause) | Attempt::Lost(cause) => {
                    tracing::debug!(millis, cause, "no answer");
                }
            }
            attempt
        }
        .instrument(span)
        .await
    }

    async fn exchange(&self, call: &Call) -> Attempt {
        let mut request = self
            .client
            .request(call.method.clone(), self.url(call))
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = match request.send().await {
            Ok(response) => response,
            // Connecting comes before the first byte of the request.
            Err(error) if error.is_connect() || error.is_builder() => {
                return Attempt::NotSent(self.words(error));
            }
            Err(error) => return Attempt::Lost(self.words(error)),
        };
        let (status, counters) = (response.status(), Counters::read(response.headers()));
        if let (Some(limit), Some(remaining)) = (counters.limit, counters.remaining) {
            self.throttle.learn(limit, remaining);
        }
        match response.bytes().await {
            Ok(body) => Attempt::Answer {
                status,
                counters,
                body: body.into(),
            },
            Err(error) => Attempt::Lost(self.words(error)),
        }
    }

    /// Waits as a 429 asks, with some jitter so that several clients do not return in step.
    async fn sit_out(
        &self,
        call: &Call,
        counters: &Counters,
        since: &mut Option<Instant>,
    ) -> CloudResult<()> {
        let waited = since.get_or_insert_with(Instant::now).elapsed();
        if waited >= self.options.rate_limit_budget {
            return Err(CloudError::RateLimited {
                request: call.name(),
                waited,
            });
        }
        let asked = counters.wait(
            Timestamp::now().as_second(),
            self.options.rate_limit_longest,
        );
        let delay = asked.mul_f64(1.0 + rand::random_range(0.0..0.2));
        tracing::info!(
            ?delay,
            request = call.name(),
            "the cloud's request limit is reached; waiting"
        );
        if self.throttle.hold(delay) {
            self.tell(call, delay, WaitReason::Refused);
        }
        sleep(delay).await;
        Ok(())
    }

    fn tell(&self, call: &Call, delay: Duration, reason: WaitReason) {
        self.options.on_wait.tell(Wait {
            request: call.name(),
            delay,
            reason,
        });
    }

    /// Doubles with every attempt, with jitter downwards.
    fn retry_pause(&self, attempts_left: u32) -> Duration {
        let tried = self
            .options
            .attempts
            .saturating_sub(attempts_left + 1)
            .min(16);
        let pause = self
            .options
            .retry_first
            .saturating_mul(1 << tried)
            .min(RETRY_LONGEST);
        pause.mul_f64(rand::random_range(0.5..1.0))
    }

    fn refusal(
        &self,
        call: &Call,
        status: StatusCode,
        counters: Counters,
        body: &[u8],
    ) -> CloudError {
        let request = call.name();
        let request_id = counters.request_id;
        let message = scrub(&error_message(body), &self.token);
        match status.as_u16() {
            401 => CloudError::Unauthorized {
                request,
                request_id,
            },
            403 => CloudError::Forbidden {
                request,
                message,
                request_id,
            },
            404 => CloudError::NotFound {
                request,
                request_id,
            },
            300..=399 => CloudError::Decode {
                request,
                cause: format!("status {status}, a redirect, which the API never sends"),
            },
            code @ (408 | 500..=599) if call.repeat == Repeat::Never => {
                CloudError::OutcomeUnknown {
                    request,
                    cause: format!("the cloud answered {code}: {message}"),
                }
            }
            code @ (408 | 500..=599) => CloudError::Server {
                request,
                status: code,
                message,
                request_id,
            },
            status => CloudError::Refused {
                request,
                status,
                message,
                request_id,
            },
        }
    }

    fn url(&self, call: &Call) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
            call.path
        ));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        url
    }

    /// The endpoint and the deepest cause; the layers above it only say that sending failed.
    fn words(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let host = self.base.host_str().unwrap_or_default();
        let port = self
            .base
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        scrub(&format!("{host}{port}: {cause}"), &self.token)
    }
}

/// Takes what stands under `key` out of an answer's envelope.
pub(super) fn take<T: DeserializeOwned>(answer: &mut Value, key: &str) -> Result<T, String> {
    let Some(value) = answer.get_mut(key).map(Value::take) else {
        return Err(format!("`{key}` is missing"));
    };
    serde_json::from_value(value).map_err(|error| format!("`{key}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_a_line_break_is_refused_without_being_shown() {
        for token in ["", "canary\n1"] {
            let made = Http::new("http://127.0.0.1:1", Secret::new(token), Options::default());
            let shown = format!("{made:?}");
            assert!(matches!(made, Err(CloudError::TokenMalformed)));
            assert!(!shown.contains("canary"));
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let made = Http::new(
            "http://127.0.0.1:1",
            Secret::new("canary-12345"),
            Options::default(),
        );
        assert!(!format!("{made:?}").contains("canary"));
    }
}
