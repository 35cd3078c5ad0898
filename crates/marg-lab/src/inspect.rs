//! Looking at a lab: its machines, their consoles, a shell in one of them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::endpoint;
use crate::error::{LabError, LabResult};
use crate::files;
use crate::machine_fault::MachineFault;
use crate::machines::{cgroup, image, recipe};
use crate::paths;
use crate::store::{Droplet, Records};

/// How the lab is.
#[derive(Clone, Debug)]
pub struct LabStatus {
    /// Whether the API answers.
    pub running: bool,
    /// The API's address, when the lab is or was up.
    pub url: Option<String>,
    /// Slugs of the images that are built.
    pub images: Vec<String>,
    /// All machines, the oldest first.
    pub machines: Vec<LabMachine>,
}

/// A machine of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabMachine {
    /// The droplet's id.
    pub id: u64,
    /// The droplet's name.
    pub name: String,
    /// `new`, `active` or `off`, as the API says it.
    pub status: String,
    /// Slug of its image.
    pub image: String,
    /// Slug of its size.
    pub size: String,
    /// Its public address.
    pub public: Ipv4Addr,
    /// Its address in the VPC.
    pub private: Ipv4Addr,
    /// Its tags.
    pub tags: Vec<String>,
    /// What has befallen it.
    pub faults: Vec<MachineFault>,
}

/// How the lab is, as its records and its API say.
pub fn status() -> LabResult<LabStatus> {
    let endpoint = endpoint()?;
    let built = recipe::IMAGES.iter().filter(|image| image::is_built(image));
    Ok(LabStatus {
        running: endpoint.as_ref().is_some_and(endpoint::answers),
        url: endpoint.map(|endpoint| endpoint.url),
        images: built.map(|image| image.slug.to_owned()).collect(),
        machines: records()?.droplets.iter().map(machine).collect(),
    })
}

fn machine(droplet: &Droplet) -> LabMachine {
    LabMachine {
        id: droplet.id,
        name: droplet.name.clone(),
        status: droplet.status.word().to_owned(),
        image: droplet.image.clone(),
        size: droplet.size.clone(),
        public: droplet.place_public,
        private: droplet.place_private,
        tags: droplet.tags.clone(),
        faults: droplet.faults.iter().copied().collect(),
    }
}

fn records() -> LabResult<Records> {
    Ok(files::load_json(&paths::state_file())?.unwrap_or_default())
}

/// The file to which a machine's console is written. `host` is a droplet's name, its last part
/// (`http1` for `shop-http1`), its id or one of its addresses.
pub fn logs(host: &str) -> LabResult<PathBuf> {
    Ok(paths::console_log(find(host)?.id))
}

/// A command that opens a root shell in a machine, without network or SSH, or runs `command`
/// there: one word as a script, several as a command with its arguments.
pub fn shell_command(host: &str, command: &[String]) -> LabResult<Command> {
    let machine = find(host)?;
    let down = || LabError::HostDown {
        host: host.to_owned(),
    };
    let leader = leader(machine.id)?.ok_or_else(down)?;
    let mut entry = Command::new("nsenter");
    entry
        .args(["--target", &leader.to_string()])
        .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
        .args([
            "env",
            "-i",
            "-C",
            "/root",
            "HOME=/root",
            "USER=root",
            "LANG=C.UTF-8",
        ])
        .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .arg(format!(
            "TERM={}",
            std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned())
        ));
    match command {
        [] => entry.args(["/bin/bash", "--login"]),
        [script] => entry.args(["/bin/sh", "-c", script]),
        words => entry.args(words),
    };
    Ok(entry)
}

/// The machine's own first process: the one that is number 1 in the machine.
fn leader(id: u64) -> LabResult<Option<i32>> {
    let inside = format!("{}/payload/init.scope", cgroup::machine(id));
    Ok(cgroup::processes(&inside)?
        .into_iter()
        .find(|process| is_first(*process)))
}

fn is_first(process: i32) -> bool {
    let status = Path::new("/proc").join(process.to_string()).join("status");
    // A process that has just ended is not the one.
    let text = fs::read_to_string(status).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .is_some_and(|ids| ids.split_whitespace().last() == Some("1"))
}

/// The machine of that name. `host` is a droplet's name, its last part, its id or one of its
/// addresses.
pub(crate) fn find(host: &str) -> LabResult<LabMachine> {
    let machines: Vec<LabMachine> = records()?.droplets.iter().map(machine).collect();
    let names = |machines: &[&LabMachine]| {
        let names: Vec<&str> = machines.iter().map(|one| one.name.as_str()).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    match choose(&machines, host).as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(LabError::NoSuchHost {
            host: host.to_owned(),
            known: names(&machines.iter().collect::<Vec<_>>()),
        }),
        several => Err(LabError::AmbiguousHost {
            host: host.to_owned(),
            candidates: names(several),
        }),
    }
}

/// The machine with exactly this name, id or address; otherwise all whose name ends in `-host`.
fn choose<'a>(machines: &'a [LabMachine], host: &str) -> Vec<&'a LabMachine> {
    let exact = machines.iter().find(|one| {
        one.name == host
            || one.id.to_string() == host
            || one.public.to_string() == host
            || one.private.to_string() == host
    });
    let end = format!("-{host}");
    match exact {
        Some(one) => vec![one],
        None => machines
            .iter()
            .filter(|one| one.name.ends_with(&end))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: u64, name: &str) -> LabMachine {
        LabMachine {
            id,
            name: name.to_owned(),
            status: "active".to_owned(),
            image: "debian-13-x64".to_owned(),
            size: "s-1vcpu-1gb".to_owned(),
            public: Ipv4Addr::new(198, 18, 0, id as u8),
            private: Ipv4Addr::new(10, 114, 0, id as u8),
            tags: Vec::new(),
            faults: Vec::new(),
        }
    }

    #[test]
    fn hosts_are_found_by_every_name_that_is_unambiguous() {
        let machines = [
            machine(11, "shop-http1"),
            machine(12, "shop-worker1"),
            machine(13, "test-worker1"),
        ];
        let cases = [
            ("shop-http1", vec![11]),
            ("http1", vec![11]),
            ("12", vec![12]),
            ("198.18.0.13", vec![13]),
            ("10.114.0.13", vec![13]),
            ("worker1", vec![12, 13]),
            ("ttp1", vec![]),
        ];
        for (host, expected) in cases {
            let found = choose(&machines, host);
            let ids: Vec<u64> = found.into_iter().map(|one| one.id).collect();
            assert_eq!(ids, expected, "{host}");
        }
    }
}
