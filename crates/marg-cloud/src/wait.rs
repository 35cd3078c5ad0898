//! Pauses that the cloud's request limit forces, told to whoever wants to know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A pause before a request, because of the cloud's request limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Method and path of the request that waits.
    pub request: String,
    /// How long from now.
    pub delay: Duration,
    /// Why.
    pub reason: WaitReason,
}

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The cloud has answered 429.
    Refused,
    /// The next requests would use up what the cloud allows.
    Thrift,
}

/// One sentence for people: why, and how long.
impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            WaitReason::Refused => "the cloud's request limit is reached (429)",
            WaitReason::Thrift => "to stay below the cloud's request limit",
        };
        let seconds = self.delay.as_secs_f64().ceil();
        let request = &self.request;
        write!(f, "{why}: waiting {seconds} s before {request}")
    }
}

/// Hears of every pause that is long enough to be noticed, once for all requests that share it.
/// Must not block.
#[derive(Clone, Default)]
pub struct OnWait(Option<Arc<dyn Fn(Wait) + Send + Sync>>);

impl OnWait {
    /// Calls this function.
    pub fn new(hear: impl Fn(Wait) + Send + Sync + 'static) -> OnWait {
        OnWait(Some(Arc::new(hear)))
    }

    pub(crate) fn tell(&self, wait: Wait) {
        if let Some(hear) = &self.0 {
            hear(wait);
        }
    }
}

impl fmt::Debug for OnWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "heard" } else { "unheard" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_says_why_and_how_long() {
        let wait = |reason, millis| Wait {
            request: "GET /v2/droplets".to_owned(),
            delay: Duration::from_millis(millis),
            reason,
        };
        assert_eq!(
            wait(WaitReason::Refused, 6_200).to_string(),
            "the cloud's request limit is reached (429): waiting 7 s before GET /v2/droplets"
        );
        assert_eq!(
            wait(WaitReason::Thrift, 2_000).to_string(),
            "to stay below the cloud's request limit: waiting 2 s before GET /v2/droplets"
        );
    }
}
