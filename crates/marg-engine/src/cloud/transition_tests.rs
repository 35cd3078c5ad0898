//! Ways from phase to phase as data: who leaves, what is carried, what is refused.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use marg_cloud::Droplet;
use marg_model::{Phase, builtin, parse, resolve};
use marg_resources::{Context, Handover, Resource, RoleError};
use serde_json::json;

use super::*;
use crate::cloud::changes::obsolete_firewalls;
use crate::cloud::leaving::Leaving;
use crate::cloud::situation::tests::{INVENTORY, droplet, found, marg_roles_schemas};
use crate::handover::{Carry, carries};
use crate::journey::journey;

fn phases() -> Vec<Phase> {
    builtin::phases(marg_roles_schemas()).unwrap()
}

fn compared(number: usize, droplets: Vec<Droplet>) -> (Blueprint, Situation) {
    let phases = phases();
    let inventory =
        parse::inventory(INVENTORY, "shop.toml", marg_roles_schemas(), &phases).unwrap();
    let blueprint = resolve::blueprint(&inventory, &phases[number - 1]).unwrap();
    let situation = Situation::compare(&blueprint, (&phases, &[]), found(droplets));
    (blueprint, situation)
}

fn host(id: u64, name: &str, group: &str, phase: u8) -> Droplet {
    let group = format!("marg-group:shop:{group}");
    let phase = format!("marg-phase:shop:{phase}");
    let name = format!("shop-{name}");
    droplet(id, &name, &["marg", "marg-env:shop", &group, &phase])
}

#[test]
fn up_a_phase_the_entry_moves_and_nobody_leaves() {
    let two = ["http", "redis", "mysql", "worker"];
    let droplets = (1..)
        .zip(two)
        .map(|(id, group)| host(id, &format!("{group}1"), group, 2));
    let (blueprint, situation) = compared(3, droplets.collect());
    assert_eq!(situation.leaving, []);
    assert_eq!(situation.entry_at(), Some("http1"));
    let entry = Entry::Move {
        ip: "198.18.240.1".parse().unwrap(),
        to: "lb1".to_owned(),
    };
    assert_eq!(situation.entry_move(&blueprint), Some(entry));
    assert!(situation.refuse_losses(&blueprint, KEEPERS).is_ok());
    let order = journey(&situation.fleet(&blueprint), &[], &situation, &[]).join("\n");
    insta::assert_snapshot!("journey-2-3", order);
}

#[test]
fn down_a_phase_what_is_left_over_leaves_with_the_roles_it_had() {
    let hosts = [
        ("lb1", "lb"),
        ("http1", "http"),
        ("http2", "http"),
        ("redis1", "redis"),
        ("mysql1", "mysql"),
        ("worker1", "worker"),
        ("worker2", "worker"),
    ];
    let droplets = (1..)
        .zip(hosts)
        .map(|(id, (name, group))| host(id, name, group, 3));
    let (blueprint, situation) = compared(2, droplets.collect());
    let leaving: Vec<_> = situation
        .going(&[])
        .map(|one| (one.host.name.as_str(), one.host.roles.join(" ")))
        .collect();
    assert_eq!(
        leaving,
        [
            ("lb1", "base ufw haproxy".to_owned()),
            ("http2", "base ufw nginx php-fpm app".to_owned()),
            ("worker2", "base ufw app worker scheduler".to_owned()),
        ]
    );
    assert!(situation.refuse_losses(&blueprint, KEEPERS).is_ok());
    let order = journey(&situation.fleet(&blueprint), &[], &situation, &[]).join("\n");
    insta::assert_snapshot!("journey-3-2", order);
    // Until they are gone, others know them.
    let fleet = situation.fleet(&blueprint);
    let peers: Vec<_> = fleet.peers().map(|host| host.name.as_str()).collect();
    assert_eq!(
        peers.join(" "),
        "http1 redis1 mysql1 worker1 lb1 http2 worker2"
    );
    assert_eq!(
        fleet.machine("worker2").unwrap().private.to_string(),
        "10.0.0.7"
    );
}

#[test]
fn hosts_with_data_stay_until_they_are_named_and_the_only_copy_is_never_left() {
    let four = vec![
        host(1, "lb1", "lb", 4),
        host(2, "mysql1", "mysql", 4),
        host(3, "mysql2", "mysql", 4),
    ];
    let (blueprint, situation) = compared(3, four);
    assert_eq!(situation.going(&[]).count(), 0);
    assert_eq!(situation.going(&["mysql2".to_owned()]).count(), 1);
    assert!(situation.notes.join("\n").contains("--destroy mysql2"));
    assert!(situation.refuse_losses(&blueprint, KEEPERS).is_ok());
    // The entry address does not move with it, and nobody who could have its data is there.
    let (blueprint, situation) = compared(2, vec![host(9, "app1", "app", 1)]);
    let refused = situation.refuse_losses(&blueprint, KEEPERS).unwrap_err();
    assert!(
        refused.to_string().starts_with("app1 hold data"),
        "{refused}"
    );
}

#[test]
fn an_old_copy_is_never_served_again() {
    let two = || {
        vec![
            host(1, "http1", "http", 2),
            host(2, "redis1", "redis", 2),
            host(3, "mysql1", "mysql", 2),
            host(4, "worker1", "worker", 2),
        ]
    };
    // app1 stayed when the environment moved to phase 2, and says so by its tag.
    let (blueprint, situation) = compared(1, [two(), vec![host(9, "app1", "app", 2)]].concat());
    let refused = situation.refuse_losses(&blueprint, KEEPERS).unwrap_err();
    assert!(refused.to_string().starts_with("app1 stayed"), "{refused}");
    // A machine that was made for the way back, by a run that was cut off, is no old copy.
    let (blueprint, situation) = compared(1, [two(), vec![host(9, "app1", "app", 1)]].concat());
    assert!(situation.refuse_losses(&blueprint, KEEPERS).is_ok());
    assert_eq!(
        carries(&blueprint, &situation, KEEPERS, &BTreeMap::new()).len(),
        3
    );
    // Those of a group that both phases have stayed in replication.
    let four = vec![
        host(1, "lb1", "lb", 3),
        host(2, "mysql1", "mysql", 3),
        host(3, "mysql2", "mysql", 3),
    ];
    let (blueprint, situation) = compared(4, four);
    assert!(situation.refuse_losses(&blueprint, KEEPERS).is_ok());
}

/// A role that keeps data.
struct Keeper(&'static str);

impl Role for Keeper {
    fn schema(&self) -> marg_model::RoleSchema {
        let name = self.0;
        marg_model::RoleSchema {
            name,
            doc: "",
            settings: &[],
        }
    }

    fn handover(&self) -> Option<Handover> {
        Some(Handover {
            what: "data",
            export: |_| String::new(),
            import: |_, _| marg_resources::Shell::default(),
        })
    }

    fn resources(&self, _: &Context) -> Result<Vec<Resource>, RoleError> {
        Ok(Vec::new())
    }
}

const KEEPERS: &[&dyn Role] = &[&Keeper("redis"), &Keeper("mysql"), &Keeper("app")];

#[test]
fn data_is_handed_over_with_the_entry_address_and_never_after() {
    let carried = |number, droplets| {
        let (blueprint, situation) = compared(number, droplets);
        assert!(situation.refuse_losses(&blueprint, KEEPERS).is_ok());
        let carries = carries(&blueprint, &situation, KEEPERS, &BTreeMap::new());
        carries.iter().map(Carry::name).collect::<Vec<_>>()
    };
    let one = || host(1, "app1", "app", 1);
    let all = [
        "data of app1 to redis1",
        "data of app1 to mysql1",
        "data of app1 to http1",
    ];
    assert_eq!(carried(2, vec![one()]), all);
    // An earlier run has made the hosts; until the entry moves, app1 has the truth.
    let made = |id, name| host(id, &format!("{name}1"), name, 2);
    let hosts = || {
        vec![
            made(2, "http"),
            made(3, "redis"),
            made(4, "mysql"),
            made(5, "worker"),
        ]
    };
    assert_eq!(carried(2, [vec![one()], hosts()].concat()), all);
    // The address leads to http1 now.
    let moved = [vec![host(9, "app1", "app", 1), made(1, "http")], hosts()].concat();
    assert!(carried(2, moved).is_empty());
    // Hosts that were there before keep what they have.
    let droplets = vec![
        made(1, "http"),
        made(3, "redis"),
        made(4, "mysql"),
        made(5, "worker"),
    ];
    assert!(carried(3, droplets).is_empty());
}

#[test]
fn of_several_that_replicate_the_one_that_leads_hands_over() {
    let four = vec![
        host(1, "lb1", "lb", 4),
        host(2, "mysql1", "mysql", 4),
        host(3, "mysql2", "mysql", 4),
    ];
    let (blueprint, situation) = compared(1, four);
    let leaders = BTreeMap::from([("mysql".to_owned(), "mysql2".to_owned())]);
    let carries = carries(&blueprint, &situation, KEEPERS, &leaders);
    let names: Vec<_> = carries.iter().map(Carry::name).collect();
    assert_eq!(names, ["data of mysql2 to app1"]);
}

/// A role whose hosts rely on each other.
struct Fellows(&'static str);

impl Role for Fellows {
    fn schema(&self) -> marg_model::RoleSchema {
        Keeper(self.0).schema()
    }

    fn resources(&self, _: &Context) -> Result<Vec<Resource>, RoleError> {
        Ok(Vec::new())
    }

    fn detach(&self, _: &Context) -> Option<marg_resources::Shell> {
        Some(marg_resources::Shell::default())
    }
}

#[test]
fn a_host_whose_last_fellows_leave_goes_on_without_them() {
    let four = vec![
        host(1, "lb1", "lb", 4),
        host(2, "mysql1", "mysql", 4),
        host(3, "mysql2", "mysql", 4),
        host(4, "mysql3", "mysql", 4),
    ];
    let (blueprint, situation) = compared(3, four);
    let fleet = situation.fleet(&blueprint);
    let secrets = marg_model::Secrets::default();
    let roles: &[&dyn Role] = &[&Fellows("mysql-replication"), &Fellows("base")];
    let desired = crate::desired::Desired {
        fleet: &fleet,
        roles,
        secrets: &secrets,
    };
    let parting = |host: &str, going: &[&str]| {
        let leaving = fleet.leaving.iter();
        let going: Vec<&Host> = leaving.filter(|one| going.contains(&&*one.name)).collect();
        let own = fleet.blueprint.host(host).unwrap();
        let steps = desired.parting(own, &going, std::time::Duration::ZERO);
        let steps = steps.unwrap().into_iter().map(|step| step.name);
        steps.collect::<Vec<_>>().join(", ")
    };
    for (host, going, expected) in [
        (
            "mysql1",
            &["mysql2", "mysql3"][..],
            "mysql-replication: go on alone",
        ),
        ("mysql1", &["mysql2"], ""),
        ("mysql1", &[], ""),
        ("lb1", &["mysql2", "mysql3"], ""),
    ] {
        let going_on = parting(host, going);
        assert_eq!(going_on, expected, "{host} without {going:?}");
    }
}

#[test]
fn the_entry_may_lead_to_any_host_of_its_group() {
    let mut holder = vec![host(1, "lb2", "lb", 4), host(2, "lb1", "lb", 4)];
    let (blueprint, situation) = compared(4, holder.clone());
    assert_eq!(situation.entry_move(&blueprint), Some(Entry::Stays));
    holder.remove(0);
    let (blueprint, situation) = compared(4, holder);
    let to = "lb1".to_owned();
    assert_eq!(situation.entry_move(&blueprint), Some(Entry::Take { to }));
}

#[test]
fn a_firewall_stays_while_somebody_is_behind_it() {
    let firewall = json!({"id": "f", "name": "marg-shop-app", "status": "succeeded",
        "inbound_rules": [], "tags": []});
    let firewall: Firewall = serde_json::from_value(firewall).unwrap();
    let obsolete = |droplets| {
        let (blueprint, mut situation) = compared(2, droplets);
        situation.found.firewalls = vec![firewall.clone()];
        let stays = |one: &Leaving| one.host.holds_data;
        let names = obsolete_firewalls(&blueprint, &situation, stays);
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let http = || host(1, "http1", "http", 2);
    assert_eq!(
        obsolete(vec![http(), host(9, "app1", "app", 1)]),
        [""; 0],
        "app1 holds data: it goes only when it is named"
    );
    assert_eq!(obsolete(vec![http()]), ["marg-shop-app"]);
}
