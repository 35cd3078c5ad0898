//! Actions on droplets: one at a time, waited for.

use std::time::Duration;

use crate::cloud::Cloud;
use crate::error::{CloudError, CloudResult, contains_any};
use crate::ownership::Owned;
use crate::pace::Poll;
use crate::types::{ActionId, ActionStatus, DropletAction};

/// Starts an action as soon as nothing else runs on the droplet, and waits for its end.
///
/// Powering off what is off, and on what is on, succeeds.
pub async fn run_action(
    cloud: &dyn Cloud,
    droplet: &Owned,
    action: &DropletAction,
) -> CloudResult<()> {
    let pace = cloud.pace();
    let what = format!(
        "{} of droplet {} ({})",
        words(action),
        droplet.name(),
        droplet.id()
    );
    let mut poll = Poll::new(pace, format!("the start of {what}"), pace.action_for);
    let limit = match action {
        DropletAction::Snapshot { .. } => pace.snapshot_for,
        _ => pace.action_for,
    };
    loop {
        match cloud.start_action(droplet, action).await {
            Ok(started) => return wait(cloud, &what, started.id, limit).await,
            Err(error) if is_already_so(&error, action) => return Ok(()),
            Err(error) if error.is_busy() => poll.pause(error).await?,
            Err(error @ CloudError::OutcomeUnknown { .. }) if is_idempotent(action) => {
                poll.pause(error).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until an action has completed. `what` names it in messages.
pub async fn wait_for_action(cloud: &dyn Cloud, what: &str, id: ActionId) -> CloudResult<()> {
    wait(cloud, what, id, cloud.pace().action_for).await
}

async fn wait(cloud: &dyn Cloud, what: &str, id: ActionId, limit: Duration) -> CloudResult<()> {
    let pace = cloud.pace();
    let mut poll = Poll::new(pace, format!("the end of {what}"), limit);
    let mut known = false;
    loop {
        let last_seen = match cloud.action(id).await? {
            Some(action) => match action.status {
                ActionStatus::Completed => return Ok(()),
                ActionStatus::Errored => {
                    return Err(CloudError::ActionFailed {
                        what: what.to_owned(),
                        action: id,
                    });
                }
                status => {
                    known = true;
                    status.to_string()
                }
            },
            // A fresh action may be unknown for a moment; one that stays unknown never began.
            None if known || poll.elapsed() < pace.appear_for => "unknown to the cloud".to_owned(),
            None => {
                return Err(CloudError::Timeout {
                    what: format!("the start of {what}"),
                    waited: poll.elapsed(),
                    last_seen: format!("action {id} is unknown to the cloud"),
                });
            }
        };
        poll.pause(last_seen).await?;
    }
}

/// Whether asking twice is the same as asking once.
fn is_idempotent(action: &DropletAction) -> bool {
    matches!(action, DropletAction::PowerOff | DropletAction::PowerOn)
}

fn is_already_so(error: &CloudError, action: &DropletAction) -> bool {
    let wanted = match action {
        DropletAction::PowerOff | DropletAction::Shutdown => "already powered off",
        DropletAction::PowerOn => "already powered on",
        _ => return false,
    };
    matches!(error, CloudError::Refused { message, .. } if contains_any(message, &[wanted]))
}

fn words(action: &DropletAction) -> &'static str {
    match action {
        DropletAction::Shutdown => "shutdown",
        DropletAction::PowerOff => "power off",
        DropletAction::PowerOn => "power on",
        DropletAction::PowerCycle => "power cycle",
        DropletAction::Reboot => "reboot",
        DropletAction::Resize { .. } => "resize",
        DropletAction::Snapshot { .. } => "snapshot",
    }
}
