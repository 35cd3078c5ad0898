//! Hosts that nobody touches: what their units are denied, and what they keep.

use marg_tests::fleet::Fleet;

cases! {
    "rest: what a unit is denied fails inside it, and works without its limits" => denied,
    "rest: an application's log is turned over while it is written, and no link of its leads root anywhere" => logs,
    "rest: no curve of NIST is offered, the journal has a limit, and needrestart restarts nothing" => limits,
    "rest: apt and dpkg wait for whoever is at work, and say for whom" => apt,
}

/// The master that serves, and the name under which its limits lie.
const MASTER: &str = "marg-php-flow-marg@$(readlink /run/marg-php/flow-marg.sock | cut -d . -f 2) \
    marg-php-flow-marg@";

fn denied() {
    let fleet = Fleet::provisioned();
    let units = [
        ("http1", "nginx"),
        ("http1", MASTER),
        ("http1", "prometheus-node-exporter"),
        ("worker1", "supervisor"),
        ("mysql1", "mariadb"),
    ];
    for (host, unit) in units {
        let script = format!("{}\ndenied {unit}", include_str!("denied.sh"));
        assert_eq!(fleet.on(host, &script), "", "{host}");
    }
}

fn logs() {
    let fleet = Fleet::provisioned();
    let said = fleet.on(
        "worker1",
        "set -e; cd /var/www/flow.marg/shared/storage/logs; \
        runuser -u flow-marg -- sh -c 'umask 027; exec 5>>rest.log; echo before >&5; \
          head -c 110000000 /dev/zero >&5; touch go; until [ -e went ]; do sleep 0.1; done; \
          echo after >&5; touch done; exec 5>&-' & \
        until [ -e go ]; do sleep 0.1; done; \
        echo secret > /root/marg-victim.log; \
        runuser -u flow-marg -- ln -s /root/marg-victim.log planted.log; \
        systemctl start flow-marg-logs; touch went; chown flow-marg went; \
        until [ -e done ]; do sleep 0.1; done; cat rest.log; \
        zcat rest.log.1.gz | head -n 1; cat /root/marg-victim.log; \
        ls -d /root/marg-victim.log?* planted.log.* 2>/dev/null || :; \
        stat -c '%U %a' rest.log.1.gz; rm -f rest.log* planted.log go went done /root/marg-victim.log",
    );
    assert_eq!(said, "after\nbefore\nsecret\nflow-marg 640\n");
}

fn limits() {
    let fleet = Fleet::provisioned();
    for host in ["http1", "mysql1"] {
        let told = fleet.on(
            host,
            "sshd -T | grep -i -E '^(kex|hostkey)algorithms|^macs'",
        );
        assert!(told.contains("curve25519-sha256"), "{told}");
        for weak in ["nistp", "hmac-sha1", "umac-64"] {
            assert!(!told.contains(weak), "{host} offers {weak}: {told}");
        }
        let journal = fleet.on(host, "systemd-analyze cat-config systemd/journald.conf");
        assert!(journal.contains("\nSystemMaxUse=500M"), "{journal}");
        let needrestart = fleet.on(host, "cat /etc/needrestart/conf.d/60-marg.conf");
        assert!(
            needrestart.contains("$nrconf{restart} = 'l';"),
            "{needrestart}"
        );
    }
}

/// Holds the lock of the package lists as apt does, until a file is there.
const HOLD: &str = "rm -f /run/marg-held /run/marg-free; setsid perl -e 'use Fcntl; \
    open(my $f, \"+<\", \"/var/lib/apt/lists/lock\") or die; \
    my $l = pack(\"s s x![q] q q i x![q]\", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die; \
    open(my $h, \">\", \"/run/marg-held\"); close $h; select(undef, undef, undef, 0.1) until -e \"/run/marg-free\"' \
    >/dev/null 2>&1 & until [ -e /run/marg-held ]; do sleep 0.05; done";

fn apt() {
    let fleet = Fleet::provisioned();
    fleet.on(
        "worker1",
        "DEBIAN_FRONTEND=noninteractive apt-get -qy purge unzip composer >/dev/null 2>&1",
    );
    fleet.on("worker1", HOLD);
    let mut running = fleet.marg(["provision", "--json"]).start();
    running.wait_for("a wait for the lists' lock", |event| {
        let line = event["line"].as_str().unwrap_or_default();
        line.starts_with("waiting: /var/lib/apt/lists/lock is held by process ")
            && line.ends_with("(perl)")
    });
    fleet.on("worker1", "touch /run/marg-free");
    running.wait().ok();
    fleet.assert_converged();
}
