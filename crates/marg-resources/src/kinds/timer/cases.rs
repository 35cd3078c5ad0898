//! Cases: what is wanted, what systemd said, what is done.
#![allow(clippy::unwrap_used)]

use super::units::argument;
use super::*;
use crate::kind::Resource;
use crate::testing::Host;

fn answer(files: &str, timer: &str, service: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for suffix in ["service", "timer"] {
        let path = format!("/etc/systemd/system/flow.{suffix}");
        lines.push(format!("s 644 root root f|{path}"));
        lines.push(format!("{path}: {files}"));
    }
    let block = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        format!(
            "LoadState=loaded\nActiveState={}\nUnitFileState={}\nNeedDaemonReload={}",
            words[0], words[1], words[2]
        )
    };
    let names = "unit flow.timer\nunit flow.service";
    let units = format!("{names}\n{}\n\n{}", block(timer), block(service));
    lines.extend(units.lines().map(str::to_owned));
    lines
}

fn summary(desired: &Timer, lines: &[String]) -> Option<String> {
    let seen = Timer::read(&[desired], lines).unwrap();
    match desired.diff(&seen[0], &Before::default()) {
        Verdict::Will(change) => Some(change.summary),
        _ => None,
    }
}

#[test]
fn cases() {
    let flow = Timer::new("flow");
    let (up, idle) = ("active enabled no", "inactive static no");
    for (files, timer, service, expected) in [
        ("OK", up, idle, None),
        ("OK", up, "activating static no", None),
        (
            "OK",
            up,
            "inactive static yes",
            Some("read its units again"),
        ),
        ("OK", "inactive enabled no", idle, Some("start")),
        ("OK", "active disabled no", idle, Some("enable")),
        ("FAILED", up, idle, Some("content")),
    ] {
        let lines = answer(files, timer, service);
        assert_eq!(summary(&flow, &lines).as_deref(), expected, "{lines:?}");
    }
    let absent = Timer::absent("flow");
    assert_eq!(summary(&absent, &[]), None);
    let there: Vec<String> = answer("FAILED", up, idle).into_iter().take(4).collect();
    assert_eq!(summary(&absent, &there).as_deref(), Some("remove"));
}

#[test]
fn junk_is_an_error() {
    let flow = Timer::new("flow");
    let good = answer("OK", "active enabled no", "inactive static no");
    let short = good[..11].to_vec();
    for line in ["junk", "Other=1", "unit other", "own 0 x y"] {
        let lines = [good.clone(), vec![line.to_owned()]].concat();
        let refused = Timer::read(&[&flow], &lines).is_err();
        assert!(refused, "{line}");
    }
    assert!(Timer::read(&[&flow], &short).is_err());
}

#[test]
fn commands_survive_systemds_own_syntax() {
    assert_eq!(
        argument(r#"a "b" $c 100% \n"#),
        r#""a \"b\" $$c 100%% \\n""#
    );
}

#[test]
fn a_real_timer_runs_its_command_as_written() {
    let Some(host) = Host::named("MARG_TRY_HOST") else {
        return;
    };
    host.run("rm -f /srv/try-out /srv/try-go");
    let command = r#"printf '%s|' "$0" "a\b" '100%' "it's" "$HOME" > /srv/try-out"#;
    let timer = Timer::new("margtry")
        .calendar("*-*-* *:*:*")
        .command(command);
    let wanted = [Resource::from(
        timer.directory("/srv/gone").requires("/srv/try-go"),
    )];
    assert_eq!(host.converge(&wanted), ["create, enable, start"]);
    host.run("systemctl start margtry.service");
    assert_eq!(
        host.run("systemctl is-failed margtry.service"),
        "inactive\n"
    );
    let moved = Timer::new("margtry")
        .calendar("*-*-* *:*:*")
        .command(command);
    let moved = [Resource::from(
        moved.directory("/srv").requires("/srv/try-go"),
    )];
    assert_eq!(host.converge(&moved), ["content"]);
    host.run("touch /srv/try-go; systemctl start margtry.service");
    assert_eq!(
        host.run("cat /srv/try-out"),
        r"/bin/sh|a\b|100%|it's|/root|"
    );
    assert_eq!(
        host.converge(&[Timer::absent("margtry").into()]),
        ["remove"]
    );
    assert_eq!(host.run("systemctl is-active margtry.timer"), "inactive\n");
}
