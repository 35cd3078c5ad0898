//! How the fleet is, at one look.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use futures_util::future::join_all;
use marg_model::{Blueprint, Host, Machine};
use marg_resources::kinds::State;
use marg_resources::quote::quote_all;
use serde::Serialize;

use crate::deploy::live;
use crate::desired::{Desired, promised};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::link::{Link, Place};
use crate::host::talk::Lock;
use marg_resources::Answer;

/// A whole environment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FleetStatus {
    /// Its name.
    pub environment: String,
    /// The public entry address.
    pub entry: Option<Ipv4Addr>,
    /// Every host of the blueprint.
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
}

impl Engine {
    /// Asks every host, side by side. A host that does not answer is part of the status, not an
    /// error.
    pub async fn status(&self, blueprint: &Blueprint) -> Result<FleetStatus, EngineError> {
        let situation = self.machines(blueprint).await?;
        let fleet = situation.fleet(blueprint);
        let secrets = self.vault().secrets()?;
        let desired = Desired {
            fleet: &fleet,
            roles: self.roles(),
            secrets: &secrets,
        };
        let hosts = fleet
            .hosts()
            .map(|(host, machine)| self.host_status(&desired, host, machine));
        Ok(FleetStatus {
            environment: blueprint.environment.name.clone(),
            entry: fleet.entry.known(),
            hosts: join_all(hosts).await,
        })
    }

    async fn host_status(
        &self,
        desired: &Desired<'_>,
        host: &Host,
        machine: &Machine,
    ) -> HostStatus {
        let mut status = HostStatus {
            name: host.name.clone(),
            group: host.group.clone(),
            roles: host.roles.clone(),
            droplet_id: machine.droplet,
            public_ip: machine.public.known(),
            private_ip: machine.private.known(),
            ..HostStatus::default()
        };
        match self.ask_status(desired, host, machine).await {
            Ok(answer) => match fill(&mut status, &answer) {
                Ok(()) => status.reachable = true,
                Err(error) => status.error = Some(error.to_string()),
            },
            Err(error) => status.error = Some(error.to_string()),
        }
        status
    }

    async fn ask_status(
        &self,
        desired: &Desired<'_>,
        host: &Host,
        machine: &Machine,
    ) -> Result<Answer, EngineError> {
        let Some(address) = machine.public.known() else {
            return Err(EngineError::NoMachine {
                host: host.name.clone(),
            });
        };
        let units: Vec<String> = desired
            .resources(host, machine, promised(host)?)?
            .iter()
            .filter(|resource| matches!(resource.state, State::Service(_)))
            .map(|resource| resource.state.id())
            .collect();
        let blueprint = &desired.fleet.blueprint;
        let place = Place {
            host: &host.name,
            address,
        };
        let mut link = Link::open(self, blueprint, place, &Lock::None).await?;
        let script = question(&units) + &live::section(&blueprint.apps);
        let answer = link.probe(&script).await?;
        link.session.close().await;
        Ok(answer)
    }
}

fn question(units: &[String]) -> String {
    format!(
        "export LC_ALL=C\n\
         echo '@kind status'\n\
         read -r load _ < /proc/loadavg; echo \"load $load\"\n\
         read -r up _ < /proc/uptime; echo \"uptime ${{up%.*}}\"\n\
         while read -r key value _; do case $key in\n\
         MemTotal:) echo \"memory_total $value\" ;; MemAvailable:) echo \"memory_free $value\" ;;\n\
         esac; done < /proc/meminfo\n\
         df --output=pcent / | tail -n 1 | tr -d ' %' | sed 's/^/disk /'\n\
         for unit in {units}; do\n\
         systemctl -q is-active \"$unit\" && echo \"service yes $unit\" || echo \"service no $unit\"\n\
         done\n\
         echo '@end status 0'\n",
        units = quote_all(units),
    )
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
