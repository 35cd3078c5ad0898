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
    if seen.is_empty() && app.hosts.iter().all(|host| host.unknown.is_empty()) {
        return format!(
            "{name}\n{}\n",
            paint(DIM, "no release yet: marg deploy makes the first")
        );
    }
    let mut table = bare_table(&["LIVE", "RELEASE", "REF", "BY", "AT", "HOSTS"]);
    for seen in seen.values().rev() {
        table.add_row(vec![
            live(seen, app.hosts.len()),
            clean(&seen.release.id),
            clean(&seen.release.reference),
            clean(&seen.release.by),
            clean(&seen.release.at),
            seen.hosts.join(" "),
        ]);
    }
    format!("{name}\n{table}\n{}{}", unknown(app), disagreement(app))
}

/// Releases that lie on hosts and of which nothing can be told.
fn unknown(app: &AppReleases) -> String {
    let line = |host: &marg::HostReleases, id: &String| {
        let (what, id) = (paint(YELLOW, "unknown:"), clean(id));
        format!(
            "{what} {id} on {}: its record cannot be read; the next deploy removes it\n",
            host.host
        )
    };
    let lines = app.hosts.iter().flat_map(|host| {
        let ids = host.unknown.iter();
        ids.map(move |id| line(host, id))
    });
    lines.collect()
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

fn live(seen: &Seen, hosts: usize) -> String {
    match seen.live.len() {
        0 => String::new(),
        all if all == hosts => "●".to_owned(),
        _ => format!("● on {}", seen.live.join(" ")),
    }
}

/// Users must not meet two releases: what is known of the reason, and what to do.
fn disagreement(app: &AppReleases) -> String {
    let name = clean(&app.app);
    let mut text = String::new();
    let mut onward = format!("marg deploy {name}");
    let mut back = format!("marg rollback {name}");
    let begun = app.hosts.iter().filter_map(|host| host.unfinished.as_ref());
    if let Some(begun) = begun.max_by(|a, b| a.at.cmp(&b.at)) {
        let (action, release) = (clean(&begun.action), clean(&begun.release));
        let (by, at) = (clean(&begun.by), clean(&begun.at));
        let warning = paint(YELLOW, "not finished:");
        text = format!("{warning} the {action} of {release} that {by} began at {at}\n");
        if begun.action == "deploy" {
            onward = format!("{onward} --ref {}", clean(&begun.commit));
        } else {
            std::mem::swap(&mut onward, &mut back);
        }
    }
    let mut live = app.hosts.iter().map(|host| &host.live);
    let first = live.next();
    let differ = !live.all(|other| Some(other) == first);
    if differ {
        text.push_str(&format!(
            "{} {}\n",
            paint(YELLOW, "hosts differ:"),
            which(app)
        ));
    }
    if !text.is_empty() {
        text.push_str(&format!(
            "run `{onward}` to go on, or `{back}` to go back\n"
        ));
    }
    text
}

/// Which hosts have which release, and which have none.
fn which(app: &AppReleases) -> String {
    let mut releases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for host in &app.hosts {
        let live = host.live.as_deref().unwrap_or("nothing");
        releases.entry(live).or_default().push(&host.host);
    }
    let each = releases.iter().rev();
    let each = each.map(|(id, hosts)| format!("{} on {}", clean(id), hosts.join(" ")));
    each.collect::<Vec<_>>().join(", ")
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
