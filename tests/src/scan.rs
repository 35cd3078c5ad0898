//! Which ports answer, seen from the host or from inside a machine's own network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a port may take to answer when it is expected to be silent. A port that answers
/// later than that would be missed, so what is expected to answer is asked with [`opens`].
const PATIENCE: Duration = Duration::from_millis(300);
/// How many ports are asked at once.
const AT_ONCE: usize = 6000;

/// What a port does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It takes connections.
    Open,
    /// Nothing listens, but nothing keeps the question away either.
    Refused,
}

/// All ports of an address that do not stay silent.
pub async fn all_ports(address: Ipv4Addr) -> BTreeMap<u16, Answer> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    let mut found = BTreeMap::new();
    for port in 1..=u16::MAX {
        let slot = Arc::clone(&slots)
            .acquire_owned()
            .await
            .expect("never closed");
        asking.spawn(async move {
            let answer = ask(address, port).await;
            drop(slot);
            (port, answer)
        });
        while let Some(joined) = asking.try_join_next() {
            keep(&mut found, joined);
        }
    }
    while let Some(joined) = asking.join_next().await {
        keep(&mut found, joined);
    }
    found
}

type Asked = Result<(u16, Option<Answer>), tokio::task::JoinError>;

fn keep(found: &mut BTreeMap<u16, Answer>, joined: Asked) {
    if let (port, Some(answer)) = joined.expect("asking does not panic") {
        found.insert(port, answer);
    }
}

async fn ask(address: Ipv4Addr, port: u16) -> Option<Answer> {
    match timeout(PATIENCE, connect(address, port)).await {
        Err(_) => None,
        Ok(Ok(())) => Some(Answer::Open),
        Ok(Err(ErrorKind::ConnectionRefused)) => Some(Answer::Refused),
        // An answer that says "not here" is as good as silence.
        Ok(Err(
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::TimedOut,
        )) => None,
        Ok(Err(other)) => panic!("{address}:{port} cannot be asked: {other}"),
    }
}

async fn connect(address: Ipv4Addr, port: u16) -> Result<(), ErrorKind> {
    let stream = TcpStream::connect(SocketAddr::from((address, port))).await;
    let stream = stream.map_err(|error| error.kind())?;
    // Closed by a reset: thousands of ports in TIME_WAIT would be in the way of the next test.
    stream.set_zero_linger().map_err(|error| error.kind())
}

/// Whether a port takes a connection, asked with all patience.
pub async fn opens(address: Ipv4Addr, port: u16) -> bool {
    matches!(
        timeout(Duration::from_secs(5), connect(address, port)).await,
        Ok(Ok(()))
    )
}

/// Those of some ports of some addresses that take connections, asked with all patience.
pub async fn which(addresses: &[Ipv4Addr], ports: &[u16]) -> BTreeSet<(Ipv4Addr, u16)> {
    let mut asking = JoinSet::new();
    for address in addresses {
        for port in ports {
            let (address, port) = (*address, *port);
            asking.spawn(async move { opens(address, port).await.then_some((address, port)) });
        }
    }
    asking.join_all().await.into_iter().flatten().collect()
}

/// Runs something inside the network of a machine, so that its packets come from there.
#[track_caller]
pub fn inside<T: Send>(droplet: u64, work: impl FnOnce(&tokio::runtime::Runtime) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(&format!("marg-m-{droplet}"));
            // One thread only: another one would still be in the host's network.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            work(&runtime.expect("a runtime"))
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves this thread, and no other, into a network namespace.
fn enter(namespace: &str) {
    let path = format!("/run/netns/{namespace}");
    let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let kind = rustix::thread::LinkNameSpaceType::Network;
    rustix::thread::move_into_link_name_space(file.as_fd(), Some(kind)).expect("setns");
}
