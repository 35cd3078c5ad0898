//! One release onto the hosts of an application: carried to all of them, then switched turn by
//! turn. What happens when that fails is next door, in `recovery`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::join_all;
use marg_model::{App, Event, Host};
use marg_resources::Step;

use super::choice::{self, Known};
use super::course::{self, Turn, TurnKind};
use super::history::Record;
use super::source::Source;
use super::{DeployError, Manner, Release, steps};
use crate::apply::run_steps;
use crate::desired::{Desired, promised};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::link::Link;
use crate::report::DeployReport;
use crate::traffic::{Word, serves, tell};

/// Connected hosts, held for as long as this lives.
pub struct Hosts {
    /// Hosts of the applications, by name.
    pub links: BTreeMap<String, Link>,
    /// Balancers in front of them.
    pub balancers: Vec<Link>,
}

impl Hosts {
    /// Lets all hosts go.
    pub async fn close(self) {
        let links = self.links.into_values().chain(self.balancers);
        join_all(links.map(|link| link.session.close())).await;
    }

    pub(super) fn link(&mut self, host: &str) -> Result<&mut Link, EngineError> {
        self.links
            .get_mut(host)
            .ok_or_else(|| EngineError::NoMachine {
                host: host.to_owned(),
            })
    }
}

/// One release on its way.
pub struct Rollout<'a> {
    pub(super) engine: &'a Engine,
    pub(super) desired: Desired<'a>,
    pub(super) hosts: &'a mut Hosts,
    pub(super) app: &'a App,
    pub(super) release: Release,
    pub(super) known: &'a Known,
    pub(super) manner: Manner,
    /// Hosts that take part.
    pub(super) scope: BTreeSet<String>,
    /// What was live on all hosts before.
    pub(super) previous: Option<String>,
    /// Hosts that were told to switch, in that order.
    pub(super) switched: Vec<String>,
}

impl<'a> Rollout<'a> {
    /// A rollout of `release` to all hosts; `known` is what they know of the application.
    pub fn new(
        engine: &'a Engine,
        desired: Desired<'a>,
        hosts: &'a mut Hosts,
        (app, release): (&'a App, Release),
        known: &'a Known,
        manner: Manner,
    ) -> Self {
        let scope = hosts.links.keys().cloned().collect();
        // Whoever was taken down by a run that did not come to its end comes up again.
        let begun = choice::unfinished(known).is_some_and(|begun| begun.maintenance);
        let maintenance = manner.maintenance || begun;
        Self {
            engine,
            desired,
            hosts,
            app,
            release,
            known,
            manner: Manner {
                maintenance,
                ..manner
            },
            scope,
            previous: choice::last_common(known).map(str::to_owned),
            switched: Vec::new(),
        }
    }

    /// Carries the release everywhere, building it if nobody has it; migrates once; switches turn
    /// by turn.
    pub async fn forward(&mut self, source: &Source) -> Result<(), EngineError> {
        let again = self.holder().is_some();
        if let Err(reason) = self.prepare(source).await {
            self.abandon(again).await;
            return Err(self.before(reason));
        }
        self.make_live("deploy").await?;
        self.after().await
    }

    /// Makes a release live that lies on a host already.
    pub async fn back(&mut self) -> Result<(), EngineError> {
        self.engine.emit(Event::PhaseStarted {
            name: format!("roll back {}", self.app.name),
        });
        let spread = self.spread("rollback").await;
        spread.map_err(|reason| self.before(reason))?;
        self.make_live("rollback").await
    }

    /// Brings a release that lies on a host to hosts that have none, and touches no others.
    pub async fn join(&mut self, newcomers: BTreeSet<String>) -> Result<(), EngineError> {
        self.scope = newcomers;
        // They had nothing: what is written down on them must not lead a rollback here again.
        self.previous = None;
        let spread = self.spread("deploy").await;
        spread.map_err(|reason| self.before(reason))?;
        self.make_live("deploy").await
    }

    /// What happened, for the report.
    pub fn report(&self, began: Instant) -> DeployReport {
        DeployReport {
            app: self.app.name.clone(),
            release: self.release.id.clone(),
            commit: self.release.commit.clone(),
            previous: self.previous.clone(),
            hosts: self.switched.clone(),
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn prepare(&mut self, source: &Source) -> Result<(), EngineError> {
        if self.holder().is_none() {
            self.build(source).await?;
        }
        self.spread("deploy").await?;
        if self.manner.maintenance {
            self.on_all(|rollout, _| vec![steps::down(rollout.app)])
                .await?;
        }
        let (app, id) = (self.app, self.release.id.clone());
        let folder = format!("releases/{id}");
        let before = steps::hooks(app, &folder, "before", &app.before).into_iter();
        let once = before.chain([steps::migrate(app, &id)]).collect();
        let canary = self.canary()?;
        run_steps(self.engine, self.hosts.link(&canary)?, once).await?;
        Ok(())
    }

    /// Switches turn by turn; each turn's hosts must be well before the next begins.
    async fn make_live(&mut self, action: &str) -> Result<(), EngineError> {
        for turn in self.course() {
            if self.is_balanced() {
                self.engine.emit(Event::PhaseStarted {
                    name: format!("{} on {}", self.app.name, turn.hosts.join(", ")),
                });
            }
            self.switched.extend(turn.hosts.iter().cloned());
            let failures = self.take_turn(&turn).await;
            if !failures.is_empty() {
                return Err(self.recover(action, failures).await);
            }
        }
        self.finish(action).await
    }

    async fn take_turn(&mut self, turn: &Turn) -> Vec<(String, EngineError)> {
        let web = matches!(turn.kind, TurnKind::Canary | TurnKind::Web);
        // In a maintenance nobody is served by the old release anyway.
        if web
            && !self.manner.maintenance
            && let Err(error) = self.tell(Word::TakeOut, &turn.hosts).await
        {
            return self.blame(&turn.hosts, error);
        }
        let id = self.release.id.clone();
        let targets = turn.hosts.iter().map(|host| (host.clone(), id.clone()));
        let failures = self.switch(targets.collect()).await;
        if !web {
            return failures;
        }
        let failed = |host: &&String| failures.iter().any(|(name, _)| name == *host);
        let well = turn.hosts.iter().filter(|host| !failed(host));
        let well: Vec<String> = well.cloned().collect();
        match self.tell(Word::PutBack, &well).await {
            Ok(()) => failures,
            Err(error) => failures
                .into_iter()
                .chain(self.blame(&well, error))
                .collect(),
        }
    }

    /// An error of a balancer concerns all hosts that it was told of; it is told once.
    fn blame(&self, hosts: &[String], error: EngineError) -> Vec<(String, EngineError)> {
        let mut error = Some(error);
        let blame = |host: &String| {
            let other = || EngineError::Needed {
                host: host.clone(),
                needed: "a balancer".to_owned(),
            };
            (host.clone(), error.take().unwrap_or_else(other))
        };
        hosts.iter().map(blame).collect()
    }

    pub(super) async fn tell(&mut self, word: Word, hosts: &[String]) -> Result<(), EngineError> {
        let blueprint = &self.desired.fleet.blueprint;
        let hosts = hosts.iter().filter_map(|name| blueprint.host(name));
        let web: Vec<&Host> = hosts.filter(|host| serves(host)).collect();
        if web.is_empty() {
            return Ok(());
        }
        let (engine, desired) = (self.engine, self.desired);
        let concerned = (web.as_slice(), Some(self.app));
        let balancers = self.hosts.balancers.iter_mut();
        let telling = balancers.map(|balancer| tell(engine, &desired, balancer, word, concerned));
        join_all(telling).await.into_iter().collect()
    }

    /// Switches hosts to releases, side by side, and returns those that failed.
    pub(super) async fn switch(
        &mut self,
        targets: BTreeMap<String, String>,
    ) -> Vec<(String, EngineError)> {
        let mut planned = BTreeMap::new();
        let mut failures = Vec::new();
        for (host, id) in targets {
            match self.switch_steps(&host, &id) {
                Ok(steps) => {
                    planned.insert(host, steps);
                }
                Err(error) => failures.push((host, error)),
            }
        }
        failures.extend(self.run(planned).await);
        failures
    }

    /// Runs steps side by side, and returns the hosts on which they failed.
    pub(super) async fn run(
        &mut self,
        mut planned: BTreeMap<String, Vec<Step>>,
    ) -> Vec<(String, EngineError)> {
        let engine = self.engine;
        let links = self.hosts.links.iter_mut();
        let running = links.filter_map(|(host, link)| {
            let steps = planned.remove(host)?;
            Some(async move {
                let ran = run_steps(engine, link, steps).await;
                ran.err().map(|error| (host.clone(), error.into()))
            })
        });
        let failures = join_all(running).await;
        failures.into_iter().flatten().collect()
    }

    fn switch_steps(&self, host: &str, id: &str) -> Result<Vec<Step>, EngineError> {
        let missing = || EngineError::NoMachine {
            host: host.to_owned(),
        };
        let host = self.desired.fleet.blueprint.host(host);
        let host = host.ok_or_else(missing)?;
        let serves = serves(host);
        let mut steps = vec![steps::switch(self.app, id, promised(host)?, serves)];
        if self.manner.maintenance {
            steps.push(steps::up(self.app));
        }
        if serves {
            steps.push(steps::health(self.app, self.is_balanced()));
        }
        if host.has_role("worker") && self.app.workers > 0 {
            steps.push(steps::restart_workers(self.app));
        }
        Ok(steps)
    }

    /// Runs steps on all hosts that take part, side by side.
    pub(super) async fn on_all(
        &mut self,
        make: impl Fn(&Rollout<'_>, &str) -> Vec<Step>,
    ) -> Result<(), EngineError> {
        let scope = self.scope.iter();
        let planned = scope.map(|host| (host.clone(), make(self, host))).collect();
        let failures = self.run(planned).await;
        failures.into_iter().next().map_or(Ok(()), |one| Err(one.1))
    }

    /// Writes down who did what, and removes what is too old.
    async fn finish(&mut self, action: &str) -> Result<(), EngineError> {
        let line = serde_json::to_string(&self.record(action)).unwrap_or_default();
        self.on_all(|rollout, host| {
            let keep = rollout.kept(host);
            vec![
                steps::record(rollout.app, &line),
                steps::prune(rollout.app, &keep),
            ]
        })
        .await
    }

    async fn after(&mut self) -> Result<(), EngineError> {
        let (engine, app) = (self.engine, self.app);
        let Some(step) = steps::hooks(app, "current", "after", &app.after) else {
            return Ok(());
        };
        let canary = self.canary()?;
        let ran = run_steps(engine, self.hosts.link(&canary)?, vec![step]).await;
        ran.map_err(|reason| {
            let (app, release) = (self.app.name.clone(), self.release.id.clone());
            DeployError::After {
                app,
                release,
                reason: Box::new(reason.into()),
            }
            .into()
        })
    }

    pub(super) fn record(&self, action: &str) -> Record {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        Record {
            action: action.to_owned(),
            release: self.release.id.clone(),
            previous: self.previous.clone(),
            commit: self.release.commit.clone(),
            by: self.engine.options().who.clone(),
            at: now.to_string(),
            maintenance: self.manner.maintenance,
        }
    }

    /// The newest releases of a host that were once live everywhere, this one and the one before
    /// included.
    fn kept(&self, host: &str) -> Vec<String> {
        let mut ids: Vec<String> = self.known.get(host).map_or_else(Vec::new, |known| {
            let finished = |id: &str| known.history.iter().any(|record| record.release == id);
            let ids = known.releases.iter().map(|release| release.id.clone());
            ids.filter(|id| finished(id)).collect()
        });
        ids.push(self.release.id.clone());
        ids.sort();
        ids.dedup();
        let surplus = ids
            .len()
            .saturating_sub(usize::from(self.app.keep_releases.max(1)));
        let mut kept = ids.split_off(surplus);
        kept.extend(self.previous.clone());
        kept
    }

    fn course(&self) -> Vec<Turn> {
        let mut members = course::members(&self.desired.fleet.blueprint);
        members.retain(|member| self.scope.contains(&member.name));
        // Nobody is served in a maintenance: the sooner all are up again, the better.
        let batch = match self.manner.maintenance {
            true => usize::MAX,
            false => usize::from(self.manner.batch),
        };
        course::course(&members, batch)
    }

    /// The host that goes first, builds and migrates.
    pub(super) fn canary(&self) -> Result<String, EngineError> {
        let first = self.course().into_iter().flat_map(|turn| turn.hosts).next();
        first.ok_or_else(|| EngineError::NoSuch {
            what: "host with the role",
            name: "app".to_owned(),
            known: "none".to_owned(),
        })
    }

    /// Whether visitors come through a balancer.
    pub(super) fn is_balanced(&self) -> bool {
        let blueprint = &self.desired.fleet.blueprint;
        blueprint
            .hosts
            .iter()
            .any(|host| self.desired.balances(host))
    }
}
