//! Whether two database servers of a group ever took writes at the same time: each of them is
//! looked at several times a second, from within, and all of them have one clock.

use marg_tests::fleet::Fleet;

const UNIT: &str = "marg-test-primary";

/// Prints the time and 0 while the server takes writes, and 1 while it does not; nothing while it
/// does not run.
const LOOK: &str = r#"#!/bin/sh
sql=$(command -v mariadb || command -v mysql)
while [ ! -e /run/marg-test-primary.stop ]; do
  said=$(echo 'SELECT UNIX_TIMESTAMP(SYSDATE(6)), @@global.read_only;' |
    timeout 5 $sql -N -B 2>/dev/null) && echo "$said"
  sleep 0.1
done > /run/marg-test-primary.log
"#;

/// Looks at hosts until it is asked.
pub struct Watch<'a> {
    fleet: &'a Fleet,
    hosts: &'a [&'a str],
}

impl<'a> Watch<'a> {
    /// Begins to look.
    #[track_caller]
    pub fn start(fleet: &'a Fleet, hosts: &'a [&'a str]) -> Self {
        let start = format!(
            "rm -f /run/{UNIT}.*; cat > /root/look.sh <<'X'\n{LOOK}X\n\
             systemd-run -q --collect --unit={UNIT} sh /root/look.sh"
        );
        for host in hosts {
            fleet.on(host, &start);
        }
        Self { fleet, hosts }
    }

    /// Ends, and panics if two took writes at once.
    #[track_caller]
    pub fn assert_one(self) {
        let stop = format!(
            "touch /run/{UNIT}.stop; \
             timeout 20 sh -c 'while systemctl -q is-active {UNIT}; do sleep 0.1; done'; \
             cat /run/{UNIT}.log"
        );
        let times: Vec<(&str, Vec<Times>)> = self
            .hosts
            .iter()
            .map(|host| (*host, writable(&self.fleet.on(host, &stop))))
            .collect();
        eprintln!("    took writes: {times:?}");
        let changes: usize = times.iter().map(|(_, times)| times.len()).sum();
        assert!(changes > 0, "nothing was seen");
        for (number, (one, own)) in times.iter().enumerate() {
            for (other, theirs) in &times[number + 1..] {
                let both = own
                    .iter()
                    .any(|own| theirs.iter().any(|their| overlap(*own, *their)));
                assert!(!both, "{one} and {other} took writes at once: {times:?}");
            }
        }
    }
}

/// When a server was first and last seen to take writes without a look in between that said
/// otherwise, in seconds.
type Times = (f64, f64);

fn overlap(one: Times, other: Times) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

fn writable(log: &str) -> Vec<Times> {
    let mut all: Vec<Times> = Vec::new();
    let mut goes_on = false;
    for line in log.lines() {
        let (time, read_only) = line.split_once('\t').expect("a time and a state");
        let time: f64 = time.parse().expect("a time");
        match (read_only, all.last_mut()) {
            ("0", Some(last)) if goes_on => last.1 = time,
            ("0", _) => all.push((time, time)),
            _ => {}
        }
        goes_on = read_only == "0";
    }
    all
}
