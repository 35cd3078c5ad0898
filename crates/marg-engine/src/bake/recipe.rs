//! What goes into an image: the packages of a group's hosts, and nothing else. Pure.
//!
//! Packages are what a new host waits for longest, and the same for everybody. Everything that
//! marg writes itself, configuration, secrets, releases, is left to the provisioning of the real
//! host: so an image can hold no secret, and cannot be wrong when it is old.

use std::collections::BTreeSet;
use std::time::Duration;

use marg_model::{Blueprint, Fleet, Host, Machine, Secrets};
use marg_resources::kinds::State;
use marg_resources::{Resource, Role, Shell, Step, quote};
use sha2::{Digest, Sha256};

use super::error::BakeError;
use super::image::Bake;
use crate::desired::{Desired, promised, running_units};
use crate::error::EngineError;
use crate::plan::invented;

/// Changes when images of the same packages are no longer made the same way.
const METHOD: &str = "1";
/// Takes away what is the machine's own.
const CLEAN: &str = include_str!("clean.sh");
/// How long a step of the cleaning may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// How an image is made.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The group.
    pub group: String,
    /// The machine on which it is made, as a host: `bake-http`.
    pub host: Host,
    /// Sizes of the group's hosts: the image must fit on the smallest disk.
    pub sizes: Vec<String>,
    /// Package sources and packages.
    pub resources: Vec<Resource>,
    /// Units that the group's hosts run once they are configured.
    units: Vec<String>,
    /// Short for what is in it.
    pub fingerprint: String,
}

impl Recipe {
    /// The recipe of a group.
    pub fn of(
        blueprint: &Blueprint,
        roles: &[&dyn Role],
        group: &str,
    ) -> Result<Recipe, EngineError> {
        let of_group = || blueprint.hosts.iter().filter(|host| host.group == group);
        let Some(first) = of_group().next() else {
            let known: Vec<&str> = scaling(blueprint).collect();
            return Err(EngineError::NoSuch {
                what: "group with hosts",
                name: group.to_owned(),
                known: known.join(", "),
            });
        };
        if first.holds_data {
            let group = group.to_owned();
            return Err(BakeError::HoldsData { group }.into());
        }
        let fleet = Fleet::pending(blueprint);
        let secrets = invented(blueprint, roles, Secrets::default());
        let desired = Desired {
            fleet: &fleet,
            roles,
            secrets: &secrets,
        };
        let all = desired.resources(first, &Machine::pending(first), promised(first)?)?;
        let units = running_units(&all);
        let mut names = BTreeSet::new();
        let wanted = |resource: &Resource| {
            // Two roles may want the same package.
            let kind = &resource.state;
            matches!(kind, State::Package(_) | State::AptRepository(_))
                && names.insert(resource.name())
        };
        let resources: Vec<Resource> = all.into_iter().filter(wanted).collect();
        Ok(Recipe {
            group: group.to_owned(),
            host: Host {
                name: format!("bake-{group}"),
                ..first.clone()
            },
            sizes: of_group().map(|host| host.size.clone()).collect(),
            fingerprint: fingerprint(&first.image, &resources, &units),
            resources,
            units,
        })
    }

    /// Name of the image.
    pub fn image_name(&self, blueprint: &Blueprint) -> String {
        let environment = &blueprint.environment.name;
        Bake::name(
            environment,
            &self.group,
            &self.host.image,
            &self.fingerprint,
        )
    }

    /// What turns the machine into an image.
    pub fn cleaning(&self) -> Vec<Step> {
        let step = |name: &str, body: String| Step {
            name: name.to_owned(),
            body: Shell::new(body),
            deadline: DEADLINE,
            guarded: false,
        };
        vec![
            step("keep services off until they are configured", self.off()),
            step(
                "take away what is this machine's own",
                format!("ROOT=\n{CLEAN}"),
            ),
        ]
    }

    /// A package enables its service, which would run with the package's own settings when a
    /// machine boots from the image; on any other new host nothing runs before it is configured.
    fn off(&self) -> String {
        let units = self.units.iter().map(|unit| {
            let unit = quote(unit);
            format!(
                "case $(systemctl is-enabled {unit} 2>/dev/null) in\n\
                 enabled) systemctl -q disable {unit} ;;\nesac\n"
            )
        });
        let units: String = units.collect();
        // The seed is written once more when its service ends: it ends before it is removed.
        format!(
            "{units}systemctl stop systemd-random-seed.service 2>/dev/null || :\n\
             if command -v cloud-init >/dev/null; then cloud-init clean --logs; fi\n"
        )
    }
}

/// Groups that come and go with the load: those that serve or work applications and hold no data.
pub fn scaling(blueprint: &Blueprint) -> impl Iterator<Item = &str> {
    let groups = blueprint.phase.groups.iter();
    let groups = groups.map(|group| group.name.as_str());
    groups.filter(|group| {
        let mut hosts = blueprint.hosts.iter().filter(|host| host.group == *group);
        hosts.any(|host| host.has_role("app") && !host.holds_data)
    })
}

/// The recipes of the named groups, or of those that scale.
pub fn recipes(
    blueprint: &Blueprint,
    roles: &[&dyn Role],
    groups: &[String],
) -> Result<Vec<Recipe>, EngineError> {
    let mut names: Vec<&str> = match groups.is_empty() {
        true => scaling(blueprint).collect(),
        false => groups.iter().map(String::as_str).collect(),
    };
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        let phase = blueprint.phase.number;
        return Err(BakeError::NothingScales { phase }.into());
    }
    let recipes = names.into_iter();
    recipes
        .map(|group| Recipe::of(blueprint, roles, group))
        .collect()
}

fn fingerprint(image: &str, resources: &[Resource], units: &[String]) -> String {
    let mut parts: Vec<String> = resources
        .iter()
        .map(|resource| format!("{:?}", resource.state))
        .chain(units.iter().map(|unit| format!("off {unit}")))
        .collect();
    parts.sort();
    parts.dedup();
    let mut hash = Sha256::new();
    hash.update(format!("{METHOD}\n{CLEAN}\n{image}\n{}", parts.join("\n")));
    let bytes = hash.finalize();
    bytes
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
