//! `deploy`, `rollback`, `releases`, and the first deploys of `provision`: which applications,
//! which hosts, which release. The rollout itself is next door.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::{join_all, try_join_all};
use marg_model::{App, Blueprint, Event, Fleet};

use super::history::{self, AppReleases, HostReleases};
use super::rollout::{Hosts, Rollout};
use super::source::Source;
use super::{DeployError, Release};
use crate::crew::Linked;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::link::{Link, Place};
use crate::host::talk::Lock;
use crate::report::DeployReport;

impl Engine {
    /// Deploys applications (all when `apps` is empty) at `reference`, or at the inventory's own.
    pub async fn deploy(
        &self,
        blueprint: &Blueprint,
        apps: &[String],
        reference: Option<&str>,
    ) -> Result<Vec<DeployReport>, EngineError> {
        let apps = chosen(blueprint, apps)?;
        let fleet = self.fleet(blueprint).await?;
        let wanted = apps
            .into_iter()
            .map(|app| (app, reference.unwrap_or(&app.reference).to_owned()));
        let sources = resolve(self, wanted).await?;
        let mut hosts = connect(self, &fleet, &self.lock()).await?;
        let mut reports = Vec::new();
        for wanted in &sources {
            reports.push(deploy(self, &fleet, &mut hosts, wanted).await?);
        }
        hosts.close().await;
        Ok(reports)
    }

    /// Takes applications back to the release before, or to the one named.
    pub async fn rollback(
        &self,
        blueprint: &Blueprint,
        apps: &[String],
        to: Option<&str>,
    ) -> Result<Vec<DeployReport>, EngineError> {
        let apps = chosen(blueprint, apps)?;
        let fleet = self.fleet(blueprint).await?;
        let mut hosts = connect(self, &fleet, &self.lock()).await?;
        let mut reports = Vec::new();
        for app in apps {
            let known = look(&mut hosts, app).await?;
            let target = way_back(app, &known, to)?;
            let began = Instant::now();
            let mut rollout = Rollout::new(self, &fleet, &mut hosts, app, target, &known);
            rollout.back().await?;
            reports.push(rollout.report(began));
        }
        hosts.close().await;
        Ok(reports)
    }

    /// What lies on the hosts and what is live.
    pub async fn releases(&self, blueprint: &Blueprint) -> Result<Vec<AppReleases>, EngineError> {
        let fleet = self.fleet(blueprint).await?;
        let mut hosts = connect(self, &fleet, &Lock::None).await?;
        let mut all = Vec::new();
        for app in &blueprint.apps {
            let known = look(&mut hosts, app).await?;
            all.push(AppReleases {
                app: app.name.clone(),
                hosts: known.into_values().collect(),
            });
        }
        hosts.close().await;
        Ok(all)
    }

    /// The fleet, of which every host must exist.
    pub(crate) async fn fleet(&self, blueprint: &Blueprint) -> Result<Fleet, EngineError> {
        let situation = self.machines(blueprint).await?;
        if let Some(host) = situation.missing(blueprint).next() {
            return Err(EngineError::NoMachine {
                host: host.name.clone(),
            });
        }
        self.secrets(blueprint, true)?;
        Ok(situation.fleet(blueprint))
    }
}

/// Deploys what is not live on every host of its own: new environments, new hosts. An application
/// that is live somewhere gets the same commit everywhere.
pub async fn first_deploys(
    engine: &Engine,
    fleet: &Fleet,
    linked: &mut BTreeMap<String, Linked>,
) -> Result<Vec<DeployReport>, EngineError> {
    let app_hosts: BTreeSet<&str> = fleet
        .with_role("app")
        .map(|(host, _)| host.name.as_str())
        .collect();
    let lacking: Vec<&App> = fleet
        .blueprint
        .apps
        .iter()
        .filter(|app| {
            let lives: Vec<_> = app_hosts
                .iter()
                .map(|host| {
                    linked
                        .get(*host)
                        .and_then(|linked| linked.live.get(&app.name))
                })
                .collect();
            lives.iter().any(Option::is_none) || lives.windows(2).any(|pair| pair[0] != pair[1])
        })
        .collect();
    if lacking.is_empty() || app_hosts.is_empty() {
        return Ok(Vec::new());
    }
    let mut links = BTreeMap::new();
    for host in app_hosts {
        if let Some(Linked { link, .. }) = linked.remove(host) {
            links.insert(host.to_owned(), link);
        }
    }
    let mut hosts = Hosts { links };
    let mut wanted = Vec::new();
    for app in lacking {
        let known = look(&mut hosts, app).await?;
        let live = known.values().find_map(|host| {
            let live = host.live.as_deref()?;
            host.releases.iter().find(|release| release.id == live)
        });
        let reference = live.map_or(app.reference.clone(), |release| release.commit.clone());
        wanted.push((app, reference));
    }
    let mut reports = Vec::new();
    for wanted in &resolve(engine, wanted.into_iter()).await? {
        reports.push(deploy(engine, fleet, &mut hosts, wanted).await?);
    }
    hosts.close().await;
    Ok(reports)
}

/// An application at the commit that its ref meant when the run began.
struct Wanted<'a> {
    app: &'a App,
    reference: String,
    source: Source,
}

/// Resolves all refs before anything is deployed: applications of one repository get one commit,
/// also when somebody pushes meanwhile.
async fn resolve<'a>(
    engine: &Engine,
    apps: impl Iterator<Item = (&'a App, String)>,
) -> Result<Vec<Wanted<'a>>, EngineError> {
    let (base, cache) = (&engine.options().inventory_dir, engine.vault().path("git"));
    let mut wanted = Vec::new();
    for (app, reference) in apps {
        let source = Source::resolve(app, &reference, base, &cache).await;
        let source = source.map_err(DeployError::from)?;
        wanted.push(Wanted {
            app,
            reference,
            source,
        });
    }
    Ok(wanted)
}

async fn deploy(
    engine: &Engine,
    fleet: &Fleet,
    hosts: &mut Hosts,
    Wanted {
        app,
        reference,
        source,
    }: &Wanted<'_>,
) -> Result<DeployReport, EngineError> {
    engine.emit(Event::PhaseStarted {
        name: format!("deploy {}", app.name),
    });
    let began = Instant::now();
    let release = Release::new(app, &source.commit, reference, &engine.options().who);
    let known = look(hosts, app).await?;
    let mut rollout = Rollout::new(engine, fleet, hosts, app, release, &known);
    rollout.forward(source).await?;
    Ok(rollout.report(began))
}

fn chosen<'a>(blueprint: &'a Blueprint, names: &[String]) -> Result<Vec<&'a App>, EngineError> {
    if names.is_empty() {
        return Ok(blueprint.apps.iter().collect());
    }
    let find = |name: &String| {
        blueprint.app(name).ok_or_else(|| EngineError::NoSuch {
            what: "application",
            name: name.clone(),
            known: blueprint
                .apps
                .iter()
                .map(|app| &*app.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
    };
    names.iter().map(find).collect()
}

async fn connect(engine: &Engine, fleet: &Fleet, lock: &Lock) -> Result<Hosts, EngineError> {
    let opening = fleet.with_role("app").map(async |(host, machine)| {
        let Some(address) = machine.public.known() else {
            return Err(EngineError::NoMachine {
                host: host.name.clone(),
            });
        };
        let place = Place {
            host: &host.name,
            address,
        };
        let link = Link::open(engine, &fleet.blueprint, place, lock).await?;
        engine.emit(Event::HostConnected {
            host: host.name.clone(),
        });
        Ok((host.name.clone(), link))
    });
    Ok(Hosts {
        links: try_join_all(opening).await?.into_iter().collect(),
    })
}

/// What every host knows of an application.
async fn look(hosts: &mut Hosts, app: &App) -> Result<BTreeMap<String, HostReleases>, EngineError> {
    let looks = hosts.links.values_mut().map(async |link| {
        let mut found = history::look(link, &[app]).await?;
        Ok::<_, EngineError>((
            link.host.clone(),
            found.remove(&app.name).unwrap_or_default(),
        ))
    });
    join_all(looks).await.into_iter().collect()
}

fn way_back(
    app: &App,
    known: &BTreeMap<String, HostReleases>,
    to: Option<&str>,
) -> Result<Release, EngineError> {
    let everywhere = |id: &str| known.values().all(|host| host.has(id));
    let first = known.values().next();
    let found = match to {
        Some(id) => {
            let release = first.and_then(|host| host.releases.iter().find(|r| r.id == id));
            Some(
                release
                    .filter(|r| everywhere(&r.id))
                    .ok_or_else(|| no_release(id, known))?,
            )
        }
        None => first
            .and_then(HostReleases::previous)
            .filter(|release| everywhere(&release.id)),
    };
    let app = app.name.clone();
    Ok(found.cloned().ok_or(DeployError::NoWayBack { app })?)
}

fn no_release(id: &str, known: &BTreeMap<String, HostReleases>) -> EngineError {
    let ids: BTreeSet<&str> = known
        .values()
        .flat_map(|host| &host.releases)
        .map(|release| &*release.id)
        .collect();
    EngineError::NoSuch {
        what: "release",
        name: id.to_owned(),
        known: ids.into_iter().collect::<Vec<_>>().join(", "),
    }
}
