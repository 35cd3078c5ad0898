//! Names that two environments would both want in the cloud, where firewalls are
//! `marg-<environment>-<group>` and have to be unique.

use marg_model::Phase;

/// The group under whose name machines that make images are closed.
const BUILDERS: &str = "bake";

/// What a phase of one environment and any phase of another would both have: the name, and the
/// group of each.
pub fn meeting<'a>(
    (own, phase): (&str, &'a Phase),
    (other, phases): (&str, &'a [Phase]),
) -> Option<(String, &'a str, &'a str)> {
    let all = phases.iter().flat_map(groups);
    let pairs = groups(phase).flat_map(|group| all.clone().map(move |other| (group, other)));
    let name = |environment: &str, group: &str| format!("marg-{environment}-{group}");
    let mut meeting = pairs.filter(|(group, theirs)| name(own, group) == name(other, theirs));
    meeting
        .next()
        .map(|(group, theirs)| (name(own, group), group, theirs))
}

/// A group of the phase that has the name of what marg makes beside all groups.
pub fn taken(phase: &Phase) -> Option<&str> {
    let mut groups = phase.groups.iter().map(|group| group.name.as_str());
    groups.find(|group| *group == BUILDERS)
}

fn groups(phase: &Phase) -> impl Iterator<Item = &str> + Clone {
    let own = phase.groups.iter().map(|group| group.name.as_str());
    own.chain([BUILDERS])
}
