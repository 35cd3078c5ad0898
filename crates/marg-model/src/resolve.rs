//! Inventory × Phase → Blueprint: every host by name, with everything that is said about it.

use std::fmt;

use crate::blueprint::{Blueprint, Host, HostEnv};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::inventory::{GroupInPhase, GroupOverride, HostOverride, Inventory, Settings};
use crate::parse;
use crate::phase::{Group, Phase};

/// Why an inventory does not fit a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// Keys that lead to the value in the inventory.
    pub keys: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// `path: message (help)`.
impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.path(), self.message, self.help)
    }
}

impl ResolveError {
    /// The path of keys as a reader of TOML writes it.
    pub fn path(&self) -> String {
        let keys = self.keys.iter();
        keys.fold(String::new(), |path, key| parse::join(&path, key))
    }
}

/// Everything that does not fit. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveErrors(pub Vec<ResolveError>);

/// One error per line.
impl fmt::Display for ResolveErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ResolveErrors {}

impl ResolveErrors {
    /// The same errors with their lines, given the inventory's text.
    pub fn locate(&self, file_name: &str, text: &str) -> Diagnostics {
        let place = |error: &ResolveError| {
            let (path, message, help) = (error.path(), &error.message, &error.help);
            match parse::locate(text, &error.keys) {
                Some(range) => Diagnostic::at((file_name, text), range, path, message, help),
                None => Diagnostic::in_file(file_name, path, message, help),
            }
        };
        Diagnostics::from_nonempty(self.0.iter().map(place).collect())
    }
}

/// Resolves an inventory in a phase. Pure; both have been checked on their own by
/// [`crate::parse`].
///
/// What the host says wins over its group in this phase, that over its group in all phases, and
/// the group over the inventory or the phase's own file.
/// Overrides of groups and hosts that this phase does not have are left for the phases that do.
///
/// # Errors
/// Everything in which the two do not fit together.
pub fn blueprint(inventory: &Inventory, phase: &Phase) -> Result<Blueprint, ResolveErrors> {
    let errors = misfits(inventory, phase);
    if !errors.is_empty() {
        return Err(ResolveErrors(errors));
    }
    let names = |group: &str| -> Vec<String> {
        let found = phase.groups.iter().find(|one| one.name == group);
        found
            .map(|one| host_names(inventory, phase, one))
            .unwrap_or_default()
    };
    let hosts = phase.groups.iter().flat_map(|group| {
        let needs: Vec<String> = group.needs.iter().flat_map(|need| names(need)).collect();
        (1..=count(inventory, phase, group))
            .map(move |number| host(inventory, (phase, group), number, &needs))
    });
    Ok(Blueprint {
        environment: inventory.environment.clone(),
        hosts: hosts.collect(),
        phase: phase.clone(),
        apps: inventory.apps.clone(),
        databases: inventory.databases.clone(),
        database_users: inventory.database_users.clone(),
    })
}

fn misfits(inventory: &Inventory, phase: &Phase) -> Vec<ResolveError> {
    let mut errors = Vec::new();
    for group in phase.groups.iter().filter(|group| group.holds_data) {
        let count = count(inventory, phase, group);
        // Two hosts that both believe they hold the data is how data is lost: only a phase
        // knows how several of them work together.
        if count != group.count {
            errors.push(ResolveError {
                keys: count_keys(inventory, phase, group),
                message: format!(
                    "`{}` holds data, and phase {} is made for {} of it, not {count}",
                    group.name, phase.number, group.count
                ),
                help: format!(
                    "remove the line; give it a larger groups.{}.size, or take a phase with replicas",
                    group.name
                ),
            });
        }
    }
    errors
}

/// What the inventory says about the group in this phase alone.
fn in_phase<'i>(
    inventory: &'i Inventory,
    phase: &Phase,
    group: &Group,
) -> Option<&'i GroupInPhase> {
    inventory.phases.get(&phase.number)?.groups.get(&group.name)
}

fn count(inventory: &Inventory, phase: &Phase, group: &Group) -> u16 {
    let here = in_phase(inventory, phase, group).and_then(|own| own.count);
    let everywhere = inventory.groups.get(&group.name).and_then(|own| own.count);
    here.or(everywhere).unwrap_or(group.count)
}

/// Where the inventory gives the number of hosts that [`count`] takes.
fn count_keys(inventory: &Inventory, phase: &Phase, group: &Group) -> Vec<String> {
    let number = phase.number.to_string();
    let here = in_phase(inventory, phase, group).and_then(|own| own.count);
    let keys: &[&str] = match here {
        Some(_) => &["phases", &number, "groups", &group.name, "count"],
        None => &["groups", &group.name, "count"],
    };
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn host_names(inventory: &Inventory, phase: &Phase, group: &Group) -> Vec<String> {
    (1..=count(inventory, phase, group))
        .map(|number| format!("{}{number}", group.name))
        .collect()
}

fn host(
    inventory: &Inventory,
    (phase, group): (&Phase, &Group),
    number: u16,
    needs: &[String],
) -> Host {
    let name = format!("{}{number}", group.name);
    let (no_group, no_host) = (GroupOverride::default(), HostOverride::default());
    let of_group = inventory.groups.get(&group.name).unwrap_or(&no_group);
    let of_host = inventory.hosts.get(&name).unwrap_or(&no_host);
    let here = in_phase(inventory, phase, group).and_then(|own| own.size.as_ref());
    let size = of_host.size.as_ref().or(here).or(of_group.size.as_ref());
    let image = of_host.image.as_ref().or(of_group.image.as_ref());
    let mut local = of_group.env.clone();
    local.extend(of_host.env.clone());
    Host {
        group: group.name.clone(),
        number,
        size: size.unwrap_or(&group.size).clone(),
        image: image.unwrap_or(&inventory.environment.image).clone(),
        roles: group.roles.clone(),
        needs: needs.to_vec(),
        holds_data: group.holds_data,
        settings: merged([&inventory.settings, &of_group.settings, &of_host.settings]),
        env: HostEnv {
            shared: inventory.env.clone(),
            local,
        },
        name,
    }
}

/// Later layers win, setting by setting.
fn merged(layers: [&Settings; 3]) -> Settings {
    let mut merged = Settings::new();
    for (role, settings) in layers.into_iter().flatten() {
        let own = merged.entry(role.clone()).or_default();
        own.extend(settings.clone());
    }
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::inventory::EnvValue;
    use crate::schema::SettingValue;
    use crate::testing::{self, SCHEMAS, inventory, phases, workspace_file};

    fn host_of(blueprint: &Blueprint, name: &str) -> Host {
        blueprint.host(name).unwrap().clone()
    }

    #[test]
    fn the_marg_inventory_resolves_in_every_phase() {
        let text = workspace_file("inventories/marg.toml");
        let inventory = parse::inventory(&text, "marg.toml", SCHEMAS, &phases()).unwrap();
        let expected = [
            ("app1", "app1"),
            ("http1", "http1 redis1 mysql1 worker1"),
            (
                "lb1",
                "lb1 http1 http2 http3 redis1 mysql1 worker1 worker2 worker3",
            ),
            (
                "lb1",
                "lb1 lb2 http1 http2 http3 http4 http5 redis1 redis2 redis3 mysql1 \
                 mysql2 mysql3 worker1 worker2 worker3 worker4 worker5",
            ),
        ];
        for (phase, (entry, hosts)) in phases().iter().zip(expected) {
            let blueprint = blueprint(&inventory, phase).unwrap();
            let names: Vec<&str> = blueprint.hosts.iter().map(|h| h.name.as_str()).collect();
            assert_eq!(names.join(" "), hosts, "phase {}", phase.number);
            assert_eq!(blueprint.entry().unwrap().name, entry);
            assert_eq!(blueprint.apps.len(), 2);
        }
        let databases: Vec<&str> = inventory
            .databases
            .iter()
            .map(|d| d.name.as_str())
            .collect();
        assert_eq!(
            databases,
            [
                "klueportal",
                "links_db",
                "marg-rbac",
                "klue_portal_business"
            ]
        );
        assert_eq!(inventory.environment.phase, Some(2));
    }

    #[test]
    fn the_narrower_word_wins() {
        let inventory = inventory(
            "[env]\nA = \"inventory\"\n\
             [settings.php-fpm]\nmax_children = 1\nopcache = true\n\
             [groups.http]\ncount = 2\nsize = \"s-1vcpu-2gb\"\nimage = \"ubuntu-24-04-x64\"\n\
             [groups.http.env]\nA = \"group\"\nB = \"group\"\n\
             [groups.http.settings.php-fpm]\nmax_children = 2\n\
             [hosts.http2]\nsize = \"s-2vcpu-2gb\"\nimage = \"debian-sid-x64\"\n\
             [hosts.http2.env]\nA = \"host\"\n\
             [hosts.http2.settings.php-fpm]\nmax_children = 3\n",
        );
        let blueprint = blueprint(&inventory, &phases()[1]).unwrap();
        let seen = |name: &str| {
            let host = host_of(&blueprint, name);
            let local: Vec<String> = host
                .env
                .local
                .iter()
                .map(|(k, v)| format!("{k}={v:?}"))
                .collect();
            assert_eq!(host.env.shared["A"], EnvValue::Text("inventory".to_owned()));
            let php = &host.settings["php-fpm"];
            assert_eq!(php["opcache"], SettingValue::Bool(true));
            let children = php["max_children"].clone();
            (host.size, host.image, local.join(" "), children)
        };
        let expected = |size: &str, image: &str, env: &str, children| {
            let children = SettingValue::Integer(children);
            (size.to_owned(), image.to_owned(), env.to_owned(), children)
        };
        let group = expected(
            "s-1vcpu-2gb",
            "ubuntu-24-04-x64",
            "A=Text(\"group\") B=Text(\"group\")",
            2,
        );
        assert_eq!(seen("http1"), group);
        let host = expected(
            "s-2vcpu-2gb",
            "debian-sid-x64",
            "A=Text(\"host\") B=Text(\"group\")",
            3,
        );
        assert_eq!(seen("http2"), host);
        assert!(host_of(&blueprint, "worker1").env.local.is_empty());
    }

    #[test]
    fn a_phases_own_word_counts_there_alone() {
        let inventory = inventory(
            "[groups.http]\ncount = 2\nsize = \"s-1vcpu-2gb\"\n\
             [phases.3.groups.http]\ncount = 4\nsize = \"s-2vcpu-2gb\"\n\
             [phases.4.groups.worker]\nsize = \"s-1vcpu-1gb\"\n\
             [hosts.http2]\nsize = \"s-2vcpu-4gb\"\n",
        );
        let sizes = |phase: usize, group: &str| {
            let blueprint = blueprint(&inventory, &phases()[phase - 1]).unwrap();
            let hosts = blueprint.hosts.iter().filter(|host| host.group == group);
            let sizes: Vec<String> = hosts.map(|host| host.size.clone()).collect();
            sizes.join(" ")
        };
        assert_eq!(sizes(2, "http"), "s-1vcpu-2gb s-2vcpu-4gb");
        let four = "s-2vcpu-2gb s-2vcpu-4gb s-2vcpu-2gb s-2vcpu-2gb";
        assert_eq!(sizes(3, "http"), four);
        assert_eq!(sizes(4, "http"), "s-1vcpu-2gb s-2vcpu-4gb");
        assert_eq!(sizes(4, "worker"), ["s-1vcpu-1gb"; 5].join(" "));
    }

    #[test]
    fn needs_are_the_names_of_hosts() {
        let blueprint = blueprint(&inventory(""), &phases()[3]).unwrap();
        for (host, expected) in [
            ("lb2", "http1 http2 http3 http4 http5"),
            ("http1", "redis1 redis2 redis3 mysql1 mysql2 mysql3"),
            ("mysql1", ""),
        ] {
            assert_eq!(
                host_of(&blueprint, host).needs.join(" "),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn data_is_never_spread_over_hosts_that_do_not_know_each_other() {
        let more = "[groups.mysql]\ncount = 2\n";
        let inventory = inventory(more);
        let errors = blueprint(&inventory, &phases()[1]).unwrap_err();
        let said = "groups.mysql.count: `mysql` holds data, and phase 2 is made for 1 of it, \
             not 2 (remove the line; give it a larger groups.mysql.size, or take a phase with \
             replicas)";
        assert_eq!(errors.to_string(), said);
        let located = errors.locate("shop.toml", more).to_string();
        assert_eq!(located, format!("shop.toml:2:1: {said}"));
        // Phase 1 has no such group, so the line waits.
        assert!(blueprint(&inventory, &phases()[0]).is_ok());
        let only = "[phases.2.groups.mysql]\ncount = 2\n";
        let errors = blueprint(&testing::inventory(only), &phases()[1]).unwrap_err();
        let located = errors.locate("shop.toml", only).to_string();
        assert_eq!(located, format!("shop.toml:2:1: phases.2.{said}"));
    }
}
