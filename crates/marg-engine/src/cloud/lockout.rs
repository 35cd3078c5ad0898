//! A cloud firewall that would shut the operator out is put back at once: the rescue on the
//! hosts does not see it, and nobody could take it back over SSH.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use marg_cloud::{Cloud, FirewallSpec, Owner, ensure_firewall, wait_until_enforced};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::situation::Situation;
use crate::error::EngineError;

/// How long a machine may take to accept a connection.
const KNOCK: Duration = Duration::from_secs(3);
/// How often it is tried before the door counts as shut.
const KNOCKS: usize = 3;
const SSH: u16 = 22;

/// A machine that can be reached before its firewall changes.
pub struct Door {
    droplet: String,
    address: Ipv4Addr,
    /// The firewall as it is before.
    before: FirewallSpec,
}

/// One machine behind each firewall that is about to change and can be reached now.
pub async fn open_doors(
    situation: &Situation,
    changes: &[(FirewallSpec, Vec<String>)],
) -> Vec<Door> {
    let doors = changes.iter().filter_map(|(spec, _)| door(situation, spec));
    let doors = join_all(doors.map(async |door| opens(&door, 1).await.then_some(door))).await;
    doors.into_iter().flatten().collect()
}

/// Knocks again. Where a door is shut now, all firewalls go back to what they were.
pub async fn keep_open(
    cloud: &dyn Cloud,
    owner: &Owner,
    doors: &[Door],
) -> Result<(), EngineError> {
    let still = join_all(doors.iter().map(|door| opens(door, KNOCKS))).await;
    let shut: Vec<&str> = doors
        .iter()
        .zip(still)
        .filter(|(_, open)| !open)
        .map(|(door, _)| door.droplet.as_str())
        .collect();
    if shut.is_empty() {
        return Ok(());
    }
    for door in doors {
        let (firewall, _) = ensure_firewall(cloud, owner, &door.before).await?;
        wait_until_enforced(cloud, &firewall.id).await?;
    }
    Err(EngineError::ShutOut {
        droplets: shut.join(", "),
    })
}

fn door(situation: &Situation, spec: &FirewallSpec) -> Option<Door> {
    let present = situation.found.firewalls.iter();
    let present = present
        .into_iter()
        .find(|firewall| firewall.name == spec.name)?;
    let reserved = situation.found.reserved_addresses();
    let covered = situation.by_host.values().find(|droplet| {
        let mut tags = droplet.tags.iter().flatten();
        tags.any(|tag| present.tags.contains(tag))
    })?;
    Some(Door {
        droplet: covered.name.clone(),
        address: covered.public_v4(&reserved)?,
        before: FirewallSpec::of(present),
    })
}

async fn opens(door: &Door, knocks: usize) -> bool {
    for _ in 0..knocks {
        let address = SocketAddr::from((door.address, SSH));
        if matches!(timeout(KNOCK, TcpStream::connect(address)).await, Ok(Ok(_))) {
            return true;
        }
    }
    false
}
