//! Real machines: systemd-nspawn on an overlay of the image.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::nft::Rules;
use super::{MachineSpec, Machines, Place, Stop, cgroup, network, seed, snapshot};
use crate::error::{LabError, LabResult};
use crate::files;
use crate::mirror::Mirrors;
use crate::paths;

/// How long a machine may take to end its services before the plug is pulled.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

/// Runs in a mount namespace of its own, so that the machine's mounts end with its last
/// process. There it sees a control-group tree that any systemd can work with.
/// Arguments: the machine's id, its folder, the image, its namespace's path.
const START: &str = r#"
set -e
id=$1 dir=$2 image=$3 namespace=$4 host=$5
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/marg-lab/m-$id"
echo $$ > "/sys/fs/cgroup/marg-lab/m-$id/cgroup.procs"
# The host's kernel outlives the machine, so nothing is lost by leaving out syncs; the mark of
# an earlier volatile mount only guards against a crash of the host.
rm -rf "$dir/work/work/incompat"
mount -t overlay marg-lab -o "lowerdir=$image,upperdir=$dir/upper,workdir=$dir/work,volatile,redirect_dir=on" "$dir/root"
# The folder is this machine's alone; a lock of a killed machine would stay in /run.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network SYSTEMD_NSPAWN_LOCK=0
# Exit code 133 says that the machine wants to be started again: it was rebooted from inside.
status=133
while test $status = 133; do
    status=0
    systemd-nspawn --quiet --boot --register=no --keep-unit --settings=no --console=read-only \
        --link-journal=no --resolv-conf=off --timezone=off --capability=CAP_NET_ADMIN \
        --machine="marg-m-$id" --hostname="$host" --network-namespace-path="$namespace" \
        --directory="$dir/root" systemd.show_status=1 || status=$?
done
# A machine whose nspawn was killed has lost its console: it ends, too.
echo 1 > "/sys/fs/cgroup/marg-lab/m-$id/cgroup.kill"
"#;

/// Machines of systemd-nspawn.
pub(crate) struct Nspawn {
    /// Where images that are not built yet come from.
    pub mirrors: Mirrors,
}

impl Machines for Nspawn {
    fn create(&self, spec: &MachineSpec) -> LabResult<()> {
        let below = snapshot::below(&spec.image, &self.mirrors)?;
        let dir = paths::machine_dir(spec.id);
        for part in ["upper", "work", "root"] {
            let path = dir.join(part);
            fs::create_dir_all(&path).map_err(LabError::io("create", &path))?;
        }
        let chosen = dir.join("image");
        files::write_private(&chosen, below.as_bytes())?;
        seed::write(spec, &dir.join("upper"))?;
        network::connect(&spec.place)
    }

    fn reconnect(&self, place: &Place) -> LabResult<()> {
        network::reconnect(place)
    }

    fn boot(&self, spec: &MachineSpec) -> LabResult<()> {
        if self.running(spec.id)? {
            return Ok(());
        }
        if paths::console_log(spec.id).exists() {
            // What a machine's kernel knew ends with its power: firewall, connections, routes.
            network::disconnect(spec.id)?;
        }
        network::connect(&spec.place)?;
        // It may have been resized.
        seed::write_memory(spec, &paths::machine_dir(spec.id).join("upper"))?;
        let mut child = spawn(spec)?;
        thread::spawn(move || child.wait());
        wait_until(Duration::from_secs(20), "the start of the machine", || {
            self.running(spec.id)
        })
    }

    fn stop(&self, id: u64, how: Stop) -> LabResult<()> {
        if how == Stop::Shutdown && self.running(id)? {
            ask_to_halt(id)?;
            let limit = Instant::now() + SHUTDOWN_LIMIT;
            while self.running(id)? && Instant::now() < limit {
                thread::sleep(Duration::from_millis(20));
            }
        }
        cgroup::kill(&cgroup::machine(id))
    }

    fn remove(&self, id: u64) -> LabResult<()> {
        self.stop(id, Stop::PowerOff)?;
        network::disconnect(id)?;
        remove_folder(&paths::machine_dir(id))
    }

    fn running(&self, id: u64) -> LabResult<bool> {
        cgroup::populated(&cgroup::machine(id))
    }

    fn freeze(&self, id: u64, on: bool) -> LabResult<()> {
        if !self.running(id)? {
            return Err(LabError::HostDown {
                host: id.to_string(),
            });
        }
        cgroup::freeze(&cgroup::machine(id), on)
    }

    fn slow(&self, id: u64, on: bool) -> LabResult<()> {
        network::slow(id, on)
    }

    fn snapshot(&self, id: u64, snapshot: u64) -> LabResult<u64> {
        if !self.running(id)? {
            return snapshot::take(id, snapshot);
        }
        cgroup::freeze(&cgroup::machine(id), true)?;
        let taken = snapshot::take(id, snapshot);
        cgroup::freeze(&cgroup::machine(id), false)?;
        taken
    }

    fn sweep_snapshots(&self, kept: &[u64]) -> LabResult<()> {
        snapshot::sweep(kept)
    }

    fn apply_rules(&self, rules: &Rules) -> LabResult<()> {
        network::apply_rules(rules)
    }
}

fn spawn(spec: &MachineSpec) -> LabResult<std::process::Child> {
    let id = spec.id;
    let dir = paths::machine_dir(id);
    let chosen = dir.join("image");
    let image = fs::read_to_string(&chosen).map_err(LabError::io("read", &chosen))?;
    let log = paths::console_log(id);
    let console = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(LabError::io("open", &log))?;
    let errors = console.try_clone().map_err(LabError::io("open", &log))?;
    Command::new("setsid")
        .args([
            "unshare",
            "--mount",
            "--propagation",
            "slave",
            "sh",
            "-c",
            START,
            "sh",
        ])
        .arg(id.to_string())
        .arg(&dir)
        .arg(image)
        .arg(paths::namespace_path(&paths::machine_namespace(id)))
        .arg(&spec.name)
        .stdin(Stdio::null())
        .stdout(console)
        .stderr(errors)
        .spawn()
        .map_err(|source| LabError::Start {
            program: "unshare".to_owned(),
            source,
        })
}

/// nspawn passes a polite request on to the machine's own systemd.
fn ask_to_halt(id: u64) -> LabResult<()> {
    let group = cgroup::machine(id);
    for process in cgroup::processes(&format!("{group}/supervisor"))? {
        if let Some(pid) = Pid::from_raw(process) {
            // It may have ended by itself in the meantime, which is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    Ok(())
}

/// The kernel lets go of a dead machine's overlay a moment after its last process.
fn remove_folder(dir: &Path) -> LabResult<()> {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        match files::remove(dir) {
            Err(_) if Instant::now() < limit => thread::sleep(Duration::from_millis(50)),
            end => return end,
        }
    }
}

fn wait_until(
    limit: Duration,
    what: &str,
    mut done: impl FnMut() -> LabResult<bool>,
) -> LabResult<()> {
    let deadline = Instant::now() + limit;
    while !done()? {
        if Instant::now() > deadline {
            return Err(LabError::Deadline {
                what: what.to_owned(),
                seconds: limit.as_secs(),
                next: "Its console log says why: `marg lab logs HOST`".to_owned(),
            });
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
