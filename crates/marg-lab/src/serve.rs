//! `serve`: the daemon that answers the API and looks after the machines.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::api;
use crate::cloud::Cloud;
use crate::endpoint::{self, LabEndpoint, endpoint};
use crate::error::{LabError, LabResult};
use crate::files;
use crate::lifecycle;
use crate::machines::boot::Nspawn;
use crate::machines::network::OPERATOR;
use crate::machines::{cache, cgroup, network};
use crate::mirror::{self, Mirrors};
use crate::paths;
use crate::resume::resume;
use crate::store::Store;

/// Each machine's systemd takes several; the kernel's default is used up by the 17th.
const INOTIFY_INSTANCES: u64 = 4096;

/// What the daemon needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where the API listens.
    pub api: SocketAddr,
    /// Debian mirror instead of the host's own.
    pub mirror: Option<String>,
}

impl Config {
    /// What the last `up` asked for; the defaults when there was none.
    pub fn load() -> LabResult<Self> {
        let api = SocketAddr::from((Ipv4Addr::LOCALHOST, 4050));
        Ok(files::load_json(&paths::config_file())?.unwrap_or(Self { api, mirror: None }))
    }

    pub(crate) fn store(&self) -> LabResult<()> {
        files::store_json(&paths::config_file(), self)
    }
}

/// Runs the lab's daemon until it is told to stop by SIGTERM, SIGINT or `POST /lab/stop`. The
/// machines keep running until [`crate::down`].
///
/// It says what it does by `tracing`; the caller decides where that goes.
pub async fn serve(config: Config) -> LabResult<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(LabError::NotRoot);
    }
    let mirrors = mirror::detect(config.mirror.as_deref())?;
    let blocking = mirrors.clone();
    run_blocking(move || prepare(&blocking)).await?;
    let listener = TcpListener::bind(config.api)
        .await
        .map_err(|source| LabError::Listen {
            address: config.api,
            source,
        })?;
    let address = listener.local_addr().unwrap_or(config.api);
    let inside = listen_inside(address.port()).await?;
    let cloud = open_cloud(mirrors, address.port())?;
    remove_strangers(&cloud)?;
    resume(&cloud).await?;
    tokio::spawn(lifecycle::watch(Arc::clone(&cloud)));
    endpoint::store(&LabEndpoint {
        url: format!("http://{address}"),
        token: cloud.token.clone(),
        machine_url: Some(format!("http://{OPERATOR}:{}", address.port())),
        entry_token: Some(cloud.entry_token.clone()),
    })?;
    tracing::info!("the lab's API listens on http://{address}");
    // It ends with this one: the program ends then.
    let for_machines = api::router(Arc::clone(&cloud));
    tokio::spawn(async move { axum::serve(inside, for_machines).await });
    axum::serve(listener, api::router(Arc::clone(&cloud)))
        .with_graceful_shutdown(told_to_stop(cloud))
        .await
        .map_err(|source| LabError::Listen { address, source })
}

/// The same port on the host's address in the lab: machines reach the API there, as droplets
/// reach DigitalOcean's.
async fn listen_inside(port: u16) -> LabResult<TcpListener> {
    let address = SocketAddr::from((OPERATOR, port));
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| LabError::Listen { address, source })
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> LabResult<T> + Send + 'static,
) -> LabResult<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(LabError::Internal {
                what: error.to_string(),
                log: paths::daemon_log(),
            })
        })
}

/// Everything below the API.
fn prepare(mirrors: &Mirrors) -> LabResult<()> {
    files::private_dir(&paths::run_dir())?;
    files::private_dir(&paths::state_dir())?;
    // An earlier daemon that no longer answers must not hold the port.
    cgroup::kill(cgroup::DAEMON)?;
    cgroup::enter(cgroup::DAEMON)?;
    allow_many_machines()?;
    network::ensure_router()?;
    cache::start(mirrors)
}

/// The only setting of the host that the lab changes; `down` puts it back.
fn allow_many_machines() -> LabResult<()> {
    let switch = Path::new("/proc/sys/fs/inotify/max_user_instances");
    let text = fs::read_to_string(switch).map_err(LabError::io("read", switch))?;
    if text
        .trim()
        .parse::<u64>()
        .is_ok_and(|now| now >= INOTIFY_INSTANCES)
    {
        return Ok(());
    }
    files::write_private(&paths::run_dir().join("inotify-before"), text.as_bytes())?;
    fs::write(switch, INOTIFY_INSTANCES.to_string()).map_err(LabError::io("write", switch))
}

fn open_cloud(mirrors: Mirrors, port: u16) -> LabResult<Arc<Cloud>> {
    let store = Store::open(paths::state_file())?;
    let (token, entry_token) = match endpoint()? {
        Some(known) => (Some(known.token), known.entry_token),
        None => (None, None),
    };
    let tokens = (
        token.unwrap_or_else(endpoint::new_token),
        entry_token.unwrap_or_else(endpoint::new_token),
    );
    Ok(Cloud::new(
        store,
        Arc::new(Nspawn { mirrors }),
        tokens,
        Some(port),
    ))
}

/// Machines that no record knows, for example from before the host was rebooted.
fn remove_strangers(cloud: &Cloud) -> LabResult<()> {
    let known: BTreeSet<u64> = cloud
        .store
        .read(|records| records.droplets.iter().map(|droplet| droplet.id).collect());
    let dir = paths::machines_dir();
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(&dir).map_err(LabError::io("read", &dir))? {
        let entry = entry.map_err(LabError::io("read", &dir))?;
        match entry.file_name().to_string_lossy().parse::<u64>() {
            Ok(id) if known.contains(&id) => {}
            Ok(id) => cloud.machines.remove(id)?,
            Err(_) => files::remove(&entry.path())?,
        }
    }
    Ok(())
}

async fn told_to_stop(cloud: Arc<Cloud>) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without signals there is still the API's own way to stop.
        return cloud.stop.notified().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = cloud.stop.notified() => {}
    }
    tracing::info!("the lab's API ends; machines keep running");
}
