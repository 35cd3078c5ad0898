//! `keepalived`: balancers that hand the entry address to each other. They agree by VRRP who is
//! master; the master has the reserved address assigned to itself by the cloud's API.
//!
//! DigitalOcean's firewalls know only TCP, UDP and ICMP and drop everything else, also within a
//! VPC. VRRP is neither, so it travels in a tunnel (VXLAN, which is UDP) between the balancers.

use marg_model::{Address, Blueprint, Host, RoleSchema, Secret, SecretKind, SecretSpec};
use marg_resources::kinds::{Command, Directory, File, Package, Service, Timer, User};
use marg_resources::{
    Check, Context, Notice, Notify, OtherOpening, Peer, Resource, Role, RoleError, Shell,
    Validator, quote,
};
use minijinja::Value;
use serde::Serialize;

use crate::network;
use crate::render::{Template, template, trusted};

const MAIN: Template = template!("keepalived", "templates/keepalived.conf");
const SECRET: Template = template!("keepalived", "templates/authentication.conf");
const SETTINGS: Template = template!("keepalived", "templates/settings.sh");
const LINK_UNIT: &str = include_str!("templates/marg-vrrp-link.service");
const ORDER: &str = include_str!("templates/keepalived.service");
const LINK: &str = include_str!("templates/marg-vrrp-link");
const ENTRY: &str = include_str!("templates/marg-entry");

/// Name of the secret that may reassign the entry address, and nothing else.
pub const TOKEN: &str = "entry_token";
const PASSWORD: &str = "vrrp_password";
/// Who runs the checks and holds the token.
const USER: &str = "keepalived_script";
const TOKEN_FILE: &str = "/etc/keepalived/entry-token";
/// The port of VXLAN.
const TUNNEL_PORT: u16 = 4789;
/// Addresses within the tunnel: link-local, so they collide with nobody's.
const TUNNEL: &str = "169.254.112.0/24";
/// Within the tunnel the master's.
const MASTER: &str = "169.254.112.250";
const ORDER_FILE: &str = "/etc/systemd/system/keepalived.service.d/marg.conf";
const LINK_FILE: &str = "/etc/systemd/system/marg-vrrp-link.service";

/// The role.
pub struct Keepalived;

impl Role for Keepalived {
    fn schema(&self) -> RoleSchema {
        RoleSchema {
            name: "keepalived",
            doc: "Hands the entry address from balancer to balancer: whoever serves has it.",
            settings: &[],
        }
    }

    fn secrets(&self, blueprint: &Blueprint) -> Vec<SecretSpec> {
        if blueprint.with_role("keepalived").next().is_none() {
            return Vec::new();
        }
        let spec = |name: &str, kind| SecretSpec {
            name: name.to_owned(),
            kind,
        };
        vec![
            spec(TOKEN, SecretKind::Given),
            spec(PASSWORD, SecretKind::Password),
        ]
    }

    fn other_openings(&self, _blueprint: &Blueprint) -> Vec<OtherOpening> {
        vec![
            OtherOpening::Udp {
                port: TUNNEL_PORT,
                from: Peer::Role("keepalived"),
            },
            OtherOpening::Vrrp { from: TUNNEL },
        ]
    }

    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError> {
        let mut resources: Vec<Resource> = vec![
            Package::new("keepalived").into(),
            Package::new("curl").into(),
            Package::new("jq").into(),
            // Earlier versions made it as it is now, and did not write that down.
            User::system(USER).formerly("/nonexistent").into(),
            Directory::new("/var/lib/marg-entry")
                .owner(USER, USER)
                .into(),
        ];
        resources.extend(entry(context)?);
        resources.extend(link(context)?);
        resources.push(authentication(context)?);
        resources.push(
            File::new("/etc/keepalived/keepalived.conf", main(context)?)
                .validate(Validator::new(
                    "keepalived -t -f /etc/keepalived/keepalived.conf",
                ))
                .notify(Notice::reload("keepalived")),
        );
        resources.push(Service::running("keepalived").into());
        resources.push(
            Timer::new("marg-entry")
                .calendar("*-*-* *:*:00/30")
                .command("/usr/local/sbin/marg-entry keep")
                .user(USER)
                .into(),
        );
        Ok(resources)
    }

    fn leftovers(&self, context: &Context) -> Vec<Resource> {
        if !context.host.has_role("haproxy") {
            return Vec::new();
        }
        vec![
            Timer::absent("marg-entry").into(),
            Service::stopped("keepalived").into(),
            Service::stopped("marg-vrrp-link").into(),
            File::absent(TOKEN_FILE).into(),
        ]
    }

    fn quiet(&self, _context: &Context) -> Option<Shell> {
        Some(Shell::new("systemctl stop marg-entry.timer keepalived\n"))
    }

    fn checks(&self, _context: &Context) -> Vec<Check> {
        vec![Check {
            name: "the entry address leads to a balancer".to_owned(),
            script: "/usr/local/sbin/marg-entry settled".to_owned(),
            deadline_seconds: 60,
        }]
    }
}

/// The balancers that hand the address to each other, this one included; also those that go.
fn balancers<'a>(context: &Context<'a>) -> impl Iterator<Item = &'a Host> + use<'a> {
    let hosts = context.fleet.peers();
    hosts.filter(|host| host.has_role("keepalived"))
}

fn others<'a>(context: &Context<'a>) -> Vec<&'a Host> {
    let own = &context.host.name;
    balancers(context)
        .filter(|host| host.name != *own)
        .collect()
}

/// A host's address within the tunnel: by the number in its name, which stays.
fn inner(host: &Host) -> String {
    format!("169.254.112.{}", number(host))
}

fn number(host: &Host) -> u8 {
    let digits = host.name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|n| (1..=240).contains(n))
        .unwrap_or(240)
}

/// What checks this host and takes the address, and the token for it.
fn entry(context: &Context) -> Result<[Resource; 3], RoleError> {
    #[derive(Serialize)]
    struct Values {
        api: Value,
        address: Value,
        droplet: Value,
        fellows: Value,
        web: Value,
    }
    let shell = |text: &str| trusted(quote(text));
    let list = |texts: Vec<String>| shell(&texts.join(" "));
    let droplet = context.machine.droplet;
    let web = context.blueprint().with_role("nginx");
    let settings = SETTINGS.render(Values {
        api: shell(api(context)),
        address: shell(&context.fleet.entry.to_string()),
        droplet: shell(&droplet.map_or("<its droplet>".to_owned(), |id| id.to_string())),
        fellows: list(others(context).into_iter().map(inner).collect()),
        web: list(
            web.map(|host| network::private(context.fleet, host).to_string())
                .collect(),
        ),
    })?;
    let token = context.secret(TOKEN)?.expose();
    // curl reads it from the file: it never stands on a command line.
    let header = Secret::new(format!("Authorization: Bearer {token}\n"));
    Ok([
        File::secret(TOKEN_FILE, header)
            .mode(0o600)
            .owner(USER, USER)
            .into(),
        File::new("/etc/keepalived/entry.sh", settings).into(),
        File::new("/usr/local/sbin/marg-entry", ENTRY)
            .mode(0o755)
            .into(),
    ])
}

fn api<'a>(context: &Context<'a>) -> &'a str {
    let url = context.fleet.api_url.as_deref();
    url.unwrap_or("https://api.digitalocean.com")
        .trim_end_matches('/')
}

/// The tunnel between the balancers.
fn link(context: &Context) -> Result<Vec<Resource>, RoleError> {
    let address = |host| network::private(context.fleet, host).to_string();
    let peers: Vec<String> = others(context).into_iter().map(address).collect();
    let own = match &context.machine.private {
        Address::Known(address) => address.to_string(),
        pending => pending.to_string(),
    };
    let settings = format!(
        "# Made by marg; changes here are lost.\nOWN={}\nINNER={}\nPEERS={}\n",
        quote(&own),
        quote(&inner(context.host)),
        quote(&peers.join(" ")),
    );
    let watched = [
        "file /etc/keepalived/link.sh",
        "file /usr/local/sbin/marg-vrrp-link",
        &format!("file {LINK_FILE}"),
    ]
    .map(str::to_owned);
    Ok(vec![
        File::new("/etc/keepalived/link.sh", settings).into(),
        File::new("/usr/local/sbin/marg-vrrp-link", LINK)
            .mode(0o755)
            .into(),
        File::new(LINK_FILE, LINK_UNIT).into(),
        Directory::new("/etc/systemd/system/keepalived.service.d").into(),
        File::new(ORDER_FILE, ORDER).into(),
        Command::new(
            "the balancers' tunnel is up",
            "read_units && systemctl enable marg-vrrp-link.service && \
             systemctl start marg-vrrp-link.service && /usr/local/sbin/marg-vrrp-link up",
        )
        .unless("/usr/local/sbin/marg-vrrp-link is-up")
        .watch(watched)
        .into(),
    ])
}

/// The password, of which VRRP takes eight characters, in a file that only root reads.
fn authentication(context: &Context) -> Result<Resource, RoleError> {
    #[derive(Serialize)]
    struct Values {
        password: String,
    }
    let secret = context.secret(PASSWORD)?.expose();
    let plain = secret.chars().filter(char::is_ascii_alphanumeric);
    let text = SECRET.render(Values {
        password: plain.take(8).collect(),
    })?;
    Ok(
        File::secret("/etc/keepalived/authentication.conf", Secret::new(text))
            .notify(Notice::reload("keepalived")),
    )
}

fn main(context: &Context) -> Result<String, RoleError> {
    #[derive(Serialize)]
    struct Values<'a> {
        name: &'a str,
        user: &'static str,
        own: String,
        priority: u8,
        peers: Vec<String>,
        r#virtual: &'static str,
    }
    MAIN.render(Values {
        name: &context.host.name,
        user: USER,
        own: inner(context.host),
        // Who has it keeps it; priorities only decide when nobody has it.
        priority: 200_u8.saturating_sub(number(context.host)).max(1),
        peers: others(context).into_iter().map(inner).collect(),
        r#virtual: MASTER,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::World;

    #[test]
    fn a_balancer_that_is_alone_names_nobody() {
        let mut world = World::new(4);
        let text = |world: &World| {
            let context = world.context("lb1", "debian-13");
            format!("{:?}", Keepalived.resources(&context).unwrap())
        };
        assert!(text(&world).contains("unicast_peer"));
        // keepalived refuses the word without a peer.
        world
            .fleet
            .blueprint
            .hosts
            .retain(|host| host.name != "lb2");
        assert!(!text(&world).contains("unicast"));
    }
}
