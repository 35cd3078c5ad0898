//! One droplet per intent, although the API has no idempotency key and answers get lost.
//!
//! An intent gets an id of its own, which is written to the journal and put on the droplet as a
//! tag before anything is sent. When the answer is lost, or an earlier run died, marg looks for
//! that tag and, since tags come late, for the name too, before it asks again. If the journal is
//! lost, the name within the environment still finds the droplet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::Cloud;
use crate::error::{CloudError, CloudResult};
use crate::journal::{Intent, Journal};
use crate::new_droplet::NewDroplet;
use crate::pace::Poll;
use crate::tag::Tag;
use crate::types::{Droplet, DropletId};

/// Requests for one droplet whose outcomes stay unknown, before marg gives up.
const POSTS: u32 = 3;

/// A droplet that exists, or is promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// The droplet as it was last seen; see [`crate::wait_until_ready`].
    pub droplet: Droplet,
    /// How it came about.
    pub how: How,
    /// Further droplets of the same environment and name, younger than `droplet`. marg leaves
    /// them alone: deleting them takes the operator's consent.
    pub duplicates: Vec<Droplet>,
}

/// How a droplet came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The cloud accepted it just now.
    Created,
    /// It is the fruit of an earlier request: its answer was lost, or the run ended early.
    Adopted,
    /// It was there under its name already.
    Found,
}

/// Makes sure that exactly one droplet of this name exists in its environment.
///
/// The record in the journal stays after success, in case the droplet is slow to show in lists;
/// call [`Journal::forget`] once it is ready.
pub async fn ensure_droplet(
    cloud: &dyn Cloud,
    journal: &Journal,
    new: &NewDroplet,
) -> CloudResult<Ensured> {
    new.check()?;
    let mut intent = journal
        .intent(&new.name)
        .unwrap_or_else(|| Intent::fresh(&new.environment));
    if let Some(id) = intent.droplet {
        if let Some(ensured) = recorded(cloud, new, &intent, id).await? {
            return Ok(ensured);
        }
        intent = Intent::fresh(&new.environment);
    }
    let mut unknown = None;
    for posts_left in (0..=POSTS).rev() {
        if let Some(ensured) = settle(cloud, new, &intent).await? {
            intent.droplet = Some(ensured.droplet.id);
            journal.record(&new.name, &intent).await?;
            return Ok(ensured);
        }
        if posts_left == 0 {
            break;
        }
        match post(cloud, journal, new, &mut intent).await {
            Err(error @ CloudError::OutcomeUnknown { .. }) => {
                tracing::warn!(droplet = new.name, %error, "looking for the droplet");
                unknown = Some(error);
            }
            other => return other,
        }
    }
    Err(unknown.unwrap_or_else(|| CloudError::OutcomeUnknown {
        request: format!("the creation of {}", new.name),
        cause: "no answer came".to_owned(),
    }))
}

/// Sends the request, with the intent on disk before and the outcome after it.
async fn post(
    cloud: &dyn Cloud,
    journal: &Journal,
    new: &NewDroplet,
    intent: &mut Intent,
) -> CloudResult<Ensured> {
    intent.posted_at = Some(Timestamp::now());
    journal.record(&new.name, intent).await?;
    match cloud
        .create_droplet(new, &Tag::operation(&intent.operation)?)
        .await
    {
        Ok(created) => {
            intent.droplet = Some(created.droplet.id);
            intent.action = created.action;
            journal.record(&new.name, intent).await?;
            Ok(Ensured {
                droplet: created.droplet,
                how: How::Created,
                duplicates: Vec::new(),
            })
        }
        Err(error @ CloudError::OutcomeUnknown { .. }) => Err(error),
        // Refused, or never sent: nothing was made, so there is nothing to look for next time.
        Err(error) => {
            journal.forget(&new.name).await?;
            Err(error)
        }
    }
}

/// The droplet that an earlier run was promised, or `None` when the cloud has dropped it.
async fn recorded(
    cloud: &dyn Cloud,
    new: &NewDroplet,
    intent: &Intent,
    id: DropletId,
) -> CloudResult<Option<Ensured>> {
    let pace = cloud.pace();
    let what = format!("droplet {} ({id}) to appear with its tags", new.name);
    let mut poll = Poll::new(pace, what, left(intent.posted_at, pace.appear_for));
    loop {
        let found = cloud.droplet(id).await?;
        if let Some(droplet) = &found
            && droplet.has_tag(&new.environment)?
        {
            return Ok(Some(Ensured {
                droplet: droplet.clone(),
                how: How::Adopted,
                duplicates: Vec::new(),
            }));
        }
        if poll.pause("not there").await.is_err() {
            // Without its tag it must not be touched, and asking for another would make two.
            return found.map_or(Ok(None), |droplet| Err(unclaimed(&droplet, new)));
        }
    }
}

/// What a look at the cloud shows of an intent.
#[derive(Default)]
struct Sighting {
    /// Carry the environment's tag, and the intent's tag or the name.
    ours: BTreeMap<DropletId, Droplet>,
    /// May be ours, with tags still on their way.
    untagged: Option<Droplet>,
}

/// Looks for an existing droplet until the lists have caught up with the last request.
async fn settle(
    cloud: &dyn Cloud,
    new: &NewDroplet,
    intent: &Intent,
) -> CloudResult<Option<Ensured>> {
    let pace = cloud.pace();
    let what = format!("the outcome of creating {}", new.name);
    let mut poll = Poll::new(pace, what, left(intent.posted_at, pace.adopt_for));
    // Fixed for the whole wait: what counts as new at the first look must do so at the last.
    let asked = intent.posted_at.unwrap_or_else(Timestamp::now);
    loop {
        let Sighting { ours, untagged } = look(cloud, new, intent, asked).await?;
        if !ours.is_empty() {
            return Ok(ensured(ours.into_values().collect(), intent));
        }
        if untagged.is_some() && intent.posted_at.is_none() {
            poll.extend_to(pace.adopt_for);
        }
        if poll.pause("not there").await.is_err() {
            return untagged.map_or(Ok(None), |droplet| Err(unclaimed(&droplet, new)));
        }
    }
}

async fn look(
    cloud: &dyn Cloud,
    new: &NewDroplet,
    intent: &Intent,
    asked: Timestamp,
) -> CloudResult<Sighting> {
    let mut sighting = Sighting::default();
    let mut candidates = cloud.droplets_named(&new.name).await?;
    candidates.retain(|droplet| is_recent_or_tagged(droplet, asked, cloud.pace().adopt_for));
    if intent.posted_at.is_some() {
        candidates.extend(
            cloud
                .droplets_tagged(&Tag::operation(&intent.operation)?)
                .await?,
        );
    }
    let ids: BTreeSet<DropletId> = candidates.iter().map(|droplet| droplet.id).collect();
    for id in ids {
        // Lists also show what is no longer there.
        let Some(droplet) = cloud.droplet(id).await? else {
            continue;
        };
        if droplet.has_tag(&new.environment)? {
            sighting.ours.insert(droplet.id, droplet);
        } else if droplet
            .tags
            .as_ref()
            .is_none_or(|tags| lacks_only_ours(tags))
        {
            sighting.untagged = Some(droplet);
        }
    }
    Ok(sighting)
}

/// A droplet with somebody else's tags is somebody else's, whatever its name.
fn lacks_only_ours(tags: &[String]) -> bool {
    tags.iter()
        .all(|tag| tag.starts_with("marg-op:") || tag == "marg")
}

/// An old droplet of the same name without tags is a stranger's: names are not unique.
fn is_recent_or_tagged(droplet: &Droplet, asked: Timestamp, window: Duration) -> bool {
    let untagged = droplet.tags.as_ref().is_some_and(Vec::is_empty);
    let horizon = SignedDuration::try_from(window)
        .ok()
        .and_then(|window| asked.checked_sub(window).ok());
    !untagged
        || droplet
            .created_at
            .zip(horizon)
            .is_none_or(|(made, horizon)| made >= horizon)
}

/// The oldest is kept, the others are reported.
fn ensured(mut droplets: Vec<Droplet>, intent: &Intent) -> Option<Ensured> {
    droplets.sort_by_key(Droplet::age_key);
    let mut droplets = droplets.into_iter();
    let droplet = droplets.next()?;
    let operation = format!("marg-op:{}", intent.operation);
    let marked = droplet
        .tags
        .iter()
        .flatten()
        .any(|tag| tag.eq_ignore_ascii_case(&operation));
    let duplicates: Vec<Droplet> = droplets.collect();
    if !duplicates.is_empty() {
        let ids: Vec<String> = duplicates.iter().map(|twin| twin.id.to_string()).collect();
        tracing::warn!(
            name = droplet.name,
            ids = ids.join(","),
            "more droplets of one name"
        );
    }
    Some(Ensured {
        droplet,
        how: if marked { How::Adopted } else { How::Found },
        duplicates,
    })
}

fn unclaimed(droplet: &Droplet, new: &NewDroplet) -> CloudError {
    CloudError::Unclaimed {
        id: droplet.id,
        name: droplet.name.clone(),
        tag: new.environment.to_string(),
    }
}

/// What is left of `window` since `from`; nothing when nothing was sent. A clock that was set
/// back cannot make it longer than the window.
fn left(from: Option<Timestamp>, window: Duration) -> Duration {
    let Some(from) = from else {
        return Duration::ZERO;
    };
    let passed = Duration::try_from(Timestamp::now().duration_since(from)).unwrap_or_default();
    window.saturating_sub(passed)
}
