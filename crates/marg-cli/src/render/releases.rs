//! Every application's releases and where they are live.

use std::collections::BTreeMap;

use marg::{AppReleases, Release};

use super::status::bare_table;
use super::trimmed;
use crate::output::{BOLD, DIM, YELLOW, clean, paint};

/// One table per application, the newest release first.
pub fn releases(apps: &[AppReleases]) -> String {
    if apps.is_empty() {
        return "The inventory has no applications.\n".to_owned();
    }
    let texts: Vec<String> = apps.iter().map(app).collect();
    trimmed(&texts.join("\n"))
}

/// A release, with the hosts that have it and those on which it is live.
struct Seen<'a> {
    release: &'a Release,
    hosts: Vec<&'a str>,
    live: Vec<&'a str>,
}

fn app(app: &AppReleases) -> String {
    let name = paint(BOLD, &clean(&app.app));
    let seen = seen(app);
    if seen.is_empty() {
        return format!(
            "{name}\n{}\n",
            paint(DIM, "no release yet: marg deploy makes the first")
        );
    }
    let mut table = bare_table(&["LIVE", "RELEASE", "REF", "BY", "AT", "HOSTS"]);
    for seen in seen.values().rev() {
        table.add_row(vec![
            live(seen),
            clean(&seen.release.id),
            clean(&seen.release.reference),
            clean(&seen.release.by),
            clean(&seen.release.at),
            seen.hosts.join(" "),
        ]);
    }
    format!("{name}\n{table}\n{}", disagreement(app))
}

fn seen(app: &AppReleases) -> BTreeMap<&str, Seen<'_>> {
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for host in &app.hosts {
        for release in &host.releases {
            let entry = seen.entry(&release.id);
            let entry = entry.or_insert_with(|| Seen {
                release,
                hosts: vec![],
                live: vec![],
            });
            entry.hosts.push(&host.host);
            if host.live.as_deref() == Some(release.id.as_str()) {
                entry.live.push(&host.host);
            }
        }
    }
    seen
}

fn live(seen: &Seen) -> String {
    match seen.live.len() {
        0 => String::new(),
        all if all == seen.hosts.len() => "●".to_owned(),
        _ => format!("● on {}", seen.live.join(" ")),
    }
}

/// Users must not meet two releases: what to do when hosts differ.
fn disagreement(app: &AppReleases) -> String {
    let mut live = app.hosts.iter().map(|host| &host.live);
    let first = live.next();
    if live.all(|other| Some(other) == first) {
        return String::new();
    }
    let name = clean(&app.app);
    let warning = paint(YELLOW, "hosts differ:");
    format!("{warning} run `marg deploy {name}` to bring all of them to one release\n")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::testing::plain;

    #[test]
    fn releases_of_applications() {
        insta::assert_snapshot!("releases", plain(&releases(&samples::releases())));
        assert_eq!(releases(&[]), "The inventory has no applications.\n");
    }
}
