//! Who leads the replicated services, and how far their other hosts are behind: asked in the same
//! look as the rest of the status.

use std::collections::BTreeMap;

use marg_model::{Fleet, Host};
use marg_resources::{HostAnswer, HostAnswers, Leadership, Role};
use serde::Serialize;

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

/// A service that several hosts replicate, and how they are asked.
pub struct Service {
    role: &'static str,
    leadership: Leadership,
}

/// What a host said, by the service that it was asked about.
pub type Said = BTreeMap<&'static str, HostAnswer>;

impl Service {
    /// The services of the fleet that more than one host has.
    pub fn all(fleet: &Fleet, roles: &[&dyn Role]) -> Vec<Service> {
        let services = roles.iter().filter_map(|role| {
            let leadership = role.leadership()?;
            let role = role.schema().name;
            let several = fleet.blueprint.with_role(role).nth(1).is_some();
            several.then_some(Service { role, leadership })
        });
        services.collect()
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.leadership.of
    }

    /// How its hosts are asked.
    pub fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// Whether the host replicates it.
    pub fn has(&self, host: &Host) -> bool {
        host.has_role(self.role)
    }

    /// Who leads, from what all hosts said.
    pub fn led(&self, fleet: &Fleet, said: &BTreeMap<String, Said>) -> Led {
        let hosts = fleet.blueprint.with_role(self.role);
        let answers: HostAnswers = hosts
            .map(|host| {
                let answer = said.get(&host.name).and_then(|own| own.get(self.name()));
                let nobody = HostAnswer::NotThere;
                (host.name.clone(), answer.unwrap_or(&nobody).clone())
            })
            .collect();
        let (leader, error) = match (self.leadership.decide)(fleet, &answers) {
            Ok(leader) => (leader, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Led {
            service: self.name().to_owned(),
            leader,
            error,
        }
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
