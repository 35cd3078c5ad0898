//! Power and size of a droplet: off in a good way, larger, and on again whatever happens.

use crate::cloud::Cloud;
use crate::converge::action::run_action;
use crate::error::{CloudError, CloudResult};
use crate::ownership::Owned;
use crate::pace::Poll;
use crate::types::{Droplet, DropletAction, DropletStatus};

/// Switches a droplet off: the guest is asked to shut down, and when it does not in time the
/// power is cut. Succeeds for one that is off.
pub async fn shut_down(cloud: &dyn Cloud, droplet: &Owned) -> CloudResult<()> {
    if is_off(&seen(cloud, droplet).await?) {
        return Ok(());
    }
    // The action's end says nothing: only the droplet's own status does. An action that fails
    // has the same remedy as a guest that does not listen.
    match run_action(cloud, droplet, &DropletAction::Shutdown).await {
        Ok(()) | Err(CloudError::ActionFailed { .. }) => {}
        Err(error) => return Err(error),
    }
    let pace = cloud.pace();
    let what = format!("the shutdown of droplet {}", droplet.name());
    let mut poll = Poll::new(pace, what, pace.shutdown_for);
    loop {
        let now = seen(cloud, droplet).await?;
        if is_off(&now) {
            return Ok(());
        }
        if poll.pause(format!("status {}", now.status)).await.is_err() {
            return run_action(cloud, droplet, &DropletAction::PowerOff).await;
        }
    }
}

/// Gives a droplet that is off another size, and switches it on, also when the cloud refuses the
/// size. `disk` lets the disk grow too, which can never be undone. A droplet that has the size
/// already is only switched on.
pub async fn resize_and_start(
    cloud: &dyn Cloud,
    droplet: &Owned,
    size: &str,
    disk: bool,
) -> CloudResult<()> {
    let resized = match seen(cloud, droplet).await?.size_slug == size && !disk {
        true => Ok(()),
        false => {
            let size = size.to_owned();
            run_action(cloud, droplet, &DropletAction::Resize { size, disk }).await
        }
    };
    let started = run_action(cloud, droplet, &DropletAction::PowerOn).await;
    resized.and(started)
}

fn is_off(droplet: &Droplet) -> bool {
    droplet.status == DropletStatus::Off
}

async fn seen(cloud: &dyn Cloud, droplet: &Owned) -> CloudResult<Droplet> {
    let seen = cloud.droplet(droplet.id()).await?;
    seen.ok_or_else(|| CloudError::Vanished {
        name: droplet.name().to_owned(),
        id: droplet.id(),
    })
}
