//! Ad hoc commands on hosts, and the way to an interactive shell.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use futures_util::future::try_join_all;
use marg_model::{Blueprint, Event, Fleet};
use marg_ssh::{Deadline, ExitStatus, Session, Target, openssh_command};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::EngineError;

/// How long an ad hoc command may take.
const COMMAND: Duration = Duration::from_secs(3600);
const CONNECT: Duration = Duration::from_secs(30);

/// What a command did on one host.
#[derive(Clone, Debug, Serialize)]
pub struct RunOutput {
    /// Host name.
    pub host: String,
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output, with secrets blanked.
    pub stdout: String,
    /// Standard error, with secrets blanked.
    pub stderr: String,
}

impl Engine {
    /// Runs a shell command on hosts, groups or `all`, side by side.
    pub async fn run(
        &self,
        blueprint: &Blueprint,
        targets: &[String],
        command: &str,
    ) -> Result<Vec<RunOutput>, EngineError> {
        let hosts = select(blueprint, targets)?;
        let fleet = self.existing_fleet(blueprint).await?;
        try_join_all(hosts.iter().map(|host| self.run_on(&fleet, host, command))).await
    }

    /// Program and arguments of an interactive session with a host.
    pub async fn ssh_command(
        &self,
        blueprint: &Blueprint,
        host: &str,
    ) -> Result<Vec<OsString>, EngineError> {
        select(blueprint, &[host.to_owned()])?;
        let fleet = self.existing_fleet(blueprint).await?;
        let target = self.target(&fleet, host)?;
        let vault = self.vault();
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
        let target = self.target(fleet, host)?;
        let session = Session::connect(&target, self.identity(), Deadline::after(CONNECT)).await?;
        let output = session.run(command, b"", Deadline::after(COMMAND)).await?;
        session.close().await;
        let text = |bytes: &[u8]| self.redact(&String::from_utf8_lossy(bytes));
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        for line in stdout.lines().chain(stderr.lines()) {
            self.emit(Event::Output {
                host: host.to_owned(),
                line: line.to_owned(),
            });
        }
        let status = match output.status {
            ExitStatus::Code(code) => i32::try_from(code).unwrap_or(-1),
            ExitStatus::Signal(_) => -1,
        };
        Ok(RunOutput {
            host: host.to_owned(),
            status,
            stdout,
            stderr,
        })
    }

    /// The fleet with whatever exists of it.
    pub(crate) async fn existing_fleet(&self, blueprint: &Blueprint) -> Result<Fleet, EngineError> {
        Ok(self.machines(blueprint).await?.fleet(blueprint))
    }

    /// Where a host is and which key it must show.
    pub(crate) fn target(&self, fleet: &Fleet, host: &str) -> Result<Target, EngineError> {
        let missing = || EngineError::NoMachine {
            host: host.to_owned(),
        };
        let machine = fleet.machine(host).ok_or_else(missing)?;
        let address = machine.public.known().ok_or_else(missing)?;
        let name = fleet.blueprint.droplet_name(host);
        let key = self.vault().known_hosts()?.require(&name)?;
        Ok(Target::new(name, address.to_string(), "root", key))
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
