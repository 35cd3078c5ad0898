//! Makes the cloud as the blueprint wants it: keys, tags, network and firewalls before the
//! droplets, so that a droplet is closed before it first boots; then the entry address.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use marg_cloud::{
    Cloud, CloudError, Droplet, How, Journal, NewDroplet, NewVpc, Owned, SshKey, Tag, Vpc,
    assign_reserved_ip, ensure_droplet, ensure_firewall, ensure_reserved_ip, ensure_ssh_key,
    ensure_vpc, wait_until_enforced, wait_until_ready,
};
use marg_model::{Blueprint, Event, Host};
use marg_resources::Role;

use super::desired;
use super::lockout;
use super::situation::{Situation, firewall_changes, untagged};
use super::user_data::user_data;
use crate::engine::Engine;
use crate::error::EngineError;

/// Hands to whatever a creation needs.
struct Making<'a> {
    engine: &'a Engine,
    cloud: &'a dyn Cloud,
    blueprint: &'a Blueprint,
    environment: Tag,
    key: SshKey,
    vpc: Vpc,
}

/// Carries out a situation's changes and returns the situation afterwards.
pub async fn realise(
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
    let making = prepare(engine, blueprint).await?;
    making.tags(&situation).await?;
    making.firewalls(&situation, engine.roles()).await?;
    let droplets = making.droplets(&situation).await?;
    making.entry(&situation, &droplets).await?;
    engine.situation(blueprint).await
}

async fn prepare<'a>(
    engine: &'a Engine,
    blueprint: &'a Blueprint,
) -> Result<Making<'a>, EngineError> {
    let cloud = engine.cloud();
    let name = desired::name(blueprint);
    let environment = Tag::new(&blueprint.tag())?;
    let public_key = engine.identity().public_openssh();
    let new_vpc = NewVpc {
        name: name.clone(),
        region: blueprint.environment.region.clone(),
        ip_range: blueprint.environment.vpc_range.clone(),
        description: format!("marg: environment {}", blueprint.environment.name),
    };
    // A firewall that names a tag is refused before the tag exists.
    let mut tags = vec![Tag::marg(), environment.clone()];
    for host in &blueprint.hosts {
        tags.push(Tag::new(&blueprint.group_tag(&host.group))?);
    }
    tags.sort();
    tags.dedup();
    let (key, vpc, _) = tokio::try_join!(
        ensure_ssh_key(cloud, &name, &public_key),
        ensure_vpc(cloud, &new_vpc),
        try_join_all(tags.iter().map(|tag| cloud.create_tag(tag))),
    )?;
    Ok(Making {
        engine,
        cloud,
        blueprint,
        environment,
        key,
        vpc,
    })
}

impl Making<'_> {
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
        roles: &[&dyn Role],
    ) -> Result<(), EngineError> {
        let changes = firewall_changes(self.blueprint, roles, &situation.found);
        let doors = lockout::open_doors(situation, &changes).await;
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
    ) -> Result<BTreeMap<String, Droplet>, EngineError> {
        let missing: Vec<&Host> = situation.missing(self.blueprint).collect();
        let mut droplets = situation.by_host.clone();
        if missing.is_empty() {
            return Ok(droplets);
        }
        self.check_limit(missing.len()).await?;
        let journal = Journal::open(self.engine.vault().path("journal.json")).await?;
        let made = try_join_all(missing.iter().map(|host| self.create(&journal, host))).await?;
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

    async fn check_limit(&self, wanted: usize) -> Result<(), EngineError> {
        let (account, present) =
            tokio::try_join!(self.cloud.account(), self.cloud.droplet_count())?;
        match account.droplet_limit {
            Some(limit) if present + wanted as u64 > limit => Err(EngineError::DropletLimit {
                limit,
                present,
                wanted,
            }),
            _ => Ok(()),
        }
    }

    async fn create(
        &self,
        journal: &Journal,
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
            ssh_keys: vec![self.key.id],
            environment: self.environment.clone(),
            tags: vec![Tag::new(&self.blueprint.group_tag(&host.group))?],
            vpc: self.vpc.id.clone(),
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

    async fn entry(
        &self,
        situation: &Situation,
        droplets: &BTreeMap<String, Droplet>,
    ) -> Result<(), EngineError> {
        let Some(droplet) = self
            .blueprint
            .entry()
            .and_then(|host| droplets.get(&host.name))
        else {
            return Ok(());
        };
        let owned = Owned::claim(droplet, &self.environment)?;
        let reserved = match &situation.entry {
            Some(reserved) if reserved.droplet == Some(droplet.id) => return Ok(()),
            Some(reserved) => assign_reserved_ip(self.cloud, reserved.ip, &owned).await?,
            None => ensure_reserved_ip(self.cloud, &owned).await?,
        };
        self.engine.vault().remember_entry(reserved.ip)?;
        self.say(format!("entry address {}", reserved.ip), "assigned");
        Ok(())
    }

    fn say(&self, subject: String, action: &str) {
        self.engine.emit(Event::Cloud {
            subject,
            action: action.to_owned(),
        });
    }
}
