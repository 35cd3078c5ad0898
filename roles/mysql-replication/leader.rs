//! Who leads, and whether another host may: decided from what the hosts say of themselves.

use std::collections::BTreeMap;

use marg_model::{Fleet, Host};
use marg_resources::{HostAnswers, RoleError, Succession};

use super::answer::{self, Group, Known, Server};

/// Who leads now.
pub fn decide(fleet: &Fleet, answers: &HostAnswers) -> Result<Option<String>, RoleError> {
    let view = View::new(fleet, answers)?;
    match view.writable().as_slice() {
        [] => view.of_closed().map(Some),
        [one] => Ok(Some((*one).to_owned())),
        several => view.of_several(several).map(Some),
    }
}

/// Whether `candidate` may lead, and what has to be done.
pub fn judge(
    fleet: &Fleet,
    answers: &HostAnswers,
    candidate: &str,
) -> Result<Succession, RoleError> {
    View::new(fleet, answers)?.succession(candidate)
}

fn refuse<T>(message: String) -> Result<T, RoleError> {
    Err(RoleError::Leader {
        of: "mysql",
        message,
    })
}

/// The group as its hosts describe it.
struct View {
    group: Group,
    /// Names in the blueprint's order.
    order: Vec<String>,
    /// Names by private address.
    names: BTreeMap<String, String>,
}

impl View {
    fn new(fleet: &Fleet, answers: &HostAnswers) -> Result<View, RoleError> {
        let address = |host: &Host| {
            let machine = fleet.machine(&host.name)?;
            Some((machine.private.to_string(), host.name.clone()))
        };
        let names = answer::group(fleet, answers).filter_map(address).collect();
        let order = answer::group(fleet, answers);
        Ok(View {
            group: answer::read(fleet, answers)?,
            order: order.map(|host| host.name.clone()).collect(),
            names,
        })
    }

    /// Servers that answer, in order.
    fn up(&self) -> impl Iterator<Item = (&str, &Server)> {
        self.order
            .iter()
            .filter_map(|name| match &self.group[name] {
                Known::Up(server) => Some((name.as_str(), server)),
                _ => None,
            })
    }

    fn server(&self, name: &str) -> Option<&Server> {
        self.up()
            .find(|(own, _)| *own == name)
            .map(|(_, server)| server)
    }

    fn writable(&self) -> Vec<&str> {
        let writable = self.up().filter(|(_, server)| server.writable);
        writable.map(|(name, _)| name).collect()
    }

    /// Name of the host that a server follows; its address if it is none of the group.
    fn followed_by<'a>(&'a self, server: &'a Server) -> Option<&'a str> {
        let address = server.source.as_deref()?;
        Some(self.names.get(address).map_or(address, String::as_str))
    }

    fn followers(&self, leader: &str) -> usize {
        let servers = self.up();
        let theirs = servers.filter(|(_, server)| self.followed_by(server) == Some(leader));
        theirs.count()
    }

    /// Whom most of those that answer follow.
    fn most_followed(&self) -> Option<&str> {
        let followed = self.up().filter_map(|(_, server)| self.followed_by(server));
        followed.max_by_key(|name| self.followers(name))
    }

    /// Who has most among those that answer; the first of equals.
    fn most_advanced(&self) -> Option<(&str, u64)> {
        let mut best: Option<(&str, u64)> = None;
        for (name, server) in self.up() {
            if best.is_none_or(|(_, has)| server.has > has) {
                best = Some((name, server.has));
            }
        }
        best
    }

    /// Hosts that exist and do not answer, each with the reason.
    fn away(&self) -> Vec<(&str, &str)> {
        let away = self.order.iter().filter_map(|name| match self.group[name] {
            Known::Away(why) => Some((name.as_str(), why)),
            _ => None,
        });
        away.collect()
    }

    fn is_majority(&self, hosts: usize) -> bool {
        hosts * 2 > self.order.len()
    }

    fn advice(&self) -> String {
        match self.most_advanced() {
            Some((name, has)) => format!(
                "run `marg promote {name}`: of those that answer it has most ({has} transactions)"
            ),
            None => "start one of them, then run `marg provision` again".to_owned(),
        }
    }

    fn of_several(&self, writable: &[&str]) -> Result<String, RoleError> {
        let mut ranked: Vec<(usize, &str)> = writable
            .iter()
            .map(|name| (self.followers(name), *name))
            .collect();
        ranked.sort_by_key(|(followers, _)| std::cmp::Reverse(*followers));
        match ranked.as_slice() {
            [(most, leader), (next, _), ..] if most > next => Ok((*leader).to_owned()),
            _ => refuse(format!(
                "{} take writes, and none of them is followed more than another; make all but one \
                 read-only (SET GLOBAL read_only = ON), then run `marg provision` again",
                writable.join(" and ")
            )),
        }
    }

    /// Nobody takes writes.
    fn of_closed(&self) -> Result<String, RoleError> {
        if let Some(leader) = self.most_followed() {
            // It has restarted, and opens again as soon as it hears the others.
            let waits = self.server(leader).is_some_and(|own| own.source.is_none());
            if waits && self.is_majority(self.followers(leader) + 1) {
                return Ok(leader.to_owned());
            }
            let why = match self.group.get(leader) {
                Some(Known::Away(why)) => why,
                _ => "takes no writes",
            };
            return refuse(format!("{leader} led and {why}; {}", self.advice()));
        }
        if let Some((name, why)) = self.away().first() {
            return refuse(format!(
                "nobody takes writes, and {name} {why}: it may be the primary; start it, or {}",
                self.advice()
            ));
        }
        let with_data = self.up().filter(|(_, server)| server.databases > 0);
        match with_data
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [] => self.order.first().cloned().map_or_else(
                || refuse("no host has the role mysql-replication".to_owned()),
                Ok,
            ),
            [one] => Ok((*one).to_owned()),
            several => refuse(format!(
                "{} have data, and none takes writes or is followed; {}",
                several.join(" and "),
                self.advice()
            )),
        }
    }

    fn succession(&self, candidate: &str) -> Result<Succession, RoleError> {
        let server = match self.group.get(candidate) {
            Some(Known::Up(server)) => server,
            Some(Known::Away(why)) => {
                return refuse(format!("{candidate} {why}; {}", self.advice()));
            }
            _ => {
                return refuse(format!(
                    "{candidate} has no database server yet; run `marg provision` first"
                ));
            }
        };
        let mut succession = Succession {
            others: self.others(candidate, None),
            away: self
                .away()
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            ..Succession::default()
        };
        if server.writable {
            succession.done = true;
            return Ok(succession);
        }
        match self.writable().as_slice() {
            [leader] => self.planned(candidate, server, leader, succession),
            [] => self.without_writer(candidate, server, succession),
            several => refuse(format!(
                "{} take writes; run `marg provision`, which makes one of them follow the other",
                several.join(" and ")
            )),
        }
    }

    fn others(&self, candidate: &str, leader: Option<&str>) -> Vec<String> {
        let others = self.up().map(|(name, _)| name);
        let others = others.filter(|name| *name != candidate && Some(*name) != leader);
        others.map(str::to_owned).collect()
    }

    fn planned(
        &self,
        candidate: &str,
        server: &Server,
        leader: &str,
        succession: Succession,
    ) -> Result<Succession, RoleError> {
        if self.followed_by(server) != Some(leader) || !server.hears || !server.executes {
            return refuse(format!(
                "{candidate} does not follow {leader}, which leads; run `marg provision` first"
            ));
        }
        Ok(Succession {
            retiring: Some(leader.to_owned()),
            others: self.others(candidate, Some(leader)),
            ..succession
        })
    }

    fn without_writer(
        &self,
        candidate: &str,
        server: &Server,
        succession: Succession,
    ) -> Result<Succession, RoleError> {
        // The leader may live and be closed: it was retired by a run that did not end.
        let leader = self.followed_by(server);
        let closed = leader.filter(|name| {
            let own = self.server(name);
            own.is_some_and(|own| own.source.is_none())
        });
        if let Some(leader) = closed
            && server.hears
        {
            return Ok(Succession {
                retiring: Some(leader.to_owned()),
                others: self.others(candidate, Some(leader)),
                ..succession
            });
        }
        if let Some((name, heard)) = self.hears_somebody_away() {
            return refuse(format!(
                "{heard} does not answer marg, but {name} still hears it: it lives, and may take \
                 writes; see that marg reaches it, or power it off and try again"
            ));
        }
        if let Some((best, has)) = self.most_advanced()
            && has > server.has
        {
            return refuse(format!(
                "{candidate} lacks {} transactions that {best} has; run `marg promote {best}`",
                has - server.has
            ));
        }
        let risks = self.risks(candidate, succession.others.len() + 1);
        Ok(Succession {
            risks,
            ..succession
        })
    }

    /// A host that answers and still hears one that does not.
    fn hears_somebody_away(&self) -> Option<(&str, &str)> {
        self.up().find_map(|(name, server)| {
            let heard = self.followed_by(server)?;
            (server.hears && self.server(heard).is_none()).then_some((name, heard))
        })
    }

    fn risks(&self, candidate: &str, answering: usize) -> Vec<String> {
        let away = self.away();
        if away.is_empty() {
            return Vec::new();
        }
        let mut risks: Vec<String> = away
            .iter()
            .map(|(name, why)| {
                format!(
                    "{name} {why}: transactions that only it has are lost; when it is back, the \
                     next provision makes it a replica with {candidate}'s data"
                )
            })
            .collect();
        if !self.is_majority(answering) {
            risks.push(format!(
                "{candidate} is alone: as long as it is, the others must stay off, because two of \
                 them that hear each other and not {candidate} would go on without it"
            ));
        }
        risks
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
