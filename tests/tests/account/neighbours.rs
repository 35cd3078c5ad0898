//! Three environments whose names begin alike, and a stranger's things with look-alike names and
//! tags: whatever is done to one, everything of the others stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use marg_tests::account::{Account, write_project};
use marg_tests::program::Outcome;
use serde_json::{Value, json};

const KEYS: [&str; 3] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPpjkK8i423iFkQgp7hkEppKCIUY36s7mvvrSYXO7n9i",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjkogt/9dGygvgqkBYZAt5LSyyMUmRzqmRLYlIwCb0Z",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7",
];

/// The account with the neighbours `shop-eu` and `shop-eu-http`, and a stranger.
fn neighbourhood() -> Account {
    let account = Account::start();
    account.furnish("shop-eu", &["http", "web"], KEYS[0]);
    account.furnish("shop-eu-http", &["http"], KEYS[1]);
    let vpc =
        json!({"name": "marg-shop-lab", "region": "ams3", "description": "marg: environment"});
    let vpc = account.make("/v2/vpcs", &vpc, "vpc");
    // Names and tags that only look like those of `shop`.
    let tags = json!([
        "shop",
        "marg-env",
        "marg-envy:shop",
        "marg-group:shop-http:http"
    ]);
    let id = account.droplet("shop-http1", &tags, &Value::Null);
    account.firewall("marg-shop-office", "shop");
    account.firewall("office", "marg-envy:shop");
    let key = json!({"name": "marg-shop", "public_key": KEYS[2]});
    account.make("/v2/account/keys", &key, "ssh_key");
    account.make(
        "/v2/reserved_ips",
        &json!({"droplet_id": id}),
        "reserved_ip",
    );
    account.make(
        "/v2/reserved_ips",
        &json!({"region": "fra1"}),
        "reserved_ip",
    );
    assert!(!vpc["id"].is_null());
    account
}

/// Everything but what was there before `shop` came: what it may change.
fn of_others(account: &Account, before: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let all = account.everything().into_iter();
    all.filter(|(id, _)| before.contains_key(id)).collect()
}

/// The public half of the folder's key, made by a look.
fn key_of(account: &Account, folder: &Path, environment: &str) -> String {
    account.marg(folder, ["plan", "--json"]).run().ok();
    let vault = folder.join(format!("inventories/.marg/{environment}@lab"));
    // The folder of an environment that has machines is not without secrets.
    let secrets = vault.join("secrets.toml");
    fs::write(&secrets, "something = \"else\"\n").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    fs::read_to_string(vault.join("ssh_key.pub")).unwrap()
}

#[test]
fn no_verb_touches_what_is_not_proved_to_be_its_own() {
    let account = neighbourhood();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_project(folder, "shop", &["http"]);
    let others = account.everything();
    let key = key_of(&account, folder, "shop");
    account.furnish("shop", &["http", "old"], &key);
    let unchanged = |what: &str| {
        let now = of_others(&account, &others);
        assert_eq!(now, others, "after {what}");
    };
    let run = |arguments: &[&str]| -> Outcome {
        let outcome = account.marg(folder, arguments.iter().copied()).run();
        unchanged(&arguments.join(" "));
        outcome
    };

    let plan = run(&["plan", "--json"]).document();
    let cloud = plan["cloud"].as_array();
    let cloud = cloud.unwrap_or_else(|| panic!("{plan}"));
    let deleted: Vec<&Value> = cloud
        .iter()
        .filter(|one| one["action"] == "delete")
        .collect();
    assert!(
        deleted.iter().all(|one| one["name"] == "marg-shop-old"),
        "{deleted:?}"
    );
    for verb in [
        &["cost", "--json"][..],
        &["bake", "--list", "--json"],
        &["scale", "http", "+1", "--dry-run", "--json"],
    ] {
        run(verb).ok();
    }
    // As far as its first host, which does not answer.
    for verb in [
        &["provision", "--json"][..],
        &["scale", "http", "+1", "--json"],
    ] {
        let mut running = account.marg(folder, verb.iter().copied()).start();
        running.wait_for("the cloud's part", |event| {
            event["event"] == "phase_started" && event["name"] == "hosts"
        });
        running.kill();
        unchanged(&verb.join(" "));
    }
    run(&["bake", "--remove", "--json"]).ok();
    let destroyed = run(&["destroy", "--confirm", "shop", "--json"]).ok();
    let left: Vec<String> = account
        .everything()
        .into_keys()
        .filter(|id| !others.contains_key(id))
        .filter(|id| id != "tags \"marg\"")
        .collect();
    assert!(left.is_empty(), "{left:?}\n{destroyed}");
    // There is nothing left to be destroyed.
    run(&["destroy", "--confirm", "shop", "--json"]).ok();
}

#[test]
fn an_environment_whose_names_are_anothers_is_refused_before_anything_is_made() {
    let account = neighbourhood();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // `marg-shop-eu-http` is the firewall of `http` in `shop-eu`, and of `eu-http` in `shop`.
    write_project(folder, "shop", &["http", "eu-http"]);
    let before = account.everything();
    for verb in [
        &["plan", "--json"][..],
        &["provision", "--yes", "--json"],
        &["scale", "http", "+1", "--yes", "--json"],
        &["bake", "http", "--yes", "--json"],
    ] {
        let outcome = account.marg(folder, verb.iter().copied()).run();
        outcome.exits(4).says("it covers marg-group:shop-eu:http");
        assert_eq!(account.everything(), before, "{verb:?}");
    }
    account
        .marg(folder, ["destroy", "--confirm", "shop"])
        .run()
        .ok();
    assert_eq!(account.everything(), before);
}
