//! A small fleet with fixed addresses for the tests of this crate, and its golden cases: what
//! each role makes of a host is kept in `<role>/cases/`. `MARG_UPDATE_CASES=1` rewrites them.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use marg_model::distro::DISTROS;
use marg_model::{Address, Distro, Fleet, Machine, Secret, Secrets, builtin, parse, resolve};
use marg_resources::{Context, Resource, Role, plan_fresh};

use crate::{ROLES, role, schemas};

mod cases;
mod secrecy;

/// A fleet, its secrets, and contexts in it.
pub struct World {
    /// Hosts have 10.20.0.2, 10.20.0.3, … as private addresses.
    pub fleet: Fleet,
    /// Every secret that a role asks for; values are canaries full of awkward characters.
    pub secrets: Secrets,
}

impl World {
    /// The test inventory in one of the built-in phases.
    pub fn new(phase: usize) -> World {
        let (schemas, text) = (schemas(), include_str!("inventory.toml"));
        let phases = builtin::phases(&schemas).unwrap();
        let inventory = parse::inventory(text, "inventory.toml", &schemas, &phases).unwrap();
        let blueprint = resolve::blueprint(&inventory, &phases[phase - 1]).unwrap();
        let mut secrets = Secrets::default();
        for spec in ROLES.iter().flat_map(|role| role.secrets(&blueprint)) {
            let canary = format!("canary of {} $1 \"q\"", spec.name);
            secrets.insert(spec.name, Secret::new(canary));
        }
        let mut fleet = Fleet::pending(&blueprint);
        let machines: BTreeMap<String, Machine> = (2u8..)
            .zip(&blueprint.hosts)
            .map(|(number, host)| {
                let machine = Machine {
                    droplet: Some(100 + u64::from(number)),
                    public: Address::Known(Ipv4Addr::new(198, 18, 0, number)),
                    private: Address::Known(Ipv4Addr::new(10, 20, 0, number)),
                    ..Machine::pending(host)
                };
                (host.name.clone(), machine)
            })
            .collect();
        fleet.machines = machines;
        World { fleet, secrets }
    }

    /// What roles may know on a host.
    pub fn context(&self, host: &str, distro: &str) -> Context<'_> {
        Context {
            fleet: &self.fleet,
            host: self.fleet.blueprint.host(host).unwrap(),
            machine: self.fleet.machine(host).unwrap(),
            distro: self::distro(distro),
            secrets: &self.secrets,
            roles: ROLES,
        }
    }

    /// Everything that a host's roles want, in order.
    pub fn resources(&self, host: &str, distro: &str) -> Vec<Resource> {
        let context = self.context(host, distro);
        let roles = context.host.roles.iter().filter_map(|name| role(name));
        roles
            .flat_map(|role| role.resources(&context).unwrap())
            .collect()
    }
}

fn distro(id: &str) -> &'static Distro {
    DISTROS.iter().find(|distro| distro.id == id).unwrap()
}

/// What a role makes of a host, as a reader of a case file wants to see it: names of resources
/// in order, whom they oblige, texts, and the questions asked at the end.
fn portrait(role: &dyn Role, context: &Context) -> String {
    let resources = role.resources(context).unwrap();
    let plan = plan_fresh(&context.host.name, &resources).unwrap();
    let mut text = String::new();
    for resource in &resources {
        let notices = resource.notices.iter();
        let owed: Vec<String> = notices
            .map(|notice| format!("{} {}", notice.action.word(), notice.unit))
            .collect();
        let owed = if owed.is_empty() {
            String::new()
        } else {
            format!(" → {}", owed.join(", "))
        };
        writeln!(text, "{}{owed}", resource.name()).unwrap();
    }
    for change in &plan.changes {
        if let Some(diff) = &change.diff {
            writeln!(text, "\n=== {}\n{}", change.resource, diff.new.trim_end()).unwrap();
        }
    }
    for check in role.checks(context) {
        writeln!(text, "\n=== check: {}\n{}", check.name, check.script).unwrap();
    }
    text
}

/// Compares with the case file, or writes it when asked to.
fn check_case(path: &str, found: &str) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("MARG_UPDATE_CASES").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, found).unwrap();
        return Ok(());
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    let lines = expected.lines().zip(found.lines());
    let first = lines
        .enumerate()
        .find(|(_, (expected, found))| expected != found);
    let place = match first {
        Some((line, (expected, found))) => {
            format!(
                "line {}\n  expected {expected}\n  found    {found}",
                line + 1
            )
        }
        None => "one is longer than the other".to_owned(),
    };
    Err(format!(
        "{path} differs: {place}\nif that is right: MARG_UPDATE_CASES=1 cargo test -p marg-roles\n"
    ))
}
