//! Who leads the replicated services, and how far their other hosts are behind: asked in the same
//! look as the rest of the status.

use std::collections::BTreeMap;

use marg_model::Fleet;
use marg_resources::{HostAnswer, RoleError};
use serde::Serialize;

use crate::leaders::Replicated;

/// Who leads a service that several hosts replicate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Led {
    /// `mysql`, `redis`.
    pub service: String,
    /// The host that leads it.
    pub leader: Option<String>,
    /// Why nobody can be said to lead it.
    pub error: Option<String>,
}

/// What a host said, by the service that it was asked about.
pub type Said = BTreeMap<&'static str, Result<HostAnswer, RoleError>>;

/// Who leads a service, from what all hosts said.
pub fn led(service: &Replicated, fleet: &Fleet, said: &BTreeMap<String, Said>) -> Led {
    let answers = said
        .iter()
        .filter_map(|(host, own)| Some((host.clone(), own.get(service.of())?.clone())))
        .collect();
    let (leader, error) = match service.decide(fleet, answers) {
        Ok(leader) => (leader, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Led {
        service: service.of().to_owned(),
        leader,
        error,
    }
}

/// Seconds that a host is behind the one that leads, as it says itself: a line `lag N` in its
/// answer. A host that leads, or does not know, has none.
pub fn lag(answer: &HostAnswer) -> Option<u64> {
    let HostAnswer::Said(text) = answer else {
        return None;
    };
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("lag ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_says_how_far_it_is_behind() {
        let said = |text: &str| HostAnswer::Said(text.to_owned());
        for (answer, expected) in [
            (said("read_only 1\nlag 7\nserver up\n"), Some(7)),
            (said("read_only 1\nlag NULL\nserver up\n"), None),
            (said("read_only 0\nserver up\n"), None),
            (HostAnswer::Silent, None),
        ] {
            assert_eq!(lag(&answer), expected, "{answer:?}");
        }
    }
}
