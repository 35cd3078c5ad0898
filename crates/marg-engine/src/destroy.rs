//! Takes an environment down. Only what carries its tag or its name is touched, and only after
//! whoever calls this has asked the operator.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use futures_util::future::try_join_all;
use marg_cloud::{Droplet, Owned, Tag, destroy_droplet, destroy_vpc, release_reserved_ip};
use marg_model::{Blueprint, Event};
use serde::Serialize;

use crate::cloud::desired;
use crate::cloud::situation::Found;
use crate::engine::Engine;
use crate::error::EngineError;

/// What a destroy would take away.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DestroyPreview {
    /// Droplets by name.
    pub droplets: Vec<String>,
    /// Droplets among them that hold data that exists nowhere else.
    pub data: Vec<String>,
    /// Firewalls, networks, addresses, keys and baked images.
    pub others: Vec<String>,
}

/// What a destroy took away.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DestroyReport {
    /// Names of everything that is gone.
    pub destroyed: Vec<String>,
}

impl Engine {
    /// Lists what [`Engine::destroy`] would take away.
    pub async fn destroy_preview(
        &self,
        blueprint: &Blueprint,
    ) -> Result<DestroyPreview, EngineError> {
        let found = self.situation(blueprint).await?.found;
        let name = desired::name(blueprint);
        let mut preview = DestroyPreview::default();
        for droplet in found.builders.iter().chain(&found.droplets) {
            preview.droplets.push(droplet.name.clone());
            let holds_data = blueprint
                .hosts
                .iter()
                .any(|host| host.holds_data && blueprint.droplet_name(&host.name) == droplet.name);
            if holds_data {
                preview.data.push(droplet.name.clone());
            }
        }
        let firewalls = found.firewalls.iter().filter(|f| is_ours(&name, &f.name));
        preview
            .others
            .extend(firewalls.map(|firewall| format!("firewall {}", firewall.name)));
        let vpcs = found
            .vpcs
            .iter()
            .filter(|vpc| vpc.name == name && !vpc.default);
        preview
            .others
            .extend(vpcs.map(|vpc| format!("vpc {}", vpc.name)));
        let images = found.bakes.iter();
        preview
            .others
            .extend(images.map(|bake| format!("image {}", bake.name)));
        preview
            .others
            .extend(self.entry_of(&found).map(|ip| format!("reserved ip {ip}")));
        preview.others.extend(
            found
                .ssh_key
                .iter()
                .map(|key| format!("ssh key {}", key.name)),
        );
        Ok(preview)
    }

    /// Takes down everything of the environment: address, droplets, firewalls, network, key, tags, and
    /// the images that were baked for it.
    pub async fn destroy(&self, blueprint: &Blueprint) -> Result<DestroyReport, EngineError> {
        let found = self.situation(blueprint).await?.found;
        let environment = Tag::new(&blueprint.tag())?;
        let name = desired::name(blueprint);
        let mut destroyed = Vec::new();
        if let Some(ip) = self.entry_of(&found) {
            release_reserved_ip(self.cloud(), ip).await?;
            self.gone(&mut destroyed, format!("reserved ip {ip}"));
        }
        let droplets = found.droplets.iter();
        try_join_all(droplets.map(|droplet| self.destroy_machine(&environment, droplet))).await?;
        destroyed.extend(self.destroy_bakes(blueprint, &found).await?);
        let droplets = found.droplets.iter();
        destroyed.extend(droplets.map(|droplet| format!("droplet {}", droplet.name)));
        for firewall in found.firewalls.iter().filter(|f| is_ours(&name, &f.name)) {
            self.cloud().delete_firewall(&firewall.id).await?;
            self.gone(&mut destroyed, format!("firewall {}", firewall.name));
        }
        for vpc in found.vpcs.iter().filter(|vpc| vpc.name == name) {
            if vpc.default {
                // It costs nothing, and the environment's next provision uses it again.
                let message = format!(
                    "vpc {name} stays: it is the default of its region, which cannot be deleted"
                );
                self.emit(Event::Note {
                    host: None,
                    message,
                });
                continue;
            }
            destroy_vpc(self.cloud(), &vpc.id).await?;
            self.gone(&mut destroyed, format!("vpc {}", vpc.name));
        }
        if let Some(key) = &found.ssh_key {
            self.cloud().delete_ssh_key(key.id).await?;
            self.gone(&mut destroyed, format!("ssh key {}", key.name));
        }
        self.delete_tags(blueprint, &environment).await?;
        Ok(DestroyReport { destroyed })
    }

    /// Destroys a machine of the environment, and forgets its keys.
    pub(crate) async fn destroy_machine(
        &self,
        environment: &Tag,
        droplet: &Droplet,
    ) -> Result<(), EngineError> {
        destroy_droplet(self.cloud(), &Owned::claim(droplet, environment)?).await?;
        let mut known = self.vault().known_hosts()?;
        known.forget(&droplet.name)?;
        self.vault().drop_first_host_key(&droplet.name)?;
        self.emit(Event::Cloud {
            subject: format!("droplet {}", droplet.name),
            action: "destroyed".to_owned(),
        });
        Ok(())
    }

    /// Takes the baked images away, and machines on which such are made.
    async fn destroy_bakes(
        &self,
        blueprint: &Blueprint,
        found: &Found,
    ) -> Result<Vec<String>, EngineError> {
        let mut destroyed = Vec::new();
        for droplet in &found.builders {
            self.discard_builder(blueprint, droplet).await?;
            destroyed.push(format!("droplet {}", droplet.name));
        }
        for bake in &found.bakes {
            self.remove_image(bake).await?;
            destroyed.push(format!("image {}", bake.name));
        }
        Ok(destroyed)
    }

    /// Deletes the tags of the environment, of its groups, phases and baked images: also of
    /// those in which it once was, which nothing carries any more.
    async fn delete_tags(
        &self,
        blueprint: &Blueprint,
        environment: &Tag,
    ) -> Result<(), EngineError> {
        let name = &blueprint.environment.name;
        let own = ["group", "phase", "bake"].map(|kind| format!("marg-{kind}:{name}:"));
        let tags = self.cloud().tags().await?.into_iter();
        let tags: BTreeSet<String> = tags
            .map(|tag| tag.to_ascii_lowercase())
            .filter(|tag| own.iter().any(|prefix| tag.starts_with(prefix)))
            .collect();
        for tag in tags {
            self.cloud().delete_tag(&Tag::new(&tag)?).await?;
        }
        self.cloud().delete_tag(&Tag::bake(name)?).await?;
        self.cloud().delete_tag(environment).await?;
        Ok(())
    }

    /// The reserved address that one of the environment's droplets holds.
    fn entry_of(&self, found: &Found) -> Option<Ipv4Addr> {
        let held = found.reserved.iter().find(|reserved| {
            reserved
                .droplet
                .is_some_and(|id| found.droplets.iter().any(|d| d.id == id))
        });
        let hint = self.vault().entry_hint();
        let free = found
            .reserved
            .iter()
            .find(|r| r.droplet.is_none() && Some(r.ip) == hint);
        held.or(free).map(|reserved| reserved.ip)
    }

    fn gone(&self, destroyed: &mut Vec<String>, subject: String) {
        self.emit(Event::Cloud {
            subject: subject.clone(),
            action: "destroyed".to_owned(),
        });
        destroyed.push(subject);
    }
}

/// Firewalls are named after the environment and a group.
fn is_ours(environment: &str, firewall: &str) -> bool {
    firewall
        .strip_prefix(environment)
        .is_some_and(|rest| rest.starts_with('-'))
}
