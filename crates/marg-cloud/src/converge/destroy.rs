//! Deletes until the thing is really gone.

use tokio::time::Instant;

use crate::cloud::Cloud;
use crate::error::{CloudError, CloudResult, contains_any};
use crate::ownership::{Owned, OwnedVpc};
use crate::pace::Poll;

/// Deletes a droplet of the environment and waits until the cloud no longer knows it.
///
/// A running event is waited for first. A deletion that was accepted but does not happen is asked
/// for again.
pub async fn destroy_droplet(cloud: &dyn Cloud, droplet: &Owned) -> CloudResult<()> {
    let pace = cloud.pace();
    let what = format!("the end of droplet {} ({})", droplet.name(), droplet.id());
    let mut poll = Poll::new(pace, what, pace.delete_for);
    let mut asked: Option<Instant> = None;
    loop {
        let Some(seen) = cloud.droplet(droplet.id()).await? else {
            return Ok(());
        };
        let mut last_seen = format!("status {}", seen.status);
        let due = asked.is_none_or(|at| at.elapsed() >= pace.delete_again_after);
        if seen.locked && asked.is_none() {
            last_seen.push_str(", an event is running");
        } else if due {
            match cloud.delete_droplet(droplet).await {
                Ok(()) => asked = Some(Instant::now()),
                Err(error) if error.is_busy() => last_seen = error.to_string(),
                Err(error) => return Err(error),
            }
        }
        poll.pause(last_seen).await?;
    }
}

/// Deletes a private network. Its members leave it some time after they are gone themselves, so
/// a refusal because of members is waited out.
pub async fn destroy_vpc(cloud: &dyn Cloud, vpc: &OwnedVpc) -> CloudResult<()> {
    let pace = cloud.pace();
    let mut poll = Poll::new(
        pace,
        format!("the end of VPC {}", vpc.name()),
        pace.delete_for,
    );
    loop {
        match cloud.delete_vpc(vpc).await {
            Err(error) if has_members(&error) => poll.pause(error).await?,
            other => return other,
        }
    }
}

/// The refusal comes as 403 or as 409.
fn has_members(error: &CloudError) -> bool {
    match error {
        CloudError::Refused { status: 409, .. } => true,
        CloudError::Forbidden { message, .. } | CloudError::Refused { message, .. } => {
            contains_any(message, &["member"])
        }
        _ => false,
    }
}
