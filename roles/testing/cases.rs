//! The golden cases.

#![allow(clippy::unwrap_used)]

use marg_model::{Fleet, SettingValue, Tls};
use marg_resources::plan_fresh;

use super::{World, check_case, portrait};
use crate::{ROLES, role, schemas};

/// Role, phase, host, distribution; the file is `<role>/cases/<phase>-<distribution>.txt`.
const CASES: &[(&str, usize, &str, &str)] = &[
    ("base", 1, "app1", "debian-13"),
    ("base", 2, "http1", "debian-13"),
    ("ufw", 2, "redis1", "debian-13"),
    ("haproxy", 3, "lb1", "debian-13"),
    ("haproxy", 4, "lb2", "ubuntu-24.04"),
    ("keepalived", 4, "lb2", "debian-13"),
    ("nginx", 2, "http1", "debian-13"),
    ("nginx", 2, "http1", "ubuntu-24.04"),
    ("nginx", 3, "http1", "debian-13"),
    ("php-fpm", 1, "app1", "debian-13"),
    ("php-fpm", 2, "http1", "debian-13"),
    ("php-fpm", 2, "http1", "ubuntu-24.04"),
    ("redis", 1, "app1", "debian-13"),
    ("redis", 2, "redis1", "debian-13"),
    ("redis-sentinel", 4, "redis2", "debian-13"),
    ("mysql", 1, "app1", "debian-13"),
    ("mysql", 2, "mysql1", "debian-13"),
    ("mysql", 2, "mysql1", "debian-sid"),
    ("mysql", 2, "mysql1", "ubuntu-24.04"),
    ("mysql", 4, "mysql2", "debian-13"),
    ("mysql-replication", 4, "mysql1", "debian-13"),
    ("mysql-replication", 4, "mysql2", "debian-sid"),
    ("proxy", 4, "http1", "debian-13"),
    ("app", 2, "http1", "debian-13"),
    ("app", 2, "http1", "ubuntu-24.04"),
    ("worker", 2, "worker1", "debian-13"),
    ("scheduler", 2, "worker1", "debian-13"),
];

#[test]
fn roles_make_of_hosts_what_their_cases_say() {
    let mut failures = String::new();
    for (name, phase, host, distro) in CASES {
        let world = World::new(*phase);
        let found = portrait(role(name).unwrap(), &world.context(host, distro));
        let path = format!("{name}/cases/phase-{phase}-{distro}.txt");
        if let Err(failure) = check_case(&path, &found) {
            failures.push_str(&failure);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_role_has_a_case() {
    for role in ROLES {
        let name = role.schema().name;
        assert!(CASES.iter().any(|case| case.0 == name), "{name}");
    }
}

#[test]
fn tls_and_limits_and_other_settings() {
    let mut world = World::new(2);
    let list = |text: &str| SettingValue::List(vec![text.to_owned()]);
    let blueprint = &mut world.fleet.blueprint;
    blueprint.apps[0].tls = Some(Tls {
        certificate: "/etc/letsencrypt/live/flow marg/fullchain.pem".to_owned(),
        key: "/etc/letsencrypt/live/flow marg/privkey.pem".to_owned(),
    });
    for (role, name, value) in [
        ("base", "packages", list("htop")),
        ("base", "swap_mib", SettingValue::Integer(0)),
        ("base", "automatic_upgrades", SettingValue::Bool(false)),
        ("nginx", "limited_paths", list("/admin")),
        (
            "nginx",
            "limited_rate_per_minute",
            SettingValue::Integer(30),
        ),
        ("php-fpm", "max_children", SettingValue::Integer(3)),
        (
            "php-fpm",
            "memory_limit",
            SettingValue::Text("256M".to_owned()),
        ),
        ("php-fpm", "request_timeout", SettingValue::Integer(30)),
        ("app", "packages", list("php-laravel-framework")),
    ] {
        let settings = blueprint.hosts[0].settings.entry(role.to_owned());
        settings.or_default().insert(name.to_owned(), value);
    }
    for (name, distro) in [
        ("base", "debian-13"),
        ("nginx", "debian-13"),
        ("nginx", "ubuntu-24.04"),
        ("php-fpm", "debian-13"),
        ("app", "debian-13"),
    ] {
        let found = portrait(role(name).unwrap(), &world.context("http1", distro));
        let path = format!("{name}/cases/settings-{distro}.txt");
        check_case(&path, &found).unwrap();
    }
}

#[test]
fn tls_ends_at_the_balancer() {
    let mut world = World::new(3);
    let blueprint = &mut world.fleet.blueprint;
    blueprint.apps[0].tls = Some(Tls {
        certificate: "/etc/ssl/marg/fullchain.pem".to_owned(),
        key: "/etc/ssl/marg/privkey.pem".to_owned(),
    });
    let found = portrait(role("haproxy").unwrap(), &world.context("lb1", "debian-13"));
    check_case("haproxy/cases/tls-debian-13.txt", &found).unwrap();
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let text = |text: &str| SettingValue::Text(text.to_owned());
    let list = |text: &str| SettingValue::List(vec![text.to_owned()]);
    let number = SettingValue::Integer;
    for (host, role_name, setting, value, expected) in [
        (
            "mysql1",
            "mysql",
            "buffer_pool_mib",
            number(4096),
            "mysql1: mysql.buffer_pool_mib: 4096 MiB are asked for and the machine has 2048; lower it, \
             leave it out to have it computed, or give the host a larger size",
        ),
        (
            "redis1",
            "redis",
            "maxmemory_mib",
            number(900),
            "redis1: redis.maxmemory_mib and redis.cache_maxmemory_mib of each application together: 1108 MiB are asked for and the machine has 1024; lower it, leave it out to have it computed, or give the \
             host a larger size",
        ),
        (
            "http1",
            "php-fpm",
            "max_children",
            number(50),
            "http1: php-fpm.max_children for all applications: 5112 MiB are asked for and the machine has 1024; lower it, leave it out to have it computed, or give the host a larger size",
        ),
        (
            "http1",
            "php-fpm",
            "memory_limit",
            text("lots"),
            "http1: php-fpm.memory_limit is `lots`; write a size such as 128M or 1G",
        ),
        (
            "http1",
            "nginx",
            "limited_paths",
            list("admin"),
            "http1: nginx.limited_paths has `admin`; write the beginning of a path, such as /admin",
        ),
    ] {
        let mut world = World::new(2);
        let hosts = &mut world.fleet.blueprint.hosts;
        let settings = &mut hosts
            .iter_mut()
            .find(|own| own.name == host)
            .unwrap()
            .settings;
        let settings = settings.entry(role_name.to_owned()).or_default();
        settings.insert(setting.to_owned(), value);
        let role = role(role_name).unwrap();
        let error = role
            .resources(&world.context(host, "debian-13"))
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

/// Each application has a php-fpm of its own: more of them than fit are refused.
#[test]
fn applications_that_do_not_fit_are_refused() {
    let mut world = World::new(2);
    let apps = &mut world.fleet.blueprint.apps;
    let one = apps[0].clone();
    apps.extend((3..=7).map(|number| marg_model::App {
        name: format!("app{number}"),
        ..one.clone()
    }));
    let refusal = |world: &World| {
        let resources = role("php-fpm")
            .unwrap()
            .resources(&world.context("http1", "debian-13"));
        resources.err().map(|error| error.to_string())
    };
    assert_eq!(
        refusal(&world).as_deref(),
        Some(
            "http1: php-fpm needs 928 MiB at least for 7 applications, and of the machine's 1024 there \
             are 832 for it; give the host a larger size, or a group of its own to some of its roles"
        )
    );
    world.fleet.blueprint.apps.pop();
    assert_eq!(refusal(&world), None);
}

#[test]
fn every_phase_can_be_planned_before_anything_exists() {
    for phase in 1..=4 {
        let mut world = World::new(phase);
        world.fleet = Fleet::pending(&world.fleet.blueprint);
        for host in &world.fleet.blueprint.hosts {
            for distro in ["debian-13", "debian-sid", "ubuntu-24.04", "ubuntu-26.04"] {
                let resources = world.resources(&host.name, distro);
                let plan = plan_fresh(&host.name, &resources).unwrap();
                assert!(!plan.is_empty(), "phase {phase}, {}, {distro}", host.name);
            }
        }
    }
}

#[test]
fn no_resource_is_wanted_twice_in_different_ways() {
    for (phase, host) in [(1, "app1"), (2, "http1"), (2, "worker1")] {
        let resources = World::new(phase).resources(host, "debian-13");
        for (index, one) in resources.iter().enumerate() {
            let others = &resources[index + 1..];
            for other in others.iter().filter(|other| other.name() == one.name()) {
                let (one, other) = (format!("{one:?}"), format!("{other:?}"));
                assert_eq!(one, other, "phase {phase}, {host}");
            }
        }
    }
}

#[test]
fn the_phases_name_only_roles_that_are_known() {
    let names: Vec<&str> = schemas().iter().map(|schema| schema.name).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    for phase in 1..=4 {
        for host in &World::new(phase).fleet.blueprint.hosts {
            let unknown = host.roles.iter().find(|own| !names.contains(&own.as_str()));
            assert_eq!(unknown, None, "phase {phase}, {}", host.name);
        }
    }
}
