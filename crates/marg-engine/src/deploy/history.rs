//! Releases as the hosts know them: what lies on their disks, what is live, who made it so.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use marg_model::App;
use serde::{Deserialize, Serialize};

use super::Release;
use super::steps::records;
use crate::host::HostError;
use crate::host::link::Link;

/// All hosts' releases of an application.
#[derive(Clone, Debug, Serialize)]
pub struct AppReleases {
    /// Application.
    pub app: String,
    /// Its hosts.
    pub hosts: Vec<HostReleases>,
}

/// A host's releases of an application.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HostReleases {
    /// Host name.
    pub host: String,
    /// The live one.
    pub live: Option<String>,
    /// What lies on the disk, oldest first.
    pub releases: Vec<Release>,
    /// What lies on the disk, too, without a record that can be read: nobody can tell what it is.
    pub unknown: Vec<String>,
    /// Releases whose archives are kept on this host, for others to get.
    pub archives: BTreeSet<String>,
    /// Deploys and rollbacks that succeeded, oldest first.
    pub history: Vec<Record>,
    /// A deploy or rollback that began on this host and did not come to its end.
    pub unfinished: Option<Record>,
}

/// One line of a host's `deploys.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `deploy` or `rollback`.
    pub action: String,
    /// What became live.
    pub release: String,
    /// What was live before.
    pub previous: Option<String>,
    /// Commit of the release.
    pub commit: String,
    /// Who did it.
    pub by: String,
    /// When, in UTC.
    pub at: String,
    /// Whether the application was taken down for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
}

impl HostReleases {
    /// Whether a release lies on the disk.
    pub fn has(&self, id: &str) -> bool {
        self.releases.iter().any(|release| release.id == id)
    }

    /// The live release, if it lies on the disk.
    pub fn live(&self) -> Option<&Release> {
        let id = self.live.as_deref()?;
        self.releases.iter().find(|release| release.id == id)
    }

    /// The release that was live before the present one and still lies on the disk.
    pub fn previous(&self) -> Option<&Release> {
        let live = self.live.as_deref()?;
        let candidates = self
            .history
            .iter()
            .rev()
            .filter(|record| record.release == live);
        // The way back from a rollback is not the release that was rolled back from.
        let deployed = candidates.filter(|record| record.action == "deploy");
        deployed
            .filter_map(|record| record.previous.as_deref())
            .filter(|id| *id != live)
            .find_map(|id| self.releases.iter().find(|release| release.id == id))
    }
}

/// Asks a host for the releases of applications, in one look.
pub async fn look(
    link: &mut Link,
    apps: &[&App],
) -> Result<BTreeMap<String, HostReleases>, HostError> {
    let script: String = apps.iter().map(|app| records::question(app)).collect();
    let output = link.talk.look(&script).await?;
    let mut found: BTreeMap<String, HostReleases> = BTreeMap::new();
    for app in apps {
        let host = link.host.clone();
        found.insert(
            app.name.clone(),
            HostReleases {
                host,
                ..HostReleases::default()
            },
        );
    }
    for line in output.lines() {
        take(&mut found, line).ok_or_else(|| HostError::Look {
            host: link.host.clone(),
            status: "0".to_owned(),
            output: format!("not understood: {line}"),
        })?;
    }
    for releases in found.values_mut() {
        releases.releases.sort_by(|a, b| a.id.cmp(&b.id));
    }
    Ok(found)
}

fn take(found: &mut BTreeMap<String, HostReleases>, line: &str) -> Option<()> {
    let mut words = line.splitn(3, ' ');
    let (word, app, value) = (words.next()?, words.next()?, words.next()?);
    let releases = found.get_mut(app)?;
    let decoded = |text: &str| STANDARD.decode(text).ok();
    match word {
        "live" => releases.live = Some(value.strip_prefix("releases/")?.to_owned()),
        "release" => {
            let (id, record) = value.split_once(' ')?;
            // A record that says nothing hides that one release and no other.
            match Release::from_record(id, &decoded(record)?) {
                Some(release) => releases.releases.push(release),
                None => releases.unknown.push(id.to_owned()),
            }
        }
        "archive" => {
            releases.archives.insert(value.to_owned());
        }
        "deploy.unfinished" => {
            releases.unfinished = serde_json::from_slice(&decoded(value)?).ok();
        }
        "deploys" => {
            let text = String::from_utf8_lossy(&decoded(value)?).into_owned();
            // A line cut short by a full disk must not hide the others.
            releases.history = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(id: &str) -> Release {
        Release {
            id: id.to_owned(),
            ..Release::default()
        }
    }

    fn record(action: &str, release: &str, previous: Option<&str>) -> Record {
        Record {
            action: action.to_owned(),
            release: release.to_owned(),
            previous: previous.map(str::to_owned),
            commit: String::new(),
            by: String::new(),
            at: String::new(),
            maintenance: false,
        }
    }

    /// What is understood of a host's lines about the application `a`.
    fn taken(lines: &[&str]) -> HostReleases {
        let mut found = BTreeMap::from([("a".to_owned(), HostReleases::default())]);
        for line in lines {
            assert_eq!(take(&mut found, line), Some(()), "{line}");
        }
        found.remove("a").unwrap_or_default()
    }

    #[test]
    fn a_record_that_says_nothing_hides_one_release_only() {
        let good = Release {
            commit: "0a1b".to_owned(),
            ..release("2")
        };
        let line = |id: &str, record: &str| format!("release a {id} {}", STANDARD.encode(record));
        let json = good.json();
        let host = taken(&[
            "live a releases/2",
            &line("1", "root:x:0:0:"),
            &line("2", &json),
            // About another one; a ref of git's that is an option; a sequence for terminals.
            &line("3", &json),
            &line(
                "4",
                &json
                    .replace("\"2\"", "\"4\"")
                    .replace("0a1b", "--upload-pack=x"),
            ),
            &line(
                "5",
                &json
                    .replace("\"2\"", "\"5\"")
                    .replace("\"by\":\"", "\"by\":\"\\u001b[2J"),
            ),
            "release a 6 ",
            "archive a 2",
            "deploy.unfinished a bm90aGluZw==",
            "deploys a bm90aGluZw==",
        ]);
        assert_eq!(host.releases, [good]);
        assert_eq!(host.unknown, ["1", "3", "4", "5", "6"]);
        assert!(host.archives.contains("2") && host.unfinished.is_none());
        let mut found = BTreeMap::from([("a".to_owned(), HostReleases::default())]);
        assert_eq!(take(&mut found, "release a junk"), None);
        assert_eq!(take(&mut found, "live a /etc"), None);
    }

    #[test]
    fn the_way_back_is_what_was_live_before_the_deploy() {
        let mut host = HostReleases {
            live: Some("3".to_owned()),
            releases: vec![release("1"), release("2"), release("3")],
            history: vec![
                record("deploy", "1", None),
                record("deploy", "2", Some("1")),
                record("deploy", "3", Some("2")),
            ],
            ..HostReleases::default()
        };
        assert_eq!(host.previous().map(|r| r.id.as_str()), Some("2"));
        // After a rollback to 2, the way back leads to 1, not to 3 again.
        host.live = Some("2".to_owned());
        host.history.push(record("rollback", "2", Some("3")));
        assert_eq!(host.previous().map(|r| r.id.as_str()), Some("1"));
        // What was pruned is no way back.
        host.releases.remove(0);
        assert_eq!(host.previous(), None);
    }
}
