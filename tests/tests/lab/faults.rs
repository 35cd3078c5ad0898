//! What may befall a machine of the lab, and that it is healed.

use std::net::Ipv4Addr;
use std::time::Duration;

use marg_tests::api::{self, Api};
use marg_tests::fleet::lab_api;
use marg_tests::scan;
use marg_tests::wait::{until, until_true};
use marg_tests::web::runtime;
use reqwest::Method;
use serde_json::{Value, json};

use crate::case::marg;

cases! {
    "faults: a machine that is killed is off and silent, and boots with its addresses when healed" => killed,
    "faults: a frozen machine says nothing, and goes on when healed" => frozen,
    "faults: a machine that is cut off reaches nobody and is reached by nobody, and runs on" => cut,
    "faults: a slow machine still answers" => slow,
    "faults: the API goes wrong as often as it was told, and no longer" => of_the_api,
    "faults: a name that several machines have is not guessed" => ambiguous,
    "snapshots: a droplet starts from another one's disk, with keys and a name of its own" => snapshot,
    "resize: a droplet that is off becomes larger and finds its memory" => resize,
    "tokens: machines reach the API, and their token moves reserved addresses and nothing else" => narrow,
}

const TAG: &str = "e2e-faults";

struct Machine {
    api: Api,
    id: u64,
    name: String,
    public: Ipv4Addr,
    private: Ipv4Addr,
}

/// A bare machine that is gone when this is.
fn machine(name: &str, image: &Value) -> Machine {
    let api = lab_api();
    let order = json!({
        "name": name, "region": "fra1", "size": "s-1vcpu-512mb-10gb", "image": image,
        "tags": [TAG],
    });
    let (status, made) = api.send(Method::POST, "/v2/droplets", Some(&order));
    assert_eq!(status, 202, "{made}");
    let id = made["droplet"]["id"].as_u64().unwrap();
    let path = format!("/v2/droplets/{id}");
    let shown = until("addresses", Duration::from_secs(60), || {
        let shown = api.get(&path)["droplet"].clone();
        (shown["status"] == "active").then_some(shown)
    });
    let machine = Machine {
        id,
        name: name.to_owned(),
        public: api::address(&shown, "public"),
        private: api::address(&shown, "private"),
        api,
    };
    machine.answers();
    machine
}

impl Machine {
    fn opens(&self) -> bool {
        // It is SSH that speaks first: a port that only opens is not enough.
        let speaks = format!(
            "timeout 2 bash -c 'head -c 4 < /dev/tcp/{}/22'",
            self.public
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &speaks])
            .output();
        output.unwrap().stdout == b"SSH-"
    }

    fn answers(&self) {
        until_true("SSH answers", Duration::from_secs(90), || self.opens());
    }

    fn shown(&self) -> Value {
        self.api.get(&format!("/v2/droplets/{}", self.id))["droplet"].clone()
    }

    fn fault(&self, what: &str) {
        marg(["lab", "fault", &self.name, what]).run().ok();
    }

    fn shell(&self, script: &str) -> String {
        let outcome = marg(["lab", "shell", &self.name, "sh", "-c", script])
            .run()
            .ok();
        outcome.stdout.trim().to_owned()
    }

    /// `status` as `marg lab status` shows it, with what has befallen the machine.
    fn faults(&self) -> Value {
        let status = marg(["lab", "status", "--json"]).run().ok().document();
        let mut machines = status["machines"].as_array().unwrap().iter();
        let own = machines.find(|one| one["id"] == self.id).unwrap();
        own["faults"].clone()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.api
            .send(Method::DELETE, &format!("/v2/droplets/{}", self.id), None);
    }
}

fn debian() -> Value {
    json!("debian-13-x64")
}

fn killed() {
    let machine = machine("e2e-killed", &debian());
    let before = machine.shown();
    machine.shell("touch /root/kept; iptables -A INPUT -p tcp --dport 9 -j DROP");
    machine.fault("kill");
    let off = machine.shown();
    assert_eq!(
        (&off["status"], &machine.faults()),
        (&json!("off"), &json!(["kill"]))
    );
    assert!(!machine.opens());
    machine.fault("heal");
    machine.answers();
    let after = machine.shown();
    assert_eq!(
        (&after["status"], &after["networks"]),
        (&json!("active"), &before["networks"])
    );
    assert_eq!(machine.faults(), json!([]));
    // Its disk is the same; what only its kernel knew is gone.
    machine.shell("test -e /root/kept");
    assert!(!machine.shell("iptables -S INPUT").contains("--dport 9"));
}

fn frozen() {
    let machine = machine("e2e-frozen", &debian());
    machine.fault("freeze");
    assert!(!machine.opens());
    assert_eq!(machine.shown()["status"], "active");
    machine.fault("heal");
    machine.answers();
}

fn cut() {
    let (one, other) = (
        machine("e2e-cut", &debian()),
        machine("e2e-whole", &debian()),
    );
    let reaches = |from: &Machine, to: &Machine| {
        [to.public, to.private].map(|address| {
            scan::inside(from.id, |runtime| {
                runtime.block_on(scan::opens(address, 22))
            })
        })
    };
    assert_eq!(reaches(&other, &one), [true, true]);
    one.fault("cut");
    assert_eq!(reaches(&other, &one), [false, false]);
    assert_eq!(reaches(&one, &other), [false, false]);
    assert!(!one.opens());
    assert_eq!(one.shell("echo it runs"), "it runs");
    one.fault("heal");
    assert_eq!(reaches(&other, &one), [true, true]);
    one.answers();
}

fn slow() {
    let (one, other) = (
        machine("e2e-slow", &debian()),
        machine("e2e-fast", &debian()),
    );
    let send = format!(
        "dd if=/dev/zero bs=1k count=64 2>/dev/null | timeout 60 nc -N -w 30 {} 9000",
        one.private
    );
    one.shell("systemd-run -q --unit=sink sh -c 'nc -l 9000 > /root/got'");
    one.fault("slow");
    assert_eq!(one.faults(), json!(["slow"]));
    let begun = std::time::Instant::now();
    other.shell(&send);
    // 64 KB are a second at 512 kbit/s; without the fault they are nothing.
    assert!(
        begun.elapsed() > Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    until_true("all of it arrives", Duration::from_secs(30), || {
        one.shell("stat -c %s /root/got") == "65536"
    });
    one.fault("heal");
    assert_eq!(one.faults(), json!([]));
}

fn of_the_api() {
    let api = lab_api();
    let path = "/v2/reserved_ips/198.18.255.1";
    let status = || api.send(Method::GET, "/v2/vpcs", None).0;
    let arm = [
        "lab",
        "fault",
        "api",
        "not-found",
        "--times",
        "2",
        "--path",
        "/v2/vpcs",
    ];
    marg(arm).run().ok();
    assert_eq!([status(), status(), status()], [404, 404, 200]);
    marg(["lab", "fault", "api", "not-found", "--path", path])
        .run()
        .ok();
    marg(["lab", "fault", "api", "off"]).run().ok();
    assert_eq!(api.get("/lab/faults")["faults"], json!([]));
}

fn ambiguous() {
    let machines = ["e2e-a-twin", "e2e-b-twin"].map(|name| machine(name, &debian()));
    let outcome = marg(["lab", "fault", "twin", "kill"]).run();
    outcome
        .exits(3)
        .says("could be any of these machines: e2e-a-twin, e2e-b-twin");
    assert!(machines.iter().all(|machine| machine.faults() == json!([])));
}

fn snapshot() {
    let original = machine("e2e-original", &debian());
    original.shell("echo baked > /root/mark; rm /etc/debian_version");
    let order = json!({ "type": "snapshot", "name": "e2e-image" });
    let path = format!("/v2/droplets/{}", original.id);
    let (status, _) = original
        .api
        .send(Method::POST, &format!("{path}/actions"), Some(&order));
    assert_eq!(status, 201);
    let images = until("the snapshot", Duration::from_secs(60), || {
        let found = original.api.get(&format!("{path}/snapshots"))["snapshots"].clone();
        (found[0]["name"] == "e2e-image").then_some(found)
    });
    let copy = machine("e2e-copy", &images[0]["id"]);
    assert_eq!(
        copy.shell("cat /root/mark; hostname; ls /etc/debian_version || :"),
        "baked\ne2e-copy"
    );
    let key = "cat /etc/ssh/ssh_host_ed25519_key.pub";
    assert_ne!(copy.shell(key), original.shell(key));
    let image = format!("/v2/images/{}", images[0]["id"]);
    assert_eq!(copy.api.send(Method::DELETE, &image, None).0, 204);
    assert_eq!(copy.api.send(Method::GET, &image, None).0, 404);
    // Who stands on it stands.
    assert_eq!(copy.shell("cat /root/mark"), "baked");
}

fn resize() {
    let machine = machine("e2e-resized", &debian());
    let before = machine.shown()["networks"].clone();
    machine.api.act(machine.id, "power_off");
    let order = json!({ "type": "resize", "size": "s-1vcpu-2gb", "disk": false });
    let path = format!("/v2/droplets/{}/actions", machine.id);
    assert_eq!(machine.api.send(Method::POST, &path, Some(&order)).0, 201);
    machine.api.act(machine.id, "power_on");
    machine.answers();
    let shown = machine.shown();
    assert_eq!(
        (&shown["size_slug"], &shown["disk"]),
        (&json!("s-1vcpu-2gb"), &json!(10))
    );
    assert_eq!(shown["networks"], before);
    assert!(
        machine
            .shell("grep MemTotal /proc/meminfo")
            .contains("2013265 kB")
    );
}

fn narrow() {
    let machine = machine("e2e-narrow", &debian());
    let variables = marg(["lab", "env"]).run().ok().stdout;
    let value = |name: &str| {
        let line = variables
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    let (url, token) = (
        value("MARG_HOSTS_API_URL"),
        value("MARG_SECRET_ENTRY_TOKEN"),
    );
    assert_ne!(token, value("DIGITALOCEAN_TOKEN"));
    let status = |method: &str, path: &str| {
        // A droplet's scripts read it from a file, too.
        machine.shell(&format!(
            "umask 077; echo 'Authorization: Bearer {token}' > /root/token; \
             curl -s -o /dev/null -w '%{{http_code}}' -X {method} -H @/root/token {url}{path}"
        ))
    };
    for (method, path, expected) in [
        ("GET", "/v2/reserved_ips", "200"),
        ("GET", &*format!("/v2/droplets/{}", machine.id), "200"),
        ("POST", "/v2/reserved_ips/198.18.255.1/actions", "422"),
        ("POST", "/v2/reserved_ips", "403"),
        ("DELETE", "/v2/reserved_ips/198.18.255.1", "403"),
        ("DELETE", &*format!("/v2/droplets/{}", machine.id), "403"),
        ("POST", "/v2/droplets", "403"),
        ("GET", "/v2/account", "403"),
        ("GET", "/v2/firewalls", "403"),
        ("POST", "/lab/stop", "403"),
    ] {
        assert_eq!(status(method, path), expected, "{method} {path}");
    }
    // Of the host itself there is nothing else but the package cache.
    let host = "198.18.0.1".parse().unwrap();
    let open = scan::inside(machine.id, |runtime| {
        runtime.block_on(scan::all_ports(host))
    });
    assert_eq!(open.len(), 2, "{open:?}");
    let answer = runtime().block_on(scan::opens(machine.public, 22));
    assert!(answer);
}
