//! Every message that the engine can give, in one place: what failed, why, and what to do.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::io::{Error, ErrorKind};

use marg_resources::{Misread, RoleError};

use crate::bake::BakeError;
use crate::deploy::{DeployError, SourceError};
use crate::error::EngineError;
use crate::host::HostError;
use crate::resize::ResizeError;
use crate::vault::VaultError;

fn text(value: &str) -> String {
    value.to_owned()
}

fn denied() -> Error {
    Error::new(ErrorKind::PermissionDenied, "permission denied")
}

fn step() -> HostError {
    HostError::Step {
        host: text("http1"),
        step: text("write file /etc/nginx/nginx.conf"),
        status: text("1"),
        output: text("unknown directive \"gzp\""),
    }
}

fn hosts() -> Vec<EngineError> {
    let host = || text("http1");
    let errors = vec![
        HostError::Locked {
            host: host(),
            holder: text("anna@laptop since 2026-11-21T10:00:00Z"),
        },
        HostError::Cut {
            host: host(),
            during: text("a look"),
        },
        HostError::Look {
            host: host(),
            status: text("2"),
            output: text("no such file"),
        },
        HostError::Misread {
            host: host(),
            source: Misread::Line {
                kind: text("package"),
                line: text("junk"),
            },
        },
        HostError::Misread {
            host: host(),
            source: Misread::Missing { kind: text("file") },
        },
        HostError::Misread {
            host: host(),
            source: Misread::Distro {
                found: text("fedora 43"),
                known: text("debian-13"),
            },
        },
        HostError::Foreign {
            host: host(),
            reasons: vec![text(
                "the user `shop` exists there and was not made by marg",
            )],
        },
        step(),
        HostError::TooLong {
            host: host(),
            step: text("install nginx"),
            seconds: 1800,
        },
        HostError::NotConverged {
            host: host(),
            left: text("service nginx (start)"),
        },
        HostError::Unhealthy {
            host: host(),
            check: text("nginx answers"),
            seconds: 30,
            output: text("connection refused"),
        },
    ];
    errors.into_iter().map(EngineError::from).collect()
}

fn environments() -> Vec<EngineError> {
    vec![
        EngineError::DropletLimit {
            limit: 10,
            present: 8,
            wanted: 4,
        },
        EngineError::NamesTaken {
            strangers: vec![marg_cloud::CloudError::Stranger {
                what: "VPC",
                name: text("marg-shop"),
                environment: text("shop"),
                why: text("its description is \"\""),
                remedy: text("Rename it"),
            }],
        },
        EngineError::NoSuch {
            what: "host or group",
            name: text("htp1"),
            known: text("http1"),
        },
        EngineError::NoMachine {
            host: text("http1"),
        },
        EngineError::ShutOut {
            droplets: text("marg-http1"),
        },
        EngineError::LeftBehind {
            hosts: vec!["redis1".to_owned(), "mysql1".to_owned()],
            phase: 2,
        },
        EngineError::OnlyCopy {
            hosts: text("redis1, mysql1"),
            phase: 1,
        },
        EngineError::LeaderLeaves {
            of: text("mysql"),
            leader: text("mysql2"),
            successor: text("mysql1"),
            phase: 3,
        },
        EngineError::BetweenPhases {
            phases: text("2 and 3"),
        },
        EngineError::Needed {
            host: text("lb1"),
            needed: text("http1"),
        },
        ResizeError::NoSize {
            size: "s-9vcpu-9gb".to_owned(),
            region: "fra1".to_owned(),
            known: "s-1vcpu-512mb-10gb, s-1vcpu-1gb".to_owned(),
        }
        .into(),
        ResizeError::SmallerDisk {
            host: "mysql1".to_owned(),
            size: "s-1vcpu-1gb".to_owned(),
            has: 50,
            wants: 25,
        }
        .into(),
        ResizeError::Leads {
            host: "mysql1".to_owned(),
            service: "mysql".to_owned(),
            reason: "mysql2 does not follow mysql1, which leads; run `marg provision` first"
                .to_owned(),
        }
        .into(),
        ResizeError::Undecided {
            host: "mysql1".to_owned(),
            service: "mysql".to_owned(),
            reason: "mysql: mysql1 and mysql2 both take writes".to_owned(),
        }
        .into(),
        BakeError::HoldsData {
            group: text("mysql"),
        }
        .into(),
        BakeError::NothingScales { phase: 1 }.into(),
        BakeError::NoSize {
            group: text("http"),
            sizes: text("s-9vcpu-9gb"),
        }
        .into(),
        EngineError::MissingSecrets {
            names: text("mail_password"),
            path: text("secrets.toml"),
        },
        EngineError::Image {
            host: text("http1"),
            image: text("fedora-43-x64"),
            known: text("debian-13-x64"),
        },
        EngineError::Hosts {
            failures: vec![
                (text("http1"), step().into()),
                (
                    text("redis1"),
                    EngineError::NoMachine {
                        host: text("redis1"),
                    },
                ),
            ],
        },
        RoleError::MissingSecret {
            name: text("mail_password"),
        }
        .into(),
        VaultError::Io {
            action: "read",
            path: "secrets.toml".into(),
            source: denied(),
        }
        .into(),
        VaultError::Exposed {
            path: "secrets.toml".into(),
            mode: 0o644,
        }
        .into(),
        VaultError::Malformed {
            path: "secrets.toml".into(),
            reason: text("invalid key"),
        }
        .into(),
        VaultError::Lost {
            path: "secrets.toml".into(),
            name: text("app_key"),
        }
        .into(),
    ]
}

fn deploys() -> Vec<EngineError> {
    let (app, release) = (|| text("flow.marg"), || text("20261121-100000-abcdef12"));
    let repository = || text("../shop");
    let reason = || Box::new(EngineError::from(step()));
    let errors = vec![
        SourceError::NoGit {
            reason: text("not found"),
        }
        .into(),
        SourceError::Git {
            action: "fetch",
            repository: repository(),
            output: text("denied"),
        }
        .into(),
        SourceError::NoCommit {
            repository: repository(),
            reference: text("v9"),
        }
        .into(),
        SourceError::NoFolder {
            repository: repository(),
            commit: text("abcdef"),
            path: text("apps/flow"),
        }
        .into(),
        DeployError::Before {
            app: app(),
            release: release(),
            reason: reason(),
        },
        DeployError::TakenBack {
            app: app(),
            release: release(),
            host: text("http1"),
            restored: text("20261120-100000-12345678"),
            untouched: 0,
            reason: reason(),
        },
        DeployError::TakenBack {
            app: app(),
            release: release(),
            host: text("http1"),
            restored: text("20261120-100000-12345678"),
            untouched: 4,
            reason: reason(),
        },
        DeployError::Stopped {
            app: app(),
            release: release(),
            host: text("http3"),
            state: text(
                "  20261121-2: http1, http2\n  20261121-1: http3, worker1\nGo on with \
                 `marg deploy flow.marg --ref abcdef`, or take it back with `marg rollback flow.marg`",
            ),
            reason: reason(),
        },
        DeployError::After {
            app: app(),
            release: release(),
            reason: reason(),
        },
        DeployError::Stuck {
            app: app(),
            release: release(),
            host: text("http1"),
            reason: reason(),
            also: text("the connection to worker1 was lost"),
        },
        DeployError::NoWayBack { app: app() },
        DeployError::Unknown {
            app: app(),
            release: release(),
            host: "http1".to_owned(),
        },
        DeployError::NoArchive {
            app: app(),
            release: release(),
            host: "http2".to_owned(),
            commit: "1a2b3c4d".to_owned(),
        },
        DeployError::NotWhatWasBuilt {
            app: app(),
            release: release(),
            host: "http1".to_owned(),
            found: "aa11".to_owned(),
            built: "bb22".to_owned(),
        },
        DeployError::Local { source: denied() },
    ];
    errors.into_iter().map(EngineError::from).collect()
}

#[test]
fn every_message_says_what_why_and_what_next() {
    let mut all = String::new();
    for error in [hosts(), environments(), deploys()].into_iter().flatten() {
        writeln!(all, "[{:?}] {error}\n", error.kind()).unwrap();
    }
    insta::assert_snapshot!(all);
}
