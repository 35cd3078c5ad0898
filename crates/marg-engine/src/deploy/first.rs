//! The first deploys of a provision: what hosts lack that serve or work applications.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use marg_model::{App, Event, Fleet};

use super::choice;
use super::history::{self, HostReleases};
use super::operations::{address_of, deploy, look, open, resolve};
use super::rollout::{Hosts, Rollout};
use super::{DeployError, Manner};
use crate::crew::Linked;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::talk::Lock;
use crate::report::DeployReport;

/// Deploys what is live nowhere, and brings what is live to hosts that lack it: the same bytes,
/// nobody else is touched. Where all that served until now leaves, its commit is built anew. Hosts that differ otherwise are the operator's to decide.
pub async fn first_deploys(
    engine: &Engine,
    fleet: &Fleet,
    linked: &mut BTreeMap<String, Linked>,
) -> Result<Vec<DeployReport>, EngineError> {
    let app_hosts: BTreeSet<&str> = fleet
        .with_role("app")
        .map(|(host, _)| host.name.as_str())
        .collect();
    let live = |app: &App, host: &str| linked.get(host)?.live.get(&app.name);
    let differs = |app: &&App| {
        let lives: Vec<_> = app_hosts.iter().map(|host| live(app, host)).collect();
        lives.iter().any(Option::is_none) || lives.windows(2).any(|pair| pair[0] != pair[1])
    };
    let apps: Vec<&App> = fleet.blueprint.apps.iter().filter(differs).collect();
    if apps.is_empty() || app_hosts.is_empty() {
        return Ok(Vec::new());
    }
    let mut links = BTreeMap::new();
    for host in app_hosts {
        if let Some(Linked { link, .. }) = linked.remove(host) {
            links.insert(host.to_owned(), link);
        }
    }
    let balancers = Vec::new();
    let mut hosts = Hosts { links, balancers };
    let secrets = engine.secrets(&fleet.blueprint, true)?;
    let desired = engine.desired(fleet, &secrets);
    let reports = bring(engine, desired, &mut hosts, apps).await?;
    hosts.close().await;
    Ok(reports)
}

async fn bring(
    engine: &Engine,
    desired: Desired<'_>,
    hosts: &mut Hosts,
    apps: Vec<&App>,
) -> Result<Vec<DeployReport>, EngineError> {
    let (mut reports, mut first) = (Vec::new(), Vec::new());
    for app in apps {
        let known = look(hosts, app).await?;
        let nowhere = known.values().all(|host| host.live.is_none());
        let newcomers: BTreeSet<String> = known
            .values()
            .filter(|host| host.live.is_none())
            .map(|host| host.host.clone())
            .collect();
        let last = choice::last_common(&known).or_else(|| {
            // Hosts that lack it do not disagree with those that have it.
            known.values().find_map(|host| host.live.as_deref())
        });
        let found = last.and_then(|id| choice::release(&known, id));
        if let (Some(id), None) = (last, found) {
            let live = |host: &&HostReleases| host.live.as_deref() == Some(id);
            if let Some(host) = known.values().find(live) {
                return Err(unknown(app, id, &host.host));
            }
        }
        match found {
            Some(release) if !nowhere && newcomers.is_empty() => {
                engine.emit(Event::Note {
                    host: None,
                    message: format!(
                        "{app}: hosts differ, {id} was live on all of them last; `marg deploy \
                         {app}` or `marg rollback {app}` makes them one again",
                        app = app.name,
                        id = release.id
                    ),
                });
            }
            Some(release) if !nowhere && !choice::is_kept(&known, &release.id) => {
                engine.emit(Event::Note {
                    host: None,
                    message: format!(
                        "{}: an earlier version of marg built {}, and kept no archive of it that \
                         {} could get; its commit is built again, for all hosts",
                        app.name,
                        release.id,
                        newcomers.iter().cloned().collect::<Vec<_>>().join(", ")
                    ),
                });
                first.push((app, release.commit.clone()));
            }
            Some(release) if !nowhere => {
                engine.emit(Event::PhaseStarted {
                    name: format!("deploy {}", app.name),
                });
                let began = Instant::now();
                let manner = Manner::default();
                let target = (app, release.clone());
                let mut rollout = Rollout::new(engine, desired, hosts, target, &known, manner);
                rollout.join(newcomers).await?;
                reports.push(rollout.report(began));
            }
            _ => {
                let begun = choice::unfinished(&known).map(|begun| begun.commit.clone());
                let commit = served_until_now(engine, desired.fleet, app)
                    .await?
                    .or(begun);
                first.push((app, commit.unwrap_or_else(|| app.reference.clone())));
            }
        }
    }
    for wanted in &resolve(engine, first.into_iter()).await? {
        let manner = Manner::default();
        reports.push(deploy(engine, desired, hosts, wanted, manner).await?);
    }
    Ok(reports)
}

/// The commit that is live on the hosts that leave: a move is not a deploy of something newer.
async fn served_until_now(
    engine: &Engine,
    fleet: &Fleet,
    app: &App,
) -> Result<Option<String>, EngineError> {
    for host in fleet.leaving.iter().filter(|host| host.has_role("app")) {
        let Some(address) = address_of(fleet, host) else {
            continue;
        };
        let mut link = open(engine, fleet, host, address, &Lock::None).await?;
        let known = history::look(&mut link, &[app]).await?;
        link.session.close().await;
        for found in known.values() {
            match (&found.live, found.live()) {
                (_, Some(release)) => return Ok(Some(release.commit.clone())),
                (Some(id), None) => return Err(unknown(app, id, &host.name)),
                (None, None) => {}
            }
        }
    }
    Ok(None)
}

/// Nothing else may take the place of a live release of which nobody knows what it is.
fn unknown(app: &App, release: &str, host: &str) -> EngineError {
    DeployError::Unknown {
        app: app.name.clone(),
        release: release.to_owned(),
        host: host.to_owned(),
    }
    .into()
}
