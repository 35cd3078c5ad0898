//! Baked images: how they are named and tagged, and which of them a new host starts from. Pure.

use jiff::Timestamp;
use marg_cloud::{CloudResult, Image, ImageId, OwnedImage, Tag};
use marg_model::Host;

/// What a snapshot costs per GB and month, in US dollars. No answer of the cloud's API says it.
pub const DOLLARS_PER_GB: f64 = 0.06;

/// An image that was baked for a group of an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Bake {
    /// Its name in the cloud; it says all that follows but the age.
    pub name: String,
    /// The group.
    pub group: String,
    /// Slug of the distribution's image that it was made from. Empty when somebody renamed it:
    /// such an image is only listed and removed.
    pub image: String,
    /// Short for the list of packages that are in it.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// What is billed of it, in GB.
    pub gigabytes: f64,
    /// Smallest disk that it fits on, in GiB.
    pub min_disk_gib: u64,
    /// Regions that have it.
    pub regions: Vec<String>,
    /// Proof that it is this environment's.
    pub owned: OwnedImage,
}

impl Bake {
    /// Name of an image: `shop-bake-http-debian-13-x64-1a2b3c4d`.
    pub fn name(environment: &str, group: &str, image: &str, fingerprint: &str) -> String {
        format!("{environment}-bake-{group}-{image}-{fingerprint}")
    }

    /// Reads what the name and the tags of an image say.
    ///
    /// # Errors
    /// The image does not carry the environment's tag.
    pub fn read(environment: &str, image: &Image) -> CloudResult<Bake> {
        let owned = OwnedImage::claim(image, &Tag::bake(environment)?)?;
        let prefix = Tag::bake(environment)?.as_str().to_owned() + ":";
        let tags = image.tags.iter().flatten().map(|tag| tag.to_lowercase());
        let mut groups = tags.filter_map(|tag| tag.strip_prefix(&prefix).map(str::to_owned));
        let group = groups.next().unwrap_or_default();
        let rest = image
            .name
            .strip_prefix(&format!("{environment}-bake-{group}-"));
        let (base, fingerprint) = rest
            .and_then(|rest| rest.rsplit_once('-'))
            .unwrap_or_default();
        Ok(Bake {
            name: image.name.clone(),
            image: base.to_owned(),
            fingerprint: fingerprint.to_owned(),
            group,
            created_at: image.created_at,
            gigabytes: image.size_gigabytes,
            min_disk_gib: image.min_disk_size,
            regions: image.regions.clone(),
            owned,
        })
    }

    /// Its number.
    pub fn id(&self) -> ImageId {
        self.owned.id()
    }

    /// What it costs per month, in US dollars.
    pub fn dollars_per_month(&self) -> f64 {
        self.gigabytes * DOLLARS_PER_GB
    }

    /// The day on which it was made.
    pub fn day(&self) -> String {
        let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        self.created_at
            .map_or_else(|| "an unknown day".to_owned(), day)
    }

    /// Whether the host can start from it: baked for its group from its own image, where it is
    /// to be, and no larger than its disk.
    fn fits(&self, host: &Host, region: &str, disk_gib: u64) -> bool {
        self.group == host.group
            && self.image == host.image
            && self.min_disk_gib <= disk_gib
            && self.regions.iter().any(|slug| slug == region)
    }
}

/// The newest image that the host can start from. What it lacks, or has too much of, is made
/// right when the host is provisioned: an old one is slower, and never wrong.
pub fn newest<'a>(bakes: &'a [Bake], host: &Host, region: &str, disk_gib: u64) -> Option<&'a Bake> {
    let fitting = bakes
        .iter()
        .filter(|bake| bake.fits(host, region, disk_gib));
    fitting.max_by_key(|bake| (bake.created_at, bake.id()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// A baked image as the cloud would show it.
    pub fn image(id: u64, name: &str, group: &str, day: u32) -> Image {
        serde_json::from_value(json!({
            "id": id, "name": name, "slug": null, "regions": ["fra1"], "min_disk_size": 25,
            "size_gigabytes": 0.5, "created_at": format!("2026-11-{day:02}T10:00:00Z"),
            "tags": ["marg-bake:shop", format!("marg-bake:shop:{group}")],
        }))
        .unwrap()
    }

    fn host(group: &str, image: &str) -> Host {
        Host {
            name: format!("{group}2"),
            group: group.to_owned(),
            number: 2,
            size: "s-1vcpu-1gb".to_owned(),
            image: image.to_owned(),
            roles: Vec::new(),
            needs: Vec::new(),
            holds_data: false,
            settings: Default::default(),
            env: Default::default(),
        }
    }

    #[test]
    fn an_image_says_what_it_is_and_only_by_its_tag_whose() {
        let name = Bake::name("shop", "http", "debian-13-x64", "1a2b3c4d");
        assert_eq!(name, "shop-bake-http-debian-13-x64-1a2b3c4d");
        let bake = Bake::read("shop", &image(7, &name, "http", 21)).unwrap();
        assert_eq!(
            (&*bake.group, &*bake.image, &*bake.fingerprint, &*bake.day()),
            ("http", "debian-13-x64", "1a2b3c4d", "2026-11-21")
        );
        assert!((bake.dollars_per_month() - 0.03).abs() < 1e-9);
        assert!(Bake::read("shop2", &image(7, &name, "http", 21)).is_err());
        // It keeps its group, so that it can be removed, and nobody starts from it.
        let renamed = Bake::read("shop", &image(7, "golden", "http", 21)).unwrap();
        assert_eq!((&*renamed.group, &*renamed.image), ("http", ""));
    }

    #[test]
    fn the_newest_that_fits_is_taken() {
        let bakes: Vec<Bake> = [
            (1, "shop-bake-http-debian-13-x64-0000000a", "http", 20),
            (2, "shop-bake-http-debian-13-x64-0000000b", "http", 22),
            (3, "shop-bake-http-debian-13-x64-0000000a", "http", 21),
            (4, "shop-bake-worker-debian-13-x64-0000000a", "worker", 23),
            (5, "shop-bake-http-ubuntu-24-04-x64-0000000a", "http", 24),
            (6, "golden", "http", 25),
        ]
        .into_iter()
        .map(|(id, name, group, day)| Bake::read("shop", &image(id, name, group, day)).unwrap())
        .collect();
        for (group, image, region, disk, expected) in [
            ("http", "debian-13-x64", "fra1", 25, Some(2)),
            ("http", "debian-13-x64", "fra1", 10, None),
            ("http", "debian-13-x64", "ams3", 25, None),
            ("http", "ubuntu-24-04-x64", "fra1", 25, Some(5)),
            ("http", "debian-sid-x64", "fra1", 25, None),
            ("worker", "debian-13-x64", "fra1", 80, Some(4)),
            ("lb", "debian-13-x64", "fra1", 25, None),
        ] {
            let found = newest(&bakes, &host(group, image), region, disk);
            let id = found.map(|bake| bake.id().0);
            assert_eq!(id, expected, "{group} {image} {region} {disk}");
        }
    }
}
