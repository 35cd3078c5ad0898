//! Inventory × Phase, resolved and checked: every host by name. No addresses yet; pure.

use crate::distro::Distro;
use crate::inventory::{App, Database, DatabaseUser, Env, Environment, Settings};
use crate::phase::Phase;

/// Every host of an environment in a phase. Built by [`crate::resolve::blueprint`].
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// Name, place and domain.
    pub environment: Environment,
    /// The phase it was resolved with.
    pub phase: Phase,
    /// Hosts in the order of the phase's groups, then by number.
    pub hosts: Vec<Host>,
    /// Applications.
    pub apps: Vec<App>,
    /// Databases.
    pub databases: Vec<Database>,
    /// Database users.
    pub database_users: Vec<DatabaseUser>,
}

/// One host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Stable name: group and number, for example `http2`.
    pub name: String,
    /// Group.
    pub group: String,
    /// Number within the group, from 1.
    pub number: u16,
    /// Size slug.
    pub size: String,
    /// Image slug.
    pub image: String,
    /// Roles in order.
    pub roles: Vec<String>,
    /// Hosts (by name) that must be ready before this one's services can be checked.
    pub needs: Vec<String>,
    /// Whether it holds data that exists nowhere else.
    pub holds_data: bool,
    /// Settings of roles: inventory, group and host, merged.
    pub settings: Settings,
    /// Shared variables of the applications: inventory, group and host, merged. An app's own
    /// variables win over the inventory's; the group's and the host's win over the app's.
    pub env: HostEnv,
}

/// The layers of variables that meet on a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostEnv {
    /// From the inventory, for every application.
    pub shared: Env,
    /// From the group and the host, for every application on it; wins over everything.
    pub local: Env,
}

impl Host {
    /// Whether the host has that role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// The distribution that the image promises; the probe checks what the host really is.
    pub fn distro(&self) -> Option<&'static Distro> {
        Distro::by_image(&self.image)
    }
}

impl Blueprint {
    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// Hosts with that role, in order.
    pub fn with_role<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a Host> {
        self.hosts.iter().filter(move |host| host.has_role(role))
    }

    /// The host that holds the public entry address.
    pub fn entry(&self) -> Option<&Host> {
        self.hosts
            .iter()
            .find(|host| host.group == self.phase.entry)
    }

    /// The application of that name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name == name)
    }

    /// Tag that every droplet of this environment carries, and no other.
    pub fn tag(&self) -> String {
        format!("marg-env:{}", self.environment.name)
    }

    /// Tag of a group's droplets.
    pub fn group_tag(&self, group: &str) -> String {
        format!("marg-group:{}:{group}", self.environment.name)
    }

    /// Name of a host's droplet: `<environment>-<host>`.
    pub fn droplet_name(&self, host: &str) -> String {
        format!("{}-{host}", self.environment.name)
    }
}
