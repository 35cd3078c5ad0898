//! Tags: the only state that marg keeps in the cloud.

use std::fmt;

use crate::error::{CloudError, CloudResult};

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

    /// `marg-op:<environment>:<id>`: on the droplet of one intent to create; both come from the
    /// journal. Earlier versions left the environment out.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
}
