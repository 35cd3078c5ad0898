//! The machine on which an image is made: from nothing, or from where an interrupted run left it.

use std::time::Instant;

use marg_cloud::{
    BootImage, Droplet, DropletStatus, Journal, Owned, Size, Snapshot, Tag, shut_down,
    snapshots_at_rest, take_snapshot,
};
use marg_model::Event;
use marg_resources::{HostPlan, plan, probe_script};
use marg_ssh::SshError;

use super::Baked;
use super::error::BakeError;
use super::image::Bake;
use super::recipe::Recipe;
use crate::apply::{apply, run_steps};
use crate::cloud::realise::{Ground, Making, Order};
use crate::cloud::situation::Situation;
use crate::error::{EngineError, ErrorKind};
use crate::host::HostError;
use crate::host::link::{Link, Place};

/// What making one image needs.
pub struct Builder<'a> {
    /// Hands to the cloud.
    pub making: &'a Making<'a>,
    /// What droplets are made with.
    pub ground: &'a Ground,
    /// Creations that were begun.
    pub journal: &'a Journal,
    /// What was there before.
    pub situation: &'a Situation,
    /// What goes into the image.
    pub recipe: &'a Recipe,
}

impl Recipe {
    /// Of the sizes of the group's hosts the one with the smallest disk.
    pub fn size<'s>(&self, sizes: &'s [Size]) -> Result<&'s Size, BakeError> {
        let own = sizes.iter().filter(|size| self.sizes.contains(&size.slug));
        own.min_by_key(|size| size.disk)
            .ok_or_else(|| BakeError::NoSize {
                group: self.group.clone(),
                sizes: self.sizes.join(", "),
            })
    }
}

impl Builder<'_> {
    /// Makes the image, whatever an earlier run has left.
    pub async fn bake(&self) -> Result<Baked, EngineError> {
        let began = Instant::now();
        let name = self.name();
        let left = self.situation.found.builders.iter();
        let left = left.filter(|droplet| droplet.name == name).cloned();
        let mut resumed = None;
        for one in left {
            if resumed.is_none()
                && let Some(snapshot) = self.resume(&one).await?
            {
                resumed = Some((one, snapshot));
            } else {
                self.destroy(&one).await?;
            }
        }
        let (droplet, snapshot) = match resumed {
            Some(resumed) => resumed,
            None => {
                let droplet = self.create().await?;
                let snapshot = self.image_of(&droplet).await?;
                (droplet, snapshot)
            }
        };
        let image = self.keep(&snapshot).await?;
        self.destroy(&droplet).await?;
        let replaced = self.remove_older(&image).await?;
        Ok(Baked {
            group: self.recipe.group.clone(),
            name: image.name.clone(),
            gigabytes: image.gigabytes,
            dollars_per_month: image.dollars_per_month(),
            replaced,
            millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Goes on with a machine that was left. `None` when it is better to begin anew: it is off or
    /// lets nobody in, so it has lost some of what is its own already, and nobody knows how much.
    async fn resume(&self, droplet: &Droplet) -> Result<Option<Snapshot>, EngineError> {
        let wanted = self.image_name();
        let mut found = None;
        for snapshot in snapshots_at_rest(self.making.cloud, &self.own(droplet)?).await? {
            if snapshot.name == wanted {
                found = Some(snapshot);
            } else {
                // Made by another recipe and never seen: with its tag it is removed as an old one.
                self.keep(&snapshot).await?;
            }
        }
        if found.is_some() || !self.may_go_on(droplet)? {
            return Ok(found);
        }
        let reserved = self.situation.found.reserved_addresses();
        let droplet = match droplet.readiness(&reserved) {
            Ok(_) => droplet.clone(),
            Err(_) => self.ready(droplet).await?,
        };
        match self.image_of(&droplet).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(error) if is_shut(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the machine is what would be made today, and has not been switched off.
    fn may_go_on(&self, droplet: &Droplet) -> Result<bool, EngineError> {
        let size = self.recipe.size(&self.situation.found.sizes)?;
        let image = droplet.image.as_ref();
        let same_image = image.is_none_or(|slug| *slug == self.recipe.host.image);
        let on = [DropletStatus::Active, DropletStatus::New].contains(&droplet.status);
        Ok(on && same_image && droplet.size_slug == size.slug)
    }

    async fn ready(&self, droplet: &Droplet) -> Result<Droplet, EngineError> {
        let one = std::slice::from_ref(droplet);
        let ready = self.making.ready(self.situation, one).await?;
        Ok(ready.into_iter().next().unwrap_or_else(|| droplet.clone()))
    }

    async fn create(&self) -> Result<Droplet, EngineError> {
        let Builder {
            making,
            ground,
            journal,
            situation,
            recipe,
        } = self;
        let environment = &making.blueprint.environment.name;
        let order = Order {
            host: &recipe.host.name,
            size: &recipe.size(&situation.found.sizes)?.slug,
            image: BootImage::Slug(recipe.host.image.clone()),
            tags: vec![
                Tag::bake(environment)?,
                Tag::bake_of(environment, &recipe.group)?,
            ],
        };
        let droplet = making.make(journal, ground, &order).await?;
        let ready = self.ready(&droplet).await?;
        journal.forget(&droplet.name).await?;
        Ok(ready)
    }

    /// Installs, cleans, switches off, and takes the image.
    async fn image_of(&self, droplet: &Droplet) -> Result<Snapshot, EngineError> {
        self.install(droplet).await?;
        let owned = self.own(droplet)?;
        self.say(droplet, "shutting down");
        shut_down(self.making.cloud, &owned).await?;
        self.say(droplet, "off, becomes an image");
        Ok(take_snapshot(self.making.cloud, &owned, &self.image_name()).await?)
    }

    async fn install(&self, droplet: &Droplet) -> Result<(), EngineError> {
        let (engine, recipe) = (self.making.engine, self.recipe);
        let host = &recipe.host.name;
        let reserved = self.situation.found.reserved_addresses();
        let address = droplet.public_v4(&reserved);
        let address = address.ok_or_else(|| EngineError::NoMachine { host: host.clone() })?;
        let place = Place { host, address };
        let mut link = Link::open(engine, self.making.blueprint, place, &engine.lock()).await?;
        engine.emit(Event::HostConnected { host: host.clone() });
        let planned = self.look(&mut link).await?;
        engine.emit(Event::HostPlanned {
            host: host.clone(),
            changes: planned.changes.len(),
            steps: planned.steps.len(),
        });
        apply(engine, &mut link, &planned).await?;
        let left = self.look(&mut link).await?;
        if !left.is_empty() {
            let left: Vec<String> = left.changes.into_iter().map(|one| one.resource).collect();
            return Err(HostError::NotConverged {
                host: host.clone(),
                left: left.join(", "),
            }
            .into());
        }
        run_steps(engine, &mut link, recipe.cleaning()).await?;
        link.session.close().await;
        Ok(())
    }

    /// What is still to be installed.
    async fn look(&self, link: &mut Link) -> Result<HostPlan, HostError> {
        let recipe = self.recipe;
        let states: Vec<_> = recipe.resources.iter().map(|one| &one.state).collect();
        let answer = link.probe(&probe_script(&states)).await?;
        let host = &recipe.host.name;
        plan(host, &recipe.resources, &answer).map_err(|source| HostError::Misread {
            host: host.clone(),
            source,
        })
    }

    /// Tags a snapshot as this environment's, and waits until it can be used.
    async fn keep(&self, snapshot: &Snapshot) -> Result<Bake, EngineError> {
        let Making {
            engine, blueprint, ..
        } = self.making;
        let bake = engine
            .keep_image(blueprint, &self.recipe.group, snapshot)
            .await?;
        engine.emit(Event::Cloud {
            subject: format!("image {}", bake.name),
            action: "ready".to_owned(),
        });
        Ok(bake)
    }

    /// Removes the group's images but this one.
    async fn remove_older(&self, image: &Bake) -> Result<Vec<String>, EngineError> {
        let environment = &self.making.blueprint.environment.name;
        let tag = Tag::bake_of(environment, &self.recipe.group)?;
        let mut removed = Vec::new();
        for found in self.making.cloud.images_tagged(&tag).await? {
            let bake = Bake::read(environment, &found)?;
            if bake.id() != image.id() {
                self.making.engine.remove_image(&bake).await?;
                removed.push(bake.name);
            }
        }
        Ok(removed)
    }

    async fn destroy(&self, droplet: &Droplet) -> Result<(), EngineError> {
        let Making {
            engine,
            environment,
            ..
        } = self.making;
        engine.destroy_machine(environment, droplet).await?;
        // Otherwise the next one would be taken for the fruit of the same intent.
        Ok(self.journal.forget(&droplet.name).await?)
    }

    fn own(&self, droplet: &Droplet) -> Result<Owned, EngineError> {
        Ok(Owned::claim(droplet, &self.making.environment)?)
    }

    fn name(&self) -> String {
        self.making.blueprint.droplet_name(&self.recipe.host.name)
    }

    fn image_name(&self) -> String {
        self.recipe.image_name(self.making.blueprint)
    }

    fn say(&self, droplet: &Droplet, action: &str) {
        self.making.engine.emit(Event::Cloud {
            subject: format!("droplet {}", droplet.name),
            action: action.to_owned(),
        });
    }
}

/// Whether a machine lets nobody in. One whose key is not known here is another operator's: it is
/// left alone.
fn is_shut(error: &EngineError) -> bool {
    let foreign = matches!(
        error,
        EngineError::Host(HostError::Ssh(SshError::HostKeyUnknown { .. }))
    );
    error.kind() == ErrorKind::Unreachable && !foreign
}
