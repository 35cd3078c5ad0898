//! Takes an environment down. Only what is proved to be its own is touched, and only after whoever
//! calls this has asked the operator.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use marg_cloud::{
    Droplet, DropletId, FirewallSpec, Owned, OwnedIp, OwnedKey, Tag, TagUse, destroy_droplet,
    destroy_vpc, md5_fingerprint, release_reserved_ip,
};
use marg_model::{Blueprint, Event};
use serde::Serialize;

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
        let found = self.look(blueprint).await?.found;
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
        let firewalls = found.firewalls.iter();
        let vpc = found.network().filter(|(vpc, _)| !vpc.default);
        let others = firewalls
            .map(|firewall| format!("firewall {}", firewall.name))
            .chain(vpc.map(|(vpc, _)| format!("vpc {}", vpc.name)))
            .chain(
                found
                    .bakes
                    .iter()
                    .map(|bake| format!("image {}", bake.name)),
            )
            .chain(addresses(&found).map(|own| format!("reserved ip {}", own.ip())))
            .chain(
                self.own_key(&found)?
                    .map(|key| format!("ssh key {}", key.name())),
            );
        preview.others.extend(others);
        Ok(preview)
    }

    /// Takes down everything of the environment: addresses, droplets, firewalls, network, key, tags, and
    /// the images that were baked for it.
    pub async fn destroy(&self, blueprint: &Blueprint) -> Result<DestroyReport, EngineError> {
        let found = self.look(blueprint).await?.found;
        let mut destroyed = Vec::new();
        for own in addresses(&found) {
            // From the moment when it leads nowhere, this is the proof that it is ours.
            self.vault().remember_entry(own.ip())?;
            release_reserved_ip(self.cloud(), &own).await?;
            self.vault().forget_entry()?;
            self.gone(&mut destroyed, format!("reserved ip {}", own.ip()));
        }
        let droplets = found.droplets.iter();
        let tag = found.owner.tag();
        try_join_all(droplets.map(|droplet| self.destroy_machine(tag, droplet))).await?;
        destroyed.extend(self.destroy_bakes(blueprint, &found).await?);
        let droplets = found.droplets.iter();
        destroyed.extend(droplets.map(|droplet| format!("droplet {}", droplet.name)));
        for firewall in &found.firewalls {
            let own = found.owner.firewall(firewall)?;
            self.cloud().delete_firewall(&own).await?;
            self.gone(&mut destroyed, format!("firewall {}", firewall.name));
        }
        self.destroy_network(&found, &mut destroyed).await?;
        if let Some(key) = self.own_key(&found)? {
            self.cloud().delete_ssh_key(&key).await?;
            self.gone(&mut destroyed, format!("ssh key {}", key.name()));
        }
        self.delete_tags(&blueprint.environment.name, &found)
            .await?;
        Ok(DestroyReport { destroyed })
    }

    async fn destroy_network(
        &self,
        found: &Found,
        destroyed: &mut Vec<String>,
    ) -> Result<(), EngineError> {
        let Some((vpc, own)) = found.network() else {
            return Ok(());
        };
        if vpc.default {
            // It costs nothing, and the environment's next provision uses it again.
            let message = format!(
                "vpc {} stays: it is the default of its region, which cannot be deleted",
                vpc.name
            );
            self.note(message);
            return Ok(());
        }
        destroy_vpc(self.cloud(), &own).await?;
        self.gone(destroyed, format!("vpc {}", vpc.name));
        Ok(())
    }

    /// The environment's key in the account, unless the operator registered it under another name.
    fn own_key(&self, found: &Found) -> Result<Option<OwnedKey>, EngineError> {
        let fingerprint = md5_fingerprint(&self.identity().public_openssh())?;
        let key = found.ssh_key.as_ref();
        Ok(key.and_then(|key| found.owner.ssh_key(key, &fingerprint).ok()))
    }

    /// Destroys a machine of the environment, and forgets its keys and the tags that only it has.
    pub(crate) async fn destroy_machine(
        &self,
        environment: &Tag,
        droplet: &Droplet,
    ) -> Result<(), EngineError> {
        let own = Owned::claim(droplet, environment)?;
        // Before the droplet: afterwards nothing says any more whose they were.
        let tags = droplet.tags.iter().flatten();
        for tag in tags.filter(|tag| tag.to_ascii_lowercase().starts_with("marg-op:")) {
            self.cloud().delete_tag(&Tag::new(tag)?).await?;
        }
        destroy_droplet(self.cloud(), &own).await?;
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

    /// Deletes the tags of the environment: also those of phases and groups in which it once was,
    /// and of creations whose droplets are gone. A tag that something else carries or that another
    /// firewall names stays: to delete it would change that.
    async fn delete_tags(&self, environment: &str, found: &Found) -> Result<(), EngineError> {
        let tags = self.cloud().tags().await?;
        for tag in tags.iter().filter(|tag| is_of(environment, &tag.name)) {
            if let Some(who) = self.carrier(tag, found).await? {
                self.note(format!("tag {} stays: {who}", tag.name));
                continue;
            }
            self.cloud().delete_tag(&Tag::new(&tag.name)?).await?;
        }
        Ok(())
    }

    /// What else a tag is on. Lists may still show what was destroyed just now.
    async fn carrier(&self, tag: &TagUse, found: &Found) -> Result<Option<String>, EngineError> {
        let names = |firewall: &&marg_cloud::Firewall| {
            let spec = FirewallSpec::of(firewall);
            spec.names_tag(&tag.name)
        };
        if let Some(firewall) = found.strangers.iter().find(names) {
            return Ok(Some(format!("firewall {} names it", firewall.name)));
        }
        if tag.others > 0 {
            return Ok(Some("volumes, snapshots or databases carry it".to_owned()));
        }
        if tag.resources == 0 {
            return Ok(None);
        }
        let own: BTreeSet<DropletId> = found
            .builders
            .iter()
            .chain(&found.droplets)
            .map(|one| one.id)
            .collect();
        let checked = Tag::new(&tag.name)?;
        let droplets = self.cloud().droplets_tagged(&checked).await?;
        let stranger = droplets.iter().find(|droplet| !own.contains(&droplet.id));
        let images = self.cloud().images_tagged(&checked).await?;
        let bakes: Vec<_> = found.bakes.iter().map(|bake| bake.id()).collect();
        let image = images.iter().find(|image| !bakes.contains(&image.id));
        Ok(stranger
            .map(|droplet| format!("droplet {} ({}) carries it", droplet.name, droplet.id))
            .or_else(|| {
                image.map(|image| format!("image {} ({}) carries it", image.name, image.id))
            }))
    }

    fn note(&self, message: String) {
        self.emit(Event::Note {
            host: None,
            message,
        });
    }

    fn gone(&self, destroyed: &mut Vec<String>, subject: String) {
        self.emit(Event::Cloud {
            subject: subject.clone(),
            action: "destroyed".to_owned(),
        });
        destroyed.push(subject);
    }
}

/// Reserved addresses of the environment: the one that leads to it, and those that an interrupted
/// run left.
fn addresses(found: &Found) -> impl Iterator<Item = OwnedIp> {
    let all = found.reserved.iter();
    all.filter_map(|reserved| found.owner.reserved_ip(reserved).ok())
}

/// Whether the tag is one that marg makes for this environment. No name has a colon, so that one
/// environment's tags never begin like another's.
fn is_of(environment: &str, tag: &str) -> bool {
    let tag = tag.to_ascii_lowercase();
    let rest = |kind: &str| {
        let rest = tag.strip_prefix(kind)?.strip_prefix(environment)?;
        (rest.is_empty() || rest.starts_with(':')).then_some(())
    };
    let kinds = [
        "marg-env:",
        "marg-group:",
        "marg-phase:",
        "marg-bake:",
        "marg-op:",
    ];
    kinds.iter().any(|kind| rest(kind).is_some())
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn tags_of_names_that_begin_alike_are_told_apart() {
        for (tag, environment) in [
            ("marg-env:shop", "shop"),
            ("MARG-group:shop:http", "shop"),
            ("marg-op:shop:8d777f385d3dfec8", "shop"),
            ("marg-bake:shop", "shop"),
            ("marg-env:shop-eu", "shop-eu"),
            ("marg-group:shop-eu:http", "shop-eu"),
            ("marg-group:shop:eu-http", "shop"),
            ("marg-op:8d777f385d3dfec8", ""),
            ("marg-envy:shop", ""),
            ("env:shop", ""),
            ("marg", ""),
        ] {
            let all = ["shop", "shop-eu", "shop-eu-http"];
            let found: Vec<_> = all.into_iter().filter(|one| is_of(one, tag)).collect();
            let expected: Vec<_> = [environment]
                .into_iter()
                .filter(|one| !one.is_empty())
                .collect();
            assert_eq!(found, expected, "{tag}");
        }
    }
}
