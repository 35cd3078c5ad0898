//! An image of a droplet's disk, taken once although the cloud does not say which image it made.

use std::time::Duration;

use crate::cloud::Cloud;
use crate::converge::action::run_action;
use crate::error::{CloudError, CloudResult};
use crate::ownership::Owned;
use crate::pace::Poll;
use crate::tag::Tag;
use crate::types::{DropletAction, Image, Snapshot};

/// Orders whose outcomes stay unknown, before marg gives up.
const ORDERS: u32 = 3;

/// Snapshots of a droplet once nothing runs on it any more: none is on its way then.
pub async fn snapshots_at_rest(cloud: &dyn Cloud, droplet: &Owned) -> CloudResult<Vec<Snapshot>> {
    let pace = cloud.pace();
    let what = format!("the end of what runs on droplet {}", droplet.name());
    let mut poll = Poll::new(pace, what, pace.snapshot_for);
    loop {
        match cloud.droplet(droplet.id()).await? {
            None => return Ok(Vec::new()),
            Some(seen) if !seen.locked => return cloud.snapshots_of(droplet).await,
            Some(_) => poll.pause("an event is running").await?,
        }
    }
}

/// Takes a snapshot of that name, unless the droplet has one already: an earlier run may have
/// ended before it saw what it had ordered. The action does not say which image it makes, so the
/// image is found by its name.
pub async fn take_snapshot(
    cloud: &dyn Cloud,
    droplet: &Owned,
    name: &str,
) -> CloudResult<Snapshot> {
    let pace = cloud.pace();
    let action = DropletAction::Snapshot {
        name: name.to_owned(),
    };
    let mut window = Duration::ZERO;
    for _ in 0..ORDERS {
        if let Some(found) = settle(cloud, droplet, name, window).await? {
            return Ok(found);
        }
        match run_action(cloud, droplet, &action).await {
            Ok(()) => {
                window = pace.appear_for;
                break;
            }
            Err(error @ CloudError::OutcomeUnknown { .. }) => {
                tracing::warn!(droplet = droplet.name(), %error, "looking for the snapshot");
                window = pace.adopt_for;
            }
            Err(error) => return Err(error),
        }
    }
    let found = settle(cloud, droplet, name, window).await?;
    found.ok_or_else(|| CloudError::Timeout {
        what: format!("image {name} to appear"),
        waited: window,
        last_seen: format!("not among the snapshots of droplet {}", droplet.name()),
    })
}

/// Looks for the snapshot until lists have caught up with the last order.
async fn settle(
    cloud: &dyn Cloud,
    droplet: &Owned,
    name: &str,
    window: Duration,
) -> CloudResult<Option<Snapshot>> {
    let mut poll = Poll::new(cloud.pace(), format!("image {name}"), window);
    loop {
        // The newest of the name: ids grow with time.
        let snapshots = snapshots_at_rest(cloud, droplet).await?.into_iter();
        let found = snapshots.filter(|one| one.name == name);
        if let Some(found) = found.max_by_key(|one| one.id) {
            return Ok(Some(found));
        }
        if poll.pause("not there").await.is_err() {
            return Ok(None);
        }
    }
}

/// Puts a tag and `more` of them on a snapshot, and waits until the cloud shows them all: from
/// then on it is found as an image.
pub async fn keep_snapshot(
    cloud: &dyn Cloud,
    snapshot: &Snapshot,
    tag: &Tag,
    more: &[Tag],
) -> CloudResult<Image> {
    for tag in more.iter().chain([tag]) {
        cloud.create_tag(tag).await?;
        cloud.tag_snapshot(tag, snapshot).await?;
    }
    let pace = cloud.pace();
    let what = format!("image {} to show its tags", snapshot.name);
    let mut poll = Poll::new(pace, what, pace.appear_for);
    loop {
        let mut images = cloud.images_tagged(tag).await?.into_iter();
        if let Some(found) = images.find(|image| image.id == snapshot.id && shows(image, more)) {
            return Ok(found);
        }
        poll.pause("not in the list").await?;
    }
}

fn shows(image: &Image, tags: &[Tag]) -> bool {
    tags.iter().all(|tag| image.has_tag(tag).unwrap_or(false))
}
