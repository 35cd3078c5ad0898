//! Faults on demand, so that tests can show what a client does about them.
//!
//! `POST /lab/faults` with `{"fault": "drop_after_create", "times": 1}` arms one;
//! `DELETE /lab/faults` disarms all.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What can be made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiFaultKind {
    /// A POST is executed, then the connection is closed without an answer.
    DropAfterCreate,
    /// A POST is executed, then answered with a 500.
    ErrorAfterCreate,
    /// Requests are refused with 429: with `retry_after` as the limit per minute does it, without
    /// as the limit per hour, whose window ends after `seconds`.
    RateLimited,
    /// GETs are answered with 404.
    NotFound,
    /// Droplets younger than `seconds` are missing from lists. Holds until disarmed.
    ListLag,
    /// The account takes only `limit` droplets. Holds until disarmed.
    DropletLimit,
    /// A droplet action is refused: an event is pending.
    PendingEvent,
    /// A droplet action is taken and ends as `errored`.
    ActionErrored,
    /// A new droplet is `active` for `seconds` before its addresses can be read.
    ActiveWithoutAddresses,
    /// A new droplet is gone again instead of becoming active.
    VanishAfterCreate,
    /// A deleted droplet stays readable for `seconds`.
    SlowDelete,
    /// Deleting a VPC is refused: it still has members.
    VpcDeleteConflict,
}

impl ApiFaultKind {
    /// Whether it holds until it is disarmed, however often it strikes.
    fn lasts(self) -> bool {
        matches!(self, Self::ListLag | Self::DropletLimit)
    }

    /// The paths that it is about when none is named.
    fn default_path(self) -> &'static str {
        match self {
            Self::NotFound => "/v2/droplets/",
            Self::DropAfterCreate | Self::ErrorAfterCreate => "/v2/droplets",
            _ => "/",
        }
    }
}

/// One armed fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiFault {
    /// What goes wrong.
    pub fault: ApiFaultKind,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
    /// Only requests whose path begins so; the default depends on the fault.
    #[serde(default)]
    pub path: Option<String>,
    /// For faults that take a while.
    #[serde(default)]
    pub seconds: u64,
    /// For [`ApiFaultKind::DropletLimit`].
    #[serde(default)]
    pub limit: usize,
    /// For [`ApiFaultKind::RateLimited`], in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

fn once() -> u32 {
    1
}

/// The armed faults.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<ApiFault>>);

impl Faults {
    /// Arms a fault.
    pub(crate) fn arm(&self, fault: ApiFault) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fault);
    }

    /// Disarms all.
    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// All armed faults.
    pub(crate) fn list(&self) -> Vec<ApiFault> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether this fault strikes a request to `path`, now; it is used up by that.
    pub(crate) fn strike(&self, kind: ApiFaultKind, path: &str) -> Option<ApiFault> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = armed.iter().position(|fault| {
            let prefix = fault.path.as_deref().unwrap_or_else(|| kind.default_path());
            fault.fault == kind && fault.times > 0 && path.starts_with(prefix)
        })?;
        let fault = armed[position].clone();
        if !kind.lasts() {
            armed[position].times -= 1;
            if armed[position].times == 0 {
                armed.remove(position);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn fault(text: &str) -> ApiFault {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_was_armed() {
        let faults = Faults::default();
        faults.arm(fault(r#"{"fault": "not_found", "times": 2}"#));
        assert!(
            faults
                .strike(ApiFaultKind::NotFound, "/v2/vpcs/1")
                .is_none()
        );
        assert!(
            faults
                .strike(ApiFaultKind::NotFound, "/v2/droplets/1")
                .is_some()
        );
        assert!(
            faults
                .strike(ApiFaultKind::NotFound, "/v2/droplets/1")
                .is_some()
        );
        assert!(
            faults
                .strike(ApiFaultKind::NotFound, "/v2/droplets/1")
                .is_none()
        );
    }

    #[test]
    fn lasting_faults_hold_until_they_are_disarmed() {
        let faults = Faults::default();
        faults.arm(fault(r#"{"fault": "list_lag", "seconds": 3}"#));
        for _ in 0..3 {
            assert_eq!(
                faults
                    .strike(ApiFaultKind::ListLag, "/v2/droplets")
                    .unwrap()
                    .seconds,
                3
            );
        }
        faults.clear();
        assert!(faults.list().is_empty());
    }

    #[test]
    fn unknown_faults_and_keys_are_refused() {
        for text in [
            r#"{"fault": "fire"}"#,
            r#"{"fault": "not_found", "tims": 2}"#,
        ] {
            assert!(serde_json::from_str::<ApiFault>(text).is_err(), "{text}");
        }
    }
}
