//! Fleets that an earlier version of marg provisioned and deployed become what they would be today
//! by one `provision`, while people use them.

use std::fs;
use std::time::Duration;

use marg_tests::earlier;
use marg_tests::fleet::{FLOW, Fleet, lab_api};
use marg_tests::program::Outcome;
use marg_tests::project::{Project, replaced};
use marg_tests::visitors::Visitors;
use marg_tests::wait::until_true;

use crate::deploy::new_version;
use crate::kept::Kept;

cases! {
    "earlier: a fleet of phase 2 takes the new form by one provision, and nothing is lost" => phase_two,
    "earlier: a fleet of phase 4 takes the new form by one provision, and nothing is lost" => phase_four,
}

fn phase_two() {
    becomes("e2eold2", 2, "");
}

fn phase_four() {
    let smaller = "\n[phases.4.groups.http]\ncount = 2\n\n[phases.4.groups.worker]\ncount = 1\n\n\
        [phases.4.groups.mysql]\nsize = \"s-1vcpu-2gb\"\n";
    becomes("e2eold4", 4, smaller);
}

/// What the program of old does in a project.
#[track_caller]
fn of_old(project: &Project, arguments: &[&str]) -> Outcome {
    let marg = project.marg(arguments.iter().copied());
    marg.program(earlier::marg()).run().ok()
}

/// While visitors are there; panics when one of them was failed.
#[track_caller]
fn under_visitors(fleet: &Fleet, what: &str, act: impl FnOnce()) {
    let visitors = Visitors::start(fleet.entry);
    until_true("visitors to be there", Duration::from_secs(30), || {
        visitors.seen().len() > 20
    });
    act();
    let (seen, confirmed) = visitors.stop();
    let failed: Vec<_> = seen.iter().filter(|seen| seen.trouble.is_some()).collect();
    let slowest = seen.iter().map(|seen| seen.took).max();
    let kept = Kept::count(fleet, &confirmed);
    eprintln!(
        "    {what}: {} requests, slowest {slowest:?}; {kept}",
        seen.len()
    );
    assert!(
        failed.is_empty() && kept.is_there(),
        "{what}: {failed:?}; {kept}"
    );
}

fn becomes(name: &str, phase: u8, more: &str) {
    let api = lab_api();
    let project = Project::fresh(name);
    let inventory = fs::read_to_string(project.inventory()).unwrap();
    let inventory = replaced(&inventory, &[("phase = 2 ", &format!("phase = {phase} "))]);
    project.write_inventory(&(inventory + more));
    of_old(&project, &["provision", "--json"]);
    let fleet = Fleet::of(project, api);
    let first = fleet.live("flow.marg")["http1"].clone();
    let second = new_version(&fleet, "old-2");
    of_old(&fleet.project, &["deploy", "--ref", &second, "--json"]);
    until_true("the first page", Duration::from_secs(60), || {
        let page = fleet.browser().try_get(FLOW, "/readyz");
        page.is_ok_and(|page| page.status == 200)
    });

    under_visitors(&fleet, "provision", || {
        fleet.provision();
    });
    fleet.assert_second_run_changes_nothing();
    under_visitors(&fleet, "rollback to a release of old", || {
        fleet.marg(["rollback", "--json"]).run().ok();
    });
    let live = fleet.live("flow.marg");
    assert!(live.values().all(|release| *release == first), "{live:?}");
    let third = new_version(&fleet, "new-3");
    under_visitors(&fleet, "deploy", || {
        fleet.marg(["deploy", "--ref", &third, "--json"]).run().ok();
    });
    assert_eq!(fleet.version(FLOW)["version"], "new-3");
    fleet.assert_second_run_changes_nothing();
    fleet.marg(["destroy", "--confirm", name]).run().ok();
}
