//! What the hosts should be: the roles' resources, in the order of the blueprint.

use std::time::Duration;

use marg_model::distro::DISTROS;
use marg_model::{Distro, Fleet, Host, Machine, Secrets};
use marg_resources::kinds::State;
use marg_resources::{Check, Context, Resource, Role, Shell, Step};

use crate::error::EngineError;

/// Everything from which a host's resources are made.
#[derive(Clone, Copy)]
pub struct Desired<'a> {
    /// All hosts.
    pub fleet: &'a Fleet,
    /// All roles.
    pub roles: &'a [&'a dyn Role],
    /// All secrets.
    pub secrets: &'a Secrets,
}

impl<'a> Desired<'a> {
    /// The host's resources on that distribution.
    pub fn resources(
        &self,
        host: &'a Host,
        machine: &'a Machine,
        distro: &'static Distro,
    ) -> Result<Vec<Resource>, EngineError> {
        let context = self.context(host, machine, distro);
        let mut resources = Vec::new();
        for role in self.roles_of(host) {
            resources.extend(role.resources(&context)?);
        }
        let others = self.roles.iter();
        let fleet = self.fleet;
        let others = others.filter(|role| {
            let name = role.schema().name;
            !host.has_role(name) && !fleet.lingers(name, host)
        });
        resources.extend(others.flat_map(|role| role.leftovers(&context)));
        Ok(resources)
    }

    /// The questions that tell whether the host's roles work.
    pub fn checks(
        &self,
        host: &'a Host,
        machine: &'a Machine,
        distro: &'static Distro,
    ) -> Vec<Check> {
        let context = self.context(host, machine, distro);
        self.roles_of(host)
            .flat_map(|role| role.checks(&context))
            .collect()
    }

    /// What roles may know on a host.
    pub fn context(
        &self,
        host: &'a Host,
        machine: &'a Machine,
        distro: &'static Distro,
    ) -> Context<'a> {
        let (fleet, secrets, roles) = (self.fleet, self.secrets, self.roles);
        Context {
            fleet,
            host,
            machine,
            distro,
            secrets,
            roles,
        }
    }

    /// What roles may know on a host that runs what its image promises.
    pub fn context_of(
        &self,
        host: &'a Host,
        machine: &'a Machine,
    ) -> Result<Context<'a>, EngineError> {
        Ok(self.context(host, machine, promised(host)?))
    }

    /// Steps of those roles of a host that have something to say, in the host's own order.
    pub fn steps(
        &self,
        host: &'a Host,
        (what, deadline): (&str, Duration),
        of: impl Fn(&dyn Role, &Context) -> Option<Shell>,
    ) -> Result<Vec<Step>, EngineError> {
        let Some(machine) = self.fleet.machine(&host.name) else {
            return Ok(Vec::new());
        };
        let context = self.context_of(host, machine)?;
        let steps = self.roles_of(host).filter_map(|role| {
            let name = format!("{}: {what}", role.schema().name);
            Some(Step::new(name, of(role, &context)?, deadline))
        });
        Ok(steps.collect())
    }

    /// Steps of those roles that the host no longer has and of which no fellow will be left when
    /// `going` are gone.
    pub fn parting(
        &self,
        host: &'a Host,
        going: &[&Host],
        deadline: Duration,
    ) -> Result<Vec<Step>, EngineError> {
        let fleet = self.fleet;
        let Some(machine) = fleet.machine(&host.name) else {
            return Ok(Vec::new());
        };
        let context = self.context_of(host, machine)?;
        let steps = self.roles.iter().filter_map(|role| {
            let name = role.schema().name;
            let stays = |other: &&Host| {
                let fellow = other.group == host.group && other.has_role(name);
                fellow && !going.iter().any(|one| one.name == other.name)
            };
            let parts = fleet.lingers(name, host) && !fleet.leaving.iter().any(|one| stays(&one));
            let body = parts.then(|| role.detach(&context))??;
            Some(Step::new(format!("{name}: go on alone"), body, deadline))
        });
        Ok(steps.collect())
    }

    /// Whether the host hands requests on to others.
    pub fn balances(&self, host: &'a Host) -> bool {
        self.roles_of(host).any(|role| role.traffic().is_some())
    }

    /// The roles of a host, in its own order.
    pub fn roles_of(&self, host: &'a Host) -> impl Iterator<Item = &'a dyn Role> + use<'a> {
        let roles = self.roles;
        host.roles.iter().filter_map(move |name| {
            roles
                .iter()
                .find(|role| role.schema().name == name)
                .copied()
        })
    }
}

/// Names of the systemd units that run on a host with these resources.
pub fn running_units(resources: &[Resource]) -> Vec<String> {
    let units = resources
        .iter()
        .filter_map(|resource| match &resource.state {
            State::Service(service) if service.runs() => Some(resource.state.id()),
            _ => None,
        });
    units.collect()
}

/// The distribution that a host's image promises.
pub fn promised(host: &Host) -> Result<&'static Distro, EngineError> {
    host.distro().ok_or_else(|| EngineError::Image {
        host: host.name.clone(),
        image: host.image.clone(),
        known: DISTROS
            .iter()
            .map(|distro| distro.image)
            .collect::<Vec<_>>()
            .join(", "),
    })
}
