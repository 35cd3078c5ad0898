//! A small simulated account: droplets with lag, and creations whose answers get lost by plan.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use marg_cloud::{BootImage, NewDroplet, SshKeyId, Tag, VpcId};
use marg_model::Secret;
use serde_json::{Value, json};

use crate::server::{Reply, Request, Server};

/// What happens to one `POST /v2/droplets`; accepted when none is planned.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// Made, and the connection drops.
    MadeThenDropped,
    /// Made, and the answer is a 500.
    MadeThen500,
    /// Made, and the answer is an HTML page with status 202.
    MadeThenJunk,
    /// Not made, and the connection drops.
    Dropped,
    /// Made twice (a proxy repeated it), and the connection drops.
    MadeTwiceThenDropped,
    /// Refused.
    Refused(u16, &'static str),
}

#[derive(Default)]
pub struct Account {
    pub fates: VecDeque<Fate>,
    pub droplets: Vec<Value>,
    /// Looks at lists before new droplets show in them.
    pub list_lag: usize,
    /// Whether lists by name show nothing at all.
    pub name_blind: bool,
    /// Reads by id before a droplet's tags show.
    pub tag_lag: usize,
    /// Reads by id that say 404 although the droplet is there.
    pub id_lag: usize,
    pub next_id: u64,
}

pub type Shared = Arc<Mutex<Account>>;

pub async fn start(account: Account) -> (Server, Shared) {
    let shared = Arc::new(Mutex::new(account));
    let inner = Arc::clone(&shared);
    let server = Server::start(move |request| inner.lock().unwrap().answer(request)).await;
    (server, shared)
}

impl Account {
    fn answer(&mut self, request: &Request) -> Reply {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v2/droplets") => self.create(&request.body),
            ("GET", "/v2/droplets") => self.list(request),
            ("GET", path) => self.read(path.rsplit('/').next().unwrap().parse().unwrap()),
            _ => Reply::not_found(),
        }
    }

    fn create(&mut self, body: &Value) -> Reply {
        let fate = self.fates.pop_front();
        if let Some(Fate::Refused(status, message)) = fate {
            return Reply::refused(status, message);
        }
        if let Some(Fate::Dropped) = fate {
            return Reply::HangUp;
        }
        let droplet = self.make(&body["name"], &body["tags"]);
        match fate {
            Some(Fate::MadeTwiceThenDropped) => {
                self.make(&body["name"], &body["tags"]);
                Reply::HangUp
            }
            Some(Fate::MadeThenDropped) => Reply::HangUp,
            Some(Fate::MadeThen500) => {
                Reply::Json(500, json!({"id": "server_error", "message": "x"}))
            }
            Some(Fate::MadeThenJunk) => Reply::Raw(202, vec![], "<html>".to_owned()),
            _ => Reply::Json(
                202,
                json!({"droplet": droplet, "links": {"actions": [{"id": 77}]}}),
            ),
        }
    }

    pub fn make(&mut self, name: &Value, tags: &Value) -> Value {
        self.next_id += 1;
        let droplet = json!({
            "id": self.next_id, "name": name, "status": "new", "locked": true, "tags": tags,
            "created_at": jiff::Timestamp::now().to_string(),
            "networks": {"v4": [], "v6": []},
        });
        self.droplets.push(droplet.clone());
        droplet
    }

    fn list(&mut self, request: &Request) -> Reply {
        let matches = |droplet: &&Value| {
            let name = request.query.get("name");
            let tag = request.query.get("tag_name");
            name.is_none_or(|name| droplet["name"] == **name && !self.name_blind)
                && tag.is_none_or(|tag| {
                    droplet["tags"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|own| own == tag.as_str())
                })
        };
        let mut droplets: Vec<&Value> = self.droplets.iter().filter(matches).collect();
        if self.list_lag > 0 && !droplets.is_empty() {
            self.list_lag -= 1;
            droplets.clear();
        }
        Reply::Json(
            200,
            json!({"droplets": droplets, "links": {}, "meta": {"total": 0}}),
        )
    }

    fn read(&mut self, id: u64) -> Reply {
        let Some(droplet) = self.droplets.iter().find(|droplet| droplet["id"] == id) else {
            return Reply::not_found();
        };
        if self.id_lag > 0 {
            self.id_lag -= 1;
            return Reply::not_found();
        }
        let mut droplet = droplet.clone();
        if self.tag_lag > 0 {
            self.tag_lag -= 1;
            droplet["tags"] = json!([]);
        }
        Reply::Json(200, json!({ "droplet": droplet }))
    }
}

pub fn http1() -> NewDroplet {
    NewDroplet {
        name: "lab-http1".to_owned(),
        region: "fra1".to_owned(),
        size: "s-1vcpu-1gb".to_owned(),
        image: BootImage::Slug("debian-13-x64".to_owned()),
        ssh_keys: vec![SshKeyId(1)],
        environment: Tag::environment("lab").unwrap(),
        tags: vec![Tag::group("lab", "http").unwrap()],
        vpc: VpcId("v-1".to_owned()),
        user_data: Secret::new("#cloud-config\n# canary-host-key\n"),
        monitoring: false,
    }
}
