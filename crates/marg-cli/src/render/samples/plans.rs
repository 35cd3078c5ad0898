//! A blueprint and plans for it.

use marg::{
    Action, Blueprint, Capacity, CloudChange, CloudKind, Environment, EnvironmentPlan, ErrorKind,
    Host, HostEnv, HostPlan, Limit, Monthly, Phase, PlannedChange, Status, TextDiff, Unseen,
};

use super::words;

/// Phase 2: four hosts.
pub fn blueprint() -> Blueprint {
    let environment = Environment {
        name: "marg".to_owned(),
        phase: Some(2),
        region: "fra1".to_owned(),
        image: "debian-13-x64".to_owned(),
        domain: "marg.test".to_owned(),
        internal_domain: "marg.internal".to_owned(),
        ssh_from: words(&["0.0.0.0/0"]),
        vpc_range: Some("10.20.0.0/20".to_owned()),
    };
    let limit = |component: &str, unit: &str, per_second, per_host: Option<&str>| Limit {
        component: component.to_owned(),
        unit: unit.to_owned(),
        per_second,
        per_host: per_host.map(str::to_owned),
    };
    let phase = Phase {
        number: 2,
        title: "production for up to 500 active users".to_owned(),
        entry: "http".to_owned(),
        groups: Vec::new(),
        capacity: Capacity {
            users: (0, 500),
            requests_per_user_minute: 10,
            limits: vec![
                limit("nginx", "requests", 1000, Some("http")),
                limit("php-fpm", "requests", 200, Some("http")),
                limit("redis", "operations", 10_000, None),
            ],
        },
        budget: (35, 45),
    };
    Blueprint {
        environment,
        phase,
        hosts: vec![
            host("http", "s-1vcpu-1gb"),
            host("redis", "s-1vcpu-1gb"),
            host("mysql", "s-1vcpu-2gb"),
            host("worker", "s-1vcpu-512mb-10gb"),
        ],
        apps: Vec::new(),
        databases: Vec::new(),
        database_users: Vec::new(),
    }
}

fn host(group: &str, size: &str) -> Host {
    Host {
        name: format!("{group}1"),
        group: group.to_owned(),
        number: 1,
        size: size.to_owned(),
        image: "debian-13-x64".to_owned(),
        roles: words(&["base", "ufw", group]),
        needs: Vec::new(),
        holds_data: group == "mysql",
        settings: Default::default(),
        env: HostEnv::default(),
    }
}

fn cloud(kind: CloudKind, name: &str, action: Action, details: &[&str]) -> CloudChange {
    CloudChange {
        kind,
        name: name.to_owned(),
        action,
        details: words(details),
    }
}

fn change(resource: &str, action: Action, status: Status, summary: &str) -> PlannedChange {
    PlannedChange {
        resource: resource.to_owned(),
        action,
        status,
        summary: summary.to_owned(),
        diff: None,
    }
}

fn host_plan(name: &str, changes: Vec<PlannedChange>) -> HostPlan {
    HostPlan {
        name: name.to_owned(),
        changes,
        ..HostPlan::default()
    }
}

/// Nothing exists yet.
pub fn fresh_plan() -> (Blueprint, EnvironmentPlan) {
    let droplet = |name: &str, size: &str, price: &str| {
        let details = format!("{size} debian-13-x64 fra1 ${price}/month");
        cloud(
            CloudKind::Droplet,
            &format!("marg-{name}1"),
            Action::Create,
            &[&details],
        )
    };
    let mut config = change(
        "file /etc/nginx/nginx.conf",
        Action::Create,
        Status::Will,
        "new, 0644",
    );
    config.diff = Some(TextDiff {
        old: None,
        new: "worker_processes auto;\n".to_owned(),
    });
    let until = Status::Unknown("service mariadb runs".to_owned());
    let plan = EnvironmentPlan {
        cloud: vec![
            cloud(CloudKind::SshKey, "marg-marg", Action::Create, &[]),
            cloud(
                CloudKind::Vpc,
                "marg-marg",
                Action::Create,
                &["fra1 10.20.0.0/20"],
            ),
            cloud(
                CloudKind::Firewall,
                "marg-marg-http",
                Action::Create,
                &["3 inbound rules"],
            ),
            droplet("http", "s-1vcpu-1gb", "6"),
            droplet("mysql", "s-1vcpu-2gb", "12"),
            cloud(
                CloudKind::ReservedIp,
                "entry address",
                Action::Create,
                &["leads to http1"],
            ),
        ],
        hosts: vec![
            host_plan(
                "http1",
                vec![
                    change("package nginx", Action::Create, Status::Will, "install"),
                    config,
                    change(
                        "service nginx",
                        Action::Run,
                        Status::Will,
                        "enable and start",
                    ),
                ],
            ),
            host_plan(
                "mysql1",
                vec![
                    change(
                        "package mariadb-server",
                        Action::Create,
                        Status::Will,
                        "install",
                    ),
                    change("database klueportal", Action::Create, until, "create"),
                ],
            ),
        ],
        monthly: Some(Monthly {
            before: 0.0,
            after: 18.0,
        }),
        ..EnvironmentPlan::default()
    };
    (blueprint(), plan.summed())
}

/// Every action and every status.
pub fn mixed_plan() -> (Blueprint, EnvironmentPlan) {
    let mut config = change(
        "file /etc/nginx/nginx.conf",
        Action::Update,
        Status::Will,
        "new text",
    );
    let old: String = (1..=30).map(|n| format!("line {n};\n")).collect();
    let new = old
        .replace("line 12;", "line twelve;\nline \u{1b}[31mred;")
        .replace("line 3;\n", "");
    config.diff = Some(TextDiff {
        old: Some(old),
        new,
    });
    let mut fresh = change("file /etc/motd", Action::Create, Status::Will, "new, 0644");
    fresh.diff = Some(TextDiff {
        old: None,
        new: "welcome\n".to_owned(),
    });
    let gone = change(
        "ufw-rule 8080",
        Action::Delete,
        Status::Will,
        "no role opens it any more",
    );
    let rebuild = "php artisan config:cache";
    let rebuild = change("command config-cache", Action::Run, Status::May, rebuild);
    let until = Status::Unknown("service mariadb runs".to_owned());
    let database = change("database links_db", Action::Create, until, "create");
    let rules = [
        "+ inbound tcp 443 from anywhere",
        "- inbound tcp 8080 from anywhere",
    ];
    let note = "droplet marg-old1 carries this environment's tag, but no host has its name";
    let plan = EnvironmentPlan {
        cloud: vec![
            cloud(
                CloudKind::Firewall,
                "marg-marg-http",
                Action::Update,
                &rules,
            ),
            cloud(
                CloudKind::Firewall,
                "marg-marg-mysql",
                Action::Create,
                &rules,
            ),
            cloud(
                CloudKind::Droplet,
                "marg-http3",
                Action::Delete,
                &["s-1vcpu-1gb"],
            ),
        ],
        unseen: vec![Unseen {
            name: "worker2".to_owned(),
            error: "worker2 did not answer".to_owned(),
            kind: ErrorKind::Unreachable,
        }],
        hosts: vec![
            host_plan("http1", vec![config, fresh, gone, rebuild]),
            host_plan("mysql1", vec![database]),
            host_plan("redis1", Vec::new()),
        ],
        monthly: Some(Monthly {
            before: 34.0,
            after: 28.0,
        }),
        notes: words(&[note]),
        ..EnvironmentPlan::default()
    };
    (blueprint(), plan.summed())
}

/// Nothing to do.
pub fn converged_plan() -> (Blueprint, EnvironmentPlan) {
    let hosts = ["http1", "redis1", "mysql1", "worker1"];
    let plan = EnvironmentPlan {
        hosts: hosts.map(|name| host_plan(name, Vec::new())).to_vec(),
        monthly: Some(Monthly {
            before: 28.0,
            after: 28.0,
        }),
        ..EnvironmentPlan::default()
    };
    (blueprint(), plan.summed())
}
