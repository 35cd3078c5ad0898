//! Images with a group's packages already installed, so that new hosts of it serve sooner.
//!
//! A machine of its own is made for each image, beside the fleet: no image is ever taken of a host
//! that has secrets. It gets the group's packages and nothing else, loses everything that is its
//! own, is kept as an image, and is destroyed.

mod builder;
mod error;
pub mod image;
mod recipe;

use futures_util::future::join_all;
use marg_cloud::{
    Droplet, Journal, Owned, Owner, Snapshot, Tag, ensure_firewall, keep_snapshot,
    snapshots_at_rest, wait_until_enforced,
};
use marg_model::{Blueprint, Event};
use serde::Serialize;

use crate::cloud::desired;
use crate::cloud::realise::{Making, check_limit};
use crate::cloud::situation::Situation;
use crate::engine::Engine;
use crate::error::EngineError;

use builder::Builder;
pub use error::BakeError;
use image::Bake;
use recipe::{Recipe, recipes};

/// What would be baked for one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BakePreview {
    /// The group.
    pub group: String,
    /// Name of the image.
    pub name: String,
    /// Slug of the distribution's image that it begins with.
    pub image: String,
    /// Size slug of the machine on which it is made.
    pub size: String,
    /// What that machine costs per hour, in US dollars.
    pub price_hourly: f64,
    /// Number of packages, without those that they bring along.
    pub packages: usize,
    /// Images of the group that are removed when the new one is there.
    pub replaces: Vec<String>,
}

/// What was baked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BakeReport {
    /// The new images.
    pub baked: Vec<Baked>,
}

/// One new image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Baked {
    /// The group.
    pub group: String,
    /// Name of the image.
    pub name: String,
    /// What is billed of it, in GB.
    pub gigabytes: f64,
    /// What it costs per month, in US dollars.
    pub dollars_per_month: f64,
    /// Names of older images that it replaced.
    pub replaced: Vec<String>,
    /// Milliseconds that it took.
    pub millis: u64,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bakes {
    /// The environment's images, by group, the newest first.
    pub images: Vec<BakedImage>,
    /// Machines on which an image is being made, or that an interrupted run left.
    pub builders: Vec<String>,
}

/// One image that there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BakedImage {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Slug of the distribution's image that it was made from.
    pub image: String,
    /// When it was made, as RFC 3339.
    pub created_at: String,
    /// What is billed of it, in GB.
    pub gigabytes: f64,
    /// What it costs per month, in US dollars.
    pub dollars_per_month: f64,
    /// Whether new hosts of the group start from it, in the phase that is meant.
    pub used: bool,
    /// Whether the group's packages are others by now: a new host installs what is missing.
    pub stale: bool,
}

impl Engine {
    /// What [`Engine::bake`] would do. No groups: those that serve or work applications and hold
    /// no data.
    ///
    /// # Errors
    /// A group that there is not, or that holds data.
    pub async fn bake_preview(
        &self,
        blueprint: &Blueprint,
        groups: &[String],
    ) -> Result<Vec<BakePreview>, EngineError> {
        let recipes = recipes(blueprint, self.roles(), groups)?;
        let situation = self.situation(blueprint).await?;
        let preview = |recipe: &Recipe| {
            let size = recipe.size(&situation.found.sizes)?;
            let bakes = situation.found.bakes.iter();
            Ok(BakePreview {
                group: recipe.group.clone(),
                name: recipe.image_name(blueprint),
                image: recipe.host.image.clone(),
                size: size.slug.clone(),
                price_hourly: size.price_hourly,
                packages: recipe.resources.len(),
                replaces: bakes
                    .filter(|bake| bake.group == recipe.group)
                    .map(|bake| bake.name.clone())
                    .collect(),
            })
        };
        recipes.iter().map(preview).collect()
    }

    /// Makes an image for each group, side by side, and removes the group's older ones. A run
    /// that was interrupted is continued.
    ///
    /// # Errors
    /// As [`Engine::bake_preview`]; or something failed on the way: the groups that failed, by the
    /// names of their machines.
    pub async fn bake(
        &self,
        blueprint: &Blueprint,
        groups: &[String],
    ) -> Result<BakeReport, EngineError> {
        let recipes = recipes(blueprint, self.roles(), groups)?;
        let situation = self.situation(blueprint).await?;
        for recipe in &recipes {
            recipe.size(&situation.found.sizes)?;
        }
        self.emit(Event::PhaseStarted {
            name: "bake".to_owned(),
        });
        let there = &situation.found.builders;
        let there = |recipe: &&Recipe| {
            let name = blueprint.droplet_name(&recipe.host.name);
            there.iter().any(|droplet| droplet.name == name)
        };
        let present = recipes.iter().filter(there).count();
        check_limit(self.cloud(), recipes.len() - present).await?;
        let owner = &situation.found.owner;
        let making = Making::of(self, blueprint, owner);
        let (ground, ()) = tokio::try_join!(making.ground(), making.all_tags())?;
        self.close_builders(blueprint, owner).await?;
        let journal = Journal::open(self.vault().path("journal.json")).await?;
        let outcomes = join_all(recipes.iter().map(async |recipe| {
            let builder = Builder {
                making: &making,
                ground: &ground,
                journal: &journal,
                situation: &situation,
                recipe,
            };
            let baked = builder.bake().await;
            baked.map_err(|error| (recipe.host.name.clone(), error))
        }))
        .await;
        let mut report = BakeReport::default();
        let mut failures = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(baked) => report.baked.push(baked),
                Err(failure) => failures.push(failure),
            }
        }
        self.open_builders(blueprint, owner).await?;
        match failures.is_empty() {
            true => Ok(report),
            false => Err(EngineError::Hosts { failures }),
        }
    }

    /// The environment's images, and machines that bake.
    pub async fn bakes(&self, blueprint: &Blueprint) -> Result<Bakes, EngineError> {
        let situation = self.look(blueprint).await?;
        let builders = situation.found.builders.iter();
        Ok(Bakes {
            images: listed(blueprint, &situation, |group| {
                let recipe = Recipe::of(blueprint, self.roles(), group);
                recipe.ok().map(|recipe| recipe.fingerprint)
            }),
            builders: builders.map(|droplet| droplet.name.clone()).collect(),
        })
    }

    /// Removes the images of these groups, or all, and the machines on which they are made.
    /// Returns what is gone.
    ///
    /// # Errors
    /// A group that nothing was baked for.
    pub async fn remove_bakes(
        &self,
        blueprint: &Blueprint,
        groups: &[String],
    ) -> Result<Vec<String>, EngineError> {
        let found = self.look(blueprint).await?.found;
        let owner = &found.owner;
        let group_of = |droplet: &Droplet| Some(group_of(blueprint, droplet)?.to_owned());
        let of_images = found.bakes.iter().map(|bake| bake.group.clone());
        let known: Vec<String> = of_images
            .chain(found.builders.iter().filter_map(group_of))
            .collect();
        if let Some(unknown) = groups.iter().find(|group| !known.contains(group)) {
            return Err(EngineError::NoSuch {
                what: "baked image of group",
                name: unknown.clone(),
                known: known.join(", "),
            });
        }
        let wanted = |group: &String| groups.is_empty() || groups.contains(group);
        let mut gone = Vec::new();
        for droplet in &found.builders {
            if group_of(droplet).as_ref().is_none_or(wanted) {
                self.discard_builder(blueprint, droplet).await?;
                gone.push(format!("droplet {}", droplet.name));
            }
        }
        for bake in found.bakes.iter().filter(|bake| wanted(&bake.group)) {
            self.remove_image(bake).await?;
            gone.push(format!("image {}", bake.name));
        }
        self.open_builders(blueprint, owner).await?;
        Ok(gone)
    }

    /// Deletes an image and says so.
    pub(crate) async fn remove_image(&self, bake: &Bake) -> Result<(), EngineError> {
        self.cloud().delete_image(&bake.owned).await?;
        self.emit(Event::Cloud {
            subject: format!("image {}", bake.name),
            action: "removed".to_owned(),
        });
        Ok(())
    }

    /// Destroys a machine that an interrupted run left, and the image that it may have become
    /// without anybody seeing it.
    pub(crate) async fn discard_builder(
        &self,
        blueprint: &Blueprint,
        droplet: &Droplet,
    ) -> Result<(), EngineError> {
        let environment = Tag::new(&blueprint.tag())?;
        let owned = Owned::claim(droplet, &environment)?;
        for snapshot in snapshots_at_rest(self.cloud(), &owned).await? {
            let group = group_of(blueprint, droplet).unwrap_or_default();
            let bake = self.keep_image(blueprint, group, &snapshot).await?;
            self.remove_image(&bake).await?;
        }
        self.destroy_machine(&environment, droplet).await
    }

    /// Tags a snapshot as this environment's, and waits until it can be used.
    async fn keep_image(
        &self,
        blueprint: &Blueprint,
        group: &str,
        snapshot: &Snapshot,
    ) -> Result<Bake, EngineError> {
        let environment = &blueprint.environment.name;
        let tag = Tag::bake(environment)?;
        let group = Tag::bake_of(environment, group)?;
        let image = keep_snapshot(self.cloud(), snapshot, &tag, &[group]).await?;
        Ok(Bake::read(environment, &image)?)
    }

    /// Closes the machines on which images are made before the first of them boots.
    async fn close_builders(
        &self,
        blueprint: &Blueprint,
        owner: &Owner,
    ) -> Result<(), EngineError> {
        let tag = Tag::bake(&blueprint.environment.name)?;
        self.cloud().create_tag(&tag).await?;
        let spec = desired::builders_firewall(blueprint, &tag);
        let (firewall, _) = ensure_firewall(self.cloud(), owner, &spec).await?;
        wait_until_enforced(self.cloud(), &firewall.id).await?;
        Ok(())
    }

    /// Takes the builders' firewall away when nobody is behind it any more.
    async fn open_builders(&self, blueprint: &Blueprint, owner: &Owner) -> Result<(), EngineError> {
        let tag = Tag::bake(&blueprint.environment.name)?;
        if !self.cloud().droplets_tagged(&tag).await?.is_empty() {
            return Ok(());
        }
        let name = desired::builders_firewall_name(blueprint);
        for firewall in self.cloud().firewalls().await? {
            if firewall.name == name
                && let Ok(own) = owner.firewall(&firewall)
            {
                self.cloud().delete_firewall(&own).await?;
            }
        }
        Ok(())
    }
}

/// The group for which a machine bakes.
fn group_of<'a>(blueprint: &Blueprint, builder: &'a Droplet) -> Option<&'a str> {
    let prefix = blueprint.droplet_name("bake-");
    builder.name.strip_prefix(&prefix)
}

/// The images by group, the newest first. `now` tells what would be baked for a group today.
pub(crate) fn listed(
    blueprint: &Blueprint,
    situation: &Situation,
    now: impl Fn(&str) -> Option<String>,
) -> Vec<BakedImage> {
    let mut bakes: Vec<&Bake> = situation.found.bakes.iter().collect();
    bakes.sort_by_key(|bake| {
        (
            bake.group.clone(),
            std::cmp::Reverse((bake.created_at, bake.id())),
        )
    });
    let used = |bake: &Bake| {
        let mut hosts = blueprint.hosts.iter();
        hosts.any(|host| {
            let found = situation.bake_for(blueprint, host);
            found.is_some_and(|found| found.id() == bake.id())
        })
    };
    let images = bakes.into_iter().map(|bake| BakedImage {
        name: bake.name.clone(),
        group: bake.group.clone(),
        image: bake.image.clone(),
        created_at: bake
            .created_at
            .map_or_else(String::new, |at| at.to_string()),
        gigabytes: bake.gigabytes,
        dollars_per_month: bake.dollars_per_month(),
        used: used(bake),
        stale: now(&bake.group).is_some_and(|now| now != bake.fingerprint),
    });
    images.collect()
}
