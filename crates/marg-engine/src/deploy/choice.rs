//! Which release is meant: the one that an interrupted deploy was bringing, the way back, what a
//! new host gets. Pure.

use std::collections::BTreeMap;

use super::Release;
use super::history::{HostReleases, Record};

/// What every host knows of an application, by name.
pub type Known = BTreeMap<String, HostReleases>;

/// What an earlier run began and did not finish; the latest, when there are several.
pub fn unfinished(known: &Known) -> Option<&Record> {
    let begun = known.values().filter_map(|host| host.unfinished.as_ref());
    begun.max_by(|a, b| a.at.cmp(&b.at))
}

/// A release as any of the hosts tells it.
pub fn release<'a>(known: &'a Known, id: &str) -> Option<&'a Release> {
    let mut releases = known.values().flat_map(|host| &host.releases);
    releases.find(|release| release.id == id)
}

/// Whether any of the hosts keeps the archive of a release.
pub fn is_kept(known: &Known, id: &str) -> bool {
    known.values().any(|host| host.archives.contains(id))
}

/// The release that an interrupted deploy of the same commit has built already.
pub fn resumable<'a>(known: &'a Known, commit: &str) -> Option<&'a Release> {
    let begun = unfinished(known)?;
    let same = begun.action == "deploy" && begun.commit == commit;
    let id = &begun.release;
    let enough = is_kept(known, id) || known.values().all(|host| host.has(id));
    (same && enough).then(|| release(known, id)).flatten()
}

/// What is live on all hosts; `None` when they differ or one has nothing.
pub fn common(known: &Known) -> Option<&str> {
    let mut live = known.values().map(|host| host.live.as_deref());
    let first = live.next()??;
    live.all(|other| other == Some(first)).then_some(first)
}

/// What was live on all hosts last: before an interrupted run, or where they do not differ, now.
pub fn last_common(known: &Known) -> Option<&str> {
    match unfinished(known) {
        Some(begun) => begun.previous.as_deref(),
        None => common(known).or_else(|| last_record(known)),
    }
}

fn last_record(known: &Known) -> Option<&str> {
    let records = known.values().flat_map(|host| &host.history);
    let last = records.max_by(|a, b| a.at.cmp(&b.at))?;
    Some(&last.release)
}

/// Where a rollback leads that names no release. An interrupted rollback goes on; hosts that
/// differ go to what they had in common last; otherwise it is the release before.
pub fn way_back(known: &Known) -> Option<&Release> {
    let target = match unfinished(known) {
        Some(begun) if begun.action == "rollback" => Some(begun.release.as_str()),
        Some(begun) => begun.previous.as_deref(),
        None if common(known).is_none() => last_record(known),
        None => {
            let mut hosts = known.values();
            return hosts.find_map(HostReleases::previous);
        }
    };
    release(known, target?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        let words: Vec<&str> = text.split(':').collect();
        let [at, action, release, previous] = words[..] else {
            panic!("no record: {text}");
        };
        Record {
            action: action.to_owned(),
            release: release.to_owned(),
            previous: Some(previous.to_owned()).filter(|id| id != "-"),
            commit: format!("commit-{release}"),
            by: String::new(),
            at: at.to_owned(),
            maintenance: false,
        }
    }

    /// Words of a host: `live=2`, `disk=1,2`, `did=AT:ACTION:RELEASE:PREVIOUS`, `began=…`.
    fn known(hosts: &[&str]) -> Known {
        let host = |(number, text): (usize, &&str)| {
            let mut host = HostReleases {
                host: format!("http{number}"),
                ..HostReleases::default()
            };
            for word in text.split_whitespace() {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                match key {
                    "live" => host.live = Some(value.to_owned()),
                    "disk" => {
                        host.releases.extend(value.split(',').map(|id| Release {
                            id: id.to_owned(),
                            commit: format!("commit-{id}"),
                            ..Release::default()
                        }));
                        host.archives.extend(value.split(',').map(str::to_owned));
                    }
                    "did" => host.history.push(record(value)),
                    "began" => host.unfinished = Some(record(value)),
                    other => panic!("no such word: {other}"),
                }
            }
            (host.host.clone(), host)
        };
        hosts.iter().enumerate().map(host).collect()
    }

    #[test]
    fn the_release_that_is_meant() {
        const DONE: &str = "disk=1,2 live=2 did=10:deploy:1:- did=20:deploy:2:1";
        const ABORTED: &str = "disk=1,2,3 live=2 did=20:deploy:2:1 began=30:deploy:3:2";
        const SWITCHED: &str = "disk=1,2,3 live=3 did=20:deploy:2:1 began=30:deploy:3:2";
        const BACK: &str = "disk=1,2 live=1 did=20:deploy:2:1 began=30:rollback:1:2";
        const NOT_BACK: &str = "disk=1,2 live=2 did=20:deploy:2:1 began=30:rollback:1:2";
        // Hosts, way back, what a new host gets, what a deploy of commit 3 uses again.
        for (hosts, back, joins, again) in [
            (vec![DONE, DONE], Some("1"), Some("2"), None),
            (vec![SWITCHED, ABORTED], Some("2"), Some("2"), Some("3")),
            (vec![SWITCHED, SWITCHED], Some("2"), Some("2"), Some("3")),
            // The end of a deploy was written down on one host only.
            (
                vec![
                    "disk=2,3 live=3 did=20:deploy:2:1 did=31:deploy:3:2",
                    SWITCHED,
                ],
                Some("2"),
                Some("2"),
                Some("3"),
            ),
            (vec![BACK, NOT_BACK], Some("1"), Some("2"), None),
            // Differ for a reason that nobody wrote down.
            (vec![DONE, "disk=1,2 live=1"], Some("2"), Some("2"), None),
            // A new host has no history of its own.
            (vec!["disk=2 live=2", DONE], Some("1"), Some("2"), None),
            // The first deploy ever was interrupted.
            (
                vec!["disk=3 live=3 began=30:deploy:3:-", ""],
                None,
                None,
                Some("3"),
            ),
            (vec!["", ""], None, None, None),
        ] {
            let known = known(&hosts);
            let id = |release: Option<&Release>| release.map(|release| release.id.clone());
            assert_eq!(
                id(way_back(&known)).as_deref(),
                back,
                "way back of {hosts:?}"
            );
            assert_eq!(last_common(&known), joins, "last of {hosts:?}");
            let found = id(resumable(&known, "commit-3"));
            assert_eq!(found.as_deref(), again, "{hosts:?}");
        }
    }
}
