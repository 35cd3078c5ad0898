//! One release onto all hosts of an application, and back when it does not work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use marg_model::{App, Event, Fleet, Host};
use marg_resources::Step;
use marg_ssh::Deadline;
use sha2::{Digest, Sha256};

use super::history::{HostReleases, Record};
use super::source::Source;
use super::{DeployError, Release, steps};
use crate::apply::run_steps;
use crate::desired::promised;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::link::Link;
use crate::report::DeployReport;

/// How long carrying a release to or from a host may take.
const CARRY: Duration = Duration::from_secs(1800);

/// Connected hosts of the applications, held for as long as this lives.
pub struct Hosts {
    /// By name.
    pub links: BTreeMap<String, Link>,
}

impl Hosts {
    /// Lets all hosts go.
    pub async fn close(self) {
        join_all(self.links.into_values().map(|link| link.session.close())).await;
    }

    fn link(&mut self, host: &str) -> Result<&mut Link, EngineError> {
        self.links
            .get_mut(host)
            .ok_or_else(|| EngineError::NoMachine {
                host: host.to_owned(),
            })
    }
}

/// One release on its way.
pub struct Rollout<'a> {
    engine: &'a Engine,
    fleet: &'a Fleet,
    hosts: &'a mut Hosts,
    app: &'a App,
    release: Release,
    known: &'a BTreeMap<String, HostReleases>,
    /// Hosts on which the release is live, in the order in which it became so.
    switched: Vec<String>,
}

impl<'a> Rollout<'a> {
    /// A rollout of `release`; `known` is what the hosts know of the application.
    pub fn new(
        engine: &'a Engine,
        fleet: &'a Fleet,
        hosts: &'a mut Hosts,
        app: &'a App,
        release: Release,
        known: &'a BTreeMap<String, HostReleases>,
    ) -> Self {
        Self {
            engine,
            fleet,
            hosts,
            app,
            release,
            known,
            switched: Vec::new(),
        }
    }

    /// Builds once, carries the same bytes everywhere, migrates once, switches host by host.
    pub async fn forward(&mut self, source: &Source) -> Result<(), EngineError> {
        if let Err(reason) = self.prepare(source).await {
            let discarded =
                self.on_all(|rollout, _| vec![steps::discard(rollout.app, &rollout.release.id)]);
            if let Err(error) = discarded.await {
                self.note(format!(
                    "what was left of the failed build stays on a host: {error}"
                ));
            }
            return Err(self.before(reason));
        }
        self.make_live("deploy").await
    }

    /// Makes a release live that lies on all hosts already.
    pub async fn back(&mut self) -> Result<(), EngineError> {
        self.engine.emit(Event::PhaseStarted {
            name: format!("roll back {}", self.app.name),
        });
        let id = self.release.id.clone();
        // The environment's variables may have changed since the release was made.
        let caches = self.on_all(|rollout, _| vec![steps::rebuild_caches(rollout.app, &id)]);
        caches.await.map_err(|reason| self.before(reason))?;
        self.make_live("rollback").await
    }

    /// What happened, for the report.
    pub fn report(&self, began: Instant) -> DeployReport {
        DeployReport {
            app: self.app.name.clone(),
            release: self.release.id.clone(),
            commit: self.release.commit.clone(),
            previous: self.previous(),
            hosts: self.switched.clone(),
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn prepare(&mut self, source: &Source) -> Result<(), EngineError> {
        let builder = self.builder()?;
        let archive = source.archive().await.map_err(DeployError::from)?;
        let (app, release) = (self.app, self.release.clone());
        let receive = steps::receive(&steps::source_path(app, &release.id));
        let link = self.hosts.link(&builder)?;
        link.session
            .upload(archive.as_slice(), &receive, Deadline::after(CARRY))
            .await?;
        run_steps(self.engine, link, steps::build(app, &release)).await?;
        let checksum = self.carry(&builder).await?;
        self.on_all(|rollout, _| steps::place(rollout.app, &rollout.release, &checksum))
            .await?;
        let first = self.order().first().cloned().unwrap_or(builder);
        let link = self.hosts.link(&first)?;
        run_steps(self.engine, link, vec![steps::migrate(app, &release.id)]).await?;
        Ok(())
    }

    /// Brings the finished release from where it was built to every other host, and returns its
    /// checksum, which each host compares before it unpacks.
    async fn carry(&mut self, builder: &str) -> Result<String, EngineError> {
        let path = steps::artefact_path(self.app, &self.release.id);
        let local = |source| DeployError::Local { source };
        let file = tempfile::NamedTempFile::new().map_err(local)?;
        let writer = tokio::fs::File::from_std(file.reopen().map_err(local)?);
        let fetch = format!("cat {}", marg_resources::quote(&path));
        let deadline = Deadline::after(CARRY);
        self.hosts
            .link(builder)?
            .session
            .download(&fetch, writer, deadline)
            .await?;
        let bytes = tokio::fs::read(file.path()).await.map_err(local)?;
        let receive = steps::receive(&path);
        let others = self
            .hosts
            .links
            .values()
            .filter(|link| link.host != builder);
        try_join_all(others.map(|link| link.session.upload(bytes.as_slice(), &receive, deadline)))
            .await?;
        let digest = Sha256::digest(&bytes);
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Switches host by host, those that serve first; each must answer before the next.
    async fn make_live(&mut self, action: &str) -> Result<(), EngineError> {
        for host in self.order() {
            self.switched.push(host.clone());
            let id = self.release.id.clone();
            let steps = self.switch_steps(&host, &id)?;
            let link = self.hosts.link(&host)?;
            if let Err(error) = run_steps(self.engine, link, steps).await {
                return Err(self.take_back(&host, error.into()).await);
            }
        }
        self.finish(action).await
    }

    fn switch_steps(&self, host: &str, id: &str) -> Result<Vec<Step>, EngineError> {
        let host = self.host(host)?;
        let mut steps = vec![steps::switch(self.app, id, promised(host)?, serves(host))];
        if serves(host) {
            steps.push(steps::health(self.app));
        }
        if host.has_role("worker") {
            steps.push(steps::restart_workers(self.app));
        }
        Ok(steps)
    }

    /// Every host goes back to what it had, also those that did work: one version everywhere.
    async fn take_back(&mut self, failed: &str, reason: EngineError) -> EngineError {
        let mut also = Vec::new();
        for host in self.switched.clone().into_iter().rev() {
            let result = match self.live_on(&host) {
                Some(previous) => self.switch_steps(&host, &previous),
                None => Ok(vec![steps::nothing_live(self.app)]),
            };
            let restored = match (result, self.hosts.link(&host)) {
                (Ok(steps), Ok(link)) => run_steps(self.engine, link, steps)
                    .await
                    .map_err(EngineError::from),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            also.extend(restored.err().map(|error| error.to_string()));
        }
        let discarded = self
            .on_all(|rollout, _| vec![steps::discard(rollout.app, &rollout.release.id)])
            .await;
        also.extend(discarded.err().map(|error| error.to_string()));
        let (app, release) = (self.app.name.clone(), self.release.id.clone());
        let (host, reason) = (failed.to_owned(), Box::new(reason));
        if also.is_empty() {
            let restored = self.previous().unwrap_or_else(|| "nothing".to_owned());
            return DeployError::TakenBack {
                app,
                release,
                host,
                restored,
                reason,
            }
            .into();
        }
        DeployError::Stuck {
            app,
            release,
            host,
            reason,
            also: also.join("; "),
        }
        .into()
    }

    /// Writes down who did what, and removes what is too old.
    async fn finish(&mut self, action: &str) -> Result<(), EngineError> {
        let record = Record {
            action: action.to_owned(),
            release: self.release.id.clone(),
            previous: self.previous(),
            commit: self.release.commit.clone(),
            by: self.engine.options().who.clone(),
            at: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        };
        let line = serde_json::to_string(&record).unwrap_or_default();
        self.on_all(|rollout, host| {
            let keep = rollout.kept(host);
            vec![
                steps::record(rollout.app, &line),
                steps::prune(rollout.app, &keep),
            ]
        })
        .await
    }

    /// The newest releases of a host, this one and the one before included.
    fn kept(&self, host: &str) -> Vec<String> {
        let mut ids: Vec<String> = self.known.get(host).map_or_else(Vec::new, |known| {
            known
                .releases
                .iter()
                .map(|release| release.id.clone())
                .collect()
        });
        ids.push(self.release.id.clone());
        ids.sort();
        ids.dedup();
        let surplus = ids
            .len()
            .saturating_sub(usize::from(self.app.keep_releases.max(1)));
        let mut kept = ids.split_off(surplus);
        kept.extend(self.live_on(host));
        kept
    }

    /// Runs steps on all hosts side by side.
    async fn on_all(
        &mut self,
        make: impl Fn(&Rollout<'_>, &str) -> Vec<Step>,
    ) -> Result<(), EngineError> {
        let mut planned: BTreeMap<String, Vec<Step>> = self
            .hosts
            .links
            .keys()
            .map(|host| (host.clone(), make(self, host)))
            .collect();
        let engine = self.engine;
        let running =
            self.hosts.links.iter_mut().map(|(host, link)| {
                run_steps(engine, link, planned.remove(host).unwrap_or_default())
            });
        try_join_all(running).await?;
        Ok(())
    }

    /// Hosts in the order in which they switch: those that serve, then the others.
    fn order(&self) -> Vec<String> {
        let hosts = || self.fleet.with_role("app").map(|(host, _)| host);
        let serving = hosts().filter(|host| serves(host));
        let others = hosts().filter(|host| !serves(host));
        serving
            .chain(others)
            .map(|host| host.name.clone())
            .collect()
    }

    /// The host that builds: the first that serves, since it has what the application needs.
    fn builder(&self) -> Result<String, EngineError> {
        self.order()
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::NoSuch {
                what: "host with the role",
                name: "app".to_owned(),
                known: "none".to_owned(),
            })
    }

    fn host(&self, name: &str) -> Result<&Host, EngineError> {
        let missing = || EngineError::NoMachine {
            host: name.to_owned(),
        };
        self.fleet.blueprint.host(name).ok_or_else(missing)
    }

    fn live_on(&self, host: &str) -> Option<String> {
        self.known.get(host).and_then(|known| known.live.clone())
    }

    fn previous(&self) -> Option<String> {
        self.order().iter().find_map(|host| self.live_on(host))
    }

    fn before(&self, reason: EngineError) -> EngineError {
        let (app, release) = (self.app.name.clone(), self.release.id.clone());
        DeployError::Before {
            app,
            release,
            reason: Box::new(reason),
        }
        .into()
    }

    fn note(&self, message: String) {
        self.engine.emit(Event::Note {
            host: None,
            message,
        });
    }
}

fn serves(host: &Host) -> bool {
    host.has_role("php-fpm")
}
