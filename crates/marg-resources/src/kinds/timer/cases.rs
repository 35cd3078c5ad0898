//! Cases: what is wanted, what systemd said, what is done.
#![allow(clippy::unwrap_used)]

use super::units::argument;
use super::*;
use crate::kind::Resource;
use crate::testing::Host;

fn answer(files: &str, timer: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for suffix in ["service", "timer"] {
        let path = format!("/etc/systemd/system/flow.{suffix}");
        lines.push(format!("s 644 root root f|{path}"));
        lines.push(format!("{path}: {files}"));
    }
    let words: Vec<&str> = timer.split(' ').collect();
    let units = match words.as_slice() {
        [active, "enabled"] => format!("unit flow.timer enabled\nstates\n{active}\nfiles\nstates end"),
        [active, file] => format!("unit flow.timer\nstates\n{active}\nfiles\n{file}\nstates end"),
        _ => "stale\nunit flow.timer enabled\nstates\nactive\nfiles\nstates end".to_owned(),
    };
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
    let up = "active enabled";
    for (files, timer, expected) in [
        ("OK", up, None),
        ("OK", "stale", Some("read its units again")),
        ("OK", "inactive enabled", Some("start")),
        ("OK", "active disabled", Some("enable")),
        ("FAILED", up, Some("content")),
    ] {
        let lines = answer(files, timer);
        assert_eq!(summary(&flow, &lines).as_deref(), expected, "{lines:?}");
    }
    let absent = Timer::absent("flow");
    assert_eq!(summary(&absent, &[]), None);
    let there: Vec<String> = answer("FAILED", up).into_iter().take(4).collect();
    assert_eq!(summary(&absent, &there).as_deref(), Some("remove"));
}

#[test]
fn junk_is_an_error() {
    let flow = Timer::new("flow");
    let good = answer("OK", "active enabled");
    let short = good[..6].to_vec();
    for line in ["junk", "unit other", "own 0 x y"] {
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
    let read = "systemctl show -p NeedDaemonReload --value margtry.timer margtry.service";
    assert_eq!(host.run(read), "no\n\nno\n");
    // As a run leaves it that ended between putting a file in place and letting systemd read it.
    host.run("touch /var/lib/marg/owed/units.reload");
    assert_eq!(host.converge(&moved), ["read its units again"]);
    assert_eq!(host.run("ls /var/lib/marg/owed"), "");
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
