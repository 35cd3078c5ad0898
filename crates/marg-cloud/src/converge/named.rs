//! Things that the cloud keeps unique by itself, by name or by content: SSH keys, private
//! networks, firewalls. Asking twice for one of them cannot make two.

use std::future::Future;

use crate::cloud::Cloud;
use crate::error::{CloudError, CloudResult, contains_any};
use crate::fingerprint::md5_fingerprint;
use crate::ownership::Owner;
use crate::pace::{Pace, Poll};
use crate::types::{Firewall, FirewallId, FirewallSpec, NewVpc, SshKey, Vpc};

/// Makes the account know the public key (OpenSSH's one-line form).
pub async fn ensure_ssh_key(
    cloud: &dyn Cloud,
    name: &str,
    public_key: &str,
) -> CloudResult<SshKey> {
    let fingerprint = md5_fingerprint(public_key)?;
    find_or_create(
        cloud.pace(),
        &format!("SSH key {name}"),
        || cloud.find_ssh_key(&fingerprint),
        || cloud.create_ssh_key(name, public_key),
    )
    .await
}

/// Makes the private network exist. One of the same name in another region, or with another
/// range, is an error: neither can be changed. So is one that is not the environment's.
pub async fn ensure_vpc(cloud: &dyn Cloud, owner: &Owner, new: &NewVpc) -> CloudResult<Vpc> {
    let vpc = find_or_create(
        cloud.pace(),
        &format!("VPC {}", new.name),
        || async {
            let vpcs = cloud.vpcs().await?;
            Ok(vpcs.into_iter().find(|vpc| vpc.name == new.name))
        },
        || cloud.create_vpc(new),
    )
    .await?;
    owner.vpc(&vpc)?;
    let range = new.ip_range.as_ref().unwrap_or(&vpc.ip_range);
    if vpc.region != new.region || vpc.ip_range != *range {
        return Err(CloudError::Mismatch {
            what: "VPC",
            name: vpc.name,
            found: format!("{} in {}", vpc.ip_range, vpc.region),
            wanted: format!("{range} in {}", new.region),
        });
    }
    Ok(vpc)
}

/// Makes the firewall exist and say what `spec` says; the flag tells whether anything changed.
/// See [`wait_until_enforced`] for the droplets to obey. One of the same name that is not the
/// environment's is an error.
pub async fn ensure_firewall(
    cloud: &dyn Cloud,
    owner: &Owner,
    spec: &FirewallSpec,
) -> CloudResult<(Firewall, bool)> {
    let mut created = false;
    let present = async || {
        let firewalls = cloud.firewalls().await?;
        CloudResult::Ok(
            firewalls
                .into_iter()
                .find(|firewall| firewall.name == spec.name),
        )
    };
    let firewall = match present().await? {
        Some(firewall) => firewall,
        None => {
            created = true;
            let what = format!("firewall {}", spec.name);
            let create = || cloud.create_firewall(spec);
            find_or_create(cloud.pace(), &what, present, create).await?
        }
    };
    let own = owner.firewall(&firewall)?;
    if spec.differences(&firewall).is_empty() {
        return Ok((firewall, created));
    }
    Ok((cloud.update_firewall(&own, spec).await?, true))
}

/// Waits until every droplet obeys the firewall. Only then is a port known to be closed.
pub async fn wait_until_enforced(cloud: &dyn Cloud, id: &FirewallId) -> CloudResult<()> {
    let pace = cloud.pace();
    let mut poll = Poll::new(
        pace,
        format!("firewall {id} to be enforced"),
        pace.enforce_for,
    );
    loop {
        let last_seen = match cloud.firewall(id).await? {
            Some(firewall) if firewall.is_enforced() => return Ok(()),
            Some(firewall) => format!(
                "status {}, {} changes pending",
                firewall.status,
                firewall.pending_changes.len()
            ),
            None => "not there".to_owned(),
        };
        poll.pause(last_seen).await?;
    }
}

/// Finds the thing, or asks for it; goes round again when the answer was lost or says that the
/// thing exists (a reader may lag behind).
async fn find_or_create<T, Find, Create>(
    pace: &Pace,
    what: &str,
    find: impl Fn() -> Find,
    create: impl Fn() -> Create,
) -> CloudResult<T>
where
    Find: Future<Output = CloudResult<Option<T>>>,
    Create: Future<Output = CloudResult<T>>,
{
    let mut poll = Poll::new(pace, format!("{what} to exist"), pace.appear_for);
    loop {
        if let Some(found) = find().await? {
            return Ok(found);
        }
        match create().await {
            Err(error @ CloudError::OutcomeUnknown { .. }) => poll.pause(error).await?,
            Err(error) if exists(&error) => poll.pause(error).await?,
            other => return other,
        }
    }
}

fn exists(error: &CloudError) -> bool {
    const WORDS: [&str; 4] = [
        "already in use",
        "already exists",
        "duplicate name",
        "been taken",
    ];
    matches!(error, CloudError::Refused { message, .. } if contains_any(message, &WORDS))
}
