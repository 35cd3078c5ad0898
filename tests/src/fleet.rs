//! The fleet that the lab tests share: phase 2 in the environment `e2e`, provisioned once.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::api::Api;
use crate::hunt::CommandLines;
use crate::program::{Marg, Outcome};
use crate::project::{Project, replaced};
use crate::wait;
use crate::web::{Browser, runtime};

/// The environment of the shared fleet.
pub const ENVIRONMENT: &str = "e2e";
/// The environment of the fleet with a balancer.
pub const BALANCED: &str = "e2e3";
/// The environment of the fleet in which nothing stands alone.
pub const WHOLE: &str = "e2e4";
/// The two applications' names on the web.
pub const FLOW: &str = "flow.marg.test";
/// See [`FLOW`].
pub const LINKS: &str = "links.marg.test";

/// Prints how marg logs in on a host of Redis, as redis-cli reads it.
pub const REDIS_LOGIN: &str =
    r#"sed -n 's/^user marg on ">\(.*\)" ~.*/AUTH marg "\1"/p' /etc/redis/password.conf"#;

/// A value that breaks whatever quotes badly, on its way through TOML, shell, templates, `.env`
/// and PHP.
pub const MOTTO: &str = "it's \"quoted\" $HOME ${APP_NAME} `id` $(id) 100% %s \\back\\\\slash \
    #no-comment; a=b é漢字🙂\ttab\nsecond line \\n ' end ";
/// A database password of the same kind; its middle is what a hunt looks for.
pub const PASSWORD: &str =
    "p'q\"r $HOME `id` $(id) %s%% \\ \\' #x;é漢\nKanarienvogel4711Passwort/* -- ";

/// One machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Host name.
    pub name: String,
    /// Droplet.
    pub droplet: u64,
    /// Public address.
    pub public: Ipv4Addr,
    /// Private address.
    pub private: Ipv4Addr,
}

/// A provisioned environment.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Its files.
    pub project: Project,
    /// The cloud that it lives in.
    pub api: Api,
    /// The entry address.
    pub entry: Ipv4Addr,
    /// Its machines by name.
    pub machines: BTreeMap<String, Machine>,
}

impl Fleet {
    /// The shared fleet; whoever asks first provisions it.
    #[track_caller]
    pub fn provisioned() -> &'static Fleet {
        static FLEET: Shared = OnceLock::new();
        shared(&FLEET, provision)
    }

    /// The shared fleet of phase 3, with a balancer, two web servers and one worker; whoever asks
    /// first provisions it.
    #[track_caller]
    pub fn balanced() -> &'static Fleet {
        static FLEET: Shared = OnceLock::new();
        shared(&FLEET, provision_balanced)
    }

    /// The shared fleet of phase 4, with two web servers and two workers; whoever asks first
    /// provisions it.
    #[track_caller]
    pub fn whole() -> &'static Fleet {
        static FLEET: Shared = OnceLock::new();
        shared(&FLEET, provision_whole)
    }

    /// An environment as it is now.
    #[track_caller]
    pub fn of(project: Project, api: Api) -> Fleet {
        let status = project.marg(["status", "--json"]).run().ok().document();
        let address = |value: &Value| match value.as_str().and_then(|text| text.parse().ok()) {
            Some(address) => address,
            None => panic!("no address: {status}"),
        };
        let machine = |host: &Value| Machine {
            name: host["name"].as_str().expect("a name").to_owned(),
            droplet: host["droplet_id"].as_u64().expect("an id"),
            public: address(&host["public_ip"]),
            private: address(&host["private_ip"]),
        };
        let machines = status["hosts"]
            .as_array()
            .expect("hosts")
            .iter()
            .map(machine);
        Fleet {
            entry: address(&status["entry"]),
            machines: machines
                .map(|machine| (machine.name.clone(), machine))
                .collect(),
            project,
            api,
        }
    }

    /// The program in the fleet's project.
    pub fn marg<S: Into<String>>(&self, arguments: impl IntoIterator<Item = S>) -> Marg {
        self.project.marg(arguments)
    }

    /// A machine by its name.
    #[track_caller]
    pub fn machine(&self, host: &str) -> &Machine {
        self.machines
            .get(host)
            .unwrap_or_else(|| panic!("no machine {host}"))
    }

    /// Someone who visits the applications.
    pub fn browser(&self) -> Browser {
        Browser::new(self.entry)
    }

    /// What a script prints on a host; panics when it fails.
    #[track_caller]
    pub fn on(&self, host: &str, script: &str) -> String {
        let (status, stdout, stderr) = self.try_on(host, script);
        assert!(
            status == 0,
            "on {host}: `{script}` exited with {status}:\n{stdout}{stderr}"
        );
        stdout
    }

    /// Exit status, output and errors of a script on a host. It goes past the network, so it asks
    /// the cloud for nothing, whose requests are counted, and works on a host that is cut off.
    #[track_caller]
    pub fn try_on(&self, host: &str, script: &str) -> (i32, String, String) {
        let machine = format!("{}-{host}", self.project.name);
        let shell = ["lab", "shell", &machine, "bash", "-c", script];
        let outcome = Marg::new(&self.project.folder, shell).run();
        (outcome.code, outcome.stdout, outcome.stderr)
    }

    /// What a script prints on a host that reads `input`: the way for secrets, which must not
    /// be on a command line. Nothing of it is written down.
    #[track_caller]
    pub fn feed(&self, host: &str, script: &str, input: &str) -> String {
        let arguments = ["--lab", "ssh", host, "--", script];
        Marg::new(&self.project.folder, arguments)
            .run_with_input(input)
            .ok()
            .stdout
    }

    /// What PHP prints when it runs `code` inside an application, as its user.
    #[track_caller]
    pub fn php(&self, host: &str, app: &str, code: &str) -> String {
        let boot = "require 'vendor/autoload.php'; $app = require 'bootstrap/app.php'; \
            $app->make(Illuminate\\Contracts\\Console\\Kernel::class)->bootstrap();";
        let user = app.replace('.', "-");
        let script = format!(
            "cd /var/www/{app}/current && runuser -u {user} -- php <<'PHP'\n<?php {boot} {code}\nPHP\n"
        );
        self.on(host, &script)
    }

    /// Rows that a query gives as root of the database, without a password.
    #[track_caller]
    pub fn sql(&self, query: &str) -> String {
        let script = format!("mysql -N -B <<'SQL'\n{query}\nSQL\n");
        self.on("mysql1", &script).trim().to_owned()
    }

    /// The plan as JSON.
    #[track_caller]
    pub fn plan(&self) -> Value {
        self.marg(["plan", "--json"]).run().ok().document()
    }

    /// Panics unless nothing is to be done.
    #[track_caller]
    pub fn assert_converged(&self) {
        let plan = self.plan();
        for (key, count) in plan["summary"].as_object().expect("a summary") {
            assert!(
                count == 0,
                "`{key}` is {count}: {}",
                changes_of(&plan).join("\n")
            );
        }
        assert!(changes_of(&plan).is_empty(), "{plan}");
    }

    /// Provisions with the usual inventory; panics unless that goes well.
    #[track_caller]
    pub fn provision(&self) -> Outcome {
        self.marg(["provision", "--json"]).run().ok()
    }

    /// Provisions once more; panics if that changes anything, in the cloud or on a host.
    #[track_caller]
    pub fn assert_second_run_changes_nothing(&self) {
        let report = self.provision().event("report");
        assert_eq!(report["cloud_changed"], 0, "{report}");
        for host in report["hosts"].as_array().expect("hosts") {
            assert_eq!(host["changed"], 0, "{host}");
        }
    }

    /// Provisions with another inventory of the same environment.
    pub fn provision_variant(&self, replacements: &[(&str, &str)]) -> Marg {
        let path = self.project.variant(replacements);
        self.marg([
            "provision",
            "--json",
            "--inventory",
            path.to_str().expect("UTF-8"),
        ])
    }

    /// What `/version` of an application says.
    #[track_caller]
    pub fn version(&self, app: &str) -> Value {
        self.browser().get(app, "/version").has(200).json()
    }

    /// The live release of an application on each of its hosts.
    #[track_caller]
    pub fn live(&self, app: &str) -> BTreeMap<String, String> {
        let status = self.marg(["status", "--json"]).run().ok().document();
        let hosts = status["hosts"].as_array().expect("hosts").iter();
        let live = hosts.filter_map(|host| {
            let release = host["releases"][app].as_str()?;
            Some((host["name"].as_str()?.to_owned(), release.to_owned()))
        });
        live.collect()
    }

    /// Deploys an application; panics unless that goes well. Returns its part of the report.
    #[track_caller]
    pub fn deploy(&self, app: &str, reference: &str) -> Value {
        let outcome = self
            .marg(["deploy", app, "--ref", reference, "--json"])
            .run()
            .ok();
        outcome.event("deployed")["items"][0].clone()
    }
}

/// `host: resource: action (status)` for each change of a plan.
pub fn changes_of(plan: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for host in plan["hosts"].as_array().into_iter().flatten() {
        for change in host["changes"].as_array().into_iter().flatten() {
            let word = |key: &str| change[key].as_str().unwrap_or("?").to_owned();
            let (resource, action, status) = (word("resource"), word("action"), word("status"));
            let host = host["name"].as_str().unwrap_or("?");
            lines.push(format!("{host}: {resource}: {action} ({status})"));
        }
    }
    lines
}

/// The lab's API; the lab is started if need be.
#[track_caller]
pub fn lab_api() -> Api {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Marg::new(here, ["lab", "up"]).run().ok();
    Api::from_env_lines(&Marg::new(here, ["lab", "env"]).run().ok().stdout)
}

/// A fleet that several cases use, or why there is none.
type Shared = OnceLock<Result<Fleet, String>>;

#[track_caller]
fn shared(cell: &'static Shared, make: fn() -> Fleet) -> &'static Fleet {
    let fleet = cell.get_or_init(|| {
        catch_unwind(AssertUnwindSafe(make)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default()
        })
    });
    match fleet {
        Ok(fleet) => fleet,
        Err(error) => panic!("the shared fleet could not be provisioned:\n{error}"),
    }
}

fn provision_balanced() -> Fleet {
    provision_phase(BALANCED, 3, 1)
}

fn provision_whole() -> Fleet {
    provision_phase(WHOLE, 4, 2)
}

/// Two web servers, few workers and small databases, because the machine under a lab is small, and
/// so that there is something larger. An environment that stands is brought into order.
fn provision_phase(name: &str, phase: u8, workers: u8) -> Fleet {
    let api = lab_api();
    let mut project = Project::at(name);
    if !project.exists() || api.droplets(name).is_empty() {
        project = Project::fresh(name);
        let inventory = fs::read_to_string(project.inventory()).expect("the inventory");
        let inventory = replaced(&inventory, &[("phase = 2 ", &format!("phase = {phase} "))]);
        project.write_inventory(&format!(
            "{inventory}\n[phases.{phase}.groups.http]\ncount = 2\n\n\
             [phases.{phase}.groups.worker]\ncount = {workers}\n\n\
             [phases.{phase}.groups.mysql]\nsize = \"s-1vcpu-2gb\"\n"
        ));
    }
    project.marg(["provision", "--json"]).run().ok();
    let fleet = Fleet::of(project, api);
    for app in [FLOW, LINKS] {
        wait::until_true("the first page", Duration::from_secs(30), || {
            let page = fleet.browser().try_get(app, "/readyz");
            page.is_ok_and(|page| page.status == 200)
        });
    }
    fleet
}

fn provision() -> Fleet {
    let api = lab_api();
    let project = Project::at(ENVIRONMENT);
    let kept = project.folder.join("first-report.json");
    if project.exists() && kept.exists() && !api.droplets(ENVIRONMENT).is_empty() {
        let fleet = Fleet::of(project, api);
        fleet.provision();
        return fleet;
    }
    // What a broken run left behind is of no use without its secrets.
    assert!(
        api.droplets(ENVIRONMENT).is_empty(),
        "the lab has droplets of an earlier run of these tests that did not end well; \
         run `marg lab down` and start again"
    );
    let project = Project::fresh(ENVIRONMENT);
    let inventory = fs::read_to_string(project.inventory()).expect("the inventory");
    let motto = format!("APP_MOTTO = {}", toml::Value::String(MOTTO.to_owned()));
    project.write_inventory(&replaced(
        &inventory,
        &[
            (
                "APP_MOTTO = \"start right, scale horizontally, never refactor\"",
                &motto,
            ),
            ("keep_releases = 5", "keep_releases = 3"),
        ],
    ));
    project.give_secret("db_password_marg_user", PASSWORD);
    let plan = project.marg(["plan", "--phase", "2", "--json"]).run().ok();
    fs::write(project.folder.join("first-plan.json"), &plan.stdout).expect("a file");
    let lines = CommandLines::watch();
    let outcome = project.marg(["provision", "--phase", "2", "--json"]).run();
    let seen = lines.stop();
    fs::write(project.folder.join("command-lines.txt"), seen).expect("a file");
    fs::write(&kept, outcome.ok().event("report").to_string()).expect("a file");
    let fleet = Fleet::of(project, api);
    wait::until_true("the first page", Duration::from_secs(30), || {
        fleet
            .browser()
            .try_get(FLOW, "/readyz")
            .is_ok_and(|page| page.status == 200)
    });
    fleet
}

/// Blocks on something asynchronous of a test, such as a load.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}
