//! Cases: what three hosts say, who leads, and who may. A word per host: `new` (no server yet),
//! `gone` (does not answer), or a server: `w` takes writes, `<N` follows host N and hears it,
//! `?N` follows it and does not, `d` has data, `=N` has N transactions.
#![allow(clippy::unwrap_used)]

use marg_resources::HostAnswer;

use super::*;
use crate::testing::World;

fn said(word: &str) -> HostAnswer {
    match word {
        "new" => return HostAnswer::Said("server none\n".to_owned()),
        "none" => return HostAnswer::NotThere,
        "gone" => return HostAnswer::Silent,
        _ => {}
    }
    let (mut writable, mut source, mut io, mut has, mut data) = (false, None, "No", "0", 0);
    for part in word.split('+') {
        match part.split_at(1) {
            ("w", _) => writable = true,
            ("d", _) => data = 1,
            ("=", number) => has = number,
            ("<", host) => (source, io) = (Some(host), "Yes"),
            ("?", host) => (source, io) = (Some(host), "Connecting"),
            _ => assert_eq!(part, "-"),
        }
    }
    let mut text = format!(
        "read_only {}\nexecuted 0-1-{has}\nschemata {data}\n",
        u8::from(!writable)
    );
    if let Some(host) = source {
        text.push_str(&format!("source {}\nio {io}\nsql Yes\n", address(host)));
    }
    text.push_str("server up\n");
    HostAnswer::Said(text)
}

fn address(number: &str) -> String {
    let world = World::new(4);
    let machine = world.fleet.machine(&format!("mysql{number}")).unwrap();
    machine.private.to_string()
}

fn answers(words: &str) -> HostAnswers {
    let hosts = words.split_whitespace().enumerate();
    hosts
        .map(|(index, word)| (format!("mysql{}", index + 1), said(word)))
        .collect()
}

#[test]
fn who_leads() {
    let fleet = World::new(4).fleet;
    for (words, expected) in [
        // Nothing is there yet, or nothing but empty servers.
        ("none none none", "mysql1"),
        ("new new new", "mysql1"),
        ("- - new", "mysql1"),
        // A phase 3 whose one server is joined by two.
        ("w+d+=90 none none", "mysql1"),
        ("w+d new -", "mysql1"),
        // All is well; the leader need not be the first.
        ("w+d <1 <1", "mysql1"),
        ("<2 w+d <2", "mysql2"),
        ("gone w+d <2", "mysql2"),
        ("w+d ?1 gone", "mysql1"),
        // An old primary that returned writable is not the one that is followed.
        ("w+d w+d <2", "mysql2"),
        // It restarted, and most follow it still.
        ("d ?1 gone", "mysql1"),
        ("d new -", "mysql1"),
        // Nobody can tell.
        ("w+d w+d -", "mysql1 and mysql2 take writes"),
        (
            "gone ?1+=7 ?1+=9",
            "mysql1 led and does not answer; run `marg promote mysql3`",
        ),
        ("d+=9 gone ?1+=8", "mysql1"),
        ("d+=9 d+=8 -", "mysql1 and mysql2 have data"),
        ("gone - -", "mysql1 does not answer: it may be the primary"),
        ("gone gone gone", "start one of them"),
    ] {
        let found = match decide(&fleet, &answers(words)) {
            Ok(leader) => leader.unwrap(),
            Err(error) => error.to_string(),
        };
        match expected.contains(' ') {
            true => assert!(found.contains(expected), "{words}: {found}"),
            false => assert_eq!(found, expected, "{words}"),
        }
    }
}

#[test]
fn who_may_lead() {
    let fleet = World::new(4).fleet;
    for (words, candidate, expected) in [
        ("w+d <1 <1", "mysql2", "retires mysql1, others mysql3"),
        ("w+d <1 gone", "mysql2", "retires mysql1, away mysql3"),
        ("w+d <1 <1", "mysql1", "done, others mysql2 mysql3"),
        // A switch-over that did not end: before the candidate took over, and after.
        (
            "d+=9 <1+=8 <1+=9",
            "mysql2",
            "retires mysql1, others mysql3",
        ),
        ("d w+d -", "mysql2", "done, others mysql1 mysql3"),
        // The primary is gone.
        (
            "gone ?1+=9 ?1+=9",
            "mysql2",
            "others mysql3, away mysql1, risk mysql1 does not answer: transactions that only it",
        ),
        (
            "gone ?1+=8 ?1+=9",
            "mysql2",
            "mysql2 lacks 1 transactions that mysql3 has",
        ),
        ("gone ?1+=8 <1+=8", "mysql2", "mysql3 still hears it"),
        ("gone ?1+=8 gone", "mysql2", "risk mysql2 is alone"),
        (
            "gone gone ?1",
            "mysql2",
            "mysql2 does not answer; run `marg promote mysql3`",
        ),
        ("w+d ?1 <1", "mysql2", "mysql2 does not follow mysql1"),
        ("w+d new <1", "mysql2", "mysql2 has no database server yet"),
    ] {
        let found = match judge(&fleet, &answers(words), candidate) {
            Ok(succession) => summary(&succession),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{words} {candidate}: {found}");
    }
}

fn summary(succession: &Succession) -> String {
    let mut words = Vec::new();
    if succession.done {
        words.push("done".to_owned());
    }
    let list = |name: &str, hosts: &[String]| format!("{name} {}", hosts.join(" "));
    if let Some(leader) = &succession.retiring {
        words.push(format!("retires {leader}"));
    }
    for (name, hosts) in [("others", &succession.others), ("away", &succession.away)] {
        if !hosts.is_empty() {
            words.push(list(name, hosts));
        }
    }
    words.extend(succession.risks.iter().map(|risk| format!("risk {risk}")));
    words.join(", ")
}
