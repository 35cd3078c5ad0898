//! Waits for droplets, with one list for all of them per look.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::cloud::Cloud;
use crate::error::{CloudError, CloudResult};
use crate::ownership::Owned;
use crate::pace::Poll;
use crate::tag::Tag;
use crate::types::{Addresses, Droplet, DropletId};

/// A droplet that is active, unlocked, tagged and has both addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The droplet as it is now.
    pub droplet: Droplet,
    /// Proof that it is the environment's.
    pub owned: Owned,
    /// Its own addresses.
    pub addresses: Addresses,
}

/// A droplet that is still waited for.
struct Waiting {
    name: String,
    /// Time into the wait at which it was last seen at all.
    seen_at: Duration,
    missing: String,
}

/// Waits for droplets by id and name and reports each one to `on_outcome` the moment it is ready
/// or has failed, so that nobody waits for the slowest. `reserved` are the account's reserved IPs.
///
/// Fails as a whole only when the cloud itself cannot be asked.
pub async fn wait_until_ready(
    cloud: &dyn Cloud,
    environment: &Tag,
    droplets: &[(DropletId, String)],
    reserved: &BTreeSet<Ipv4Addr>,
    mut on_outcome: impl FnMut(DropletId, CloudResult<Ready>) + Send,
) -> CloudResult<()> {
    let pace = cloud.pace();
    let mut poll = Poll::new(pace, "droplets to be ready", pace.ready_for);
    let mut waiting: BTreeMap<DropletId, Waiting> = droplets
        .iter()
        .map(|(id, name)| (*id, Waiting::new(name)))
        .collect();
    while !waiting.is_empty() {
        let mut listed = list(cloud, environment, &waiting).await?;
        let ids: Vec<DropletId> = waiting.keys().copied().collect();
        for id in ids {
            let seen = match listed.remove(&id) {
                Some(droplet) => Some(droplet),
                // Lists lag behind; a droplet is known by its id first.
                None => cloud.droplet(id).await?,
            };
            let Some(waiter) = waiting.get_mut(&id) else {
                continue;
            };
            let gone = poll.elapsed().saturating_sub(waiter.seen_at) >= pace.appear_for;
            if let Some(outcome) =
                waiter.look(id, seen, environment, reserved, poll.elapsed(), gone)
            {
                waiting.remove(&id);
                on_outcome(id, outcome);
            }
        }
        if waiting.is_empty() {
            break;
        }
        if poll.pause("").await.is_err() {
            for (id, waiter) in std::mem::take(&mut waiting) {
                on_outcome(id, Err(waiter.timeout(id, poll.elapsed())));
            }
        }
    }
    Ok(())
}

/// The environment's droplets when more than one is waited for; for a single one its id is
/// shorter.
async fn list(
    cloud: &dyn Cloud,
    environment: &Tag,
    waiting: &BTreeMap<DropletId, Waiting>,
) -> CloudResult<BTreeMap<DropletId, Droplet>> {
    if waiting.len() < 2 {
        return Ok(BTreeMap::new());
    }
    let droplets = cloud.droplets_tagged(environment).await?;
    Ok(droplets
        .into_iter()
        .map(|droplet| (droplet.id, droplet))
        .collect())
}

impl Waiting {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            seen_at: Duration::ZERO,
            missing: "never seen".to_owned(),
        }
    }

    /// The outcome, if this look settles it. `gone`: not seen for too long to be mere lag.
    fn look(
        &mut self,
        id: DropletId,
        seen: Option<Droplet>,
        environment: &Tag,
        reserved: &BTreeSet<Ipv4Addr>,
        now: Duration,
        gone: bool,
    ) -> Option<CloudResult<Ready>> {
        let Some(droplet) = seen else {
            return gone.then(|| {
                let name = self.name.clone();
                Err(CloudError::Vanished { id, name })
            });
        };
        self.seen_at = now;
        let owned = match Owned::claim(&droplet, environment) {
            Ok(owned) => owned,
            // Tags are put on after the droplet is made.
            Err(CloudError::NotOurs { .. }) => {
                self.missing = format!("no tag {environment} yet");
                return None;
            }
            Err(error) => return Some(Err(error)),
        };
        match droplet.readiness(reserved) {
            Ok(addresses) => Some(Ok(Ready {
                droplet,
                owned,
                addresses,
            })),
            Err(missing) => {
                self.missing = missing.to_string();
                None
            }
        }
    }

    fn timeout(self, id: DropletId, waited: Duration) -> CloudError {
        CloudError::Timeout {
            what: format!("droplet {} ({id}) to be ready", self.name),
            waited,
            last_seen: self.missing,
        }
    }
}
