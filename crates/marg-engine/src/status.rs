//! How the fleet is, at one look.

mod leaders;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use futures_util::future::join_all;
use marg_model::{Blueprint, Host, Machine};
use marg_resources::quote::quote_all;
use marg_resources::section;
use serde::Serialize;

use crate::deploy::live;
use crate::desired::{Desired, promised, running_units};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::HostError;
use crate::host::link::{Link, Place};
use crate::host::talk::Lock;
use crate::leaders::{Replicated, replicated};
use crate::plan::invented;
use marg_resources::{Answer, HostAnswer};

pub use leaders::Led;
use leaders::{Said, lag, led};

/// A whole environment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FleetStatus {
    /// Its name.
    pub environment: String,
    /// Number of the phase that was looked for.
    pub phase: u8,
    /// The public entry address.
    pub entry: Option<Ipv4Addr>,
    /// Host to which it leads now.
    pub entry_at: Option<String>,
    /// Who leads the services that several hosts replicate.
    pub leaders: Vec<Led>,
    /// Every host of the blueprint, then those on their way out.
    pub hosts: Vec<HostStatus>,
}

/// One host.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HostStatus {
    /// Name.
    pub name: String,
    /// Group.
    pub group: String,
    /// Roles in order.
    pub roles: Vec<String>,
    /// Droplet id; absent before it is created.
    pub droplet_id: Option<u64>,
    /// Its own public address.
    pub public_ip: Option<Ipv4Addr>,
    /// Its private address.
    pub private_ip: Option<Ipv4Addr>,
    /// Whether it answers over SSH.
    pub reachable: bool,
    /// Why it does not.
    pub error: Option<String>,
    /// Load average of the last minute.
    pub load: Option<f64>,
    /// Memory in use, in MiB.
    pub memory_used_mib: Option<u64>,
    /// Memory, in MiB.
    pub memory_total_mib: Option<u64>,
    /// Root file system in use, in percent.
    pub disk_used_percent: Option<u8>,
    /// Seconds since boot.
    pub uptime_seconds: Option<u64>,
    /// systemd units of its roles and whether they run.
    pub services: BTreeMap<String, bool>,
    /// Live release of each application.
    pub releases: BTreeMap<String, String>,
    /// Replicated services that it leads.
    pub leads: Vec<String>,
    /// Seconds that it is behind the host that leads, by replicated service.
    pub lag_seconds: BTreeMap<String, u64>,
    /// Hosts to which it, a balancer, sends no requests because somebody has taken them out: `drain`
    /// or `maint` by name.
    pub taken_out: BTreeMap<String, String>,
    /// Whether the blueprint no longer has it: it finishes its work and goes.
    pub leaving: bool,
}

impl Engine {
    /// Asks every host, side by side. A host that does not answer is part of the status, not an
    /// error.
    pub async fn status(&self, blueprint: &Blueprint) -> Result<FleetStatus, EngineError> {
        let situation = self.machines(blueprint).await?;
        let fleet = situation.fleet(blueprint);
        // Looking makes none: a version before this one may have needed fewer.
        let secrets = invented(blueprint, self.roles(), self.vault().secrets()?);
        let desired = Desired {
            fleet: &fleet,
            roles: self.roles(),
            secrets: &secrets,
        };
        let services = replicated(&fleet, self.roles());
        let looks = fleet.peers().filter_map(|host| {
            let machine = fleet.machine(&host.name)?;
            Some(self.host_status(&desired, &services, host, machine))
        });
        let (mut hosts, said): (Vec<_>, BTreeMap<_, _>) = join_all(looks)
            .await
            .into_iter()
            .map(|(status, said)| {
                let name = status.name.clone();
                (status, (name, said))
            })
            .unzip();
        let leaders = services.iter().map(|service| led(service, &fleet, &said));
        let leaders: Vec<Led> = leaders.collect();
        for host in &mut hosts {
            let led = leaders.iter();
            let led = led.filter(|led| led.leader.as_deref() == Some(host.name.as_str()));
            host.leads = led.map(|led| led.service.clone()).collect();
        }
        Ok(FleetStatus {
            environment: blueprint.environment.name.clone(),
            phase: blueprint.phase.number,
            entry: fleet.entry.known(),
            entry_at: fleet.entry_at.clone(),
            leaders,
            hosts,
        })
    }

    async fn host_status(
        &self,
        desired: &Desired<'_>,
        services: &[Replicated],
        host: &Host,
        machine: &Machine,
    ) -> (HostStatus, Said) {
        let mut status = HostStatus {
            name: host.name.clone(),
            group: host.group.clone(),
            roles: host.roles.clone(),
            droplet_id: machine.droplet,
            public_ip: machine.public.known(),
            private_ip: machine.private.known(),
            leaving: desired.fleet.blueprint.host(&host.name).is_none(),
            ..HostStatus::default()
        };
        let own = || services.iter().filter(|service| service.has(&host.name));
        let asked = self.ask_status(desired, own(), host, machine).await;
        let (answer, said) = match asked {
            Ok((answer, said, taken_out)) => {
                // A balancer that hangs is still a host that answers.
                match taken_out {
                    Ok(taken_out) => status.taken_out = taken_out,
                    Err(error) => status.error = Some(error.to_string()),
                }
                (answer, said)
            }
            Err(error) => {
                status.error = Some(error.to_string());
                let silent = own().map(|service| (service.of(), Ok(HostAnswer::Silent)));
                let nobody = machine.droplet.is_none();
                let said = if nobody {
                    Said::new()
                } else {
                    silent.collect()
                };
                return (status, said);
            }
        };
        match fill(&mut status, &answer) {
            Ok(()) => status.reachable = true,
            Err(error) => status.error = Some(error.to_string()),
        }
        let lags = said.iter();
        let lags =
            lags.filter_map(|(of, answer)| Some(((*of).to_owned(), lag(answer.as_ref().ok()?)?)));
        status.lag_seconds = lags.collect();
        (status, said)
    }

    async fn ask_status<'s>(
        &self,
        desired: &Desired<'_>,
        services: impl Iterator<Item = &'s Replicated>,
        host: &Host,
        machine: &Machine,
    ) -> Result<(Answer, Said, TakenOut), EngineError> {
        let Some(address) = machine.public.known() else {
            return Err(EngineError::NoMachine {
                host: host.name.clone(),
            });
        };
        let distro = promised(host)?;
        let units = running_units(&desired.resources(host, machine, distro)?);
        let blueprint = &desired.fleet.blueprint;
        let place = Place {
            host: &host.name,
            address,
        };
        let mut link = Link::open(self, blueprint, place, &Lock::None).await?;
        let script = question(&units) + &live::section(&blueprint.apps);
        let answer = link.probe(&script).await?;
        let mut said = Said::new();
        for service in services {
            said.insert(service.of(), service.ask(desired, &mut link).await);
        }
        let traffic = desired.roles_of(host).find_map(|role| role.traffic());
        let taken_out = match traffic {
            None => Ok(BTreeMap::new()),
            Some(traffic) => {
                let context = desired.context(host, machine, distro);
                let question = (traffic.taken_out)(&context).reveal();
                let told = link.talk.look(question.expose()).await;
                told.map(|told| pairs(&told))
            }
        };
        link.session.close().await;
        Ok((answer, said, taken_out))
    }
}

/// Hosts that a balancer sends no requests, or why it cannot say.
type TakenOut = Result<BTreeMap<String, String>, HostError>;

/// `http1 drain` on each line.
fn pairs(lines: &str) -> BTreeMap<String, String> {
    let pairs = lines.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(name, state)| (name.to_owned(), state.to_owned()))
        .collect()
}

fn question(units: &[String]) -> String {
    let part = format!(
        "export LC_ALL=C\n\
         read -r load _ < /proc/loadavg; echo \"load $load\"\n\
         read -r up _ < /proc/uptime; echo \"uptime ${{up%.*}}\"\n\
         while read -r key value _; do case $key in\n\
         MemTotal:) echo \"memory_total $value\" ;; MemAvailable:) echo \"memory_free $value\" ;;\n\
         esac; done < /proc/meminfo\n\
         df --output=pcent / | tail -n 1 | tr -d ' %' | sed 's/^/disk /'\n\
         for unit in {units}; do\n\
         systemctl -q is-active \"$unit\" && echo \"service yes $unit\" || echo \"service no $unit\"\n\
         done\n\
         :",
        units = quote_all(units),
    );
    section("status", &part)
}

fn fill(status: &mut HostStatus, answer: &Answer) -> Result<(), marg_resources::Misread> {
    let misread = |line: &str| marg_resources::Misread::Line {
        kind: "status".to_owned(),
        line: line.to_owned(),
    };
    let mut free_kib = 0;
    for line in answer.section("status")? {
        let (key, value) = line.split_once(' ').ok_or_else(|| misread(line))?;
        let number = || value.parse::<u64>().map_err(|_| misread(line));
        match key {
            "load" => status.load = Some(value.parse().map_err(|_| misread(line))?),
            "uptime" => status.uptime_seconds = Some(number()?),
            "memory_total" => status.memory_total_mib = Some(number()? / 1024),
            "memory_free" => free_kib = number()?,
            "disk" => status.disk_used_percent = Some(value.parse().map_err(|_| misread(line))?),
            "service" => {
                let (state, unit) = value.split_once(' ').ok_or_else(|| misread(line))?;
                status.services.insert(unit.to_owned(), state == "yes");
            }
            _ => return Err(misread(line)),
        }
    }
    status.memory_used_mib = status
        .memory_total_mib
        .map(|total| total.saturating_sub(free_kib / 1024));
    status.releases = live::read(answer)?;
    Ok(())
}
