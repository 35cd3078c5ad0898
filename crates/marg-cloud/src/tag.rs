//! Tags: the only state that marg keeps in the cloud.

use std::fmt;

use crate::error::{CloudError, CloudResult};
use crate::types::{Droplet, DropletId, Image, ImageId};

/// A checked, lower-case tag name.
///
/// The cloud compares tags without regard to case but keeps the first spelling for ever, so marg
/// writes lower case only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// Checks the name (letters, digits, `_`, `-`, `:`; at most 255) and lowers its case.
    pub fn new(name: &str) -> CloudResult<Tag> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':');
        if name.is_empty() || name.len() > 255 || !name.chars().all(legal) {
            return Err(CloudError::Invalid {
                what: "tag",
                value: name.to_owned(),
                reason: "a tag has 1 to 255 letters, digits, `_`, `-` and `:`".to_owned(),
            });
        }
        Ok(Tag(name.to_ascii_lowercase()))
    }

    /// `marg`: on every droplet that marg made.
    pub fn marg() -> Tag {
        Tag("marg".to_owned())
    }

    /// `marg-env:<environment>`: on every droplet of one environment, and on no other.
    pub fn environment(environment: &str) -> CloudResult<Tag> {
        Tag::new(&format!("marg-env:{environment}"))
    }

    /// `marg-group:<environment>:<group>`: on every droplet of one group.
    pub fn group(environment: &str, group: &str) -> CloudResult<Tag> {
        Tag::new(&format!("marg-group:{environment}:{group}"))
    }

    /// `marg-op:<id>`: on the droplet of one intent to create; the id comes from the journal.
    pub fn operation(id: &str) -> CloudResult<Tag> {
        Tag::new(&format!("marg-op:{id}"))
    }

    /// `marg-bake:<environment>`: on every image that was baked for one environment.
    pub fn bake(environment: &str) -> CloudResult<Tag> {
        Tag::new(&format!("marg-bake:{environment}"))
    }

    /// `marg-bake:<environment>:<group>`: on the images that were baked for one group, and on the
    /// droplet on which the next one is being baked.
    pub fn bake_of(environment: &str, group: &str) -> CloudResult<Tag> {
        Tag::new(&format!("marg-bake:{environment}:{group}"))
    }

    /// The name as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Proof that a droplet carries an environment's tag. Whatever changes or deletes a droplet asks
/// for this proof, so nothing can touch a machine by its name or id alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    id: DropletId,
    name: String,
}

impl Owned {
    /// Claims the droplet for the environment, if it carries the tag.
    pub fn claim(droplet: &Droplet, environment: &Tag) -> CloudResult<Owned> {
        if !droplet.has_tag(environment)? {
            return Err(CloudError::NotOurs {
                id: droplet.id,
                name: droplet.name.clone(),
                tag: environment.to_string(),
            });
        }
        Ok(Owned {
            id: droplet.id,
            name: droplet.name.clone(),
        })
    }

    /// The droplet's id.
    pub fn id(&self) -> DropletId {
        self.id
    }

    /// The droplet's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Proof that an image carries an environment's tag for baked images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedImage {
    id: ImageId,
    name: String,
}

impl OwnedImage {
    /// Claims the image, if it carries the tag.
    pub fn claim(image: &Image, bake: &Tag) -> CloudResult<OwnedImage> {
        if !image.has_tag(bake)? {
            return Err(CloudError::ImageNotOurs {
                id: image.id,
                name: image.name.clone(),
                tag: bake.to_string(),
            });
        }
        Ok(OwnedImage {
            id: image.id,
            name: image.name.clone(),
        })
    }

    /// The image's number.
    pub fn id(&self) -> ImageId {
        self.id
    }

    /// The image's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::tests::droplet;

    #[test]
    fn tags_are_checked_and_lowered() {
        for (name, expected) in [
            ("marg-env:Lab", Some("marg-env:lab")),
            ("a_b-c:1", Some("a_b-c:1")),
            ("with.dot", None),
            ("a=b", None),
            ("", None),
            ("ä", None),
        ] {
            let tag = Tag::new(name).ok();
            assert_eq!(tag.as_ref().map(Tag::as_str), expected, "{name}");
        }
        assert!(Tag::new(&"x".repeat(256)).is_err());
    }

    #[test]
    fn only_a_tagged_droplet_can_be_claimed() {
        let ours = Tag::environment("lab").unwrap();
        for (tags, claimed) in [
            (r#"["marg","MARG-ENV:LAB"]"#, true),
            (r#"["marg-env:lab2"]"#, false),
            ("[]", false),
        ] {
            let machine = droplet(&format!(r#"{{"id":7,"name":"lab-http1","tags":{tags}}}"#));
            assert_eq!(Owned::claim(&machine, &ours).is_ok(), claimed, "{tags}");
        }
    }

    #[test]
    fn only_a_tagged_image_can_be_claimed() {
        let ours = Tag::bake("lab").unwrap();
        for (tags, claimed) in [
            (r#"["marg-bake:lab","marg-bake:lab:http"]"#, Some(true)),
            (r#"["marg-bake:lab:http"]"#, Some(false)),
            ("[]", Some(false)),
            ("null", None),
        ] {
            let json = format!(r#"{{"id":7,"name":"golden","tags":{tags}}}"#);
            let image: Image = serde_json::from_str(&json).unwrap();
            let found = match OwnedImage::claim(&image, &ours) {
                Ok(_) => Some(true),
                Err(CloudError::ImageNotOurs { .. }) => Some(false),
                Err(_) => None,
            };
            assert_eq!(found, claimed, "{tags}");
        }
    }

    #[test]
    fn absent_tags_are_not_no_tags() {
        let machine = droplet(r#"{"id":7,"name":"lab-http1"}"#);
        let error = Owned::claim(&machine, &Tag::environment("lab").unwrap()).unwrap_err();
        assert!(matches!(
            error,
            CloudError::ScopeMissing { field: "tags", .. }
        ));
    }
}
