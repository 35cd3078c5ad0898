//! marg on real machines: everything that issue by issue was promised, shown on a lab.
//!
//! One list of named cases, run one after the other in one process; they share one fleet, and
//! each leaves it as it should be. `cargo test -p marg-tests --test lab -- deploy` runs those
//! with `deploy` in their names. When the lab was not up before, it is down afterwards, unless
//! MARG_KEEP_LAB is set.
//!
//! Where no lab can run, every case says by name that it was skipped and why; MARG_REQUIRE_LAB
//! turns that into a failure.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[macro_use]
mod case;
mod bake;
mod balancer;
mod cloud;
mod commands;
mod deploy;
mod deploy_failures;
mod earlier;
mod faults;
mod firewall;
mod journey;
mod keepalived;
mod kept;
mod kinds;
mod lab;
mod locks;
mod losses;
mod matrix;
mod names;
mod one_primary;
mod other_environments;
mod planter;
mod provision;
mod redis_apps;
mod releases;
mod repair;
mod replication;
mod rest;
mod rolling;
mod scale;
mod secrets;
mod sentinel;
mod ssh;
mod strangers;
mod values;

use std::process::ExitCode;

use libtest_mimic::Arguments;

/// Fleets of phase 4, and whatever takes its time. They run with `--include-ignored`. Minutes
/// that they took on two cores which others used as well: ten deploys and five rollbacks 3, and 11
/// through two balancers, scale 10, bake 13, keepalived 7, redis 6 to 8, replication 7 to 10 for each engine, losses 16,
/// journey 9; more than an hour and a half in all. The cloud's requests are counted, 5,000 an
/// hour: whoever runs all of them beside others waits for that.
fn long(cases: Vec<case::Case>) -> Vec<case::Case> {
    cases.into_iter().map(case::Case::long).collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let cases = [
        lab::cases(),
        faults::cases(),
        provision::cases(),
        values::cases(),
        firewall::cases(),
        repair::cases(),
        rest::cases(),
        ssh::cases(),
        commands::cases(),
        locks::cases(),
        deploy::cases(),
        deploy_failures::cases(),
        releases::cases(),
        strangers::cases(),
        redis_apps::cases(),
        planter::cases(),
        balancer::cases(),
        rolling::cases(),
        long(rolling::long_cases()),
        long(strangers::long_cases()),
        long(scale::cases()),
        long(bake::cases()),
        long(keepalived::cases()),
        long(sentinel::cases()),
        long(replication::cases()),
        long(redis_apps::long_cases()),
        long(losses::cases()),
        long(earlier::cases()),
        long(secrets::long_cases()),
        long(planter::long_cases()),
        cloud::cases(),
        kinds::cases(),
        names::cases(),
        other_environments::cases(),
        long(journey::cases()),
        provision::late_cases(),
        secrets::cases(),
    ];
    let trials = cases
        .into_iter()
        .flatten()
        .map(case::Case::into_trial)
        .collect();
    let list_only = arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials);
    let clean = list_only || case::tear_down();
    if conclusion.has_failed() || !clean {
        ExitCode::from(101)
    } else {
        ExitCode::SUCCESS
    }
}
