//! Phase 2 from one inventory file: what it serves, and that a second run changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet, LINKS, REDIS_LOGIN, changes_of};
use marg_tests::program::Marg;
use marg_tests::wait::{until, until_true};
use serde_json::Value;

use crate::case::Case;

cases! {
    "provision: the first plan names four droplets and what each host will get" => first_plan,
    "provision: the page counts its visitors in Redis" => visits,
    "provision: a login at flow is a login at links" => one_login,
    "provision: a job from the web is done by the worker, and its row is in the database" => job,
    "provision: a second run changes nothing, with one connection and one exec per host" => second_run,
    "provision: an empty plan says so in words and in numbers" => empty_plan,
    "provision: the same code path without --lab" => without_lab_option,
    "provision: status knows every host" => status,
    "provision: prices come from the cloud's list of sizes" => cost,
    "provision: unknown names are refused at the web server" => unknown_name,
    "provision: probes leave no session behind" => no_sessions,
    "provision: servers hold no repository and no credentials for one" => no_credentials,
}

/// What is asked late, when the minutes that it needs have passed anyway.
pub fn late_cases() -> Vec<Case> {
    vec![
        Case::new(
            "provision: the scheduler runs exactly once in the fleet",
            scheduler,
        ),
        Case::new(
            "provision: Ctrl-C stops a run, which then goes on",
            interrupt,
        ),
    ]
}

fn read(name: &str) -> Value {
    let path = Fleet::provisioned().project.folder.join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn first_plan() {
    Fleet::provisioned();
    let (plan, report) = (read("first-plan.json"), read("first-report.json"));
    assert_eq!(plan["summary"]["create"], 4);
    assert_eq!(plan["summary"]["destroy"], 0);
    assert!(
        plan["summary"]["will"].as_u64().unwrap() > 50,
        "{}",
        plan["summary"]
    );
    for host in report["hosts"].as_array().unwrap() {
        let planned = plan["hosts"].as_array().unwrap().iter();
        let planned = planned.filter(|plan| plan["name"] == host["name"]);
        let planned = planned
            .map(|plan| plan["changes"].as_array().unwrap().len())
            .sum::<usize>();
        // A machine may already have something of what it should get, and never needs more.
        let changed = usize::try_from(host["changed"].as_u64().unwrap()).unwrap();
        assert!(
            changed > 0 && changed <= planned,
            "{host}: planned {planned}"
        );
        let execs = host["execs"].as_u64().unwrap();
        assert!(
            execs <= 6,
            "a first provision costs a handful of execs: {host}"
        );
    }
}

fn visits() {
    let fleet = Fleet::provisioned();
    let mut browser = fleet.browser();
    let first = browser.get(FLOW, "/").has(200).number("visits");
    let second = browser.get(FLOW, "/").has(200);
    assert_eq!(second.number("visits"), first + 1);
    assert_eq!(second.number("yours"), 2);
    let code = "echo Illuminate\\Support\\Facades\\Redis::get('visits:'.config('app.id'));";
    assert_eq!(
        fleet.php("worker1", "flow.marg", code).trim(),
        (first + 1).to_string()
    );
}

fn one_login() {
    let fleet = Fleet::provisioned();
    let mut browser = fleet.browser();
    assert_eq!(
        browser.get(LINKS, "/me").has(200).json()["authenticated"],
        false
    );
    let token = browser.get(FLOW, "/login").has(200).token();
    let fields = [
        ("name", "demo"),
        ("password", "demo"),
        ("_token", token.as_str()),
    ];
    let page = browser.post(FLOW, "/login", &fields).has(302);
    assert!(!page.location.unwrap().contains("login"));
    for host in [FLOW, LINKS] {
        let me = browser.get(host, "/me").has(200).json();
        assert_eq!(
            (&me["authenticated"], &me["name"]),
            (&true.into(), &"demo".into()),
            "{host}"
        );
    }
    assert_eq!(
        fleet.browser().get(LINKS, "/me").json()["authenticated"],
        false
    );
}

fn job() {
    let fleet = Fleet::provisioned();
    for (host, app, database) in [
        (FLOW, "flow.marg", "klueportal"),
        (LINKS, "links.marg", "links_db"),
    ] {
        let name = format!("job-{app}-{}", std::process::id());
        let mut browser = fleet.browser();
        browser
            .get(host, &format!("/dispatch?name={name}"))
            .has(202);
        let row = until("the job's row", Duration::from_secs(60), || {
            let tasks = browser
                .get(host, &format!("/tasks?name={name}"))
                .has(200)
                .json();
            (tasks["count"] == 1).then(|| tasks["tasks"][0].clone())
        });
        assert_eq!(row["worker"], "worker1");
        let rows = fleet.sql(&format!(
            "SELECT worker FROM {database}.tasks WHERE name = '{name}'"
        ));
        assert_eq!(rows, "worker1");
    }
}

fn second_run() {
    let fleet = Fleet::provisioned();
    let report = fleet.provision().event("report");
    assert_eq!(report["cloud_changed"], 0);
    assert_eq!(report["deployed"].as_array().unwrap().len(), 0);
    assert_eq!(report["hosts"].as_array().unwrap().len(), 4);
    for host in report["hosts"].as_array().unwrap() {
        assert_eq!(host["changed"], 0, "{host}");
        assert_eq!(host["connections"], 1, "{host}");
        assert_eq!(host["execs"], 1, "{host}");
    }
}

fn empty_plan() {
    let fleet = Fleet::provisioned();
    fleet.assert_converged();
    let text = fleet.marg(["plan"]).run().ok().stdout;
    assert!(!text.contains('+') && !text.contains('~'), "{text}");
}

fn without_lab_option() {
    let fleet = Fleet::provisioned();
    let folder = &fleet.project.folder;
    let bare = Marg::new(folder, ["plan", "--json"]);
    let with = bare.clone().env("DIGITALOCEAN_API_URL", &fleet.api.url);
    let with = with.env("DIGITALOCEAN_TOKEN", &fleet.api.token);
    let summary = &with.run().ok().document()["summary"];
    assert_eq!(summary, &fleet.plan()["summary"]);
    assert_eq!(summary["create"], 0);
    bare.run().exits(3).says("DIGITALOCEAN_TOKEN");
    with.env("DIGITALOCEAN_TOKEN", "dop_v1_wrong")
        .run()
        .exits(4);
}

fn status() {
    let fleet = Fleet::provisioned();
    let status = fleet.marg(["status", "--json"]).run().ok().document();
    assert_eq!(status["entry"], fleet.entry.to_string());
    let hosts = status["hosts"].as_array().unwrap();
    let names: Vec<_> = hosts
        .iter()
        .map(|host| host["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["http1", "redis1", "mysql1", "worker1"]);
    for host in hosts {
        assert_eq!(host["reachable"], true, "{host}");
        let services = host["services"].as_object().unwrap();
        assert!(services.values().all(|running| running == true), "{host}");
        let serves = ["http1", "worker1"].contains(&host["name"].as_str().unwrap());
        assert_eq!(
            host["releases"].as_object().unwrap().len(),
            if serves { 2 } else { 0 }
        );
    }
    let table = fleet.marg(["status"]).run().ok().stdout;
    for word in names
        .iter()
        .copied()
        .chain([fleet.entry.to_string().as_str()])
    {
        assert!(table.contains(word), "{word} is missing:\n{table}");
    }
}

fn cost() {
    let fleet = Fleet::provisioned();
    let sizes = fleet.api.list("/v2/sizes", "sizes");
    let price = |droplet: &Value| {
        let size = sizes
            .iter()
            .find(|size| size["slug"] == droplet["size_slug"]);
        size.unwrap()["price_monthly"].as_f64().unwrap()
    };
    let sum: f64 = fleet.api.droplets("e2e").iter().map(price).sum();
    let monthly = &fleet.plan()["monthly"];
    assert_eq!(
        (monthly["before"].as_f64(), monthly["after"].as_f64()),
        (Some(sum), Some(sum))
    );
    let text = fleet.marg(["cost"]).run().ok().stdout;
    assert!(text.contains(&format!("{sum:.0}")), "${sum}:\n{text}");
}

fn unknown_name() {
    let fleet = Fleet::provisioned();
    let answer = fleet.browser().try_get("unknown.marg.test", "/");
    assert!(
        answer.is_err() || answer.as_ref().is_ok_and(|page| page.status >= 400),
        "{answer:?}"
    );
    fleet.browser().get(FLOW, "/.env").has(404);
}

/// Sessions that Redis holds, by both applications.
fn sessions(fleet: &Fleet) -> u64 {
    let count = format!(
        "{{ {REDIS_LOGIN}; echo 'KEYS marg_database_marg:*'; }} | redis-cli | grep -c '^marg_' || :"
    );
    fleet.on("redis1", &count).trim().parse().unwrap()
}

fn no_sessions() {
    let fleet = Fleet::provisioned();
    let before = sessions(fleet);
    for _ in 0..50 {
        for path in ["/livez", "/readyz", "/health"] {
            let page = fleet.browser().get(FLOW, path).has(200);
            assert!(page.cookies.is_empty(), "{path}: {page:?}");
        }
    }
    assert_eq!(sessions(fleet), before);
    // The count would have shown one.
    fleet.browser().get(FLOW, "/").has(200);
    assert_eq!(sessions(fleet), before + 1);
}

fn no_credentials() {
    let fleet = Fleet::provisioned();
    for host in fleet.machines.keys() {
        let script = "find / -xdev \\( -name .git -o -name .git-credentials -o -name .netrc \
            -o -name auth.json -o -name 'id_rsa*' -o -name 'id_ed25519*' \\) \
            -not -path '/usr/*' -not -path '/proc/*'";
        assert_eq!(fleet.on(host, script).trim(), "", "{host}");
    }
}

fn scheduler() {
    let fleet = Fleet::provisioned();
    for app in [FLOW, LINKS] {
        let report = until(
            "two runs of the scheduler",
            Duration::from_secs(150),
            || {
                let report = fleet.browser().get(app, "/scheduler").has(200).json();
                (report["count"].as_u64() >= Some(2)).then_some(report)
            },
        );
        let runs = report["runs"].as_array().unwrap();
        assert!(runs.iter().all(|run| run["host"] == "worker1"), "{report}");
        // 2026-11-21T10:00…: two in one minute would be two schedulers.
        let minutes = runs
            .iter()
            .map(|run| run["at"].as_str().unwrap()[..16].to_owned());
        assert_eq!(
            minutes.collect::<BTreeSet<_>>().len(),
            runs.len(),
            "{report}"
        );
    }
}

fn interrupt() {
    let fleet = Fleet::provisioned();
    fleet.on("http1", "echo '# by hand' >> /etc/nginx/nginx.conf");
    let mut running = fleet.marg(["provision", "--json"]).start();
    running.wait_for("the plan of http1", |event| {
        event["event"] == "host_planned" && event["host"] == "http1"
    });
    running.interrupt();
    let outcome = running.wait();
    if outcome.code != 0 {
        // It may have been done before the signal came; otherwise it says how to go on.
        outcome.exits(130).says("same command");
    }
    until_true(
        "the next run to go through",
        Duration::from_secs(60),
        || fleet.marg(["provision", "--json"]).run().code == 0,
    );
    assert!(changes_of(&fleet.plan()).is_empty());
}
