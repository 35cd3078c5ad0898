//! Releases that do not work: users see nothing of them, or only for a moment.

use marg_tests::fleet::{FLOW, Fleet};
use marg_tests::program::Outcome;
use marg_tests::project::Repository;

use crate::deploy::{assert_lossless, end, load, load_on};

cases! {
    "deploy: a build that fails leaves the live release as it is" => build_fails,
    "deploy: a migration that fails leaves the live release as it is" => migration_fails,
    "deploy: a release whose check fails is taken back, and nothing is lost" => check_fails,
    "deploy: a first page after a failed deploy comes from the release before" => still_serving,
}

/// Commits something broken, tries to deploy it, puts the files back.
pub(crate) fn try_broken(fleet: &Fleet, subject: &str, breaks: impl Fn(&Repository)) -> Outcome {
    let repository = fleet.project.repository();
    let clean = repository.commit("before something broken");
    breaks(&repository);
    let commit = repository.commit(subject);
    let outcome = fleet
        .marg(["deploy", "flow.marg", "--ref", &commit, "--json"])
        .run();
    repository.restore(&clean);
    repository.commit("whole again");
    outcome
}

/// What lies on the disks and what is live.
fn state(fleet: &Fleet) -> Vec<String> {
    let script = "cd /var/www/flow.marg && readlink current && ls -A releases && \
        ls -A /var/lib/marg/apps/flow-marg /var/lib/marg/apps/flow-marg/releases; \
        ls -A /var/lib/marg-build/flow-marg/work 2>/dev/null; true";
    ["http1", "worker1"]
        .iter()
        .map(|host| fleet.on(host, script))
        .collect()
}

#[track_caller]
fn assert_untouched(fleet: &Fleet, subject: &str, breaks: impl Fn(&Repository)) -> String {
    let before = state(fleet);
    let running = load(fleet, FLOW);
    let outcome = try_broken(fleet, subject, breaks);
    let report = end(running);
    let outcome = outcome.exits(9);
    assert_lossless(subject, &report);
    assert_eq!(state(fleet), before, "{outcome}");
    fleet.assert_converged();
    outcome.stdout + &outcome.stderr
}

fn build_fails() {
    let fleet = Fleet::provisioned();
    let said = assert_untouched(fleet, "a broken build", |repository| {
        repository.edit("flow.marg/composer.json", "{", "{ this is not JSON ");
    });
    assert!(said.contains("nothing has changed for users"), "{said}");
}

fn migration_fails() {
    let fleet = Fleet::provisioned();
    let said = assert_untouched(fleet, "a broken migration", |repository| {
        repository.write(
            "flow.marg/database/migrations/2026_01_01_000000_broken.php",
            "<?php\nreturn new class extends Illuminate\\Database\\Migrations\\Migration {\n\
             public function up(): void { throw new RuntimeException('broken on purpose'); }\n};\n",
        );
    });
    assert!(said.contains("broken on purpose"), "{said}");
}

fn check_fails() {
    let fleet = Fleet::provisioned();
    let before = fleet.version(FLOW);
    // Everything but the probe goes on working, so nobody may lose a request.
    let running = load_on(fleet, FLOW, &["/", "/version", "/livez", "/robots.txt"]);
    let outcome = try_broken(fleet, "a broken probe", |repository| {
        repository.edit(
            "flow.marg/routes/stateless.php",
            "[ProbeController::class, 'ready']",
            "fn () => response('not ready', 503)",
        );
    });
    let report = end(running);
    let outcome = outcome.exits(9).says(before["release"].as_str().unwrap());
    assert_lossless("a release that was taken back", &report);
    assert_eq!(fleet.version(FLOW), before, "{outcome}");
    let live = fleet.live("flow.marg");
    assert!(
        live.values().all(|release| before["release"] == *release),
        "{live:?}"
    );
    fleet.assert_converged();
}

fn still_serving() {
    let fleet = Fleet::provisioned();
    let mut browser = fleet.browser();
    browser.get(FLOW, "/").has(200);
    let ready = browser.get(FLOW, "/readyz").has(200).json();
    assert_eq!(ready["ready"], true);
}
