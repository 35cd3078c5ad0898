//! Who a host is, and that nobody locks himself out.

use std::fs;
use std::process::Command;

use marg_tests::fleet::Fleet;

cases! {
    "ssh: every host's key is pinned, and is not the one from the user data" => own_keys,
    "ssh: a changed host key is refused, with the way out" => changed_key,
    "ssh: a host's firewall under which nobody can log in is put back by the host" => guard,
    "ssh: an inventory that would shut the operator out is refused by a new connection that fails" => lock_out,
    "ssh: the private key and the folder around it are for the operator alone" => private,
}

const KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

fn own_keys() {
    let fleet = Fleet::provisioned();
    let known = fs::read_to_string(fleet.project.vault().join("known_hosts")).unwrap();
    for host in fleet.machines.keys() {
        let key = fleet.on(host, &format!("cut -d' ' -f2 {KEY}.pub"));
        assert!(
            known.contains(key.trim()),
            "{host}: {key} is not in\n{known}"
        );
        let told = fleet.on(host, "cat /var/lib/cloud/instance/user-data.txt");
        assert!(told.contains("ssh_keys"), "{host}: {told}");
        assert!(
            !told.contains(key.trim()),
            "{host} still has the key that its user data tells"
        );
        let private = fleet.on(host, &format!("sed -n 3p {KEY} | cut -c1-40"));
        assert!(!told.contains(private.trim()), "{host}");
    }
    let left = fs::read_dir(fleet.project.vault()).unwrap().flatten();
    let left = left.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert!(!left.into_iter().any(|name| name.starts_with("first-key")));
}

/// OpenSSH without any check of the host's key: the way back in, for this test alone.
fn ssh_unchecked(fleet: &Fleet, host: &str, script: &str) {
    let key = fleet.project.vault().join("ssh_key");
    let status = Command::new("ssh")
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-i"])
        .arg(key)
        .arg(format!("root@{}", fleet.machine(host).public))
        .arg(script)
        .status();
    assert!(status.unwrap().success(), "ssh {host}: {script}");
}

fn changed_key() {
    let fleet = Fleet::provisioned();
    fleet.on(
        "redis1",
        &format!(
            "cp -p {KEY} {KEY}.kept; cp -p {KEY}.pub {KEY}.pub.kept; rm {KEY} {KEY}.pub; \
         ssh-keygen -q -t ed25519 -N '' -f {KEY}; systemctl restart ssh"
        ),
    );
    let plan = fleet.marg(["plan", "--json"]).run();
    let run = fleet.marg(["run", "--on", "redis1", "--", "true"]).run();
    let ssh = fleet.marg(["ssh", "redis1", "--", "true"]).run();
    let status = fleet.marg(["status", "--json"]).run();
    ssh_unchecked(
        fleet,
        "redis1",
        &format!("mv -f {KEY}.kept {KEY}; mv -f {KEY}.pub.kept {KEY}.pub; systemctl restart ssh"),
    );
    plan.exits(5).says("known_hosts");
    run.exits(5).says("known_hosts");
    assert_ne!(ssh.code, 0, "{ssh}");
    let status = status.exits(5).document();
    let reachable = |name: &str| {
        let hosts = status["hosts"].as_array().unwrap().iter();
        hosts.into_iter().find(|host| host["name"] == name).unwrap()["reachable"].clone()
    };
    assert_eq!(
        (reachable("redis1"), reachable("http1")),
        (false.into(), true.into())
    );
    fleet.assert_converged();
}

/// As soon as a guarded change has begun, no new connection gets through; once the host has put
/// the old state back, they do again.
const BLOCKER: &str = "until [ -e /var/lib/marg/rescue/restore.sh ]; do sleep 0.02; done; \
    iptables -t mangle -I PREROUTING -p tcp --dport 22 --syn -j DROP; \
    until ufw status | grep -q ': active'; do sleep 0.1; done; \
    until ufw status | grep -q ': inactive'; do sleep 0.2; done; \
    iptables -t mangle -F PREROUTING";

fn guard() {
    let fleet = Fleet::provisioned();
    fleet.on(
        "redis1",
        &format!(
            "rm -rf /var/lib/marg/rescue; ufw --force disable >/dev/null; \
         systemd-run -q --unit=marg-test-blocker sh -c {}",
            quoted(BLOCKER)
        ),
    );
    let outcome = fleet.marg(["provision", "--json"]).run();
    let outcome = outcome.exits(6).says("redis1");
    assert!(
        outcome.stdout.contains("putting the old state back"),
        "{outcome}"
    );
    // The host let itself be reached again, and is as it was before.
    assert!(fleet.on("redis1", "ufw status").contains("inactive"));
    fleet.provision();
    assert!(fleet.on("redis1", "ufw status").contains("Status: active"));
    fleet.assert_converged();
}

/// A text as one word of a shell; the text must hold no single quote but those that it closes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn lock_out() {
    let fleet = Fleet::provisioned();
    // A network in which the operator is not. The cloud's firewall would be the first to say so.
    let from = (
        "ssh_from = [\"0.0.0.0/0\", \"::/0\"]",
        "ssh_from = [\"203.0.113.0/24\"]",
    );
    fleet
        .provision_variant(&[from])
        .run()
        .exits(5)
        .says("ssh_from");
    for host in fleet.machines.keys() {
        let rules = fleet.on(host, "ufw status");
        assert!(!rules.contains("203.0.113"), "{host}:\n{rules}");
    }
    fleet.assert_converged();
}

fn private() {
    use std::os::unix::fs::PermissionsExt;
    let vault = Fleet::provisioned().project.vault();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&vault), 0o700);
    for name in ["ssh_key", "secrets.toml"] {
        assert_eq!(mode(&vault.join(name)), 0o600, "{name}");
    }
}
