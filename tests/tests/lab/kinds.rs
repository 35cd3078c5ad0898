//! Resource kinds on bare machines. Their own tests stand beside them, in `marg-resources`; those
//! that need a whole host find one behind an environment variable, and here are the hosts.

use std::process::Command;
use std::time::Duration;

use marg_tests::api::Api;
use marg_tests::fleet::lab_api;
use marg_tests::program;
use marg_tests::wait::until_true;
use reqwest::Method;
use serde_json::json;

cases! {
    "kinds: firewall, sshd, users, timers, programs, sources and SQL converge on bare machines" => on_bare_machines,
}

/// A droplet outside of any environment, deleted at the end whatever happens.
struct Bare {
    api: Api,
    name: &'static str,
    id: u64,
}

impl Bare {
    fn boot(api: &Api, name: &'static str, image: &str, packages: &str) -> Bare {
        let wanted = json!({"name": name, "region": "fra1", "size": "s-1vcpu-2gb", "image": image});
        let (status, answer) = api.send(Method::POST, "/v2/droplets", Some(&wanted));
        assert_eq!(status, 202, "{answer}");
        let id = answer["droplet"]["id"].as_u64().unwrap();
        let bare = Bare {
            api: api.clone(),
            name,
            id,
        };
        // A new image may have to be built first.
        until_true(&format!("{name} runs"), Duration::from_secs(300), || {
            let asked = bare
                .shell("systemctl is-system-running --wait")
                .output()
                .unwrap();
            String::from_utf8_lossy(&asked.stdout).trim() == "running"
        });
        let install = format!(
            "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && \
             apt-get -qy --no-install-recommends install {packages}"
        );
        let installed = bare.shell(&install).output().unwrap();
        let told = String::from_utf8_lossy(&installed.stdout);
        assert!(
            installed.status.success(),
            "{told}\n{}",
            String::from_utf8_lossy(&installed.stderr)
        );
        bare
    }

    /// `marg lab shell NAME sh`, as words.
    fn words(&self) -> Vec<String> {
        let marg = program::marg().display().to_string();
        [&*marg, "lab", "shell", self.name, "sh"]
            .map(str::to_owned)
            .to_vec()
    }

    fn shell(&self, script: &str) -> Command {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["-c", script]);
        command
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.api
            .send(Method::DELETE, &format!("/v2/droplets/{}", self.id), None);
    }
}

fn on_bare_machines() {
    let api = lab_api();
    let debian = Bare::boot(
        &api,
        "kinds-debian",
        "debian-13-x64",
        "nginx supervisor mariadb-server",
    );
    let sid = Bare::boot(&api, "kinds-sid", "debian-sid-x64", "mysql-server");
    let shell = debian.words().join(" ");
    let tests = Command::new(env!("CARGO"))
        .args(["test", "--locked", "-p", "marg-resources", "--lib", "--"])
        // They change one and the same host.
        .args([
            "--test-threads=1",
            "--nocapture",
            "real_",
            "validator_tests",
        ])
        .env("MARG_TRY_HOST", &shell)
        .env("MARG_TRY_MARIADB", &shell)
        .env("MARG_TRY_MYSQL", sid.words().join(" "))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let told = format!(
        "{}\n{}",
        String::from_utf8_lossy(&tests.stdout),
        String::from_utf8_lossy(&tests.stderr)
    );
    assert!(tests.status.success(), "{told}");
    assert!(!told.contains("skipped:"), "{told}");
}
