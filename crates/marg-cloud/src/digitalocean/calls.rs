//! The `Cloud` trait over HTTP: one method, one request (or one list).

use std::net::Ipv4Addr;

use async_trait::async_trait;
use serde_json::json;

use super::DigitalOcean;
use super::call::Call;
use super::http::take;
use super::wire;
use crate::cloud::Cloud;
use crate::error::{CloudError, CloudResult};
use crate::new_droplet::{CreatedDroplet, NewDroplet};
use crate::ownership::{Owned, OwnedFirewall, OwnedImage, OwnedIp, OwnedKey, OwnedVpc};
use crate::pace::Pace;
use crate::tag::Tag;
use crate::types::{
    Account, Action, ActionId, Droplet, DropletAction, DropletId, Firewall, FirewallId,
    FirewallSpec, Image, NewVpc, Region, ReservedIp, ReservedIpPlace, Size, Snapshot, SshKey,
    TagUse, Vpc, VpcChange,
};

#[async_trait]
impl Cloud for DigitalOcean {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    async fn account(&self) -> CloudResult<Account> {
        self.http.object(&Call::get("/v2/account"), "account").await
    }

    async fn droplet_count(&self) -> CloudResult<u64> {
        self.http.count("/v2/droplets").await
    }

    async fn sizes(&self) -> CloudResult<Vec<Size>> {
        self.http
            .list(Call::get("/v2/sizes"), "sizes", |size: &Size| {
                size.slug.clone()
            })
            .await
    }

    async fn regions(&self) -> CloudResult<Vec<Region>> {
        let slug = |region: &Region| region.slug.clone();
        self.http
            .list(Call::get("/v2/regions"), "regions", slug)
            .await
    }

    async fn images(&self) -> CloudResult<Vec<Image>> {
        let call = Call::get("/v2/images").query("type", "distribution");
        self.http
            .list(call, "images", |image: &Image| image.id.to_string())
            .await
    }

    async fn find_image(&self, slug: &str) -> CloudResult<Option<Image>> {
        let slug = path_word("image slug", slug)?;
        self.http
            .find(&Call::get(format!("/v2/images/{slug}")), "image")
            .await
    }

    async fn images_tagged(&self, tag: &Tag) -> CloudResult<Vec<Image>> {
        let call = Call::get("/v2/images").query("tag_name", tag.as_str());
        let id = |image: &Image| image.id.to_string();
        let listed = self.http.list(call, "images", id).await?;
        // A server that ignores the filter would hand out other people's images.
        let mut images = Vec::new();
        for image in listed {
            if image.has_tag(tag)? {
                images.push(image);
            }
        }
        Ok(images)
    }

    async fn delete_image(&self, image: &OwnedImage) -> CloudResult<()> {
        self.http
            .delete(&Call::delete(format!("/v2/images/{}", image.id())))
            .await
    }

    async fn find_ssh_key(&self, fingerprint: &str) -> CloudResult<Option<SshKey>> {
        let fingerprint = path_word("SSH key fingerprint", fingerprint)?;
        self.http
            .find(
                &Call::get(format!("/v2/account/keys/{fingerprint}")),
                "ssh_key",
            )
            .await
    }

    async fn create_ssh_key(&self, name: &str, public_key: &str) -> CloudResult<SshKey> {
        let body = json!({ "name": name, "public_key": public_key.trim() });
        self.http
            .object(&Call::create("/v2/account/keys", body), "ssh_key")
            .await
    }

    async fn delete_ssh_key(&self, key: &OwnedKey) -> CloudResult<()> {
        self.http
            .delete(&Call::delete(format!("/v2/account/keys/{}", key.id())))
            .await
    }

    async fn tags(&self) -> CloudResult<Vec<TagUse>> {
        let name = |tag: &TagUse| tag.name.clone();
        self.http.list(Call::get("/v2/tags"), "tags", name).await
    }

    async fn create_tag(&self, tag: &Tag) -> CloudResult<()> {
        // An existing tag is answered like a new one.
        let call = Call::post_again("/v2/tags", json!({ "name": tag.as_str() }));
        self.http.json(&call).await.map(drop)
    }

    async fn delete_tag(&self, tag: &Tag) -> CloudResult<()> {
        self.http
            .delete(&Call::delete(format!("/v2/tags/{tag}")))
            .await
    }

    async fn tag_droplets(&self, tag: &Tag, droplets: &[Owned]) -> CloudResult<()> {
        let path = format!("/v2/tags/{tag}/resources");
        self.http
            .json(&Call::post_again(path, wire::tagged(droplets)))
            .await
            .map(drop)
    }

    async fn untag_droplets(&self, tag: &Tag, droplets: &[Owned]) -> CloudResult<()> {
        let call = Call::delete(format!("/v2/tags/{tag}/resources")).body(wire::tagged(droplets));
        self.http.delete(&call).await
    }

    async fn vpcs(&self) -> CloudResult<Vec<Vpc>> {
        self.http
            .list(Call::get("/v2/vpcs"), "vpcs", |vpc: &Vpc| {
                vpc.id.to_string()
            })
            .await
    }

    async fn create_vpc(&self, vpc: &NewVpc) -> CloudResult<Vpc> {
        self.http
            .object(&Call::create("/v2/vpcs", json!(vpc)), "vpc")
            .await
    }

    async fn update_vpc(&self, vpc: &OwnedVpc, change: &VpcChange) -> CloudResult<Vpc> {
        let call = Call::patch(format!("/v2/vpcs/{}", vpc.id()), json!(change));
        self.http.object(&call, "vpc").await
    }

    async fn delete_vpc(&self, vpc: &OwnedVpc) -> CloudResult<()> {
        self.http
            .delete(&Call::delete(format!("/v2/vpcs/{}", vpc.id())))
            .await
    }

    async fn droplets_tagged(&self, tag: &Tag) -> CloudResult<Vec<Droplet>> {
        let call = Call::get("/v2/droplets").query("tag_name", tag.as_str());
        let listed = self.http.list(call, "droplets", droplet_id).await?;
        // A server that ignores the filter would hand out other people's machines.
        let mut droplets = Vec::with_capacity(listed.len());
        for droplet in listed {
            if droplet.has_tag(tag)? {
                droplets.push(droplet);
            }
        }
        Ok(droplets)
    }

    async fn droplets_named(&self, name: &str) -> CloudResult<Vec<Droplet>> {
        let call = Call::get("/v2/droplets").query("name", name);
        let mut droplets = self.http.list(call, "droplets", droplet_id).await?;
        droplets.retain(|droplet| droplet.name.eq_ignore_ascii_case(name));
        Ok(droplets)
    }

    async fn droplet(&self, id: DropletId) -> CloudResult<Option<Droplet>> {
        self.http
            .find(&Call::get(format!("/v2/droplets/{id}")), "droplet")
            .await
    }

    async fn create_droplet(
        &self,
        droplet: &NewDroplet,
        operation: &Tag,
    ) -> CloudResult<CreatedDroplet> {
        droplet.check()?;
        let call = Call::create("/v2/droplets", wire::droplet(droplet, operation));
        let turn = self.creates.acquire().await;
        let mut answer = self.http.json(&call).await?;
        drop(turn);
        let action = answer
            .pointer("/links/actions/0/id")
            .and_then(serde_json::Value::as_u64);
        Ok(CreatedDroplet {
            droplet: take(&mut answer, "droplet").map_err(|cause| call.unreadable(cause))?,
            action: action.map(ActionId),
        })
    }

    async fn delete_droplet(&self, droplet: &Owned) -> CloudResult<()> {
        self.http
            .delete(&Call::delete(format!("/v2/droplets/{}", droplet.id())))
            .await
    }

    async fn start_action(&self, droplet: &Owned, action: &DropletAction) -> CloudResult<Action> {
        let path = format!("/v2/droplets/{}/actions", droplet.id());
        self.http
            .object(&Call::create(path, wire::action(action)), "action")
            .await
    }

    async fn snapshots_of(&self, droplet: &Owned) -> CloudResult<Vec<Snapshot>> {
        let call = Call::get(format!("/v2/droplets/{}/snapshots", droplet.id()));
        let id = |snapshot: &Snapshot| snapshot.id.to_string();
        self.http.list(call, "snapshots", id).await
    }

    async fn tag_snapshot(&self, tag: &Tag, snapshot: &Snapshot) -> CloudResult<()> {
        let path = format!("/v2/tags/{tag}/resources");
        self.http
            .json(&Call::post_again(path, wire::tagged_image(snapshot)))
            .await
            .map(drop)
    }

    async fn action(&self, id: ActionId) -> CloudResult<Option<Action>> {
        self.http
            .find(&Call::get(format!("/v2/actions/{id}")), "action")
            .await
    }

    async fn firewalls(&self) -> CloudResult<Vec<Firewall>> {
        let id = |firewall: &Firewall| firewall.id.to_string();
        self.http
            .list(Call::get("/v2/firewalls"), "firewalls", id)
            .await
    }

    async fn firewall(&self, id: &FirewallId) -> CloudResult<Option<Firewall>> {
        self.http
            .find(&Call::get(format!("/v2/firewalls/{id}")), "firewall")
            .await
    }

    async fn create_firewall(&self, firewall: &FirewallSpec) -> CloudResult<Firewall> {
        let call = Call::create("/v2/firewalls", wire::firewall(firewall));
        self.http.object(&call, "firewall").await
    }

    async fn update_firewall(
        &self,
        own: &OwnedFirewall,
        firewall: &FirewallSpec,
    ) -> CloudResult<Firewall> {
        let call = Call::put(
            format!("/v2/firewalls/{}", own.id()),
            wire::firewall(firewall),
        );
        self.http.object(&call, "firewall").await
    }

    async fn delete_firewall(&self, firewall: &OwnedFirewall) -> CloudResult<()> {
        self.http
            .delete(&Call::delete(format!("/v2/firewalls/{}", firewall.id())))
            .await
    }

    async fn reserved_ips(&self) -> CloudResult<Vec<ReservedIp>> {
        let ip = |address: &ReservedIp| address.ip.to_string();
        self.http
            .list(Call::get("/v2/reserved_ips"), "reserved_ips", ip)
            .await
    }

    async fn reserved_ip(&self, ip: Ipv4Addr) -> CloudResult<Option<ReservedIp>> {
        self.http
            .find(&Call::get(format!("/v2/reserved_ips/{ip}")), "reserved_ip")
            .await
    }

    async fn create_reserved_ip(&self, place: &ReservedIpPlace) -> CloudResult<ReservedIp> {
        let call = Call::create("/v2/reserved_ips", wire::reserved_ip(place));
        self.http.object(&call, "reserved_ip").await
    }

    async fn start_assign(&self, ip: &OwnedIp, droplet: &Owned) -> CloudResult<Action> {
        let body = json!({ "type": "assign", "droplet_id": droplet.id() });
        let call = Call::create(format!("/v2/reserved_ips/{}/actions", ip.ip()), body);
        self.http.object(&call, "action").await
    }

    async fn start_unassign(&self, ip: &OwnedIp) -> CloudResult<Action> {
        let body = json!({ "type": "unassign" });
        let call = Call::create(format!("/v2/reserved_ips/{}/actions", ip.ip()), body);
        self.http.object(&call, "action").await
    }

    async fn delete_reserved_ip(&self, ip: &OwnedIp) -> CloudResult<()> {
        self.http
            .delete(&Call::delete(format!("/v2/reserved_ips/{}", ip.ip())))
            .await
    }
}

fn droplet_id(droplet: &Droplet) -> String {
    droplet.id.to_string()
}

/// A word from an inventory that becomes part of a path must not lead elsewhere.
fn path_word<'a>(what: &'static str, word: &'a str) -> CloudResult<&'a str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':');
    if word.is_empty() || !word.chars().all(legal) {
        return Err(CloudError::Invalid {
            what,
            value: word.to_owned(),
            reason: "use letters, digits, `-`, `_` and `:`".to_owned(),
        });
    }
    Ok(word)
}
