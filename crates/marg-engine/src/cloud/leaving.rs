//! Hosts that an environment has and its blueprint does not: they leave, after everything that
//! they do is done elsewhere. Pure.

use marg_cloud::Droplet;
use marg_model::{Blueprint, Group, Host, HostEnv, Phase, Settings};

/// A host on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaving {
    /// What it is: its roles are those of the phase that it was made for.
    pub host: Host,
    /// Its machine.
    pub droplet: Droplet,
}

/// Finds a droplet that is no host of the blueprint by its tags and its name. `None` when it is
/// nothing that marg made: it is left alone.
pub fn leaving(blueprint: &Blueprint, phases: &[Phase], droplet: &Droplet) -> Option<Leaving> {
    let environment = &blueprint.environment.name;
    let group = tagged(droplet, &format!("marg-group:{environment}:"))?;
    let number = droplet
        .name
        .strip_prefix(&blueprint.droplet_name(&group))?
        .parse::<u16>()
        .ok()?;
    let phase = phase_of(environment, droplet);
    let group = group_of(blueprint, phases, &group, phase)?;
    let host = Host {
        name: format!("{}{number}", group.name),
        group: group.name.clone(),
        number,
        size: droplet.size_slug.clone(),
        image: image(blueprint, &group.name, droplet),
        roles: group.roles.clone(),
        needs: Vec::new(),
        holds_data: group.holds_data,
        settings: Settings::default(),
        env: HostEnv::default(),
    };
    Some(Leaving {
        host,
        droplet: droplet.clone(),
    })
}

/// The phase that a droplet was last provisioned for, as its tag says.
pub fn phase_of(environment: &str, droplet: &Droplet) -> Option<u8> {
    tagged(droplet, &format!("marg-phase:{environment}:"))?
        .parse()
        .ok()
}

/// Whether a host of the blueprint holds data from before the move to the phase that its droplet
/// names: that phase has no such group, so the host stood aside in it.
pub fn is_left_behind(
    blueprint: &Blueprint,
    phases: &[Phase],
    host: &Host,
    droplet: &Droplet,
) -> bool {
    let number = phase_of(&blueprint.environment.name, droplet);
    let phase = phases.iter().find(|phase| Some(phase.number) == number);
    let aside = |phase: &Phase| !phase.groups.iter().any(|group| group.name == host.group);
    host.holds_data && phase.is_some_and(aside)
}

/// What follows a prefix in one of the droplet's tags.
fn tagged(droplet: &Droplet, prefix: &str) -> Option<String> {
    let tags = droplet.tags.iter().flatten();
    let mut found = tags.filter_map(|tag| {
        let tag = tag.to_ascii_lowercase();
        tag.strip_prefix(prefix).map(str::to_owned)
    });
    found.next()
}

/// The group as the droplet's own phase defines it, else as the blueprint does, else as any phase.
fn group_of<'a>(
    blueprint: &'a Blueprint,
    phases: &'a [Phase],
    name: &str,
    phase: Option<u8>,
) -> Option<&'a Group> {
    let own = phases.iter().filter(|one| Some(one.number) == phase);
    let others = std::iter::once(&blueprint.phase).chain(phases);
    own.chain(others)
        .flat_map(|phase| &phase.groups)
        .find(|group| group.name == name)
}

/// The distribution's image that the droplet was made from, where it is one that marg knows. One
/// that began with a baked image has that of its fellows.
fn image(blueprint: &Blueprint, group: &str, droplet: &Droplet) -> String {
    let made_from = droplet.image.as_deref();
    let known = made_from.filter(|slug| marg_model::Distro::by_image(slug).is_some());
    let mut fellows = blueprint.hosts.iter().filter(|host| host.group == group);
    let fellow = || fellows.next().map(|host| host.image.as_str());
    known
        .or_else(fellow)
        .unwrap_or(&blueprint.environment.image)
        .to_owned()
}
