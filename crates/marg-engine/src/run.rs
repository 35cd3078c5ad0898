//! Ad hoc commands on hosts, and the way to an interactive shell.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use marg_model::{Blueprint, Event, Fleet};
use marg_ssh::{Deadline, ExitStatus, LineEvent, Target, openssh_command};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::first_login::next;
use crate::host::link::reach;

/// How long an ad hoc command may take.
const COMMAND: Duration = Duration::from_secs(3600);

/// What a command did on one host.
#[derive(Clone, Debug, Serialize)]
pub struct RunOutput {
    /// Host name.
    pub host: String,
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output, with secrets blanked; every line ends with a newline.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl Engine {
    /// Runs a shell command on hosts, groups or `all`, side by side. Its output is told line by
    /// line while it runs. A host that fails does not stop the others.
    pub async fn run(
        &self,
        blueprint: &Blueprint,
        targets: &[String],
        command: &str,
    ) -> Result<Vec<RunOutput>, EngineError> {
        let hosts = select(blueprint, targets)?;
        let fleet = self.existing_fleet(blueprint).await?;
        let runs = hosts.iter().map(|host| self.run_on(&fleet, host, command));
        let results = join_all(runs).await;
        let (mut outputs, mut failures) = (Vec::new(), Vec::new());
        for (host, result) in hosts.into_iter().zip(results) {
            match result {
                Ok(output) => outputs.push(output),
                Err(error) => failures.push((host, error)),
            }
        }
        if failures.is_empty() {
            return Ok(outputs);
        }
        Err(EngineError::Hosts { failures })
    }

    /// Program and arguments of an interactive session with a host.
    pub async fn ssh_command(
        &self,
        blueprint: &Blueprint,
        host: &str,
    ) -> Result<Vec<OsString>, EngineError> {
        select(blueprint, &[host.to_owned()])?;
        let fleet = self.existing_fleet(blueprint).await?;
        let mut target = self.target(&fleet, host)?;
        let vault = self.vault();
        let half_pinned = next(&target.name);
        if vault.known_hosts()?.get(&half_pinned).is_some() {
            // A run ended while the host changed its key: which of both it shows is seen by
            // connecting, and OpenSSH is told the name under which that one is pinned.
            let (session, found) = reach(self, &target.name, self.address(&fleet, host)?).await?;
            session.close().await;
            if found.host_key != target.host_key {
                target = Target {
                    name: half_pinned,
                    ..found
                };
            }
        }
        Ok(openssh_command(
            &target,
            &vault.identity_path(),
            &vault.path("known_hosts"),
        ))
    }

    async fn run_on(
        &self,
        fleet: &Fleet,
        host: &str,
        command: &str,
    ) -> Result<RunOutput, EngineError> {
        let name = fleet.blueprint.droplet_name(host);
        let (session, _) = reach(self, &name, self.address(fleet, host)?).await?;
        let deadline = Deadline::after(COMMAND);
        let mut process = session.exec(command, deadline).await?;
        process.close_stdin(deadline).await?;
        let mut lines = process.lines();
        let mut output = RunOutput {
            host: host.to_owned(),
            status: -1,
            stdout: String::new(),
            stderr: String::new(),
        };
        while let Some(event) = lines.next(deadline).await? {
            match event {
                LineEvent::Stdout(line) => output.stdout.push_str(&self.heard(host, &line)),
                LineEvent::Stderr(line) => output.stderr.push_str(&self.heard(host, &line)),
                LineEvent::Exit(ExitStatus::Code(code)) => {
                    output.status = i32::try_from(code).unwrap_or(-1);
                }
                LineEvent::Exit(ExitStatus::Signal(_)) => {}
            }
        }
        session.close().await;
        Ok(output)
    }

    /// Tells a line that a command wrote, and returns it with its newline.
    fn heard(&self, host: &str, line: &[u8]) -> String {
        let line = self.redact(&String::from_utf8_lossy(line));
        self.emit(Event::Output {
            host: host.to_owned(),
            line: line.clone(),
        });
        line + "\n"
    }

    /// The fleet with whatever exists of it.
    pub(crate) async fn existing_fleet(&self, blueprint: &Blueprint) -> Result<Fleet, EngineError> {
        Ok(self.machines(blueprint).await?.fleet(blueprint))
    }

    /// Where a host is and which key it must show.
    pub(crate) fn target(&self, fleet: &Fleet, host: &str) -> Result<Target, EngineError> {
        let address = self.address(fleet, host)?;
        let name = fleet.blueprint.droplet_name(host);
        let key = self.vault().known_hosts()?.require(&name)?;
        Ok(Target::new(name, address.to_string(), "root", key))
    }

    fn address(&self, fleet: &Fleet, host: &str) -> Result<Ipv4Addr, EngineError> {
        let address = fleet.machine(host).and_then(|m| m.public.known());
        address.ok_or_else(|| EngineError::NoMachine {
            host: host.to_owned(),
        })
    }
}

/// Hosts by their own names, their groups' names, or `all`.
fn select(blueprint: &Blueprint, targets: &[String]) -> Result<Vec<String>, EngineError> {
    let mut chosen = BTreeSet::new();
    for target in targets {
        let before = chosen.len();
        let fits = |host: &&marg_model::Host| {
            target == "all" || host.name == *target || host.group == *target
        };
        chosen.extend(
            blueprint
                .hosts
                .iter()
                .filter(fits)
                .map(|host| host.name.clone()),
        );
        if chosen.len() == before && !chosen.contains(target) {
            let known: Vec<&str> = blueprint.hosts.iter().map(|host| &*host.name).collect();
            return Err(EngineError::NoSuch {
                what: "host or group",
                name: target.clone(),
                known: known.join(", "),
            });
        }
    }
    Ok(chosen.into_iter().collect())
}
