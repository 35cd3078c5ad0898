//! `deploy`, `rollback`, `releases`: which applications, which hosts, which release. The rollout
//! itself is next door.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures_util::future::{join_all, try_join_all};
use marg_model::{App, Blueprint, Event, Fleet, Host, Secrets};

use super::choice::{self, Known};
use super::history::{self, AppReleases};
use super::rollout::{Hosts, Rollout};
use super::source::Source;
use super::{DeployError, Manner, Release};
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::HostError;
use crate::host::link::{Link, Place};
use crate::host::talk::Lock;
use crate::report::DeployReport;
use crate::traffic::{balancers, reached};

impl Engine {
    /// Deploys applications (all when `apps` is empty) at `reference`, or at the inventory's own.
    pub async fn deploy(
        &self,
        blueprint: &Blueprint,
        apps: &[String],
        reference: Option<&str>,
        manner: Manner,
    ) -> Result<Vec<DeployReport>, EngineError> {
        let apps = chosen(blueprint, apps)?;
        let fleet = self.fleet(blueprint).await?;
        let wanted = apps
            .into_iter()
            .map(|app| (app, reference.unwrap_or(&app.reference).to_owned()));
        let sources = resolve(self, wanted).await?;
        let secrets = self.secrets(blueprint, true)?;
        let desired = self.desired(&fleet, &secrets);
        let mut hosts = connect(self, &fleet, &self.lock()).await?;
        let mut reports = Vec::new();
        for wanted in &sources {
            reports.push(deploy(self, desired, &mut hosts, wanted, manner).await?);
        }
        hosts.close().await;
        Ok(reports)
    }

    /// Takes applications back to the release before, or to the one named; hosts that differ
    /// become one again.
    pub async fn rollback(
        &self,
        blueprint: &Blueprint,
        apps: &[String],
        to: Option<&str>,
        batch: u16,
    ) -> Result<Vec<DeployReport>, EngineError> {
        let apps = chosen(blueprint, apps)?;
        let fleet = self.fleet(blueprint).await?;
        let secrets = self.secrets(blueprint, true)?;
        let desired = self.desired(&fleet, &secrets);
        let mut hosts = connect(self, &fleet, &self.lock()).await?;
        let manner = Manner {
            batch,
            ..Manner::default()
        };
        let mut reports = Vec::new();
        for app in apps {
            let known = look(&mut hosts, app).await?;
            let target = way_back(app, &known, to)?;
            let began = Instant::now();
            let mut rollout =
                Rollout::new(self, desired, &mut hosts, (app, target), &known, manner);
            rollout.back().await?;
            reports.push(rollout.report(began));
        }
        hosts.close().await;
        Ok(reports)
    }

    /// What lies on the hosts and what is live.
    pub async fn releases(&self, blueprint: &Blueprint) -> Result<Vec<AppReleases>, EngineError> {
        let fleet = self.fleet(blueprint).await?;
        let mut hosts = Hosts {
            links: connect_apps(self, &fleet, &Lock::None).await?,
            balancers: Vec::new(),
        };
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

/// An application at the commit that its ref meant when the run began.
pub(super) struct Wanted<'a> {
    app: &'a App,
    reference: String,
    source: Source,
}

/// Resolves all refs before anything is deployed: applications of one repository get one commit,
/// also when somebody pushes meanwhile.
pub(super) async fn resolve<'a>(
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

pub(super) async fn deploy(
    engine: &Engine,
    desired: Desired<'_>,
    hosts: &mut Hosts,
    Wanted {
        app,
        reference,
        source,
    }: &Wanted<'_>,
    manner: Manner,
) -> Result<DeployReport, EngineError> {
    engine.emit(Event::PhaseStarted {
        name: format!("deploy {}", app.name),
    });
    let began = Instant::now();
    let known = look(hosts, app).await?;
    let release = match choice::resumable(&known, &source.commit) {
        Some(release) => {
            engine.emit(Event::Note {
                host: None,
                message: format!(
                    "{}: goes on with {}, which was built before",
                    app.name, release.id
                ),
            });
            release.clone()
        }
        None => Release::new(app, &source.commit, reference, &engine.options().who),
    };
    let mut rollout = Rollout::new(engine, desired, hosts, (app, release), &known, manner);
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

/// Connects to the hosts of the applications and to the balancers. The first host is asked alone:
/// of two operators who begin at once, one gets all of the hosts and the other is told who.
async fn connect(engine: &Engine, fleet: &Fleet, lock: &Lock) -> Result<Hosts, EngineError> {
    let links = connect_apps(engine, fleet, lock).await?;
    let secrets = Secrets::default();
    let found = balancers(&engine.desired(fleet, &secrets));
    let opening = found.into_iter().map(async |host| {
        let Some(address) = address_of(fleet, host) else {
            return Ok(None);
        };
        let link = open(engine, fleet, host, address, lock).await;
        reached(engine, host, link)
    });
    let balancers = try_join_all(opening).await?.into_iter().flatten();
    Ok(Hosts {
        links,
        balancers: balancers.collect(),
    })
}

async fn connect_apps(
    engine: &Engine,
    fleet: &Fleet,
    lock: &Lock,
) -> Result<BTreeMap<String, Link>, EngineError> {
    let opening = async |host: &Host| {
        let address = address_of(fleet, host).ok_or_else(|| EngineError::NoMachine {
            host: host.name.clone(),
        })?;
        let link = open(engine, fleet, host, address, lock).await?;
        Ok::<_, EngineError>((host.name.clone(), link))
    };
    let mut hosts = fleet.with_role("app").map(|(host, _)| host);
    let first = match hosts.next() {
        Some(first) => Some(opening(first).await?),
        None => None,
    };
    let others = try_join_all(hosts.map(opening)).await?;
    Ok(first.into_iter().chain(others).collect())
}

pub(super) fn address_of(fleet: &Fleet, host: &Host) -> Option<std::net::Ipv4Addr> {
    fleet.machine(&host.name)?.public.known()
}

pub(super) async fn open(
    engine: &Engine,
    fleet: &Fleet,
    host: &Host,
    address: std::net::Ipv4Addr,
    lock: &Lock,
) -> Result<Link, HostError> {
    let host = &host.name;
    let link = Link::open(engine, &fleet.blueprint, Place { host, address }, lock).await?;
    engine.emit(Event::HostConnected { host: host.clone() });
    Ok(link)
}

/// What every host knows of an application.
pub(super) async fn look(hosts: &mut Hosts, app: &App) -> Result<Known, EngineError> {
    let looks = hosts.links.values_mut().map(async |link| {
        let mut found = history::look(link, &[app]).await?;
        Ok::<_, EngineError>((
            link.host.clone(),
            found.remove(&app.name).unwrap_or_default(),
        ))
    });
    join_all(looks).await.into_iter().collect()
}

fn way_back(app: &App, known: &Known, to: Option<&str>) -> Result<Release, EngineError> {
    if let Some(id) = to {
        let named = choice::release(known, id).cloned();
        return named.ok_or_else(|| no_release(id, known));
    }
    let app = app.name.clone();
    let back = choice::way_back(known).cloned();
    Ok(back.ok_or(DeployError::NoWayBack { app })?)
}

fn no_release(id: &str, known: &Known) -> EngineError {
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
