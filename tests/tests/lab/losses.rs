//! Phase 4 loses one machine after the other while people use it, in three ways each. What they
//! saw is told, for the table in the book; what was confirmed to them is there afterwards.

use std::fmt;
use std::time::{Duration, Instant};

use marg_tests::fleet::{Fleet, WHOLE};
use marg_tests::visitors::{Seen, VISITORS, Visitors};
use marg_tests::wait::{until, until_true};

use crate::case::marg;
use crate::kept::Kept;

cases! {
    "losses: a web server" => web_server,
    "losses: a worker" => worker,
    "losses: a replica of Redis" => redis_replica,
    "losses: a replica of MySQL" => mysql_replica,
    "losses: the balancer that has not the entry address" => other_balancer,
    "losses: the MySQL primary, until another is promoted" => mysql_primary,
}

const WAYS: [&str; 3] = ["kill", "freeze", "cut"];
/// What is said during the loss, and after it is mended.
const AROUND: usize = 100;

/// What visitors saw of a loss.
struct Loss {
    what: String,
    /// From the loss to the end.
    seen: Vec<Seen>,
    began: Instant,
    kept: Kept,
}

impl Loss {
    fn failed(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(|seen| seen.trouble.is_some())
    }

    /// The longest time from one row that was added to the next.
    fn without_rows(&self) -> Duration {
        let rows = self.seen.iter().filter(|seen| seen.trouble.is_none());
        let rows = rows.filter(|seen| seen.what.contains("/links row-"));
        let mut last = self.began;
        let pauses = rows.map(|row| {
            let now = row.sent + row.took;
            now.saturating_duration_since(std::mem::replace(&mut last, now))
        });
        pauses.max().unwrap_or_default()
    }

    /// Nothing that was confirmed is lost.
    #[track_caller]
    fn lost_nothing(self) -> Self {
        eprintln!("    {self}");
        assert!(self.kept.is_there(), "{self}");
        self
    }

    #[track_caller]
    fn nobody_noticed(self) {
        let own = self.lost_nothing();
        assert_eq!(own.failed().count(), 0, "{own}");
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slowest = self.seen.iter().map(|seen| seen.took).max();
        write!(
            f,
            "{}: {} requests, {} failed, the slowest took {:.1} s, no row for {:.1} s; {}",
            self.what,
            self.seen.len(),
            self.failed().count(),
            slowest.unwrap_or_default().as_secs_f64(),
            self.without_rows().as_secs_f64(),
            self.kept
        )?;
        for seen in self.failed().take(20) {
            let at = seen.sent.saturating_duration_since(self.began);
            let trouble = seen.trouble.as_deref().unwrap_or_default();
            let (at, took) = (at.as_secs_f64(), seen.took.as_secs_f64());
            write!(
                f,
                "\n      at {at:.1} s {} after {took:.1} s: {trouble}",
                seen.what
            )?;
        }
        Ok(())
    }
}

fn fault(host: &str, what: &str) {
    let machine = format!("{WHOLE}-{host}");
    marg(["lab", "fault", &machine, what]).run().ok();
}

/// Waits until so many requests more have ended.
fn more(visitors: &Visitors, requests: usize) {
    let enough = visitors.seen().len() + requests;
    until_true("requests", Duration::from_secs(120), || {
        visitors.seen().len() >= enough
    });
}

/// Loses a machine, does something about it, and gets it back.
#[track_caller]
fn lose(fleet: &Fleet, host: &str, way: &str, meanwhile: impl FnOnce()) -> Loss {
    let visitors = Visitors::start(fleet.entry);
    more(&visitors, AROUND);
    let began = Instant::now();
    fault(host, way);
    meanwhile();
    more(&visitors, AROUND);
    fault(host, "heal");
    whole_again(fleet);
    more(&visitors, AROUND);
    let (seen, confirmed) = visitors.stop();
    Loss {
        what: format!("{host}, {way}"),
        seen: seen
            .into_iter()
            .filter(|seen| seen.sent + seen.took >= began)
            .collect(),
        began,
        kept: Kept::count(fleet, &confirmed),
    }
}

/// The machine is back in its place, by the one command, and a second run finds nothing to do.
#[track_caller]
fn whole_again(fleet: &Fleet) {
    until("the machine that is back", Duration::from_secs(300), || {
        let outcome = fleet.marg(["provision", "--json"]).run();
        (outcome.code == 0).then_some(outcome)
    });
    let leaders = leaders(fleet);
    fleet.assert_second_run_changes_nothing();
    assert_eq!(self::leaders(fleet), leaders, "nobody is put back");
}

/// Hosts by the service that they lead, as the hosts say.
fn leaders(fleet: &Fleet) -> Vec<(String, String)> {
    let status = fleet.marg(["status", "--json"]).run().ok().document();
    let leaders = status["leaders"].as_array().unwrap().iter();
    let word = |text: &serde_json::Value| text.as_str().unwrap_or("nobody").to_owned();
    leaders
        .map(|led| (word(&led["service"]), word(&led["leader"])))
        .collect()
}

#[track_caller]
pub fn leader(fleet: &Fleet, service: &str) -> String {
    let leaders = leaders(fleet);
    let own = leaders.iter().find(|(of, _)| of == service);
    own.unwrap_or_else(|| panic!("{service}: {leaders:?}"))
        .1
        .clone()
}

/// Of three hosts the last one that does not lead.
pub fn follower(fleet: &Fleet, service: &str) -> String {
    let leader = leader(fleet, service);
    let last = [3, 2].map(|number| format!("{service}{number}"));
    let [last, other] = last;
    if last == leader { other } else { last }
}

/// What it has in hand is not repeated elsewhere, since nobody knows how far it came. So each of the
/// visitors may lose the one request with which they find out.
fn web_server() {
    let fleet = Fleet::whole();
    for way in WAYS {
        let loss = lose(fleet, "http2", way, || {}).lost_nothing();
        assert!(loss.failed().count() <= VISITORS, "{loss}");
    }
}

fn worker() {
    let fleet = Fleet::whole();
    for way in WAYS {
        lose(fleet, "worker1", way, || {}).nobody_noticed();
    }
}

fn redis_replica() {
    let fleet = Fleet::whole();
    for way in WAYS {
        let replica = follower(fleet, "redis");
        lose(fleet, &replica, way, || {}).nobody_noticed();
    }
}

fn mysql_replica() {
    let fleet = Fleet::whole();
    for way in WAYS {
        let replica = follower(fleet, "mysql");
        lose(fleet, &replica, way, || {}).nobody_noticed();
    }
}

fn other_balancer() {
    let fleet = Fleet::whole();
    for way in WAYS {
        let status = fleet.marg(["status", "--json"]).run().ok().document();
        let other = if status["entry_at"] == "lb1" {
            "lb2"
        } else {
            "lb1"
        };
        lose(fleet, other, way, || {}).nobody_noticed();
    }
}

fn mysql_primary() {
    let fleet = Fleet::whole();
    for way in WAYS {
        let primary = leader(fleet, "mysql");
        let heir = follower(fleet, "mysql");
        let loss = lose(fleet, &primary, way, || {
            // While the others still hear it, nobody may take its place.
            until_true("another primary", Duration::from_secs(120), || {
                fleet.marg(["promote", &heir, "--yes", "--json"]).run().code == 0
            });
        });
        loss.lost_nothing();
        assert_eq!(leader(fleet, "mysql"), heir);
    }
}
