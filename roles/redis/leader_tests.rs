//! Who leads, by what the hosts say. Redis' hosts of phase 4 have 10.20.0.9 to 10.20.0.11.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::World;

fn answers(of: &[&str]) -> HostAnswers {
    let names = (1..).map(|number| format!("redis{number}"));
    let answer = |text: &&str| match *text {
        "silent" => HostAnswer::Silent,
        "not there" => HostAnswer::NotThere,
        text => HostAnswer::Said(text.replace(", ", "\n")),
    };
    names.zip(of.iter().map(answer)).collect()
}

fn decided(phase: usize, of: &[&str]) -> String {
    let world = World::new(phase);
    match decide(&world.fleet, &answers(of)) {
        Ok(leader) => leader.unwrap_or_else(|| "nobody".to_owned()),
        Err(error) => error.to_string(),
    }
}

const MASTER: &str = "role master, replicas 2, keys 7";
const FRESH: &str = "role master, replicas 0, keys 0";

#[test]
fn the_hosts_say_who_leads() {
    let of_1 = "role slave, of 10.20.0.9, replicas 0, keys 7";
    let of_2 = "role slave, of 10.20.0.10, replicas 0, keys 7";
    let with = |said: &str, vote: &str| format!("{said}, sentinel {vote}");
    let (one, two, three) = ("10.20.0.9", "10.20.0.10", "10.20.0.11");
    let (master_1, master_2) = (with(MASTER, one), with(MASTER, two));
    let (slave_1, slave_2) = (with(of_1, one), with(of_2, two));
    let old = with("role master, replicas 0, keys 7", one);
    let single = "role master, replicas 0, keys 7";
    for (hosts, expected) in [
        // New machines, with and without Redis.
        (["not there", "not there", "not there"], "redis1"),
        (["", "", "not there"], "redis1"),
        ([FRESH, FRESH, FRESH], "redis1"),
        // One that has been alone so far gets replicas.
        ([single, "not there", "not there"], "redis1"),
        ([single, FRESH, ""], "redis1"),
        ([FRESH, "", single], "redis3"),
        (["role master, replicas 0, keys 0", "", ""], "redis1"),
        // As it should be, and after a failover.
        ([&master_1, &slave_1, &slave_1], "redis1"),
        ([&slave_2, &master_2, &slave_2], "redis2"),
        // The lost master blocks nobody, neither gone, nor made anew, nor on its way back.
        (["silent", &master_2, &slave_2], "redis2"),
        (["not there", &master_2, &slave_2], "redis2"),
        (["", &master_2, &slave_2], "redis2"),
        ([&old, &master_2, &slave_2], "redis2"),
        // A replica is away.
        ([&master_1, "silent", &slave_1], "redis1"),
        ([&master_1, "silent", "silent"], "redis1"),
        // Sentinels that were written and never started.
        ([MASTER, of_1, of_1], "redis1"),
        // Lost so lately that nobody has been promoted yet.
        (["silent", &slave_1, &slave_1], "redis1"),
        // Two Sentinels disagree: the master that is followed leads.
        ([&old, &master_2, "silent"], "redis2"),
        ([&with(FRESH, three), &master_2, &slave_2], "redis2"),
    ] {
        assert_eq!(decided(4, &hosts), expected, "{hosts:?}");
    }
}

#[test]
fn alone_one_leads() {
    for (host, expected) in [
        ("not there", "redis1"),
        ("", "redis1"),
        (FRESH, "redis1"),
        ("silent", "nobody"),
    ] {
        assert_eq!(decided(2, &[host]), expected, "{host}");
    }
}

#[test]
fn what_is_not_clear_is_not_guessed() {
    let single = "role master, replicas 0, keys 7";
    let of_1 = "role slave, of 10.20.0.9, replicas 0, keys 7";
    let vote = |said: &str, address: &str| format!("{said}, sentinel {address}");
    let (voted, stray) = (vote(of_1, "10.20.0.10"), vote(of_1, "10.9.9.9"));
    for (hosts, expected) in [
        (
            [single, single, ""],
            "redis: several hosts hold data as masters, and only one may: redis1 is a master with 0 replicas, 7 keys; redis2 is a master with 0 replicas, 7 keys; redis3 has no Redis yet; find out which one the applications use, take the others off by hand (REPLICAOF) and run the same command again",
        ),
        (
            ["silent", "", "not there"],
            "redis: redis1 does not answer, and no other host says who leads (redis1 does not answer; redis2 has no Redis yet; redis3 does not exist yet); bring it back first, because it may hold the only copy",
        ),
        (
            [of_1, of_1, ""],
            "redis: redis1 follows 10.20.0.9, and no host says that it leads: redis1 follows 10.20.0.9, 7 keys; redis2 follows 10.20.0.9, 7 keys; redis3 has no Redis yet; let one lead (REPLICAOF NO ONE) and run the same command again",
        ),
        (
            ["silent", &voted, &voted],
            "redis: a failover is under way: the Sentinels say that redis2 leads, and redis2 does not know it yet; run the same command again in half a minute",
        ),
        (
            [&stray, &stray, &stray],
            "redis: the Sentinels say that 10.9.9.9 leads, which is none of redis1, redis2, redis3; redis1 follows 10.20.0.9, 7 keys, its Sentinel names 10.9.9.9; redis2 follows 10.20.0.9, 7 keys, its Sentinel names 10.9.9.9; redis3 follows 10.20.0.9, 7 keys, its Sentinel names 10.9.9.9",
        ),
        (
            ["role emperor", "", ""],
            "redis: redis1 answers `role emperor`, which marg does not understand; nothing was changed",
        ),
    ] {
        assert_eq!(decided(4, &hosts), expected, "{hosts:?}");
    }
}

#[test]
fn who_may_lead_instead() {
    let (one, two) = ("10.20.0.9", "10.20.0.10");
    let with = |said: &str, vote: &str| format!("{said}, sentinel {vote}");
    let of_1 = with("role slave, of 10.20.0.9, replicas 0, keys 7", one);
    let (leads, lost) = (with(MASTER, one), with("role slave, of 10.20.0.9", one));
    let no_sentinel = "role slave, of 10.20.0.9, replicas 0, keys 7";
    let of_others = with("role slave, of 10.20.0.11, replicas 0, keys 7", one);
    let planned = |others: &[&str], away: &[&str]| {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let succession = Succession {
            retiring: Some("redis1".to_owned()),
            others: names(others),
            away: names(away),
            ..Succession::default()
        };
        format!("{succession:?}")
    };
    let not_a_follower =
        "redis: redis2 does not follow redis1, which leads; run `marg provision` first".to_owned();
    for (hosts, expected) in [
        ([leads.as_str(), &of_1, &of_1], planned(&["redis3"], &[])),
        ([&leads, &of_1, "silent"], planned(&[], &["redis3"])),
        ([&leads, no_sentinel, &of_1], not_a_follower.clone()),
        ([&leads, &of_others, &of_1], not_a_follower.clone()),
        ([&leads, "silent", &of_1], not_a_follower.clone()),
        ([&leads, "", &of_1], not_a_follower),
        (
            ["silent", &lost, &lost],
            "redis: redis1 leads and does not answer: the Sentinels replace it by themselves, within seconds of its loss; see `marg status`".to_owned(),
        ),
    ] {
        let world = World::new(4);
        let judged = match judge(&world.fleet, &answers(&hosts), "redis2") {
            Ok(succession) => format!("{succession:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(judged, expected, "{hosts:?}");
    }
    let world = World::new(4);
    let of_2 = with("role slave, of 10.20.0.10, replicas 0, keys 7", two);
    let leads = with(MASTER, two);
    let judged = judge(&world.fleet, &answers(&[&of_2, &leads, &of_2]), "redis2").unwrap();
    assert!(judged.done && judged.retiring.is_none(), "{judged:?}");
    assert_eq!(judged.others, ["redis1", "redis3"]);
}
