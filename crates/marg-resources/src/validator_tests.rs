//! Validators on a real host: what nginx refuses never goes live, and what it is shown is exactly
//! what it would find afterwards.
#![allow(clippy::unwrap_used)]

use crate::kind::{Notify, Resource};
use crate::testing::Host;
use crate::{File, Link, Notice, PRELUDE, Service, Validator};

fn nginx() -> Validator {
    Validator::new("nginx -t -q")
}

fn site(name: &str, text: &str) -> [Resource; 2] {
    let available = format!("/etc/nginx/sites-available/{name}");
    let enabled = format!("/etc/nginx/sites-enabled/{name}");
    [
        File::new(&available, text)
            .validate(nginx())
            .notify(Notice::reload("nginx")),
        Link::new(enabled, available)
            .validate(nginx())
            .notify(Notice::reload("nginx")),
    ]
}

fn running() -> Resource {
    Service::running("nginx").into()
}

const CLEAN: &str = "rm -rf /var/lib/marg/owed/nginx.* /etc/nginx/sites-*/margtry* /etc/nginx/conf.d/margtry*\n\
     systemctl reset-failed nginx; systemctl restart nginx";

#[test]
fn files_links_and_absences_are_checked_together() {
    let Some(host) = Host::named("MARG_TRY_HOST") else {
        return;
    };
    host.run(CLEAN);
    let good = "server { listen 8081; server_name a.test; }\n";
    let mut wanted = site("margtry-a", good).to_vec();
    wanted.push(running());
    assert!(host.converge(&wanted).last().unwrap().ends_with("reload"));

    // Each half alone would be refused: the new file defines again what the old one, which goes,
    // defines.
    host.run("echo 'limit_req_zone $uri zone=margtry:1m rate=1r/s;' > /etc/nginx/conf.d/margtry-old.conf; nginx -t -q");
    let zone = "limit_req_zone $uri zone=margtry:1m rate=1r/s;\n";
    let mut moved = vec![
        File::new("/etc/nginx/conf.d/margtry-new.conf", zone)
            .validate(nginx())
            .into(),
        File::absent("/etc/nginx/conf.d/margtry-old.conf")
            .validate(nginx())
            .into(),
        Link::absent("/etc/nginx/sites-enabled/margtry-a")
            .validate(nginx())
            .into(),
    ];
    assert_eq!(host.converge(&moved).len(), 3);
    moved.remove(0);
    host.converge(&moved);
    host.run(CLEAN);
}

#[test]
fn a_refused_file_leaves_everything_as_it_was() {
    let Some(host) = Host::named("MARG_TRY_HOST") else {
        return;
    };
    host.run(CLEAN);
    let look = "find /etc/nginx -newer /tmp/before | sort; systemctl show -p MainPID nginx; \
                ls /var/lib/marg/owed; cat /proc/mounts | grep -c marg-check";
    host.run("touch -d '1 second' /tmp/before");
    let before = host.run(look);
    let mut wanted = site("margtry-a", "server { listen 8081; nonsense on; }\n").to_vec();
    wanted.extend(site("margtry-b", "server { listen 8082; }\n"));
    wanted.push(running());
    let output = host.apply(&host.plan(&wanted));
    assert!(output.contains("refused by: nginx -t -q"), "{output}");
    assert!(output.contains("nonsense"), "nginx says why: {output}");
    assert_eq!(host.run(look), before);
    host.run(CLEAN);
}

#[test]
fn where_overlays_cannot_be_stacked_a_copy_shows_the_same() {
    let Some(host) = Host::named("MARG_TRY_HOST") else {
        return;
    };
    let look = "cd /etc; cat marg-try/a/new old; readlink link; ls absent 2>&1 | tail -1";
    let stage = format!(
        "cd /etc; echo old > old; : > absent; mkdir -p \"$STAGE\"\n\
         echo bmV3Cg== | stage_file /etc/marg-try/a/new 0600 root root\n\
         echo bmV3Cg== | stage_file /etc/old 0600 root root\n\
         stage_link /etc/link target; stage_absent /etc/absent\n\
         validate '{look}'; cat old; ls marg-try absent 2>&1; rm -f old absent"
    );
    let copying = PRELUDE.replace("mount -t overlay", "mount -t nosuchtype");
    assert_ne!(copying, PRELUDE);
    let expected = "new\nnew\ntarget\nls: cannot access 'absent': No such file or directory\n\
                    old\nls: cannot access 'marg-try': No such file or directory\nabsent\n";
    for prelude in [PRELUDE, &copying] {
        assert_eq!(host.run(&format!("{prelude}\n{stage}")), expected);
    }
}
