//! Reserved IPs: the stable public entry, moved between droplets without touching DNS.

use crate::cloud::Cloud;
use crate::converge::action::wait_for_action;
use crate::error::{CloudError, CloudResult};
use crate::ownership::{Owned, OwnedIp};
use crate::pace::Poll;
use crate::types::{Action, DropletId, ReservedIp, ReservedIpPlace};

/// Makes sure that a reserved IP leads to the droplet, and returns it.
///
/// It is made for the droplet, not for the region: reserved IPs have no tags or names, so one
/// that leads nowhere could belong to anybody, and a lost answer could cost a second one. A
/// droplet can only have one.
pub async fn ensure_reserved_ip(cloud: &dyn Cloud, droplet: &Owned) -> CloudResult<ReservedIp> {
    let pace = cloud.pace();
    let what = format!(
        "a reserved IP for droplet {} ({})",
        droplet.name(),
        droplet.id()
    );
    let mut poll = Poll::new(pace, what, pace.action_for);
    loop {
        let known = cloud.reserved_ips().await?;
        if let Some(found) = known
            .into_iter()
            .find(|ip| ip.droplet == Some(droplet.id()))
        {
            let own = OwnedIp::made_for(droplet, found.ip);
            return assign_reserved_ip(cloud, &own, droplet).await;
        }
        let place = ReservedIpPlace::Droplet(droplet.id());
        match cloud.create_reserved_ip(&place).await {
            Ok(made) => {
                let own = OwnedIp::made_for(droplet, made.ip);
                return assign_reserved_ip(cloud, &own, droplet).await;
            }
            Err(error @ CloudError::OutcomeUnknown { .. }) => poll.pause(error).await?,
            Err(error) if error.is_busy() => poll.pause(error).await?,
            // After a lost answer, a refusal means that the first request was carried out.
            Err(error) if error.is_refusal() && poll.has_paused() => poll.pause(error).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Makes the address lead to the droplet and waits until it does.
pub async fn assign_reserved_ip(
    cloud: &dyn Cloud,
    ip: &OwnedIp,
    droplet: &Owned,
) -> CloudResult<ReservedIp> {
    let what = format!(
        "reserved IP {} to lead to droplet {}",
        ip.ip(),
        droplet.name()
    );
    lead(cloud, ip, Some(droplet), &what).await
}

/// Makes the address lead nowhere and waits until it does. One that is gone leads nowhere.
pub async fn unassign_reserved_ip(cloud: &dyn Cloud, ip: &OwnedIp) -> CloudResult<()> {
    match lead(
        cloud,
        ip,
        None,
        &format!("reserved IP {} to be free", ip.ip()),
    )
    .await
    {
        Ok(_) | Err(CloudError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Frees the address and gives it back; from then on it may be anybody's.
pub async fn release_reserved_ip(cloud: &dyn Cloud, ip: &OwnedIp) -> CloudResult<()> {
    let pace = cloud.pace();
    let mut poll = Poll::new(
        pace,
        format!("the end of reserved IP {}", ip.ip()),
        pace.delete_for,
    );
    unassign_reserved_ip(cloud, ip).await?;
    loop {
        match cloud.delete_reserved_ip(ip).await {
            Err(error) if error.is_busy() => poll.pause(error).await?,
            other => return other,
        }
    }
}

async fn lead(
    cloud: &dyn Cloud,
    own: &OwnedIp,
    target: Option<&Owned>,
    what: &str,
) -> CloudResult<ReservedIp> {
    let (pace, ip) = (cloud.pace(), own.ip());
    let wanted: Option<DropletId> = target.map(Owned::id);
    let mut poll = Poll::new(pace, what, pace.action_for);
    loop {
        match cloud.reserved_ip(ip).await? {
            Some(address) if address.locked => poll.pause("it is being moved").await?,
            Some(address) if address.droplet == wanted => return Ok(address),
            Some(address) => {
                let last_seen = match start(cloud, own, target).await? {
                    Ok(action) => ended(cloud, what, &action).await?,
                    Err(reason) => reason,
                };
                tracing::debug!(%ip, from = ?address.droplet, last_seen, "moving a reserved IP");
                poll.pause(last_seen).await?;
            }
            // A fresh address may be unknown for a moment; one to be freed is simply gone.
            None if target.is_some() && poll.elapsed() < pace.appear_for => {
                poll.pause("not there").await?;
            }
            None => {
                return Err(CloudError::NotFound {
                    request: format!("GET /v2/reserved_ips/{ip}"),
                    request_id: None,
                });
            }
        }
    }
}

/// Asks for the move; the inner error is a reason to look again and not to fail.
async fn start(
    cloud: &dyn Cloud,
    ip: &OwnedIp,
    target: Option<&Owned>,
) -> CloudResult<Result<Action, String>> {
    let started = match target {
        Some(droplet) => cloud.start_assign(ip, droplet).await,
        None => cloud.start_unassign(ip).await,
    };
    match started {
        Ok(action) => Ok(Ok(action)),
        // To move an address twice is to move it once.
        Err(error @ CloudError::OutcomeUnknown { .. }) => Ok(Err(error.to_string())),
        Err(error) if error.is_busy() => Ok(Err(error.to_string())),
        // The address may have been freed by the end of its droplet in this very moment.
        Err(error @ CloudError::Refused { .. }) if target.is_none() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Waits for the action as far as the cloud lets one see it; the address itself decides.
async fn ended(cloud: &dyn Cloud, what: &str, action: &Action) -> CloudResult<String> {
    match wait_for_action(cloud, what, action.id).await {
        Ok(()) => Ok("the move has ended".to_owned()),
        Err(CloudError::Timeout { last_seen, .. }) => Ok(last_seen),
        Err(error) => Err(error),
    }
}
