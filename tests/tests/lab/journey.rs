//! The journey: one environment goes from one host to a fleet in which nothing stands alone, and
//! back, while people use it all the time. Counted, never timed: requests that failed outside
//! announced interruptions, logins, jobs and rows.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use marg_tests::fleet::{FLOW, Fleet, LINKS, lab_api};
use marg_tests::program::{Outcome, Running};
use marg_tests::project::{Project, replaced};
use marg_tests::visitors::{Seen, Visitors, log_in};
use marg_tests::wait::{until, until_true};
use marg_tests::web::Browser;
use serde_json::Value;

use crate::kept::Kept;
use crate::matrix::assert_ports;

cases! {
    "journey: one host becomes two, three, four phases and goes back to three, and nobody loses anything" => journey,
}

const ENVIRONMENT: &str = "e2ejourney";

/// Small, because the machine under a lab is.
const FEW: &str = "
[phases.3.groups.http]
count = 2

[phases.3.groups.worker]
count = 1

[phases.4.groups.http]
count = 2

[phases.4.groups.worker]
count = 2
";

/// The data replicas of phase 4, which are destroyed only by name.
const REPLICAS: [&str; 4] = ["redis2", "redis3", "mysql2", "mysql3"];
const SESSIONS: usize = 20;
/// The controller is killed when it has begun so many steps at most.
const KILLED_WITHIN: u64 = 60;

fn journey() {
    let project = Project::fresh(ENVIRONMENT);
    let inventory = fs::read_to_string(project.inventory()).unwrap();
    let inventory = replaced(&inventory, &[("phase = 2 ", "phase = 1 ")]);
    project.write_inventory(&format!("{inventory}{FEW}"));
    project.marg(["provision", "--json"]).run().ok();
    let mut travel = Travel::new(Fleet::of(project, lab_api()));

    // The workers are behind, and somebody has committed what nobody has deployed: what waits comes
    // along, and nothing goes live on the way.
    let fleet = &travel.fleet;
    fleet
        .marg(["run", "--", "supervisorctl", "stop", "all"])
        .run()
        .ok();
    let version = fleet.version(FLOW)["version"].clone();
    let repository = fleet.project.repository();
    repository.write("flow.marg/VERSION", "not deployed\n");
    repository.commit("not deployed");
    travel.go(2, &[]);
    assert_eq!(travel.fleet.version(FLOW)["version"], version);
    // It had the data, so it stays until it is named.
    travel.go(2, &["app1"]);
    travel.go_killed(3, &[]);
    assert_ports(&travel.fleet, 3);
    travel.go_killed(4, &[]);
    assert_ports(&travel.fleet, 4);
    travel.go(3, &REPLICAS);
    assert_ports(&travel.fleet, 3);
    travel.arrive();
}

/// The environment on its way, and everybody who uses it.
struct Travel {
    fleet: Fleet,
    phase: u8,
    visitors: Visitors,
    sessions: Vec<Session>,
    seed: u64,
    steps: Vec<Step>,
}

/// Somebody who logged in at the beginning.
struct Session {
    browser: Browser,
    pages: u64,
}

/// One way from phase to phase.
struct Step {
    name: String,
    began: Instant,
    ended: Instant,
    /// From the announcement to the first answer at the new place, and until nobody is connected
    /// to the old one any more.
    announced: Option<(Instant, Instant)>,
}

impl Travel {
    fn new(fleet: Fleet) -> Self {
        until_true("the first page", Duration::from_secs(30), || {
            let mut pages = [FLOW, LINKS].map(|app| fleet.browser().try_get(app, "/readyz"));
            pages
                .iter_mut()
                .all(|page| page.as_ref().is_ok_and(|page| page.status == 200))
        });
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seed = match std::env::var("MARG_SEED") {
            Ok(seed) => seed.parse().expect("MARG_SEED is a number"),
            Err(_) => u64::from(now.unwrap().subsec_nanos()),
        };
        eprintln!("    MARG_SEED={seed}");
        let session = |_| Session {
            browser: log_in(fleet.entry),
            pages: 0,
        };
        Self {
            sessions: (0..SESSIONS).map(session).collect(),
            visitors: Visitors::start(fleet.entry),
            fleet,
            phase: 1,
            seed,
            steps: Vec::new(),
        }
    }

    /// What the operator types.
    fn provision(&self, phase: u8, destroy: &[&str]) -> Running {
        let mut arguments = vec!["provision".to_owned(), "--json".to_owned()];
        arguments.extend(["--phase".to_owned(), phase.to_string()]);
        for host in destroy {
            arguments.extend(["--destroy".to_owned(), (*host).to_owned()]);
        }
        self.fleet.marg(arguments).start()
    }

    /// Moves to a phase.
    #[track_caller]
    fn go(&mut self, phase: u8, destroy: &[&str]) {
        let began = Instant::now();
        let mut running = self.provision(phase, destroy);
        let announced = announced(&mut running);
        running.wait().ok();
        self.arrived_at(phase, "", began, announced);
    }

    /// Moves to a phase; on the way the operator's machine dies, and he types the same again.
    #[track_caller]
    fn go_killed(&mut self, phase: u8, destroy: &[&str]) {
        let began = Instant::now();
        let steps = usize::try_from(1 + self.random() % KILLED_WITHIN).unwrap();
        let mut running = self.provision(phase, destroy);
        let step = |said: &Value| said["event"] == "step_started";
        let killed_at = running.hears(steps, step);
        running.kill();
        // A host lets go of its lock when it notices that nobody is there any more.
        until("the hosts' locks", Duration::from_secs(300), || {
            let outcome: Outcome = self.provision(phase, destroy).wait();
            let locked = outcome.code != 0 && outcome.stderr.contains(" is being changed by ");
            (!locked).then(|| outcome.ok())
        });
        let note = match killed_at {
            Some(_) => format!(", killed at step {steps}"),
            None => ", not killed: it ended before".to_owned(),
        };
        self.arrived_at(phase, &note, began, None);
    }

    #[track_caller]
    fn arrived_at(&mut self, phase: u8, note: &str, began: Instant, announced: Option<Announced>) {
        let announced = announced.map(|own| {
            let answered = self.first_answer_after(own.moved);
            (own.from, answered.max(own.let_go))
        });
        self.steps.push(Step {
            name: format!("{} to {phase}{note}", self.phase),
            began,
            ended: Instant::now(),
            announced,
        });
        self.tell(&self.visitors.seen());
        self.set_phase(phase);
        let again = self.provision(phase, &[]).wait().ok().event("report");
        assert_eq!(again["cloud_changed"], 0, "{again}");
        for host in again["hosts"].as_array().unwrap() {
            assert_eq!(host["changed"], 0, "{host}");
        }
        let project = self.fleet.project.clone();
        self.fleet = Fleet::of(project, lab_api());
        self.fleet.assert_converged();
        let lost = self.lost_sessions();
        assert!(lost.is_empty(), "phase {phase}: {lost:?}");
    }

    /// The operator writes down where the environment is.
    fn set_phase(&mut self, phase: u8) {
        let text = fs::read_to_string(self.fleet.project.inventory()).unwrap();
        let (old, new) = (
            format!("phase = {} ", self.phase),
            format!("phase = {phase} "),
        );
        self.fleet
            .project
            .write_inventory(&replaced(&text, &[(&old, &new)]));
        self.phase = phase;
    }

    #[track_caller]
    fn first_answer_after(&self, moved: Instant) -> Instant {
        until("an answer", Duration::from_secs(30), || {
            let seen = self.visitors.seen();
            let mut good = seen.iter().filter(|seen| seen.trouble.is_none());
            good.find(|seen| seen.sent >= moved).map(|seen| seen.sent)
        })
    }

    /// Those who are no longer who they were. A session that began anew counts its pages anew.
    fn lost_sessions(&mut self) -> Vec<String> {
        let mut lost = Vec::new();
        for (number, session) in self.sessions.iter_mut().enumerate() {
            session.pages += 1;
            let pages = session.browser.get(FLOW, "/").has(200).number("yours");
            let me = session.browser.get(LINKS, "/me").has(200).json();
            if pages != session.pages || me["authenticated"] != true || me["name"] != "demo" {
                lost.push(format!(
                    "session {number}: {pages} pages of {}, {me}",
                    session.pages
                ));
            }
        }
        lost
    }

    /// The next number of a sequence that the seed decides (SplitMix64).
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Told at once, so that it is known when what follows fails.
    fn tell(&self, seen: &[Seen]) {
        if let Some(step) = self.steps.last() {
            eprintln!("    {}", Told { step, seen });
        }
    }

    #[track_caller]
    fn arrive(mut self) {
        let lost = self.lost_sessions();
        let (steps, fleet) = (self.steps, self.fleet);
        let (seen, confirmed) = self.visitors.stop();
        let failed: Vec<&Seen> = seen
            .iter()
            .filter(|seen| seen.trouble.is_some())
            .filter(|seen| !steps.iter().any(|step| step.announced(seen)))
            .collect();
        let outcome = Kept::count(&fleet, &confirmed);
        eprintln!(
            "    {} requests, {} failed outside announced interruptions; {} of {SESSIONS} sessions lost; {outcome}",
            seen.len(),
            failed.len(),
            lost.len()
        );
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(lost.is_empty(), "{lost:?}");
        assert!(outcome.is_whole(), "{outcome}");
        fleet.marg(["destroy", "--confirm", ENVIRONMENT]).run().ok();
        assert!(fleet.api.belongings(ENVIRONMENT).is_empty());
    }
}

/// An interruption, as the program tells it.
struct Announced {
    from: Instant,
    /// The entry address leads to the new place.
    moved: Instant,
    /// Those who were still connected to the old place have been let go.
    let_go: Instant,
}

fn announced(running: &mut Running) -> Option<Announced> {
    let from = running.hears(1, |said| said["name"] == "hand over the data")?;
    let moved = |said: &Value| {
        let subject = said["subject"].as_str().unwrap_or_default();
        let action = said["action"].as_str().unwrap_or_default();
        subject.starts_with("entry address") && action.starts_with("leads to")
    };
    let moved = running.hears(1, moved)?;
    let let_go = running.hears(1, |said| said["name"] == "hosts without what has left")?;
    Some(Announced {
        from,
        moved,
        let_go,
    })
}

impl Step {
    /// Whether this failure was announced: the applications said 503 while data was carried.
    fn announced(&self, seen: &Seen) -> bool {
        let during = |(from, to): (Instant, Instant)| seen.sent >= from && seen.sent < to;
        self.announced.is_some_and(during) && seen.status == Some(503)
    }
}

/// A line of the table.
struct Told<'a> {
    step: &'a Step,
    seen: &'a [Seen],
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step {
            name, began, ended, ..
        } = self.step;
        let own = |seen: &&Seen| seen.sent >= *began && seen.sent < *ended;
        let own: Vec<&Seen> = self.seen.iter().filter(own).collect();
        let failed = own.iter().filter(|seen| seen.trouble.is_some());
        let (announced, other): (Vec<&&Seen>, Vec<&&Seen>) =
            failed.partition(|seen| self.step.announced(seen));
        let pause = self.step.announced.map_or(0.0, |(from, to)| {
            to.saturating_duration_since(from).as_secs_f64()
        });
        write!(
            f,
            "{name}: {:.1} s, {} requests, {} failed; announced interruption {pause:.1} s, {} failed in it",
            ended.duration_since(*began).as_secs_f64(),
            own.len(),
            other.len(),
            announced.len()
        )?;
        for seen in other.iter().take(20) {
            let at = seen.sent.duration_since(*began).as_secs_f64();
            let trouble = seen.trouble.as_deref().unwrap_or_default();
            write!(f, "\n      at {at:.1} s {}: {trouble}", seen.what)?;
        }
        Ok(())
    }
}
