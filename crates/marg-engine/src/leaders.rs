//! Who leads: the hosts of a replicated service are asked before anything is planned for them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use marg_model::{Fleet, Host, Machine};
use marg_resources::{Context, HostAnswer, HostAnswers, Leadership, Role};

use crate::desired::promised;
use crate::engine::Engine;
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
        let hosts = fleet.peers().filter(|host| groups.contains(&*host.group));
        let hosts: BTreeSet<String> = hosts.map(|host| host.name.clone()).collect();
        (hosts.len() > 1).then_some(Replicated { leadership, hosts })
    });
    services.collect()
}

/// Names of all hosts that are asked for any service.
pub fn asked(services: &[Replicated]) -> BTreeSet<&str> {
    let hosts = services.iter().flat_map(|service| &service.hosts);
    hosts.map(String::as_str).collect()
}

/// Asks over the links. Services without an answer that can be decided are in the second part:
/// their hosts cannot be planned.
pub async fn ask(
    engine: &Engine,
    fleet: &Fleet,
    services: &[Replicated],
    links: &mut Links,
) -> (BTreeMap<String, String>, BTreeMap<String, EngineError>) {
    let mut leaders = BTreeMap::new();
    let mut undecided = BTreeMap::new();
    for service in services {
        let of = service.leadership.of;
        let answers = answers(engine, fleet, service, links).await;
        let decided = match answers {
            Ok(answers) => (service.leadership.decide)(fleet, &answers).map_err(EngineError::from),
            Err(error) => Err(error),
        };
        match decided {
            Ok(leader) => leaders.extend(leader.map(|leader| (of.to_owned(), leader))),
            Err(error) => {
                undecided.insert(of.to_owned(), error);
            }
        }
    }
    (leaders, undecided)
}

async fn answers(
    engine: &Engine,
    fleet: &Fleet,
    service: &Replicated,
    links: &mut Links,
) -> Result<HostAnswers, EngineError> {
    let secrets = engine.vault().secrets()?;
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
            let context = Context {
                fleet,
                host,
                machine,
                distro: promised(host).ok()?,
                secrets: &secrets,
                roles: engine.roles(),
            };
            let said = link.talk.look(&(service.leadership.question)(&context)).await;
            let answer = said.map_or(HostAnswer::Silent, HostAnswer::Said);
            Some((name.clone(), answer))
        });
    let mut answers: HostAnswers = join_all(asking).await.into_iter().flatten().collect();
    for host in &service.hosts {
        answers.entry(host.clone()).or_insert(HostAnswer::NotThere);
    }
    Ok(answers)
}

/// Refuses to go on when the one that leads has to leave.
pub fn refuse_leaving(fleet: &Fleet) -> Result<(), EngineError> {
    for (of, leader) in &fleet.leaders {
        let Some(host) = fleet.leaving.iter().find(|host| host.name == *leader) else {
            continue;
        };
        let mut fellows = fleet.blueprint.hosts.iter();
        let successor = fellows.find(|other| other.group == host.group);
        return Err(EngineError::LeaderLeaves {
            of: of.clone(),
            leader: leader.clone(),
            successor: successor.map_or_else(String::new, |host| host.name.clone()),
            phase: fleet.blueprint.phase.number,
        });
    }
    Ok(())
}
