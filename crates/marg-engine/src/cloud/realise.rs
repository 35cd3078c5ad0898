//! Makes the cloud as the blueprint wants it: keys, tags, network and firewalls before the
//! droplets, so that a droplet is closed before it first boots; then the entry address.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use marg_cloud::{
    Cloud, CloudError, Droplet, FirewallSpec, How, Journal, NewDroplet, NewVpc, Owned, SshKey, Tag,
    Vpc, assign_reserved_ip, ensure_droplet, ensure_firewall, ensure_reserved_ip, ensure_ssh_key,
    ensure_vpc, wait_until_enforced, wait_until_ready,
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
struct Making<'a> {
    engine: &'a Engine,
    cloud: &'a dyn Cloud,
    blueprint: &'a Blueprint,
    environment: Tag,
}

/// What every droplet is made with.
struct Ground {
    key: SshKey,
    vpc: Vpc,
}

/// Opens everything that is to be: keys, tags, network, droplets; firewalls let in the new beside
/// the old while the environment moves. Returns the situation afterwards.
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
    let missing = situation.missing(blueprint).count();
    if missing > 0 {
        check_limit(engine.cloud(), missing).await?;
    }
    let making = Making::of(engine, blueprint)?;
    let (ground, ()) = tokio::try_join!(making.ground(), making.all_tags())?;
    let mut firewalls = firewall_changes(blueprint, engine.roles(), &situation.found);
    if situation.is_moving(blueprint) {
        for (spec, _) in &mut firewalls {
            *spec = widened(spec.clone(), &situation.found.firewalls);
        }
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
    let making = Making::of(engine, blueprint)?;
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
    let making = Making::of(engine, blueprint)?;
    making.all_tags().await?;
    making.firewalls(situation, &firewalls).await?;
    for firewall in &situation.found.firewalls {
        if surplus.contains(&firewall.name.as_str()) {
            engine.cloud().delete_firewall(&firewall.id).await?;
            making.say(format!("firewall {}", firewall.name), "deleted");
        }
    }
    if unsaid {
        making.say_the_phase(situation).await?;
    }
    Ok(())
}

/// Asked before anything is changed.
async fn check_limit(cloud: &dyn Cloud, wanted: usize) -> Result<(), EngineError> {
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
    fn of(engine: &'a Engine, blueprint: &'a Blueprint) -> Result<Self, EngineError> {
        Ok(Making {
            engine,
            cloud: engine.cloud(),
            blueprint,
            environment: Tag::new(&blueprint.tag())?,
        })
    }

    /// The operator's key and the private network.
    async fn ground(&self) -> Result<Ground, EngineError> {
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
            ensure_vpc(self.cloud, &new_vpc),
        )?;
        Ok(Ground { key, vpc })
    }

    /// A firewall that names a tag is refused before the tag exists.
    async fn all_tags(&self) -> Result<(), EngineError> {
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
            let (firewall, _) = ensure_firewall(self.cloud, spec).await?;
            wait_until_enforced(self.cloud, &firewall.id).await?;
            self.say(format!("firewall {}", spec.name), "enforced");
            Ok::<(), CloudError>(())
        }))
        .await?;
        lockout::keep_open(self.cloud, &doors).await
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
        let made = try_join_all(
            missing
                .iter()
                .map(|host| self.create(&journal, ground, host)),
        )
        .await?;
        let waiting: Vec<_> = made.iter().map(|(_, d)| (d.id, d.name.clone())).collect();
        let reserved = situation.found.reserved_addresses();
        let mut failed = Vec::new();
        wait_until_ready(
            self.cloud,
            &self.environment,
            &waiting,
            &reserved,
            |_, outcome| match outcome {
                Ok(ready) => self.say(format!("droplet {}", ready.droplet.name), "ready"),
                Err(error) => failed.push(error),
            },
        )
        .await?;
        if let Some(error) = failed.into_iter().next() {
            return Err(error.into());
        }
        for (host, droplet) in made {
            journal.forget(&droplet.name).await?;
            droplets.insert(host, droplet);
        }
        Ok(droplets)
    }

    async fn create(
        &self,
        journal: &Journal,
        ground: &Ground,
        host: &Host,
    ) -> Result<(String, Droplet), EngineError> {
        let name = self.blueprint.droplet_name(&host.name);
        let first_key = self.engine.vault().first_host_key(&name)?;
        // Pinned before the droplet is asked for: its very first answer is checked.
        self.engine.pin(&name, &first_key.host_key())?;
        let new = NewDroplet {
            name: name.clone(),
            region: self.blueprint.environment.region.clone(),
            size: host.size.clone(),
            image: host.image.clone(),
            ssh_keys: vec![ground.key.id],
            environment: self.environment.clone(),
            tags: vec![
                Tag::new(&self.blueprint.group_tag(&host.group))?,
                Tag::new(&phase_tag(self.blueprint))?,
            ],
            vpc: ground.vpc.id.clone(),
            user_data: user_data(&host.name, self.engine.identity(), &first_key),
            monitoring: false,
        };
        let ensured = ensure_droplet(self.cloud, journal, &new).await?;
        let action = match ensured.how {
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
                host: Some(host.name.clone()),
                message,
            });
        }
        Ok((host.name.clone(), ensured.droplet))
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
            Some(reserved) => assign_reserved_ip(self.cloud, reserved.ip, &owned).await?,
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
