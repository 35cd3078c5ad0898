//! What a fleet says of itself, and what a run did to it.

use std::net::Ipv4Addr;

use marg::{
    AppReleases, DeployReport, FleetStatus, HostReleases, HostReport, HostStatus, Led, Record,
    Release, Report,
};

use super::words;

/// Two hosts that are well.
pub fn status() -> FleetStatus {
    let release = "20261121-094405-1a2b3c4d".to_owned();
    let releases = ["flow.marg", "links.marg"].map(|app| (app.to_owned(), release.clone()));
    let http = HostStatus {
        name: "http1".to_owned(),
        group: "http".to_owned(),
        roles: words(&["base", "ufw", "nginx", "php-fpm", "app"]),
        droplet_id: Some(1001),
        public_ip: Some(Ipv4Addr::new(198, 18, 0, 10)),
        private_ip: Some(Ipv4Addr::new(10, 20, 0, 2)),
        reachable: true,
        error: None,
        load: Some(0.071),
        memory_used_mib: Some(312),
        memory_total_mib: Some(961),
        disk_used_percent: Some(14),
        uptime_seconds: Some(5_400),
        services: ["nginx", "php8.4-fpm", "ssh"]
            .map(|unit| (unit.to_owned(), true))
            .into(),
        releases: releases.into(),
        ..HostStatus::default()
    };
    let redis = HostStatus {
        name: "redis1".to_owned(),
        group: "redis".to_owned(),
        roles: words(&["base", "ufw", "redis"]),
        droplet_id: Some(1002),
        public_ip: Some(Ipv4Addr::new(198, 18, 0, 11)),
        private_ip: Some(Ipv4Addr::new(10, 20, 0, 3)),
        services: [("redis-server".to_owned(), true)].into(),
        releases: Default::default(),
        uptime_seconds: Some(864_000),
        ..http.clone()
    };
    let entry = Some(Ipv4Addr::new(198, 18, 64, 1));
    FleetStatus {
        environment: "marg".to_owned(),
        phase: 2,
        entry,
        entry_at: Some("http1".to_owned()),
        leaders: Vec::new(),
        hosts: vec![http, redis],
    }
}

/// Two databases of which one follows the other, and a web server that leaves.
pub fn replicated_status() -> FleetStatus {
    let mut fleet = status();
    fleet.hosts[0].leaving = true;
    let redis = fleet.hosts.remove(1);
    for (number, lag) in [(1, None), (2, Some(3))] {
        let mut host = HostStatus {
            name: format!("mysql{number}"),
            group: "mysql".to_owned(),
            roles: words(&["base", "ufw", "mysql", "mysql-replication"]),
            services: [("mariadb".to_owned(), true)].into(),
            ..redis.clone()
        };
        match lag {
            Some(seconds) => host.lag_seconds = [("mysql".to_owned(), seconds)].into(),
            None => host.leads = words(&["mysql"]),
        }
        fleet.hosts.insert(number - 1, host);
    }
    fleet.leaders = vec![Led {
        service: "mysql".to_owned(),
        leader: Some("mysql1".to_owned()),
        error: None,
    }];
    fleet
}

/// A host that does not answer.
pub fn lost_host() -> HostStatus {
    let error = "redis1: cannot reach 198.18.0.11:22: timed out. Is the machine running?";
    HostStatus {
        name: "redis1".to_owned(),
        group: "redis".to_owned(),
        roles: words(&["base", "ufw", "redis"]),
        droplet_id: Some(1002),
        public_ip: Some(Ipv4Addr::new(198, 18, 0, 11)),
        error: Some(error.to_owned()),
        ..HostStatus::default()
    }
}

fn release(id: &str, reference: &str) -> Release {
    Release {
        id: id.to_owned(),
        app: "flow.marg".to_owned(),
        commit: "1a2b3c4d5e6f".to_owned(),
        reference: reference.to_owned(),
        by: "anna@laptop".to_owned(),
        at: "2026-11-21T09:44:05Z".to_owned(),
        digest: None,
    }
}

/// An application whose hosts differ, one that is the same everywhere, one without a release.
pub fn releases() -> Vec<AppReleases> {
    let old = release("20261120-120000-aaaaaaaa", "v1");
    let new = release("20261121-094405-bbbbbbbb", "main");
    let host = |host: &str, live: Option<&Release>, releases: &[&Release]| HostReleases {
        host: host.to_owned(),
        live: live.map(|release| release.id.clone()),
        releases: releases.iter().map(|&release| release.clone()).collect(),
        unfinished: None,
        ..HostReleases::default()
    };
    let app = |app: &str, hosts| AppReleases {
        app: app.to_owned(),
        hosts,
    };
    let begun = HostReleases {
        unfinished: Some(Record {
            action: "deploy".to_owned(),
            release: new.id.clone(),
            previous: Some(old.id.clone()),
            commit: new.commit.clone(),
            by: new.by.clone(),
            at: new.at.clone(),
            maintenance: false,
        }),
        ..host("http1", Some(&new), &[&old, &new])
    };
    let lost = HostReleases {
        unknown: vec!["20261119-120000-cccccccc".to_owned()],
        ..host("worker1", Some(&old), &[&old, &new])
    };
    vec![
        app("flow.marg", vec![begun, lost]),
        app(
            "links.marg",
            vec![
                host("http1", Some(&new), &[&new]),
                host("worker1", Some(&new), &[&new]),
            ],
        ),
        app("third.marg", vec![host("http1", None, &[])]),
    ]
}

/// A first run, a second one that changes nothing, and one in which a host failed.
pub fn reports() -> [Report; 3] {
    let host = |name: &str, last, changed, execs| HostReport {
        name: name.to_owned(),
        public_ip: Some(Ipv4Addr::new(198, 18, 0, last)),
        changed,
        connections: 1,
        execs,
        millis: if changed > 0 { 42_300 } else { 812 },
        error: None,
    };
    let deploy = DeployReport {
        app: "flow.marg".to_owned(),
        release: "20261121-094405-1a2b3c4d".to_owned(),
        commit: "1a2b3c4d".to_owned(),
        previous: None,
        hosts: words(&["http1", "worker1"]),
        millis: 9_800,
    };
    let again = DeployReport {
        app: "links.marg".to_owned(),
        previous: Some("20261120-120000-aaaaaaaa".to_owned()),
        ..deploy.clone()
    };
    let first = Report {
        environment: "marg".to_owned(),
        entry: Some(Ipv4Addr::new(198, 18, 64, 1)),
        hostnames: words(&["flow.marg.test", "links.marg.test"]),
        cloud_changed: 12,
        hosts: vec![host("http1", 10, 31, 4), host("redis1", 11, 1, 3)],
        deployed: vec![deploy, again],
    };
    let second = Report {
        cloud_changed: 0,
        hosts: vec![host("http1", 10, 0, 1), host("redis1", 11, 0, 1)],
        deployed: Vec::new(),
        ..first.clone()
    };
    let mut failed = second.clone();
    failed.hosts[1].changed = 2;
    failed.hosts[1].error =
        Some("redis1: step \"start redis\" failed:\nno \u{1b}[31mmemory".into());
    [first, second, failed]
}
