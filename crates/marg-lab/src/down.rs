//! `down`: nothing of the lab stays. It looks at the kernel and the disk, not at records, so it
//! works after any crash, and twice.

use std::fs;
use std::path::Path;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::command;
use crate::disk;
use crate::error::{LabError, LabResult};
use crate::event::{LabEvent, LabSink, LabStep};
use crate::files;
use crate::host_packages;
use crate::machines::{cgroup, image};
use crate::paths::{self, PREFIX, ROUTE_PROTOCOL, UPLINK};
use crate::up::exclusively;

/// What `down` is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DownOptions {
    /// Also removes the built images and the apt cache.
    pub purge: bool,
}

/// Takes the lab down. Images and the apt cache stay unless they are to be purged.
pub fn down(options: DownOptions, sink: LabSink<'_>) -> LabResult<()> {
    let _turn = exclusively()?;
    let mut problems = Problems::default();
    timed(LabStep::Stop, sink, || {
        problems.note(cgroup::kill_all());
        problems.note(kill_strays());
    });
    timed(LabStep::Remove, sink, || {
        problems.note(remove_namespaces());
        problems.note(remove_uplink());
        problems.note(remove_routes());
        problems.note(restore_inotify());
        problems.note(host_packages::let_services_start());
        problems.note(disk::unmount_below(&[
            &paths::state_dir(),
            &paths::run_dir(),
        ]));
        problems.note(remove_files(options));
        problems.note(remove_nspawn_traces());
        problems.note(forget_namespace_mount());
    });
    problems.end()
}

fn timed(step: LabStep, sink: LabSink<'_>, work: impl FnOnce()) {
    sink(LabEvent::Started { step: step.clone() });
    let start = Instant::now();
    work();
    sink(LabEvent::Finished {
        step,
        took: start.elapsed(),
    });
}

/// One failure must not keep the rest from being removed.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn note(&mut self, result: LabResult<()>) {
        if let Err(error) = result {
            self.0.push(error.to_string());
        }
    }

    fn end(self) -> LabResult<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(LabError::Leftovers { what: self.0 })
        }
    }
}

/// Processes of machines that left their control group, found by the folder they were started
/// with.
fn kill_strays() -> LabResult<()> {
    let proc = Path::new("/proc");
    let mark = format!("{}/", paths::machines_dir().display());
    for entry in fs::read_dir(proc).map_err(LabError::io("read", proc))? {
        let entry = entry.map_err(LabError::io("read", proc))?;
        let Ok(id) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        // Processes come and go while this looks at them.
        let Ok(words) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let words = String::from_utf8_lossy(&words);
        let is_machine = words.starts_with("systemd-nspawn\0") && words.contains(&mark);
        if let Some(pid) = Pid::from_raw(id).filter(|_| is_machine) {
            // It may have ended by itself just now.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}

fn remove_namespaces() -> LabResult<()> {
    let dir = Path::new("/run/netns");
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).map_err(LabError::io("read", dir))? {
        let name = entry.map_err(LabError::io("read", dir))?.file_name();
        let name = name.to_string_lossy();
        if name == paths::ROUTER || name.starts_with(&format!("{PREFIX}m-")) {
            command::run("ip", &["netns", "del", &name])?;
        }
    }
    Ok(())
}

fn remove_uplink() -> LabResult<()> {
    if command::succeeds("ip", &["link", "show", "dev", UPLINK])?
        && !command::succeeds("ip", &["link", "del", UPLINK])?
        // It also goes by itself, a moment after the router's namespace.
        && command::succeeds("ip", &["link", "show", "dev", UPLINK])?
    {
        command::run("ip", &["link", "del", UPLINK])?;
    }
    Ok(())
}

fn remove_routes() -> LabResult<()> {
    command::run("ip", &["route", "flush", "proto", ROUTE_PROTOCOL]).map(drop)
}

fn restore_inotify() -> LabResult<()> {
    let kept = paths::run_dir().join("inotify-before");
    let Ok(before) = fs::read(&kept) else {
        return Ok(());
    };
    let switch = Path::new("/proc/sys/fs/inotify/max_user_instances");
    fs::write(switch, before).map_err(LabError::io("write", switch))?;
    files::remove(&kept)
}

fn remove_files(options: DownOptions) -> LabResult<()> {
    files::remove(&paths::machines_dir())?;
    files::remove(&paths::snapshots_dir())?;
    files::remove(&paths::run_dir())?;
    if options.purge {
        files::remove(&paths::cache_dir())?;
        return files::remove(&paths::state_dir());
    }
    image::remove_outdated()
}

/// nspawn keeps a folder per machine name that a killed machine leaves behind.
fn remove_nspawn_traces() -> LabResult<()> {
    let dir = Path::new("/run/systemd/nspawn/propagate");
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).map_err(LabError::io("read", dir))? {
        let entry = entry.map_err(LabError::io("read", dir))?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(&format!("{PREFIX}m-"))
        {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// `ip netns` mounts its folder on itself. When no namespace is left, that mount can go; `ip`
/// makes it again when it needs it.
fn forget_namespace_mount() -> LabResult<()> {
    let dir = Path::new("/run/netns");
    let empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if empty && command::succeeds("mountpoint", &["-q", "/run/netns"])? {
        command::run("umount", &["/run/netns"])?;
        fs::remove_dir(dir).map_err(LabError::io("remove", dir))?;
    }
    Ok(())
}
