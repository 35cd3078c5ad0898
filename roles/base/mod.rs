//! `base`: what every host has: its name, the names of the others, the time zone, security
//! upgrades, swap, sshd without passwords, metrics on the private network.

use marg_model::{Blueprint, RoleSchema, Setting, SettingKind, SettingValue};
use marg_resources::kinds::{
    Block, Command, Directory, File, Link, Package, Service, SshdConfig, Swap, Sysctl,
};
use marg_resources::{
    Check, Context, Notice, Notify, Opening, Peer, Resource, Role, RoleError, quote,
};
use serde::Serialize;

use crate::render::{Template, template, trusted};
use crate::{hardening, network};

const HOSTS: Template = template!("base", "templates/hosts");
const UPGRADES: Template = template!("base", "templates/upgrades");
const SSHD: Template = template!("base", "templates/sshd.conf");
const NODE_EXPORTER: Template = template!("base", "templates/node-exporter");

const PACKAGES: [&str; 6] = [
    "ca-certificates",
    "curl",
    "logrotate",
    "prometheus-node-exporter",
    "tzdata",
    "unattended-upgrades",
];

/// Droplets up to this size get swap.
const SMALL_MIB: u64 = 2048;
const SWAP_MIB: u64 = 1024;

/// The role.
pub struct Base;

impl Role for Base {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "base",
            doc: "What every host has: names, time zone, security upgrades, swap, sshd, metrics.",
            settings: &[
                Setting {
                    name: "packages",
                    kind: SettingKind::List,
                    default: "none",
                    doc: "Further packages for every host.",
                },
                Setting {
                    name: "swap_mib",
                    kind: SettingKind::Integer,
                    default: "1024 on droplets of up to 2 GB, else 0",
                    doc: "Size of the swap file in MiB; 0 for none.",
                },
                Setting {
                    name: "automatic_upgrades",
                    kind: SettingKind::Bool,
                    default: "true",
                    doc: "Whether security fixes are installed every day.",
                },
            ],
        }
    }

    fn openings(&self, _blueprint: &Blueprint) -> Vec<Opening> {
        vec![Opening {
            port: 22,
            from: Peer::Operators,
        }]
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let mut resources = swap(context);
        resources.extend(packages(context));
        resources.extend(names(context)?);
        resources.extend(services(context)?);
        resources.push(Link::new("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC").into());
        resources.extend(upgrades(context)?);
        resources.extend(restarts());
        resources.extend(journal());
        // Services may bind to the private address before the network is up at boot.
        resources.push(Sysctl::new("net.ipv4.ip_nonlocal_bind", "1").into());
        // What one user plants in a folder of everybody's leads no other user astray.
        let planted = ["hardlinks", "symlinks", "fifos", "regular"];
        resources
            .extend(planted.map(|what| Sysctl::new(format!("fs.protected_{what}"), "1").into()));
        resources.extend(metrics(context)?);
        // Last: the firewall's guarded changes follow and share its timer.
        resources.push(SshdConfig::new(SSHD.render(())?).into());
        Ok(resources)
    }

    fn checks(&self, context: &Context) -> Vec<Check> {
        let Some(address) = context.machine.private.known() else {
            return Vec::new();
        };
        vec![Check {
            name: format!("metrics answer on {address}:9100"),
            script: format!("curl -sS -f -o /dev/null --max-time 5 http://{address}:9100/metrics"),
            deadline_seconds: 30,
        }]
    }
}

fn swap(context: &Context) -> Vec<Resource> {
    let computed = if context.machine.memory_mib <= SMALL_MIB {
        SWAP_MIB
    } else {
        0
    };
    match context.integer("base", "swap_mib").unwrap_or(computed) {
        0 => Vec::new(),
        mib => vec![
            Swap::new("/swapfile", mib).into(),
            // Swap is for emergencies; a worker that waits for its disk helps nobody.
            Sysctl::new("vm.swappiness", "10").into(),
        ],
    }
}

fn packages(context: &Context) -> Vec<Resource> {
    let more = match context.setting("base", "packages") {
        Some(SettingValue::List(names)) => names.as_slice(),
        _ => &[],
    };
    let own = PACKAGES.iter().map(ToString::to_string);
    own.chain(more.iter().cloned())
        .map(|name| Package::new(name).into())
        .collect()
}

/// A line of `/etc/hosts`.
#[derive(Serialize)]
pub struct Row {
    /// Address.
    pub address: minijinja::Value,
    /// Names, the full one first.
    pub names: Vec<String>,
}

#[derive(Serialize)]
struct Values {
    rows: Vec<Row>,
}

/// The host's own name, and everybody's in `/etc/hosts`: DigitalOcean has no private DNS.
fn names(context: &Context) -> Result<Vec<Resource>, RoleError> {
    let name = &context.host.name;
    let rows = rows(context);
    let set = format!("hostname {}", quote(name));
    let is_set = format!("read -r name < /proc/sys/kernel/hostname && [ \"$name\" = {name} ]");
    Ok(vec![
        File::new("/etc/hostname", format!("{name}\n")).into(),
        Command::new("hostname", set).unless(is_set).into(),
        Block::new("/etc/hosts", "fleet", HOSTS.render(Values { rows })?).into(),
    ])
}

/// The block with the services' own names: where they lead to depends on the phase. Nobody but
/// the applications' hosts asks for them where a proxy follows the primaries; there the role
/// `proxy` writes it, after the proxy runs.
fn services(context: &Context) -> Result<Option<Resource>, RoleError> {
    if context.host.has_role("proxy") {
        return Ok(None);
    }
    let rows = match context.blueprint().with_role("proxy").next() {
        Some(_) => Vec::new(),
        None => service_rows(context),
    };
    service_block(rows).map(Some)
}

/// The block itself.
pub fn service_block(rows: Vec<Row>) -> Result<Resource, RoleError> {
    let text = HOSTS.render(Values { rows })?;
    Ok(Block::new("/etc/hosts", "services", text).into())
}

fn rows(context: &Context) -> Vec<Row> {
    let (fleet, blueprint) = (context.fleet, context.blueprint());
    let hosts = blueprint.hosts.iter().map(|host| Row {
        address: trusted(network::private(fleet, host)),
        names: vec![network::internal(blueprint, &host.name), host.name.clone()],
    });
    hosts.collect()
}

fn service_rows(context: &Context) -> Vec<Row> {
    let (fleet, blueprint) = (context.fleet, context.blueprint());
    let services = blueprint.phase.groups.iter().filter_map(|group| {
        let first = blueprint
            .hosts
            .iter()
            .find(|host| host.group == group.name)?;
        let address = if network::is_single(blueprint) {
            trusted("127.0.0.1")
        } else {
            trusted(network::private(fleet, first))
        };
        let names = group.names.iter();
        let names: Vec<String> = names
            .map(|name| network::internal(blueprint, name))
            .collect();
        (!names.is_empty()).then_some(Row { address, names })
    });
    services.collect()
}

fn upgrades(context: &Context) -> Result<Vec<Resource>, RoleError> {
    #[derive(Serialize)]
    struct Values {
        daily: u8,
    }
    let daily = context.flag("base", "automatic_upgrades").unwrap_or(true);
    let text = UPGRADES.render(Values {
        daily: u8::from(daily),
    })?;
    // Read after the distribution's own 20auto-upgrades and 50unattended-upgrades.
    let mut resources = vec![File::new("/etc/apt/apt.conf.d/60marg-upgrades", text).into()];
    if daily {
        resources.push(Service::running("apt-daily.timer").into());
        resources.push(Service::running("apt-daily-upgrade.timer").into());
    }
    Ok(resources)
}

/// Services restart when marg says so, or their own packages: not because some library is newer.
/// Debian has no needrestart by itself; Ubuntu's image has, and restarts what it likes.
fn restarts() -> [Resource; 3] {
    let text = "# Made by marg: needrestart only lists.\n$nrconf{restart} = 'l';\n";
    [
        Directory::new("/etc/needrestart").into(),
        Directory::new("/etc/needrestart/conf.d").into(),
        File::new("/etc/needrestart/conf.d/60-marg.conf", text).into(),
    ]
}

/// What the journal may take of the disk and, as long as it is in memory, of that.
fn journal() -> [Resource; 3] {
    const FOLDER: &str = "/etc/systemd/journald.conf.d";
    const UNIT: &str = "systemd-journald";
    let text = "# Made by marg.\n[Journal]\nSystemMaxUse=500M\nRuntimeMaxUse=50M\n";
    [
        Directory::new(FOLDER).into(),
        File::new(format!("{FOLDER}/60-marg.conf"), text).notify(Notice::restart(UNIT)),
        Service::running(UNIT).into(),
    ]
}

fn metrics(context: &Context) -> Result<Vec<Resource>, RoleError> {
    #[derive(Serialize)]
    struct Values {
        address: minijinja::Value,
    }
    const UNIT: &str = "prometheus-node-exporter";
    let address = trusted(&context.machine.private);
    let text = NODE_EXPORTER.render(Values { address })?;
    let file = File::new("/etc/default/prometheus-node-exporter", text);
    let mut resources = vec![file.notify(Notice::restart(UNIT))];
    resources.extend(hardening::Service::NodeExporter.drop_in(UNIT));
    resources.push(Service::running(UNIT).into());
    Ok(resources)
}
