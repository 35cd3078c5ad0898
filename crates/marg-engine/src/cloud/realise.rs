//! Makes the cloud as the blueprint wants it: keys, tags, network and firewalls before the
//! droplets, so that a droplet is closed before it first boots; then the entry address.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use marg_cloud::{
    BootImage, Cloud, CloudError, Droplet, FirewallSpec, How, Journal, NewDroplet, NewVpc, Owned,
    Owner, SshKey, Tag, Vpc, assign_reserved_ip, ensure_droplet, ensure_firewall,
    ensure_reserved_ip, ensure_ssh_key, ensure_vpc, wait_until_enforced, wait_until_ready,
};
use marg_model::{Blueprint, Event, Host};

use super::changes::{firewall_changes, not_of_the_phase, obsolete_firewalls, phase_tag, untagged};
use super::desired;
use super::lockout;
use super::situation::Situation;
use super::transition::{Entry, widened};
use super::user_data::user_data;
use crate::engine::Engine;
use crate::error::EngineError;

/// Whatever is changed, it is changed in one environment.
pub struct Making<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Its cloud.
    pub cloud: &'a dyn Cloud,
    /// What is made.
    pub blueprint: &'a Blueprint,
    /// Who claims what of it.
    pub owner: &'a Owner,
    /// Tag of everything that is made.
    pub environment: Tag,
}

/// What every droplet is made with.
pub struct Ground {
    key: SshKey,
    vpc: Vpc,
}

/// A machine to be made.
pub struct Order<'a> {
    /// Name of the host that it becomes.
    pub host: &'a str,
    /// Size slug.
    pub size: &'a str,
    /// What its disk begins as.
    pub image: BootImage,
    /// Tags beside the environment's.
    pub tags: Vec<Tag>,
}

/// Opens everything that is to be: keys, tags, network, droplets; firewalls let in the new beside
/// the old, which somebody may use until the hosts are as they should be. Returns the situation
/// afterwards.
pub async fn open(
    engine: &Engine,
    blueprint: &Blueprint,
    situation: Situation,
) -> Result<Situation, EngineError> {
    if situation.changes.is_empty() {
        return Ok(situation);
    }
    engine.emit(Event::PhaseStarted {
        name: "cloud".to_owned(),
    });
    check_limit(engine.cloud(), situation.missing(blueprint).count()).await?;
    let making = Making::of(engine, blueprint, &situation.found.owner);
    let (ground, ()) = tokio::try_join!(making.ground(), making.all_tags())?;
    let mut firewalls = firewall_changes(blueprint, engine.roles(), &situation.found);
    for (spec, _) in &mut firewalls {
        *spec = widened(spec.clone(), &situation.found.firewalls);
    }
    making.tags(&situation).await?;
    making.firewalls(&situation, &firewalls).await?;
    let droplets = making.droplets(&situation, &ground).await?;
    if let Some(Entry::Take { to }) = situation.entry_move(blueprint) {
        making.lead(&situation, droplets.get(&to)).await?;
    }
    engine.situation(blueprint).await
}

/// Moves the entry address, if visitors arrive at another host than they should.
pub async fn move_entry(
    engine: &Engine,
    blueprint: &Blueprint,
    situation: &Situation,
) -> Result<bool, EngineError> {
    let Some(Entry::Move { to, .. }) = situation.entry_move(blueprint) else {
        return Ok(false);
    };
    let making = Making::of(engine, blueprint, &situation.found.owner);
    making.lead(situation, situation.by_host.get(&to)).await?;
    Ok(true)
}

/// Closes what is no longer wanted: firewalls are exact, those of groups that are gone go, and
/// every droplet says in which phase it stands. `situation` is what is there now.
pub async fn close(
    engine: &Engine,
    blueprint: &Blueprint,
    situation: &Situation,
) -> Result<(), EngineError> {
    let firewalls = firewall_changes(blueprint, engine.roles(), &situation.found);
    let unsaid = not_of_the_phase(blueprint, situation).next().is_some();
    // Somebody may still be behind the others.
    let surplus: Vec<&str> = obsolete_firewalls(blueprint, situation, |_| true).collect();
    if firewalls.is_empty() && surplus.is_empty() && !unsaid {
        return Ok(());
    }
    let making = Making::of(engine, blueprint, &situation.found.owner);
    making.all_tags().await?;
    making.firewalls(situation, &firewalls).await?;
    for firewall in &situation.found.firewalls {
        if surplus.contains(&firewall.name.as_str()) {
            let own = situation.found.owner.firewall(firewall)?;
            engine.cloud().delete_firewall(&own).await?;
            making.say(format!("firewall {}", firewall.name), "deleted");
        }
    }
    if unsaid {
        making.say_the_phase(situation).await?;
    }
    Ok(())
}

/// Asked before anything is changed.
pub async fn check_limit(cloud: &dyn Cloud, wanted: usize) -> Result<(), EngineError> {
    if wanted == 0 {
        return Ok(());
    }
    let (account, present) = tokio::try_join!(cloud.account(), cloud.droplet_count())?;
    match account.droplet_limit {
        Some(limit) if present + wanted as u64 > limit => Err(EngineError::DropletLimit {
            limit,
            present,
            wanted,
        }),
        _ => Ok(()),
    }
}

impl<'a> Making<'a> {
    /// Hands to the environment.
    pub fn of(engine: &'a Engine, blueprint: &'a Blueprint, owner: &'a Owner) -> Self {
        Making {
            engine,
            cloud: engine.cloud(),
            blueprint,
            owner,
            environment: owner.tag().clone(),
        }
    }

    /// The operator's key and the private network.
    pub async fn ground(&self) -> Result<Ground, EngineError> {
        let environment = &self.blueprint.environment;
        let name = desired::name(self.blueprint);
        let public_key = self.engine.identity().public_openssh();
        let new_vpc = NewVpc {
            name: name.clone(),
            region: environment.region.clone(),
            ip_range: environment.vpc_range.clone(),
            description: format!("marg: environment {}", environment.name),
        };
        let (key, vpc) = tokio::try_join!(
            ensure_ssh_key(self.cloud, &name, &public_key),
            ensure_vpc(self.cloud, self.owner, &new_vpc),
        )?;
        Ok(Ground { key, vpc })
    }

    /// A firewall that names a tag is refused before the tag exists.
    pub async fn all_tags(&self) -> Result<(), EngineError> {
        let mut tags = vec![Tag::marg(), self.environment.clone()];
        tags.push(Tag::new(&phase_tag(self.blueprint))?);
        for host in &self.blueprint.hosts {
            tags.push(Tag::new(&self.blueprint.group_tag(&host.group))?);
        }
        tags.sort();
        tags.dedup();
        try_join_all(tags.iter().map(|tag| self.cloud.create_tag(tag))).await?;
        Ok(())
    }

    async fn tags(&self, situation: &Situation) -> Result<(), EngineError> {
        for (host, droplet) in untagged(self.blueprint, situation) {
            let tag = Tag::new(&self.blueprint.group_tag(&host.group))?;
            let owned = Owned::claim(droplet, &self.environment)?;
            self.cloud.tag_droplets(&tag, &[owned]).await?;
            self.say(format!("droplet {}", droplet.name), "tagged");
        }
        Ok(())
    }

    async fn firewalls(
        &self,
        situation: &Situation,
        changes: &[(FirewallSpec, Vec<String>)],
    ) -> Result<(), EngineError> {
        let doors = lockout::open_doors(situation, changes).await;
        try_join_all(changes.iter().map(async |(spec, _)| {
            let (firewall, _) = ensure_firewall(self.cloud, self.owner, spec).await?;
            wait_until_enforced(self.cloud, &firewall.id).await?;
            self.say(format!("firewall {}", spec.name), "enforced");
            Ok::<(), CloudError>(())
        }))
        .await?;
        lockout::keep_open(self.cloud, self.owner, &doors).await
    }

    /// Creates what is missing, all at once, and waits until all are ready: every host must
    /// know every other's private address.
    async fn droplets(
        &self,
        situation: &Situation,
        ground: &Ground,
    ) -> Result<BTreeMap<String, Droplet>, EngineError> {
        let missing: Vec<&Host> = situation.missing(self.blueprint).collect();
        let mut droplets = situation.by_host.clone();
        if missing.is_empty() {
            return Ok(droplets);
        }
        let journal = Journal::open(self.engine.vault().path("journal.json")).await?;
        let making = missing.iter();
        let making = making.map(|host| self.create(&journal, ground, situation, host));
        let made = try_join_all(making).await?;
        self.ready(situation, &made).await?;
        for (host, droplet) in missing.into_iter().zip(made) {
            journal.forget(&droplet.name).await?;
            droplets.insert(host.name.clone(), droplet);
        }
        Ok(droplets)
    }

    /// Waits until droplets are ready; gives them as they are then.
    pub async fn ready(
        &self,
        situation: &Situation,
        made: &[Droplet],
    ) -> Result<Vec<Droplet>, EngineError> {
        let waiting: Vec<_> = made.iter().map(|d| (d.id, d.name.clone())).collect();
        let reserved = situation.found.reserved_addresses();
        let mut ready = Vec::new();
        let mut failed = Vec::new();
        wait_until_ready(
            self.cloud,
            &self.environment,
            &waiting,
            &reserved,
            |_, outcome| match outcome {
                Ok(one) => {
                    self.say(format!("droplet {}", one.droplet.name), "ready");
                    ready.push(one.droplet);
                }
                Err(error) => failed.push(error),
            },
        )
        .await?;
        match failed.into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(ready),
        }
    }

    /// Creates a host's droplet, from the newest baked image that fits.
    async fn create(
        &self,
        journal: &Journal,
        ground: &Ground,
        situation: &Situation,
        host: &Host,
    ) -> Result<Droplet, EngineError> {
        let image = match situation.bake_for(self.blueprint, host) {
            Some(bake) => BootImage::Snapshot(bake.id()),
            None => BootImage::Slug(host.image.clone()),
        };
        let order = Order {
            host: &host.name,
            size: &host.size,
            image,
            tags: vec![
                Tag::new(&self.blueprint.group_tag(&host.group))?,
                Tag::new(&phase_tag(self.blueprint))?,
            ],
        };
        self.make(journal, ground, &order).await
    }

    /// Creates a droplet, or finds the one that an earlier run created.
    pub async fn make(
        &self,
        journal: &Journal,
        ground: &Ground,
        order: &Order<'_>,
    ) -> Result<Droplet, EngineError> {
        let name = self.blueprint.droplet_name(order.host);
        let first_key = self.engine.vault().first_host_key(&name)?;
        // Pinned before the droplet is asked for: its very first answer is checked.
        self.engine.pin(&name, &first_key.host_key())?;
        let new = NewDroplet {
            name: name.clone(),
            region: self.blueprint.environment.region.clone(),
            size: order.size.to_owned(),
            image: order.image.clone(),
            ssh_keys: vec![ground.key.id],
            environment: self.environment.clone(),
            tags: order.tags.clone(),
            vpc: ground.vpc.id.clone(),
            user_data: user_data(order.host, self.engine.identity(), &first_key),
            monitoring: false,
        };
        let ensured = ensure_droplet(self.cloud, journal, &new).await?;
        let action = match ensured.how {
            How::Created if matches!(order.image, BootImage::Snapshot(_)) => {
                "created from the baked image"
            }
            How::Created => "created",
            How::Adopted => "adopted after a lost answer",
            How::Found => "found",
        };
        self.say(format!("droplet {name}"), action);
        for stray in &ensured.duplicates {
            let message = format!(
                "droplet {} ({}) is a double of {name}; it is not used: delete it if it is not yours",
                stray.name, stray.id
            );
            self.engine.emit(Event::Note {
                host: Some(order.host.to_owned()),
                message,
            });
        }
        Ok(ensured.droplet)
    }

    /// Makes the entry address lead to the droplet.
    async fn lead(
        &self,
        situation: &Situation,
        droplet: Option<&Droplet>,
    ) -> Result<(), EngineError> {
        let Some(droplet) = droplet else {
            return Ok(());
        };
        let owned = Owned::claim(droplet, &self.environment)?;
        let reserved = match &situation.entry {
            Some(reserved) => {
                let own = self.owner.reserved_ip(reserved)?;
                assign_reserved_ip(self.cloud, &own, &owned).await?
            }
            None => ensure_reserved_ip(self.cloud, &owned).await?,
        };
        self.engine.vault().remember_entry(reserved.ip)?;
        self.say(
            format!("entry address {}", reserved.ip),
            &format!("leads to {}", droplet.name),
        );
        Ok(())
    }

    /// Tags every droplet with the phase, and takes away the tags of others.
    async fn say_the_phase(&self, situation: &Situation) -> Result<(), EngineError> {
        let wanted = Tag::new(&phase_tag(self.blueprint))?;
        let prefix = format!("marg-phase:{}:", self.blueprint.environment.name);
        let leaving = || situation.leaving.iter().map(|one| &one.droplet);
        let droplets = || situation.by_host.values().chain(leaving());
        let owned: Result<Vec<Owned>, CloudError> = droplets()
            .map(|droplet| Owned::claim(droplet, &self.environment))
            .collect();
        let owned = owned?;
        self.cloud.tag_droplets(&wanted, &owned).await?;
        let tags = droplets().flat_map(|droplet| droplet.tags.iter().flatten());
        let others: BTreeSet<String> = tags
            .map(|tag| tag.to_ascii_lowercase())
            .filter(|tag| tag.starts_with(&prefix) && tag != wanted.as_str())
            .collect();
        for tag in others {
            self.cloud.untag_droplets(&Tag::new(&tag)?, &owned).await?;
        }
        Ok(())
    }

    fn say(&self, subject: String, action: &str) {
        self.engine.emit(Event::Cloud {
            subject,
            action: action.to_owned(),
        });
    }
}
