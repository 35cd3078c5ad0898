//! What would change: the same code as `provision`, stopped before anything is applied.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use marg_model::{Blueprint, Fleet, Host, Machine, Secret, Secrets};
use marg_resources::{HostPlan, Role, plan_fresh};

use crate::converge::{connect, look};
use crate::desired::{Desired, promised};
use crate::earlier;
use crate::engine::Engine;
use crate::environment::{CloudChange, CloudKind, EnvironmentPlan, Unseen};
use crate::error::EngineError;
use crate::host::HostError;
use crate::host::link::Link;
use crate::host::talk::Lock;
use crate::journey::journey;
use crate::leaders::{self, Leaders, Links, ask, refuse_leaving, replicated};
use crate::needs;
use marg_resources::Action;

/// A host that was looked at.
struct Seen {
    plan: HostPlan,
    /// Roles of which it has what an earlier version of marg made there.
    earlier: BTreeSet<&'static str>,
    link: Option<Link>,
}

impl Engine {
    /// Looks at the cloud and at every host that exists, and changes nothing.
    pub async fn plan(&self, blueprint: &Blueprint) -> Result<EnvironmentPlan, EngineError> {
        let situation = self.situation(blueprint).await?;
        situation.refuse_losses(blueprint, self.roles())?;
        let mut fleet = situation.fleet(blueprint);
        let existing = !situation.found.droplets.is_empty();
        let missing = needs::missing(blueprint, self.roles(), &self.vault().secrets()?);
        let known = if existing {
            self.made_secrets(blueprint, true)?
        } else {
            self.vault().secrets()?
        };
        let secrets = invented(blueprint, self.roles(), known);
        let mut links = self.connect_all(&fleet).await;
        let services = replicated(&fleet, self.roles());
        let found = ask(&self.desired(&fleet, &secrets), &services, &mut links).await;
        let Leaders {
            known,
            mut undecided,
        } = found;
        fleet.leaders = known;
        refuse_leaving(&fleet)?;
        let desired = self.desired(&fleet, &secrets);
        let looking = fleet.hosts().map(|(host, machine)| {
            let link = match undecided.remove(&host.name) {
                Some(error) => Some(Err(error.into())),
                None => links.remove(&host.name),
            };
            let seen = self.see(&desired, (host, machine), link);
            async move { (host.name.clone(), seen.await) }
        });
        let looking: Vec<_> = looking.collect();
        let (mut hosts, mut unseen) = (Vec::new(), Vec::new());
        let (mut seen_links, mut earlier) = (Vec::new(), BTreeSet::new());
        for (name, seen) in join_all(looking).await {
            match seen {
                Ok(seen) => {
                    earlier.extend(seen.earlier);
                    seen_links.extend(seen.link);
                    hosts.push(seen.plan);
                }
                Err(error) => unseen.push(Unseen {
                    name,
                    error: self.redact(&error.to_string()),
                    kind: error.kind(),
                }),
            }
        }
        leaders::close(links).await;
        let mut notes = situation.notes.clone();
        notes.extend(needs::note(&missing));
        if !earlier.is_empty() {
            notes.extend(earlier::outlook(&desired, &mut seen_links, &earlier).await?);
        }
        join_all(seen_links.into_iter().map(|link| link.session.close())).await;
        let order = journey(&fleet, self.roles(), &situation, &hosts);
        Ok(EnvironmentPlan {
            cloud: situation.changes.clone(),
            order,
            hosts,
            unseen,
            monthly: Some(situation.monthly),
            notes,
            missing_secrets: missing,
            ..EnvironmentPlan::default()
        }
        .summed())
    }

    /// What would change on one host; without a link it does not exist yet.
    async fn see(
        &self,
        desired: &Desired<'_>,
        (host, machine): (&Host, &Machine),
        link: Option<Result<Link, EngineError>>,
    ) -> Result<Seen, EngineError> {
        let Some(mut link) = link.transpose()? else {
            return Ok(Seen {
                plan: fresh(desired, host, machine)?,
                earlier: BTreeSet::new(),
                link: None,
            });
        };
        let looked = look(self, desired, host, machine, &mut link).await?;
        Ok(Seen {
            plan: looked.plan,
            earlier: looked.earlier,
            link: Some(link),
        })
    }

    /// Connections to every machine that exists, or why there is none.
    async fn connect_all(&self, fleet: &Fleet) -> Links {
        let exists = |host: &&Host| {
            let machine = fleet.machine(&host.name);
            machine.is_some_and(|machine| machine.droplet.is_some())
        };
        let opening = fleet.peers().filter(exists).map(async |host| {
            let link = connect(self, fleet, host, &Lock::None).await;
            (host.name.clone(), link)
        });
        join_all(opening).await.into_iter().collect()
    }
}

/// Plans without network or token, as if nothing existed yet. `known` are the secrets that are there
/// already: of those that only the operator can give, the others are named.
pub fn plan_offline(
    blueprint: &Blueprint,
    roles: &[&dyn Role],
    known: &Secrets,
) -> Result<EnvironmentPlan, EngineError> {
    let fleet = Fleet::pending(blueprint);
    let missing = needs::missing(blueprint, roles, known);
    let secrets = invented(blueprint, roles, known.clone());
    let desired = Desired {
        fleet: &fleet,
        roles,
        secrets: &secrets,
    };
    let hosts: Result<Vec<HostPlan>, EngineError> = fleet
        .hosts()
        .map(|(host, machine)| fresh(&desired, host, machine))
        .collect();
    let cloud = blueprint.hosts.iter().map(|host| CloudChange {
        kind: CloudKind::Droplet,
        name: blueprint.droplet_name(&host.name),
        action: Action::Create,
        details: vec![format!(
            "{} {} {}",
            host.size, host.image, blueprint.environment.region
        )],
    });
    let offline = "offline: as if nothing existed yet, without prices".to_owned();
    let notes = [offline].into_iter().chain(needs::note(&missing)).collect();
    let plan = EnvironmentPlan {
        cloud: cloud.collect(),
        hosts: hosts?,
        notes,
        missing_secrets: missing,
        ..EnvironmentPlan::default()
    };
    Ok(plan.summed())
}

fn fresh(desired: &Desired<'_>, host: &Host, machine: &Machine) -> Result<HostPlan, EngineError> {
    let resources = desired.resources(host, machine, promised(host)?)?;
    let misread = |source| HostError::Misread {
        host: host.name.clone(),
        source,
    };
    Ok(plan_fresh(&host.name, &resources).map_err(misread)?)
}

/// Stand-ins for secrets that a plan needs to know the shape of, but must not make.
pub(crate) fn invented(
    blueprint: &Blueprint,
    roles: &[&dyn Role],
    mut secrets: Secrets,
) -> Secrets {
    let specs = roles.iter().flat_map(|role| role.secrets(blueprint));
    let names = specs.map(|spec| spec.name).chain(needs::named(blueprint));
    for name in names {
        if secrets.get(&name).is_none() {
            let stand_in = Secret::new(format!("<{name}>"));
            secrets.insert(name, stand_in);
        }
    }
    secrets
}
