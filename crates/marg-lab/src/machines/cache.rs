//! The apt cache: the only way out of the lab, and only to Debian's archive.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::cgroup;
use super::network::{CACHE_PORT, OPERATOR};
use crate::command;
use crate::error::{LabError, LabResult};
use crate::files;
use crate::mirror::Mirrors;
use crate::paths;

/// The user that Debian's package makes for the cache.
const USER: &str = "apt-cacher-ng";

/// Starts the cache and waits until it answers. One that a killed daemon left is kept when it
/// does the same, since machines may be fetching packages just now.
pub(crate) fn start(mirrors: &Mirrors) -> LabResult<()> {
    // Not below the run folder, which only root can enter: the cache drops its rights first.
    let config = paths::cache_dir().join("conf");
    let store = paths::cache_dir().join("apt");
    for dir in [&config, &store] {
        fs::create_dir_all(dir).map_err(LabError::io("create", dir))?;
    }
    let file = config.join("acng.conf");
    let wanted = configuration(mirrors, &store.to_string_lossy());
    let same = fs::read_to_string(&file).is_ok_and(|text| text == wanted);
    if same && cgroup::populated(cgroup::CACHE)? && answers() {
        return Ok(());
    }
    cgroup::kill(cgroup::CACHE)?;
    files::write_private(&file, wanted.as_bytes())?;
    let owner = format!("{USER}:{USER}");
    let (config, store) = (config.to_string_lossy(), store.to_string_lossy());
    command::run("chown", &["-R", &owner, &config, &store])?;
    let mut child = spawn(&config)?;
    // The cache outlives this call; its exit is collected so that it does not stay a zombie.
    thread::spawn(move || child.wait());
    wait_until_it_answers()
}

fn spawn(config: &str) -> LabResult<std::process::Child> {
    let log = paths::run_dir().join("cache.log");
    let output = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(LabError::io("open", &log))?;
    let errors = output.try_clone().map_err(LabError::io("open", &log))?;
    let group = cgroup::make(cgroup::CACHE)?.join("cgroup.procs");
    Command::new("sh")
        .args(["-c", cgroup::JOIN_AND_RUN, "sh"])
        .arg(group)
        .args(["setpriv", "--reuid", USER, "--regid", USER, "--init-groups"])
        .args(["apt-cacher-ng", "-c", config, "ForeGround=1"])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|source| LabError::Start {
            program: "apt-cacher-ng".to_owned(),
            source,
        })
}

fn configuration(mirrors: &Mirrors, store: &str) -> String {
    let proxy = match &mirrors.proxy {
        Some(proxy) => format!("Proxy: {}\n", proxy.0),
        None => String::new(),
    };
    let (main, security) = (&mirrors.main, &mirrors.security);
    format!(
        "BindAddress: {OPERATOR}\n\
         Port: {CACHE_PORT}\n\
         CacheDir: {store}\n\
         LogDir: {store}\n\
         SupportDir: /usr/lib/apt-cacher-ng\n\
         VerboseLog: 0\n\
         ForceManaged: 1\n\
         ExThreshold: 30\n\
         Remap-debian: /debian ; {main}\n\
         Remap-security: /debian-security ; {security}\n\
         {proxy}"
    )
}

fn answers() -> bool {
    let address = SocketAddr::from((OPERATOR, CACHE_PORT));
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

fn wait_until_it_answers() -> LabResult<()> {
    let limit = Duration::from_secs(10);
    let deadline = Instant::now() + limit;
    while !answers() {
        if Instant::now() > deadline {
            return Err(LabError::Deadline {
                what: format!("the apt cache's answer on {OPERATOR}:{CACHE_PORT}"),
                seconds: limit.as_secs(),
                next: format!("See {}", paths::run_dir().join("cache.log").display()),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
