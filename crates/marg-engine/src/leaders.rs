//! Who leads: the hosts of a replicated service are asked before anything is planned for them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use marg_model::Fleet;
use marg_resources::{Context, HostAnswer, HostAnswers, Leadership, Role, RoleError};

use crate::desired::Desired;
use crate::error::EngineError;
use crate::host::HostError;
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

/// What hosts said, by name; or why one that was reached could not say it.
pub type Answers = BTreeMap<String, Result<HostAnswer, RoleError>>;

impl Replicated {
    /// The service's name: `redis`, `mysql`.
    pub fn of(&self) -> &'static str {
        self.leadership.of
    }

    /// Whether the host is asked.
    pub fn has(&self, host: &str) -> bool {
        self.hosts.contains(host)
    }

    /// Asks one host that is connected.
    pub async fn ask(
        &self,
        desired: &Desired<'_>,
        link: &mut Link,
    ) -> Result<HostAnswer, RoleError> {
        let answer = match question(desired, &link.host, self.leadership.question) {
            Ok(question) => answer(link, &question).await.map_err(EngineError::from),
            Err(error) => Err(error),
        };
        answer.map_err(|error| RoleError::Leader {
            of: self.leadership.of,
            message: error.to_string(),
        })
    }

    /// What is known of a host that could not be asked. One that somebody else is changing is not
    /// silent: its fellows would wait for it in vain.
    fn unreached(&self, error: &EngineError) -> Result<HostAnswer, RoleError> {
        match error {
            EngineError::Host(HostError::Locked { .. }) => Err(RoleError::Leader {
                of: self.leadership.of,
                message: error.to_string(),
            }),
            _ => Ok(HostAnswer::Silent),
        }
    }

    /// Who leads. Hosts without an answer have no machine.
    pub fn decide(&self, fleet: &Fleet, answers: Answers) -> Result<Option<String>, RoleError> {
        let said: Result<HostAnswers, RoleError> = answers
            .into_iter()
            .map(|(name, answer)| Ok((name, answer?)))
            .collect();
        let mut said = said?;
        for host in &self.hosts {
            said.entry(host.clone()).or_insert(HostAnswer::NotThere);
        }
        (self.leadership.decide)(fleet, &said)
    }
}

fn question(
    desired: &Desired<'_>,
    name: &str,
    question: fn(&Context) -> String,
) -> Result<String, EngineError> {
    let missing = || EngineError::NoMachine {
        host: name.to_owned(),
    };
    let host = desired.fleet.peers().find(|host| host.name == name);
    let machine = desired.fleet.machine(name).ok_or_else(missing)?;
    let context = desired.context_of(host.ok_or_else(missing)?, machine)?;
    Ok(question(&context))
}

/// What a host answers. One that no longer answers is silent; one that answers and cannot tell is
/// an error, since whoever decides would take its silence for its absence.
pub async fn answer(link: &mut Link, question: &str) -> Result<HostAnswer, HostError> {
    match link.talk.look(question).await {
        Ok(said) => Ok(HostAnswer::Said(said)),
        Err(error @ HostError::Look { .. }) => Err(error),
        Err(_) => Ok(HostAnswer::Silent),
    }
}

/// What was found out about who leads.
#[derive(Default)]
pub struct Leaders {
    /// Leader of each service.
    pub known: BTreeMap<String, String>,
    /// Hosts of services that nobody can be said to lead, and why: they cannot be planned.
    pub undecided: BTreeMap<String, RoleError>,
}

impl Leaders {
    /// Who leads each service, for those who go on only when that is clear for all of them.
    pub fn settled(self) -> Result<BTreeMap<String, String>, EngineError> {
        match self.undecided.into_values().next() {
            Some(error) => Err(error.into()),
            None => Ok(self.known),
        }
    }
}

/// Asks over the links.
pub async fn ask(desired: &Desired<'_>, services: &[Replicated], links: &mut Links) -> Leaders {
    let mut leaders = Leaders::default();
    for service in services {
        let answers = answers(desired, service, links).await;
        match service.decide(desired.fleet, answers) {
            Ok(leader) => {
                let of = service.of().to_owned();
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

async fn answers(desired: &Desired<'_>, service: &Replicated, links: &mut Links) -> Answers {
    let concerned = links.iter_mut().filter(|(name, _)| service.has(name));
    let asking = concerned.map(async |(name, link)| {
        let answer = match link {
            Ok(link) => service.ask(desired, link).await,
            Err(error) => service.unreached(error),
        };
        (name.clone(), answer)
    });
    join_all(asking).await.into_iter().collect()
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

/// Lets hosts go that were only asked.
pub async fn close(links: Links) {
    let open = links.into_values().filter_map(Result::ok);
    join_all(open.map(|link| link.session.close())).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use marg_resources::HostAnswer::{NotThere, Said, Silent};

    use super::*;

    /// Says who was there, who was silent, and who was not.
    fn tally(_: &Fleet, answers: &HostAnswers) -> Result<Option<String>, RoleError> {
        let tally = answers.iter().map(|(host, answer)| match answer {
            Said(text) => format!("{host} says {text}"),
            Silent => format!("{host} is silent"),
            NotThere => format!("{host} is not there"),
        });
        Ok(Some(tally.collect::<Vec<_>>().join(", ")))
    }

    #[test]
    fn a_host_that_cannot_tell_is_not_taken_for_one_that_is_silent() {
        let service = Replicated {
            leadership: Leadership {
                of: "mysql",
                question: |_| String::new(),
                decide: tally,
            },
            hosts: ["mysql1", "mysql2", "mysql3"].map(str::to_owned).into(),
        };
        let broken = || RoleError::Leader {
            of: "mysql",
            message: "mysql2: the client is broken".to_owned(),
        };
        let fleet = Fleet::pending(&crate::cloud::situation::tests::blueprint());
        let decide = |second: Result<HostAnswer, RoleError>| {
            let answers = Answers::from([
                ("mysql1".to_owned(), Ok(Said("1".to_owned()))),
                ("mysql2".to_owned(), second),
            ]);
            service.decide(&fleet, answers)
        };
        assert_eq!(decide(Err(broken())), Err(broken()));
        assert_eq!(
            decide(Ok(Silent)).ok().flatten().as_deref(),
            Some("mysql1 says 1, mysql2 is silent, mysql3 is not there")
        );
    }

    #[test]
    fn a_host_that_somebody_else_is_changing_is_not_taken_for_one_that_is_silent() {
        let service = Replicated {
            leadership: Leadership {
                of: "redis",
                question: |_| String::new(),
                decide: tally,
            },
            hosts: ["redis1", "redis2"].map(str::to_owned).into(),
        };
        let host = || "redis2".to_owned();
        let locked = HostError::Locked {
            host: host(),
            holder: "anna since noon".to_owned(),
        };
        let error = service.unreached(&locked.into()).unwrap_err().to_string();
        assert!(error.contains("redis2 is being changed by anna"), "{error}");
        let gone = EngineError::NoMachine { host: host() };
        assert_eq!(service.unreached(&gone), Ok(Silent));
    }
}
