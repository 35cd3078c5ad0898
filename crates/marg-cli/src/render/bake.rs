//! Images for new hosts: what would be made, what was made, what there is.

use comfy_table::CellAlignment;
use marg::{BakePreview, BakeReport, BakedImage, Bakes, DOLLARS_PER_GB};

use super::status::bare_table;
use super::{dollars, trimmed};
use crate::output::{BOLD, DIM, GREEN, YELLOW, clean, count, paint, seconds};

/// What would be made, on which machines, and what it costs.
pub fn bake_preview(previews: &[BakePreview]) -> String {
    let mut text = String::new();
    for preview in previews {
        let BakePreview {
            group,
            name,
            image,
            size,
            price_hourly,
            packages,
            replaces,
        } = preview;
        text.push_str(&format!(
            "{} {}\n  {image} with {} installed, made on a {size} (${price_hourly:.5} per hour, \
             for some minutes)\n",
            paint(BOLD, &format!("{group}:")),
            clean(name),
            count(*packages, "package"),
        ));
        if !replaces.is_empty() {
            let old: Vec<String> = replaces.iter().map(|name| clean(name)).collect();
            text.push_str(&format!("  then removes {}\n", old.join(", ")));
        }
    }
    let price = format!("Images cost {} per GB and month.", dollars(DOLLARS_PER_GB));
    trimmed(&format!("{text}{price}\n"))
}

/// What was made.
pub fn baked(report: &BakeReport) -> String {
    let lines = report.baked.iter().map(|baked| {
        format!(
            "{} {}: {:.2} GB, {} per month ({})\n",
            paint(GREEN, "✓"),
            clean(&baked.name),
            baked.gigabytes,
            dollars(baked.dollars_per_month),
            seconds(baked.millis)
        )
    });
    let lines: String = lines.collect();
    let groups = report.baked.iter().map(|baked| baked.group.as_str());
    let groups: Vec<&str> = groups.collect();
    let them = if groups.len() == 1 { "it" } else { "them" };
    let groups = groups.join(" and ");
    format!("{lines}New hosts of {groups} start from {them}.\n")
}

/// What there is.
pub fn bakes(bakes: &Bakes) -> String {
    let mut text = String::new();
    if bakes.images.is_empty() {
        text.push_str(
            "No images are baked: new hosts install everything. `marg bake` makes some.\n",
        );
    } else {
        text.push_str(&table(&bakes.images));
        let sum: f64 = bakes.images.iter().map(|one| one.dollars_per_month).sum();
        text.push_str(&format!("\n{} per month\n", paint(BOLD, &dollars(sum))));
    }
    for name in &bakes.builders {
        let left = format!(
            "droplet {} bakes an image, or was left by a bake that was interrupted: `marg bake` \
             goes on with it",
            clean(name)
        );
        text.push_str(&format!("{}\n", paint(YELLOW, &left)));
    }
    trimmed(&text)
}

fn table(images: &[BakedImage]) -> String {
    let mut table = bare_table(&["GROUP", "IMAGE", "MADE", "GB", "PER MONTH", ""]);
    for image in images {
        let note = match (image.used, image.stale) {
            (true, false) => "",
            (true, true) => "packages have changed since",
            (false, _) => "not used",
        };
        table.add_row(vec![
            image.group.clone(),
            clean(&image.name),
            image.created_at.chars().take(16).collect(),
            format!("{:.2}", image.gigabytes),
            dollars(image.dollars_per_month),
            paint(DIM, note),
        ]);
    }
    for column in [3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

/// What would be removed for these groups, or all; empty when there is nothing.
pub fn bakes_to_remove(bakes: &Bakes, groups: &[String]) -> String {
    let wanted = |image: &&BakedImage| groups.is_empty() || groups.contains(&image.group);
    let images = bakes.images.iter().filter(wanted);
    let images = images.map(|image| format!("  image {}\n", clean(&image.name)));
    let of_group = |name: &&String| {
        let mut groups = groups.iter();
        groups.len() == 0 || groups.any(|group| name.ends_with(&format!("-bake-{group}")))
    };
    let builders = bakes.builders.iter().filter(of_group);
    let builders = builders.map(|name| format!("  droplet {}\n", clean(name)));
    images.chain(builders).collect()
}

/// What is gone.
pub fn bakes_removed(removed: &[String]) -> String {
    if removed.is_empty() {
        return "Nothing to remove: no images are baked.\n".to_owned();
    }
    let lines = removed
        .iter()
        .map(|name| format!("{} {} is gone\n", paint(GREEN, "✓"), clean(name)));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use marg::Baked;

    use super::*;
    use crate::testing::plain;

    fn name(group: &str, fingerprint: &str) -> String {
        format!("shop-bake-{group}-debian-13-x64-{fingerprint}")
    }

    fn image(group: &str, fingerprint: &str, used: bool, stale: bool) -> BakedImage {
        BakedImage {
            name: name(group, fingerprint),
            group: group.to_owned(),
            image: "debian-13-x64".to_owned(),
            created_at: "2026-11-21T10:00:00Z".to_owned(),
            gigabytes: 0.43,
            dollars_per_month: 0.0258,
            used,
            stale,
        }
    }

    #[test]
    fn what_is_made_and_what_there_is() {
        let preview = BakePreview {
            group: "http".to_owned(),
            name: name("http", "1a2b3c4d"),
            image: "debian-13-x64".to_owned(),
            size: "s-1vcpu-1gb".to_owned(),
            price_hourly: 0.00893,
            packages: 22,
            replaces: vec![name("http", "00000001")],
        };
        let report = BakeReport {
            baked: vec![Baked {
                group: "http".to_owned(),
                name: name("http", "1a2b3c4d"),
                gigabytes: 0.43,
                dollars_per_month: 0.0258,
                replaced: Vec::new(),
                millis: 72_000,
            }],
        };
        let there = Bakes {
            images: vec![
                image("http", "1a2b3c4d", true, false),
                image("http", "00000001", false, true),
                image("worker", "00000002", true, true),
            ],
            builders: vec!["shop-bake-http".to_owned()],
        };
        let gone = ["droplet shop-bake-http", "image x"].map(str::to_owned);
        let shown = [
            bake_preview(&[preview]),
            baked(&report),
            bakes(&there),
            bakes(&Bakes::default()),
            bakes_to_remove(&there, &["http".to_owned()]),
            bakes_removed(&gone),
            bakes_removed(&[]),
        ];
        insta::assert_snapshot!("bake", plain(&shown.join("---\n")));
    }
}
