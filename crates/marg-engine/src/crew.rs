//! Everybody at work in a provision: the connections that hold the hosts' locks, what is live
//! there, how each host went.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};
use marg_model::{Blueprint, Fleet, Host, Secrets};

use crate::apply::check;
use crate::converge::{Outcome, Work, connect, converge};
use crate::deploy::live::Live;
use crate::desired::{Desired, promised};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::gates::Gates;
use crate::host::link::Link;
use crate::host::talk::Lock;
use crate::leaders::{self, Leaders, Links, ask, asked, replicated};
use crate::report::HostReport;

/// A connected host and the releases that are live on it.
pub struct Linked {
    /// The connection.
    pub link: Link,
    /// Live releases.
    pub live: Live,
    /// Whether it has what an earlier version of marg made there.
    pub earlier: bool,
}

/// The hosts of one run.
pub struct Crew<'a> {
    engine: &'a Engine,
    secrets: &'a Secrets,
    lock: Lock,
    /// Hosts that were made in this run.
    fresh: BTreeSet<String>,
    /// Hosts that are as they should be, by name.
    pub links: BTreeMap<String, Linked>,
    /// How every host went.
    pub reports: BTreeMap<String, HostReport>,
    /// Hosts that failed.
    pub failures: Vec<(String, EngineError)>,
}

impl<'a> Crew<'a> {
    /// Nobody yet.
    pub fn new(engine: &'a Engine, secrets: &'a Secrets, fresh: BTreeSet<String>) -> Self {
        Self {
            engine,
            secrets,
            lock: engine.lock(),
            fresh,
            links: BTreeMap::new(),
            reports: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    /// Makes every host what it should be, side by side, and finds out who leads. Hosts of a
    /// replicated service wait for each other's answers; nobody else does.
    pub async fn converge(&mut self, fleet: &mut Fleet) {
        let services = replicated(fleet, self.engine.roles());
        let asked = asked(&services);
        let gates = Gates::new(fleet.blueprint.hosts.iter());
        let mut present = std::mem::take(&mut self.links);
        let mut take = |host: &Host| present.remove(&host.name).map(|linked| linked.link);
        let mut replicas = Vec::new();
        let mut others = Vec::new();
        for host in fleet.peers() {
            if asked.contains(host.name.as_str()) {
                replicas.push((host, take(host)));
            } else if fleet.blueprint.host(&host.name).is_some() {
                others.push((host, take(host)));
            }
        }
        let desired = Desired {
            fleet,
            roles: self.engine.roles(),
            secrets: self.secrets,
        };
        let work = self.work(desired, &gates);
        let others = join_all(others.into_iter().map(async |(host, link)| {
            let link = self.linked(desired.fleet, host, link).await;
            converge(&work, host, link).await
        }));
        let replicas = async {
            let opening = replicas.into_iter().map(async |(host, link)| {
                let link = self.linked(desired.fleet, host, link).await;
                (host.name.clone(), link)
            });
            let mut links: Links = join_all(opening).await.into_iter().collect();
            let mut leaders = ask(&desired, &services, &mut links).await;
            let led = Fleet {
                leaders: leaders.known.clone(),
                ..fleet.clone()
            };
            let outcomes = self.replicas(&led, &gates, &mut links, &mut leaders).await;
            // Those that leave were only asked: they are visited again, and hold their lock now.
            leaders::close(links).await;
            (outcomes, leaders.known)
        };
        let (others, (replicas, leaders)) = join(others, replicas).await;
        fleet.leaders = leaders;
        for outcome in others.into_iter().chain(replicas) {
            self.take(outcome);
        }
    }

    async fn replicas(
        &self,
        fleet: &Fleet,
        gates: &Gates,
        links: &mut Links,
        leaders: &mut Leaders,
    ) -> Vec<Outcome> {
        let desired = Desired {
            fleet,
            roles: self.engine.roles(),
            secrets: self.secrets,
        };
        let work = self.work(desired, gates);
        let mut going = Vec::new();
        for host in &fleet.blueprint.hosts {
            let Some(link) = links.remove(&host.name) else {
                continue;
            };
            let undecided = leaders.undecided.remove(&host.name);
            let link = match (link, undecided) {
                (Ok(_), Some(error)) => Err(error.into()),
                (link, _) => link,
            };
            going.push(converge(&work, host, link));
        }
        join_all(going).await
    }

    fn work<'w>(&'w self, desired: Desired<'w>, gates: &'w Gates) -> Work<'w> {
        Work {
            engine: self.engine,
            desired,
            gates,
            fresh: &self.fresh,
        }
    }

    async fn linked(
        &self,
        fleet: &Fleet,
        host: &Host,
        link: Option<Link>,
    ) -> Result<Link, EngineError> {
        match link {
            Some(link) => Ok(link),
            None => connect(self.engine, fleet, host, &self.lock).await,
        }
    }

    fn take(&mut self, outcome: Outcome) {
        let name = outcome.report.name.clone();
        let mut report = outcome.report;
        if let Some(before) = self.reports.get(&name) {
            report.changed += before.changed;
            report.millis += before.millis;
        }
        self.reports.insert(name.clone(), report);
        if let Some(link) = outcome.link {
            let linked = Linked {
                link,
                live: outcome.live,
                earlier: outcome.earlier,
            };
            self.links.insert(name.clone(), linked);
        }
        self.failures
            .extend(outcome.error.map(|error| (name, error)));
    }

    /// Asks the balancers whether they work, now that there is something to balance. Those where
    /// nothing has changed are left in peace.
    pub async fn check_balancers(&mut self, fleet: &Fleet) {
        let desired = Desired {
            fleet,
            roles: self.engine.roles(),
            secrets: self.secrets,
        };
        let mut failed = Vec::new();
        for (host, machine) in fleet.hosts().filter(|(host, _)| desired.balances(host)) {
            let changed = self.reports.get(&host.name).is_some_and(|r| r.changed > 0);
            let Some(linked) = self.links.get_mut(&host.name).filter(|_| changed) else {
                continue;
            };
            let checked = match promised(host) {
                Ok(distro) => {
                    let checks = desired.checks(host, machine, distro);
                    check(&mut linked.link, &checks)
                        .await
                        .map_err(EngineError::from)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = checked {
                failed.push((host.name.clone(), error));
            }
        }
        for (host, error) in failed {
            self.fail(&host, error);
        }
    }

    /// A host went wrong after it was made what it should be.
    pub fn fail(&mut self, host: &str, error: EngineError) {
        if let Some(report) = self.reports.get_mut(host) {
            report.error = Some(self.engine.redact(&error.to_string()));
        }
        self.failures.push((host.to_owned(), error));
    }

    /// A connection to a host that leaves.
    pub async fn visit(&self, fleet: &Fleet, host: &Host) -> Result<Link, EngineError> {
        connect(self.engine, fleet, host, &self.lock).await
    }

    /// A host's own connection, which holds its lock; to be put back into `links`.
    pub async fn borrow(&mut self, fleet: &Fleet, host: &Host) -> Result<Linked, EngineError> {
        match self.links.remove(&host.name) {
            Some(linked) => Ok(linked),
            None => Ok(Linked {
                link: self.visit(fleet, host).await?,
                live: Live::default(),
                earlier: false,
            }),
        }
    }

    /// Whether a failed host serves or works applications, or is needed by one that does. One
    /// host's failure stops its dependants, not its siblings.
    pub fn apps_concerned(&self, blueprint: &Blueprint) -> bool {
        let failed = |name: &String| self.failures.iter().any(|(host, _)| host == name);
        blueprint
            .with_role("app")
            .any(|host| failed(&host.name) || host.needs.iter().any(failed))
    }

    /// Lets all hosts go.
    pub async fn close(&mut self) {
        let links = std::mem::take(&mut self.links).into_values();
        join_all(links.map(|linked| linked.link.session.close())).await;
    }
}
