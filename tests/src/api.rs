//! The lab's API as any DigitalOcean client sees it, and its faults.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::wait::{until, until_true};
use crate::web::{client, runtime};

/// A client of one endpoint.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where.
    pub url: String,
    /// The token.
    pub token: String,
}

impl Api {
    /// The endpoint that `marg lab env` prints.
    #[track_caller]
    pub fn from_env_lines(lines: &str) -> Self {
        let value = |name: &str| {
            let line = lines
                .lines()
                .find(|line| line.contains(&format!("{name}=")));
            let value = line
                .and_then(|line| line.split_once('='))
                .map(|(_, value)| value);
            let value = value.unwrap_or_else(|| panic!("no line {name}=… in:\n{lines}"));
            value.trim_matches(['"', '\'']).to_owned()
        };
        Self {
            url: value("DIGITALOCEAN_API_URL"),
            token: value("DIGITALOCEAN_TOKEN"),
        }
    }

    /// Sends a request and returns status and JSON; `null` where the answer has no body.
    #[track_caller]
    pub fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let mut request = client().request(method, &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = runtime().block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.text().await?))
        });
        let (status, text) = answer.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The same; while the request limit is reached, it is sent again, as every client does.
    #[track_caller]
    pub fn send_in_turn(&self, method: &Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        until("the request limit", Duration::from_secs(300), || {
            let answer = self.send(method.clone(), path, body);
            (answer.0 != 429).then_some(answer)
        })
    }

    /// Asks for something that is there.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let (status, value) = self.send_in_turn(&Method::GET, path, None);
        assert!(status == 200, "GET {path}: {status} {value}");
        value
    }

    /// Everything on the list at `path`, whose key is `key`.
    #[track_caller]
    pub fn list(&self, path: &str, key: &str) -> Vec<Value> {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.get(&format!("{path}{mark}per_page=200"))[key]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// The droplets of an environment.
    #[track_caller]
    pub fn droplets(&self, environment: &str) -> Vec<Value> {
        self.list(
            &format!("/v2/droplets?tag_name=marg-env:{environment}"),
            "droplets",
        )
    }

    /// Names of all that is there for an environment, each with its kind: droplets, firewalls,
    /// networks, keys, images, tags; reserved addresses by the droplet that has them.
    pub fn belongings(&self, environment: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let ours = |name: &str| {
            name.split([':', '-', ' ', '@', '/'])
                .any(|word| word == environment)
        };
        for (path, key) in [
            ("/v2/droplets", "droplets"),
            ("/v2/firewalls", "firewalls"),
            ("/v2/vpcs", "vpcs"),
            ("/v2/account/keys", "ssh_keys"),
            ("/v2/snapshots", "snapshots"),
            ("/v2/tags", "tags"),
        ] {
            // The default network of a region can never be deleted.
            let items = self
                .list(path, key)
                .into_iter()
                .filter(|item| item["default"] != true);
            let items: Vec<Value> = items.collect();
            let names = items.iter().filter_map(|item| item["name"].as_str());
            found.extend(
                names
                    .filter(|name| ours(name))
                    .map(|name| format!("{key} {name}")),
            );
        }
        for address in self.list("/v2/reserved_ips", "reserved_ips") {
            let droplet = address["droplet"]["name"].as_str().unwrap_or("");
            if ours(droplet) {
                found.insert(format!("reserved_ips {}", address["ip"]));
            }
        }
        found
    }

    /// Arms a fault.
    #[track_caller]
    pub fn fault(&self, fault: &Value) {
        let (status, answer) = self.send(Method::POST, "/lab/faults", Some(fault));
        assert!(status < 300, "arming {fault}: {status} {answer}");
    }

    /// Disarms all faults and returns those that had not struck.
    pub fn faults_left(&self) -> Value {
        let (_, left) = self.send(Method::GET, "/lab/faults", None);
        self.send(Method::DELETE, "/lab/faults", None);
        left
    }

    /// Does something with a droplet and waits for its end.
    #[track_caller]
    pub fn act(&self, droplet: u64, kind: &str) {
        let path = format!("/v2/droplets/{droplet}/actions");
        let order = json!({ "type": kind });
        let (status, answer) = self.send_in_turn(&Method::POST, &path, Some(&order));
        assert!(status == 201, "{kind} of {droplet}: {status} {answer}");
        let action = format!("/v2/actions/{}", answer["action"]["id"]);
        until_true(kind, Duration::from_secs(90), || {
            self.get(&action)["action"]["status"] == "completed"
        });
    }
}

/// A droplet's address of that kind (`public` or `private`).
#[track_caller]
pub fn address(droplet: &Value, kind: &str) -> Ipv4Addr {
    let networks = droplet["networks"]["v4"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = networks.iter().find(|network| network["type"] == kind);
    let text = found.and_then(|network| network["ip_address"].as_str());
    text.and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no {kind} address: {droplet}"))
}
