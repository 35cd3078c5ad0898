//! An account in memory: the lab's API without its machines, for what marg does in the cloud alone.
//! Nothing that it makes can be reached, so runs get as far as their first host.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::Api;
use crate::program::Marg;
use crate::wait::until_true;
use crate::web::runtime;

/// Lists of everything that an account can have.
const LISTS: [(&str, &str); 7] = [
    ("/v2/droplets", "droplets"),
    ("/v2/firewalls", "firewalls"),
    ("/v2/vpcs", "vpcs"),
    ("/v2/account/keys", "ssh_keys"),
    ("/v2/snapshots", "snapshots"),
    ("/v2/tags", "tags"),
    ("/v2/reserved_ips", "reserved_ips"),
];

/// How a phase of bare machines begins and ends; its groups come between.
const HEAD: &str = r#"
number = 5
title = "bare machines"
entry = "http"
budget = [0, 0]
"#;
const CAPACITY: &str = r#"
[capacity]
users = [0, 0]
requests_per_user_minute = 1
"#;

/// An account, empty at first.
#[derive(Debug)]
pub struct Account {
    /// Its API.
    pub api: Api,
}

impl Account {
    /// A fresh one.
    pub fn start() -> Self {
        let endpoint = runtime().block_on(marg_lab::serve_in_memory());
        let endpoint = endpoint.expect("the API listens");
        Self {
            api: Api {
                url: endpoint.url,
                token: endpoint.token.expose().to_owned(),
            },
        }
    }

    /// The program in that folder, with this account as its cloud.
    pub fn marg<S: Into<String>>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Marg {
        Marg::new(folder, arguments)
            .env("DIGITALOCEAN_API_URL", &self.api.url)
            .env("DIGITALOCEAN_TOKEN", &self.api.token)
    }

    /// Makes something and gives what was made.
    #[track_caller]
    pub fn make(&self, path: &str, body: &Value, key: &str) -> Value {
        let (status, answer) = self.api.send_in_turn(&Method::POST, path, Some(body));
        assert!(
            (200..300).contains(&status),
            "{path} {body}: {status} {answer}"
        );
        answer[key].clone()
    }

    /// Makes what an environment of one host per group has, as marg of a year ago would: a network,
    /// droplets, firewalls, an entry address, an image, tags. `key` is its public key.
    pub fn furnish(&self, environment: &str, groups: &[&str], key: &str) {
        let vpc = self.make(
            "/v2/vpcs",
            &json!({"name": format!("marg-{environment}"), "region": "fra1",
                "description": format!("marg: environment {environment}")}),
            "vpc",
        );
        let key = json!({"name": format!("marg-{environment}"), "public_key": key});
        self.make("/v2/account/keys", &key, "ssh_key");
        let mut first = None;
        for group in groups {
            let own = format!("marg-group:{environment}:{group}");
            let tags = json!([
                "marg",
                format!("marg-env:{environment}"),
                own,
                format!("marg-phase:{environment}:5"),
                format!("marg-op:{environment}{group}0f")
            ]);
            let id = self.droplet(&format!("{environment}-{group}1"), &tags, &vpc["id"]);
            first.get_or_insert(id);
            self.firewall(&format!("marg-{environment}-{group}"), &own);
        }
        if let Some(id) = first {
            self.make(
                "/v2/reserved_ips",
                &json!({ "droplet_id": id }),
                "reserved_ip",
            );
            self.image(id, environment, groups[0]);
        }
        self.make(
            "/v2/tags",
            &json!({"name": format!("marg-phase:{environment}:2")}),
            "tag",
        );
    }

    /// An active droplet.
    pub fn droplet(&self, name: &str, tags: &Value, vpc: &Value) -> u64 {
        let order = json!({"name": name, "region": "fra1", "size": "s-1vcpu-512mb-10gb",
            "image": "debian-13-x64", "tags": tags, "vpc_uuid": vpc});
        let made = self.make("/v2/droplets", &order, "droplet");
        let id = made["id"].as_u64().expect("an id");
        until_true("an active droplet", Duration::from_secs(60), || {
            let seen = self.api.get(&format!("/v2/droplets/{id}"));
            seen["droplet"]["status"] == "active" && seen["droplet"]["locked"] == false
        });
        id
    }

    /// A firewall that covers one tag.
    pub fn firewall(&self, name: &str, tag: &str) {
        let rule =
            json!({"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}});
        let firewall = json!({"name": name, "inbound_rules": [rule], "tags": [tag]});
        self.make("/v2/tags", &json!({ "name": tag }), "tag");
        self.make("/v2/firewalls", &firewall, "firewall");
    }

    fn image(&self, droplet: u64, environment: &str, group: &str) {
        let name = format!("{environment}-bake-{group}-debian-13-x64-0000000a");
        let order = json!({"type": "snapshot", "name": name});
        let action = self.make(&format!("/v2/droplets/{droplet}/actions"), &order, "action");
        let action = format!("/v2/actions/{}", action["id"]);
        until_true("a snapshot", Duration::from_secs(60), || {
            self.api.get(&action)["action"]["status"] == "completed"
        });
        let taken = self.api.list("/v2/snapshots", "snapshots");
        let taken = taken.iter().find(|one| one["name"] == *name).expect("it");
        let what = json!({"resources": [{"resource_id": taken["id"], "resource_type": "image"}]});
        for tag in [
            format!("marg-bake:{environment}"),
            format!("marg-bake:{environment}:{group}"),
        ] {
            self.make("/v2/tags", &json!({ "name": tag }), "tag");
            let path = format!("/v2/tags/{tag}/resources");
            let (status, answer) = self.api.send_in_turn(&Method::POST, &path, Some(&what));
            assert_eq!(status, 204, "{answer}");
        }
    }

    /// Everything that there is, by kind and id, once nothing is on its way any more.
    pub fn everything(&self) -> BTreeMap<String, Value> {
        until_true("firewalls to be enforced", Duration::from_secs(60), || {
            let firewalls = self.api.list("/v2/firewalls", "firewalls");
            firewalls.iter().all(|one| one["status"] == "succeeded")
        });
        let mut all = BTreeMap::new();
        for (path, kind) in LISTS {
            for mut item in self.api.list(path, kind) {
                let id = ["id", "ip", "name"]
                    .into_iter()
                    .find(|key| !item[*key].is_null());
                let id = id.expect("an id");
                if item["name"] == "marg" {
                    // How many droplets of anybody's carry it.
                    item["resources"] = Value::Null;
                }
                all.insert(format!("{kind} {}", item[id]), item);
            }
        }
        all
    }
}

/// Writes an environment's files: an inventory of no applications, and its phase of bare machines,
/// one per group.
pub fn write_project(folder: &Path, environment: &str, groups: &[&str]) {
    fs::create_dir_all(folder.join("inventories")).expect("a folder");
    fs::create_dir_all(folder.join("phases")).expect("a folder");
    let groups: String = groups.iter().map(|group| bare(group)).collect();
    let phase = format!("{HEAD}{groups}{CAPACITY}");
    fs::write(folder.join("phases/phase-5.toml"), phase).expect("a phase");
    let inventory = format!(
        "[environment]\nname = \"{environment}\"\nphase = 5\nregion = \"fra1\"\n\
         domain = \"shop.test\"\n"
    );
    let path = folder.join(format!("inventories/{environment}.toml"));
    fs::write(path, inventory).expect("an inventory");
}

fn bare(group: &str) -> String {
    format!("\n[groups.{group}]\ncount = 1\nsize = \"s-1vcpu-512mb-10gb\"\nroles = [\"base\"]\n")
}
