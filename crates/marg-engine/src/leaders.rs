//! Who leads: the hosts of a replicated service are asked before anything is planned for them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use marg_model::{Fleet, Host, Machine};
use marg_resources::{HostAnswer, HostAnswers, Leadership, Role, RoleError};

use crate::desired::{Desired, promised};
use crate::error::EngineError;
use crate::host::link::Link;

/// Connections that are open already, by host; why one could not be opened.
pub type Links = BTreeMap<String, Result<Link, EngineError>>;

/// A service that several hosts of the fleet replicate.
pub struct Replicated {
    leadership: Leadership,
    /// Everybody who is asked, by name.
    hosts: BTreeSet<String>,
}

/// The replicated services of a fleet. Hosts that had the role in the phase that they come from
/// are asked, too: the leader may be among them.
pub fn replicated(fleet: &Fleet, roles: &[&dyn Role]) -> Vec<Replicated> {
    let services = roles.iter().filter_map(|role| {
        let leadership = role.leadership()?;
        let name = role.schema().name;
        let groups: BTreeSet<&str> = fleet
            .peers()
            .filter(|host| host.has_role(name))
            .map(|host| host.group.as_str())
            .collect();
        let of = |group: &str| {
            let hosts = fleet.peers().filter(|host| host.group == group);
            hosts.map(|host| host.name.clone()).collect::<BTreeSet<_>>()
        };
        // Hosts of different groups know nothing of each other.
        let mut fellows = groups.into_iter().map(of);
        let hosts = fellows.find(|hosts| hosts.len() > 1).unwrap_or_default();
        (!hosts.is_empty()).then_some(Replicated { leadership, hosts })
    });
    services.collect()
}

/// Names of all hosts that are asked for any service.
pub fn asked(services: &[Replicated]) -> BTreeSet<&str> {
    let hosts = services.iter().flat_map(|service| &service.hosts);
    hosts.map(String::as_str).collect()
}

/// What was found out about who leads.
#[derive(Default)]
pub struct Leaders {
    /// Leader of each service.
    pub known: BTreeMap<String, String>,
    /// Hosts of services that nobody can be said to lead, and why: they cannot be planned.
    pub undecided: BTreeMap<String, RoleError>,
}

/// Asks over the links.
pub async fn ask(desired: &Desired<'_>, services: &[Replicated], links: &mut Links) -> Leaders {
    let mut leaders = Leaders::default();
    for service in services {
        let answers = answers(desired, service, links).await;
        match (service.leadership.decide)(desired.fleet, &answers) {
            Ok(leader) => {
                let of = service.leadership.of.to_owned();
                leaders.known.extend(leader.map(|leader| (of, leader)));
            }
            Err(error) => {
                let hosts = service.hosts.iter();
                let hosts = hosts.map(|host| (host.clone(), error.clone()));
                leaders.undecided.extend(hosts);
            }
        }
    }
    leaders
}

async fn answers(desired: &Desired<'_>, service: &Replicated, links: &mut Links) -> HostAnswers {
    let fleet = desired.fleet;
    let hosts: BTreeMap<&str, (&Host, &Machine)> = fleet
        .peers()
        .filter_map(|host| Some((host.name.as_str(), (host, fleet.machine(&host.name)?))))
        .collect();
    let asking = links
        .iter_mut()
        .filter(|(name, _)| service.hosts.contains(*name))
        .map(async |(name, link)| {
            let (host, machine) = hosts.get(name.as_str())?;
            let Ok(link) = link else {
                return Some((name.clone(), HostAnswer::Silent));
            };
            let context = desired.context(host, machine, promised(host).ok()?);
            let said = link
                .talk
                .look(&(service.leadership.question)(&context))
                .await;
            let answer = said.map_or(HostAnswer::Silent, HostAnswer::Said);
            Some((name.clone(), answer))
        });
    let mut answers: HostAnswers = join_all(asking).await.into_iter().flatten().collect();
    for host in &service.hosts {
        answers.entry(host.clone()).or_insert(HostAnswer::NotThere);
    }
    answers
}

/// Refuses to go on when the one that leads has to leave.
pub fn refuse_leaving(fleet: &Fleet) -> Result<(), EngineError> {
    for (of, leader) in &fleet.leaders {
        let Some(host) = fleet.leaving.iter().find(|host| host.name == *leader) else {
            continue;
        };
        let mut fellows = fleet.blueprint.hosts.iter();
        // Without a fellow that stays the data is handed over with the entry address.
        let Some(successor) = fellows.find(|other| other.group == host.group) else {
            continue;
        };
        return Err(EngineError::LeaderLeaves {
            of: of.clone(),
            leader: leader.clone(),
            successor: successor.name.clone(),
            phase: fleet.blueprint.phase.number,
        });
    }
    Ok(())
}
