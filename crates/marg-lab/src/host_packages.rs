//! Installing what the lab needs on the host.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::command;
use crate::error::{LabError, LabResult};
use crate::event::{LabEvent, LabSink, LabStep};
use crate::files;

/// A file by which a package is recognised, and the package that brings it.
const NEEDED: [(&[&str], &str); 8] = [
    (&["/usr/bin/mmdebstrap"], "mmdebstrap"),
    (&["/usr/bin/systemd-nspawn"], "systemd-container"),
    (&["/usr/sbin/nft", "/sbin/nft"], "nftables"),
    (
        &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"],
        "iproute2",
    ),
    (&["/usr/sbin/sysctl", "/sbin/sysctl"], "procps"),
    (&["/usr/sbin/apt-cacher-ng"], "apt-cacher-ng"),
    (
        &["/usr/share/keyrings/debian-archive-keyring.gpg"],
        "debian-archive-keyring",
    ),
    (&["/usr/bin/nsenter"], "util-linux"),
];

/// Debian's tools ask this program whether a service may be started; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Where the host's own program waits meanwhile.
const KEPT_POLICY: &str = "/usr/sbin/policy-rc.d.marg-lab";
const REFUSAL: &str = "#!/bin/sh\n# Put here by the lab while it installs packages.\nexit 101\n";

/// Installs what is missing.
pub(crate) fn ensure(sink: LabSink<'_>) -> LabResult<()> {
    let step = LabStep::HostPackages;
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(files, _)| !files.iter().any(|file| Path::new(file).exists()))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        sink(LabEvent::Unchanged { step });
        return Ok(());
    }
    sink(LabEvent::Started { step: step.clone() });
    let start = Instant::now();
    install(&missing, &mut |line| {
        sink(LabEvent::Progress {
            step: step.clone(),
            line: line.to_owned(),
        });
    })?;
    sink(LabEvent::Finished {
        step,
        took: start.elapsed(),
    });
    Ok(())
}

fn install(packages: &[&str], on_line: &mut dyn FnMut(&str)) -> LabResult<()> {
    let guard = NoServices::begin()?;
    apt_get(&["update"], on_line)?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments, on_line)?;
    drop(guard);
    if packages.contains(&"apt-cacher-ng") && Path::new("/run/systemd/system").exists() {
        // The lab runs a cache of its own; the packaged service would start at the next boot.
        command::run("systemctl", &["disable", "apt-cacher-ng.service"])?;
    }
    Ok(())
}

fn apt_get(arguments: &[&str], on_line: &mut dyn FnMut(&str)) -> LabResult<()> {
    let mut command = Command::new("apt-get");
    command
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_MODE", "a");
    command::stream(&mut command, on_line)
}

/// While it lives, packages do not start services. It puts everything back when it ends.
struct NoServices;

impl NoServices {
    fn begin() -> LabResult<Self> {
        let policy = Path::new(POLICY);
        if policy.exists() && !is_ours(policy) {
            let aside = Path::new(KEPT_POLICY);
            fs::rename(policy, aside).map_err(LabError::io("rename", policy))?;
        }
        files::write_by_rename(policy, REFUSAL.as_bytes(), 0o755)?;
        Ok(Self)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Err(error) = let_services_start() {
            tracing::error!("{error}");
        }
    }
}

/// Puts the host's own policy back, or removes the lab's; also after a killed installation.
pub(crate) fn let_services_start() -> LabResult<()> {
    let (policy, aside) = (Path::new(POLICY), Path::new(KEPT_POLICY));
    if aside.exists() {
        return fs::rename(aside, policy).map_err(LabError::io("rename", aside));
    }
    if is_ours(policy) {
        files::remove(policy)
    } else {
        Ok(())
    }
}

fn is_ours(policy: &Path) -> bool {
    fs::read_to_string(policy).is_ok_and(|text| text == REFUSAL)
}
