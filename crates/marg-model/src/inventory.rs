//! What the operator writes: `inventories/*.toml`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::schema::SettingValue;

/// One environment, as its operator wrote it. Built by [`crate::parse::inventory`].
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    /// Name, place and domain.
    pub environment: Environment,
    /// Applications in the order of the file.
    pub apps: Vec<App>,
    /// Databases to create; every app's own database is among them.
    pub databases: Vec<Database>,
    /// Database users and what they may use.
    pub database_users: Vec<DatabaseUser>,
    /// Variables that every application shares.
    pub env: Env,
    /// Settings of roles, for every host: role → setting → value.
    pub settings: Settings,
    /// Overrides per group: counts, sizes, settings, variables.
    pub groups: BTreeMap<String, GroupOverride>,
    /// Overrides per host.
    pub hosts: BTreeMap<String, HostOverride>,
    /// Overrides in one phase alone, by its number.
    pub phases: BTreeMap<u8, PhaseOverride>,
}

/// Name, place and domain of an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Lower-case letters, digits and dashes; part of every tag and droplet name.
    pub name: String,
    /// Phase that is meant when no `--phase` is given.
    pub phase: Option<u8>,
    /// DigitalOcean region slug.
    pub region: String,
    /// Image slug of every host that says nothing else.
    pub image: String,
    /// Public domain, for example `marg.test`.
    pub domain: String,
    /// Domain of the names that only the hosts know: `redis.<internal_domain>`.
    pub internal_domain: String,
    /// Networks that may reach port 22.
    pub ssh_from: Vec<String>,
    /// Private network of the VPC, for example `10.20.0.0/20`; DigitalOcean chooses when absent.
    pub vpc_range: Option<String>,
}

/// Role → setting → value.
pub type Settings = BTreeMap<String, BTreeMap<String, SettingValue>>;

/// Variables of an application's `.env`, by name.
pub type Env = BTreeMap<String, EnvValue>;

/// A variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// The text itself.
    Text(String),
    /// `{ secret = "name" }`: looked up in the environment's secrets.
    Secret(String),
}

/// One Laravel application.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Name in the inventory, for example `flow.marg`.
    pub name: String,
    /// Git repository: a URL or a path relative to the inventory file.
    pub repository: String,
    /// Folder of the application inside the repository; empty for its root.
    pub path: String,
    /// Branch, tag or commit that is deployed when no `--ref` is given.
    pub reference: String,
    /// Host names that lead to the application; the first one is its `APP_URL`.
    pub hostnames: Vec<String>,
    /// The application's own database.
    pub database: String,
    /// User of the database.
    pub database_user: String,
    /// Queue of its own; never shared with another application.
    pub queue: String,
    /// Port of its own instance of the cache. Made from its name, so that it stays whatever other
    /// applications come and go.
    pub cache_port: u16,
    /// Worker processes per worker host.
    pub workers: u16,
    /// Whether `artisan schedule:run` runs each minute (on one host of the fleet).
    pub schedule: bool,
    /// Path that answers 2xx when the application can serve.
    pub health: String,
    /// Commands that build a release, after `composer install`.
    pub build: Vec<String>,
    /// Largest upload, for example `20M`.
    pub upload_limit: String,
    /// Certificate and key on the host; HTTPS, redirect and HSTS are on when set.
    pub tls: Option<Tls>,
    /// Releases that are kept, the live one included.
    pub keep_releases: u16,
    /// What happens to the hosts that have a release already when it fails on a later one.
    pub on_failure: OnFailure,
    /// Commands that run once, in the new release, before it migrates the database.
    pub before: Vec<String>,
    /// Commands that run once, when the new release is live everywhere.
    pub after: Vec<String>,
    /// Variables of this application alone.
    pub env: Env,
}

impl App {
    /// Ports among which applications' caches are.
    pub const CACHE_PORTS: RangeInclusive<u16> = 6400..=7399;

    /// The port of an application's cache, unless the inventory says another.
    pub fn usual_cache_port(name: &str) -> u16 {
        let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let (first, last) = (*Self::CACHE_PORTS.start(), *Self::CACHE_PORTS.end());
        let place = hash % (u32::from(last - first) + 1);
        first + u16::try_from(place).unwrap_or_default()
    }

    /// Name for unix users, pools, units and files: `flow.marg` → `flow-marg`.
    pub fn slug(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }

    /// The account that builds its releases, a stranger to the application and to its secrets:
    /// `flow-marg-build`. Accounts have 32 letters at most;
    /// the end of a longer name gives way to a number that is made of all of it.
    pub fn build_user(&self) -> String {
        const LONGEST: usize = 32;
        let (slug, end) = (self.slug(), "-build");
        if slug.len() + end.len() <= LONGEST {
            return slug + end;
        }
        let number = slug.bytes().fold(0x811c_9dc5_u32, |number, byte| {
            (number ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let begin = slug.get(..LONGEST - end.len() - 9).unwrap_or_default();
        format!("{begin}-{number:08x}{end}")
    }

    /// Folder on the hosts, without a slash at the end.
    pub fn root(&self) -> String {
        format!("/var/www/{}", self.name)
    }

    /// Folder on the hosts that belongs to who builds, without a slash at the end.
    pub fn workshop(&self) -> String {
        format!("/var/lib/marg-build/{}", self.slug())
    }

    /// Folder on the hosts of what marg remembers of the application, its releases' archives
    /// included; only root may look into it.
    pub fn records(&self) -> String {
        format!("/var/lib/marg/apps/{}", self.slug())
    }

    /// Name of supervisor's program that works its queue.
    pub fn worker(&self) -> String {
        format!("{}-worker", self.slug())
    }
}

/// What happens to the hosts that have a release already when it fails on a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They keep it; the operator decides whether to go on or back.
    #[default]
    Stop,
    /// They go back to what they had.
    Rollback,
}

/// Certificate and key files on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Path of the certificate chain.
    pub certificate: String,
    /// Path of the private key.
    pub key: String,
}

/// A database to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Name, exactly as in SQL.
    pub name: String,
    /// Character set, `utf8mb4` unless told otherwise.
    pub charset: String,
    /// Collation, `utf8mb4_unicode_ci` unless told otherwise.
    pub collation: String,
}

/// A database user and the databases that it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseUser {
    /// Name, exactly as in SQL. Its password is the secret `db_password_<name>`.
    pub name: String,
    /// Databases on which it has all privileges.
    pub databases: Vec<String>,
}

/// What an inventory changes in a phase's group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupOverride {
    /// Number of hosts.
    pub count: Option<u16>,
    /// Size slug.
    pub size: Option<String>,
    /// Image slug.
    pub image: Option<String>,
    /// Settings of roles.
    pub settings: Settings,
    /// Variables of the applications on these hosts.
    pub env: Env,
}

/// What an inventory changes for one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostOverride {
    /// Size slug.
    pub size: Option<String>,
    /// Image slug.
    pub image: Option<String>,
    /// Settings of roles.
    pub settings: Settings,
    /// Variables of the applications on this host.
    pub env: Env,
}

/// What an inventory changes in one phase alone. It wins over [`GroupOverride`] there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseOverride {
    /// By group.
    pub groups: BTreeMap<String, GroupInPhase>,
}

/// How many hosts a group has in one phase, and how large they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupInPhase {
    /// Number of hosts.
    pub count: Option<u16>,
    /// Size slug.
    pub size: Option<String>,
}
