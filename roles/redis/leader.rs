//! Who leads Redis. The Sentinels decide it, so they are believed first; without them the one master
//! that has replicas or keys leads; where all is new, the first host. Where none of this is clear,
//! nobody is chosen: a wrong choice would throw away what the right one holds.

use std::collections::BTreeMap;

use marg_model::{Fleet, Host};
use marg_resources::{Context, HostAnswer, HostAnswers, Leadership, RoleError, Succession};

use super::ask;
use crate::{network, redis_sentinel};

/// How hosts of Redis tell who leads.
pub const LEADERSHIP: Leadership = Leadership {
    of: "redis",
    question,
    decide,
};

/// Prints words with values, one each on a line; nothing where Redis is not installed.
fn question(_context: &Context) -> String {
    format!(
        "{}if command -v redis-cli >/dev/null && [ -e {} ]; then\n\
         printf '%s\\n' 'INFO replication' DBSIZE | main | tr ' ' '\\n' \\\n\
         | sed -n -e 's/^role:/role /p' -e 's/^master_host:/of /p' \\\n\
         -e 's/^connected_slaves:/replicas /p' -e 's/^\\([0-9][0-9]*\\)$/keys \\1/p'\n\
         if [ -e {} ]; then echo 'SENTINEL GET-MASTER-ADDR-BY-NAME {}' | sentinel | tr ' ' '\\n' \\\n\
         | sed -n -e 's/^\\([0-9][0-9]*\\.[0-9.]*\\)$/sentinel \\1/p'; fi\nfi\n:",
        ask::functions(),
        super::PASSWORD_FILE,
        redis_sentinel::PASSWORD_FILE,
        redis_sentinel::MASTER,
    )
}

/// What a host with Redis said.
#[derive(Default)]
struct Said<'a> {
    /// `master` or `slave`; nothing where Redis does not run.
    role: &'a str,
    /// Address of the master that it follows.
    of: &'a str,
    replicas: u64,
    keys: u64,
    /// Address of the master, as its Sentinel has it.
    sentinel: &'a str,
}

fn decide(fleet: &Fleet, answers: &HostAnswers) -> Result<Option<String>, RoleError> {
    let hosts: Vec<&Host> = fleet
        .peers()
        .filter(|host| host.has_role("redis"))
        .collect();
    let mut said = BTreeMap::new();
    for (host, answer) in answers {
        if let HostAnswer::Said(text) = answer {
            said.insert(host.as_str(), read(host, text)?);
        }
    }
    let quest = Quest {
        fleet,
        hosts,
        answers,
        said,
    };
    let chosen = match quest.sentinels()? {
        Some(host) => Some(host),
        None => quest.masters()?,
    };
    Ok(chosen.map(str::to_owned))
}

/// Whether `candidate` may lead instead of the host that does, and what has to be done.
pub fn judge(
    fleet: &Fleet,
    answers: &HostAnswers,
    candidate: &str,
) -> Result<Succession, RoleError> {
    let nobody = || leader("nobody leads yet; run `marg provision` first".to_owned());
    let leading = decide(fleet, answers)?.ok_or_else(nobody)?;
    let mut succession = Succession::default();
    for (host, answer) in answers {
        match answer {
            HostAnswer::Said(text) if !text.is_empty() => {
                if *host != leading && host != candidate {
                    succession.others.push(host.clone());
                }
            }
            _ => succession.away.push(host.clone()),
        }
    }
    if succession.away.contains(&leading) {
        return Err(leader(format!(
            "{leading} leads and does not answer: the Sentinels replace it by themselves, within \
             seconds of its loss; see `marg status`"
        )));
    }
    if leading == candidate {
        succession.done = true;
        return Ok(succession);
    }
    let address = fleet.blueprint.host(&leading);
    let address = address.map(|host| network::private(fleet, host).to_string());
    let follows = match answers.get(candidate) {
        Some(HostAnswer::Said(text)) => {
            let said = read(candidate, text)?;
            said.role == "slave" && Some(said.of) == address.as_deref() && !said.sentinel.is_empty()
        }
        _ => false,
    };
    if !follows {
        return Err(leader(format!(
            "{candidate} does not follow {leading}, which leads; run `marg provision` first"
        )));
    }
    succession.retiring = Some(leading);
    Ok(succession)
}

fn read<'a>(host: &str, text: &'a str) -> Result<Said<'a>, RoleError> {
    let mut said = Said::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let number = |value: &str| value.parse().map_err(|_| unclear(host, line));
        match line.split_once(' ') {
            Some(("role", role @ ("master" | "slave"))) => said.role = role,
            Some(("of", address)) => said.of = address,
            Some(("replicas", value)) => said.replicas = number(value)?,
            Some(("keys", value)) => said.keys = number(value)?,
            Some(("sentinel", address)) => said.sentinel = address,
            _ => return Err(unclear(host, line)),
        }
    }
    Ok(said)
}

fn unclear(host: &str, line: &str) -> RoleError {
    leader(format!(
        "{host} answers `{line}`, which marg does not understand; nothing was changed"
    ))
}

fn leader(message: String) -> RoleError {
    RoleError::Leader {
        of: "redis",
        message,
    }
}

struct Quest<'a> {
    fleet: &'a Fleet,
    hosts: Vec<&'a Host>,
    answers: &'a HostAnswers,
    said: BTreeMap<&'a str, Said<'a>>,
}

impl<'a> Quest<'a> {
    /// Whom more than half of the Sentinels that answer name.
    fn sentinels(&self) -> Result<Option<&'a str>, RoleError> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for said in self.said.values().filter(|said| !said.sentinel.is_empty()) {
            *votes.entry(said.sentinel).or_default() += 1;
        }
        let all: usize = votes.values().sum();
        let winner = votes.into_iter().find(|(_, count)| count * 2 > all);
        let Some((address, _)) = winner else {
            return Ok(None);
        };
        let Some(host) = self.host_at(address) else {
            return Err(leader(format!(
                "the Sentinels say that {address} leads, which is none of {}; {}",
                self.names(),
                self.story()
            )));
        };
        match self.said.get(host).map(|said| said.role) {
            Some("slave") => Err(leader(format!(
                "a failover is under way: the Sentinels say that {host} leads, and {host} does not \
                 know it yet; run the same command again in half a minute"
            ))),
            // Its machine is new, so it cannot be the one that the Sentinels mean.
            Some("") => Ok(None),
            _ => Ok(Some(host)),
        }
    }

    /// Without Sentinels: the one master that is followed, or that has keys.
    fn masters(&self) -> Result<Option<&'a str>, RoleError> {
        let masters: Vec<(&str, &Said)> = self
            .hosts
            .iter()
            .filter_map(|host| Some((host.name.as_str(), self.said.get(host.name.as_str())?)))
            .filter(|(_, said)| said.role == "master")
            .collect();
        let one = |holds: fn(&Said) -> bool| {
            let mut of_those = masters.iter().filter(|(_, said)| holds(said));
            let first = of_those.next().map(|(name, _)| *name);
            (first, of_those.next().is_some())
        };
        for claim in [one(|said| said.replicas > 0), one(|said| said.keys > 0)] {
            match claim {
                (Some(name), false) => return Ok(Some(self.own(name))),
                (Some(_), true) => {
                    return Err(leader(format!(
                        "several hosts hold data as masters, and only one may: {}; find out which one \
                     the applications use, take the others off by hand (REPLICAOF) and run the same \
                     command again",
                        self.story()
                    )));
                }
                (None, _) => {}
            }
        }
        let silent = self
            .hosts
            .iter()
            .find(|host| self.answers.get(&host.name) == Some(&HostAnswer::Silent));
        if let Some(silent) = silent {
            if self.hosts.len() == 1 {
                return Ok(None);
            }
            return Err(leader(format!(
                "{} does not answer, and no other host says who leads ({}); bring it back first, \
                 because it may hold the only copy",
                silent.name,
                self.story()
            )));
        }
        if let Some((host, said)) = self.said.iter().find(|(_, said)| said.role == "slave") {
            return Err(leader(format!(
                "{host} follows {}, and no host says that it leads: {}; let one lead (REPLICAOF NO \
                 ONE) and run the same command again",
                said.of,
                self.story()
            )));
        }
        Ok(self
            .fleet
            .blueprint
            .with_role("redis")
            .next()
            .map(|first| self.own(&first.name)))
    }

    /// The name as the quest's own hosts have it.
    fn own(&self, name: &str) -> &'a str {
        let mut hosts = self.hosts.iter();
        hosts
            .find(|host| host.name == name)
            .map_or("", |host| host.name.as_str())
    }

    fn host_at(&self, address: &str) -> Option<&'a str> {
        let mut hosts = self.hosts.iter();
        let at = |host: &&&Host| network::private(self.fleet, host).to_string() == address;
        hosts.find(at).map(|host| host.name.as_str())
    }

    fn names(&self) -> String {
        let names = self.hosts.iter().map(|host| host.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Who says what, for people.
    fn story(&self) -> String {
        let of = |host: &&Host| {
            let name = &host.name;
            match (self.said.get(name.as_str()), self.answers.get(name)) {
                (Some(said), _) if said.role.is_empty() => format!("{name} has no Redis yet"),
                (Some(said), _) => {
                    let role = match said.role {
                        "slave" => format!("follows {}", said.of),
                        _ => format!("is a master with {} replicas", said.replicas),
                    };
                    let vote = match said.sentinel {
                        "" => String::new(),
                        address => format!(", its Sentinel names {address}"),
                    };
                    format!("{name} {role}, {} keys{vote}", said.keys)
                }
                (None, Some(HostAnswer::Silent)) => format!("{name} does not answer"),
                (None, _) => format!("{name} does not exist yet"),
            }
        };
        self.hosts.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
