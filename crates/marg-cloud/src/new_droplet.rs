//! What a droplet should be before it exists.

use marg_model::Secret;

use crate::error::{CloudError, CloudResult};
use crate::tag::Tag;
use crate::types::{ActionId, Droplet, ImageId, SshKeyId, VpcId};

/// Most bytes of user data that the API takes.
const USER_DATA_MAX: usize = 64 * 1024;

/// A droplet to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDroplet {
    /// Letters, digits, `-` and `.`, at most 255. The cloud accepts equal names; marg does not.
    pub name: String,
    /// Slug of the region.
    pub region: String,
    /// Slug of the size.
    pub size: String,
    /// What its disk begins as.
    pub image: BootImage,
    /// Keys that may log in as root.
    pub ssh_keys: Vec<SshKeyId>,
    /// The environment's tag; droplets without it are never touched again.
    pub environment: Tag,
    /// Further tags, such as the group's. `marg` is added by itself.
    pub tags: Vec<Tag>,
    /// The private network.
    pub vpc: VpcId,
    /// cloud-init's configuration: ASCII, at most 64 KiB. A secret, since it holds host keys.
    pub user_data: Secret,
    /// Whether the cloud's monitoring agent is installed.
    pub monitoring: bool,
}

/// What a new droplet's disk begins as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootImage {
    /// Slug of one of the cloud's own images.
    Slug(String),
    /// A snapshot of the account.
    Snapshot(ImageId),
}

/// A droplet that the cloud has accepted: promised, not yet there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedDroplet {
    /// As it was at the moment of the answer, usually without addresses.
    pub droplet: Droplet,
    /// The action that makes it, if the answer named one.
    pub action: Option<ActionId>,
}

impl NewDroplet {
    /// Checks what the API would refuse, or (user data) silently die of.
    pub fn check(&self) -> CloudResult<()> {
        let invalid = |what, value: &str, reason: &str| {
            Err(CloudError::Invalid {
                what,
                value: value.to_owned(),
                reason: reason.to_owned(),
            })
        };
        if !is_droplet_name(&self.name) {
            return invalid(
                "droplet name",
                &self.name,
                "use 1 to 255 letters, digits, `-` and `.`, with a letter or digit at both ends",
            );
        }
        let user_data = self.user_data.expose();
        if user_data.len() > USER_DATA_MAX {
            return invalid("user data of", &self.name, "it is larger than 64 KiB");
        }
        // Anything else was seen to be accepted and to kill the droplet while it is made.
        if !user_data.is_ascii() {
            let reason = "it must be ASCII; put other text into it as base64";
            return invalid("user data of", &self.name, reason);
        }
        Ok(())
    }

    /// All tags it is created with.
    pub(crate) fn all_tags(&self, operation: &Tag) -> Vec<Tag> {
        let mut tags = vec![Tag::marg(), self.environment.clone(), operation.clone()];
        for tag in &self.tags {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        tags
    }
}

fn is_droplet_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() <= 255
        && ends(name.chars().next())
        && ends(name.chars().next_back())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn named(name: &str, user_data: &str) -> NewDroplet {
        NewDroplet {
            name: name.to_owned(),
            region: "fra1".to_owned(),
            size: "s-1vcpu-1gb".to_owned(),
            image: BootImage::Slug("debian-13-x64".to_owned()),
            ssh_keys: vec![SshKeyId(1)],
            environment: Tag::environment("lab").unwrap(),
            tags: vec![Tag::marg(), Tag::group("lab", "http").unwrap()],
            vpc: VpcId("v".to_owned()),
            user_data: Secret::new(user_data),
            monitoring: false,
        }
    }

    #[test]
    fn what_the_api_would_choke_on_is_refused_here() {
        for (name, user_data, fine) in [
            ("lab-http1", "#cloud-config", true),
            ("lab.http1", "", true),
            ("lab_http1", "", false),
            ("-lab", "", false),
            ("lab-", "", false),
            ("", "", false),
            ("lab-http1", "# ☃", false),
            ("lab-http1", &"x".repeat(USER_DATA_MAX + 1), false),
        ] {
            assert_eq!(named(name, user_data).check().is_ok(), fine, "{name}");
        }
    }

    #[test]
    fn neither_debug_nor_errors_show_user_data() {
        let droplet = named("lab-http1", "canary ☃");
        let error = droplet.check().unwrap_err();
        assert!(!format!("{droplet:?} {error} {error:?}").contains("canary"));
    }

    #[test]
    fn every_tag_is_sent_once() {
        let tags = named("lab-http1", "").all_tags(&Tag::operation("x").unwrap());
        let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        assert_eq!(
            names,
            ["marg", "marg-env:lab", "marg-op:x", "marg-group:lab:http"]
        );
    }
}
