//! A run told twice, quietly and in full, with the clock in the test's hand.

use std::time::Duration;

use marg::lab::{LabEvent, LabStep};
use marg::{Event, StepStatus};

use super::*;
use crate::testing::plain;

fn text(text: &str) -> String {
    text.to_owned()
}

fn started(host: &str, step: usize, name: &str) -> Said {
    Said::Engine(Event::StepStarted {
        host: text(host),
        step,
        of: 3,
        name: text(name),
    })
}

fn output(host: &str, line: &str) -> Said {
    Said::Engine(Event::Output {
        host: text(host),
        line: text(line),
    })
}

fn ended(host: &str, step: usize, status: StepStatus, millis: u64) -> Said {
    Said::Engine(Event::StepFinished {
        host: text(host),
        step,
        status,
        millis,
    })
}

/// Seconds since the start and what is said then.
pub fn story() -> Vec<(u64, Said)> {
    let image = LabStep::Image {
        slug: text("debian-13-x64"),
    };
    let cloud = |subject: &str, action: &str| {
        Said::Engine(Event::Cloud {
            subject: text(subject),
            action: text(action),
        })
    };
    let phase = |name: &str| Said::Engine(Event::PhaseStarted { name: text(name) });
    let done = |host: &str, ok, changed| {
        Said::Engine(Event::HostFinished {
            host: text(host),
            ok,
            changed,
        })
    };
    let planned = |host: &str, changes, steps| {
        Said::Engine(Event::HostPlanned {
            host: text(host),
            changes,
            steps,
        })
    };
    vec![
        (
            0,
            Said::Lab(LabEvent::Started {
                step: image.clone(),
            }),
        ),
        (
            2,
            Said::Lab(LabEvent::Progress {
                step: image.clone(),
                line: text("unpacking \u{1b}[1m"),
            }),
        ),
        (
            9,
            Said::Lab(LabEvent::Finished {
                step: image,
                took: Duration::from_millis(9_100),
            }),
        ),
        (
            9,
            Said::Lab(LabEvent::Unchanged {
                step: LabStep::Daemon,
            }),
        ),
        (10, phase("cloud")),
        (10, cloud("droplet marg-http1", "created")),
        (18, cloud("droplet marg-http1", "active")),
        (
            18,
            Said::Engine(Event::HostConnected {
                host: text("http1"),
            }),
        ),
        (19, planned("http1", 31, 3)),
        (19, planned("redis1", 0, 0)),
        (19, done("redis1", true, 0)),
        (19, started("http1", 1, "install 31 packages")),
        (21, output("http1", "Unpacking nginx …")),
        (33, ended("http1", 1, StepStatus::Done, 13_400)),
        (33, started("http1", 2, "write file /etc/nginx/nginx.conf")),
        (33, ended("http1", 2, StepStatus::Skipped, 20)),
        (33, started("http1", 3, "start nginx")),
        (
            34,
            output("http1", "nginx: [emerg] bind() to 0.0.0.0:80 failed"),
        ),
        (34, ended("http1", 3, StepStatus::Failed, 900)),
        (34, done("http1", false, 2)),
        (35, done("worker1", true, 12)),
        (
            35,
            Said::Engine(Event::Note {
                host: Some(text("http1")),
                message: text("restart it"),
            }),
        ),
        (
            35,
            Said::Engine(Event::Note {
                host: None,
                message: text("all is well otherwise"),
            }),
        ),
    ]
}

fn told(verbose: bool) -> String {
    let mut narrator = Narrator::new(verbose);
    let mut lines = Vec::new();
    let mut story = story().into_iter().peekable();
    for second in 0..=36 {
        let at = Duration::from_secs(second);
        while let Some((_, said)) = story.next_if(|(when, _)| *when <= second) {
            lines.extend(narrator.said(at, &said));
        }
        lines.extend(narrator.tick(at));
    }
    plain(&lines.join("\n"))
}

#[test]
fn a_run_in_lines() {
    insta::assert_snapshot!("lines", told(false));
}

#[test]
fn a_run_in_lines_with_everything() {
    insta::assert_snapshot!("lines-verbose", told(true));
}
