//! The contract of a role: a pure function from a host in its fleet to resources.

use std::collections::BTreeMap;
use std::time::Duration;

use marg_model::{
    App, Blueprint, Distro, Fleet, Host, Machine, RoleSchema, Secret, SecretSpec, Secrets,
    SettingValue,
};
use thiserror::Error;

use crate::kind::Resource;
use crate::promotion::Promotion;
use crate::script::Shell;

/// One role. Registered by one line in the registry of the roles' crate.
pub trait Role: Sync {
    /// Name, one sentence, and the settings that an inventory may give.
    fn schema(&self) -> RoleSchema;

    /// Secrets that hosts of this role need; made when they are missing.
    fn secrets(&self, _blueprint: &Blueprint) -> Vec<SecretSpec> {
        Vec::new()
    }

    /// Ports that hosts of this role open, and to whom. The host's own firewall and
    /// DigitalOcean's are both made from this one list.
    fn openings(&self, _blueprint: &Blueprint) -> Vec<Opening> {
        Vec::new()
    }

    /// What hosts of this role open beside TCP ports.
    fn other_openings(&self, _blueprint: &Blueprint) -> Vec<OtherOpening> {
        Vec::new()
    }

    /// What the host should be.
    fn resources(&self, context: &Context) -> Result<Vec<Resource>, RoleError>;

    /// How this role's hosts tell which of them leads. Only for roles that replicate; the hosts
    /// are asked before anything is planned for them.
    fn leadership(&self) -> Option<Leadership> {
        None
    }

    /// How another of this role's hosts is made to lead. Only for roles where the operator decides
    /// it.
    fn promotion(&self) -> Option<Promotion> {
        None
    }

    /// How this role's hosts take another host out of the traffic and put it back. Only for roles
    /// that hand on visitors' requests; each of their hosts is asked.
    fn traffic(&self) -> Option<Traffic> {
        None
    }

    /// How this role's data moves to a host that has none of it. Only for roles that keep data.
    fn handover(&self) -> Option<Handover> {
        None
    }

    /// What stops a host from changing data that is being handed over: the applications say that
    /// they are away for a moment, workers and timers end. A script without secrets.
    fn quiet(&self, _context: &Context) -> Option<Shell> {
        None
    }

    /// Takes back what [`Role::quiet`] did, when the data could not be handed over.
    fn wake(&self, _context: &Context) -> Option<Shell> {
        None
    }

    /// What a host does before it is destroyed: jobs are finished, visitors are let go. A script
    /// without secrets; the host no longer gets new work when it runs.
    fn farewell(&self, _context: &Context) -> Option<Shell> {
        None
    }

    /// How a host that no longer has this role goes on without its fellows, said when the last of
    /// them are about to leave. What it stands for is taken away with the leftovers when they are
    /// gone. A script without secrets; it may be run again.
    fn detach(&self, _context: &Context) -> Option<Shell> {
        None
    }

    /// What is taken away from hosts of the fleet that do not have this role, and may have had
    /// it in another phase.
    fn leftovers(&self, _context: &Context) -> Vec<Resource> {
        Vec::new()
    }

    /// What an earlier version of marg left on this role's hosts, and others may still use. Only for
    /// roles whose form has changed in such a way.
    fn earlier(&self) -> Option<Earlier> {
        None
    }

    /// Whether the role works, asked after a change.
    fn checks(&self, _context: &Context) -> Vec<Check> {
        Vec::new()
    }
}

/// A port and who may reach it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// TCP port.
    pub port: u16,
    /// Who may connect.
    pub from: Peer,
}

/// What is open beside TCP ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherOpening {
    /// A UDP port.
    Udp {
        /// The port.
        port: u16,
        /// Who may send.
        from: Peer,
    },
    /// VRRP that arrives through a tunnel between the hosts. DigitalOcean's firewalls know only
    /// TCP, UDP and ICMP: they see the tunnel, and would drop VRRP itself.
    Vrrp {
        /// The network within the tunnel, for example `169.254.112.0/24`.
        from: &'static str,
    },
}

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Everyone.
    Internet,
    /// Everyone, while the entry address leads to this host: on the way from one phase to another
    /// visitors still arrive here.
    Entry,
    /// The inventory's `ssh_from` networks.
    Operators,
    /// Hosts with that role, by their private addresses; those on their way out included.
    Role(&'static str),
    /// Hosts of the fleet, by their private addresses.
    Fleet,
}

/// How the hosts of a replicated role tell who leads.
pub struct Leadership {
    /// The service that is led, as [`Fleet::leaders`] names it: `redis`, `mysql`.
    pub of: &'static str,
    /// A script without secrets that prints what this host knows, also when the service is not
    /// installed yet, and ends with status 0.
    pub question: fn(&Context) -> String,
    /// Decides from what was printed. Pure.
    pub decide: fn(&Fleet, &HostAnswers) -> Result<Option<String>, RoleError>,
}

/// What the hosts of a replicated role said, by name.
pub type HostAnswers = BTreeMap<String, HostAnswer>;

/// What a host of a replicated role said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostAnswer {
    /// What it printed.
    Said(String),
    /// Its machine does not exist yet.
    NotThere,
    /// Its machine exists and does not answer.
    Silent,
}

/// How a balancer takes a host out of the traffic and puts it back. The context is the
/// balancer's, the host is the one that goes or comes, and `None` means all its applications.
/// Each function gives a script without secrets that runs on the balancer, says on standard output
/// what it found, and may be run again at any time.
#[derive(Clone, Copy)]
pub struct Traffic {
    /// Sends the host no new requests, and waits until those that it has are answered. Ends with
    /// status 0 when it has none left, [`Traffic::LEFT_IN`] or [`Traffic::BUSY`], and with any
    /// other when the balancer could not be told.
    pub drain: fn(&Context, &Host, Option<&App>) -> Shell,
    /// Sends the host requests again, and waits until its health check succeeds. Ends with status
    /// 0 when it serves, [`Traffic::NOT_UP`], and with any other when the balancer could not be
    /// told. Also what lets a new host's first requests in.
    pub ready: fn(&Context, &Host, Option<&App>) -> Shell,
    /// Prints a line `HOST STATE` (`http2 drain`) for each host that gets no requests because
    /// somebody has taken it out; nothing where the balancer does not run yet.
    pub taken_out: fn(&Context) -> Shell,
    /// How long `drain` and `ready` may take for that host, at most.
    pub patience: fn(&Context, &Host) -> Duration,
}

impl Traffic {
    /// Status of a drain that did nothing, because no other host could serve meanwhile.
    pub const LEFT_IN: i32 = 3;
    /// Status of a drain whose host gets no new requests and still had old ones at the deadline.
    pub const BUSY: i32 = 4;
    /// Status of a `ready` whose host is let in, but whose health check still failed at the
    /// deadline; it gets requests as soon as the check succeeds.
    pub const NOT_UP: i32 = 5;
}

/// How data moves from one host to another, while nobody changes it.
#[derive(Clone, Copy)]
pub struct Handover {
    /// What it is, for people: `sessions and queued jobs`.
    pub what: &'static str,
    /// Runs on the host that has the data and prints it, whole, on standard output. Without
    /// secrets, since commands can be seen there.
    pub export: fn(&Context) -> String,
    /// Runs on the host that gets it; the data lies in the file of that path, and what was there
    /// before is replaced. May be run again.
    pub import: fn(&Context, path: &str) -> Shell,
}

/// What an earlier version of marg made on a role's hosts and others may still use. A host that has it
/// keeps it ([`EarlierForm::Kept`](marg_model::EarlierForm)) while everything else is made as it
/// should be; when nobody needs it any more, it goes in the same run.
#[derive(Clone, Copy)]
pub struct Earlier {
    /// What it is, for people.
    pub what: &'static str,
    /// Commands that end with status 0 on a host of the role that has it. They run in every probe, so
    /// they ask no other process.
    pub there: &'static str,
    /// What is open for it on hosts that have it.
    pub openings: fn() -> Vec<Opening>,
    /// Commands for any host that print who there still needs it, a sentence each on a line; asked
    /// when a host has it and everything else is as it should be. Without secrets.
    pub needed: fn(&Context) -> String,
}

/// A question that a host answers with exit status 0 when all is well. Asked again until the
/// deadline, because services need a moment to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked, for example `nginx answers on port 80`.
    pub name: String,
    /// Commands without secrets.
    pub script: String,
    /// Seconds until it counts as failed.
    pub deadline_seconds: u32,
}

/// Why a role cannot say what a host should be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RoleError {
    /// A secret is not there.
    #[error(
        "the secret `{name}` is missing; add it to secrets.toml of this environment or set \
         MARG_SECRET_{} for this run", name.to_uppercase()
    )]
    MissingSecret {
        /// Its name.
        name: String,
    },
    /// A template failed: an error in marg itself.
    #[error(
        "template {template} of role {role} cannot be rendered: {reason}; this is a bug in marg"
    )]
    Template {
        /// Role.
        role: &'static str,
        /// Template file.
        template: String,
        /// What the engine says.
        reason: String,
    },
    /// Several hosts claim to lead, or none that may be chosen.
    #[error("{of}: {message}")]
    Leader {
        /// The service.
        of: &'static str,
        /// Who says what, and what to do.
        message: String,
    },
    /// A setting cannot work on this host.
    #[error("{host}: {message}")]
    Setting {
        /// Host name.
        host: String,
        /// What is wrong and what to do.
        message: String,
    },
}

/// What a role may know.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// All hosts and their machines.
    pub fleet: &'a Fleet,
    /// This host.
    pub host: &'a Host,
    /// Its machine.
    pub machine: &'a Machine,
    /// What the host says it runs (before the first look: what its image promises).
    pub distro: &'static Distro,
    /// The environment's secrets.
    pub secrets: &'a Secrets,
    /// All roles, for those that speak about others (a firewall about openings).
    pub roles: &'a [&'a dyn Role],
}

impl<'a> Context<'a> {
    /// The blueprint behind the fleet.
    pub fn blueprint(&self) -> &'a Blueprint {
        &self.fleet.blueprint
    }

    /// A secret by name.
    pub fn secret(&self, name: &str) -> Result<&'a Secret, RoleError> {
        self.secrets
            .get(name)
            .ok_or_else(|| RoleError::MissingSecret {
                name: name.to_owned(),
            })
    }

    /// A setting of a role on this host, as the inventory gives it.
    pub fn setting(&self, role: &str, name: &str) -> Option<&'a SettingValue> {
        self.host
            .settings
            .get(role)
            .and_then(|settings| settings.get(name))
    }

    /// A whole number from the settings.
    pub fn integer(&self, role: &str, name: &str) -> Option<u64> {
        match self.setting(role, name) {
            Some(SettingValue::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// A text from the settings.
    pub fn text(&self, role: &str, name: &str) -> Option<&'a str> {
        match self.setting(role, name) {
            Some(SettingValue::Text(value)) => Some(value),
            _ => None,
        }
    }

    /// A truth value from the settings.
    pub fn flag(&self, role: &str, name: &str) -> Option<bool> {
        match self.setting(role, name) {
            Some(SettingValue::Bool(value)) => Some(*value),
            _ => None,
        }
    }
}
